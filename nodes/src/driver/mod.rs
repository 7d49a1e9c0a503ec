//! The driver: hosts a machine in production.
//!
//! One loop per node. It reads both clocks once per input, delivers the input, carries out all effects in order, and sleeps
//! until the next input or the machine's deadline. It decides nothing: what may leave when is decided in the engine, what
//! links, processes and callers are is known to the [`Host`].
//!
//! It also keeps the journal short: after so many bytes of records it takes an image of the state, and when the image is
//! durable it tells the machine, which releases what nobody needs.
//!
//! What can fail: the disk. Then the node halts, and nothing that was not confirmed has left. A broken invariant panics;
//! that halts the node too.

mod clock;
mod disk;
mod journal;
mod memory;
mod operator;

pub use clock::{Alarm, Clock, wall_clock};
#[cfg(feature = "turmoil")]
pub use disk::SimulatedDisk;
pub use journal::{Journal, Opened};
pub use memory::Room;
pub use operator::{Halted, News, Operator, Saying, Warning};

use baton_machine::replica::RecoveryError;
use baton_protocol::limit::Limits;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::node::Node;
use baton_protocol::outbox::{Effect, EffectOf};
use baton_protocol::pair::message::ImagePiece;
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::time::{Instant, Now};
use journal::{Content, Progress};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Requests to a node that may wait.
const REQUESTS: usize = 1024;

/// See [`Surroundings::image_after`].
const IMAGE_AFTER: u64 = 64 << 20;

/// When a journal in memory, where an image costs nothing, holds so many bytes of records, the machine is asked to release
/// what nobody needs.
const RELEASE_AFTER: usize = 4 << 20;

/// So often it is asked at most.
const RELEASE_PAUSE: Duration = Duration::from_millis(20);

/// An image is taken when the records after the last one are so many times longer than it.
const IMAGE_RATIO: u64 = 2;

/// So many bytes of records are read for a reader at once.
const RECORDS_AT_ONCE: usize = 512 << 10;

/// Why a node halts.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The journal cannot be written, or opened.
    #[error(transparent)]
    Journal(#[from] baton_storage::Error),
    /// The journal cannot be replayed.
    #[error("the journal cannot be replayed: {0}")]
    Recovery(#[from] RecoveryError),
    /// What was kept beside the journal cannot be used.
    #[error(transparent)]
    Cell(#[from] baton_protocol::pair::NotUnderstood),
    /// The operating system gives no thread.
    #[error("the operating system starts no thread for the journal: {0}")]
    NoThread(std::io::Error),
    /// A folder cannot be made.
    #[error("cannot make the folder {}: {error}", .folder.display())]
    Folder {
        /// Which.
        folder: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The operating system gives no random number.
    #[error("the operating system gives no random number: {0}")]
    NoSeed(std::io::Error),
    /// An invariant is broken: a bug. Nothing of what the node was doing has left.
    #[error("a bug: {0}")]
    Panicked(String),
}

/// What surrounds a machine: links, processes, callers.
pub trait Host: Send + 'static {
    /// The machine.
    type Machine: Machine<Input: Send, Hint: Send, Promise: Send, Lane: Send> + Send;
    /// What comes from outside.
    type Request: Send + 'static;

    /// Makes an input of it. None if there is nothing for the machine. Machine and journal may be looked at.
    fn request(&mut self, node: &Node<Self::Machine>, request: Self::Request) -> Option<InputOf<Self>>;

    /// Does what may be done at once.
    fn hint(&mut self, hint: HintOf<Self>, reading: &mut Reading<'_, Self>);

    /// Lets out what the journal is sure of.
    fn promise(&mut self, lane: LaneOf<Self>, promise: PromiseOf<Self>);

    /// An image of the machine's state. None if it keeps no journal, or the state is not one to be kept now.
    fn image(machine: &Self::Machine) -> Option<Vec<u8>>;

    /// Tells the machine that the image at this position is durable.
    fn imaged(&mut self, at: Position) -> Option<InputOf<Self>>;

    /// A step is done, and its effects are carried out. For what is shown of the node; called after every step, so it looks
    /// only at what is cheap.
    fn stepped(&mut self, _node: &Node<Self::Machine>, _now: Now) {}
}

/// What a host's machine takes.
pub type InputOf<H> = <<H as Host>::Machine as Machine>::Input;
/// What a host's machine lets out at once.
pub type HintOf<H> = <<H as Host>::Machine as Machine>::Hint;
/// To whom a host's machine promises.
pub type LaneOf<H> = <<H as Host>::Machine as Machine>::Lane;
/// What a host's machine promises.
pub type PromiseOf<H> = <<H as Host>::Machine as Machine>::Promise;

/// Reads records for a host.
pub struct Reading<'a, H: Host + ?Sized> {
    journal: &'a mut Journal,
    read: &'a mpsc::UnboundedSender<Result<InputOf<H>, Halt>>,
}

impl<H: Host> Reading<'_, H> {
    /// Reads some records from `from` on; `answer` makes an input of them.
    pub fn records(&mut self, from: Offset, answer: impl FnOnce(Vec<Record>) -> InputOf<H> + Send + 'static) {
        let read = self.read.clone();
        // When the node has ended, nobody wants them.
        self.journal.read(from, move |records| drop(read.send(Ok(answer(records)))));
    }

    /// Reads a piece of the image at `at`; `answer` makes an input of it.
    pub fn image_piece(
        &mut self,
        at: Position,
        from: u64,
        bytes: usize,
        answer: impl FnOnce(Option<ImagePiece>) -> InputOf<H> + Send + 'static,
    ) {
        let read = self.read.clone();
        self.journal.read_piece(at, from, bytes, move |piece| drop(read.send(Ok(answer(piece)))));
    }

    /// Collects the next piece of an image that another node sends; with `from` zero, the first one of another image.
    pub fn keep_piece(&mut self, from: u64, bytes: Vec<u8>) {
        self.journal.keep_piece(from, bytes);
    }

    /// Drops the pieces that were collected.
    pub fn drop_pieces(&mut self) {
        self.journal.drop_pieces();
    }

    /// Reads what the journal up to `to` makes up, the newest image and the records after it, when everything is durable
    /// that was handed over; `answer` makes an input of it.
    pub fn content(
        &mut self,
        to: Position,
        answer: impl FnOnce(Option<Vec<u8>>, Vec<Record>) -> Result<InputOf<H>, RecoveryError> + Send + 'static,
    ) {
        let read = self.read.clone();
        self.journal.rebuild(to, move |content| {
            let input = content.map_err(Halt::from).and_then(|Content { image, records }| {
                answer(image.map(|(_, bytes)| bytes), records).map_err(Halt::from)
            });
            drop(read.send(input));
        });
    }
}

/// A node that runs.
pub struct Running<R> {
    requests: mpsc::Sender<R>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl<R> Running<R> {
    /// To ask something of the node.
    #[must_use]
    pub fn requests(&self) -> mpsc::Sender<R> {
        self.requests.clone()
    }

    /// Ends the node, as a crash would, except that everything handed to the journal is still written.
    pub async fn stop(self) {
        // It may have halted.
        let _ = self.stop.send(());
        let _ = self.ended.await;
    }
}

/// The way to a node which does not run yet. Hosts need it, for what happens later.
pub struct Entrance<R> {
    requests: mpsc::Sender<R>,
    requested: mpsc::Receiver<R>,
}

impl<R> Entrance<R> {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let (requests, requested) = mpsc::channel(REQUESTS);
        Self { requests, requested }
    }

    /// To ask something of the node.
    #[must_use]
    pub fn requests(&self) -> mpsc::Sender<R> {
        self.requests.clone()
    }
}

impl<R> Default for Entrance<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a node gets of the world: clocks and a seed.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Its clocks.
    pub clock: Clock,
    /// All its randomness.
    pub seed: u64,
    /// An image is taken after so many bytes of records, at least.
    pub image_after: u64,
}

impl Surroundings {
    /// Those of this machine.
    ///
    /// # Errors
    /// When the operating system gives no random number.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn real() -> Result<Self, Halt> {
        Ok(Self { clock: Clock::start(), seed: random_seed().map_err(Halt::NoSeed)?, image_after: IMAGE_AFTER })
    }
}

/// Starts a node: its machine is in the state of the end of the journal. Should the node halt, the operator is told why.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn start<H: Host>(
    node: Node<H::Machine>,
    journal: Journal,
    host: H,
    entrance: Entrance<H::Request>,
    operator: Operator,
    Surroundings { clock, seed, image_after }: Surroundings,
) -> Running<H::Request> {
    let (stop, stopped) = oneshot::channel();
    let (read, reads) = mpsc::unbounded_channel();
    let driver = Driver {
        node,
        host,
        journal,
        clock,
        due: Alarm::new(clock),
        release: Alarm::new(clock),
        requested: entrance.requested,
        stopped,
        read,
        reads,
        effects: Vec::new(),
        soon: VecDeque::from([Input::Start { seed }]),
        was_due: false,
        images: Images { after: image_after, ..Images::default() },
        operator: operator.clone(),
    };
    let driver = tokio::spawn(driver.run());
    let ended = tokio::spawn(async move {
        let result = driver.await.unwrap_or_else(|error| Err(Halt::Panicked(error.to_string())));
        if let Err(halt) = result {
            operator.halted(halt);
        }
    });
    Running { requests: entrance.requests, stop, ended }
}

/// A node that is alone: not one of a pair.
#[must_use]
pub fn alone<M: Machine>(machine: M, recovered: baton_protocol::journal::Recovered) -> Node<M> {
    Node::new(machine, baton_protocol::journal::Journal::alone(recovered, Limits::DEFAULT))
}

/// A node of a pair.
#[must_use]
pub fn one_of_two<M: Machine>(machine: M, recovered: baton_protocol::journal::Recovered) -> Node<M> {
    Node::new(machine, baton_protocol::journal::Journal::following(recovered, Limits::DEFAULT))
}

/// A number that nobody can guess.
///
/// # Errors
/// When the operating system gives none.
pub fn random_seed() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    let length = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if length == bytes.len() { Ok(u64::from_ne_bytes(bytes)) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// The image policy.
#[derive(Default)]
struct Images {
    /// See [`Surroundings::image_after`].
    after: u64,
    /// Bytes of records since the last image was taken.
    since: u64,
    /// Length of the last image.
    last: u64,
    /// Taken, but its records are not sure yet.
    taken: Option<(Position, Vec<u8>)>,
    /// Being written.
    is_writing: bool,
    /// Of a journal in memory: when its machine may be asked again to release.
    next_release: Instant,
}

struct Driver<H: Host> {
    node: Node<H::Machine>,
    host: H,
    journal: Journal,
    clock: Clock,
    /// For the machine's deadline.
    due: Alarm,
    /// For [`Driver::release_time`].
    release: Alarm,
    requested: mpsc::Receiver<H::Request>,
    stopped: oneshot::Receiver<()>,
    read: mpsc::UnboundedSender<Result<InputOf<H>, Halt>>,
    /// What the host asked to be read. As many as readings are under way.
    reads: mpsc::UnboundedReceiver<Result<InputOf<H>, Halt>>,
    effects: Vec<EffectOf<H::Machine>>,
    /// Inputs that are here already.
    soon: VecDeque<Input<InputOf<H>>>,
    /// Whether the last input was that the deadline is reached.
    was_due: bool,
    images: Images,
    operator: Operator,
}

impl<H: Host> Driver<H> {
    async fn run(mut self) -> Result<(), Halt> {
        let result = self.inputs().await;
        let journal = self.journal;
        drop(self.node);
        result.and(journal.close().await)
    }

    /// Takes inputs until the node is stopped or halts.
    async fn inputs(&mut self) -> Result<(), Halt> {
        while let Some(input) = self.next().await? {
            self.was_due = matches!(input, Input::Due);
            let (node, effects, now) = (&mut self.node, &mut self.effects, self.clock.now());
            std::panic::catch_unwind(AssertUnwindSafe(|| node.step(now, input, effects)))
                .map_err(|panic| Halt::Panicked(message(&*panic)))?;
            self.carry_out()?;
            self.host.stepped(&self.node, now);
            if let Some(stored) = self.journal.news() {
                self.soon.push_back(Input::Stored(stored));
            }
            self.take_image()?;
        }
        Ok(())
    }

    /// The next input; none when the node is to stop.
    async fn next(&mut self) -> Result<Option<Input<InputOf<H>>>, Halt> {
        loop {
            if let Some(input) = self.soon.pop_front() {
                return Ok(Some(input));
            }
            let deadline = self.node.deadline();
            // Deadlines are met under any load, but are not all that is done.
            if !self.was_due && deadline.is_some_and(|deadline| deadline <= self.clock.instant()) {
                return Ok(Some(Input::Due));
            }
            self.was_due = false;
            let release_time = self.release_time();
            tokio::select! {
                biased;
                // Stopped too if nobody could say so any more.
                _ = &mut self.stopped => return Ok(None),
                progress = self.journal.progress() => match progress? {
                    Progress::Stored(stored) => self.soon.push_back(Input::Stored(stored)),
                    Progress::Imaged(at, bytes) => {
                        self.images.is_writing = false;
                        self.images.last = bytes;
                        self.soon.extend(self.host.imaged(at).map(Input::Arrived));
                    }
                    Progress::NotImaged(reason) => {
                        self.images.is_writing = false;
                        self.operator.warn(format!("no image of the state was written, the journal grows: {reason}"));
                    }
                },
                Some(input) = self.reads.recv() => return Ok(Some(Input::Arrived(input?))),
                Some(request) = self.requested.recv() => {
                    let input = self.host.request(&self.node, request);
                    self.soon.extend(input.map(Input::Arrived));
                }
                () = self.due.reach(deadline) => return Ok(Some(Input::Due)),
                () = self.release.reach(release_time), if release_time.is_some() => self.ask_to_release(),
            }
        }
    }

    fn carry_out(&mut self) -> Result<(), Halt> {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Append { record, .. } => {
                    self.images.since += record.encoded_len() as u64;
                    self.journal.append(record)?;
                }
                Effect::Truncate { generation, to } => {
                    self.images.taken.take_if(|(at, _)| at.offset > to.offset);
                    self.journal.truncate(generation, to)?;
                }
                Effect::Install { generation, at, cell, value } => {
                    self.images.taken = None;
                    self.images.since = 0;
                    self.journal.install(generation, at, cell, &value)?;
                }
                Effect::Put { number, cell, value } => self.journal.put(number, cell, &value)?,
                Effect::Release { before } => self.journal.release(before)?,
                Effect::Hint(hint) => {
                    let mut reading = Reading { journal: &mut self.journal, read: &self.read };
                    self.host.hint(hint, &mut reading);
                }
                Effect::Promise { lane, promise } => self.host.promise(lane, promise),
            }
        }
        Ok(())
    }

    /// When the machine is to be asked to release records of a journal in memory: later too, because what nobody needs any
    /// more may become more without a new record.
    fn release_time(&self) -> Option<Instant> {
        let bytes = self.journal.bytes_in_memory()?;
        (bytes >= RELEASE_AFTER).then_some(self.images.next_release)
    }

    fn ask_to_release(&mut self) {
        let journal = self.node.journal();
        let end = journal.end();
        self.images.next_release = self.clock.instant() + RELEASE_PAUSE;
        if journal.watermarks().committed == end.offset {
            self.soon.extend(self.host.imaged(end).map(Input::Arrived));
        }
    }

    /// Takes an image if it is time, and hands it over when its records are sure.
    fn take_image(&mut self) -> Result<(), Halt> {
        if self.journal.bytes_in_memory().is_some() {
            if self.release_time().is_some_and(|time| time <= self.clock.instant()) {
                self.ask_to_release();
            }
            return Ok(());
        }
        if self.images.is_writing {
            return Ok(());
        }
        let journal = self.node.journal();
        let committed = journal.watermarks().committed;
        let images = &mut self.images;
        if images.taken.is_none() && images.since >= images.after.max(IMAGE_RATIO * images.last) {
            images.taken = H::image(self.node.machine()).map(|image| (journal.end(), image));
            if images.taken.is_some() {
                images.since = 0;
            }
        }
        if let Some((at, image)) = images.taken.take_if(|(at, _)| at.offset <= committed) {
            images.is_writing = true;
            self.journal.write_image(at, image)?;
        }
        Ok(())
    }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
