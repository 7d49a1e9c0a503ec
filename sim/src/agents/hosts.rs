//! What hosts do: they start machines, deliver inputs, carry out what comes out, and wake them.

use super::keeper::{Keeper, Left};
use super::network::{Item, Use};
use super::place::{Place, subagent_id};
use super::processes::{Happens, Process, Script};
use super::shown::Sometimes;
use super::{Dialled, Event, World};
use crate::cluster::host::Left as WatchLeft;
use baton_machine::attempt::Attempt;
use baton_machine::codec::MESSAGE_VERSIONS;
use baton_machine::controller::{Controller, ControllerInput};
use baton_machine::director::DirectorInput;
use baton_machine::link::{Ending, LinkHint, LinkId, LinkInput, Peer};
use baton_machine::message::Channel;
use baton_machine::process::{Ended, ProcessSpec, Signal};
use baton_machine::subagent::{Subagent, SubagentConfig, SubagentHint, SubagentInput};
use baton_protocol::frame;
use baton_protocol::journal::{Journal, Recovered};
use baton_protocol::limit::Limits;
use baton_protocol::machine::Input;
use baton_protocol::node::Node;
use baton_protocol::outbox::Effect;
use baton_protocol::pair::PairInput;
use baton_protocol::pair::message::Envelope;
use baton_protocol::register::Seat;
use baton_protocol::time::Duration;
use baton_workflow::value::Fields;
use std::collections::BTreeMap;
use std::sync::Arc;

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// How often a voter dials whom it does not reach.
const REDIAL_VOTER: Duration = Duration::from_millis(300);

impl World {
    pub(super) fn is_running(&self, place: Place) -> bool {
        match place {
            Place::Controller(Seat::Watch) => self.watch.as_ref().is_some_and(|watch| watch.is_running()),
            Place::Controller(seat) => self.controllers.get(&seat).is_some_and(|keeper| keeper.node().is_some()),
            Place::Director(agent, seat) => {
                self.directors.get(&(agent, seat)).is_some_and(|keeper| keeper.node().is_some())
            }
            Place::Subagent(..) => self.subagents.get(&place).is_some_and(Option::is_some),
        }
    }

    /// Those which are one process with this one.
    pub(super) fn companions(&self, place: Place) -> Vec<Place> {
        match place {
            Place::Director(agent, Seat::First) | Place::Subagent(agent, 1) if self.plan.is_integrated => {
                Vec::from([Place::Director(agent, Seat::First), Place::Subagent(agent, 1)])
            }
            place => Vec::from([place]),
        }
    }

    pub(super) fn start(&mut self, place: Place) -> Result<(), String> {
        if self.off.contains(&place.computer()) || self.is_running(place) {
            return Ok(());
        }
        // Nothing is started while the guard of the predecessor has not done its work.
        let companions = self.companions(place);
        if companions.iter().any(|place| !self.processes.at(*place).is_empty()) {
            self.at(Duration::from_millis(20), Event::Start(place));
            return Ok(());
        }
        for place in companions {
            self.start_one(place)?;
        }
        Ok(())
    }

    fn start_one(&mut self, place: Place) -> Result<(), String> {
        if self.is_running(place) {
            return Ok(());
        }
        *self.lives.entry(place).or_default() += 1;
        self.wakes.remove(&place);
        let (seed, now) = (self.choice.bits(), self.time_at(place));
        match place {
            Place::Controller(Seat::Watch) => {
                let Some(watch) = &mut self.watch else { return Ok(()) };
                let left = watch.start(now.instant, seed);
                self.after_watch(left);
            }
            Place::Controller(seat) => {
                let Some(keeper) = self.controllers.get_mut(&seat) else { return Ok(()) };
                let has_image = keeper.disk.image().is_some();
                let left = keeper.start(now, seed)?;
                if has_image {
                    self.see(Sometimes::FromImage);
                }
                self.after_controller(seat, left)?;
            }
            Place::Director(agent, seat) => {
                let Some(keeper) = self.directors.get_mut(&(agent, seat)) else { return Ok(()) };
                let has_image = keeper.disk.image().is_some();
                self.audit.director_starts(agent, &keeper.recover()?);
                let left = keeper.start(now, seed)?;
                if has_image {
                    self.see(Sometimes::FromImage);
                }
                self.after_director(agent, seat, left)?;
            }
            Place::Subagent(agent, number) => {
                let environment = BTreeMap::from([("WHERE".to_owned(), subagent_id(agent, number).to_string())]);
                let config = SubagentConfig { environment, timing: self.plan.setting.timing };
                let machine = Subagent::new(config).with_bugs(self.plan.setting.bugs);
                let journal = Journal::alone(Recovered::default(), Limits::DEFAULT);
                self.subagents.insert(place, Some(Node::new(machine, journal)));
                self.step_subagent(place, Input::Start { seed })?;
            }
        }
        self.dial_voters(place);
        Ok(())
    }

    /// The pair and the watch dial each other.
    fn dial_voters(&mut self, place: Place) {
        let Place::Controller(seat) = place else { return };
        if self.watch.is_none() {
            return;
        }
        let life = self.life(place);
        for other in seat.others() {
            self.dial(place, life, Dialled::Voter(other), Some(Place::Controller(other)));
        }
    }

    pub(super) fn synced(&mut self, place: Place) -> Result<(), String> {
        let now = self.time_at(place);
        match place {
            Place::Controller(Seat::Watch) => {
                let Some(watch) = &mut self.watch else { return Ok(()) };
                let count = watch.disk().unsynced();
                let left = watch.sync(now.instant, count);
                self.audit.watch_syncs = false;
                self.after_watch(left);
                Ok(())
            }
            Place::Controller(seat) => {
                let left = self.controllers.get_mut(&seat).map(|keeper| keeper.synced(now)).unwrap_or_default();
                self.after_controller(seat, left)
            }
            Place::Director(agent, seat) => {
                let left = self.directors.get_mut(&(agent, seat)).map(|keeper| keeper.synced(now)).unwrap_or_default();
                self.after_director(agent, seat, left)
            }
            Place::Subagent(..) => Ok(()),
        }
    }

    pub(super) fn wake(&mut self, place: Place) -> Result<(), String> {
        if self.wakes.get(&place).is_some_and(|at| *at <= self.now) {
            self.wakes.remove(&place);
        }
        let now = self.time_at(place);
        if self.deadline(place).is_none_or(|deadline| deadline > now.instant) {
            self.go_on(place);
            return Ok(());
        }
        match place {
            Place::Controller(Seat::Watch) => {
                let left = self.watch.as_mut().map(|watch| watch.due(now.instant)).unwrap_or_default();
                self.after_watch(left);
                Ok(())
            }
            Place::Controller(seat) => self.step_controller(seat, Input::Due),
            Place::Director(agent, seat) => self.step_director(agent, seat, Input::Due),
            Place::Subagent(..) => self.step_subagent(place, Input::Due),
        }
    }

    fn deadline(&self, place: Place) -> Option<baton_protocol::time::Instant> {
        match place {
            Place::Controller(Seat::Watch) => self.watch.as_ref()?.deadline(),
            Place::Controller(seat) => self.controllers.get(&seat)?.node()?.deadline(),
            Place::Director(agent, seat) => self.directors.get(&(agent, seat))?.node()?.deadline(),
            Place::Subagent(..) => self.subagents.get(&place)?.as_ref()?.deadline(),
        }
    }

    /// It wakes at its deadline, and its storage syncs what it was told.
    pub(super) fn go_on(&mut self, place: Place) {
        let life = self.life(place);
        if let Some(deadline) = self.deadline(place) {
            let at = self.clock(place).when(deadline).max(self.now);
            if self.wakes.get(&place).is_none_or(|planned| at < *planned) {
                self.wakes.insert(place, at);
                self.at_instant(at, Event::Wake { place, life });
            }
        }
        if self.stalled.contains(&place) {
            return;
        }
        let begins = match place {
            Place::Controller(Seat::Watch) => {
                let is_busy = self.watch.as_ref().is_some_and(|watch| watch.is_running() && watch.disk().is_busy());
                is_busy && !core::mem::replace(&mut self.audit.watch_syncs, true)
            }
            Place::Controller(seat) => self.controllers.get_mut(&seat).is_some_and(begins_to_sync),
            Place::Director(agent, seat) => self.directors.get_mut(&(agent, seat)).is_some_and(begins_to_sync),
            Place::Subagent(..) => false,
        };
        if begins {
            let after = self.micros(self.plan.sync.0, self.plan.sync.1);
            self.at(after, Event::Synced { place, life });
        }
    }

    pub(super) fn step_controller(&mut self, seat: Seat, input: Input<ControllerInput>) -> Result<(), String> {
        let now = self.time_at(Place::Controller(seat));
        let Some(keeper) = self.controllers.get_mut(&seat) else { return Ok(()) };
        let left = keeper.step(now, input);
        self.after_controller(seat, left)
    }

    pub(super) fn step_director(&mut self, agent: u8, seat: Seat, input: Input<DirectorInput>) -> Result<(), String> {
        let now = self.time_at(Place::Director(agent, seat));
        let Some(keeper) = self.directors.get_mut(&(agent, seat)) else { return Ok(()) };
        let left = keeper.step(now, input);
        self.after_director(agent, seat, left)
    }

    pub(super) fn step_subagent(&mut self, place: Place, input: Input<SubagentInput>) -> Result<(), String> {
        let now = self.time_at(place);
        let Some(Some(node)) = self.subagents.get_mut(&place) else { return Ok(()) };
        let is_due = matches!(input, Input::Due);
        let mut effects = Vec::new();
        node.step(now, input, &mut effects);
        let is_alone = !node.machine().is_coupled();
        for effect in effects {
            let Effect::Hint(hint) = effect else { continue };
            match hint {
                SubagentHint::Link(hint) => self.link_hint(place, hint),
                SubagentHint::Start { attempt, spec } => self.launch(place, attempt, &spec)?,
                SubagentHint::Kill { attempt, signal } => {
                    if is_due && is_alone {
                        self.see(Sometimes::LeaseRanOut);
                    }
                    self.kill_process(&attempt, signal);
                }
                SubagentHint::Pause { .. } | SubagentHint::Resume { .. } => {}
                SubagentHint::Lease { until } => {
                    let until = self.clock(place).when(until);
                    self.leases.insert(place, until);
                    self.at_instant(until.max(self.now), Event::LeaseEnds(place));
                }
                // Whoever stopped it starts another one.
                SubagentHint::Stopped => {
                    self.see(Sometimes::SubagentShutdown);
                    let after = self.micros(10_000, 3_000_000);
                    self.end_process_of(place);
                    self.at(after, Event::Start(place));
                }
            }
        }
        self.go_on(place);
        Ok(())
    }

    fn after_controller(&mut self, seat: Seat, left: Vec<Left>) -> Result<(), String> {
        let place = Place::Controller(seat);
        if let Some(keeper) = self.controllers.get(&seat) {
            keeper.remember(&mut self.history);
        }
        self.audit_controller(seat)?;
        self.after(place, left)
    }

    fn after_director(&mut self, agent: u8, seat: Seat, left: Vec<Left>) -> Result<(), String> {
        self.audit_director(agent, seat)?;
        self.after(Place::Director(agent, seat), left)
    }

    fn after(&mut self, place: Place, left: Vec<Left>) -> Result<(), String> {
        for left in left {
            match left {
                Left::Link(hint) => self.link_hint(place, hint),
                Left::Frame(link, frame) => self.send(place, link, frame),
                Left::Message(to, bytes) => self.send_to_voter(place, to, bytes.into()),
                Left::Reply(caller, reply) => self.replied(place, caller, &reply)?,
                Left::RollBack(to) => {
                    let life = self.life(place);
                    let after = self.micros(100, 300_000);
                    self.at(after, Event::RollBack { place, life, to: to.offset.0 });
                }
                Left::Deposed => self.break_off(place),
                Left::Trouble(trouble) => return Err(format!("{place} needs a person: {trouble:?}")),
            }
        }
        self.go_on(place);
        Ok(())
    }

    fn after_watch(&mut self, left: Vec<WatchLeft>) {
        let place = Place::Controller(Seat::Watch);
        for left in left {
            if let WatchLeft::Message(to, envelope) = left {
                self.send_to_voter(place, to, envelope.encode().into());
            }
        }
        self.go_on(place);
    }

    /// The journal was cut, and storage has done so: the replica is built anew.
    pub(super) fn roll_back(&mut self, place: Place, to: u64) -> Result<(), String> {
        let Place::Controller(seat) = place else { return Ok(()) };
        let Some(keeper) = self.controllers.get(&seat) else { return Ok(()) };
        if keeper.disk.is_busy() {
            let life = self.life(place);
            self.at(Duration::from_millis(1), Event::RollBack { place, life, to });
            return Ok(());
        }
        let replica = keeper.recover()?.replica().clone();
        self.step_controller(seat, Input::Arrived(ControllerInput::RolledBack(Box::new(replica))))
    }

    // Links.

    fn link_hint(&mut self, place: Place, hint: LinkHint) {
        match hint {
            LinkHint::Dial { peer, address } => {
                let target = Place::of_address(&address, matches!(peer, Peer::Agent(_)));
                let life = self.life(place);
                self.dial(place, life, Dialled::Peer(peer), target);
            }
            LinkHint::Send { link, frame } => self.send(place, link, frame),
            LinkHint::HangUp { link, .. } => self.close(link),
        }
    }

    fn latency(&mut self, from: Place, to: Place) -> Duration {
        if from.computer() == to.computer() {
            return self.micros(1, 20);
        }
        let lag = self.network.lags.get(&(from.computer(), to.computer())).copied().unwrap_or_default();
        self.micros(self.plan.latency.0, self.plan.latency.1) + lag
    }

    fn dial(&mut self, place: Place, life: u64, dialled: Dialled, target: Option<Place>) {
        let after = target.map_or(Duration::from_millis(1), |target| self.latency(place, target));
        self.at(after, Event::Dial { place, life, dialled, target });
    }

    /// What the computer that is dialled says, if it can.
    pub(super) fn dial_arrives(&mut self, place: Place, life: u64, dialled: Dialled, target: Option<Place>) {
        if !self.is_life(place, life) {
            return;
        }
        let is_reachable = |world: &Self, target: Place| {
            let is_cut = world.network.is_cut(place, target) || world.network.is_cut(target, place);
            let computer = target.computer();
            !is_cut && !world.off.contains(&computer) && !world.paused.contains_key(&computer)
        };
        let Some(target) = target.filter(|target| is_reachable(self, *target)) else {
            let after = self.micros(1_000_000, 4_000_000);
            return self.at(after, Event::Failed { place, life, dialled, refused: false });
        };
        let back = self.latency(target, place);
        // The guard holds the port of a dead subagent until its processes are dead: then the connection breaks.
        let is_held = self.companions(target).iter().any(|place| !self.processes.at(*place).is_empty());
        if !self.is_running(target) && is_held {
            return self.at(back, Event::Failed { place, life, dialled, refused: false });
        }
        if !self.is_running(target) {
            return self.at(back, Event::Failed { place, life, dialled, refused: true });
        }
        let (own, other, peer) = match dialled {
            Dialled::Voter(seat) => {
                if self.network.has_voters(place, target) {
                    return;
                }
                let Place::Controller(me) = place else { return };
                let (own, other) = self.network.connect((place, Use::Voter(seat)), (target, Use::Voter(me)));
                (own, other, None)
            }
            Dialled::Peer(peer) => {
                let (own, other) = self.network.connect((place, Use::Link), (target, Use::Link));
                (own, other, Some(peer))
            }
        };
        self.queue(other, Item::Up(None), Duration::ZERO);
        self.queue(own, Item::Up(peer), back);
    }

    pub(super) fn dial_failed(&mut self, place: Place, dialled: Dialled, refused: bool) -> Result<(), String> {
        let ending = if refused { Ending::Refused } else { Ending::Lost };
        match dialled {
            Dialled::Peer(peer) => self.link_input(place, LinkInput::Failed { peer, ending }),
            Dialled::Voter(seat) => {
                if self.network.has_voters(place, Place::Controller(seat)) {
                    return Ok(());
                }
                let after = REDIAL_VOTER;
                let life = self.life(place);
                self.at(
                    after,
                    Event::Dial { place, life, dialled: Dialled::Voter(seat), target: Some(Place::Controller(seat)) },
                );
                self.pair_input(place, PairInput::Down { seat, refused })
            }
        }
    }

    fn send(&mut self, place: Place, link: LinkId, frame: Arc<[u8]>) {
        let Some(end) = self.network.ends.get(&link) else { return };
        let (other, other_end) = (end.other, end.other_end);
        let after = self.latency(place, other);
        self.queue(other_end, Item::Bytes(frame), after);
    }

    fn send_to_voter(&mut self, place: Place, to: Seat, bytes: Arc<[u8]>) {
        if let Some(link) = self.network.voter_end(place, Place::Controller(to)) {
            self.send(place, link, bytes);
        }
    }

    /// A stream keeps its order.
    fn queue(&mut self, end: LinkId, item: Item, after: Duration) {
        let mut at = self.now + after;
        if let Some(found) = self.network.ends.get_mut(&end) {
            at = at.max(found.last);
            found.last = at;
        }
        self.at_instant(at, Event::Arrive { end, item });
    }

    /// This end is closed; the other one gets to know.
    pub(super) fn close(&mut self, link: LinkId) {
        let Some(end) = self.network.ends.remove(&link) else { return };
        let after = self.latency(end.place, end.other);
        self.queue(end.other_end, Item::Down, after);
    }

    pub(super) fn arrive(&mut self, link: LinkId, item: Item) -> Result<(), String> {
        let Some(end) = self.network.ends.get(&link) else {
            self.reset_by_peer(link, &item);
            return Ok(());
        };
        let (place, other, purpose) = (end.place, end.other, end.purpose);
        let is_held = !end.held.is_empty() || self.network.is_cut(other, place);
        if is_held && let Some(end) = self.network.ends.get_mut(&link) {
            end.held.push_back(item);
            return Ok(());
        }
        if matches!(item, Item::Down) {
            self.network.ends.remove(&link);
        }
        match purpose {
            Use::Voter(seat) => match item {
                Item::Up(_) => self.pair_input(place, PairInput::Up(seat)),
                Item::Bytes(bytes) => match Envelope::decode(&bytes) {
                    Some(envelope) => self.pair_input(place, PairInput::Received(envelope)),
                    None => Err("a message of a voter is not understood".to_owned()),
                },
                // A newer connection is there already.
                Item::Down if self.network.has_voters(place, other) => Ok(()),
                Item::Down => {
                    let life = self.life(place);
                    let target = Some(Place::Controller(seat));
                    self.dial(place, life, Dialled::Voter(seat), target);
                    self.pair_input(place, PairInput::Down { seat, refused: false })
                }
            },
            Use::Link => {
                let input = match item {
                    Item::Up(dialled) => LinkInput::Up { link, dialled },
                    Item::Bytes(bytes) => match frame::decode(&bytes, MESSAGE_VERSIONS) {
                        Ok(frame) => LinkInput::Received { link, frame },
                        Err(error) => return Err(format!("a frame is not understood: {error}")),
                    },
                    Item::Down => LinkInput::Down { link, ending: Ending::Lost },
                };
                self.arrives_at(place, other, input)
            }
        }
    }

    /// What is sent to an end that is not there any more, is answered by the computer, if it can.
    fn reset_by_peer(&mut self, link: LinkId, item: &Item) {
        if matches!(item, Item::Down) {
            return;
        }
        // Ends have numbers in pairs.
        let other = LinkId(if link.0.is_multiple_of(2) { link.0 - 1 } else { link.0 + 1 });
        let Some(end) = self.network.ends.get(&other) else { return };
        let (place, gone) = (end.place, end.other);
        if self.off.contains(&gone.computer()) {
            return;
        }
        let after = self.latency(gone, place);
        self.queue(other, Item::Down, after);
    }

    fn link_input(&mut self, place: Place, input: LinkInput) -> Result<(), String> {
        match place {
            Place::Controller(seat) => self.step_controller(seat, Input::Arrived(ControllerInput::Link(input))),
            Place::Director(agent, seat) => self.step_director(agent, seat, Input::Arrived(DirectorInput::Link(input))),
            Place::Subagent(..) => self.step_subagent(place, Input::Arrived(SubagentInput::Link(input))),
        }
    }

    fn arrives_at(&mut self, place: Place, from: Place, input: LinkInput) -> Result<(), String> {
        let obeyed = self.audit_before(place, &input);
        self.link_input(place, input)?;
        self.audit_after(place, from, obeyed)
    }

    pub(super) fn pair_input(&mut self, place: Place, input: PairInput) -> Result<(), String> {
        let Place::Controller(seat) = place else { return Ok(()) };
        if seat != Seat::Watch {
            return self.step_controller(seat, Input::Arrived(ControllerInput::Pair(input)));
        }
        let now = self.time_at(place).instant;
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.is_running()) else { return Ok(()) };
        let left = watch.take(now, input);
        self.after_watch(left);
        Ok(())
    }

    // Processes.

    fn launch(&mut self, place: Place, attempt: Attempt, spec: &ProcessSpec) -> Result<(), String> {
        self.audit_launch(place, &attempt)?;
        let choice = &mut self.choice;
        let script = Script::of(spec, &mut |bound| choice.below(bound.max(1)));
        self.processes.started.insert(attempt.clone());
        self.work.process_starts(&attempt.order_id, place, self.now);
        let process = Process { place, script, lines: 0, is_ending: false };
        self.processes.live.insert(attempt.clone(), process);
        let after = self.micros(100, 20_000);
        self.at(after, Event::Process { attempt, happens: Happens::Started });
        Ok(())
    }

    pub(super) fn process_happens(&mut self, attempt: Attempt, happens: Happens) -> Result<(), String> {
        let Some(process) = self.processes.live.get_mut(&attempt) else { return Ok(()) };
        let (place, script) = (process.place, process.script);
        match happens {
            Happens::Started => {
                let (after, next) = match script {
                    Script::Ends(duration, code) => (duration, Some(Happens::Ends(Ended::Exited { code }))),
                    Script::Hangs { .. } => (Duration::ZERO, None),
                    Script::Writes(_) => (self.micros(1_000, 100_000), Some(Happens::Writes)),
                };
                if let Some(happens) = next {
                    self.at(after, Event::Process { attempt: attempt.clone(), happens });
                }
                self.tell_subagent(place, SubagentInput::Started { attempt, pid: 1 })
            }
            Happens::Writes if !process.is_ending => {
                process.lines += 1;
                let line = process.lines;
                let happens = match script {
                    Script::Writes(lines) if line >= lines => Happens::Ends(Ended::Exited { code: 0 }),
                    _ => Happens::Writes,
                };
                let after = self.micros(1_000, 100_000);
                self.at(after, Event::Process { attempt: attempt.clone(), happens });
                let (channel, chunk) = (Channel::Stdout, format!("{line}\n"));
                self.tell_subagent(place, SubagentInput::Output { attempt, channel, chunk })
            }
            Happens::Writes => Ok(()),
            Happens::Ends(how) => {
                self.note_end(place, &attempt);
                let (return_values, duration) = (Ok(Fields::default()), Duration::ZERO);
                self.tell_subagent(place, SubagentInput::Ended { attempt, how, return_values, duration })
            }
            Happens::Reaped => {
                self.processes.live.remove(&attempt);
                Ok(())
            }
        }
    }

    fn note_end(&mut self, place: Place, attempt: &Attempt) {
        let Some(process) = self.processes.live.remove(attempt) else { return };
        self.processes.written.insert(attempt.clone(), process.lines);
        let is_alone = |node: &Node<Subagent>| !node.machine().is_coupled();
        if self.subagents.get(&place).and_then(Option::as_ref).is_some_and(is_alone) {
            self.see(Sometimes::EndedUnheard);
        }
        let Place::Subagent(agent, _) = place else { return };
        let director = Place::Director(agent, Seat::First);
        if self.audit.launched_in(attempt).is_some_and(|life| life != self.life(director)) && self.is_running(director)
        {
            self.see(Sometimes::SurvivedItsDirector);
        }
    }

    fn kill_process(&mut self, attempt: &Attempt, signal: Signal) {
        let Some(process) = self.processes.live.get_mut(attempt) else { return };
        let is_stubborn = process.script == Script::Hangs { is_stubborn: true };
        if signal == Signal::Terminate && is_stubborn {
            return;
        }
        process.is_ending = true;
        if is_stubborn {
            self.see(Sometimes::Stubborn);
        }
        let signal = if signal == Signal::Terminate { SIGTERM } else { SIGKILL };
        let after = self.micros(10, 10_000);
        let happens = Happens::Ends(Ended::Signaled { signal });
        self.at(after, Event::Process { attempt: attempt.clone(), happens });
    }

    /// The guard kills what runs longer than its subagent may let it, also when that stands still.
    pub(super) fn lease_ends(&mut self, place: Place) {
        if self.leases.get(&place).is_none_or(|until| *until > self.now) {
            return;
        }
        for attempt in self.processes.at(place) {
            let after = self.micros(10, 10_000);
            self.at(after, Event::Process { attempt, happens: Happens::Ends(Ended::Signaled { signal: SIGKILL }) });
        }
    }

    pub(super) fn tell_subagent(&mut self, place: Place, input: SubagentInput) -> Result<(), String> {
        if let Some(backlog) = self.paused.get_mut(&place.computer()) {
            backlog.push(Event::Tell { place, life: self.lives.get(&place).copied().unwrap_or(0), input });
            return Ok(());
        }
        self.step_subagent(place, Input::Arrived(input))
    }

    /// The active controller, as far as it knows.
    pub(super) fn active(&self) -> Option<Seat> {
        self.controllers
            .iter()
            .find(|(_, keeper)| keeper.machine().is_some_and(Controller::is_active))
            .map(|(seat, _)| *seat)
    }
}

fn begins_to_sync<M: super::keeper::Keeps>(keeper: &mut Keeper<M>) -> bool {
    if keeper.node().is_none() || keeper.syncing.is_some() || !keeper.disk.is_busy() {
        return false;
    }
    keeper.syncing = Some(keeper.disk.unsynced());
    true
}
