//! The contract on the simulated disk, and its faults.

use crate::contract::{self, Place, read};
use crate::sample::{journal, records};
use baton_protocol::record::{Offset, Position};
use baton_storage::simulated::{Fault, SimAccess, SimDisk, SimStore, Tail};
use baton_storage::{Access, Error, Recovered, Store};

/// A disk that keeps so much of what was under way.
struct Disk(SimDisk, Tail);

impl Place for Disk {
    type Store = SimStore;
    type Access = SimAccess;

    fn open(&self) -> Result<(SimStore, Recovered), Error> {
        self.0.open()
    }

    fn crash(&self, store: SimStore) {
        self.0.crash(self.1);
        drop(store);
    }

    fn size(&self, _store: &SimStore) -> u64 {
        self.0.durable_end().offset.0 - self.0.durable_released().offset.0
    }
}

#[test]
fn the_simulated_disk_keeps_the_contract() {
    for (keep, torn) in [(0, false), (0, true), (3, true), (20, true), (usize::MAX, false)] {
        contract::all(|| Disk(SimDisk::new(), Tail { keep, torn }));
    }
}

/// Ten records are durable, then ten records with a cell among them are under way.
fn under_way() -> (SimDisk, SimStore, Vec<baton_protocol::record::Record>) {
    let (all, _) = journal(20);
    let disk = SimDisk::new();
    let (mut store, _) = disk.open().unwrap();
    store.append(&all[..10]).unwrap();
    store.sync().unwrap();
    store.append(&all[10..15]).unwrap();
    store.put("vote", b"x").unwrap();
    store.append(&all[15..]).unwrap();
    (disk, store, all)
}

#[test]
fn a_crash_keeps_any_prefix_and_tears_the_next_record() {
    for keep in 0..=11 {
        for torn in [false, true] {
            let (disk, store, all) = under_way();
            assert_eq!(disk.pending(), 11);
            disk.crash(Tail { keep, torn });
            drop(store);
            let (store, recovered) = disk.open().unwrap();
            let records = 10 + keep - usize::from(keep > 5);
            assert_eq!(read(&store.access(), 0), all[..records]);
            assert_eq!(recovered.cells.contains_key("vote"), keep > 5);
            assert_eq!(recovered.cut.is_some(), torn && keep != 5 && keep != 11);
        }
    }
}

#[test]
fn a_store_from_before_a_crash_is_refused() {
    let (disk, mut old, all) = under_way();
    let access = old.access();
    let ticket = old.begin_sync().unwrap();
    disk.crash(Tail::default());
    let (mut store, _) = disk.open().unwrap();
    assert!(matches!(old.sync(), Err(Error::Poisoned)));
    assert!(matches!(disk.complete_sync(ticket), Some(Err(Error::Poisoned))));
    assert!(access.records(Offset(0)).is_err());
    drop(old);
    assert!(matches!(disk.open().map(drop), Err(Error::Locked(_))), "dropping the old store frees nothing");
    store.append(&all[10..]).unwrap();
    store.sync().unwrap();
}

#[test]
fn a_sync_takes_what_was_handed_over_before_it_began() {
    let (disk, mut store, all) = under_way();
    let first = store.begin_sync().unwrap();
    let (more, end) = records(store.end(), 1, 5);
    store.append(&more).unwrap();
    disk.stall(true);
    assert!(disk.complete_sync(first).is_none());
    disk.stall(false);
    assert_eq!(disk.complete_sync(first).unwrap().unwrap().end, all[19].id.after());
    assert_eq!(disk.pending(), 5);
    assert_eq!(store.sync().unwrap().end, end);
    assert_eq!(disk.complete_sync(first).unwrap().unwrap().end, end, "late completions are harmless");
}

#[test]
fn a_truncation_under_way_is_not_in_the_generation_of_an_earlier_sync() {
    let (disk, mut store, all) = under_way();
    store.sync().unwrap();
    store.truncate(all[4].id.after()).unwrap();
    disk.crash(Tail::default());
    drop(store);
    let (mut store, recovered) = disk.open().unwrap();
    assert_eq!(recovered.end, all[19].id.after(), "it was not yet durable");
    let earlier = store.begin_sync().unwrap();
    store.truncate(all[4].id.after()).unwrap();
    assert_eq!(disk.complete_sync(earlier).unwrap().unwrap().generation, 0);
    let synced = store.sync().unwrap();
    assert_eq!((synced.generation, synced.end), (1, all[4].id.after()));
}

#[test]
fn a_full_disk_poisons() {
    for fault in [Fault::Full, Fault::Broken] {
        let (disk, mut store, all) = under_way();
        disk.fail(fault, 3);
        let error = store.sync().unwrap_err();
        assert_eq!(error.is_full(), fault == Fault::Full);
        disk.mend();
        assert!(matches!(store.append(&[]), Err(Error::Poisoned)));
        assert!(matches!(store.sync(), Err(Error::Poisoned)));
        drop(store);
        let (store, _) = disk.open().unwrap();
        assert_eq!(read(&store.access(), 0), all[..13]);
    }
}

#[test]
fn damage_is_refused_with_what_is_intact() {
    let fresh = || {
        let (disk, mut store, all) = under_way();
        store.sync().unwrap();
        store.access().write_image(all[11].id.after(), &mut [vec![1, 2, 3]].into_iter()).unwrap();
        drop(store);
        (disk, all)
    };
    let refused = |disk: &SimDisk| match disk.open().map(drop).unwrap_err() {
        Error::Damaged(damage) => damage.intact.unwrap(),
        other => panic!("{other}"),
    };
    for at in 0..20 {
        let (disk, all) = fresh();
        assert!(disk.damage_record(Offset(at)));
        assert_eq!(refused(&disk).offset, Offset(at));
        let (disk, _) = fresh();
        disk.lose_tail(Offset(at));
        assert_eq!(refused(&disk), if at == 0 { Position::ORIGIN } else { all[at as usize - 1].id.after() });
    }
    let (disk, all) = fresh();
    disk.lose_cells();
    assert_eq!(refused(&disk), all[19].id.after());

    let (disk, all) = fresh();
    assert!(disk.damage_image(Offset(12)));
    let (mut store, recovered) = disk.open().unwrap();
    assert_eq!((recovered.image, recovered.notes.len()), (None, 1), "the records replace the image");
    store.access().write_image(all[11].id.after(), &mut [vec![1]].into_iter()).unwrap();
    store.release(Offset(12)).unwrap();
    store.sync().unwrap();
    drop(store);
    assert!(disk.damage_image(Offset(12)));
    refused(&disk);

    disk.wipe();
    assert_eq!(disk.open().unwrap().1.end, Position::ORIGIN);
}

#[test]
fn forks_are_independent() {
    let (disk, mut store, all) = under_way();
    let fork = disk.fork();
    store.sync().unwrap();
    fork.crash(Tail { keep: 1, torn: false });
    assert_eq!(fork.open().unwrap().1.end, all[10].id.after());
    assert_eq!(disk.durable_end(), all[19].id.after());
    assert_eq!(disk.durable_record(Offset(7)).unwrap(), all[7]);
    assert_eq!(disk.durable_cell("vote").unwrap(), b"x");
}
