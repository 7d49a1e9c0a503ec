//! The host of pairs: two controllers and two directors with their watches, a subagent in the process of each director and one
//! that stands alone. Messages and syncs take a millisecond; who is cut off is not told.
//!
//! Checked all the time: at most one process of an order runs. When it is asked whether both nodes of a pair know the same: event ids
//! increase, and replay leads to the state that is there.

mod effects;
mod observe;

use super::disk::Disk;
use crate::process::Process;
use crate::setup::{agent, controller_config, director_config};
use baton_machine::attempt::Attempt;
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::director::{Director, DirectorInput};
use baton_machine::host::{CallerId, RecordReader, Reply};
use baton_machine::link::{Ending, LinkId, LinkInput};
use baton_machine::subagent::{Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_machine::timing::Timing;
use baton_protocol::journal::{Journal, Recovered};
use baton_protocol::limit::{IMAGE_PIECE, Limits};
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing as PairTiming;
use baton_protocol::pair::{EPOCHS_CELL, Order as PairOrder, Pair, PairConfig, PairHint, PairInput, VOTE_CELL};
use baton_protocol::record::{Offset, Position};
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant, Now, Timestamp};
use baton_protocol::watch::{Outgoing as WatchOutgoing, Watch, WatchMachine};
use baton_workflow::id::{ExternalOrderName, OrderId, OrderWatchPath, SubagentId};
use baton_workflow::json::from_text;
use baton_workflow::model::command::Command;
use std::collections::{BTreeMap, BTreeSet};

const START: i64 = 1_767_225_600_000;
const DELAY: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    C1,
    C2,
    CW,
    D1,
    D2,
    DW,
    /// The subagents of the directors' processes.
    S1,
    S2,
    /// One alone.
    S3,
}

use Name::{C1, C2, CW, D1, D2, DW, S1, S2, S3};

const ALL: [Name; 9] = [C1, C2, CW, D1, D2, DW, S1, S2, S3];

impl Name {
    /// Whose process it is part of.
    fn process(self) -> Self {
        match self {
            S1 => D1,
            S2 => D2,
            name => name,
        }
    }

    /// Its cluster and its seat.
    fn seat(self) -> Option<([Self; 3], Seat)> {
        let at = |cluster: [Self; 3]| {
            let seat = cluster.iter().position(|name| *name == self)?;
            Some((cluster, [Seat::First, Seat::Second, Seat::Watch][seat]))
        };
        at([C1, C2, CW]).or_else(|| at([D1, D2, DW]))
    }
}

enum Running {
    Controller(Box<Node<Controller>>),
    Director(Box<Node<Director>>),
    Subagent(Box<Node<Subagent>>),
    Watch(Box<Node<WatchMachine>>),
}

enum Arrival {
    Start(u64),
    Due,
    Synced,
    Link(LinkInput),
    Pair(PairInput),
    Command(CallerId, Command),
    Order(CallerId, PairOrder),
    RolledBack,
    Records(RecordReader, Offset),
    Directory(OrderWatchPath),
    /// An image is durable.
    Imaged(Position),
    Process(SubagentInput),
}

pub(crate) struct World {
    pub(crate) now: Now,
    queue: BTreeMap<(Instant, u64), (Name, u64, Arrival)>,
    count: u64,
    nodes: BTreeMap<Name, Running>,
    pub(crate) disks: BTreeMap<Name, Disk>,
    /// How often each was started.
    lives: BTreeMap<Name, u64>,
    links: BTreeMap<LinkId, (Name, Name)>,
    pub(crate) processes: BTreeMap<(Name, Attempt), Process>,
    pub(crate) starts: BTreeMap<OrderId, usize>,
    /// Processes between which nothing goes.
    cut: BTreeSet<(Name, Name)>,
    replies: BTreeMap<CallerId, Reply>,
    /// The files in each watched directory.
    pub(crate) files: BTreeMap<OrderWatchPath, BTreeSet<String>>,
    /// Who watches.
    pub(crate) watching: BTreeSet<(Name, OrderWatchPath)>,
    /// Whether the active controller is the watch of the directors.
    is_controller_watch: bool,
    /// Whether there are two directors.
    is_pair: bool,
    /// Over which links the directors reach it.
    watch_links: BTreeMap<Name, LinkId>,
    /// Images are taken after so many records; zero: never.
    pub(crate) image_after: u64,
}

impl World {
    /// Both pairs are coupled, and the directors with all subagents and the controller.
    pub(crate) fn new() -> Self {
        Self::with(false, true)
    }

    /// The agent has one director, which is alone.
    pub(crate) fn with_one_director() -> Self {
        Self::with(false, false)
    }

    /// The director of the agent ends, and begins anew as the first of two.
    pub(crate) fn add_director(&mut self) {
        self.kill(D1);
        self.is_pair = true;
        for name in [D1, D2, DW] {
            self.start(name);
        }
        self.deploy_agent(r#""one", "two""#);
    }

    /// The same, and the active controller is the watch of the directors.
    pub(crate) fn watched_by_controllers() -> Self {
        Self::with(true, true)
    }

    fn with(is_controller_watch: bool, is_pair: bool) -> Self {
        let mut world = Self {
            now: Now { instant: Instant::ZERO, timestamp: Timestamp::from_millis(START) },
            queue: BTreeMap::new(),
            count: 0,
            nodes: BTreeMap::new(),
            disks: ALL.iter().map(|name| (*name, Disk::default())).collect(),
            lives: BTreeMap::new(),
            links: BTreeMap::new(),
            processes: BTreeMap::new(),
            starts: BTreeMap::new(),
            cut: BTreeSet::new(),
            replies: BTreeMap::new(),
            files: BTreeMap::new(),
            watching: BTreeSet::new(),
            is_controller_watch,
            is_pair,
            watch_links: BTreeMap::new(),
            image_after: 0,
        };
        for name in [C1, C2, CW, D1, D2, DW, S3] {
            let is_there = match name {
                DW => is_pair && !is_controller_watch,
                D2 => is_pair,
                _ => true,
            };
            if is_there {
                world.start(name);
            }
        }
        world.run_until("controllers", |world| world.is_coupled_pair(C1) && world.controller(C1).is_working());
        world.deploy_agent(if is_pair { r#""one", "two""# } else { r#""one""# });
        if is_pair {
            world.settle(D1);
        } else {
            let three = SubagentId::new("three");
            world.run_until("coupled", |world| {
                world.director(D1).is_coupled() && world.director(D1).is_coupled_with(&three)
            });
        }
        world
    }

    fn deploy_agent(&mut self, directors: &str) {
        self.command(&format!(
            r#"{{"TYPE": "UpdateItems", "operations": [
                {{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "AgentRef", "path": "AGENT", "directors": [{directors}]}}}},
                {{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentItem", "id": "one", "agentPath": "AGENT", "uri": "d1"}}}},
                {{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentItem", "id": "two", "agentPath": "AGENT", "uri": "d2"}}}},
                {{"TYPE": "AddOrChangeSimple", "item": {{"TYPE": "SubagentItem", "id": "three", "agentPath": "AGENT", "uri": "s3"}}}}
            ]}}"#,
        ));
    }

    /// Until this director is active with everything coupled.
    pub(crate) fn settle(&mut self, active: Name) {
        self.run_until("settled", |world| {
            world.is_coupled_pair(active)
                && world.controllers().any(|controller| controller.is_coupled_with(&agent()))
                && ["one", "two", "three"].iter().all(|id| world.director(active).is_coupled_with(&SubagentId::new(id)))
        });
    }

    /// Starts a process from its disk.
    pub(crate) fn start(&mut self, name: Name) {
        let life = self.lives.entry(name).or_default();
        *life += 1;
        let seed = *life * 100 + name as u64;
        let disk = &self.disks[&name];
        let (recovered, (image, records)) = (disk.recovered(), disk.content());
        let pair = |seat| {
            let (vote, epochs) = (disk.cell(VOTE_CELL), disk.cell(EPOCHS_CELL));
            Pair::new(PairConfig::new(seat), vote, epochs, recovered.end).expect("cells")
        };
        let following = || Journal::following(recovered, Limits::DEFAULT);
        let without_journal = || Journal::alone(Recovered::default(), Limits::DEFAULT);
        let running = match (name, name.seat()) {
            (CW | DW, _) => {
                let watch = Watch::new(PairTiming::DEFAULT, Bugs::NONE, disk.cell(VOTE_CELL)).expect("a vote");
                Running::Watch(Box::new(Node::new(WatchMachine(watch), without_journal())))
            }
            (C1 | C2, Some((_, seat))) => {
                let machine = Controller::recover(controller_config(), image, records).expect("recovery");
                Running::Controller(Box::new(Node::new(machine.with_pair(pair(seat)), following())))
            }
            (D1 | D2, Some((_, seat))) => {
                let mut config = director_config();
                config.local_subagent = SubagentId::new(if name == D1 { "one" } else { "two" });
                let machine = Director::recover(config, image, records).expect("recovery");
                if !self.is_pair {
                    let alone = Journal::alone(recovered, Limits::DEFAULT);
                    self.nodes.insert(name, Running::Director(Box::new(Node::new(machine, alone))));
                    self.step(name, Arrival::Start(seed));
                    return self.start(S1);
                }
                let machine = machine.with_pair(pair(seat));
                let machine = if self.is_controller_watch { machine.with_controller_as_watch() } else { machine };
                Running::Director(Box::new(Node::new(machine, following())))
            }
            _ => {
                let environment = BTreeMap::from([("WHERE".into(), format!("{name:?}"))]);
                let config = SubagentConfig { environment, timing: Timing::DEFAULT };
                Running::Subagent(Box::new(Node::new(Subagent::new(config), without_journal())))
            }
        };
        self.nodes.insert(name, running);
        self.step(name, Arrival::Start(seed));
        if let Some((cluster, _)) = name.seat() {
            for other in cluster {
                self.link_voters(name, other);
            }
        }
        match name {
            D1 => self.start(S1),
            D2 => self.start(S2),
            _ => {}
        }
    }

    fn link_voters(&mut self, one: Name, other: Name) {
        let (Some((_, first)), Some((_, second))) = (one.seat(), other.seat()) else { return };
        if one != other && self.is_running(one) && self.is_running(other) && !self.is_cut(one, other) {
            self.arrive(one, Arrival::Pair(PairInput::Up(second)));
            self.arrive(other, Arrival::Pair(PairInput::Up(first)));
        }
    }

    /// Kills a process; its peers see that at once, unless they are cut off.
    pub(crate) fn kill(&mut self, name: Name) {
        match name {
            D1 => self.kill(S1),
            D2 => self.kill(S2),
            _ => {}
        }
        self.nodes.remove(&name);
        self.disks.get_mut(&name).unwrap().crash();
        self.processes.retain(|(at, _), _| *at != name);
        self.watching.retain(|(at, _)| *at != name);
        self.watch_links.remove(&name);
        for link in self.links_of(name) {
            self.end_link(name, link);
        }
        if let Some((cluster, seat)) = name.seat() {
            for other in cluster {
                if other != name && !self.is_cut(name, other) {
                    self.arrive(other, Arrival::Pair(PairInput::Down { seat, refused: true }));
                }
            }
        }
    }

    /// Nothing goes between these processes any more, and nobody is told.
    pub(crate) fn cut(&mut self, one: Name, others: &[Name]) {
        for other in others {
            self.cut.extend([(one, *other), (*other, one)]);
        }
    }

    /// Everything goes everywhere again. Links over which something was lost have ended.
    pub(crate) fn heal(&mut self) {
        let lost: Vec<LinkId> =
            self.links.iter().filter(|(_, (one, other))| self.is_cut(*one, *other)).map(|(link, _)| *link).collect();
        for link in lost {
            let (one, other) = self.links.remove(&link).unwrap();
            for name in [one, other] {
                self.arrive(name, Arrival::Link(LinkInput::Down { link, ending: Ending::Lost }));
            }
        }
        for (one, other) in std::mem::take(&mut self.cut) {
            self.link_voters(one, other);
        }
    }

    fn is_cut(&self, one: Name, other: Name) -> bool {
        self.cut.contains(&(one.process(), other.process()))
    }

    /// Gives the active controller a command, again until it is done.
    pub(crate) fn command(&mut self, command: &str) {
        let command: Command = from_text(command).expect("a command");
        let caller = CallerId(self.count);
        let name = self.active_controller();
        self.step(name, Arrival::Command(caller, command));
        self.run_until("answered", |world| world.replies.contains_key(&caller));
        let reply = self.replies.remove(&caller).unwrap();
        assert!(reply.answer.is_ok(), "{:?}", reply.answer);
    }

    fn active_controller(&self) -> Name {
        let is_working = |name: &Name| self.is_running(*name) && self.controller(*name).is_working();
        [C1, C2].into_iter().find(is_working).expect("a controller that works")
    }

    /// Orders something of a node of a pair, and does not wait for the answer.
    pub(crate) fn give_order(&mut self, name: Name, order: PairOrder) {
        let caller = CallerId(self.count);
        self.step(name, Arrival::Order(caller, order));
    }

    /// Orders something of a node of a pair.
    pub(crate) fn order(&mut self, name: Name, order: PairOrder) {
        let caller = CallerId(self.count);
        self.step(name, Arrival::Order(caller, order));
        self.run_until("obeyed", |world| world.replies.contains_key(&caller));
        let reply = self.replies.remove(&caller).unwrap();
        assert!(reply.answer.is_ok(), "{:?}", reply.answer);
    }

    /// Deploys a workflow `W` and adds an order.
    pub(crate) fn run_order(&mut self, id: &str, workflow: &str) {
        self.command(&format!(
            r#"{{"TYPE": "UpdateItems", "operations": [
                {{"TYPE": "AddVersion", "versionId": "of-{id}"}},
                {{"TYPE": "AddOrChangeVersioned", "item": {workflow}}}
            ]}}"#,
        ));
        self.command(&format!(
            r#"{{"TYPE": "AddOrder", "order": {{"id": "{id}", "workflowPath": "W", "planId": [], "arguments": {{}}}}}}"#
        ));
    }

    /// The files in a watched directory change, and whoever watches it is told.
    pub(crate) fn set_files(&mut self, watch: &str, names: &[&str]) {
        let watch = OrderWatchPath::new(watch);
        self.files.insert(watch.clone(), names.iter().map(|name| (*name).to_owned()).collect());
        let watching: Vec<Name> = self.watching.iter().filter(|(_, it)| *it == watch).map(|(name, _)| *name).collect();
        for name in watching {
            self.arrive(name, Arrival::Directory(watch.clone()));
        }
    }

    pub(crate) fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now.instant;
        while !is_so(self) {
            assert!(self.now.instant.since(start) < Duration::from_secs(200), "never {what}: {}", self.describe());
            self.advance();
        }
        self.now.instant.since(start)
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.next_time().is_some_and(|at| at <= end) {
            self.advance();
        }
        self.set_time(end);
    }

    fn next_time(&self) -> Option<Instant> {
        let deadlines = self.nodes.values().filter_map(Running::deadline);
        let processes = self.processes.values().filter_map(|p| p.acts.front().map(|(after, _)| p.started + *after));
        deadlines.chain(processes).chain(self.queue.keys().next().map(|(at, _)| *at)).min()
    }

    fn set_time(&mut self, at: Instant) {
        self.now.instant = self.now.instant.max(at);
        self.now.timestamp = Timestamp::from_millis(START) + self.now.instant.since(Instant::ZERO);
    }

    fn advance(&mut self) {
        let at = self.next_time().expect("something to come");
        self.set_time(at);
        self.run_processes();
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now.instant) {
            let (name, life, arrival) = entry.remove();
            if self.is_running(name) && self.lives[&name] == life {
                self.step(name, arrival);
                self.take_image(name);
            }
        }
        for name in ALL {
            let deadline = self.nodes.get(&name).and_then(Running::deadline);
            if deadline.is_some_and(|deadline| deadline <= self.now.instant) {
                self.step(name, Arrival::Due);
            }
        }
    }

    /// Takes images of nodes all of whose journal is committed.
    fn take_image(&mut self, name: Name) {
        let disk = self.disks.get_mut(&name).unwrap();
        if self.image_after == 0 || disk.since_image() < self.image_after || !disk.is_synced() {
            return;
        }
        let (journal, is_fit, image): (_, _, &dyn Fn() -> Vec<u8>) = match self.nodes.get(&name) {
            Some(Running::Controller(node)) => {
                (node.journal(), node.machine().may_be_imaged(), &|| node.machine().replica().image())
            }
            Some(Running::Director(node)) => {
                (node.journal(), node.machine().may_be_imaged(), &|| node.machine().replica().image())
            }
            _ => return,
        };
        if is_fit && journal.end() == disk.end() && journal.watermarks().committed == disk.end().offset {
            let at = disk.keep_image(image());
            self.arrive(name, Arrival::Imaged(at));
        }
    }

    fn arrive(&mut self, name: Name, arrival: Arrival) {
        let Some(life) = self.lives.get(&name).copied() else { return };
        self.count += 1;
        self.queue.insert((self.now.instant + DELAY, self.count), (name, life, arrival));
    }

    fn step(&mut self, name: Name, arrival: Arrival) {
        self.count += 1;
        let now = self.now;
        let stored = matches!(arrival, Arrival::Synced).then(|| self.disks.get_mut(&name).unwrap().sync());
        let replica = matches!(arrival, Arrival::RolledBack).then(|| Box::new(self.rebuild(name)));
        let records = match &arrival {
            Arrival::Records(_, from) | Arrival::Pair(PairInput::Read { from, .. }) => {
                self.disks[&name].records_from(*from).iter().take(1_000).cloned().collect()
            }
            _ => Vec::new(),
        };
        let arrival = match arrival {
            Arrival::Pair(PairInput::ImageRead { at, from, .. }) => {
                let piece = self.disks[&name].read_image(at, from, IMAGE_PIECE);
                Arrival::Pair(PairInput::ImageRead { at, from, piece })
            }
            arrival => arrival,
        };
        let names = match &arrival {
            Arrival::Directory(watch) => {
                self.files.get(watch).into_iter().flatten().map(|name| ExternalOrderName::new(name)).collect()
            }
            _ => Vec::new(),
        };
        let Some(running) = self.nodes.get_mut(&name) else { return };
        match running {
            Running::Controller(node) => {
                let input = match arrival {
                    Arrival::Link(input) => ControllerInput::Link(input),
                    Arrival::Pair(input) => ControllerInput::Pair(with_records(input, records)),
                    Arrival::Command(caller, command) => ControllerInput::Command { caller, id: None, command },
                    Arrival::Order(caller, order) => ControllerInput::Order { caller, order },
                    Arrival::RolledBack => ControllerInput::RolledBack(replica.unwrap()),
                    Arrival::Records(reader, _) => ControllerInput::Records { reader, records },
                    Arrival::Imaged(at) => {
                        ControllerInput::Imaged { at, released: node.machine().replica().last_event_id() }
                    }
                    arrival => return self.stepped(name, general(arrival, stored)),
                };
                let mut effects = Vec::new();
                node.step(now, Input::Arrived(input), &mut effects);
                self.carry_out(name, effects);
            }
            Running::Director(node) => {
                let input = match arrival {
                    Arrival::Link(input) => DirectorInput::Link(input),
                    Arrival::Pair(input) => DirectorInput::Pair(with_records(input, records)),
                    Arrival::Order(caller, order) => DirectorInput::Order { caller, order },
                    Arrival::RolledBack => DirectorInput::RolledBack(replica.unwrap()),
                    Arrival::Records(reader, _) => DirectorInput::Records { reader, records },
                    Arrival::Imaged(at) => DirectorInput::Imaged { at },
                    Arrival::Directory(watch) => DirectorInput::Directory { watch, names },
                    arrival => return self.stepped(name, general(arrival, stored)),
                };
                let mut effects = Vec::new();
                node.step(now, Input::Arrived(input), &mut effects);
                self.carry_out(name, effects);
            }
            Running::Subagent(node) => {
                let input = match arrival {
                    Arrival::Link(input) => Input::Arrived(SubagentInput::Link(input)),
                    Arrival::Process(input) => Input::Arrived(input),
                    arrival => general(arrival, stored).into_input(),
                };
                let mut effects = Vec::new();
                node.step(now, input, &mut effects);
                for effect in effects {
                    let Effect::Hint(hint) = effect else { panic!("a subagent has no journal") };
                    match hint {
                        SubagentHint::Link(hint) => self.link_hint(name, hint),
                        SubagentHint::Start { attempt, spec } => self.launch(name, attempt, &spec),
                        SubagentHint::Kill { attempt, signal } => self.signal(name, attempt, signal),
                        SubagentHint::Pause { .. }
                        | SubagentHint::Resume { .. }
                        | SubagentHint::Lease { .. }
                        | SubagentHint::Stopped => {}
                    }
                }
            }
            Running::Watch(node) => {
                let input = match arrival {
                    Arrival::Pair(input) => Input::Arrived(input),
                    arrival => general(arrival, stored).into_input(),
                };
                let mut effects = Vec::new();
                node.step(now, input, &mut effects);
                for effect in effects {
                    match self.disks.get_mut(&name).unwrap().take(effect) {
                        Ok(is_first) => self.begin_sync(name, is_first),
                        Err(Effect::Hint(PairHint::Send(to, envelope)))
                        | Err(Effect::Promise { promise: WatchOutgoing { to, envelope }, .. }) => {
                            self.tell(name, to, &envelope);
                        }
                        Err(effect) => panic!("{effect:?}"),
                    }
                }
            }
        }
    }

    /// The same inputs for controllers and directors.
    fn stepped(&mut self, name: Name, general: General) {
        let now = self.now;
        let mut effects = Vec::new();
        match self.nodes.get_mut(&name) {
            Some(Running::Controller(node)) => node.step(now, general.into_input(), &mut effects),
            Some(Running::Director(node)) => node.step(now, general.into_input(), &mut effects),
            _ => {}
        }
        self.carry_out(name, effects);
    }
}

/// What every machine takes.
enum General {
    Start(u64),
    Due,
    Stored(baton_protocol::journal::Stored),
}

impl General {
    fn into_input<I>(self) -> Input<I> {
        match self {
            Self::Start(seed) => Input::Start { seed },
            Self::Due => Input::Due,
            Self::Stored(stored) => Input::Stored(stored),
        }
    }
}

fn general(arrival: Arrival, stored: Option<baton_protocol::journal::Stored>) -> General {
    match (arrival, stored) {
        (Arrival::Start(seed), _) => General::Start(seed),
        (Arrival::Due, _) => General::Due,
        (Arrival::Synced, Some(stored)) => General::Stored(stored),
        _ => panic!("not for this machine"),
    }
}

fn with_records(input: PairInput, records: Vec<baton_protocol::record::Record>) -> PairInput {
    match input {
        PairInput::Read { number, from, .. } => PairInput::Read { number, from, records },
        input => input,
    }
}

impl Running {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Controller(node) => node.deadline(),
            Self::Director(node) => node.deadline(),
            Self::Subagent(node) => node.deadline(),
            Self::Watch(node) => node.deadline(),
        }
    }
}
