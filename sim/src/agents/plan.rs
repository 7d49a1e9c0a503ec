//! What is drawn of a seed: what happens in a world and how often, how slow links and disks are, how tight limits and times are.

use super::keeper::Setting;
use crate::choice::Choice;
use baton_machine::draft::Slice;
use baton_machine::planted::Bugs;
use baton_machine::timing::Timing;
use baton_protocol::limit::Limits;
use baton_protocol::time::Duration;
use std::collections::BTreeMap;

/// Something that happens to a world: what fails, and what people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The process of a controller, or of the watch of two, dies.
    CrashController,
    /// The process of a director dies; its own subagent with it, if that is in it.
    CrashDirector,
    /// The process of a subagent dies.
    CrashSubagent,
    /// A computer loses power: silence.
    PowerLoss,
    /// All computers lose power.
    PowerLossOfAll,
    /// Two computers do not reach each other.
    Cut,
    /// One computer does not reach another one, which reaches it.
    OneWayCut,
    /// A controller reaches the agents, but neither the other controller nor the watch.
    Isolate,
    /// What one computer sends to another one takes seconds.
    Lag,
    /// A connection breaks.
    LoseLink,
    /// Baton stands still on a computer.
    Pause,
    /// The disk of a controller or director does nothing.
    Stall,
    /// A wall clock jumps.
    ClockJump,
    /// A subagent is stopped gracefully, and started again.
    StopSubagent,
    /// An agent loses its journal, and is reset.
    LoseJournal,
    /// The active controller hands over.
    SwitchOver,
    /// An order is cancelled.
    Cancel,
    /// An order is cancelled, and its process killed.
    CancelKill,
    /// An order is suspended, and resumed later.
    Suspend,
    /// An order is suspended and its process killed, and it is resumed later.
    SuspendKill,
    /// A subagent is reset.
    ResetSubagent,
    /// An agent is reset.
    ResetAgent,
    /// A subagent is disabled, and enabled later.
    Disable,
    /// The process limit of an agent changes.
    Limit,
    /// A subagent is somewhere else.
    Move,
    /// A subagent is deleted, and added again later.
    Delete,
    /// A workflow is suspended, and continued later.
    Hold,
}

impl Kind {
    /// All, and how many worlds have them: one of so many.
    pub const ALL: [(Self, u64); 27] = [
        (Self::CrashController, 2),
        (Self::CrashDirector, 2),
        (Self::CrashSubagent, 2),
        (Self::PowerLoss, 3),
        (Self::PowerLossOfAll, 8),
        (Self::Cut, 2),
        (Self::OneWayCut, 3),
        (Self::Isolate, 2),
        (Self::Lag, 3),
        (Self::LoseLink, 3),
        (Self::Pause, 3),
        (Self::Stall, 4),
        (Self::ClockJump, 4),
        (Self::StopSubagent, 4),
        (Self::LoseJournal, 16),
        (Self::SwitchOver, 3),
        (Self::Cancel, 4),
        (Self::CancelKill, 2),
        (Self::Suspend, 4),
        (Self::SuspendKill, 4),
        (Self::ResetSubagent, 6),
        (Self::ResetAgent, 12),
        (Self::Disable, 4),
        (Self::Limit, 4),
        (Self::Move, 6),
        (Self::Delete, 4),
        (Self::Hold, 6),
    ];

    /// Reads what `Debug` writes.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|(kind, _)| kind).find(|kind| format!("{kind:?}") == name)
    }
}

/// What a world is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One-way latency, in microseconds.
    pub(super) latency: (u64, u64),
    /// Time of a sync, in microseconds.
    pub(super) sync: (u64, u64),
    /// What happens, and the mean time between in milliseconds.
    pub(super) happens: BTreeMap<Kind, u64>,
    /// How long it happens.
    pub(super) faulty: Duration,
    /// Number of agents, and of subagents of each.
    pub(super) agents: u8,
    pub(super) subagents: u8,
    /// Whether a director and the first subagent are one process.
    pub(super) is_integrated: bool,
    /// Whether two controllers with a watch work.
    pub(super) has_two_controllers: bool,
    pub(super) orders: u64,
    /// How much clocks are too fast or too slow at most, in millionths; and how much the wall clocks differ, in milliseconds.
    pub(super) drift: u64,
    pub(super) skew: u64,
    pub(super) setting: Setting,
}

impl Plan {
    /// Nothing happens by itself.
    pub(super) fn calm(bugs: Bugs) -> Self {
        Self {
            latency: (500, 500),
            sync: (1_000, 1_000),
            happens: BTreeMap::new(),
            faulty: Duration::ZERO,
            agents: 1,
            subagents: 2,
            is_integrated: false,
            has_two_controllers: false,
            orders: 0,
            drift: 0,
            skew: 0,
            setting: Setting {
                timing: Timing::DEFAULT,
                limits: Limits::DEFAULT,
                slice: Slice::DEFAULT,
                image_after: 0,
                bugs,
            },
        }
    }

    pub(super) fn draw(choice: &mut Choice, bugs: Bugs) -> Self {
        let mut happens = BTreeMap::new();
        for (kind, one_of) in Kind::ALL {
            let mean = choice.between(1_500, 15_000);
            if choice.below(one_of) == 0 {
                happens.insert(kind, mean);
            }
        }
        let is_slow = choice.below(4) == 0;
        let is_tight = choice.below(3) == 0;
        let has_short_lease = choice.below(3) > 0;
        let (reconnect, margin) = (choice.between(5_000, 12_000), choice.between(1_000, 5_000));
        let timing = Timing {
            sigkill_delay: Duration::from_millis(choice.between(200, 4_000)),
            wall_clock_check: Duration::from_secs(choice.between(1, 10)),
            ..Timing::DEFAULT
        };
        let timing = if has_short_lease {
            let (reconnect_timeout, loss_margin) = (Duration::from_millis(reconnect), Duration::from_millis(margin));
            Timing { reconnect_timeout, loss_margin, ..timing }
        } else {
            timing
        };
        let tight = Limits { records: 24, promises: 96, promise_bytes: 1 << 20, puts: 16, ..Limits::DEFAULT };
        Self {
            latency: if is_slow { (1_000, 150_000) } else { (50, 2_000) },
            sync: if is_slow { (1_000, 60_000) } else { (100, 5_000) },
            happens,
            faulty: Duration::from_millis(choice.between(8_000, 30_000)),
            agents: if choice.below(3) == 0 { 2 } else { 1 },
            subagents: u8::try_from(choice.between(2, 3)).unwrap_or(2),
            is_integrated: choice.below(2) == 0,
            has_two_controllers: choice.below(4) == 0,
            orders: choice.between(3, 14),
            drift: if choice.below(2) == 0 { choice.below(5_000) } else { 0 },
            skew: if choice.below(2) == 0 { choice.below(7_200_000) } else { 0 },
            setting: Setting {
                timing,
                limits: if is_tight { tight } else { Limits::DEFAULT },
                slice: if choice.below(4) == 0 {
                    Slice { orders: usize::try_from(choice.between(1, 6)).unwrap_or(1), ..Slice::DEFAULT }
                } else {
                    Slice::DEFAULT
                },
                image_after: if choice.below(2) == 0 { 0 } else { choice.between(5, 60) },
                bugs,
            },
        }
    }

    /// What happens in it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.happens.keys().copied()
    }

    /// The same without one kind of what happens.
    #[must_use]
    pub fn without(&self, kind: Kind) -> Self {
        let mut plan = self.clone();
        plan.happens.remove(&kind);
        plan
    }
}
