//! Files of the data folder are damaged at rest. Whatever is damaged, and wherever: either everything that was confirmed is
//! found, or opening refuses and says what is intact. Never silently less.

use crate::folder::{NAME, SMALL};
use crate::sample::{journal, new_folder, records};
use baton_protocol::record::{Offset, Position, Record};
use baton_storage::fjall::{FjallStore, Options};
use baton_storage::{Access, Damage, Error, Store};
use std::fs;
use std::path::{Path, PathBuf};

/// Large enough that the log has all records.
const ONE_SEGMENT: Options = Options { segment: 64 << 20, ..SMALL };

const COUNT: u64 = 400;
const IMAGE: u64 = 100;

/// A journal with an image, cells, and records behind it.
fn prepare(path: &Path, options: Options) -> Vec<Record> {
    let (all, _) = journal(COUNT);
    let (mut store, _) = FjallStore::open(path, NAME, options).unwrap();
    for (n, group) in all.chunks(5).enumerate() {
        store.append(group).unwrap();
        store.put("epoch", n.to_string().as_bytes()).unwrap();
        store.sync().unwrap();
        if group[4].id.offset.0 + 1 == IMAGE {
            let mut chunks = (0..50).map(|n| vec![n; 1000]);
            store.access().write_image(group[4].id.after(), &mut chunks).unwrap();
        }
    }
    store.settle().unwrap();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

enum Outcome {
    Whole,
    Refused(Error),
}

/// Opens and reads everything. Panics when something confirmed is missing without a word.
fn examine(path: &Path, all: &[Record]) -> Outcome {
    let (store, recovered) = match FjallStore::open(path, NAME, SMALL) {
        Ok(opened) => opened,
        Err(error) => return Outcome::Refused(error),
    };
    assert_eq!(recovered.end, all[all.len() - 1].id.after());
    assert_eq!(recovered.cells["epoch"], (all.len() / 5 - 1).to_string().as_bytes());
    let access = store.access();
    let found: Vec<_> = access.records(Offset(0)).unwrap().map(Result::unwrap).collect();
    assert!(found == all, "records differ");
    // Without the image the records from the beginning on say the same.
    if let Some(image) = recovered.image {
        assert_eq!(access.chunks(image.at).unwrap().map(Result::unwrap).count(), 50);
    }
    Outcome::Whole
}

/// Ways to damage one file.
#[derive(Clone, Copy, Debug)]
enum How {
    Flip(u64),
    ZeroPage(u64),
    Truncate(u64),
    Delete,
}

fn damage(file: &Path, how: How) {
    use std::os::unix::fs::FileExt;
    let open = || fs::File::options().read(true).write(true).open(file).unwrap();
    match how {
        How::Flip(at) => {
            let mut byte = [0];
            open().read_exact_at(&mut byte, at).unwrap();
            open().write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        }
        How::ZeroPage(at) => {
            let length = open().metadata().unwrap().len();
            open().write_all_at(&vec![0; 4096.min(length - at) as usize], at).unwrap();
        }
        How::Truncate(to) => open().set_len(to).unwrap(),
        How::Delete => fs::remove_file(file).unwrap(),
    }
}

/// Runs every damage of every file of a journal; returns how many were refused.
fn campaign(options: Options, tries: u64) -> usize {
    let (original, work) = (new_folder(), new_folder());
    let all = prepare(original.path(), options);
    // Files that are allocated ahead are cut, so that the copies are small.
    for log in files(original.path()).iter().filter(|path| path.extension().is_some_and(|e| e == "jnl")) {
        let used = fs::read(log).unwrap().iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        fs::File::options().write(true).open(log).unwrap().set_len(used as u64 + 100).unwrap();
    }
    // Opening writes the mark anew, so the original stays unopened: its mark is what the commits have noted.
    copy(original.path(), &work.path().join("whole"));
    assert!(matches!(examine(&work.path().join("whole"), &all), Outcome::Whole));
    let (mut refused, mut number) = (0, 0);
    for file in files(original.path()) {
        let length = fs::metadata(&file).unwrap().len();
        let name = file.strip_prefix(original.path()).unwrap();
        let step = |n: u64| length * n / tries + n * 7 % (length / tries).max(1);
        let flips = (0..tries).map(|n| How::Flip(step(n)));
        let zeros = (0..tries / 2).map(|n| How::ZeroPage(step(n * 2) & !0xfff));
        let cuts = (0..tries / 2).map(|n| How::Truncate(step(n * 2)));
        let ways = flips.chain(zeros).chain(cuts).filter(|_| length > 0).chain([How::Delete]);
        for how in ways {
            number += 1;
            let folder = work.path().join(number.to_string());
            copy(original.path(), &folder);
            damage(&folder.join(name), how);
            match examine(&folder, &all) {
                Outcome::Whole => {}
                Outcome::Refused(error) => {
                    refused += 1;
                    check_message(&error, name, how);
                    // Refusing is for good: the second time must not be more lenient than the first.
                    assert!(matches!(examine(&folder, &all), Outcome::Refused(_)), "{} {how:?}", name.display());
                }
            }
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    refused
}

fn check_message(error: &Error, file: &Path, how: How) {
    let text = error.to_string();
    match error {
        Error::Damaged(damage) => {
            for part in ["intact: ", "confirmed: ", "Ways out"] {
                assert!(text.contains(part), "{} {how:?}: {text}", file.display());
            }
            assert!(damage.intact.is_none_or(|intact| intact.offset.0 <= COUNT));
        }
        Error::NotAJournal { .. } => assert_eq!(file, Path::new("baton-journal"), "{text}"),
        other => panic!("{} {how:?}: {other}", file.display()),
    }
}

#[test]
fn damage_anywhere_in_the_log_is_refused_or_harmless() {
    let refused = campaign(ONE_SEGMENT, 24);
    assert!(refused > 20, "{refused} refused");
}

#[test]
fn damage_anywhere_in_tables_is_refused_or_harmless() {
    let refused = campaign(Options { segment: 100_000, ..SMALL }, 6);
    assert!(refused > 20, "{refused} refused");
}

/// The log, and the length of what is written in it, which is less than a megabyte here.
fn log_file(path: &Path) -> (PathBuf, u64) {
    use std::io::Read;
    let log = path.join("fjall/0.jnl");
    let mut bytes = Vec::new();
    fs::File::open(&log).unwrap().take(1 << 20).read_to_end(&mut bytes).unwrap();
    (log, bytes.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1)
}

fn refusal(path: &Path) -> Box<Damage> {
    match FjallStore::open(path, NAME, SMALL).map(drop).unwrap_err() {
        Error::Damaged(damage) => damage,
        other => panic!("{other}"),
    }
}

#[test]
fn a_torn_tail_is_cut_and_reported() {
    let folder = new_folder();
    let (all, _) = journal(50);
    let (mut store, _) = FjallStore::open(folder.path(), NAME, ONE_SEGMENT).unwrap();
    store.append(&all[..40]).unwrap();
    store.sync().unwrap();
    store.settle().unwrap();
    let (log, before) = log_file(folder.path());
    let mark = fs::read(folder.path().join("mark")).unwrap();
    store.append(&all[40..]).unwrap();
    store.sync().unwrap();
    drop(store);
    let bytes = fs::read(&log).unwrap();
    let (_, after) = log_file(folder.path());
    // A loss of power before the second sync: any part of the batch may be there, and the mark knows nothing of it.
    for (zero_from, zero_to) in
        [(before + 100, after), (before, before + 50), (after - 4, after), (before + 700, before + 900)]
    {
        fs::write(folder.path().join("mark"), &mark).unwrap();
        let mut torn = bytes.clone();
        torn[zero_from as usize..zero_to as usize].fill(0);
        fs::write(&log, torn).unwrap();
        let (mut store, recovered) = FjallStore::open(folder.path(), NAME, ONE_SEGMENT).unwrap();
        assert_eq!(recovered.end, all[39].id.after());
        let cut = recovered.cut.unwrap();
        assert!(cut.bytes > 0 && cut.reason.contains("0.jnl"), "{cut:?}");
        assert!(!folder.path().join("found").exists());
        store.append(&all[40..]).unwrap();
        store.sync().unwrap();
        drop(store);
        assert_eq!(FjallStore::open(folder.path(), NAME, SMALL).unwrap().1.end, all[49].id.after());
    }
}

#[test]
fn a_refusal_says_what_is_intact_and_keeps_what_was_found() {
    let folder = new_folder();
    let all = prepare(folder.path(), ONE_SEGMENT);
    let (log, used) = log_file(folder.path());
    let before = fs::read(&log).unwrap();
    damage(&log, How::ZeroPage((used / 2) & !0xfff));
    let found = fs::read(&log).unwrap();
    assert_ne!(before, found);
    let first = refusal(folder.path());
    let damage = refusal(folder.path());
    assert_eq!((first.intact, &first.saved), (damage.intact, &damage.saved), "the same at every attempt");
    let intact = damage.intact.unwrap();
    assert!(intact.offset.0 > 50 && intact.offset.0 < COUNT - 50);
    assert_eq!(intact, all[intact.offset.0 as usize - 1].id.after());
    assert_eq!(damage.confirmed.unwrap(), all[COUNT as usize - 1].id.after());
    assert_eq!(fs::read(damage.saved.as_ref().unwrap().join("0.jnl")).unwrap(), found);
    let text = damage.to_string();
    let lost = format!("{} confirmed records are missing or unreadable", COUNT - intact.offset.0);
    assert!(text.contains(&lost) && text.contains("written 20"), "{text}");

    // The operator gives up what is lost.
    let (mut store, recovered) = FjallStore::accept_loss(folder.path(), NAME, SMALL).unwrap();
    assert_eq!(recovered.end, intact);
    assert!(recovered.notes.iter().any(|note| note.contains("given up")), "{:?}", recovered.notes);
    let (more, end) = records(intact, 9, 10);
    store.append(&more).unwrap();
    store.sync().unwrap();
    drop(store);
    let (store, recovered) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    assert_eq!(recovered.end, end);
    let found: Vec<_> = store.access().records(Offset(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(found, [&all[..intact.offset.0 as usize], &more[..]].concat());
}

#[test]
fn a_lost_mark_is_refused_and_can_be_made_anew() {
    let folder = new_folder();
    let all = prepare(folder.path(), SMALL);
    fs::remove_file(folder.path().join("mark")).unwrap();
    let damage = refusal(folder.path());
    assert!(damage.confirmed.is_none() && damage.to_string().contains("mark"));
    let (store, recovered) = FjallStore::accept_loss(folder.path(), NAME, SMALL).unwrap();
    assert_eq!(recovered.end, all[COUNT as usize - 1].id.after());
    drop(store);
    assert!(matches!(examine(folder.path(), &all), Outcome::Whole));
}

#[test]
fn without_a_mark_a_released_journal_begins_at_its_image() {
    let folder = new_folder();
    let (all, _) = journal(600);
    let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    for group in all.chunks(20) {
        store.append(group).unwrap();
        store.sync().unwrap();
    }
    // In the middle of a segment.
    let at = all[409].id.after();
    store.access().write_image(at, &mut [vec![1]].into_iter()).unwrap();
    store.release(at.offset).unwrap();
    drop(store);
    fs::remove_file(folder.path().join("mark")).unwrap();
    refusal(folder.path());
    for attempt in 0..3 {
        let open = if attempt == 0 { FjallStore::accept_loss } else { FjallStore::open };
        let (store, recovered) = open(folder.path(), NAME, SMALL).unwrap();
        assert_eq!((recovered.released, recovered.end), (at, all[599].id.after()));
        let found: Vec<_> = store.access().records(at.offset).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, all[410..]);
    }
}

#[test]
fn an_older_copy_of_the_database_is_refused() {
    let folder = new_folder();
    let saved = new_folder();
    let (all, _) = journal(20);
    let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    store.append(&all[..10]).unwrap();
    store.sync().unwrap();
    drop(store);
    copy(&folder.path().join("fjall"), saved.path());
    let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    store.append(&all[10..]).unwrap();
    store.sync().unwrap();
    drop(store);
    fs::remove_dir_all(folder.path().join("fjall")).unwrap();
    copy(saved.path(), &folder.path().join("fjall"));
    let damage = refusal(folder.path());
    assert_eq!((damage.intact, damage.confirmed), (Some(all[9].id.after()), Some(all[19].id.after())));
}

#[test]
fn cells_are_not_silently_older() {
    let folder = new_folder();
    let (mut store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    store.put("vote", b"one").unwrap();
    store.sync().unwrap();
    let (log, before) = log_file(folder.path());
    store.put("vote", b"two").unwrap();
    store.sync().unwrap();
    drop(store);
    damage(&log, How::Flip(before));
    let damage = refusal(folder.path());
    assert_eq!(damage.intact, Some(Position::ORIGIN));
    assert!(damage.reason.contains("cells"), "{}", damage.reason);
}

#[test]
fn a_damaged_table_is_given_up_from_the_first_unreadable_record_on() {
    let folder = new_folder();
    let all = prepare(folder.path(), Options { segment: 50_000, ..SMALL });
    let tables = files(&folder.path().join("fjall/keyspaces"));
    let tables = tables.iter().filter(|path| path.to_string_lossy().contains("/tables/"));
    let table = tables.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let length = fs::metadata(table).unwrap().len();
    assert!(length > 40_000);
    damage(table, How::Flip(length / 2));
    let refused = refusal(folder.path());
    let intact = refused.intact.unwrap();
    assert!(refused.reason.contains("table"), "{refused}");
    for attempt in 0..3 {
        let open = if attempt == 0 { FjallStore::accept_loss } else { FjallStore::open };
        let (store, recovered) = open(folder.path(), NAME, SMALL).unwrap();
        // From the image on the journal may reach further than from its beginning.
        assert!(recovered.end.offset >= intact.offset);
        let found: Vec<_> = store.access().records(recovered.released.offset).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, all[recovered.released.offset.0 as usize..recovered.end.offset.0 as usize]);
    }
}

#[test]
fn what_follows_an_image_is_kept_when_what_precedes_it_is_lost() {
    let folder = new_folder();
    let (all, end) = journal(100);
    let (mut store, _) = FjallStore::open(folder.path(), NAME, Options { segment: 10_000, ..SMALL }).unwrap();
    for group in all.chunks(10) {
        store.append(group).unwrap();
        store.sync().unwrap();
    }
    let at = all[59].id.after();
    store.access().write_image(at, &mut [vec![1]].into_iter()).unwrap();
    drop(store);
    // The first keyspace after that of the cells is the first segment.
    fs::remove_dir_all(folder.path().join("fjall/keyspaces/2")).unwrap();
    assert_eq!(refusal(folder.path()).intact, Some(Position::ORIGIN));
    for attempt in 0..2 {
        let open = if attempt == 0 { FjallStore::accept_loss } else { FjallStore::open };
        let (store, recovered) = open(folder.path(), NAME, SMALL).unwrap();
        assert_eq!((recovered.released, recovered.end, recovered.image.unwrap().at), (at, end, at));
        let found: Vec<_> = store.access().records(at.offset).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, all[60..]);
    }
}

#[test]
fn a_database_that_does_not_open_leaves_the_newest_image() {
    let folder = new_folder();
    let all = prepare(folder.path(), SMALL);
    fs::write(folder.path().join("fjall/version"), "what").unwrap();
    assert_eq!(refusal(folder.path()).intact, None);
    let at = all[IMAGE as usize - 1].id.after();
    let (mut store, recovered) = FjallStore::accept_loss(folder.path(), NAME, SMALL).unwrap();
    assert_eq!((recovered.released, recovered.end, recovered.image.unwrap().at), (at, at, at));
    assert!(recovered.notes.iter().any(|note| note.contains("cells are empty")), "{:?}", recovered.notes);
    let (more, end) = records(at, 9, 10);
    store.append(&more).unwrap();
    store.sync().unwrap();
    drop(store);
    assert_eq!(FjallStore::open(folder.path(), NAME, SMALL).unwrap().1.end, end);

    // Without an image nothing is left to accept.
    fs::write(folder.path().join("fjall/version"), "what").unwrap();
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    assert!(matches!(FjallStore::accept_loss(folder.path(), NAME, SMALL).map(drop), Err(Error::Damaged(_))));
}
