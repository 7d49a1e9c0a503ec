//! The controller: takes commands, makes the steps of the orders it has, hands orders and items to agents, adopts what
//! happens there, and gives its events to whoever reads them.
//!
//! After each input it decides all events that follow, writes them as one record, and lets everything that leaves wait until
//! that record is committed. What is to be told to an agent follows from the state alone (see
//! [`Transit`](crate::relations::Transit)), so nothing is forgotten by a crash.

mod adoption;
mod agent_commands;
mod agent_link;
mod agent_watch;
mod bulk;
mod duty;
mod handover;
mod length;
mod reaction;
mod readers;
mod repetition;
mod reset;

use crate::alarms::Alarms;
use crate::codec;
use crate::draft::Slice;
use crate::host::{Act, CallerId, Lane, Outgoing, ReaderId, RecordReader, Reply};
use crate::link::{LinkHint, LinkId, LinkInput};
use crate::message::{Message, Voting};
use crate::office::{Office, Officer as _};
use crate::planted::Bugs;
use crate::reading::StoredReading;
use crate::replica::{Locality, RecoveryError, Replica, Turn};
use crate::timing::Timing;
use agent_link::{AgentLink, AgentReason};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::event_id::EventId;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::{Order, Pair, PairInput};
use baton_protocol::record::{Position, Record};
use baton_protocol::time::{Instant, Now};
use baton_workflow::id::{AgentPath, CommandId, ControllerId, OrderId};
use baton_workflow::json::Json as _;
use baton_workflow::model::command::{Command, Response};
use baton_workflow::problem::{Checked, Problem};
use baton_workflow::state::State;
use baton_workflow::time::Timestamp;

/// Most readers that wait at a time.
pub const MAX_READERS: usize = 10_000;

/// What makes one controller differ from another.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerConfig {
    /// Its id.
    pub controller_id: ControllerId,
    /// Names the node in the journal, for people.
    pub node_id: String,
    /// What its machine contributes to expressions.
    pub locality: Locality,
    /// Its times. Agents must have the same.
    pub timing: Timing,
}

/// What the host says.
#[derive(Clone, Debug)]
pub enum ControllerInput {
    /// About links.
    Link(LinkInput),
    /// Somebody commands.
    Command {
        /// Who.
        caller: CallerId,
        /// Who gives the same command with the same id again gets the same answer, and nothing is done again: see
        /// [`answers`](crate::answers).
        id: Option<CommandId>,
        /// What.
        command: Command,
    },
    /// The host has looked at the state, for a caller: answered by [`Outgoing::Seen`] when all that was to be seen is committed,
    /// and no other node can have been active meanwhile.
    Look {
        /// Who.
        caller: CallerId,
    },
    /// A reader wants what follows an event; answered once, as soon as there is something, or it cannot be served.
    Read {
        /// Who. Asking again replaces the question before.
        reader: ReaderId,
        /// The last event it has.
        after: EventId,
    },
    /// A reader is gone.
    Unread {
        /// Which.
        reader: ReaderId,
    },
    /// The answer to [`Act::ReadRecords`].
    Records {
        /// For whom.
        reader: RecordReader,
        /// The records; none if they have been released.
        records: Vec<Record>,
    },
    /// An image of the state, taken when the journal ended at `at`, is durable.
    Imaged {
        /// Where.
        at: Position,
        /// Readers need no events until here any more.
        released: EventId,
    },
    /// About the pair. What comes with more has inputs of its own: [`Self::Order`] and [`Self::RolledBack`].
    Pair(PairInput),
    /// Somebody orders something about the pair; answered when it is done, or refused.
    Order {
        /// Who.
        caller: CallerId,
        /// What.
        order: Order,
    },
    /// The answer to [`Act::RollBack`]: the replica of the journal as it ends there, built by [`Controller::rebuild`].
    RolledBack(Box<Replica>),
}

/// When to look again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// At an agent.
    Agent(AgentPath, AgentReason),
}

/// The controller. See the module.
#[derive(Clone, Debug)]
pub struct Controller {
    config: ControllerConfig,
    bugs: Bugs,
    replica: Replica,
    seed: u64,
    office: Office,
    agents: BTreeMap<AgentPath, AgentLink>,
    links: BTreeMap<LinkId, AgentPath>,
    /// Watches of agents who may not say yet who they are.
    unnamed: BTreeMap<AgentPath, agent_watch::Unnamed>,
    /// Readers for whom there is nothing yet.
    readers: BTreeMap<ReaderId, EventId>,
    /// Readers for whom the host reads records.
    reading: BTreeMap<ReaderId, StoredReading>,
    deadlines: Deadlines<Reason>,
    alarms: Alarms<OrderId>,
    /// When to look at the wall clock.
    clock_check: Option<Instant>,
    /// While storage is behind: when to try again what is due.
    put_off: Option<Instant>,
    /// When to go on with what one step has no room for: at once.
    go_on: Option<Instant>,
    /// The command over very many orders which is being carried out.
    current: Option<bulk::Current>,
    /// Who is to be answered when such a command is done, by the event with which it began.
    waiting: BTreeMap<u64, Vec<CallerId>>,
    /// Agents whose orders are coming back because they are reset, and how far.
    returning: BTreeMap<AgentPath, reset::Returning>,
    /// What leaves when the record of this step is committed.
    outgoing: Vec<(Lane, Outgoing)>,
}

impl Controller {
    /// A controller with an empty journal, before its records are replayed.
    #[must_use]
    pub fn new(config: ControllerConfig) -> Self {
        let replica = Replica::new(State::controller(config.controller_id.clone()));
        Self::with_replica(config, replica)
    }

    /// A controller in the state of an image and the records after it.
    ///
    /// # Errors
    /// When one of them is not understood, or they contradict each other.
    pub fn recover<'r>(
        config: ControllerConfig,
        image: Option<&[u8]>,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Self, RecoveryError> {
        let replica = Self::rebuild(&config, image, records)?;
        Ok(Self::with_replica(config, replica))
    }

    /// What an image and the records after it make up, for [`ControllerInput::RolledBack`].
    ///
    /// # Errors
    /// When one of them is not understood, or they contradict each other.
    pub fn rebuild<'r>(
        config: &ControllerConfig,
        image: Option<&[u8]>,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Replica, RecoveryError> {
        let mut replica = Replica::of_image(image, State::controller(config.controller_id.clone()))?;
        for record in records {
            replica.apply(record)?;
        }
        Ok(replica)
    }

    fn with_replica(config: ControllerConfig, replica: Replica) -> Self {
        Self {
            config,
            bugs: Bugs::NONE,
            replica,
            seed: 0,
            office: Office::default(),
            agents: BTreeMap::new(),
            links: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            readers: BTreeMap::new(),
            reading: BTreeMap::new(),
            deadlines: Deadlines::new(),
            alarms: Alarms::new(),
            clock_check: None,
            put_off: None,
            go_on: None,
            current: None,
            waiting: BTreeMap::new(),
            returning: BTreeMap::new(),
            outgoing: Vec::new(),
        }
    }

    /// Does so much in one step, instead of [`Slice::DEFAULT`].
    #[must_use]
    pub fn with_slice(mut self, slice: Slice) -> Self {
        self.replica.set_slice(slice);
        self
    }

    /// With a fault, for tests of tests.
    #[must_use]
    pub fn with_bugs(mut self, bugs: Bugs) -> Self {
        self.bugs = bugs;
        self
    }

    /// What the journal makes up.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// The items, orders and so on.
    #[must_use]
    pub fn state(&self) -> &State {
        self.replica.state()
    }

    /// Whether an agent is coupled now, and both have compared what they have.
    #[must_use]
    pub fn is_coupled_with(&self, agent: &AgentPath) -> bool {
        self.agents.get(agent).is_some_and(AgentLink::is_reconciled)
    }

    fn command(
        &mut self,
        turn: Turn<'_>,
        caller: CallerId,
        id: Option<&CommandId>,
        command: &Command,
        out: &mut Outbox<'_, Self>,
    ) {
        let is_behind = || Problem::coded("Busy", [], "The controller is busy: its journal is behind. Try again later");
        if let Some(problem) = self.unfit_for_commands().or_else(|| out.is_congested().then(is_behind)) {
            let reply = Reply { answer: Err(problem), event_id: self.replica.last_event_id() };
            return out.hint(Act::Reply { caller, reply });
        }
        if let Some(id) = id
            && self.answer_again(caller, id, command)
        {
            return;
        }
        let answer = match length::check(command).and_then(|()| self.begin_bulk(turn, command)) {
            Ok(Some(begun)) => {
                if let Some(id) = id {
                    self.name_command(turn, id, command, begun);
                }
                return self.answer_after(begun, caller);
            }
            Ok(None) => self.answer(turn, command, out),
            Err(problem) => Err(problem),
        };
        if let (Some(id), Ok(response)) = (id, &answer) {
            self.record_answer(turn, id, command, response);
        }
        self.reply(caller, answer);
    }

    /// The answer to a refused command depends on the state too.
    fn reply(&mut self, caller: CallerId, answer: Checked<Response>) {
        let reply = Reply { answer, event_id: self.replica.last_event_id() };
        self.outgoing.push((Lane::Caller(caller), Outgoing::Reply(reply)));
    }

    fn look(&mut self, caller: CallerId, out: &mut Outbox<'_, Self>) {
        if self.is_active() {
            return self.outgoing.push((Lane::Caller(caller), Outgoing::Seen));
        }
        let reply = Reply { answer: Err(self.office.is_not_active()), event_id: self.replica.last_event_id() };
        out.hint(Act::Reply { caller, reply });
    }

    fn answer(&mut self, turn: Turn<'_>, command: &Command, out: &mut Outbox<'_, Self>) -> Checked<Response> {
        match command {
            Command::ResetAgent { agent_path, force } => self.reset_agent(turn, agent_path, *force, out),
            Command::ResetSubagent { subagent_id, force } => self.reset_subagent(turn, subagent_id, *force),
            Command::AddOrders { .. } => {
                self.replica.execute(turn, command)?;
                let event_id = i64::try_from(self.replica.last_event_id().0).unwrap_or(i64::MAX);
                Ok(Response::AddOrders { event_id })
            }
            // Each by itself, since some are decided here.
            Command::Batch { commands } => {
                let mut responses = Vec::with_capacity(commands.len());
                for command in commands {
                    let answer = match command {
                        Command::Batch { .. } => Err(Problem::coded("NestedBatch", [], "A Batch cannot be in a Batch")),
                        command => match self.begin_bulk(turn, command) {
                            Ok(Some(_)) => Ok(Response::Accepted),
                            Ok(None) => self.answer(turn, command, out),
                            Err(problem) => Err(problem),
                        },
                    };
                    responses.push(match answer {
                        Ok(response) => response.write(),
                        Err(problem) => problem.write(),
                    });
                }
                Ok(Response::Batch { responses })
            }
            command => self.replica.execute(turn, command),
        }
    }

    fn on_link(&mut self, turn: Turn<'_>, input: LinkInput, out: &mut Outbox<'_, Self>) {
        match input {
            LinkInput::Up { link, dialled: Some(peer) } => self.link_is_up(turn, link, &peer, out),
            LinkInput::Up { link, dialled: None } => hang_up(link, "controllers are not dialled by nodes", out),
            LinkInput::Failed { peer, ending } => self.dialling_failed(turn, &peer, ending),
            LinkInput::Down { link, .. } => self.link_is_down(turn, link, out),
            LinkInput::Received { link, frame } => {
                let Some(path) = self.links.get(&link).cloned() else { return };
                if out.is_congested() {
                    return self.give_up(turn, &path, link, "the journal is behind", out);
                }
                if Voting::is_in(&frame) {
                    return self.voting_arrived(turn, &path, link, &frame, out);
                }
                match codec::decode_message(&frame) {
                    Ok(message) => self.on_agent_message(turn, &path, link, message, out),
                    Err(error) => self.give_up(turn, &path, link, &error.to_string(), out),
                }
            }
        }
    }

    fn on_due(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        while let Some(reason) = self.deadlines.take_due(turn.now.instant) {
            match reason {
                Reason::Agent(path, reason) => self.agent_is_due(turn, &path, reason, out),
            }
        }
    }

    /// Orders that waited for a time of day.
    fn on_alarms(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        self.forget_what_is_over(turn);
        let mut due = Vec::new();
        let most = self.replica.room();
        while due.len() < most
            && let Some(order_id) = self.alarms.take_due(turn.around.now)
        {
            due.push(order_id);
        }
        self.replica.steps(turn, due.iter().cloned());
        for order_id in due {
            // An order that does not go on though its time has come waits for something else, and that will wake it.
            let at = self.waits_until(&order_id).filter(|at| *at > turn.around.now);
            self.alarms.set(order_id, at);
        }
    }

    /// Goes on with what earlier steps had no room for.
    fn go_on(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        if self.replica.has_left_something() {
            return self.replica.go_on(turn);
        }
        if !self.returning.is_empty() {
            return self.fetch_back_more(turn);
        }
        self.go_on_with_commands(turn);
    }

    fn has_left_something(&self) -> bool {
        self.replica.has_left_something()
            || !self.returning.is_empty()
            || !self.replica.relations().commands.is_empty()
            || self.has_unsent_commands()
    }

    /// Notices whose life is over, and plans which were kept long enough.
    fn forget_what_is_over(&mut self, turn: Turn<'_>) {
        let now = turn.around.now;
        let most = self.replica.room();
        for event in self.state().notices().decide_ends(now, most) {
            self.replica.take(turn, event);
        }
        if self.state().plans().next_deletion().is_some_and(|at| at <= now) {
            for event in self.state().plans().decide_deletions(self.state().notices(), now) {
                self.replica.take(turn, event);
            }
        }
    }

    /// Wakes the order when it waits for a time of day.
    fn set_alarm(&mut self, id: &OrderId) {
        let at = self.waits_until(id);
        self.alarms.set(id.clone(), at);
    }

    fn waits_until(&self, id: &OrderId) -> Option<Timestamp> {
        self.state().order(id).filter(|order| order.is_detached()).and_then(|order| order.delayed_until())
    }

    /// A message for an agent, when the record of this step is committed.
    fn say<M: Message>(&mut self, turn: Turn<'_>, link: LinkId, message: &M) {
        match codec::encode_message(message) {
            Ok(frame) => self.outgoing.push((Lane::Link(link), Outgoing::Frame(frame))),
            Err(_) => self.give_up_later(turn, link),
        }
    }

    /// The link is given up with the next input: this one may have been written already.
    fn give_up_later(&mut self, turn: Turn<'_>, link: LinkId) {
        if let Some(path) = self.links.get(&link) {
            let number = self.agents.get(path).and_then(|agent| agent.director_at(link)).unwrap_or_default();
            let is_session = self.agents.get(path).is_some_and(|agent| agent.is_session(link));
            let reason = if is_session { AgentReason::Silence } else { AgentReason::Coupling(number) };
            self.deadlines.set(Reason::Agent(path.clone(), reason), turn.now.instant);
        }
    }

    fn on_arrived(&mut self, turn: Turn<'_>, input: ControllerInput, out: &mut Outbox<'_, Self>) {
        match input {
            ControllerInput::Link(input) => self.on_link(turn, input, out),
            ControllerInput::Command { caller, id, command } => self.command(turn, caller, id.as_ref(), &command, out),
            ControllerInput::Look { caller } => self.look(caller, out),
            ControllerInput::Read { reader, after } => self.read(reader, after, out),
            ControllerInput::Unread { reader } => {
                self.forget_reader(reader);
                out.withdraw(&Lane::Reader(reader));
            }
            ControllerInput::Records { reader, records } => self.on_records(reader, &records, out),
            ControllerInput::Imaged { at, released } => self.on_imaged(turn.now, at, released, out),
            // The office has seen to it.
            ControllerInput::Pair(_) | ControllerInput::Order { .. } | ControllerInput::RolledBack(_) => {}
        }
    }

    /// When to look again at what no input announces.
    fn look_ahead(&mut self, now: Now, out: &Outbox<'_, Self>) {
        self.put_off =
            (self.is_active() && out.is_congested()).then(|| now.instant + self.config.timing.congestion_retry);
        if !self.office.is_working() {
            (self.clock_check, self.go_on) = (None, None);
            return;
        }
        let check = self.clock_check.filter(|at| *at > now.instant);
        let ends = [self.state().notices().next_end_of_life(), self.state().plans().next_deletion()];
        self.clock_check = self
            .alarms
            .deadline(now, self.config.timing.wall_clock_check, ends.into_iter().flatten())
            .into_iter()
            .chain(check)
            .min();
        self.go_on = self.has_left_something().then_some(now.instant);
    }

    /// Lets out what waits for the record of this step; or, where there is none, for the standby to say that it still follows:
    /// else an answer might be drawn from a state which a new active has changed meanwhile.
    fn let_out(&mut self, turn: Turn<'_>, is_written: bool, out: &mut Outbox<'_, Self>) {
        for (lane, outgoing) in core::mem::take(&mut self.outgoing) {
            let is_question = matches!(outgoing, Outgoing::Seen);
            let fence = if is_written { out.committed() } else { out.confirmed() };
            if out.promise(fence, lane, outgoing).is_err() {
                match lane {
                    Lane::Link(link) => self.give_up_later(turn, link),
                    Lane::Caller(caller) => {
                        let answer = Err(if is_question {
                            Problem::coded("Busy", [], "The controller's journal is behind. Try again later")
                        } else {
                            let message =
                                "The command was carried out, but is not yet safe. Whether it stays is unknown";
                            Problem::coded("OutcomeUnknown", [], message)
                        });
                        let reply = Reply { answer, event_id: self.replica.last_event_id() };
                        out.hint(Act::Reply { caller, reply });
                    }
                    Lane::Reader(reader) => out.hint(Act::NoEvents { reader }),
                    // The pair says it again.
                    Lane::Pair(_) => {}
                }
            }
        }
    }
}

/// A message that asserts nothing, at once.
fn say_now<M: Message>(link: LinkId, message: &M, out: &mut Outbox<'_, Controller>) {
    if let Ok(frame) = codec::encode_message(message) {
        out.hint(Act::Link(LinkHint::Send { link, frame }));
    }
}

fn hang_up(link: LinkId, reason: &str, out: &mut Outbox<'_, Controller>) {
    out.withdraw(&Lane::Link(link));
    out.hint(Act::Link(LinkHint::HangUp { link, reason: reason.into() }));
}

impl Machine for Controller {
    type Input = ControllerInput;
    type Lane = Lane;
    type Hint = Act;
    type Promise = Outgoing;

    fn step(&mut self, now: Now, input: Input<ControllerInput>, out: &mut Outbox<'_, Self>) {
        if let Input::Start { seed } = input {
            self.seed = seed;
        }
        let input = self.step_office(now, input, out);
        let locality = core::mem::take(&mut self.config.locality);
        let turn = Turn::new(now, out.journal().epoch(), &locality);
        self.follow_office(turn, out);
        // Others are not to wait for what was left.
        let goes_on = matches!(input, Some(Input::Start { .. } | Input::Due));
        match input {
            None | Some(Input::Start { .. } | Input::Stored(_)) => {}
            Some(Input::Due) => self.on_due(turn, out),
            Some(Input::Arrived(input)) => self.on_arrived(turn, input, out),
        }
        let mut is_written = false;
        if self.office.is_working() {
            self.on_alarms(turn, out);
            if goes_on {
                self.go_on(turn, out);
            }
            self.react(turn);
            self.flush_commands(turn, out);
            if let Some(committing) = self.replica.commit(out) {
                self.serve_readers(&committing.events);
                is_written = true;
            }
        }
        self.name_watches(out);
        self.let_out(turn, is_written, out);
        self.settle_office(now, out);
        self.look_ahead(now, out);
        self.config.locality = locality;
    }

    fn deadline(&self) -> Option<Instant> {
        // What is due would be put off again at once.
        let own =
            self.put_off.or_else(|| self.go_on.into_iter().chain(self.deadlines.next()).chain(self.clock_check).min());
        own.into_iter().chain(self.pair().and_then(Pair::deadline)).min()
    }

    fn check(&self) {
        self.deadlines.check();
        assert!(self.outgoing.is_empty(), "something was not let out");
        assert_eq!(self.replica.pending_len(), 0, "something was decided but not written");
        if let Some(pair) = self.pair() {
            pair.check();
        }
        for (link, path) in &self.links {
            assert!(self.agents.get(path).is_some_and(|agent| agent.has_link(*link)), "{link} leads nowhere");
        }
    }
}
