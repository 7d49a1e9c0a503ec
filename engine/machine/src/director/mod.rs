//! The director: the order engine of an agent. It takes orders and items from its controller, makes their steps, lets
//! subagents run their jobs, and tells the controller what happened.
//!
//! It works without its controller for as long as it must. Whether a process may be started, is to be ended, or is lost, is
//! decided here and nowhere else, and journaled before it is done: a launch leaves when `OrderProcessingStarted` is
//! committed. After a restart every process that was running is asked for at its subagent by the name of its
//! [`Attempt`](crate::attempt::Attempt).

mod controller_link;
mod duty;
mod ending;
mod execution;
mod files;
mod kill;
mod launch;
mod look;
mod outcome;
mod reaction;
mod subagent_link;

pub use look::Work;

use crate::alarms::Alarms;
use crate::codec;
use crate::draft::Slice;
use crate::host::{Act, CallerId, Lane, Outgoing, RecordReader};
use crate::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use crate::message::Message;
use crate::office::{Office, Officer as _};
use crate::planted::Bugs;
use crate::replica::{Locality, RecoveryError, Replica, Turn};
use crate::timing::Timing;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use baton_protocol::deadline::Deadlines;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::outbox::Outbox;
use baton_protocol::pair::{Order, Pair, PairInput};
use baton_protocol::random::Random;
use baton_protocol::record::{Position, Record};
use baton_protocol::time::{Instant, Now};
use baton_workflow::id::{AgentPath, ControllerId, ExternalOrderName, OrderId, OrderWatchPath, SubagentId, WorkflowId};
use baton_workflow::model::event::{Event, NodeEvent};
use baton_workflow::state::State;
use baton_workflow::state::job_queue::{JobQueues, Parking};
use baton_workflow::state::order_watch::FileDelays;
use baton_workflow::time::Timestamp;
use controller_link::ControllerLink;
use subagent_link::{SubagentLink, SubagentReason};

/// What makes one director differ from another.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectorConfig {
    /// Names the node in the journal, for people.
    pub node_id: String,
    /// The subagent of the director's own host.
    pub local_subagent: SubagentId,
    /// What its machine contributes to expressions.
    pub locality: Locality,
    /// Its times. Director and subagents must have the same.
    pub timing: Timing,
}

/// What the host says.
#[derive(Clone, Debug)]
pub enum DirectorInput {
    /// About links.
    Link(LinkInput),
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
    },
    /// All files in a directory now.
    Directory {
        /// For which file watch.
        watch: OrderWatchPath,
        /// Their names, without the directory.
        names: Vec<ExternalOrderName>,
    },
    /// A file was created or changed.
    FileFound {
        /// For which file watch.
        watch: OrderWatchPath,
        /// Its name, without the directory.
        name: ExternalOrderName,
    },
    /// A file is gone.
    FileGone {
        /// For which file watch.
        watch: OrderWatchPath,
        /// Its name, without the directory.
        name: ExternalOrderName,
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
    /// The answer to [`Act::RollBack`]: the replica of the journal as it ends there, built by [`Director::rebuild`].
    RolledBack(Box<Replica>),
    /// Start no more processes.
    Stop,
    /// The node is about to end: tell the controller.
    ShutDown,
}

/// When to look again by the monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Nobody coupled over this link.
    Uncoupled(LinkId),
    /// A sign of life for the controller.
    ControllerBeat,
    /// The controller has been silent.
    ControllerSilence,
    /// At a subagent.
    Subagent(SubagentId, SubagentReason),
    /// The time of a process is over.
    Timeout(OrderId),
}

/// When to look again by the time of day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// The order waits for it.
    Order(OrderId),
    /// The admission period of a process ends.
    EndOfAdmission(OrderId),
    /// New files of a watch have been unchanged long enough.
    Files(OrderWatchPath),
}

/// The director. See the module.
#[derive(Clone, Debug)]
pub struct Director {
    config: DirectorConfig,
    bugs: Bugs,
    replica: Replica,
    random: Random,
    seed: u64,
    office: Office,
    controller: ControllerLink,
    subagents: BTreeMap<SubagentId, SubagentLink>,
    links: BTreeMap<LinkId, SubagentId>,
    watch: duty::WatchLink,
    /// Orders that wait for their jobs, or whose processes run.
    queues: JobQueues,
    /// Those of them that have all but a subagent.
    parking: Parking,
    /// Whether a subagent may have become free for one of them.
    may_unpark: bool,
    /// The time of day of the last step.
    last_clock: Timestamp,
    /// When this step is.
    now: Instant,
    deadlines: Deadlines<Reason>,
    alarms: Alarms<Alarm>,
    clock_check: Option<Instant>,
    /// While storage is behind: when to try again what is due.
    put_off: Option<Instant>,
    /// When to go on with what one step has no room for: at once.
    go_on: Option<Instant>,
    /// Whether jobs can be started for which one step has no room.
    may_start_more: bool,
    ending: ending::Ending,
    /// Workflow versions which were suspended, continued or otherwise controlled, and the last of their orders that was looked at.
    changed: VecDeque<(WorkflowId, OrderId)>,
    /// New files which are not old enough to be reported.
    resting: BTreeMap<OrderWatchPath, FileDelays>,
    /// Watches of which something was not looked at because storage is behind.
    unread: BTreeSet<OrderWatchPath>,
    /// What the host is to do after this step.
    acts: Vec<Act>,
    /// What leaves when the record of this step is committed.
    outgoing: Vec<(Lane, Outgoing)>,
}

impl Director {
    /// A director with an empty journal. It belongs to the first controller that couples.
    #[must_use]
    pub fn new(config: DirectorConfig) -> Self {
        let replica = Replica::new(nobodys_state());
        Self::with_replica(config, replica)
    }

    /// A director in the state of an image and the records after it.
    ///
    /// # Errors
    /// When one of them is not understood, or they contradict each other.
    pub fn recover<'r>(
        config: DirectorConfig,
        image: Option<&[u8]>,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Self, RecoveryError> {
        Ok(Self::with_replica(config, Self::rebuild(image, records)?))
    }

    /// What an image and the records after it make up, for [`DirectorInput::RolledBack`].
    ///
    /// # Errors
    /// When one of them is not understood, or they contradict each other.
    pub fn rebuild<'r>(
        image: Option<&[u8]>,
        records: impl IntoIterator<Item = &'r Record>,
    ) -> Result<Replica, RecoveryError> {
        let mut replica = Replica::of_image(image, nobodys_state())?;
        for record in records {
            replica.apply(record)?;
        }
        Ok(replica)
    }

    fn with_replica(config: DirectorConfig, replica: Replica) -> Self {
        Self {
            config,
            bugs: Bugs::NONE,
            replica,
            random: Random::new(0),
            seed: 0,
            office: Office::default(),
            controller: ControllerLink::default(),
            subagents: BTreeMap::new(),
            links: BTreeMap::new(),
            watch: duty::WatchLink::default(),
            queues: JobQueues::default(),
            parking: Parking::default(),
            may_unpark: false,
            last_clock: Timestamp::MIN,
            now: Instant::ZERO,
            deadlines: Deadlines::new(),
            alarms: Alarms::new(),
            clock_check: None,
            put_off: None,
            go_on: None,
            may_start_more: false,
            ending: ending::Ending::Not,
            changed: VecDeque::new(),
            resting: BTreeMap::new(),
            unread: BTreeSet::new(),
            acts: Vec::new(),
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

    /// Whether the controller is coupled.
    #[must_use]
    pub fn is_coupled(&self) -> bool {
        self.controller.session().is_some()
    }

    /// Whether a subagent is coupled.
    #[must_use]
    pub fn is_coupled_with(&self, id: &SubagentId) -> bool {
        self.subagents.get(id).is_some_and(SubagentLink::is_coupled)
    }

    fn agent_path(&self) -> Option<&AgentPath> {
        self.replica.relations().dedication.as_ref().map(|dedication| &dedication.agent_path)
    }

    /// All orders; those at jobs in the order in which they became ready for them.
    fn orders_by_arrival(&self) -> Vec<OrderId> {
        let at_jobs = &self.replica.relations().at_jobs;
        let mut orders: Vec<(u64, OrderId)> = self
            .state()
            .orders()
            .map(|order| {
                // Ids of events are microseconds.
                let delayed = order.delayed_until().map_or(0, |until| until.as_millis().saturating_mul(1_000));
                let since = at_jobs.get(&order.id).copied().unwrap_or(0);
                (since.max(u64::try_from(delayed).unwrap_or(0)), order.id.clone())
            })
            .collect();
        orders.sort_unstable();
        orders.into_iter().map(|(_, id)| id).collect()
    }

    fn on_link(&mut self, turn: Turn<'_>, input: LinkInput, out: &mut Outbox<'_, Self>) {
        match input {
            LinkInput::Up { link, dialled: Some(Peer::Subagent(id)) } => self.subagent_link_is_up(turn, link, id, out),
            LinkInput::Up { link, dialled: None } => {
                self.deadlines.set(Reason::Uncoupled(link), turn.now.instant + self.config.timing.subagent_silence);
            }
            LinkInput::Up { link, dialled: Some(Peer::Agent(_) | Peer::Director { .. }) } => {
                hang_up(link, "directors do not dial agents", out);
            }
            LinkInput::Failed { peer: Peer::Subagent(id), ending } => self.subagent_link_failed(turn, &id, ending),
            LinkInput::Failed { .. } => {}
            LinkInput::Down { link, ending } => {
                out.withdraw(&Lane::Link(link));
                match self.links.get(&link).cloned() {
                    Some(id) => self.subagent_link_failed(turn, &id, ending),
                    None => self.forget_controller_link(link),
                }
            }
            LinkInput::Received { link, frame } => match self.links.get(&link).cloned() {
                Some(id) => {
                    if out.is_congested() {
                        return self.give_up_subagent(turn, &id, "the journal is behind", out);
                    }
                    match codec::decode_message(&frame) {
                        Ok(message) => self.on_subagent_message(turn, &id, message, out),
                        Err(error) => self.give_up_subagent(turn, &id, &error.to_string(), out),
                    }
                }
                None => {
                    if out.is_congested() {
                        return self.hang_up_controller(link, "the journal is behind", out);
                    }
                    match codec::decode_message(&frame) {
                        Ok(message) => self.on_controller_message(turn, link, message, out),
                        Err(error) => self.hang_up_controller(link, &error.to_string(), out),
                    }
                }
            },
        }
    }

    fn on_due(&mut self, turn: Turn<'_>, out: &mut Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        while let Some(reason) = self.deadlines.take_due(turn.now.instant) {
            match reason {
                Reason::Uncoupled(link) => self.hang_up_controller(link, "nobody has coupled", out),
                Reason::ControllerBeat => self.beat_controller(turn, out),
                Reason::ControllerSilence => self.controller_is_silent(out),
                Reason::Subagent(id, reason) => self.subagent_is_due(turn, &id, reason, out),
                Reason::Timeout(id) => self.time_is_over(turn, &id),
            }
        }
    }

    fn on_alarms(&mut self, turn: Turn<'_>, out: &Outbox<'_, Self>) {
        if out.is_congested() {
            return;
        }
        let mut orders = Vec::new();
        let most = self.replica.room();
        while orders.len() < most
            && let Some(alarm) = self.alarms.take_due(turn.around.now)
        {
            match alarm {
                Alarm::Order(id) => orders.push(id),
                Alarm::EndOfAdmission(id) => self.time_is_over(turn, &id),
                Alarm::Files(watch) => self.files_are_old_enough(turn, &watch),
            }
        }
        self.replica.steps(turn, orders.iter().cloned());
        for id in &orders {
            self.order_changed(turn, id);
        }
    }

    fn on_imaged(&mut self, turn: Turn<'_>, at: Position, out: &mut Outbox<'_, Self>) {
        out.imaged(at);
        let (adopted, told) = (self.controller.adopted, self.replica.relations().released);
        if self.is_working() && adopted > told && !out.is_congested() {
            // The other director of a pair cannot know it otherwise.
            let until_event_id = i64::try_from(adopted.0).unwrap_or(i64::MAX);
            self.replica.take(turn, Event::Node(NodeEvent::EventsReleased { until_event_id }));
        }
        let needed = self.replica.feed_mut().release(adopted.max(told)).min(at.offset);
        match &mut self.office.pair {
            Some(pair) => pair.release(turn.now, needed, out),
            None => out.release(needed),
        }
    }

    /// A message, when the record of this step is committed.
    fn say<M: Message>(&mut self, turn: Turn<'_>, link: LinkId, message: &M) {
        match codec::encode_message(message) {
            Ok(frame) => self.outgoing.push((Lane::Link(link), Outgoing::Frame(frame))),
            Err(_) => self.give_up_later(turn, link),
        }
    }

    /// The link is given up with the next input: giving up may decide events, and this step may have been written already.
    fn give_up_later(&mut self, turn: Turn<'_>, link: LinkId) {
        let reason = match self.links.get(&link) {
            Some(id) => Reason::Subagent(id.clone(), SubagentReason::Silence),
            None => Reason::ControllerSilence,
        };
        self.deadlines.set(reason, turn.now.instant);
    }

    fn on_arrived(&mut self, turn: Turn<'_>, input: DirectorInput, out: &mut Outbox<'_, Self>) {
        match input {
            DirectorInput::Link(input) => self.on_link(turn, input, out),
            DirectorInput::Records { reader, records } => self.on_records(reader, &records, out),
            DirectorInput::Imaged { at } => self.on_imaged(turn, at, out),
            // Whoever is active reads the directories when it takes up its work.
            DirectorInput::Directory { .. } | DirectorInput::FileFound { .. } | DirectorInput::FileGone { .. }
                if !self.is_working() => {}
            DirectorInput::Directory { watch, .. }
            | DirectorInput::FileFound { watch, .. }
            | DirectorInput::FileGone { watch, .. }
                if out.is_congested() =>
            {
                self.unread.insert(watch);
            }
            DirectorInput::Directory { watch, names } => self.directory_read(turn, &watch, &names),
            DirectorInput::FileFound { watch, name } => self.file_found(turn, &watch, &name),
            DirectorInput::FileGone { watch, name } => self.file_gone(turn, &watch, &name),
            DirectorInput::Stop => self.stop(),
            DirectorInput::ShutDown => self.shut_down(turn),
            // The office has seen to it.
            DirectorInput::Pair(_) | DirectorInput::Order { .. } | DirectorInput::RolledBack(_) => {}
        }
    }

    /// When to look again at what no input announces.
    fn look_ahead(&mut self, now: Now, out: &Outbox<'_, Self>) {
        self.put_off =
            (self.is_active() && out.is_congested()).then(|| now.instant + self.config.timing.congestion_retry);
        if !self.is_working() {
            (self.clock_check, self.go_on) = (None, None);
            return;
        }
        let check = self.clock_check.filter(|at| *at > now.instant);
        self.clock_check = self
            .alarms
            .deadline(now, self.config.timing.wall_clock_check, self.queues.next_opening())
            .into_iter()
            .chain(check)
            .min();
        self.go_on = self.has_left_something().then_some(now.instant);
    }

    /// Lets out what waits for the record of this step; or, where there is none, for the standby to say that it still follows:
    /// so nobody hears anything from a director that has been replaced.
    fn let_out(&mut self, turn: Turn<'_>, is_written: bool, out: &mut Outbox<'_, Self>) {
        for (lane, outgoing) in core::mem::take(&mut self.outgoing) {
            let fence = if is_written { out.committed() } else { out.confirmed() };
            let Lane::Link(link) = lane else { continue };
            if out.promise(fence, lane, outgoing).is_err() {
                self.give_up_later(turn, link);
            }
        }
    }
}

/// A message that asserts nothing, at once.
fn say_now<M: Message>(link: LinkId, message: &M, out: &mut Outbox<'_, Director>) {
    if let Ok(frame) = codec::encode_message(message) {
        out.hint(Act::Link(LinkHint::Send { link, frame }));
    }
}

fn hang_up(link: LinkId, reason: &str, out: &mut Outbox<'_, Director>) {
    out.withdraw(&Lane::Link(link));
    out.hint(Act::Link(LinkHint::HangUp { link, reason: reason.into() }));
}

/// The state of an agent that belongs to nobody yet.
fn nobodys_state() -> State {
    State::agent(AgentPath::new(""), ControllerId::new(""))
}

impl Machine for Director {
    type Input = DirectorInput;
    type Lane = Lane;
    type Hint = Act;
    type Promise = Outgoing;

    fn step(&mut self, now: Now, input: Input<DirectorInput>, out: &mut Outbox<'_, Self>) {
        self.now = now.instant;
        if let Input::Start { seed } = input {
            (self.seed, self.random) = (seed, Random::new(seed));
        }
        let input = self.hear_watch(now, input, out).and_then(|input| self.step_office(now, input, out));
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
        if self.is_working() {
            if turn.around.now < self.last_clock {
                self.queues.look_again();
            }
            self.last_clock = turn.around.now;
            self.on_alarms(turn, out);
            self.read_unread(turn, out);
            if goes_on && !out.is_congested() {
                self.go_on(turn);
            }
            self.react(turn);
            is_written = self.replica.commit(out).is_some();
        }
        self.let_out(turn, is_written, out);
        self.send_events(out);
        self.note_watch_is_gone(now, out);
        self.settle_office(now, out);
        for act in core::mem::take(&mut self.acts) {
            out.hint(act);
        }
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
        for (link, id) in &self.links {
            assert!(self.subagents.get(id).is_some_and(|subagent| subagent.has_link(*link)), "{link} leads nowhere");
        }
        if let Some(pair) = self.pair() {
            pair.check();
        }
        if !self.is_working() {
            return;
        }
        let relations = self.replica.relations();
        // It looks at all processes, which is too much after every step of production.
        debug_assert!(relations.processes.keys().all(|id| self.queues.contains(id)), "a process without a slot");
        for (id, subagent) in relations.subagents.iter() {
            assert!(
                !subagent.is_reachable() || self.is_coupled_with(id),
                "Subagent:{id} may be chosen but is not coupled"
            );
        }
    }
}

/// How a link ended says whether the peer is dead.
fn is_dead(ending: Ending) -> bool {
    ending == Ending::Refused
}
