//! The contract on fjall, and whose data folder is whose.

use crate::contract::{self, Place};
use crate::sample::{journal, new_folder};
use baton_storage::fjall::{Durability, FjallAccess, FjallStore, Options};
use baton_storage::{Error, Recovered, Store};
use std::fs;
use std::path::Path;

pub(crate) const NAME: &str = "controller/primary";

/// Small segments, so that a test has many; no syncs, for what kills no machine.
pub(crate) const SMALL: Options = Options { durability: Durability::System, segment: 20_000 };

struct Folder(tempfile::TempDir);

impl Place for Folder {
    type Store = FjallStore;
    type Access = FjallAccess;

    fn open(&self) -> Result<(FjallStore, Recovered), Error> {
        FjallStore::open(self.0.path(), NAME, SMALL)
    }

    /// Within a process there is no death of it; `processes.rs` has that.
    fn crash(&self, store: FjallStore) {
        drop(store);
    }

    fn size(&self, _store: &FjallStore) -> u64 {
        // The log is allocated ahead, and the database's own keyspace keeps old files until it is opened again.
        let own = size(&self.0.path().join("fjall/keyspaces/0"));
        size(&self.0.path().join("fjall/keyspaces")) + size(&self.0.path().join("images")) - own
    }
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) })
        .sum()
}

#[test]
fn fjall_keeps_the_contract() {
    contract::all(|| Folder(new_folder()));
}

#[test]
fn a_folder_is_used_once_at_a_time() {
    let folder = new_folder();
    let (store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    let error = FjallStore::open(folder.path(), NAME, SMALL).map(drop).unwrap_err();
    assert!(matches!(error, Error::Locked(_)), "{error}");
    drop(store);
    FjallStore::open(folder.path(), NAME, SMALL).unwrap();
}

#[test]
fn the_folder_of_another_journal_is_refused() {
    let folder = new_folder();
    drop(FjallStore::open(folder.path(), NAME, SMALL).unwrap());
    let error = FjallStore::open(folder.path(), "agent/a1", SMALL).map(drop).unwrap_err();
    assert!(matches!(&error, Error::Foreign { found, .. } if found == NAME), "{error}");
    drop(FjallStore::open(folder.path(), NAME, SMALL).unwrap());

    let home = new_folder();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    let error = FjallStore::open(home.path(), NAME, SMALL).map(drop).unwrap_err();
    assert!(matches!(error, Error::NotAJournal { .. }), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing was written there");
}

#[test]
fn the_database_of_another_journal_is_refused() {
    let (a, b) = (new_folder(), new_folder());
    for folder in [&a, &b] {
        let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
        store.append(&journal(10).0).unwrap();
        store.sync().unwrap();
        store.settle().unwrap();
    }
    fs::remove_dir_all(a.path().join("fjall")).unwrap();
    fs::rename(b.path().join("fjall"), a.path().join("fjall")).unwrap();
    let error = FjallStore::open(a.path(), NAME, SMALL).map(drop).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)) && error.to_string().contains("another journal"), "{error}");
}

#[test]
fn an_interrupted_creation_is_repeated() {
    let folder = new_folder();
    drop(FjallStore::open(folder.path(), NAME, SMALL).unwrap());
    fs::remove_file(folder.path().join("baton-journal")).unwrap();
    fs::remove_file(folder.path().join("fjall/version")).unwrap();
    drop(FjallStore::open(folder.path(), NAME, SMALL).unwrap());

    let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    store.append(&journal(1).0).unwrap();
    store.sync().unwrap();
    drop(store);
    fs::remove_file(folder.path().join("baton-journal")).unwrap();
    for _ in 0..2 {
        let error = FjallStore::open(folder.path(), NAME, SMALL).map(drop).unwrap_err();
        assert!(matches!(error, Error::NotAJournal { .. }), "a used folder is never taken for a new one: {error}");
        assert!(folder.path().join("fjall/version").exists());
        fs::write(folder.path().join("mark"), [0; 100]).unwrap();
    }
}

#[test]
fn a_newer_format_is_refused() {
    let folder = new_folder();
    drop(FjallStore::open(folder.path(), NAME, SMALL).unwrap());
    let marker = folder.path().join("baton-journal");
    let text = fs::read_to_string(&marker).unwrap().replace("format 1", "format 2");
    let body = &text[..text.rfind("sum ").unwrap()];
    let sum = baton_protocol::checksum::checksum(0, body.as_bytes());
    fs::write(&marker, format!("{body}sum {sum:016x}\n")).unwrap();
    let error = FjallStore::open(folder.path(), NAME, SMALL).map(drop).unwrap_err();
    assert!(matches!(error, Error::Format { found: 2, known: 1, .. }), "{error}");
}
