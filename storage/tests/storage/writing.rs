//! Group commit, on its thread.

use crate::sample::{journal, records};
use baton_protocol::record::{Offset, Position, Record};
use baton_storage::simulated::{Fault, SimAccess, SimDisk, SimStore};
use baton_storage::writer::{Change, NotTaken, QUEUE, Report, Writer};
use baton_storage::{Access, Error, Store, Synced};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A simulated store whose syncs wait until the test lets them.
struct Gated {
    store: SimStore,
    entered: Sender<()>,
    gate: Receiver<()>,
}

impl Store for Gated {
    type Access = SimAccess;
    fn access(&self) -> SimAccess {
        self.store.access()
    }
    fn end(&self) -> Position {
        self.store.end()
    }
    fn append(&mut self, records: &[Record]) -> Result<(), Error> {
        self.store.append(records)
    }
    fn put(&mut self, cell: &str, value: &[u8]) -> Result<(), Error> {
        assert_ne!(cell, "panic", "as asked for");
        self.store.put(cell, value)
    }
    fn truncate(&mut self, to: Position) -> Result<(), Error> {
        self.store.truncate(to)
    }
    fn install(
        &mut self,
        at: Position,
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
        cell: &str,
        value: &[u8],
    ) -> Result<(), Error> {
        self.store.install(at, chunks, cell, value)
    }
    fn release(&mut self, before: Offset) -> Result<(), Error> {
        self.store.release(before)
    }
    fn sync(&mut self) -> Result<Synced, Error> {
        self.entered.send(()).unwrap();
        self.gate.recv().unwrap();
        self.store.sync()
    }
    fn settle(&mut self) -> Result<(), Error> {
        self.store.settle()
    }
}

struct Running {
    disk: SimDisk,
    writer: Writer<SimAccess>,
    reports: Receiver<Report>,
    entered: Receiver<()>,
    gate: Sender<()>,
}

fn start() -> Running {
    let disk = SimDisk::new();
    let (store, _) = disk.open().unwrap();
    let ((entering, entered), (gate, gated), (reporting, reports)) = (channel(), channel(), channel());
    let store = Gated { store, entered: entering, gate: gated };
    let writer = Writer::start(store, move |report| reporting.send(report).unwrap()).unwrap();
    Running { disk, writer, reports, entered, gate }
}

fn synced(reports: &Receiver<Report>) -> (u64, u64) {
    match reports.recv_timeout(PATIENCE).unwrap() {
        Report::Synced { synced, changes } => (synced.end.offset.0, changes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_that_waits_goes_into_one_sync() {
    let run = start();
    let (all, _) = journal(100);
    for record in &all[..40] {
        run.writer.submit(Change::Append(vec![record.clone()])).unwrap();
        if record.id.offset.0 == 0 {
            run.entered.recv_timeout(PATIENCE).unwrap();
        }
    }
    assert!(run.reports.try_recv().is_err(), "nothing is confirmed before its sync");
    run.gate.send(()).unwrap();
    assert_eq!(synced(&run.reports), (1, 1));
    run.entered.recv_timeout(PATIENCE).unwrap();
    assert_eq!(run.disk.durable_end().offset, Offset(1));
    run.gate.send(()).unwrap();
    assert_eq!(synced(&run.reports), (40, 40));
    run.gate.send(()).unwrap();
    run.writer.submit(Change::Append(all[40..].to_vec())).unwrap();
    run.writer.close();
    assert_eq!(synced(&run.reports), (100, 41));
    assert_eq!(run.disk.durable_end(), all[99].id.after());
    assert!(run.disk.open().is_ok(), "closed");
}

#[test]
fn the_queue_is_bounded() {
    let run = start();
    let put = || Change::Put { cell: "x".to_owned(), value: vec![1] };
    run.writer.submit(put()).unwrap();
    run.entered.recv_timeout(PATIENCE).unwrap();
    for _ in 0..QUEUE {
        run.writer.try_submit(put()).unwrap();
    }
    assert!(matches!(run.writer.try_submit(put()), Err(NotTaken::Full(Change::Put { .. }))));
    run.gate.send(()).unwrap();
    run.gate.send(()).unwrap();
    assert_eq!(synced(&run.reports).1, 1);
    assert_eq!(synced(&run.reports).1, 1 + QUEUE as u64);
}

#[test]
fn a_failure_is_reported_once_and_ends_everything() {
    let run = start();
    let (all, _) = journal(10);
    run.disk.fail(Fault::Full, 0);
    run.gate.send(()).unwrap();
    run.writer.submit(Change::Append(all)).unwrap();
    let report = run.reports.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(&report, Report::Failed(error) if error.is_full()), "{report:?}");
    while run.writer.submit(Change::Release(Offset(0))).is_ok() {}
    assert!(matches!(run.writer.try_submit(Change::Release(Offset(0))), Err(NotTaken::Ended(_))));
    run.writer.close();
    assert!(run.reports.recv_timeout(PATIENCE).is_err(), "nothing follows");
    assert_eq!(run.disk.durable_end(), Position::ORIGIN);
}

#[test]
fn a_wrong_record_and_a_panic_are_failures_too() {
    let (all, _) = journal(3);
    let wrong = Change::Append(vec![all[2].clone()]);
    let panic = Change::Put { cell: "panic".to_owned(), value: Vec::new() };
    for change in [wrong, panic] {
        let run = start();
        run.writer.submit(change).unwrap();
        match run.reports.recv_timeout(PATIENCE).unwrap() {
            Report::Failed(Error::Misplaced(_)) => {}
            Report::Failed(Error::Panicked(text)) => assert!(text.contains("as asked for"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn images_are_written_beside_commits() {
    let run = start();
    let (all, end) = journal(10);
    run.writer.submit(Change::Append(all)).unwrap();
    run.gate.send(()).unwrap();
    synced(&run.reports);
    run.writer.submit(Change::Append(records(end, 1, 1).0)).unwrap();
    run.writer.write_image(end, (0..5).map(|n| vec![n; 10])).unwrap();
    match run.reports.recv_timeout(PATIENCE).unwrap() {
        Report::Imaged { at, result } => assert_eq!((at, result.unwrap().bytes), (end, 50)),
        other => panic!("{other:?}"),
    }
    assert_eq!(run.writer.access().image().unwrap().at, end);
    for _ in 0..2 {
        run.gate.send(()).unwrap();
    }
    run.writer.submit(Change::Release(Offset(10))).unwrap();
    run.writer.close();
    assert_eq!(run.disk.durable_released(), end);
}

#[cfg(feature = "fjall")]
#[test]
fn many_producers_on_fjall() {
    use crate::folder::{NAME, SMALL};
    use baton_storage::fjall::FjallStore;
    use std::sync::{Arc, Mutex};

    let folder = crate::sample::new_folder();
    let (store, _) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    let (reporting, reports) = channel();
    let writer = Writer::start(store, move |report| reporting.send(report).unwrap()).unwrap();
    let end = Mutex::new(Position::ORIGIN);
    let (writer, end) = (Arc::new(writer), Arc::new(end));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let mut end = end.lock().unwrap();
                    let (one, next) = records(*end, 1, 1);
                    writer.submit(Change::Append(one)).unwrap();
                    *end = next;
                }
            });
        }
    });
    let mut last = (0, 0);
    while last.1 < 1000 {
        let next = synced(&reports);
        assert!(next.0 > last.0 && next.1 > last.1);
        last = next;
    }
    assert_eq!(last.0, 1000);
    Arc::try_unwrap(writer).ok().unwrap().close();
    let (store, recovered) = FjallStore::open(folder.path(), NAME, SMALL).unwrap();
    assert_eq!(recovered.end.offset, Offset(1000));
    assert_eq!(store.access().records(Offset(0)).unwrap().count(), 1000);
}
