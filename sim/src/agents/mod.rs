//! Worlds of agents: controllers, directors, subagents and the processes of their jobs, in simulated time, under faults and
//! commands that are drawn from a seed. The machines are those of production, unchanged.
//!
//! A seed draws a plan (`plan`). In the first phase things fail and people command, and safety is audited at every step
//! (`audit`). Then everything is healed, and within a bound every order must have come to its end, and what it has been through
//! must be what may happen to an order (`looking_back`). At last, when all is well, a subagent is lost, and the promised time in
//! which new jobs start elsewhere is measured (`promise`).
//!
//! - `place`, `clock`: the processes of Baton, their computers and clocks.
//! - `keeper`: what runs a controller or director, and its disk.
//! - `network`: what connects them.
//! - `processes`: what jobs do.
//! - `work`: what people want: items, orders, commands; and how they ask until they are answered.
//! - `faults`: what goes wrong, and how it is healed.
//! - `shrink`: of what happens in a world in which something is wrong, what is needed for that.
//! - `scenarios`: named stories with golden outcomes.

mod audit;
mod clock;
mod faults;
mod hosts;
mod keeper;
mod looking_back;
mod network;
pub mod place;
pub mod plan;
mod processes;
mod promise;
pub mod scenarios;
pub mod shown;
mod shrink;
mod stage;
mod telling;
mod work;

pub use promise::BOUND;
pub use shrink::{Finding, shrink};

use crate::choice::Choice;
use crate::cluster::digest::hash_of;
use crate::cluster::host::Host as Watch;
use crate::quiet::quietly;
use crate::trace::Trace;
use audit::Audit;
use baton_machine::attempt::Attempt;
use baton_machine::controller::Controller;
use baton_machine::director::Director;
use baton_machine::link::{LinkId, Peer};
use baton_machine::planted::Bugs;
use baton_machine::subagent::{Subagent, SubagentInput};
use baton_protocol::node::Node;
use baton_protocol::pair::timing::Timing;
use baton_protocol::pair::{PairConfig, planted};
use baton_protocol::record::Record;
use baton_protocol::register::Seat;
use baton_protocol::time::{Duration, Instant, Now};
use clock::Clock;
use keeper::Keeper;
use network::{Item, Network};
use place::{Computer, Place, subagent_id};
use plan::{Kind, Plan};
use processes::{Happens, Processes};
use shown::{Shown, Sometimes};
use std::collections::{BTreeMap, BTreeSet};
use work::{Deed, Work};

/// Within so long after healing all orders have ended, besides what leases take.
pub const LIVE_AGAIN: Duration = Duration::from_secs(60);

/// Steps of a world; more can only come from nodes that keep each other busy.
const MAX_STEPS: u64 = 400_000;

/// Who is dialled.
#[derive(Clone, Debug)]
enum Dialled {
    Peer(Peer),
    Voter(Seat),
}

#[derive(Clone, Debug)]
enum Event {
    Arrive { end: LinkId, item: Item },
    Dial { place: Place, life: u64, dialled: Dialled, target: Option<Place> },
    Failed { place: Place, life: u64, dialled: Dialled, refused: bool },
    Synced { place: Place, life: u64 },
    Wake { place: Place, life: u64 },
    RollBack { place: Place, life: u64, to: u64 },
    Process { attempt: Attempt, happens: Happens },
    Tell { place: Place, life: u64, input: SubagentInput },
    LeaseEnds(Place),
    Start(Place),
    PowerOn(Computer),
    Resume(Computer),
    Unstall(Place),
    Mend(Computer, Computer),
    Hasten(Computer, Computer),
    Happen(Kind),
    Do(Deed),
    Ask { number: u64, attempt: u64 },
    Compare,
}

struct World {
    plan: Plan,
    choice: Choice,
    /// What is drawn for each kind of happening.
    streams: BTreeMap<Kind, Choice>,
    now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
    controllers: BTreeMap<Seat, Keeper<Controller>>,
    watch: Option<Watch>,
    directors: BTreeMap<(u8, Seat), Keeper<Director>>,
    subagents: BTreeMap<Place, Option<Node<Subagent>>>,
    /// How often the process of each place was started.
    lives: BTreeMap<Place, u64>,
    /// When each is to be woken.
    wakes: BTreeMap<Place, Instant>,
    network: Network,
    processes: Processes,
    clocks: BTreeMap<Computer, Clock>,
    /// How much a clock was ahead before it jumped, at most.
    most_ahead: i64,
    /// Those on which all of Baton stands still, and what waits for it.
    paused: BTreeMap<Computer, Vec<Event>>,
    /// Those without power.
    off: BTreeSet<Computer>,
    stalled: BTreeSet<Place>,
    /// How long processes may run without another sign of their subagent.
    leases: BTreeMap<Place, Instant>,
    work: Work,
    audit: Audit,
    /// The committed records of the controllers.
    history: Vec<Record>,
    is_healed: bool,
    seen: BTreeMap<Sometimes, u64>,
    wait: Option<(Sometimes, Duration)>,
    trace: Trace,
}

/// Lets the world of a seed happen.
#[must_use]
pub fn pass(seed: u64, bugs: Bugs) -> Shown {
    pass_plan(seed, &plan_of(seed, bugs))
}

/// What is drawn of a seed.
#[must_use]
pub fn plan_of(seed: u64, bugs: Bugs) -> Plan {
    Plan::draw(&mut Choice::of_seed(seed).child("plan"), bugs)
}

/// Lets the world of a seed happen with another plan.
#[must_use]
pub fn pass_plan(seed: u64, plan: &Plan) -> Shown {
    let mut world = World::new(seed, plan.clone());
    let violation = quietly(|| world.run()).unwrap_or_else(Err).err();
    Shown {
        digest: world.trace.digest(),
        draws: world.choice.draws(),
        steps: world.trace.steps(),
        time: world.now.since(Instant::ZERO),
        orders: world.work.orders.len(),
        processes: world.processes.started.len(),
        seen: world.seen,
        wait: world.wait,
        violation,
    }
}

/// The run of a seed in words, up to its end.
#[must_use]
pub fn tell(seed: u64, plan: &Plan) -> String {
    let mut world = World::new(seed, plan.clone());
    world.trace = Trace::logging(0..u64::MAX);
    let words = match quietly(|| world.run()) {
        Ok(Ok(())) => "nothing is wrong".to_owned(),
        Ok(Err(violation)) | Err(violation) => violation,
    };
    let journal = telling::events_of(&world.history).join("\n");
    format!("{plan:?}\n{}\nthe journal of the controller:\n{journal}\n{words}", world.trace.log().join("\n"))
}

impl World {
    fn new(seed: u64, plan: Plan) -> Self {
        let root = Choice::of_seed(seed);
        let mut choice = root.child("world");
        let seats: &[Seat] = if plan.has_two_controllers { &[Seat::First, Seat::Second] } else { &[Seat::First] };
        let pair_config = |seat| PairConfig {
            seat,
            timing: Timing::DEFAULT,
            window: 1 << 14,
            piece: 1 << 10,
            couple_lag: 4,
            bugs: planted::Bugs::NONE,
        };
        let controllers = seats.iter().map(|&seat| {
            let pair = plan.has_two_controllers.then(|| pair_config(seat));
            (seat, Keeper::new(seat, plan.setting, pair))
        });
        let directors = (0..plan.agents)
            .map(|agent| ((agent, Seat::First), Keeper::new(subagent_id(agent, 1), plan.setting, None)));
        // One computer more than there are subagents, for one that moves.
        let subagents = (0..plan.agents)
            .flat_map(|agent| (1..=plan.subagents + 1).map(move |number| (Place::Subagent(agent, number), None)));
        let mut world = Self {
            now: Instant::ZERO,
            events: BTreeMap::new(),
            sequence: 0,
            controllers: controllers.collect(),
            watch: plan.has_two_controllers.then(|| Watch::new(pair_config(Seat::Watch), plan.setting.limits)),
            directors: directors.collect(),
            subagents: subagents.collect(),
            lives: BTreeMap::new(),
            wakes: BTreeMap::new(),
            network: Network::default(),
            processes: Processes::default(),
            clocks: BTreeMap::new(),
            most_ahead: 0,
            paused: BTreeMap::new(),
            off: BTreeSet::new(),
            stalled: BTreeSet::new(),
            leases: BTreeMap::new(),
            work: Work::default(),
            audit: Audit::default(),
            history: Vec::new(),
            is_healed: false,
            seen: BTreeMap::new(),
            wait: None,
            trace: Trace::new(),
            choice: root.child("world"),
            streams: plan.kinds().map(|kind| (kind, root.child(&format!("{kind:?}")))).collect(),
            plan,
        };
        for place in world.places() {
            let drift = i64::try_from(choice.between(0, 2 * world.plan.drift)).unwrap_or(0);
            let ahead = i64::try_from(choice.between(0, 2 * world.plan.skew)).unwrap_or(0);
            let drift = drift - i64::try_from(world.plan.drift).unwrap_or(0);
            let ahead = ahead - i64::try_from(world.plan.skew).unwrap_or(0);
            world.clocks.entry(place.computer()).or_insert(Clock { drift, ahead });
        }
        world
    }

    /// All processes of Baton.
    fn places(&self) -> Vec<Place> {
        let controllers = self.controllers.keys().map(|seat| Place::Controller(*seat));
        let watch = self.watch.iter().map(|_| Place::Controller(Seat::Watch));
        let directors = self.directors.keys().map(|(agent, seat)| Place::Director(*agent, *seat));
        controllers.chain(watch).chain(directors).chain(self.subagents.keys().copied()).collect()
    }

    fn run(&mut self) -> Result<(), String> {
        self.begin();
        self.run_until(Instant::ZERO + self.plan.faulty)?;
        self.heal()?;
        self.become_well()?;
        self.look_back()?;
        self.keep_promise()
    }

    /// Starts everything, and lets things happen.
    fn begin(&mut self) {
        for place in self.places() {
            let after = self.micros(0, 500_000);
            self.at(after, Event::Start(place));
        }
        self.plan_work();
        for kind in self.plan.kinds().collect::<Vec<_>>() {
            self.choose_for(kind, |world| world.schedule(kind));
        }
        self.at(Duration::from_secs(1), Event::Compare);
    }

    fn run_until(&mut self, end: Instant) -> Result<(), String> {
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end
        {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let mark = telling::mark_of(&event);
        let digested = hash_of(&(self.now, mark)).to_le_bytes();
        let mut trace = core::mem::take(&mut self.trace);
        trace.step(&digested, || self.words_of(&event));
        self.trace = trace;
        if self.trace.steps() > MAX_STEPS {
            return Err("L3: the world does not come to rest".to_owned());
        }
        if let Some(computer) = self.computer_of(&event)
            && let Some(backlog) = self.paused.get_mut(&computer)
        {
            backlog.push(event);
            return Ok(());
        }
        match event {
            Event::Arrive { end, item } => self.arrive(end, item),
            Event::Dial { place, life, dialled, target } => {
                self.dial_arrives(place, life, dialled, target);
                Ok(())
            }
            Event::Failed { place, life, dialled, refused } if self.is_life(place, life) => {
                self.dial_failed(place, dialled, refused)
            }
            Event::Synced { place, life } if self.is_life(place, life) => self.synced(place),
            Event::Wake { place, life } if self.is_life(place, life) => self.wake(place),
            Event::RollBack { place, life, to } if self.is_life(place, life) => self.roll_back(place, to),
            Event::Failed { .. } | Event::Synced { .. } | Event::Wake { .. } | Event::RollBack { .. } => Ok(()),
            Event::Process { attempt, happens } => self.process_happens(attempt, happens),
            Event::Tell { place, life, input } if self.is_life(place, life) => self.tell_subagent(place, input),
            Event::Tell { .. } => Ok(()),
            Event::LeaseEnds(place) => {
                self.lease_ends(place);
                Ok(())
            }
            Event::Start(place) => self.start(place),
            Event::PowerOn(computer) => self.power_on(computer),
            Event::Resume(computer) => {
                self.resume(computer);
                Ok(())
            }
            Event::Unstall(place) => {
                self.stalled.remove(&place);
                self.go_on(place);
                Ok(())
            }
            Event::Mend(from, to) => {
                self.mend(from, to);
                Ok(())
            }
            Event::Hasten(from, to) => {
                self.network.lags.remove(&(from, to));
                Ok(())
            }
            Event::Happen(kind) => self.fault(kind),
            Event::Do(deed) => self.carry_out(deed),
            Event::Ask { number, attempt } => self.ask(number, attempt),
            Event::Compare => self.compare(),
        }
    }

    /// On which computer something happens.
    fn computer_of(&self, event: &Event) -> Option<Computer> {
        let place = match event {
            Event::Arrive { end, .. } => self.network.ends.get(end)?.place,
            Event::Failed { place, .. }
            | Event::Synced { place, .. }
            | Event::Wake { place, .. }
            | Event::RollBack { place, .. }
            | Event::Start(place) => *place,
            // The processes of a subagent that stands still go on.
            _ => return None,
        };
        Some(place.computer())
    }

    fn is_life(&self, place: Place, life: u64) -> bool {
        self.is_running(place) && self.life(place) == life
    }

    fn life(&self, place: Place) -> u64 {
        self.lives.get(&place).copied().unwrap_or(0)
    }

    fn clock(&self, place: Place) -> Clock {
        self.clocks.get(&place.computer()).copied().unwrap_or_default()
    }

    /// What the clocks show at a place.
    fn time_at(&self, place: Place) -> Now {
        self.clock(place).read(self.now)
    }

    fn see(&mut self, what: Sometimes) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn at(&mut self, after: Duration, event: Event) {
        self.at_instant(self.now + after, event);
    }

    fn at_instant(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    fn micros(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(self.choice.between(least, most))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.choice.below(bound)
    }
}
