//! The host: a controller, a director and two subagents, their links, disks and processes, and one clock for all.
//!
//! Checked all the time: at most one process of an order runs, event ids increase at every journal, and what a promise tells was
//! on the disk.

mod effects;

use crate::disk::Host;
use crate::process::{Act as ProcessAct, Process};
use crate::setup::{agent, controller_config, director_config};
use baton_machine::attempt::Attempt;
use baton_machine::codec::{Stamped, encode_message};
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::director::{Director, DirectorInput};
use baton_machine::draft::Slice;
use baton_machine::host::{CallerId, ReaderId, Reply};
use baton_machine::link::{Ending, LinkId, LinkInput};
use baton_machine::message::{MachineLoad, Message};
use baton_machine::process::Ended;
use baton_machine::subagent::{Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_machine::timing::Timing;
use baton_protocol::checksum::Checksum;
use baton_protocol::event_id::EventId;
use baton_protocol::frame;
use baton_protocol::journal::{Journal, Recovered};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::time::{Duration, Instant, Now, Timestamp};
use baton_workflow::id::{CommandId, ExternalOrderName, OrderId, OrderWatchPath, SubagentId};
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When the clock starts: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// The nodes, by their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Controller,
    Director,
    First,
    Second,
}

impl Name {
    fn of(address: &str) -> Option<Self> {
        match address {
            "director" => Some(Self::Director),
            "first" => Some(Self::First),
            "second" => Some(Self::Second),
            _ => None,
        }
    }
}

enum Task {
    Controller(Input<ControllerInput>),
    Director(Input<DirectorInput>),
    Subagent(Name, Input<SubagentInput>),
    /// The disk of a node has synced.
    Synced(Name),
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) controller: Host<Controller>,
    pub(crate) director: Host<Director>,
    first: Option<Node<Subagent>>,
    second: Option<Node<Subagent>>,
    links: BTreeMap<LinkId, (Name, Name)>,
    last_link: u64,
    tasks: VecDeque<Task>,
    pub(crate) processes: BTreeMap<(Name, Attempt), Process>,
    /// Nodes that nothing comes from or goes to, without anybody noticing.
    pub(crate) silent: BTreeSet<Name>,
    /// Whether every frame is delivered twice.
    pub(crate) doubles: bool,
    callers: u64,
    replies: BTreeMap<CallerId, Reply>,
    seeds: u64,
    /// How often a process was started for an order.
    pub(crate) starts: BTreeMap<OrderId, usize>,
    pub(crate) digest: Checksum,
    /// What the reader of the controller's events was answered.
    pub(crate) read_events: Vec<Vec<Stamped>>,
    /// Who may show what was seen.
    pub(crate) seen: BTreeSet<CallerId>,
    /// How often a reader was not served.
    pub(crate) unserved: usize,
    /// What a reader was told last about released events.
    pub(crate) released_until: Option<EventId>,
    /// The subagents which have stopped as they were told.
    pub(crate) stopped: Vec<Name>,
    /// How long a disk takes to sync.
    pub(crate) sync_time: Duration,
    syncs: BTreeMap<Name, Instant>,
    /// What the nodes that are started next keep of what is not on their disks.
    pub(crate) limits: Limits,
    /// How much the nodes that are started next do in one step.
    pub(crate) slice: Slice,
    /// How often a directory was to be watched.
    pub(crate) watches: usize,
    /// Bytes of all messages and records so far.
    pub(crate) told: usize,
}

impl World {
    /// All nodes are up; the controller knows the agent and its subagents.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            now: Now { instant: Instant::ZERO, timestamp: Timestamp::from_millis(START) },
            controller: Host::new(),
            director: Host::new(),
            first: None,
            second: None,
            links: BTreeMap::new(),
            last_link: 0,
            tasks: VecDeque::new(),
            processes: BTreeMap::new(),
            silent: BTreeSet::new(),
            doubles: false,
            callers: 0,
            replies: BTreeMap::new(),
            seeds: 0,
            starts: BTreeMap::new(),
            digest: Checksum::new(0),
            read_events: Vec::new(),
            seen: BTreeSet::new(),
            unserved: 0,
            released_until: None,
            stopped: Vec::new(),
            sync_time: Duration::ZERO,
            syncs: BTreeMap::new(),
            limits: Limits::DEFAULT,
            slice: Slice::DEFAULT,
            watches: 0,
            told: 0,
        };
        for name in [Name::Controller, Name::Director, Name::First, Name::Second] {
            world.start(name);
        }
        world.command(
            r#"{"TYPE": "UpdateItems", "operations": [
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "AgentRef", "path": "AGENT", "directors": ["first"]}},
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "SubagentItem", "id": "first", "agentPath": "AGENT", "uri": "director"}}
            ]}"#,
        );
        // The director answers at the address that the controller knows; the subagents have addresses of their own.
        world.command(
            r#"{"TYPE": "UpdateItems", "operations": [
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "AgentRef", "path": "AGENT", "uri": "director"}},
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "SubagentItem", "id": "first", "agentPath": "AGENT", "uri": "first"}},
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "SubagentItem", "id": "second", "agentPath": "AGENT", "uri": "second"}},
                {"TYPE": "AddOrChangeSimple", "item": {"TYPE": "SubagentBundle", "id": "FIXED", "subagentToPriority": {"first": 2, "second": 1}}}
            ]}"#,
        );
        world.run_until("coupled", |world| {
            world.controller().is_coupled_with(&agent())
                && world.director().is_coupled_with(&SubagentId::new("first"))
                && world.director().is_coupled_with(&SubagentId::new("second"))
        });
        world
    }

    pub(crate) fn controller(&self) -> &Controller {
        self.controller.node().machine()
    }

    pub(crate) fn director(&self) -> &Director {
        self.director.node().machine()
    }

    /// Starts a node, from its disk if it has one.
    pub(crate) fn start(&mut self, name: Name) {
        self.seeds += 1;
        let seed = self.seeds;
        match name {
            Name::Controller => {
                let machine = Controller::recover(controller_config(), None, &self.controller.records)
                    .expect("recovery")
                    .with_slice(self.slice);
                let journal = Journal::alone(recovered(&self.controller.records), self.limits);
                self.controller.node = Some(Node::new(machine, journal));
                self.tasks.push_back(Task::Controller(Input::Start { seed }));
            }
            Name::Director => {
                let machine = Director::recover(director_config(), None, &self.director.records)
                    .expect("recovery")
                    .with_slice(self.slice);
                let journal = Journal::alone(recovered(&self.director.records), self.limits);
                self.director.node = Some(Node::new(machine, journal));
                self.tasks.push_back(Task::Director(Input::Start { seed }));
            }
            Name::First | Name::Second => {
                let node = Node::new(
                    Subagent::new(SubagentConfig {
                        environment: BTreeMap::from([("WHERE".into(), format!("{name:?}"))]),
                        timing: Timing::DEFAULT,
                    }),
                    Journal::alone(Recovered::default(), Limits::DEFAULT),
                );
                *self.subagent_mut(name) = Some(node);
                self.tasks.push_back(Task::Subagent(name, Input::Start { seed }));
            }
        }
    }

    /// Kills a node, and its processes with it. Its peers see that, unless it is silent.
    pub(crate) fn kill(&mut self, name: Name) {
        match name {
            Name::Controller => self.controller.crash(),
            Name::Director => self.director.crash(),
            Name::First | Name::Second => *self.subagent_mut(name) = None,
        }
        self.processes.retain(|(at, _), _| *at != name);
        self.syncs.remove(&name);
        self.tasks.retain(|task| match task {
            Task::Controller(_) => name != Name::Controller,
            Task::Director(_) => name != Name::Director,
            Task::Subagent(at, _) | Task::Synced(at) => name != *at,
        });
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, (a, b))| *a == name || *b == name).map(|(link, _)| *link).collect();
        for link in links {
            if let Some((a, b)) = self.links.remove(&link) {
                let other = if a == name { b } else { a };
                if !self.silent.contains(&name) {
                    self.link_input(other, LinkInput::Down { link, ending: Ending::Lost });
                }
            }
        }
    }

    /// Gives a command and returns the answer, when it is committed.
    pub(crate) fn try_command(&mut self, command: &str) -> Reply {
        let caller = self.give_command(command);
        self.answer(caller)
    }

    /// Gives a command without waiting for the answer.
    pub(crate) fn give_command(&mut self, command: &str) -> CallerId {
        self.give_command_as(None, command)
    }

    /// Gives a command with an id without waiting for the answer.
    pub(crate) fn give_command_as(&mut self, id: Option<&str>, command: &str) -> CallerId {
        let command: Command = from_text(command).expect("a command");
        let id = id.map(CommandId::new);
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.tasks.push_back(Task::Controller(Input::Arrived(ControllerInput::Command { caller, id, command })));
        caller
    }

    /// Looks at the controller's state, and waits until what was seen may be shown.
    pub(crate) fn look(&mut self) -> CallerId {
        self.callers += 1;
        let caller = CallerId(self.callers);
        self.tasks.push_back(Task::Controller(Input::Arrived(ControllerInput::Look { caller })));
        caller
    }

    /// The answer to somebody who gave a command, as soon as there is one.
    pub(crate) fn answer(&mut self, caller: CallerId) -> Reply {
        self.run_until("answered", |world| world.replies.contains_key(&caller));
        self.replies.remove(&caller).expect("an answer")
    }

    /// Whether somebody who gave a command was answered.
    pub(crate) fn is_answered(&self, caller: CallerId) -> bool {
        self.replies.contains_key(&caller)
    }

    pub(crate) fn command(&mut self, command: &str) {
        let reply = self.try_command(command);
        assert!(reply.answer.is_ok(), "{:?}", reply.answer);
    }

    /// Asks for the controller's events after one.
    pub(crate) fn read_after(&mut self, after: EventId) {
        let input = ControllerInput::Read { reader: ReaderId(1), after };
        self.tasks.push_back(Task::Controller(Input::Arrived(input)));
    }

    /// Restarts the controller from an image of now.
    pub(crate) fn restart_from_image(&mut self) {
        let image = self.controller().replica().image();
        self.kill(Name::Controller);
        let at = recovered(&self.controller.records).end;
        let machine = Controller::recover(controller_config(), Some(&image), []).expect("recovery");
        let recovered = Recovered { end: at, image: at, released: Offset::ZERO };
        self.controller.node = Some(Node::new(machine, Journal::alone(recovered, Limits::DEFAULT)));
        self.tasks.push_back(Task::Controller(Input::Start { seed: 99 }));
    }

    /// An image of the controller is durable, and nobody needs the events before it any more.
    pub(crate) fn release_all(&mut self) -> EventId {
        let at = recovered(&self.controller.records).end;
        let released = self.controller().replica().last_event_id();
        self.tasks.push_back(Task::Controller(Input::Arrived(ControllerInput::Imaged { at, released })));
        self.drain();
        released
    }

    /// A node that is dead loses its disk.
    pub(crate) fn wipe(&mut self, name: Name) {
        match name {
            Name::Controller => self.controller = Host::new(),
            Name::Director => self.director = Host::new(),
            Name::First | Name::Second => panic!("no disk"),
        }
    }

    /// Gives a command to the controller, which crashes when `count` of the records that this leads to are on the disk. Returns
    /// how many there were.
    pub(crate) fn crash_in_command(&mut self, command: &str, count: usize) -> usize {
        self.sync_time = Duration::from_secs(1);
        let command: Command = from_text(command).expect("a command");
        let caller = CallerId(u64::MAX);
        self.step_controller(Input::Arrived(ControllerInput::Command { caller, id: None, command }));
        let records = self.controller.unsynced.len();
        self.controller.crash_after(count);
        self.sync_time = Duration::ZERO;
        self.kill(Name::Controller);
        records
    }

    /// A file appears in a directory that the director watches.
    pub(crate) fn file_appears(&mut self, watch: &str, name: &str) {
        let (watch, name) = (OrderWatchPath::new(watch), ExternalOrderName::new(name));
        self.tasks.push_back(Task::Director(Input::Arrived(DirectorInput::FileFound { watch, name })));
    }

    /// Lets a node hear something that its peer never said.
    pub(crate) fn forge<M: Message>(&mut self, from: Name, to: Name, message: &M) {
        let frame = frame::decode(&encode_message(message).expect("a message"), 1..=1).expect("a frame");
        let of = |(_, ends): &(&LinkId, &(Name, Name))| **ends == (from, to) || **ends == (to, from);
        let link = self.links.iter().find(of).map(|(link, _)| *link).expect("a link");
        self.link_input(to, LinkInput::Received { link, frame });
    }

    /// A host measures the load of its machine.
    pub(crate) fn measure(&mut self, name: Name, cpu_per_mille: u16, free_memory: u64) {
        let load = MachineLoad {
            cpu_per_mille: Some(cpu_per_mille),
            committed_memory: 1 << 20,
            free_memory,
            total_memory: 1 << 30,
        };
        self.tasks.push_back(Task::Subagent(name, Input::Arrived(SubagentInput::Metering(load))));
    }

    /// Tells a subagent to stop.
    pub(crate) fn stop(&mut self, name: Name) {
        self.tasks.push_back(Task::Subagent(name, Input::Arrived(SubagentInput::Stop { signal: None })));
    }

    /// Deploys a workflow `W` in a version, with jobs at the agent.
    pub(crate) fn deploy(&mut self, version: &str, workflow: &str) {
        self.command(&format!(
            r#"{{"TYPE": "UpdateItems", "operations": [
                {{"TYPE": "AddVersion", "versionId": "{version}"}},
                {{"TYPE": "AddOrChangeVersioned", "item": {workflow}}}
            ]}}"#,
        ));
    }

    pub(crate) fn add_order(&mut self, id: &str) {
        self.command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", "workflowPath": "W", "planId": [], "arguments": {{}}}}}}"#
        ));
    }

    /// Lets time pass until something is so. At most some minutes.
    pub(crate) fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now.instant;
        self.drain();
        while !is_so(self) {
            assert!(self.now.instant.since(start) < Duration::from_secs(600), "never {what}: {}", self.describe());
            self.advance();
        }
        self.now.instant.since(start)
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        self.drain();
        let end = self.now.instant + time;
        while self.next_time().is_some_and(|at| at <= end) {
            self.advance();
        }
        self.set_time(end);
    }

    fn subagent_mut(&mut self, name: Name) -> &mut Option<Node<Subagent>> {
        match name {
            Name::First => &mut self.first,
            Name::Second => &mut self.second,
            Name::Controller | Name::Director => panic!("no subagent"),
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let nodes = [
            self.controller.node.as_ref().and_then(Node::deadline),
            self.director.node.as_ref().and_then(Node::deadline),
            self.first.as_ref().and_then(Node::deadline),
            self.second.as_ref().and_then(Node::deadline),
        ];
        let processes = self.processes.values().filter_map(|p| p.acts.front().map(|(after, _)| p.started + *after));
        nodes.into_iter().flatten().chain(processes).chain(self.syncs.values().copied()).min()
    }

    fn set_time(&mut self, at: Instant) {
        let passed = at.since(self.now.instant);
        self.now.instant = self.now.instant + passed;
        self.now.timestamp = Timestamp::from_millis(START) + self.now.instant.since(Instant::ZERO);
    }

    fn advance(&mut self) {
        let at = self.next_time().expect("something to come");
        self.set_time(at.max(self.now.instant));
        let now = self.now.instant;
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_due(self.controller.node.as_ref().and_then(Node::deadline)) {
            self.tasks.push_back(Task::Controller(Input::Due));
        }
        if is_due(self.director.node.as_ref().and_then(Node::deadline)) {
            self.tasks.push_back(Task::Director(Input::Due));
        }
        if is_due(self.first.as_ref().and_then(Node::deadline)) {
            self.tasks.push_back(Task::Subagent(Name::First, Input::Due));
        }
        if is_due(self.second.as_ref().and_then(Node::deadline)) {
            self.tasks.push_back(Task::Subagent(Name::Second, Input::Due));
        }
        let synced: Vec<Name> = self.syncs.iter().filter(|(_, at)| **at <= now).map(|(name, _)| *name).collect();
        for name in synced {
            self.syncs.remove(&name);
            self.tasks.push_back(Task::Synced(name));
        }
        self.run_processes();
        self.drain();
    }

    fn run_processes(&mut self) {
        let now = self.now.instant;
        let mut inputs = Vec::new();
        let mut ended = Vec::new();
        for ((name, attempt), process) in &mut self.processes {
            while process.acts.front().is_some_and(|(after, _)| process.started + *after <= now) {
                let Some((_, act)) = process.acts.pop_front() else { break };
                let attempt = attempt.clone();
                match act {
                    ProcessAct::Write(channel, chunk) => {
                        inputs.push((*name, SubagentInput::Output { attempt, channel, chunk }))
                    }
                    ProcessAct::Exit(code) => {
                        let how = Ended::Exited { code };
                        let return_values =
                            Ok(process.returned.iter().map(|(n, v)| (n.as_str().into(), v.as_str().into())).collect());
                        let duration = now.since(process.started);
                        ended.push((*name, attempt.clone()));
                        inputs.push((*name, SubagentInput::Ended { attempt, how, return_values, duration }));
                        break;
                    }
                }
            }
        }
        for key in ended {
            self.processes.remove(&key);
        }
        for (name, input) in inputs {
            self.tasks.push_back(Task::Subagent(name, Input::Arrived(input)));
        }
    }

    fn drain(&mut self) {
        let mut steps = 0;
        while let Some(task) = self.tasks.pop_front() {
            steps += 1;
            assert!(steps < 100_000, "livelock");
            match task {
                Task::Controller(input) => self.step_controller(input),
                Task::Director(input) => self.step_director(input),
                Task::Subagent(name, input) => self.step_subagent(name, input),
                Task::Synced(name) => self.synced(name),
            }
        }
    }

    /// What is written from now on waits for the next sync.
    fn begin_sync(&mut self, name: Name) {
        if self.sync_time == Duration::ZERO {
            self.tasks.push_back(Task::Synced(name));
        } else {
            self.syncs.insert(name, self.now.instant + self.sync_time);
        }
    }

    fn synced(&mut self, name: Name) {
        match name {
            Name::Controller => {
                if let Some(stored) = self.controller.sync() {
                    self.step_controller(Input::Stored(stored));
                }
            }
            _ => {
                if let Some(stored) = self.director.sync() {
                    self.step_director(Input::Stored(stored));
                }
            }
        }
    }

    fn step_controller(&mut self, input: Input<ControllerInput>) {
        let Some(node) = &mut self.controller.node else { return };
        let mut effects = Vec::new();
        node.step(self.now, input, &mut effects);
        self.digest.update(format!("{effects:?}").as_bytes());
        for effect in effects {
            match effect {
                Effect::Append { generation, record } => {
                    self.told += record.payload.len();
                    if self.controller.append(generation, record) {
                        self.begin_sync(Name::Controller);
                    }
                }
                Effect::Hint(act) => self.act(Name::Controller, act),
                Effect::Promise { lane, promise } => self.promise(Name::Controller, lane, promise),
                Effect::Truncate { .. } | Effect::Install { .. } | Effect::Put { .. } | Effect::Release { .. } => {}
            }
        }
    }

    fn step_director(&mut self, input: Input<DirectorInput>) {
        let Some(node) = &mut self.director.node else { return };
        let mut effects = Vec::new();
        node.step(self.now, input, &mut effects);
        self.digest.update(format!("{effects:?}").as_bytes());
        for effect in effects {
            match effect {
                Effect::Append { generation, record } => {
                    self.told += record.payload.len();
                    if self.director.append(generation, record) {
                        self.begin_sync(Name::Director);
                    }
                }
                Effect::Hint(act) => self.act(Name::Director, act),
                Effect::Promise { lane, promise } => self.promise(Name::Director, lane, promise),
                Effect::Truncate { .. } | Effect::Install { .. } | Effect::Put { .. } | Effect::Release { .. } => {}
            }
        }
    }

    fn step_subagent(&mut self, name: Name, input: Input<SubagentInput>) {
        let now = self.now;
        let Some(node) = self.subagent_mut(name) else { return };
        let mut effects = Vec::new();
        node.step(now, input, &mut effects);
        self.digest.update(format!("{effects:?}").as_bytes());
        for effect in effects {
            let Effect::Hint(hint) = effect else { panic!("a subagent has no journal") };
            match hint {
                SubagentHint::Link(hint) => self.link_hint(name, hint),
                SubagentHint::Start { attempt, spec } => self.launch(name, attempt, &spec),
                SubagentHint::Kill { attempt, signal } => self.signal(name, attempt, signal),
                SubagentHint::Pause { .. } | SubagentHint::Resume { .. } | SubagentHint::Lease { .. } => {}
                SubagentHint::Stopped => self.stopped.push(name),
            }
        }
    }
}

fn recovered(records: &[Record]) -> Recovered {
    let end = records.last().map_or(Position::ORIGIN, |record| record.id.after());
    Recovered { end, ..Recovered::default() }
}
