//! Opening a data folder: identify, look at the log, open the database, verify, clean up.

use super::access::{Parts, Shared};
use super::folder::{Folder, Found, io_error};
use super::log::CutLog;
use super::mark::{Mark, MarkFile};
use super::{Active, CACHE, FjallStore, LOG, Options, database_error, images, keyspace_options, log, pack};
use crate::recover::{Defect, Verified, verify};
use crate::{Cut, Damage, Error, Image, Recovered};
use ::fjall::{Database, Keyspace};
use baton_protocol::record::{Position, Record};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// By the offset they stand at.
type Images = BTreeMap<u64, Image>;

/// Opens or creates a journal. With `accept_loss`, what cannot be verified is given up instead of refused.
pub(super) fn open(
    path: &Path,
    name: &str,
    options: Options,
    accept_loss: bool,
) -> Result<(FjallStore, Recovered), Error> {
    match Folder::open(path, name)? {
        Found::Journal(folder) => recover(folder, options, accept_loss),
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
        images: Images::new(),
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
struct Findings {
    folder: std::path::PathBuf,
    mark: Option<Mark>,
    log: CutLog,
    intact: Option<Position>,
    intact_time: Option<SystemTime>,
}

impl Findings {
    fn damaged(&self, reason: impl ToString) -> Error {
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

fn recover(folder: Folder, options: Options, accept_loss: bool) -> Result<(FjallStore, Recovered), Error> {
    let mut findings =
        Findings { folder: folder.path.clone(), mark: None, log: CutLog::default(), intact: None, intact_time: None };
    let marks = MarkFile::open(&folder.path, folder.instance)?;
    findings.mark = marks.as_ref().map(MarkFile::mark);
    if !folder.database().is_dir() {
        return Err(findings.damaged("the folder of the database is missing"));
    }
    findings.log = log::inspect(&folder.database(), &folder.found())?;
    if folder.found().exists() {
        // From this opening, or from one before it that was refused.
        findings.log.saved = Some(folder.found());
    }
    let database =
        database(&folder).map_err(|error| findings.damaged(format_args!("the database does not open: {error}")))?;
    let error = database_error(&folder.path, "opening");

    let mut segments = BTreeMap::new();
    let mut cells = None;
    for name in database.list_keyspace_names() {
        let keyspace = || database.keyspace(&name, keyspace_options).map_err(&error);
        if let Some(first) = pack::segment_first(&name) {
            segments.insert(first, keyspace()?);
        } else if *name == *pack::cells_name(folder.instance) {
            cells = Some(keyspace()?);
        }
    }
    let Some(cells_keyspace) = cells else {
        return Err(findings.damaged("the cells are missing, or the database is that of another journal"));
    };
    let mut notes = Vec::new();
    let (cells, versions) = match read_cells(&cells_keyspace) {
        Ok(found) => found,
        Err(reason) => return Err(findings.damaged(reason)),
    };
    let mut images = Images::new();
    let mut broken = Vec::new();
    for offset in images::list(&folder.path)? {
        match images::check(&folder.path, offset) {
            Ok(image) => drop(images.insert(offset, image)),
            Err(reason) => broken.push((offset, reason)),
        }
    }
    let mark = match (&marks, accept_loss) {
        (Some(marks), _) => marks.mark(),
        (None, true) => Mark {
            confirmed: Position::ORIGIN,
            released: guess_released(&segments, &images),
            cells: 0,
            time: SystemTime::UNIX_EPOCH,
        },
        (None, false) => return Err(findings.damaged("the file with the mark is missing or damaged")),
    };

    let released = mark.released;
    // What an interrupted release left: segments after which another one begins before the position of release.
    let next = segments.keys().copied().filter(|&first| first <= released.offset.0).next_back().unwrap_or(0);
    let removed: Vec<_> = segments.extract_if(..next, |_, _| true).collect();
    for (_, keyspace) in removed {
        database.delete_keyspace(keyspace).map_err(&error)?;
    }

    let mut sizes = BTreeMap::new();
    let mut time = None;
    let known = images.values().map(|image| image.at).chain([mark.confirmed]);
    let walk = Walk { segments: &segments, sizes: &mut sizes, time: &mut time };
    let verified = walk.verify(released, known);
    findings.intact_time = time;
    let end = match verified {
        Ok(verified) => verified.end,
        Err(refused) => {
            findings.intact = Some(refused.intact);
            if !accept_loss {
                return Err(findings.damaged(refused.reason));
            }
            notes.push(format!("lost and given up: {}", refused.reason));
            refused.intact
        }
    };
    findings.intact = Some(end);
    if versions < mark.cells {
        let reason = format!("cells were set {} times, but only {versions} of that is there", mark.cells);
        if !accept_loss {
            return Err(findings.damaged(reason));
        }
        notes.push(format!("lost and given up: {reason}"));
    }
    let image = images.range(..=end.offset.0).next_back().map(|(_, image)| *image);
    if image.is_none_or(|image| image.at.offset < released.offset) && released != Position::ORIGIN {
        let reason = format!(
            "no image is intact ({}), and the records before offset {} were released",
            broken.first().map_or("there is none", |(_, reason)| reason),
            released.offset
        );
        return Err(findings.damaged(reason));
    }

    for (offset, reason) in broken {
        notes.push(format!("the image at offset {offset} was damaged and has been removed: {reason}"));
        images::remove(&folder.path, offset)?;
    }
    let marks = match marks {
        Some(marks) => marks,
        None => MarkFile::create(&folder.path, folder.instance)?,
    };
    let parts = Parts { released, durable: end, segments, images };
    let shared = Shared::new(folder.path.clone(), database, cells_keyspace, parts);
    let found = folder.found();
    let mut store = store(folder, shared, marks, options, versions);
    adopt_segments(&mut store, &sizes, end)?;
    if accept_loss {
        store.cut(end)?;
    }
    let confirmed = store.current_mark();
    store.mark.set(confirmed)?;
    let cut = (findings.log.bytes > 0).then_some(Cut { end, bytes: findings.log.bytes, reason: findings.log.reason });
    if found.exists() {
        if accept_loss {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let kept = found.with_file_name(format!("lost-{now}"));
            fs::rename(&found, &kept).map_err(io_error("renaming", &found))?;
            notes.push(format!("the damaged log as it was found is in {}", kept.display()));
        } else {
            // Nothing confirmed was in what was cut.
            fs::remove_dir_all(&found).map_err(io_error("removing", &found))?;
        }
    }
    Ok((store, Recovered { released, end, image, cells, cut, notes }))
}

/// Without a mark, only an unreleased journal tells where it begins; of another one the oldest image is a beginning.
fn guess_released(segments: &BTreeMap<u64, Keyspace>, images: &Images) -> Position {
    match images.values().next() {
        Some(image) if segments.keys().next() != Some(&0) => image.at,
        _ => Position::ORIGIN,
    }
}

/// All cells, and how many times cells were set.
fn read_cells(keyspace: &Keyspace) -> Result<(BTreeMap<String, Vec<u8>>, u64), String> {
    let mut cells = BTreeMap::new();
    let mut versions = 0;
    for entry in keyspace.iter() {
        let (key, value) = entry.into_inner().map_err(|error| format!("the cells are not readable: {error}"))?;
        let name = String::from_utf8_lossy(&key).into_owned();
        let (version, value) = pack::cell(&key, &value).ok_or_else(|| format!("the cell {name:?} is damaged"))?;
        versions = versions.max(version);
        cells.insert(name, value.to_vec());
    }
    Ok((cells, versions))
}

/// The walk through all packs of all segments, which also measures them.
struct Walk<'a> {
    segments: &'a BTreeMap<u64, Keyspace>,
    sizes: &'a mut BTreeMap<u64, u64>,
    time: &'a mut Option<SystemTime>,
}

impl Walk<'_> {
    fn verify(
        self,
        released: Position,
        known: impl Iterator<Item = Position>,
    ) -> Result<Verified, crate::recover::Refused> {
        let Self { segments, sizes, time } = self;
        let packs = segments.iter().flat_map(|(&first, keyspace)| keyspace.iter().map(move |entry| (first, entry)));
        let records = packs.flat_map(|(first, entry)| -> Vec<Result<Record, Defect>> {
            let (key, value) = match entry.into_inner() {
                Ok(entry) => entry,
                Err(error) => return vec![Err(Defect::damage(format_args!("a table is damaged: {error}")))],
            };
            *sizes.entry(first).or_default() += (key.len() + value.len()) as u64;
            let records: Vec<_> =
                pack::records(&value).map(|record| record.map_err(|(reason, _)| Defect::damage(reason))).collect();
            if records.iter().all(Result::is_ok) {
                *time = pack::time(&value);
            }
            records
        });
        let records = records.filter(|found| !found.as_ref().is_ok_and(|record| record.id.offset < released.offset));
        verify(released, known, records)
    }
}

/// Tells the store which segments there are and which one grows. Removes those that have no records.
fn adopt_segments(store: &mut FjallStore, sizes: &BTreeMap<u64, u64>, end: Position) -> Result<(), Error> {
    let segments = store.shared.parts().segments.clone();
    let mut firsts = segments.keys().copied().filter(|first| sizes.contains_key(first)).peekable();
    for &first in segments.keys().filter(|first| !sizes.contains_key(first)) {
        store.delete_segment(first)?;
    }
    while let Some(first) = firsts.next() {
        let keyspace = segments[&first].clone();
        if firsts.peek().is_none() {
            store.active = Some(Active { first, bytes: sizes[&first], keyspace });
        } else {
            let last = keyspace.last_key_value().map(::fjall::Guard::value).transpose();
            let last = last.map_err(store.shared.error("opening"))?;
            let position = last.and_then(|pack| pack::records(&pack).map_while(Result::ok).last());
            store.sealed.insert(first, position.map_or(end, |record| record.id.after()));
        }
    }
    Ok(())
}
