//! All runs of a small cluster, breadth first: the first violation that is found is one with the fewest steps.
//!
//! The choices are what the world is free to choose ([`Step`]): who goes on next, what a broken link loses, when storage syncs,
//! when a deadline comes, who is killed and how much of what was not synced has reached the disk. The kinds that could go on
//! for ever have a budget.
//!
//! **Links** keep the order of messages, as TCP does. A link can break at any moment: of what is under way a first part arrives
//! and the rest is lost, and so is what is sent from then on, until the sender notices and dials again. A node and the watch can
//! also be cut off from each other, in both directions.
//!
//! **Grain.** With [`Grain::Message`] each arrival and each sync is a choice of its own. With [`Grain::Host`] it is a choice
//! which host goes on next; it takes all that has arrived, and syncs or is killed before; the watch answers at once. That
//! leaves far fewer runs, so that more faults can be exhausted.
//!
//! **Time** does not decide here: a deadline comes when the explorer wants it, and then all deadlines of that host have come
//! and all others have been silent for it. So what is found not to happen does not happen whatever the clocks do.
//!
//! **States** are compared by what they are made of, but for what can make no difference any more ([`Plan::is_reduced`]): how
//! often storage has confirmed something that it has confirmed wholly, the process in which a dead one has spoken; and, when
//! no deadline is left in the budget, when deadlines would come and how many random numbers they were made of. No step reads
//! these: a number of a put is compared with others of the same process that wait for storage, and none waits; deadlines are
//! read by [`Step::Due`] only, which is not left. So two states that differ in these only have the same runs before them, in
//! which the same is violated. A test compares what both ways reach, and all planted faults are found with it.
//!
//! **Speed.** A step changes few of the parts that a state is made of, and there are far fewer parts than states. So a state is
//! a few numbers of parts (`table`), and what a host or an audit makes of an input is worked out once and then known (`memo`).
//! All processors search, level by level (`search`).

mod memo;
mod search;
mod small;
mod table;

pub use search::{Explored, explore};

use super::host::Host;
use baton_protocol::limit::Limits;
use baton_protocol::pair::PairConfig;
use baton_protocol::pair::planted::Bugs;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat;

/// What may happen how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Numbers that clients add.
    pub adds: u8,
    /// Processes that are killed.
    pub crashes: u8,
    /// Links that break.
    pub losses: u8,
    /// Deadlines that come.
    pub dues: u8,
    /// Switch-overs that are ordered.
    pub switches: u8,
    /// Clients that want to see the list.
    pub looks: u8,
}

/// How finely runs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// In the order of arrivals and syncs.
    Message,
    /// In the order of hosts that go on.
    Host,
}

/// What the world chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next message arrives.
    Arrive(Seat, Seat),
    /// Storage syncs.
    Sync(Seat),
    /// The host takes all that is under way to it, and syncs.
    Run(Seat),
    /// The same, but it is killed before it syncs; all of it has reached the disk, or nothing.
    RunAndCrash(Seat, bool),
    /// The link in this direction breaks. So many of the messages that are under way arrive.
    Break(Seat, Seat, u8),
    /// Who sends in this direction notices that the link is broken, and dials anew.
    Redial(Seat, Seat),
    /// From now on nothing passes between a node and the watch.
    CutOff(Seat),
    /// It passes again, and both dial anew.
    Mend(Seat),
    /// The deadline comes.
    Due(Seat),
    /// A client adds the next number.
    Add(Seat),
    /// The process is killed; all that was not synced has reached the disk, or nothing.
    Crash(Seat, bool),
    /// The process starts.
    Start(Seat),
    /// A person orders a switch-over.
    SwitchOver(Seat),
    /// A client wants to see the list.
    Look(Seat),
}

/// What is to be explored: a cluster that has been coupled without any fault, and what may happen then.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How finely runs differ.
    pub grain: Grain,
    /// What may happen.
    pub budget: Budget,
    /// Faults of the nodes.
    pub bugs: Bugs,
    /// Nodes take an image after so many records, and release the records before; zero: never.
    pub image_after: u64,
    /// States that differ only in what makes no difference any more are one.
    pub is_reduced: bool,
    /// Whether [`Explored::forms`] is wanted.
    pub keeps_forms: bool,
    /// How many threads search; zero: as many as there are processors.
    pub threads: usize,
}

impl Plan {
    /// Without images and faults of the nodes.
    #[must_use]
    pub const fn new(grain: Grain, budget: Budget) -> Self {
        let (bugs, image_after) = (Bugs::NONE, 0);
        Self { grain, budget, bugs, image_after, is_reduced: true, keeps_forms: false, threads: 0 }
    }

    /// A host with an empty disk, switched off.
    fn host(&self, seat: Seat) -> Host {
        let limits = Limits { records: 16, record_bytes: 1 << 12, promises: 64, promise_bytes: 1 << 16, puts: 32 };
        let bugs = self.bugs;
        let config = PairConfig { seat, timing: Timing::DEFAULT, window: 1 << 10, piece: 4, couple_lag: 1, bugs };
        Host::new(config, limits).with_images(self.image_after)
    }
}
