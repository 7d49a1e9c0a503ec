//! Opening a damaged journal with what is intact, because an operator said so.
//!
//! The end of a journal matters most: it is what was answered last. So all beginnings are tried from which the state can be
//! had (the first record, and every image that is intact), and the one from which an unbroken journal reaches furthest is
//! taken. What is before it or after its end is given up. A database that does not open at all is moved away; the newest
//! image is then all there is.

use super::FjallStore;
use super::folder::{Folder, io_error, sync_folder};
use super::mark::MarkFile;
use super::open::{Contents, Findings, Images};
use super::pack::{self, Pack};
use super::{Options, database_error, install, keyspace_options, log};
use crate::{Error, Recovered};
use ::fjall::{Database, Keyspace, PersistMode};
use baton_protocol::record::Position;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Opens what is intact, and writes down that this is the journal now.
pub(super) fn salvage(folder: Folder, options: Options) -> Result<(FjallStore, Recovered), Error> {
    let mut marks = MarkFile::open(&folder.path, folder.instance)?;
    let mut findings = Findings::new(&folder, marks.as_ref().map(MarkFile::mark));
    let mut notes = Vec::new();
    let database_error = database_error(&folder.path, "salvaging");
    if folder.database().is_dir() {
        log::inspect(&folder.database(), &folder.found())?;
    }
    let mut images = Images::read(&folder)?;
    let mut contents = match Contents::read(&folder) {
        Ok(contents) => contents,
        Err(_) if images.whole.is_empty() => return Err(findings.damaged("nothing is intact")),
        Err(reason) => {
            notes.push(format!("lost and given up: {reason}"));
            notes.extend(set_aside(&folder, folder.database())?);
            Contents::read(&folder).map_err(|reason| findings.damaged(reason))?
        }
    };

    // What could not be begun anew is given up; the journal before may still be there.
    if contents.installing.is_some() {
        if let Err(reason) = install::go_on(&folder, &mut contents, marks.as_mut())? {
            notes.push(format!("lost and given up: {reason}"));
            install::give_up(&folder, &contents)?;
        }
        findings.mark = marks.as_ref().map(MarkFile::mark);
        images = Images::read(&folder)?;
    }

    // From where the journal reaches furthest; of equals the first, which keeps most.
    let released = findings.mark.map_or(Position::ORIGIN, |mark| mark.released);
    let with_image = images.whole.values().any(|image| image.at.offset >= released.offset);
    let first = (released == Position::ORIGIN || with_image).then_some(released);
    let beginnings = first.into_iter().chain(images.whole.values().map(|image| image.at));
    let reached = beginnings.map(|from| {
        let (verified, walked) = contents.walk(from, std::iter::empty());
        let (end, lost) = verified.map_or_else(|refused| (refused.intact, Some(refused.reason)), |it| (it.end, None));
        // A state is needed between the beginning and the end.
        let image = images.whole.range(from.offset.0..=end.offset.0).next_back().map(|(_, image)| *image);
        (from, end, image, walked, lost)
    });
    let usable = reached.filter(|(from, _, image, ..)| *from == Position::ORIGIN || image.is_some());
    let furthest = usable.reduce(|best, next| if next.1.offset > best.1.offset { next } else { best });
    let Some((released, end, image, mut walked, lost)) = furthest else {
        return Err(findings.damaged("nothing is intact"));
    };
    findings.intact = Some(end);
    let confirmed = findings.mark.map_or(Position::ORIGIN, |mark| mark.confirmed);
    if end == Position::ORIGIN && confirmed != Position::ORIGIN {
        return Err(findings.damaged("nothing is intact"));
    }
    notes.extend(lost.map(|reason| format!("lost and given up: {reason}")));
    if end.offset < confirmed.offset {
        notes.push(format!("lost and given up: records from offset {} to {}", end.offset, confirmed.offset));
    }

    let (cells, versions) = match &contents.cells {
        Ok(found) => found.clone(),
        Err(reason) => {
            notes.push(format!("lost and given up: {reason}; the cells are empty"));
            let name = pack::cells_name(folder.instance);
            let keyspace = contents.database.keyspace(&name, keyspace_options).map_err(&database_error)?;
            contents.database.delete_keyspace(keyspace).map_err(&database_error)?;
            Default::default()
        }
    };
    contents.remove_released(released).map_err(&database_error)?;
    // The last segment is made anew, without what is unreadable in it or beyond the end.
    walked.segments.retain(|&first, _| first < end.offset.0 && contents.segments.contains_key(&first));
    if let Some((&first, (bytes, last))) = walked.segments.iter_mut().next_back() {
        let rebuilt =
            rebuild(&contents.database, &contents.segments[&first], first, (released, end)).map_err(&database_error)?;
        (*bytes, *last) = (rebuilt.disk_space(), end);
        contents.segments.insert(first, rebuilt);
    }
    notes.extend(images.remove_broken(&folder)?);
    if folder.found().exists() {
        notes.extend(set_aside(&folder, folder.found())?);
    }
    let marks = match marks {
        Some(marks) => marks,
        None => MarkFile::create(&folder.path, folder.instance)?,
    };
    let mut store = contents.into_store(folder, marks, options, images.whole, (released, end), versions)?;
    store.mark.set(store.current_mark())?;
    store.delete_images(|at| at > end.offset.0)?;
    store.adopt_segments(&walked)?;
    Ok((store, Recovered { released, end, image, cells, cut: None, notes }))
}

/// Replaces a segment by one that has only what is readable between two positions.
fn rebuild(
    database: &Database,
    damaged: &Keyspace,
    first: u64,
    (released, end): (Position, Position),
) -> ::fjall::Result<Keyspace> {
    let mut packs = Vec::new();
    for entry in damaged.range(pack::start(damaged, released.offset.0)..) {
        let Ok((key, value)) = entry.into_inner() else { break };
        let at = key.first_chunk().map_or(0, |key| u64::from_be_bytes(*key));
        let mut kept = Pack::new(at, pack::time(&value).unwrap_or(SystemTime::UNIX_EPOCH));
        for record in pack::records(&value).map_while(Result::ok).take_while(|record| record.id.offset < end.offset) {
            record.encode(&mut kept.bytes);
        }
        packs.push(kept);
    }
    database.delete_keyspace(damaged.clone())?;
    let keyspace = database.keyspace(&pack::segment_name(first), keyspace_options)?;
    let mut batch = database.batch().durability(Some(PersistMode::SyncData));
    for pack in packs.into_iter().filter(|pack| pack.first < end.offset.0) {
        batch.insert(&keyspace, pack.first.to_be_bytes(), pack.bytes);
    }
    batch.commit()?;
    Ok(keyspace)
}

/// Moves a folder out of the way. Returns what the operator should know of it.
fn set_aside(folder: &Folder, path: PathBuf) -> Result<Option<String>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let lost = folder.path.join(format!("lost-{now}"));
    let kept = lost.join(path.file_name().unwrap_or_default());
    let moved =
        fs::create_dir_all(&lost).and_then(|()| fs::rename(&path, &kept)).and_then(|()| sync_folder(&folder.path));
    moved.map_err(io_error("moving away", &path))?;
    Ok(Some(format!("what was found is kept in {}", kept.display())))
}
