//! What is under a journal: the writer's thread with its store, or a simulated disk (feature `turmoil`, for tests).

use baton_protocol::record::{Offset, Position};
use baton_storage::fjall::{FjallAccess, FjallStore};
use baton_storage::writer::{Change, NotTaken, Report, Writer};
use baton_storage::{Access, Chunks, Error, Image, Records};
use std::io;
use tokio::sync::mpsc;

#[cfg(feature = "turmoil")]
pub use simulated::SimulatedDisk;
#[cfg(feature = "turmoil")]
pub(super) use simulated::Writer as SimulatedWriter;

/// Reports of the writer that may wait.
const REPORTS: usize = 64;

/// The disk of a journal.
pub(super) enum Disk {
    Real {
        writer: Writer<FjallAccess>,
        reports: mpsc::Receiver<Report>,
    },
    #[cfg(feature = "turmoil")]
    Simulated(simulated::Writer),
}

/// For reading beside the writer.
#[derive(Clone)]
pub(super) enum DiskAccess {
    Real(FjallAccess),
    #[cfg(feature = "turmoil")]
    Simulated(baton_storage::simulated::SimAccess),
}

impl Disk {
    pub(super) fn real(store: FjallStore) -> io::Result<Self> {
        let (reporting, reports) = mpsc::channel(REPORTS);
        // When nobody listens any more, nobody needs to know.
        let writer = Writer::start(store, move |report| drop(reporting.blocking_send(report)))?;
        Ok(Self::Real { writer, reports })
    }

    pub(super) fn access(&self) -> DiskAccess {
        match self {
            Self::Real { writer, .. } => DiskAccess::Real(writer.access().clone()),
            #[cfg(feature = "turmoil")]
            Self::Simulated(writer) => DiskAccess::Simulated(writer.access()),
        }
    }

    /// Does something that takes a while, beside the node.
    pub(super) fn aside(&self, work: impl FnOnce(DiskAccess) + Send + 'static) {
        let access = self.access();
        match self {
            Self::Real { .. } => drop(tokio::task::spawn_blocking(move || work(access))),
            #[cfg(feature = "turmoil")]
            Self::Simulated(_) => work(access),
        }
    }

    pub(super) fn try_submit(&mut self, change: Change) -> Result<(), NotTaken> {
        match self {
            Self::Real { writer, .. } => writer.try_submit(change),
            #[cfg(feature = "turmoil")]
            Self::Simulated(writer) => {
                writer.submit(change);
                Ok(())
            }
        }
    }

    pub(super) fn write_image(
        &mut self,
        at: Position,
        chunks: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> io::Result<()> {
        match self {
            Self::Real { writer, .. } => writer.write_image(at, chunks),
            #[cfg(feature = "turmoil")]
            Self::Simulated(writer) => {
                writer.write_image(at, chunks);
                Ok(())
            }
        }
    }

    /// The next report; none when the writer has ended. Dropping the future loses nothing.
    pub(super) async fn report(&mut self) -> Option<Report> {
        match self {
            Self::Real { reports, .. } => reports.recv().await,
            #[cfg(feature = "turmoil")]
            Self::Simulated(writer) => Some(writer.report().await),
        }
    }

    /// Lets the writer finish what it was told, and these changes.
    pub(super) async fn close(
        self,
        waiting: impl IntoIterator<Item = Change> + Send + 'static,
    ) -> Result<(), tokio::task::JoinError> {
        match self {
            Self::Real { writer, reports } => {
                // A writer that cannot report would never end.
                drop(reports);
                let close = move || {
                    for change in waiting {
                        if writer.submit(change).is_err() {
                            break;
                        }
                    }
                    writer.close();
                };
                tokio::task::spawn_blocking(close).await
            }
            // What is not on the disk by now is not written any more: its host may have died.
            #[cfg(feature = "turmoil")]
            Self::Simulated(_) => Ok(()),
        }
    }
}

impl DiskAccess {
    pub(super) fn records(&self, from: Offset) -> Result<Records, Error> {
        match self {
            Self::Real(access) => access.records(from),
            #[cfg(feature = "turmoil")]
            Self::Simulated(access) => access.records(from),
        }
    }

    pub(super) fn image(&self) -> Option<Image> {
        match self {
            Self::Real(access) => access.image(),
            #[cfg(feature = "turmoil")]
            Self::Simulated(access) => access.image(),
        }
    }

    pub(super) fn image_at(&self, at: Position) -> Option<Image> {
        match self {
            Self::Real(access) => access.image_at(at),
            #[cfg(feature = "turmoil")]
            Self::Simulated(access) => access.image_at(at),
        }
    }

    pub(super) fn piece(&self, at: Position, from: u64, bytes: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Real(access) => access.piece(at, from, bytes),
            #[cfg(feature = "turmoil")]
            Self::Simulated(access) => access.piece(at, from, bytes),
        }
    }

    pub(super) fn chunks(&self, at: Position) -> Result<Chunks, Error> {
        match self {
            Self::Real(access) => access.chunks(at),
            #[cfg(feature = "turmoil")]
            Self::Simulated(access) => access.chunks(at),
        }
    }
}

#[cfg(feature = "turmoil")]
mod simulated {
    //! A writer without a thread: it hands everything over at once, and syncs when simulated time has passed.

    use baton_protocol::record::Position;
    use baton_storage::simulated::{SimAccess, SimDisk, SimStore, Ticket};
    use baton_storage::writer::{Change, Report};
    use baton_storage::{Access as _, Error, Recovered, Store as _};
    use std::collections::VecDeque;
    use std::time::Duration;
    use tokio::time::{Instant, sleep, sleep_until};

    /// A stalled disk is looked at this often.
    const LOOK_AGAIN: Duration = Duration::from_millis(10);

    /// A disk outside of the simulated hosts.
    #[derive(Clone, Debug)]
    pub struct SimulatedDisk {
        /// It.
        pub disk: SimDisk,
        /// How long a sync takes.
        pub sync: Duration,
    }

    pub(in crate::driver) struct Writer {
        disk: SimulatedDisk,
        store: SimStore,
        /// Changes handed over.
        changes: u64,
        /// A sync under way: what is durable then, and when.
        syncing: Option<(Ticket, u64, Instant)>,
        /// Changes of which a sync has begun.
        begun: u64,
        reports: VecDeque<Report>,
        failed: Option<Error>,
    }

    impl Writer {
        pub(in crate::driver) fn open(disk: &SimulatedDisk) -> Result<(Self, Recovered), Error> {
            let (store, found) = disk.disk.open()?;
            let disk = disk.clone();
            let (reports, failed) = (VecDeque::new(), None);
            Ok((Self { disk, store, changes: 0, syncing: None, begun: 0, reports, failed }, found))
        }

        pub(super) fn access(&self) -> SimAccess {
            self.store.access()
        }

        pub(super) fn submit(&mut self, change: Change) {
            self.changes += 1;
            let done = match change {
                Change::Append(records) => self.store.append(&records),
                Change::Put { cell, value } => self.store.put(&cell, &value),
                Change::Truncate(to) => self.store.truncate(to),
                Change::Install { at, chunks, cell, value } => {
                    self.store.install(at, &mut chunks.into_iter(), &cell, &value)
                }
                Change::Release(before) => self.store.release(before),
            };
            if let Err(error) = done {
                self.failed.get_or_insert(error);
            }
            self.begin();
        }

        fn begin(&mut self) {
            if self.syncing.is_none() && self.begun < self.changes {
                match self.store.begin_sync() {
                    Ok(ticket) => self.syncing = Some((ticket, self.changes, Instant::now() + self.disk.sync)),
                    Err(error) => drop(self.failed.get_or_insert(error)),
                }
                self.begun = self.changes;
            }
        }

        pub(super) fn write_image(&mut self, at: Position, mut chunks: impl Iterator<Item = Vec<u8>>) {
            let result = self.access().write_image(at, &mut chunks);
            self.reports.push_back(Report::Imaged { at, result });
        }

        pub(super) async fn report(&mut self) -> Report {
            loop {
                if let Some(error) = self.failed.take() {
                    return Report::Failed(error);
                }
                if let Some(report) = self.reports.pop_front() {
                    return report;
                }
                let Some((ticket, changes, at)) = self.syncing else { return std::future::pending().await };
                sleep_until(at).await;
                match self.disk.disk.complete_sync(ticket) {
                    None => sleep(LOOK_AGAIN).await,
                    Some(Err(error)) => return Report::Failed(error),
                    Some(Ok(synced)) => {
                        self.syncing = None;
                        self.begin();
                        return Report::Synced { synced, changes };
                    }
                }
            }
        }
    }
}
