//! The host of a controller: its callers, its readers, its links.

use super::links::Links;
use super::local::Local;
use crate::driver::{self, Entrance, Halt, Host, Journal, Opened, Operator, Reading, Running};
use baton_machine::codec::Stamped;
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, ReaderId, Reply};
use baton_machine::link::LinkInput;
use baton_protocol::event_id::EventId;
use baton_protocol::record::Position;
use baton_workflow::model::command::Command;
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
        /// Which.
        command: Command,
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
    /// Wants the state as it is, and the last event in it.
    State(oneshot::Sender<(State, EventId)>),
}

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
    /// It has ended.
    #[error("the controller has ended")]
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
    /// When the controller has ended.
    pub async fn command(&self, command: Command) -> Result<Reply, Unanswered> {
        let (reply, replied) = oneshot::channel();
        self.request(ControllerRequest::Command { command, reply }).await?;
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

    /// A copy of the state as it is, and the last event in it. What it shows may not be committed yet.
    ///
    /// # Errors
    /// When the controller has ended.
    pub async fn state(&self) -> Result<(State, EventId), Unanswered> {
        let (reply, replied) = oneshot::channel();
        self.request(ControllerRequest::State(reply)).await?;
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
    readers: BTreeMap<ReaderId, oneshot::Sender<Result<Vec<Stamped>, EventId>>>,
    released: EventId,
}

impl ControllerHost {
    fn reply(&mut self, caller: CallerId, reply: Reply) {
        if let Some(waiting) = self.callers.remove(&caller) {
            // Who has gone does not want it.
            let _ = waiting.send(reply);
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

    fn request(&mut self, machine: &Controller, request: ControllerRequest) -> Option<ControllerInput> {
        match request {
            ControllerRequest::Link(input) => Some(ControllerInput::Link(input)),
            ControllerRequest::Command { command, reply } => {
                self.last += 1;
                let caller = CallerId(self.last);
                self.callers.insert(caller, reply);
                Some(ControllerInput::Command { caller, command })
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
            ControllerRequest::State(reply) => {
                let replica = machine.replica();
                let _ = reply.send((replica.state().clone(), replica.last_event_id()));
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
            // It is not a node of a pair.
            Act::Pair(_) | Act::RollBack { .. } | Act::Deposed | Act::Trouble(_) => {}
        }
    }

    fn promise(&mut self, lane: Lane, promise: Outgoing) {
        match (lane, promise) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.links.send(link, frame),
            (Lane::Caller(caller), Outgoing::Reply(reply)) => self.reply(caller, reply),
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
