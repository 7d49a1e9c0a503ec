//! The host of a controller: its callers, its readers, its links.

use super::links::Links;
use super::local::Local;
use crate::driver::{self, Entrance, Halt, Host, Journal, Opened, Operator, Reading, Running};
use baton_machine::codec::Stamped;
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, ReaderId, Reply};
use baton_machine::link::LinkInput;
use baton_protocol::event_id::EventId;
use baton_protocol::node::Node;
use baton_protocol::pair::Order;
use baton_protocol::record::Position;
use baton_workflow::id::CommandId;
use baton_workflow::model::command::Command;
use baton_workflow::problem::Problem;
use baton_workflow::state::State;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// So long after a refusal a reader asks again.
const READ_AGAIN: Duration = Duration::from_millis(100);

/// What a controller is asked.
pub enum ControllerRequest {
    /// About links.
    Link(LinkInput),
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
        /// The event.
        after: EventId,
        /// Gets at least one event, or none if it cannot be served now; or the event after which all can be read, if what it
        /// wants is released.
        reply: oneshot::Sender<Result<Vec<Stamped>, EventId>>,
    },
    /// Nobody will ask for events until here any more.
    Release(EventId),
    /// Wants to look at the state of the active node, and to show what it has seen.
    Look(Look),
    /// Wants to look at the node as it is, be it active or not. Nothing of what it sees may be shown as done.
    Peek(Box<dyn FnOnce(&Node<Controller>) + Send>),
}

/// Looks at the controller. What comes back is told whether what was seen may be shown, or why not.
pub type Look = Box<dyn FnOnce(&Controller) -> Seen + Send>;

/// Whom to tell whether what was seen may be shown.
pub type Seen = Box<dyn FnOnce(Result<(), Problem>) + Send>;

impl From<LinkInput> for ControllerRequest {
    fn from(input: LinkInput) -> Self {
        Self::Link(input)
    }
}

/// So often a reader may be refused: for a minute.
const REFUSALS: u32 = 600;

/// Why the controller does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It has ended, or is not active any more.
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

    /// Waits for committed events after `after`, of which it returns at least one. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the controller has ended, has refused for a minute, or the events are released.
    pub async fn events(&self, after: EventId) -> Result<Vec<Stamped>, Unanswered> {
        for _ in 0..REFUSALS {
            let (reply, replied) = oneshot::channel();
            self.request(ControllerRequest::Read { after, reply }).await?;
            let answer = replied.await.map_err(|_| Unanswered::Gone)?;
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

/// A controller that is recovered but does not run yet.
pub struct Recovered {
    machine: Controller,
    journal: Journal,
    recovered: baton_protocol::journal::Recovered,
    notes: Vec<String>,
}

/// Recovers a controller from its journal.
///
/// # Errors
/// When the journal cannot be replayed.
pub fn recover(config: ControllerConfig, opened: Opened) -> Result<Recovered, Halt> {
    let Opened { journal, recovered, image, records, notes } = opened;
    let machine = Controller::recover(config, image.as_deref(), &records)?;
    Ok(Recovered { machine, journal, recovered, notes })
}

impl Recovered {
    /// What it has.
    #[must_use]
    pub fn state(&self) -> &State {
        self.machine.state()
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the operating system refuses something.
    pub fn start(self, local: Local, operator: Operator) -> Result<(Running<ControllerRequest>, Client), Halt> {
        self.notes.into_iter().for_each(|note| operator.warn(note));
        let entrance = Entrance::new();
        let host = ControllerHost {
            links: Links::new(local, entrance.requests()),
            last: 0,
            callers: BTreeMap::new(),
            seen: BTreeMap::new(),
            readers: BTreeMap::new(),
            released: EventId::BEFORE_FIRST,
        };
        let client = Client { requests: entrance.requests() };
        Ok((driver::start(self.machine, self.journal, self.recovered, host, entrance, operator)?, client))
    }
}

struct ControllerHost {
    links: Links<ControllerRequest>,
    /// The last number given to a caller or reader.
    last: u64,
    callers: BTreeMap<CallerId, oneshot::Sender<Reply>>,
    /// What was looked at and may not be shown yet.
    seen: BTreeMap<CallerId, Seen>,
    readers: BTreeMap<ReaderId, oneshot::Sender<Result<Vec<Stamped>, EventId>>>,
    released: EventId,
}

impl ControllerHost {
    fn call(&mut self, reply: oneshot::Sender<Reply>) -> CallerId {
        self.last += 1;
        let caller = CallerId(self.last);
        self.callers.insert(caller, reply);
        caller
    }

    fn reply(&mut self, caller: CallerId, reply: Reply) {
        if let Some(waiting) = self.callers.remove(&caller) {
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
            ControllerRequest::Command { id, command, reply } => {
                Some(ControllerInput::Command { caller: self.call(reply), id, command })
            }
            ControllerRequest::Order { order, reply } => {
                Some(ControllerInput::Order { caller: self.call(reply), order })
            }
            ControllerRequest::Read { after, reply } => {
                self.readers.retain(|_, waiting| !waiting.is_closed());
                self.last += 1;
                let reader = ReaderId(self.last);
                self.readers.insert(reader, reply);
                Some(ControllerInput::Read { reader, after })
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
            // Directors watch directories.
            Act::Watch { .. } | Act::Unwatch { .. } => {}
            // Dropping them says so.
            Act::Deposed => {
                self.callers.clear();
                self.seen.clear();
                self.readers.clear();
            }
            // It is not a node of a pair.
            Act::Pair(_) | Act::RollBack { .. } | Act::Trouble(_) => {}
        }
    }

    fn promise(&mut self, lane: Lane, promise: Outgoing) {
        match (lane, promise) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.links.send(link, frame),
            (Lane::Caller(caller), Outgoing::Reply(reply)) => self.reply(caller, reply),
            (Lane::Caller(caller), Outgoing::Seen) => {
                if let Some(tell) = self.seen.remove(&caller) {
                    tell(Ok(()));
                }
            }
            (Lane::Reader(reader), Outgoing::Events(events)) => self.give(reader, Ok(events)),
            // Nothing else is promised in these lanes.
            (Lane::Link(_) | Lane::Caller(_) | Lane::Reader(_) | Lane::Pair(_), _) => {}
        }
    }

    fn image(machine: &Controller) -> Option<Vec<u8>> {
        Some(machine.replica().image())
    }

    fn imaged(&mut self, at: Position) -> Option<ControllerInput> {
        Some(ControllerInput::Imaged { at, released: self.released })
    }
}

impl Drop for ControllerHost {
    fn drop(&mut self) {
        self.links.close();
    }
}
