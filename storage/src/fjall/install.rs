//! Beginning anew with an image: all that was there is given up for it, in one change.
//!
//! The image is written beside the others under a name of its own. Then one batch of the database sets the cell and a note
//! which says that the journal begins at the image: from then on it does. What follows only tidies up (the mark, the
//! segments, the other images, the name, the note) and is done again on opening as long as the note is there. Nothing is
//! appended before all of it is done.

use super::folder::Folder;
use super::mark::{Mark, MarkFile};
use super::open::Contents;
use super::{FjallStore, database_error, images, pack};
use crate::Error;
use ::fjall::{Database, Keyspace, PersistMode};
use baton_protocol::record::Position;
use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::time::SystemTime;

/// The key of the note among the cells. No cell is called so: their names are UTF-8.
pub(super) const NOTE: &[u8] = b"\xffinstalling";

impl FjallStore {
    /// Gives up everything and begins at `at`.
    pub(super) fn begin_anew(
        &mut self,
        at: Position,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
        (cell, value): (&str, &[u8]),
    ) -> Result<(), Error> {
        let image = images::write_aside(&self.shared.folder, at, chunks)?;
        let mut batch = self.shared.database.batch().durability(Some(PersistMode::SyncData));
        self.versions += 1;
        let value = pack::sealed(cell.as_bytes(), &[&self.versions.to_le_bytes(), value]);
        batch.insert(&self.shared.cells, cell, value);
        batch.insert(&self.shared.cells, NOTE, pack::sealed(NOTE, &[&at.encode()]));
        batch.commit().map_err(self.shared.error("beginning anew in"))?;
        self.cells_in_memory = true;
        self.active = None;
        self.sealed.clear();
        self.end = at;
        let segments = {
            let mut parts = self.shared.parts();
            (parts.released, parts.durable) = (at, at);
            parts.images = BTreeMap::from([(at.offset.0, image)]);
            mem::take(&mut parts.segments)
        };
        self.mark.set(self.current_mark())?;
        tidy_up(&self.shared.folder, &self.shared.database, &self.shared.cells, segments, at)
    }
}

/// Removes what was given up, and at last the note.
fn tidy_up(
    folder: &Path,
    database: &Database,
    cells: &Keyspace,
    segments: BTreeMap<u64, Keyspace>,
    at: Position,
) -> Result<(), Error> {
    let error = database_error(folder, "beginning anew in");
    segments.into_values().try_for_each(|segment| database.delete_keyspace(segment)).map_err(&error)?;
    images::put_in_place(folder, at.offset.0)?;
    for offset in images::list(folder)?.into_iter().filter(|&offset| offset != at.offset.0) {
        images::remove(folder, offset)?;
    }
    let mut batch = database.batch().durability(Some(PersistMode::SyncData));
    batch.remove(cells, NOTE);
    batch.commit().map_err(&error)
}

/// For an operator who gives it up: the journal before, or what is left of it, is there again.
pub(super) fn give_up(folder: &Folder, contents: &Contents) -> Result<(), Error> {
    let Some(keyspace) = &contents.cells_keyspace else { return Ok(()) };
    let mut batch = contents.database.batch().durability(Some(PersistMode::SyncData));
    batch.remove(keyspace, NOTE);
    batch.commit().map_err(database_error(&folder.path, "salvaging"))?;
    images::remove_aside(&folder.path)
}

/// On opening: goes on with what was interrupted, or removes what came to nothing.
///
/// # Errors
/// Errors of the disk; in words, when the image is not there.
pub(super) fn go_on(
    folder: &Folder,
    contents: &mut Contents,
    marks: Option<&mut MarkFile>,
) -> Result<Result<(), String>, Error> {
    let (Some(at), Some(keyspace)) = (contents.installing.take(), &contents.cells_keyspace) else {
        images::remove_aside(&folder.path)?;
        return Ok(Ok(()));
    };
    if let Err(reason) = images::check_aside(&folder.path, at) {
        return Ok(Err(format!("the image with which the journal begins anew is not intact: {reason}")));
    }
    if let Some(marks) = marks {
        let cells = contents.cells.as_ref().map_or(marks.mark().cells, |(_, versions)| *versions);
        marks.set(Mark { confirmed: at, released: at, cells, time: SystemTime::now() })?;
    }
    let segments = mem::take(&mut contents.segments);
    tidy_up(&folder.path, &contents.database, keyspace, segments, at)?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fjall::Options;
    use crate::{Access as _, Store as _};
    use baton_protocol::record::{Chain, Epoch, Offset, Record};

    const AT: Position = Position { epoch: Epoch(7), offset: Offset(50), chain: Chain(11) };

    fn open(path: &Path) -> Result<(FjallStore, crate::Recovered), Error> {
        FjallStore::open(path, "test", Options::default())
    }

    fn chunks() -> impl Iterator<Item = Vec<u8>> {
        (0..3).map(|n| vec![n; 100])
    }

    /// Five records, an image of its own, and an installation that came so far: the image aside, and perhaps the note.
    fn interrupted(with_note: bool) -> (tempfile::TempDir, Position) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(folder.path()).unwrap();
        for n in 0..5 {
            store.append(&[Record::write(store.end(), Epoch(1), vec![n].into()).unwrap()]).unwrap();
        }
        store.put("vote", b"x").unwrap();
        let end = store.sync().unwrap().end;
        store.access().write_image(end, &mut chunks()).unwrap();
        images::write_aside(folder.path(), AT, &mut chunks()).unwrap();
        if with_note {
            let mut batch = store.shared.database.batch().durability(Some(PersistMode::SyncData));
            batch.insert(&store.shared.cells, NOTE, pack::sealed(NOTE, &[&AT.encode()]));
            batch.commit().unwrap();
        }
        (folder, end)
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder.join(images::FOLDER)).unwrap().count()
    }

    #[test]
    fn it_is_finished_when_the_note_is_there() {
        let (folder, _) = interrupted(true);
        for _ in 0..2 {
            let (store, recovered) = open(folder.path()).unwrap();
            assert_eq!((recovered.released, recovered.end, recovered.image.unwrap().at), (AT, AT, AT));
            assert_eq!(
                store.access().chunks(AT).unwrap().map(Result::unwrap).collect::<Vec<_>>(),
                chunks().collect::<Vec<_>>()
            );
            assert_eq!(recovered.cells.keys().collect::<Vec<_>>(), ["vote"]);
            assert_eq!(files(folder.path()), 1);
        }
        let (mut store, _) = open(folder.path()).unwrap();
        store.append(&[Record::write(AT, Epoch(8), vec![1].into()).unwrap()]).unwrap();
        let end = store.sync().unwrap().end;
        drop(store);
        assert_eq!(open(folder.path()).unwrap().1.end, end);
    }

    #[test]
    fn it_is_forgotten_when_the_note_is_not() {
        let (folder, end) = interrupted(false);
        let recovered = open(folder.path()).unwrap().1;
        assert_eq!((recovered.released, recovered.end, recovered.image.unwrap().at), (Position::ORIGIN, end, end));
        assert_eq!(files(folder.path()), 1);
    }

    #[test]
    fn a_damaged_image_is_refused_and_can_be_given_up() {
        let (folder, end) = interrupted(true);
        let aside = images::path(folder.path(), AT.offset.0).with_extension("aside");
        std::fs::write(&aside, b"rubbish").unwrap();
        for _ in 0..2 {
            let error = open(folder.path()).map(drop).unwrap_err();
            assert!(error.to_string().contains("begins anew"), "{error}");
        }
        let recovered = FjallStore::accept_loss(folder.path(), "test", Options::default()).unwrap().1;
        assert_eq!(recovered.end, end);
        assert!(recovered.notes.iter().any(|note| note.contains("begins anew")), "{:?}", recovered.notes);
        assert_eq!(open(folder.path()).unwrap().1.end, end);
    }
}
