//! Opening a data folder: identify, look at the log, open the database, verify, clean up.

use super::access::{Parts, Shared};
use super::folder::{Folder, Found, io_error};
use super::log::CutLog;
use super::mark::{Mark, MarkFile};
use super::{
    Active, CACHE, FjallStore, LOG, Options, database_error, images, install, keyspace_options, log, pack, salvage,
};
use crate::recover::{Defect, Refused, Verified, verify};
use crate::{Cut, Damage, Error, Image, Recovered};
use ::fjall::{Database, Keyspace};
use baton_protocol::record::{Position, Record};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Opens or creates a journal. With `accept_loss`, what cannot be verified is given up instead of refused.
pub(super) fn open(
    path: &Path,
    name: &str,
    options: Options,
    accept_loss: bool,
) -> Result<(FjallStore, Recovered), Error> {
    match Folder::open(path, name)? {
        Found::Journal(folder) if accept_loss => salvage::salvage(folder, options),
        Found::Journal(folder) => recover(folder, options),
        Found::Nothing(folder) => create(folder, name, options),
    }
}

fn create(folder: Folder, name: &str, options: Options) -> Result<(FjallStore, Recovered), Error> {
    let mark = MarkFile::create(&folder.path, folder.instance)?;
    let error = database_error(&folder.path, "creating");
    let database = database(&folder).map_err(&error)?;
    let cells = database.keyspace(&pack::cells_name(folder.instance), keyspace_options).map_err(&error)?;
    folder.complete(name)?;
    let parts = Parts {
        released: Position::ORIGIN,
        durable: Position::ORIGIN,
        segments: BTreeMap::new(),
        images: BTreeMap::new(),
    };
    let recovered = Recovered {
        released: Position::ORIGIN,
        end: Position::ORIGIN,
        image: None,
        cells: BTreeMap::new(),
        cut: None,
        notes: Vec::new(),
    };
    let shared = Shared::new(folder.path.clone(), database, cells, parts);
    Ok((store(folder, shared, mark, options, 0), recovered))
}

fn store(folder: Folder, shared: Shared, mark: MarkFile, options: Options, versions: u64) -> FjallStore {
    let end = shared.parts().durable;
    FjallStore {
        shared: Arc::new(shared),
        mark,
        options,
        _folder: folder,
        end,
        generation: 0,
        poisoned: false,
        noted: None,
        packs: Vec::new(),
        spare: Vec::new(),
        cells: BTreeMap::new(),
        versions,
        cells_in_memory: versions > 0,
        active: None,
        sealed: BTreeMap::new(),
        begun: 0,
    }
}

fn database(folder: &Folder) -> ::fjall::Result<Database> {
    Database::builder(folder.database()).worker_threads(1).cache_size(CACHE).max_journaling_size(LOG).open()
}

/// What is known of the damage so far.
pub(super) struct Findings {
    folder: PathBuf,
    pub(super) mark: Option<Mark>,
    pub(super) log: CutLog,
    pub(super) intact: Option<Position>,
    intact_time: Option<SystemTime>,
}

impl Findings {
    pub(super) fn new(folder: &Folder, mark: Option<Mark>) -> Self {
        Self { folder: folder.path.clone(), mark, log: CutLog::default(), intact: None, intact_time: None }
    }

    pub(super) fn damaged(&self, reason: impl ToString) -> Error {
        let mut reason = reason.to_string();
        if !self.log.reason.is_empty() {
            reason = format!("{reason} (the log has {})", self.log.reason);
        }
        Error::Damaged(Box::new(Damage {
            folder: Some(self.folder.clone()),
            intact: self.intact,
            intact_time: self.intact_time,
            confirmed: self.mark.map(|mark| mark.confirmed),
            confirmed_time: self.mark.map(|mark| mark.time),
            reason,
            saved: self.log.saved.clone(),
        }))
    }
}

fn recover(folder: Folder, options: Options) -> Result<(FjallStore, Recovered), Error> {
    let marks = MarkFile::open(&folder.path, folder.instance)?;
    let mut findings = Findings::new(&folder, marks.as_ref().map(MarkFile::mark));
    if !folder.database().is_dir() {
        return Err(findings.damaged("the folder of the database is missing"));
    }
    findings.log = log::inspect(&folder.database(), &folder.found())?;
    if folder.found().exists() {
        // From this opening, or from one before it that was refused.
        findings.log.saved = Some(folder.found());
    }
    let mut contents = Contents::read(&folder).map_err(|reason| findings.damaged(reason))?;
    let Some(mut marks) = marks else {
        return Err(findings.damaged("the file with the mark is missing or damaged"));
    };
    install::go_on(&folder, &mut contents, Some(&mut marks))?.map_err(|reason| findings.damaged(reason))?;
    let images = Images::read(&folder)?;
    let Mark { confirmed, released, cells: versions, .. } = marks.mark();

    contents.remove_released(released).map_err(database_error(&folder.path, "opening"))?;
    let known = images.whole.values().map(|image| image.at).chain([confirmed]);
    let (verified, walked) = contents.walk(released, known);
    findings.intact_time = walked.time;
    let end = match verified {
        Ok(verified) => verified.end,
        Err(refused) => {
            findings.intact = Some(refused.intact);
            return Err(findings.damaged(refused.reason));
        }
    };
    findings.intact = Some(end);
    let (cells, found) = match &contents.cells {
        Ok(found) => found.clone(),
        Err(reason) => return Err(findings.damaged(reason)),
    };
    if found < versions {
        let reason = format!("cells were set {versions} times, but only {found} of that is there");
        return Err(findings.damaged(reason));
    }
    let image = images.whole.values().next_back().copied();
    if released != Position::ORIGIN && image.is_none_or(|image| image.at.offset < released.offset) {
        let why = images.broken.first().map_or("there is none", |(_, reason)| reason);
        let before = released.offset;
        return Err(
            findings.damaged(format!("no image is intact ({why}), and the records before {before} were released"))
        );
    }

    let notes = images.remove_broken(&folder)?;
    let found_folder = folder.found();
    let mut store = contents.into_store(folder, marks, options, images.whole, (released, end), found)?;
    store.adopt_segments(&walked)?;
    store.mark.set(store.current_mark())?;
    if found_folder.exists() {
        // Nothing confirmed was in what was cut.
        fs::remove_dir_all(&found_folder).map_err(io_error("removing", &found_folder))?;
    }
    let cut = (findings.log.bytes > 0).then_some(Cut { end, bytes: findings.log.bytes, reason: findings.log.reason });
    Ok((store, Recovered { released, end, image, cells, cut, notes }))
}

/// The images that were found.
pub(super) struct Images {
    pub(super) whole: BTreeMap<u64, Image>,
    broken: Vec<(u64, String)>,
}

impl Images {
    pub(super) fn read(folder: &Folder) -> Result<Self, Error> {
        let mut found = Self { whole: BTreeMap::new(), broken: Vec::new() };
        for offset in images::list(&folder.path)? {
            match images::check(&folder.path, offset) {
                Ok(image) => drop(found.whole.insert(offset, image)),
                Err(reason) => found.broken.push((offset, reason)),
            }
        }
        Ok(found)
    }

    /// Returns what the operator should know of it.
    pub(super) fn remove_broken(&self, folder: &Folder) -> Result<Vec<String>, Error> {
        let remove = |(offset, reason): &(u64, String)| {
            images::remove(&folder.path, *offset)?;
            Ok(format!("the image at offset {offset} was damaged and has been removed: {reason}"))
        };
        self.broken.iter().map(remove).collect()
    }
}

/// All cells, and how many times cells were set.
type Cells = (BTreeMap<String, Vec<u8>>, u64);

/// What was found in the database.
pub(super) struct Contents {
    pub(super) database: Database,
    pub(super) segments: BTreeMap<u64, Keyspace>,
    pub(super) cells: Result<Cells, String>,
    pub(super) cells_keyspace: Option<Keyspace>,
    /// The journal begins anew here, and what was before is not yet removed.
    pub(super) installing: Option<Position>,
}

/// What a walk has seen.
#[derive(Default)]
pub(super) struct Walked {
    /// Bytes and end of each segment that has records, by the offset of its first record.
    pub(super) segments: BTreeMap<u64, (u64, Position)>,
    /// When the last intact pack was written.
    time: Option<SystemTime>,
}

impl Contents {
    /// Opens the database.
    pub(super) fn read(folder: &Folder) -> Result<Self, String> {
        let unreadable = |error| format!("the database does not open: {error}");
        let database = database(folder).map_err(unreadable)?;
        let mut segments = BTreeMap::new();
        for name in database.list_keyspace_names() {
            if let Some(first) = pack::segment_first(&name) {
                segments.insert(first, database.keyspace(&name, keyspace_options).map_err(unreadable)?);
            }
        }
        let name = pack::cells_name(folder.instance);
        let mut cells_keyspace = None;
        if database.keyspace_exists(&name) {
            cells_keyspace = Some(database.keyspace(&name, keyspace_options).map_err(unreadable)?);
        }
        let missing = || Err("the cells are missing, or the database is that of another journal".to_owned());
        let (cells, installing) = match &cells_keyspace {
            Some(keyspace) => (read_cells(keyspace), keyspace.get(install::NOTE).map_err(unreadable)?),
            None => (missing(), None),
        };
        let installing = installing.as_deref().and_then(|note| pack::unsealed(install::NOTE, note)?.first_chunk());
        let installing = installing.map(Position::decode);
        Ok(Self { database, segments, cells, cells_keyspace, installing })
    }

    /// Removes what an interrupted release left: segments after which another one begins before the position of release.
    pub(super) fn remove_released(&mut self, released: Position) -> ::fjall::Result<()> {
        let next = self.segments.keys().copied().rfind(|&first| first <= released.offset.0).unwrap_or(0);
        let removed: Vec<_> = self.segments.extract_if(..next, |_, _| true).collect();
        removed.into_iter().try_for_each(|(_, keyspace)| self.database.delete_keyspace(keyspace))
    }

    /// Walks through all records after a position, and past all those that are known to have been confirmed.
    pub(super) fn walk(
        &self,
        released: Position,
        known: impl Iterator<Item = Position>,
    ) -> (Result<Verified, Refused>, Walked) {
        let mut walked = Walked::default();
        let first = self.segments.keys().copied().rfind(|&first| first <= released.offset.0).unwrap_or(0);
        let packs = self.segments.range(first..).flat_map(|(&first, keyspace)| {
            let start = pack::start(keyspace, released.offset.0);
            keyspace.range(start..).map(move |entry| (first, entry))
        });
        let records = packs.flat_map(|(first, entry)| -> Vec<Result<Record, Defect>> {
            let value = match entry.value() {
                Ok(value) => value,
                Err(error) => return vec![Err(Defect::damage(format_args!("a table is damaged: {error}")))],
            };
            let records: Vec<_> =
                pack::records(&value).map(|record| record.map_err(|(reason, _)| Defect::damage(reason))).collect();
            if let Some(Ok(last)) = records.last() {
                let (bytes, end) = walked.segments.entry(first).or_insert((0, released));
                *bytes += value.len() as u64;
                *end = last.id.after();
                walked.time = pack::time(&value);
            }
            records
        });
        let before =
            |found: &Result<Record, Defect>| found.as_ref().is_ok_and(|record| record.id.offset < released.offset);
        let verified = verify(released, known, records.filter(|found| !before(found)));
        (verified, walked)
    }

    /// The store of a journal between two positions.
    pub(super) fn into_store(
        self,
        folder: Folder,
        mark: MarkFile,
        options: Options,
        images: BTreeMap<u64, Image>,
        (released, end): (Position, Position),
        versions: u64,
    ) -> Result<FjallStore, Error> {
        let cells = self.database.keyspace(&pack::cells_name(folder.instance), keyspace_options);
        let cells = cells.map_err(database_error(&folder.path, "opening"))?;
        let parts = Parts { released, durable: end, segments: self.segments, images };
        let shared = Shared::new(folder.path.clone(), self.database, cells, parts);
        Ok(store(folder, shared, mark, options, versions))
    }
}

fn read_cells(keyspace: &Keyspace) -> Result<Cells, String> {
    let mut cells = BTreeMap::new();
    let mut versions = 0;
    for entry in keyspace.iter() {
        let (key, value) = entry.into_inner().map_err(|error| format!("the cells are not readable: {error}"))?;
        if *key == *install::NOTE {
            continue;
        }
        let name = String::from_utf8_lossy(&key).into_owned();
        let (version, value) = pack::cell(&key, &value).ok_or_else(|| format!("the cell {name:?} is damaged"))?;
        versions = versions.max(version);
        cells.insert(name, value.to_vec());
    }
    Ok((cells, versions))
}

impl FjallStore {
    /// Takes over the segments that a walk has seen; the last one grows on. Removes those that have no records.
    pub(super) fn adopt_segments(&mut self, walked: &Walked) -> Result<(), Error> {
        let segments = self.shared.parts().segments.clone();
        for (first, keyspace) in segments {
            match walked.segments.get(&first) {
                None => self.delete_segment(first)?,
                Some(&(bytes, _)) if Some(first) == walked.segments.keys().next_back().copied() => {
                    self.active = Some(Active { first, bytes, keyspace });
                }
                Some(&(_, end)) => drop(self.sealed.insert(first, end)),
            }
        }
        Ok(())
    }
}
