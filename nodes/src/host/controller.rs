//! The host of a controller: its callers, its readers, its links.

use super::commits::{CommitTimes, Commits};
use super::links::{Links, Remote};
use super::local::Local;
use super::pairing::{self, Left};
use super::standing::{self, Standing};
use super::voters::Voters;
use crate::driver::{self, Entrance, Halt, Host, Journal, Opened, Operator, Reading, Running, Surroundings};
use baton_machine::codec::Stamped;
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, ReaderId, Reply};
use baton_machine::link::LinkInput;
use baton_protocol::event_id::EventId;
use baton_protocol::node::Node;
use baton_protocol::pair::message::Envelope;
use baton_protocol::pair::{EPOCHS_CELL, Order, Pair, PairConfig, PairInput, Part, Trouble, VOTE_CELL};
use baton_protocol::record::Position;
use baton_protocol::register::Seat;
use baton_protocol::time::{Now, Timestamp};
use baton_workflow::id::CommandId;
use baton_workflow::model::command::Command;
use baton_workflow::problem::Problem;
use baton_workflow::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// So long after a refusal a reader asks again.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// What a controller is asked.
pub enum ControllerRequest {
    /// About links.
    Link(LinkInput),
    /// About the pair.
    Pair(PairInput),
    /// A command.
    Command {
        /// Who gives a command with the same id again gets the same answer.
        id: Option<CommandId>,
        /// Which.
        command: Command,
        /// Gets the answer.
        reply: oneshot::Sender<Reply>,
    },
    /// An order about the pair.
    Order {
        /// Which.
        order: Order,
        /// Gets the answer.
        reply: oneshot::Sender<Reply>,
    },
    /// What follows an event.
    Read {
        /// Who asks.
        reader: ReaderId,
        /// The event.
        after: EventId,
        /// Gets at least one event, or none if it cannot be served now; or the event after which all can be read, if what it
        /// wants is released.
        reply: oneshot::Sender<Result<Vec<Stamped>, EventId>>,
    },
    /// A reader does not wait any more.
    Unread(ReaderId),
    /// Nobody will ask for events until here any more.
    Release(EventId),
    /// Wants to look at the state of the active node, and to show what it has seen.
    Look(Look),
    /// Wants to look at the node as it is, be it active or not. Nothing of what it sees may be shown as done.
    Peek(Peek),
}

/// Looks at the controller. What comes back is told whether what was seen may be shown, or why not.
pub type Look = Box<dyn FnOnce(&Controller) -> Seen + Send>;

/// Looks at the node.
pub type Peek = Box<dyn FnOnce(&Node<Controller>) + Send>;

/// Whom to tell whether what was seen may be shown.
pub type Seen = Box<dyn FnOnce(Result<(), Problem>) + Send>;

impl From<LinkInput> for ControllerRequest {
    fn from(input: LinkInput) -> Self {
        Self::Link(input)
    }
}

impl From<PairInput> for ControllerRequest {
    fn from(input: PairInput) -> Self {
        Self::Pair(input)
    }
}

/// So often a reader may be refused: for a minute.
const REFUSALS: u32 = 600;

/// Why the controller does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It has ended, or is not active any more. Whether a command was carried out is not known.
    #[error("the controller has ended, or is not active any more")]
    Gone,
    /// It could not give events for a while.
    #[error("the controller gives no events: its disk does not follow, or they cannot be read")]
    NoEvents,
    /// The events are not there any more. Whoever needs them has to begin with an image of the state.
    #[error("the events until {until} are released")]
    Released {
        /// All events after this one can be read.
        until: EventId,
    },
}

/// To talk to a controller of this process.
#[derive(Clone)]
pub struct Client {
    requests: mpsc::Sender<ControllerRequest>,
    standing: watch::Receiver<Standing>,
    /// The last number given to a reader.
    readers: Arc<AtomicU64>,
    commits: Arc<Commits>,
}

/// Says that a reader who is dropped does not wait any more.
struct Waiting<'c> {
    reader: ReaderId,
    requests: &'c mpsc::Sender<ControllerRequest>,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // When there is no room for it, the next event does the same.
            let _ = self.requests.try_send(ControllerRequest::Unread(self.reader));
        }
    }
}

impl Client {
    /// Gives a command.
    ///
    /// # Errors
    /// When the controller has ended, or is not active any more: then whether the command was carried out is not known.
    pub async fn command(&self, command: Command) -> Result<Reply, Unanswered> {
        self.command_with_id(None, command).await
    }

    /// Gives a command. Given again with the same id, here or to the other node of the pair, it has the same answer and is not
    /// carried out again.
    ///
    /// # Errors
    /// When the controller has ended, or is not active any more: then whether the command was carried out is not known.
    pub async fn command_with_id(&self, id: Option<CommandId>, command: Command) -> Result<Reply, Unanswered> {
        let (reply, replied) = oneshot::channel();
        self.request(ControllerRequest::Command { id, command, reply }).await?;
        replied.await.map_err(|_| Unanswered::Gone)
    }

    /// Orders something about the pair.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn order(&self, order: Order) -> Result<Reply, Unanswered> {
        let (reply, replied) = oneshot::channel();
        self.request(ControllerRequest::Order { order, reply }).await?;
        replied.await.map_err(|_| Unanswered::Gone)
    }

    /// How the controller stands now.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// How long commands took to be committed.
    #[must_use]
    pub fn commit_times(&self) -> CommitTimes {
        self.commits.times()
    }

    /// Waits for committed events after `after`, of which it returns at least one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the controller has ended, has refused for a minute, or the events are released.
    pub async fn events(&self, after: EventId) -> Result<Vec<Stamped>, Unanswered> {
        for _ in 0..REFUSALS {
            let (reply, replied) = oneshot::channel();
            let reader = ReaderId(self.readers.fetch_add(1, Ordering::Relaxed));
            let mut waiting = Waiting { reader, requests: &self.requests, is_over: true };
            self.request(ControllerRequest::Read { reader, after, reply }).await?;
            waiting.is_over = false;
            let answer = replied.await.map_err(|_| Unanswered::Gone);
            waiting.is_over = true;
            let answer = answer?;
            let events = answer.map_err(|until| Unanswered::Released { until })?;
            if !events.is_empty() {
                return Ok(events);
            }
            tokio::time::sleep(READ_AGAIN).await;
        }
        Err(Unanswered::NoEvents)
    }

    /// Says that nobody will ask for events until `until` any more.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn release(&self, until: EventId) -> Result<(), Unanswered> {
        self.request(ControllerRequest::Release(until)).await
    }

    /// Looks at the controller: `look` runs between two inputs, and must not take long. What it returns comes when everything
    /// that was to be seen is committed; or the problem why it does not, above all that this node is not active.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Controller) -> T + Send + 'static,
    ) -> Result<Result<T, Problem>, Unanswered> {
        let (reply, replied) = oneshot::channel();
        let look: Look = Box::new(move |controller| {
            let seen = look(controller);
            // Who has gone does not want it.
            Box::new(move |answer| drop(reply.send(answer.map(|()| seen))))
        });
        self.request(ControllerRequest::Look(look)).await?;
        replied.await.map_err(|_| Unanswered::Gone)
    }

    /// Looks at the node as it is: active or not, committed or not. For what is about the node itself.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn peek<T: Send + 'static>(
        &self,
        peek: impl FnOnce(&Node<Controller>) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (reply, replied) = oneshot::channel();
        let peek = Box::new(move |node: &Node<Controller>| drop(reply.send(peek(node))));
        self.request(ControllerRequest::Peek(peek)).await?;
        replied.await.map_err(|_| Unanswered::Gone)
    }

    async fn request(&self, request: ControllerRequest) -> Result<(), Unanswered> {
        self.requests.send(request).await.map_err(|_| Unanswered::Gone)
    }
}

/// How a controller reaches others.
#[derive(Clone, Default)]
pub struct Ways {
    /// Agents of this process.
    pub local: Local,
    /// Agents of other processes.
    pub remote: Option<Remote>,
    /// The other voters of its pair.
    pub voters: Option<Voters>,
}

/// A controller that is recovered but does not run yet.
pub struct Recovered {
    node: Node<Controller>,
    config: ControllerConfig,
    journal: Journal,
    notes: Vec<String>,
    keep_events: Option<Duration>,
}

/// Recovers a controller from its journal. With `pair` it is one of a pair, whose APIs are reached at these URLs.
///
/// # Errors
/// When the journal cannot be replayed.
pub fn recover(
    config: ControllerConfig,
    opened: Opened,
    pair: Option<(PairConfig, [String; 2])>,
) -> Result<Recovered, Halt> {
    let Opened { journal, recovered, image, records, cells, notes } = opened;
    let machine = Controller::recover(config.clone(), image.as_deref(), &records)?;
    let node = match pair {
        None => driver::alone(machine, recovered),
        Some((pair, urls)) => {
            let cell = |name| cells.get(name).map(Vec::as_slice);
            let pair = Pair::new(pair, cell(VOTE_CELL), cell(EPOCHS_CELL), recovered.end)?;
            driver::one_of_two(machine.with_pair(pair).with_uris(urls), recovered)
        }
    };
    Ok(Recovered { node, config, journal, notes, keep_events: None })
}

impl Recovered {
    /// What it has.
    #[must_use]
    pub fn state(&self) -> &State {
        self.node.machine().state()
    }

    /// Keeps events for so long at most, whether readers have released them or not. Else only what readers have released is
    /// given up.
    #[must_use]
    pub fn keeping_events(self, keep_events: Option<Duration>) -> Self {
        Self { keep_events, ..self }
    }

    /// Starts it.
    pub fn start(
        self,
        Ways { local, remote, voters }: Ways,
        entrance: Entrance<ControllerRequest>,
        operator: Operator,
        surroundings: Surroundings,
    ) -> (Running<ControllerRequest>, Client) {
        self.notes.into_iter().for_each(|note| operator.warn(note));
        let (shown, standing) = watch::channel(Standing::NONE);
        let host = ControllerHost {
            config: self.config,
            links: Links::new(local, remote, entrance.requests()),
            voters,
            last: 0,
            callers: BTreeMap::new(),
            seen: BTreeMap::new(),
            readers: BTreeMap::new(),
            released: EventId::BEFORE_FIRST,
            keep_events: self.keep_events,
            time: Timestamp::from_millis(0),
            trouble: None,
            standing: shown,
            commits: Arc::default(),
        };
        let commits = Arc::clone(&host.commits);
        let client = Client { requests: entrance.requests(), standing, readers: Arc::default(), commits };
        (driver::start(self.node, self.journal, host, entrance, operator, surroundings), client)
    }
}

struct ControllerHost {
    config: ControllerConfig,
    links: Links<ControllerRequest>,
    voters: Option<Voters>,
    /// The last number given to a caller.
    last: u64,
    callers: BTreeMap<CallerId, (Instant, oneshot::Sender<Reply>)>,
    /// What was looked at and may not be shown yet.
    seen: BTreeMap<CallerId, Seen>,
    readers: BTreeMap<ReaderId, oneshot::Sender<Result<Vec<Stamped>, EventId>>>,
    released: EventId,
    keep_events: Option<Duration>,
    /// What the wall clock showed in the last step.
    time: Timestamp,
    trouble: Option<Trouble>,
    standing: watch::Sender<Standing>,
    commits: Arc<Commits>,
}

impl ControllerHost {
    fn call(&mut self, reply: oneshot::Sender<Reply>) -> CallerId {
        self.last += 1;
        let caller = CallerId(self.last);
        self.callers.insert(caller, (Instant::now(), reply));
        caller
    }

    fn send(&self, to: Seat, envelope: &Envelope) {
        if let Some(voters) = &self.voters {
            voters.send(to, envelope);
        }
    }

    fn reply(&mut self, caller: CallerId, reply: Reply) {
        if let Some((_, waiting)) = self.callers.remove(&caller) {
            // Who has gone does not want it.
            let _ = waiting.send(reply);
        } else if let Some(tell) = self.seen.remove(&caller) {
            tell(reply.answer.map(|_| ()));
        }
    }

    fn give(&mut self, reader: ReaderId, answer: Result<Vec<Stamped>, EventId>) {
        if let Some(waiting) = self.readers.remove(&reader) {
            let _ = waiting.send(answer);
        }
    }
}

impl Host for ControllerHost {
    type Machine = Controller;
    type Request = ControllerRequest;

    fn request(&mut self, node: &Node<Controller>, request: ControllerRequest) -> Option<ControllerInput> {
        match request {
            ControllerRequest::Link(input) => Some(ControllerInput::Link(input)),
            ControllerRequest::Pair(input) => Some(ControllerInput::Pair(input)),
            ControllerRequest::Command { id, command, reply } => {
                Some(ControllerInput::Command { caller: self.call(reply), id, command })
            }
            ControllerRequest::Order { order, reply } => {
                Some(ControllerInput::Order { caller: self.call(reply), order })
            }
            ControllerRequest::Read { reader, after, reply } => {
                self.readers.insert(reader, reply);
                Some(ControllerInput::Read { reader, after })
            }
            ControllerRequest::Unread(reader) => {
                self.readers.remove(&reader);
                Some(ControllerInput::Unread { reader })
            }
            ControllerRequest::Release(until) => {
                self.released = self.released.max(until);
                None
            }
            ControllerRequest::Look(look) => {
                self.last += 1;
                let caller = CallerId(self.last);
                self.seen.insert(caller, look(node.machine()));
                Some(ControllerInput::Look { caller })
            }
            ControllerRequest::Peek(peek) => {
                peek(node);
                None
            }
        }
    }

    fn hint(&mut self, hint: Act, reading: &mut Reading<'_, Self>) {
        match hint {
            Act::Link(hint) => self.links.hint(hint),
            Act::Reply { caller, reply } => self.reply(caller, reply),
            Act::NoEvents { reader } => self.give(reader, Ok(Vec::new())),
            Act::Released { reader, until } => self.give(reader, Err(until)),
            Act::ReadRecords { reader, from } => {
                reading.records(from, move |records| ControllerInput::Records { reader, records });
            }
            Act::Pair(hint) => match pairing::hint(hint, reading, ControllerInput::Pair) {
                Left::Send(to, envelope) => self.send(to, &envelope),
                Left::Trouble(trouble) => self.trouble = Some(trouble),
                Left::Nothing => {}
            },
            Act::RollBack { to } => {
                let config = self.config.clone();
                reading.content(to, move |image, records| {
                    let replica = Controller::rebuild(&config, image.as_deref(), &records)?;
                    Ok(ControllerInput::RolledBack(Box::new(replica)))
                });
            }
            Act::Deposed => {
                // Who is dropped learns that there is no answer from here.
                self.callers.clear();
                self.seen.clear();
                self.readers.clear();
            }
            Act::Trouble(trouble) => self.trouble = Some(trouble),
            Act::AgentTrouble { agent, trouble } => {
                tracing::error!(%agent, "a person has to look: {}", standing::advice(trouble));
            }
            // Directors watch directories, and are watched.
            Act::Watch { .. } | Act::Unwatch { .. } | Act::WatchLink(_) => {}
        }
    }

    fn promise(&mut self, lane: Lane, promise: Outgoing) {
        match (lane, promise) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.links.send(link, frame),
            (Lane::Caller(caller), Outgoing::Reply(reply)) => {
                if let Some((since, _)) = self.callers.get(&caller) {
                    self.commits.count(since.elapsed());
                }
                self.reply(caller, reply);
            }
            (Lane::Caller(caller), Outgoing::Seen) => {
                if let Some(tell) = self.seen.remove(&caller) {
                    tell(Ok(()));
                }
            }
            (Lane::Reader(reader), Outgoing::Events(events)) => self.give(reader, Ok(events)),
            (Lane::Pair(_), Outgoing::Pair(to, envelope)) => self.send(to, &envelope),
            // Nothing else is promised in these lanes.
            (Lane::Link(_) | Lane::Caller(_) | Lane::Reader(_) | Lane::Pair(_), _) => {}
        }
    }

    fn image(machine: &Controller) -> Option<Vec<u8>> {
        machine.may_be_imaged().then(|| machine.replica().image())
    }

    fn imaged(&mut self, at: Position) -> Option<ControllerInput> {
        // What nobody has released is released when it is old enough.
        let old = self.keep_events.map_or(EventId::BEFORE_FIRST, |keep| {
            let millis = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
            EventId::at(Timestamp::from_millis(self.time.as_millis().saturating_sub(millis).max(0)))
        });
        Some(ControllerInput::Imaged { at, released: self.released.max(old) })
    }

    fn stepped(&mut self, node: &Node<Controller>, now: Now) {
        self.time = now.timestamp;
        let part = node.machine().pair().map(Pair::part);
        if matches!(part, Some(Part::Active | Part::Standby { is_following: true })) {
            self.trouble = None;
        }
        let standing = Standing::of(node, node.machine().pair(), self.trouble);
        let before = *self.standing.borrow();
        if before == standing {
            return;
        }
        self.standing.send_replace(standing);
        let changed = standing.pair.filter(|_| standing.pair != before.pair);
        if let (Some(pair), Some(voters)) = (changed, &self.voters) {
            pair.tell_changes(before.pair, voters);
            if let Some(known) = pair.known {
                voters.set_epoch(known.epoch.0);
            }
        }
    }
}

impl Drop for ControllerHost {
    fn drop(&mut self) {
        self.links.close();
        if let Some(voters) = &self.voters {
            voters.close();
        }
    }
}
