//! The world: controllers, agents and subagents in one thread, with simulated clocks, links, disks, processes and files.
//!
//! It hosts the very machines of production. Whatever they do at one time is done in the order in which it was asked for;
//! only then does the time go on. Nothing here draws from anything but its arguments, so a run repeats exactly.
//!
//! Links between live nodes deliver at once and in order. A disk confirms at once. Both can be made worse by whoever drives
//! the world ([`World::crash`]).

pub mod conformance;
pub mod process;

use crate::trace::Trace;
use baton_machine::codec::{Assembly, MESSAGE_VERSIONS};
use baton_machine::controller::{Controller, ControllerConfig, ControllerInput};
use baton_machine::director::{Director, DirectorConfig, DirectorInput};
use baton_machine::host::{Act, CallerId, Lane, Outgoing, Reply};
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_machine::replica::Locality;
use baton_machine::subagent::{Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_machine::timing::Timing;
use baton_protocol::frame;
use baton_protocol::journal::{Journal, Recovered, Stored};
use baton_protocol::limit::Limits;
use baton_protocol::machine::{Input, Machine};
use baton_protocol::node::Node;
use baton_protocol::outbox::{Effect, EffectOf};
use baton_protocol::record::{Offset, Position, Record};
use baton_protocol::time::{Instant, Now, Timestamp};
use baton_workflow::id::{AgentPath, ControllerId, SubagentId};
use baton_workflow::model::command::{Command, Response};
use baton_workflow::problem::{Checked, Problem};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Most inputs at one time; more can only come from a loop.
const MAX_INPUTS: usize = 1_000_000;

/// A node of the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The controller.
    Controller,
    /// The director of an agent.
    Director(AgentPath),
    /// A subagent.
    Subagent(SubagentId),
}

/// What is about to reach a node.
#[derive(Debug)]
enum Arrival {
    Start,
    Due,
    Stored(Stored),
    Controller(ControllerInput),
    Director(DirectorInput),
    Subagent(SubagentInput),
}

/// A node that keeps a journal, and its disk, which outlives it.
struct Keeper<M: Machine> {
    /// None while it is down.
    node: Option<Node<M>>,
    disk: Vec<Record>,
}

impl<M: Machine> Keeper<M> {
    fn down() -> Self {
        Self { node: None, disk: Vec::new() }
    }

    fn end(&self) -> Position {
        self.disk.last().map_or_else(Position::default, |record| record.id.after())
    }

    fn journal(&self) -> Journal {
        let recovered = Recovered { released: Offset(0), image: Position::default(), end: self.end() };
        Journal::alone(recovered, Limits::DEFAULT)
    }
}

/// The world.
pub struct World {
    now: Now,
    timing: Timing,
    controller: Keeper<Controller>,
    directors: BTreeMap<AgentPath, Keeper<Director>>,
    subagents: BTreeMap<SubagentId, Option<Node<Subagent>>>,
    /// The subagent of each director's own host.
    local: BTreeMap<AgentPath, SubagentId>,
    /// The other end of each end of a link.
    links: BTreeMap<LinkId, (Place, LinkId)>,
    last_link: u64,
    last_caller: u64,
    last_seed: u64,
    arrivals: VecDeque<(Place, Arrival)>,
    replies: BTreeMap<CallerId, Reply>,
    /// What subagents asked of their hosts, for whoever plays the processes.
    process_hints: VecDeque<(SubagentId, SubagentHint)>,
    /// What directors asked of their hosts about files.
    watched: BTreeMap<(AgentPath, baton_workflow::id::OrderWatchPath), String>,
    /// Those of them which are to be read as a whole, because a director has begun to watch them, maybe again.
    unread: Vec<(AgentPath, baton_workflow::id::OrderWatchPath)>,
    trace: Trace,
}

impl World {
    /// A world without nodes, whose clocks show this time.
    #[must_use]
    pub fn new(time: Timestamp, timing: Timing) -> Self {
        Self {
            now: Now { instant: Instant::ZERO, timestamp: time },
            timing,
            controller: Keeper::down(),
            directors: BTreeMap::new(),
            subagents: BTreeMap::new(),
            local: BTreeMap::new(),
            links: BTreeMap::new(),
            last_link: 0,
            last_caller: 0,
            last_seed: 0,
            arrivals: VecDeque::new(),
            replies: BTreeMap::new(),
            process_hints: VecDeque::new(),
            watched: BTreeMap::new(),
            unread: Vec::new(),
            trace: Trace::default(),
        }
    }

    /// What the clocks show.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now
    }

    /// The digest of everything that happened.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The controller, while it runs.
    #[must_use]
    pub fn controller(&self) -> Option<&Controller> {
        self.controller.node.as_ref().map(Node::machine)
    }

    /// The director of an agent, while it runs.
    #[must_use]
    pub fn director(&self, path: &AgentPath) -> Option<&Director> {
        self.directors.get(path)?.node.as_ref().map(Node::machine)
    }

    /// The agents which have a director.
    pub fn agents(&self) -> impl Iterator<Item = &AgentPath> {
        self.directors.keys()
    }

    /// Sets the time of day. `elapsed` is how much time has really passed.
    pub fn set_clock(&mut self, timestamp: Timestamp, elapsed: Duration) {
        self.now.timestamp = timestamp;
        self.now.instant = self.now.instant + elapsed;
    }

    /// The next deadline of any node.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let controller = self.controller.node.iter().filter_map(Node::deadline);
        let directors = self.directors.values().filter_map(|keeper| keeper.node.as_ref()?.deadline());
        let subagents = self.subagents.values().filter_map(|node| node.as_ref()?.deadline());
        controller.chain(directors).chain(subagents).min()
    }

    /// Starts the controller on what is on its disk.
    ///
    /// # Panics
    /// When its journal cannot be replayed.
    pub fn start_controller(&mut self) {
        let config = ControllerConfig {
            controller_id: ControllerId::new("Controller"),
            node_id: "controller".into(),
            locality: Locality::default(),
            timing: self.timing,
        };
        #[expect(clippy::expect_used, reason = "its own journal must be replayable: that is an invariant of the world")]
        let machine = Controller::recover(config, None, &self.controller.disk).expect("a replayable journal");
        self.controller.node = Some(Node::new(machine, self.controller.journal()));
        self.arrivals.push_back((Place::Controller, Arrival::Start));
    }

    /// Starts the director of an agent on what is on its disk, with the subagent of its own host.
    ///
    /// # Panics
    /// When its journal cannot be replayed.
    pub fn start_director(&mut self, path: &AgentPath, local: &SubagentId) {
        let config = DirectorConfig {
            node_id: format!("director-{path}"),
            local_subagent: local.clone(),
            locality: Locality::default(),
            timing: self.timing,
        };
        self.local.insert(path.clone(), local.clone());
        let keeper = self.directors.entry(path.clone()).or_insert_with(Keeper::down);
        #[expect(clippy::expect_used, reason = "its own journal must be replayable: that is an invariant of the world")]
        let machine = Director::recover(config, None, &keeper.disk).expect("a replayable journal");
        keeper.node = Some(Node::new(machine, keeper.journal()));
        self.arrivals.push_back((Place::Director(path.clone()), Arrival::Start));
    }

    /// Starts a subagent.
    pub fn start_subagent(&mut self, id: &SubagentId) {
        let config = SubagentConfig { environment: BTreeMap::new(), timing: self.timing };
        let journal = Journal::alone(Recovered::default(), Limits::DEFAULT);
        self.subagents.insert(id.clone(), Some(Node::new(Subagent::new(config), journal)));
        self.arrivals.push_back((Place::Subagent(id.clone()), Arrival::Start));
    }

    /// Kills a node: what it had in memory is gone, its links are refused from now on, its disk stays.
    pub fn crash(&mut self, place: &Place) {
        match place {
            Place::Controller => self.controller.node = None,
            Place::Director(path) => {
                if let Some(keeper) = self.directors.get_mut(path) {
                    keeper.node = None;
                }
            }
            Place::Subagent(id) => {
                self.subagents.insert(id.clone(), None);
                self.process_hints.retain(|(subagent, _)| subagent != id);
            }
        }
        self.arrivals.retain(|(to, _)| to != place);
        let lost: Vec<LinkId> = self.links.iter().filter(|(_, (at, _))| at == place).map(|(link, _)| *link).collect();
        for link in lost {
            // The peer's end: its entry names this place as the one it leads to.
            self.links.remove(&link);
            if let Some((peer, _)) = self.ends_of(link) {
                self.arrive_link(peer, LinkInput::Down { link, ending: Ending::Refused });
            }
        }
        self.links.retain(|_, (at, _)| at != place);
    }

    /// Whose end of a link this is.
    fn ends_of(&self, link: LinkId) -> Option<(Place, LinkId)> {
        self.links.iter().find(|(_, (_, other))| *other == link).map(|(own, (at, _))| (at.clone(), *own))
    }

    /// Gives a command to the controller. Answered when the world has settled.
    pub fn command(&mut self, command: Command) -> CallerId {
        self.last_caller += 1;
        let caller = CallerId(self.last_caller);
        self.arrivals.push_back((
            Place::Controller,
            Arrival::Controller(ControllerInput::Command { caller, id: None, command }),
        ));
        caller
    }

    /// The answer to a command.
    ///
    /// # Errors
    /// The command was refused, or has not been answered.
    pub fn answer(&mut self, caller: CallerId) -> Checked<Response> {
        match self.replies.remove(&caller) {
            Some(reply) => reply.answer,
            None => Err(Problem::new("The command has not been answered")),
        }
    }

    /// Tells a subagent what happened to a process.
    pub fn tell_subagent(&mut self, id: &SubagentId, input: SubagentInput) {
        self.arrivals.push_back((Place::Subagent(id.clone()), Arrival::Subagent(input)));
    }

    /// Tells a director what happened in a directory.
    pub fn tell_director(&mut self, path: &AgentPath, input: DirectorInput) {
        self.arrivals.push_back((Place::Director(path.clone()), Arrival::Director(input)));
    }

    /// The directories which directors watch.
    pub fn watched(&self) -> impl Iterator<Item = (&(AgentPath, baton_workflow::id::OrderWatchPath), &String)> {
        self.watched.iter()
    }

    /// The watched directories which directors want to be told as a whole.
    pub fn take_unread(&mut self) -> Vec<((AgentPath, baton_workflow::id::OrderWatchPath), String)> {
        let unread = core::mem::take(&mut self.unread);
        unread.into_iter().filter_map(|key| self.watched.get(&key).cloned().map(|directory| (key, directory))).collect()
    }

    /// What the next subagent asked of its host.
    pub fn take_process_hint(&mut self) -> Option<(SubagentId, SubagentHint)> {
        self.process_hints.pop_front()
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.arrivals.is_empty() && self.process_hints.is_empty()
    }

    /// Delivers everything that is under way, and what follows from it at this time.
    ///
    /// # Errors
    /// The world does not come to rest.
    pub fn settle(&mut self) -> Checked<()> {
        for _ in 0..MAX_INPUTS {
            let Some((place, arrival)) = self.arrivals.pop_front().or_else(|| self.due()) else {
                return Ok(());
            };
            self.deliver(&place, arrival);
        }
        Err(Problem::new("The world does not come to rest"))
    }

    /// A node whose deadline is reached.
    fn due(&self) -> Option<(Place, Arrival)> {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= self.now.instant);
        if is_due(self.controller.node.as_ref().and_then(Node::deadline)) {
            return Some((Place::Controller, Arrival::Due));
        }
        let director = self.directors.iter().find(|(_, keeper)| is_due(keeper.node.as_ref().and_then(Node::deadline)));
        if let Some((path, _)) = director {
            return Some((Place::Director(path.clone()), Arrival::Due));
        }
        let (id, _) = self.subagents.iter().find(|(_, node)| is_due(node.as_ref().and_then(Node::deadline)))?;
        Some((Place::Subagent(id.clone()), Arrival::Due))
    }

    /// Wakes all nodes, whether a deadline is reached or not: the time of day may have jumped.
    pub fn wake_all(&mut self) {
        let places = core::iter::once(Place::Controller)
            .chain(self.directors.keys().cloned().map(Place::Director))
            .chain(self.subagents.keys().cloned().map(Place::Subagent));
        for place in places.collect::<Vec<_>>() {
            self.arrivals.push_back((place, Arrival::Due));
        }
    }

    fn deliver(&mut self, place: &Place, arrival: Arrival) {
        let words = format!("{:?} {place:?} {arrival:?}", self.now);
        self.trace.step(words.as_bytes(), || words.clone());
        match place {
            Place::Controller => {
                let Some(node) = &mut self.controller.node else { return };
                let input = match arrival {
                    Arrival::Controller(input) => Input::Arrived(input),
                    other => input(other, &mut self.last_seed),
                };
                let mut effects = Vec::new();
                node.step(self.now, input, &mut effects);
                self.controller_effects(effects);
            }
            Place::Director(path) => {
                let Some(node) = self.directors.get_mut(path).and_then(|keeper| keeper.node.as_mut()) else { return };
                let input = match arrival {
                    Arrival::Director(input) => Input::Arrived(input),
                    other => input(other, &mut self.last_seed),
                };
                let mut effects = Vec::new();
                node.step(self.now, input, &mut effects);
                self.director_effects(path, effects);
            }
            Place::Subagent(id) => {
                let Some(Some(node)) = self.subagents.get_mut(id) else { return };
                let input = match arrival {
                    Arrival::Subagent(input) => Input::Arrived(input),
                    other => input(other, &mut self.last_seed),
                };
                let mut effects = Vec::new();
                node.step(self.now, input, &mut effects);
                for effect in effects {
                    match effect {
                        Effect::Hint(SubagentHint::Link(hint)) => self.link_hint(place, hint),
                        Effect::Hint(hint) => self.process_hints.push_back((id.clone(), hint)),
                        _ => {}
                    }
                }
            }
        }
    }

    fn controller_effects(&mut self, effects: Vec<EffectOf<Controller>>) {
        for effect in effects {
            match effect {
                Effect::Append { generation, record } => {
                    let stored = Stored { generation, durable: record.id.after().offset, puts: 0 };
                    self.controller.disk.push(record);
                    self.arrivals.push_back((Place::Controller, Arrival::Stored(stored)));
                }
                Effect::Hint(act) => self.act(&Place::Controller, act),
                Effect::Promise { lane, promise } => self.outgoing(&Place::Controller, lane, promise),
                Effect::Truncate { .. } | Effect::Install { .. } | Effect::Put { .. } | Effect::Release { .. } => {}
            }
        }
    }

    fn director_effects(&mut self, path: &AgentPath, effects: Vec<EffectOf<Director>>) {
        let place = Place::Director(path.clone());
        for effect in effects {
            match effect {
                Effect::Append { generation, record } => {
                    let stored = Stored { generation, durable: record.id.after().offset, puts: 0 };
                    if let Some(keeper) = self.directors.get_mut(path) {
                        keeper.disk.push(record);
                    }
                    self.arrivals.push_back((place.clone(), Arrival::Stored(stored)));
                }
                Effect::Hint(act) => self.act(&place, act),
                Effect::Promise { lane, promise } => self.outgoing(&place, lane, promise),
                Effect::Truncate { .. } | Effect::Install { .. } | Effect::Put { .. } | Effect::Release { .. } => {}
            }
        }
    }

    fn act(&mut self, place: &Place, act: Act) {
        match act {
            Act::Link(hint) => self.link_hint(place, hint),
            Act::Reply { caller, reply } => {
                self.replies.insert(caller, reply);
            }
            // Nobody reads events here.
            Act::NoEvents { .. } | Act::Released { .. } => {}
            // Nobody is in a pair here.
            Act::Pair(_)
            | Act::RollBack { .. }
            | Act::Deposed
            | Act::Trouble(_)
            | Act::AgentTrouble { .. }
            | Act::WatchLink(_) => {}
            Act::ReadRecords { reader, from } => self.read_records(place, reader, from),
            Act::Watch { watch, directory } => {
                if let Place::Director(path) = place {
                    let key = (path.clone(), watch);
                    self.unread.push(key.clone());
                    self.watched.insert(key, directory);
                }
            }
            Act::Unwatch { watch } => {
                if let Place::Director(path) = place {
                    self.watched.remove(&(path.clone(), watch));
                }
            }
        }
    }

    fn read_records(&mut self, place: &Place, reader: baton_machine::host::RecordReader, from: Offset) {
        let disk = match place {
            Place::Controller => &self.controller.disk,
            Place::Director(path) => match self.directors.get(path) {
                Some(keeper) => &keeper.disk,
                None => return,
            },
            Place::Subagent(_) => return,
        };
        let records: Vec<Record> = disk.iter().filter(|record| record.id.offset >= from).take(100).cloned().collect();
        let arrival = match place {
            Place::Controller => Arrival::Controller(ControllerInput::Records { reader, records }),
            _ => Arrival::Director(DirectorInput::Records { reader, records }),
        };
        self.arrivals.push_back((place.clone(), arrival));
    }

    fn outgoing(&mut self, place: &Place, lane: Lane, outgoing: Outgoing) {
        match (lane, outgoing) {
            (Lane::Link(link), Outgoing::Frame(frame)) => self.send(place, link, &frame),
            (Lane::Caller(caller), Outgoing::Reply(reply)) => {
                self.replies.insert(caller, reply);
            }
            _ => {}
        }
    }

    fn link_hint(&mut self, place: &Place, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address: _ } => self.dial(place, peer),
            LinkHint::HangUp { link, reason: _ } => {
                if let Some((peer, other)) = self.links.remove(&link) {
                    self.links.remove(&other);
                    self.arrive_link(peer, LinkInput::Down { link: other, ending: Ending::Lost });
                }
            }
            LinkHint::Send { link, frame } => self.send(place, link, &frame),
        }
    }

    fn dial(&mut self, place: &Place, peer: Peer) {
        let target = match &peer {
            Peer::Agent(path) | Peer::Director { agent: path, .. } => Place::Director(path.clone()),
            Peer::Subagent(id) => Place::Subagent(id.clone()),
        };
        // Agents have one director here; of two the other one is not there.
        let is_other = matches!(&peer, Peer::Director { agent, subagent } if self.local.get(agent) != Some(subagent));
        let is_up = !is_other
            && match &target {
                Place::Controller => self.controller.node.is_some(),
                Place::Director(path) => self.directors.get(path).is_some_and(|keeper| keeper.node.is_some()),
                Place::Subagent(id) => self.subagents.get(id).is_some_and(Option::is_some),
            };
        if !is_up {
            return self.arrive_link(place.clone(), LinkInput::Failed { peer, ending: Ending::Refused });
        }
        self.last_link += 2;
        let (own, other) = (LinkId(self.last_link - 1), LinkId(self.last_link));
        self.links.insert(own, (target.clone(), other));
        self.links.insert(other, (place.clone(), own));
        self.arrive_link(target, LinkInput::Up { link: other, dialled: None });
        self.arrive_link(place.clone(), LinkInput::Up { link: own, dialled: Some(peer) });
    }

    /// A frame that cannot be understood ends the link, as it does in production.
    fn send(&mut self, _from: &Place, link: LinkId, frame: &Arc<[u8]>) {
        let Some((peer, other)) = self.links.get(&link).cloned() else { return };
        match frame::decode(frame, MESSAGE_VERSIONS) {
            Ok(frame) => self.arrive_link(peer, LinkInput::Received { link: other, frame }),
            Err(_) => self.arrive_link(peer, LinkInput::Down { link: other, ending: Ending::Lost }),
        }
    }

    fn arrive_link(&mut self, place: Place, input: LinkInput) {
        let arrival = match &place {
            Place::Controller => Arrival::Controller(ControllerInput::Link(input)),
            Place::Director(_) => Arrival::Director(DirectorInput::Link(input)),
            Place::Subagent(_) => Arrival::Subagent(SubagentInput::Link(input)),
        };
        self.arrivals.push_back((place, arrival));
    }

    /// The events on the controller's disk.
    ///
    /// # Errors
    /// A record cannot be understood.
    pub fn journal(&self) -> Checked<Vec<baton_machine::codec::Stamped>> {
        let (mut assembly, mut events) = (Assembly::default(), Vec::new());
        for record in &self.controller.disk {
            let assembled = assembly.add(record).map_err(|error| Problem::new(error.to_string()))?;
            events.extend(assembled.into_iter().flat_map(|assembled| assembled.transaction.events));
        }
        Ok(events)
    }
}

/// An input that is the same for all machines.
fn input<I>(arrival: Arrival, last_seed: &mut u64) -> Input<I> {
    match arrival {
        Arrival::Start => {
            *last_seed += 1;
            Input::Start { seed: *last_seed }
        }
        Arrival::Stored(stored) => Input::Stored(stored),
        _ => Input::Due,
    }
}
