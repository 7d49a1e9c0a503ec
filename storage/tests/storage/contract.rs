//! What every store must do, whatever it is made of.

use crate::sample::{journal, records};
use baton_protocol::record::{Chain, Epoch, Offset, Position, Record};
use baton_storage::{Access, Error, Recovered, Store};

/// A place where a store lives, and what can be done to it from outside.
pub(crate) trait Place {
    type Store: Store<Access = Self::Access>;
    type Access: Access;

    fn open(&self) -> Result<(Self::Store, Recovered), Error>;

    /// The process dies: what was not synced is lost, perhaps in part.
    fn crash(&self, store: Self::Store);

    /// Roughly how many bytes the store needs.
    fn size(&self, store: &Self::Store) -> u64;
}

/// Runs the whole suite, each case in a new place.
pub(crate) fn all<P: Place>(new: impl Fn() -> P) {
    for case in [
        empty::<P>,
        order_and_reopening,
        only_synced_survives,
        misplaced_records_are_refused,
        cells,
        truncation,
        truncation_everywhere,
        images_and_tails,
        broken_off_images_do_not_count,
        pieces_of_images,
        installing,
        installing_or_not,
        release_gives_space_back,
        release_needs_an_image,
        reading_while_writing,
        many_reopenings,
        random_changes,
    ] {
        case(new());
    }
}

pub(crate) fn read<A: Access>(access: &A, from: u64) -> Vec<Record> {
    access.records(Offset(from)).unwrap().map(Result::unwrap).collect()
}

fn empty<P: Place>(place: P) {
    let (mut store, recovered) = place.open().unwrap();
    assert_eq!((recovered.end, recovered.released), (Position::ORIGIN, Position::ORIGIN));
    assert!(recovered.image.is_none() && recovered.cells.is_empty() && recovered.cut.is_none());
    assert_eq!(store.sync().unwrap().end, Position::ORIGIN);
    assert!(read(&store.access(), 0).is_empty());
    store.settle().unwrap();
    drop(store);
    let (store, recovered) = place.open().unwrap();
    assert_eq!((store.end(), recovered.end), (Position::ORIGIN, Position::ORIGIN));
}

fn order_and_reopening<P: Place>(place: P) {
    let (all, end) = journal(500);
    let (mut store, _) = place.open().unwrap();
    for group in all.chunks(7) {
        store.append(group).unwrap();
        let synced = store.sync().unwrap();
        assert_eq!((synced.end, synced.generation), (group[group.len() - 1].id.after(), 0));
    }
    let access = store.access();
    for from in [0, 1, 6, 7, 250, 499, 500] {
        assert_eq!(read(&access, from), all[from as usize..], "from {from}");
    }
    drop((store, access));
    let (store, recovered) = place.open().unwrap();
    assert_eq!((store.end(), recovered.end, recovered.cut), (end, end, None));
    assert_eq!(read(&store.access(), 0), all);
}

fn only_synced_survives<P: Place>(place: P) {
    let (all, _) = journal(30);
    let (mut store, _) = place.open().unwrap();
    store.append(&all[..10]).unwrap();
    store.put("vote", b"one").unwrap();
    store.sync().unwrap();
    store.append(&all[10..]).unwrap();
    store.put("vote", b"two").unwrap();
    assert_eq!(store.end(), all[29].id.after());
    assert_eq!(read(&store.access(), 0), all[..10], "what is not durable is not shown");
    place.crash(store);
    let (mut store, recovered) = place.open().unwrap();
    let found = read(&store.access(), 0);
    assert!(found.len() >= 10 && found[..] == all[..found.len()], "a prefix");
    assert_eq!(recovered.end, found[found.len() - 1].id.after());
    let vote = recovered.cells["vote"].clone();
    assert!(vote == b"one" || (vote == b"two" && found.len() == 30), "the cell came last");
    let (more, end) = records(recovered.end, 2, 5);
    store.append(&more).unwrap();
    assert_eq!(store.sync().unwrap().end, end);
    drop(store);
    assert_eq!(place.open().unwrap().1.end, end);
}

fn misplaced_records_are_refused<P: Place>(place: P) {
    let (all, _) = journal(5);
    let (mut store, _) = place.open().unwrap();
    assert!(matches!(store.append(&all[1..2]), Err(Error::Misplaced(_))));
    let mut wrong = all[1].clone();
    wrong.payload = b"damaged on its way".as_slice().into();
    assert!(matches!(store.append(&[all[0].clone(), wrong, all[2].clone()]), Err(Error::Misplaced(_))));
    assert_eq!(store.end(), all[0].id.after());
    store.append(&all[1..]).unwrap();
    store.sync().unwrap();
    assert_eq!(read(&store.access(), 0), all);
}

fn cells<P: Place>(place: P) {
    let (mut store, _) = place.open().unwrap();
    store.put("epoch", b"7").unwrap();
    store.put("vote", b"none").unwrap();
    store.put("epoch", b"8").unwrap();
    store.sync().unwrap();
    assert_eq!(store.access().cell("epoch").unwrap().unwrap(), b"8");
    assert_eq!(store.access().cell("nothing").unwrap(), None);
    assert!(matches!(store.put("", b""), Err(Error::Cell { .. })));
    assert!(matches!(store.put("large", &vec![0; baton_storage::CELL_VALUE + 1]), Err(Error::Cell { .. })));
    store.put("empty", b"").unwrap();
    store.sync().unwrap();
    place.crash(store);
    let (_, recovered) = place.open().unwrap();
    let cells: Vec<_> = recovered.cells.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(cells, [("empty", &b""[..]), ("epoch", b"8"), ("vote", b"none")]);
}

fn truncation<P: Place>(place: P) {
    let (all, _) = journal(40);
    let (mut store, _) = place.open().unwrap();
    store.append(&all[..30]).unwrap();
    store.sync().unwrap();
    store.append(&all[30..]).unwrap();
    let to = all[24].id.after();
    assert!(matches!(store.truncate(Position { epoch: to.epoch.next(), ..to }), Err(Error::NoSuchPosition(_))));
    store.truncate(to).unwrap();
    let synced = store.sync().unwrap();
    assert_eq!((synced.end, synced.generation, store.end()), (to, 1, to));
    assert_eq!(read(&store.access(), 0), all[..25]);
    let (other, end) = records(to, 2, 10);
    store.append(&other).unwrap();
    store.sync().unwrap();
    place.crash(store);
    let (store, recovered) = place.open().unwrap();
    assert_eq!(recovered.end, end);
    assert_eq!(read(&store.access(), 0), [&all[..25], &other[..]].concat());
}

fn truncation_everywhere<P: Place>(place: P) {
    let (all, _) = journal(60);
    let (mut store, _) = place.open().unwrap();
    for group in all.chunks(9) {
        store.append(group).unwrap();
        store.sync().unwrap();
    }
    for length in (0..60).rev() {
        let to = if length == 0 { Position::ORIGIN } else { all[length - 1].id.after() };
        store.truncate(to).unwrap();
        assert_eq!(store.sync().unwrap().end, to);
        if length % 7 == 0 {
            place.crash(store);
            let opened = place.open().unwrap();
            store = opened.0;
            assert_eq!(opened.1.end, to);
        }
        assert_eq!(read(&store.access(), 0), all[..length]);
    }
    store.append(&all).unwrap();
    store.sync().unwrap();
    assert_eq!(read(&store.access(), 0), all);
}

fn image(size: usize) -> Vec<Vec<u8>> {
    (0..size).map(|n| vec![n as u8; n * 1000 % 3001]).collect()
}

fn images_and_tails<P: Place>(place: P) {
    let (all, end) = journal(90);
    let (mut store, _) = place.open().unwrap();
    let access = store.access();
    let at = |n: usize| all[n - 1].id.after();
    store.append(&all[..60]).unwrap();
    assert!(matches!(access.write_image(at(60), &mut image(3).into_iter()), Err(Error::NotDurable { .. })));
    store.sync().unwrap();
    let elsewhere = Position { epoch: at(30).epoch.next(), ..at(30) };
    assert!(matches!(access.write_image(elsewhere, &mut image(3).into_iter()), Err(Error::NoSuchPosition(_))));
    access.write_image(at(30), &mut image(3).into_iter()).unwrap();
    let newest = access.write_image(at(60), &mut image(300).into_iter()).unwrap();
    assert_eq!(newest.bytes, image(300).iter().map(|chunk| chunk.len() as u64).sum::<u64>());
    assert_eq!(access.image(), Some(newest));
    store.append(&all[60..]).unwrap();
    store.sync().unwrap();
    drop(access);
    place.crash(store);
    let (mut store, recovered) = place.open().unwrap();
    let access = store.access();
    assert_eq!((recovered.image, recovered.end), (Some(newest), end));
    let chunks: Vec<_> = access.chunks(newest.at).unwrap().map(Result::unwrap).collect();
    assert_eq!(chunks, image(300));
    assert_eq!(read(&access, 60), all[60..]);
    assert!(matches!(access.chunks(at(59)).map(drop), Err(Error::NoImage(_))));
    store.truncate(at(50)).unwrap();
    store.sync().unwrap();
    assert_eq!(access.image().unwrap().at, at(30), "an image beyond a truncation is gone");
    drop((store, access));
    assert_eq!(place.open().unwrap().1.image.unwrap().at, at(30));
}

fn broken_off_images_do_not_count<P: Place>(place: P) {
    let (all, end) = journal(20);
    let (mut store, _) = place.open().unwrap();
    store.append(&all).unwrap();
    store.sync().unwrap();
    let access = store.access();
    let too_long = image(3).into_iter().chain([vec![0; baton_storage::IMAGE_CHUNK + 1]]);
    assert!(matches!(access.write_image(end, &mut too_long.into_iter()), Err(Error::Chunk { .. })));
    assert_eq!(access.image(), None);
    access.write_image(end, &mut image(3).into_iter()).unwrap();
    drop(access);
    place.crash(store);
    let (store, recovered) = place.open().unwrap();
    assert_eq!(recovered.image.unwrap().at, end);
    let chunks: Vec<_> = store.access().chunks(end).unwrap().map(Result::unwrap).collect();
    assert_eq!(chunks, image(3));
}

fn pieces_of_images<P: Place>(place: P) {
    let (all, end) = journal(20);
    let (mut store, _) = place.open().unwrap();
    store.append(&all).unwrap();
    store.sync().unwrap();
    let access = store.access();
    let written = access.write_image(end, &mut image(9).into_iter()).unwrap();
    let whole = image(9).concat();
    assert_eq!(written.checksum, baton_protocol::checksum::checksum(0, &whole));
    assert_eq!(access.image(), Some(written));
    for from in [0, 1, 999, 1000, 1001, 2999, 3000, 5000, whole.len() - 1, whole.len(), whole.len() + 5] {
        for bytes in [0, 1, 700, 1000, 2500, whole.len()] {
            let expected = &whole[from.min(whole.len())..(from + bytes).min(whole.len())];
            assert_eq!(access.piece(end, from as u64, bytes).unwrap(), expected, "{bytes} from {from}");
        }
    }
    let none = all[5].id.after();
    assert!(matches!(access.piece(none, 0, 1), Err(Error::NoImage(_))));
    assert_eq!(access.image_at(none), None);
    // An older one is there until what is before the newer one is released.
    let (more, newer) = records(end, 1, 5);
    store.append(&more).unwrap();
    store.sync().unwrap();
    access.write_image(newer, &mut image(2).into_iter()).unwrap();
    assert_eq!((access.image_at(end), access.image().map(|image| image.at)), (Some(written), Some(newer)));
    assert_eq!(access.piece(end, 0, whole.len()).unwrap(), whole);
    store.release(newer.offset).unwrap();
    store.sync().unwrap();
    assert_eq!(access.image_at(end), None);
}

/// A position that no journal of these tests has.
fn elsewhere(offset: u64) -> Position {
    Position { epoch: Epoch(9), offset: Offset(offset), chain: Chain(offset * 77 + 1) }
}

fn installing<P: Place>(place: P) {
    let (mut store, _) = place.open().unwrap();
    let (all, end) = records(Position::ORIGIN, 1, 60);
    store.append(&all).unwrap();
    store.put("vote", b"x").unwrap();
    store.sync().unwrap();
    store.access().write_image(end, &mut image(2).into_iter()).unwrap();
    let mut generation = 0;
    // Behind, within, at the end of and far beyond what is there; and over an image that was installed before.
    for at in [20, 70, 70, 1000, 3].map(elsewhere) {
        let (more, _) = records(store.end(), 9, 5);
        store.append(&more).unwrap();
        store.install(at, &mut image(5).into_iter(), "epochs", &at.offset.0.to_be_bytes()).unwrap();
        generation += 1;
        assert_eq!(store.end(), at);
        let synced = store.sync().unwrap();
        assert_eq!((synced.end, synced.generation), (at, generation));
        let (more, end) = records(at, 9, 30);
        store.append(&more).unwrap();
        assert_eq!(store.sync().unwrap().end, end);
        let access = store.access();
        assert_eq!(access.image().unwrap().at, at);
        assert_eq!(access.chunks(at).unwrap().map(Result::unwrap).collect::<Vec<_>>(), image(5));
        assert_eq!(read(&access, at.offset.0), more);
        let before = Offset(at.offset.0 - 1);
        assert!(matches!(access.records(before).map(drop), Err(Error::Released { .. })));
        assert!(matches!(access.write_image(elsewhere(1), &mut image(1).into_iter()), Err(Error::NoSuchPosition(_))));
        drop(access);
        if at.offset.0 != 70 {
            place.crash(store);
            let opened = place.open().unwrap();
            (store, generation) = (opened.0, 0);
            let recovered = opened.1;
            assert_eq!((recovered.released, recovered.end, recovered.cut), (at, end, None));
            assert_eq!(recovered.image.map(|image| image.at), Some(at));
            assert_eq!(
                (&*recovered.cells["epochs"], &*recovered.cells["vote"]),
                (&at.offset.0.to_be_bytes()[..], &b"x"[..])
            );
            assert_eq!(read(&store.access(), at.offset.0), more);
        }
    }
    // It is a journal as any other.
    let at = elsewhere(3);
    store.truncate(at).unwrap();
    assert_eq!(store.sync().unwrap().end, at);
    let (more, end) = records(at, 10, 40);
    store.append(&more).unwrap();
    store.sync().unwrap();
    store.access().write_image(end, &mut image(2).into_iter()).unwrap();
    store.release(end.offset).unwrap();
    store.sync().unwrap();
    place.crash(store);
    assert_eq!(place.open().unwrap().1.image.unwrap().at, end);
}

/// After a crash there is the old journal or the new one.
fn installing_or_not<P: Place>(place: P) {
    let (all, end) = journal(30);
    let (mut store, _) = place.open().unwrap();
    store.append(&all[..20]).unwrap();
    store.put("epochs", b"old").unwrap();
    store.sync().unwrap();
    store.append(&all[20..]).unwrap();
    let at = elsewhere(25);
    let too_long = vec![0; baton_storage::CELL_VALUE + 1];
    assert!(matches!(store.install(at, &mut image(1).into_iter(), "large", &too_long), Err(Error::Cell { .. })));
    store.install(at, &mut image(3).into_iter(), "epochs", b"new").unwrap();
    let (more, _) = records(at, 9, 3);
    store.append(&more).unwrap();
    place.crash(store);
    let (store, recovered) = place.open().unwrap();
    if recovered.cells["epochs"] == b"old" {
        assert_eq!((recovered.released, recovered.image), (Position::ORIGIN, None));
        assert!(recovered.end.offset.0 >= 20 && recovered.end.offset <= end.offset);
        assert_eq!(read(&store.access(), 0), all[..recovered.end.offset.0 as usize]);
    } else {
        assert_eq!((recovered.released, recovered.image.unwrap().at), (at, at));
        let found = read(&store.access(), 25);
        assert_eq!(found, more[..found.len()]);
    }
    drop(store);
    // What is no image ends the store, and changes nothing.
    let (mut store, before) = place.open().unwrap();
    let too_long = image(3).into_iter().chain([vec![0; baton_storage::IMAGE_CHUNK + 1]]);
    assert!(store.install(elsewhere(99), &mut too_long.into_iter(), "epochs", b"newer").is_err());
    assert!(matches!(store.sync(), Err(Error::Poisoned)));
    drop(store);
    assert_eq!(place.open().unwrap().1, before);
}

fn release_gives_space_back<P: Place>(place: P) {
    let (mut store, _) = place.open().unwrap();
    let mut all = Vec::new();
    let mut peak = 0;
    for round in 0..40 {
        let (more, end) = records(store.end(), 1, 500);
        all.extend(more.iter().cloned());
        store.append(&more).unwrap();
        store.sync().unwrap();
        if round < 20 {
            peak = place.size(&store);
        }
        if round >= 20 {
            store.access().write_image(end, &mut image(3).into_iter()).unwrap();
            store.release(end.offset).unwrap();
        }
    }
    store.sync().unwrap();
    let size = place.size(&store);
    assert!(size < peak / 2, "{size} bytes are left of {peak}");
    drop(store);
    let (mut store, recovered) = place.open().unwrap();
    let first = recovered.released.offset.0;
    assert!(first > 10_000, "released up to {first}");
    assert_eq!(recovered.end, all[all.len() - 1].id.after());
    assert_eq!(recovered.image.unwrap().at, recovered.end);
    assert_eq!(read(&store.access(), first), all[first as usize..]);
    assert!(matches!(store.access().records(Offset(first - 1)).map(drop), Err(Error::Released { .. })));
    let (more, end) = records(store.end(), 1, 10);
    store.append(&more).unwrap();
    assert_eq!(store.sync().unwrap().end, end);
    assert_eq!(read(&store.access(), recovered.end.offset.0), more);
}

fn release_needs_an_image<P: Place>(place: P) {
    let (all, _) = journal(100);
    let (mut store, _) = place.open().unwrap();
    store.append(&all).unwrap();
    store.sync().unwrap();
    assert!(matches!(store.release(Offset(50)), Err(Error::NotCovered { .. })));
    store.access().write_image(all[48].id.after(), &mut image(1).into_iter()).unwrap();
    assert!(matches!(store.release(Offset(50)), Err(Error::NotCovered { .. })));
    store.release(Offset(49)).unwrap();
    drop(store);
    place.open().unwrap();
}

fn reading_while_writing<P: Place>(place: P) {
    let (all, _) = journal(1000);
    let (mut store, _) = place.open().unwrap();
    let access = store.access();
    let mut seen = 0;
    for group in all.chunks(100) {
        store.append(group).unwrap();
        let mut reading = access.records(Offset(seen / 2)).unwrap();
        reading.next();
        store.sync().unwrap();
        let rest: Vec<_> = reading.map(Result::unwrap).collect();
        assert!(rest.iter().zip(&all[seen as usize / 2 + usize::from(seen > 0)..]).all(|(a, b)| a == b));
        seen += 100;
        assert_eq!(read(&access, 0), all[..seen as usize]);
    }
}

fn many_reopenings<P: Place>(place: P) {
    let (all, end) = journal(60);
    for group in all.chunks(3) {
        let (mut store, recovered) = place.open().unwrap();
        assert_eq!(recovered.end.offset, group[0].id.offset);
        store.append(group).unwrap();
        store.sync().unwrap();
        place.crash(store);
    }
    assert_eq!(place.open().unwrap().1.end, end);
}

/// Random changes, compared with a list of records after every sync and reopening.
fn random_changes<P: Place>(place: P) {
    for seed in 1..4_u64 {
        let mut state = seed * 0x9e37_79b9;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut store, recovered) = place.open().unwrap();
        let mut epoch = recovered.end.epoch.0 + 1;
        let mut first = recovered.released.offset.0;
        let mut all = read(&store.access(), first);
        let mut newest = recovered.image.map_or(0, |image| image.at.offset.0);
        let mut votes = 0_u64;
        store.put("votes", &votes.to_be_bytes()).unwrap();
        for step in 0..150 {
            let end = store.end();
            match random(11) {
                10 => {
                    let at =
                        Position { epoch: Epoch(epoch), offset: Offset(newest + 1 + random(90)), chain: Chain(step) };
                    store.install(at, &mut image(2).into_iter(), "votes", &votes.to_be_bytes()).unwrap();
                    store.sync().unwrap();
                    all.clear();
                    (first, newest) = (at.offset.0, at.offset.0);
                }
                0..4 => {
                    let (more, _) = records(end, epoch, random(60));
                    store.append(&more).unwrap();
                    all.extend(more);
                }
                4 => {
                    votes += 1;
                    store.put("votes", &votes.to_be_bytes()).unwrap();
                }
                5 if end.offset.0 > newest + 1 => {
                    let length = newest + 1 + random(end.offset.0 - newest - 1);
                    store.truncate(all[(length - first) as usize - 1].id.after()).unwrap();
                    all.truncate((length - first) as usize);
                    epoch += 1;
                }
                6 => {
                    let end = store.sync().unwrap().end;
                    store.access().write_image(end, &mut image(2).into_iter()).unwrap();
                    newest = end.offset.0;
                }
                7 if newest > first => store.release(Offset(newest - random(newest - first))).unwrap(),
                8 => {
                    assert_eq!(store.sync().unwrap().end, store.end());
                    place.crash(store);
                    let opened = place.open().unwrap();
                    store = opened.0;
                    let released = opened.1.released.offset.0;
                    assert!(released >= first && released <= newest, "step {step} of seed {seed}");
                    all.drain(..(released - first) as usize);
                    first = released;
                    assert_eq!(opened.1.image.map_or(0, |image| image.at.offset.0), newest);
                    assert_eq!(opened.1.cells["votes"], votes.to_be_bytes());
                }
                _ => drop(store.sync().unwrap()),
            }
            if step % 10 == 9 {
                store.sync().unwrap();
                let from = newest.max(first);
                let found = read(&store.access(), from);
                assert!(found == all[(from - first) as usize..], "step {step} of seed {seed}");
            }
        }
        store.sync().unwrap();
        place.crash(store);
    }
}
