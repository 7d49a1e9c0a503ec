//! Group commit: one thread that owns the store, takes all that waits, and makes it durable with one sync.
//!
//! A sync takes as long for a thousand records as for one, and a second writer would only queue up behind the first. So
//! there is one writer, and the group grows by itself: what arrives during a sync is the next group. Nothing is delayed to
//! make a group larger.
//!
//! The queue is bounded ([`QUEUE`]): who is faster than the disk waits ([`Writer::submit`]) or is told to
//! ([`Writer::try_submit`]). What has become durable is reported through a function that the caller gives; it is called on
//! the writer's thread and should only pass the report on, to a channel of whatever kind.
//!
//! Whatever goes wrong ends the writer: it reports [`Report::Failed`] once and takes nothing more. The node must halt then,
//! without answering for anything that was not reported as synced.

use crate::{Access, Error, Image, Store, Synced};
use baton_protocol::record::{Offset, Position, Record};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// So many changes may wait.
pub const QUEUE: usize = 1024;

/// A group is closed when its payloads are longer than this, in bytes.
pub const GROUP: usize = 8 << 20;

/// After so long without changes the store is settled.
const IDLE: Duration = Duration::from_millis(200);

/// What the writer does, in the order in which it was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// [`Store::append`].
    Append(Vec<Record>),
    /// [`Store::put`].
    Put {
        /// Name of the cell.
        cell: String,
        /// Its new value.
        value: Vec<u8>,
    },
    /// [`Store::truncate`].
    Truncate(Position),
    /// [`Store::install`].
    Install {
        /// Where the journal begins anew.
        at: Position,
        /// The image, in chunks of at most [`IMAGE_CHUNK`](crate::IMAGE_CHUNK).
        chunks: Vec<Vec<u8>>,
        /// Name of the cell that is set with it.
        cell: String,
        /// Its new value.
        value: Vec<u8>,
    },
    /// [`Store::release`].
    Release(Offset),
}

/// What the writer has done.
#[derive(Debug)]
pub enum Report {
    /// Everything submitted up to some change is durable: all records before this end, and every cell, truncation and installation that
    /// was submitted before the last of them.
    Synced {
        /// The durable journal.
        synced: Synced,
        /// How many changes that is since the writer was started.
        changes: u64,
    },
    /// An image is complete, or has failed; the journal is not affected by that.
    Imaged {
        /// The position of the image.
        at: Position,
        /// The image, or why there is none.
        result: Result<Image, Error>,
    },
    /// The store failed. Nothing is durable that was not reported before, nothing follows.
    Failed(Error),
}

/// The writer has ended, by failure; the change has not been taken.
#[derive(Debug, thiserror::Error)]
#[error("the journal's writer has ended")]
pub struct Ended(pub Change);

/// Why a change was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The queue is full; a report will come when it is shorter.
    #[error("the queue of the journal's writer is full")]
    Full(Change),
    /// The writer has ended.
    #[error("the journal's writer has ended")]
    Ended(Change),
}

type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// The handle of the thread. Dropping it lets the thread finish what was submitted.
pub struct Writer<A> {
    queue: SyncSender<Change>,
    thread: JoinHandle<()>,
    access: A,
    report: Reporter,
}

impl<A: Access + Sync> Writer<A> {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start<S>(store: S, report: impl Fn(Report) + Send + Sync + 'static) -> io::Result<Self>
    where
        S: Store<Access = A> + Send + 'static,
    {
        let access = store.access();
        let report: Reporter = Arc::new(report);
        let (queue, changes) = sync_channel(QUEUE);
        let reporter = Arc::clone(&report);
        let thread = Builder::new().name("baton-journal".to_owned()).spawn(move || serve(store, changes, &reporter))?;
        Ok(Self { queue, thread, access, report })
    }

    /// For reading beside the writer.
    pub fn access(&self) -> &A {
        &self.access
    }

    /// Submits a change; waits while the queue is full.
    ///
    /// # Errors
    /// When the writer has ended.
    pub fn submit(&self, change: Change) -> Result<(), Ended> {
        self.queue.send(change).map_err(|error| Ended(error.0))
    }

    /// Submits a change, unless the queue is full.
    ///
    /// # Errors
    /// When it was not taken, with the change.
    pub fn try_submit(&self, change: Change) -> Result<(), NotTaken> {
        self.queue.try_send(change).map_err(|error| match error {
            TrySendError::Full(change) => NotTaken::Full(change),
            TrySendError::Disconnected(change) => NotTaken::Ended(change),
        })
    }

    /// Writes an image on a thread of its own, which takes the chunks from the iterator; commits go on meanwhile.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn write_image(
        &self,
        at: Position,
        mut chunks: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> io::Result<()> {
        let (access, report) = (self.access.clone(), Arc::clone(&self.report));
        let write = move || {
            let result = catch_unwind(AssertUnwindSafe(|| access.write_image(at, &mut chunks)));
            let result = result.unwrap_or_else(|panic| Err(Error::Panicked(message(&*panic))));
            report(Report::Imaged { at, result });
        };
        Builder::new().name("baton-image".to_owned()).spawn(write).map(drop)
    }

    /// Lets the thread finish what was submitted, settle and close the store, and waits for that.
    pub fn close(self) {
        drop(self.queue);
        // The thread reports its own panics.
        drop(self.thread.join());
    }
}

fn serve<S: Store>(store: S, changes: Receiver<Change>, report: &Reporter) {
    let result = catch_unwind(AssertUnwindSafe(move || run(store, &changes, report)));
    let result = result.unwrap_or_else(|panic| Err(Error::Panicked(message(&*panic))));
    if let Err(error) = result {
        report(Report::Failed(error));
    }
}

/// Takes groups until the queue is closed or something fails.
fn run<S: Store>(mut store: S, changes: &Receiver<Change>, report: &Reporter) -> Result<(), Error> {
    let mut count = 0;
    let mut settled = true;
    let mut group = Vec::new();
    loop {
        let first = if settled {
            changes.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            changes.recv_timeout(IDLE)
        };
        let mut next = match first {
            Ok(change) => Some(change),
            Err(RecvTimeoutError::Timeout) => {
                store.settle()?;
                settled = true;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return store.settle(),
        };
        let mut bytes = 0;
        while let Some(mut change) = next {
            bytes += apply(&mut store, &mut change)?;
            count += 1;
            group.push(change);
            next = if bytes < GROUP { changes.try_recv().ok() } else { None };
        }
        let synced = store.sync()?;
        settled = false;
        report(Report::Synced { synced, changes: count });
        // Many records take a while to be freed. Nobody has to wait for that.
        group.clear();
    }
}

/// Returns roughly how many bytes wait because of this change.
fn apply<S: Store>(store: &mut S, change: &mut Change) -> Result<usize, Error> {
    match change {
        Change::Append(records) => {
            store.append(records)?;
            Ok(records.iter().map(Record::encoded_len).sum())
        }
        Change::Put { cell, value } => {
            store.put(cell, value)?;
            Ok(value.len())
        }
        Change::Truncate(to) => store.truncate(*to).map(|()| 0),
        Change::Install { at, chunks, cell, value } => {
            store.install(*at, &mut std::mem::take(chunks).into_iter(), cell, value).map(|()| 0)
        }
        Change::Release(before) => store.release(*before).map(|()| 0),
    }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
