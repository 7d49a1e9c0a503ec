//! What is drawn of a seed: which faults happen in a world and how often, how slow links and disks are, how tight limits are.

use crate::choice::Choice;
use baton_protocol::limit::Limits;
use baton_protocol::pair::timing::Timing;
use baton_protocol::time::Duration;

/// What a world is like.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// One-way latency of messages, in microseconds.
    pub(super) latency: (u64, u64),
    /// Time of a sync, in microseconds.
    pub(super) sync: (u64, u64),
    /// A message is lost, doubled; of a million.
    pub(super) loss: u64,
    pub(super) double: u64,
    /// Mean time between faults of a kind, in milliseconds; zero: never.
    pub(super) crash: u64,
    pub(super) cut: u64,
    pub(super) pause: u64,
    pub(super) stall: u64,
    pub(super) switch: u64,
    pub(super) wipe: u64,
    /// Two voters are lost for good, or the active is while it was alone.
    pub(super) disaster: u64,
    /// A person lets the first node begin without the second.
    pub(super) founds_by_two: bool,
    /// One failure only, at its time; none of the others then.
    pub(super) single: Option<Failure>,
    pub(super) clients: u64,
    /// An image is taken after so many records; zero: never.
    pub(super) image_after: u64,
    pub(super) limits: Limits,
}

/// A single failure, for the promised times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The process of the active dies.
    ActiveDies,
    /// The active stands still, or its machine is dead: silence.
    ActiveIsSilent,
    /// The active is cut off from both others.
    ActiveIsCutOff,
    /// The storage of the active hangs.
    ActiveStalls,
    /// The process of the standby dies.
    StandbyDies,
    /// The standby stands still.
    StandbyIsSilent,
    /// The nodes do not reach each other, but both reach the watch.
    PeersAreCut,
    /// The watch dies.
    WatchDies,
}

impl Failure {
    /// All.
    pub const ALL: [Self; 8] = [
        Self::ActiveDies,
        Self::ActiveIsSilent,
        Self::ActiveIsCutOff,
        Self::ActiveStalls,
        Self::StandbyDies,
        Self::StandbyIsSilent,
        Self::PeersAreCut,
        Self::WatchDies,
    ];

    /// Within which time commits go on. A dead process is noticed at once, since its host says so.
    #[must_use]
    pub const fn bound(self) -> Duration {
        match self {
            Self::ActiveDies | Self::StandbyDies => Duration::from_secs(2),
            Self::WatchDies => Duration::from_secs(1),
            // The storage is given up first, then the node.
            Self::ActiveStalls => Timing::TAKE_OVER,
            _ => Timing::TARGET,
        }
    }
}

impl Plan {
    pub(super) fn draw(choice: &mut Choice) -> Self {
        let mut often = |of: u64, least, most| if choice.below(of) == 0 { choice.between(least, most) } else { 0 };
        let (crash, cut, pause, stall, switch, wipe) = (
            often(2, 2_000, 20_000),
            often(2, 1_500, 15_000),
            often(3, 3_000, 20_000),
            often(4, 5_000, 30_000),
            often(3, 4_000, 20_000),
            often(8, 20_000, 40_000),
        );
        let (loss, double) = (often(2, 1_000, 200_000), often(2, 1_000, 100_000));
        let slow = choice.below(4) == 0;
        // A disk that needs longer for four syncs than an exchange may take.
        let very_slow = choice.below(16) == 0;
        let disaster = if choice.below(8) == 0 { choice.between(5_000, 20_000) } else { 0 };
        let founds_by_two = choice.below(8) == 0;
        let tight = choice.below(2) == 0;
        let single = (choice.below(3) == 0).then(|| choice.one_of(&Failure::ALL).copied()).flatten();
        let mut plan = Self {
            latency: if slow { (1_000, 200_000) } else { (50, 2_000) },
            sync: if very_slow {
                (200_000, 400_000)
            } else if slow {
                (1_000, 100_000)
            } else {
                (100, 5_000)
            },
            loss,
            double,
            crash,
            cut,
            pause,
            stall,
            switch,
            wipe,
            disaster,
            founds_by_two,
            single,
            clients: choice.between(1, 4),
            image_after: if choice.below(4) == 0 { 0 } else { choice.between(3, 30) },
            limits: if tight {
                Limits { records: 64, record_bytes: 1 << 12, promises: 128, promise_bytes: 1 << 16, puts: 16 }
            } else {
                Limits { records: 256, record_bytes: 1 << 16, promises: 512, promise_bytes: 1 << 20, puts: 32 }
            },
        };
        if plan.single.is_some() {
            plan = Self {
                latency: (50, 2_000),
                sync: (100, 5_000),
                loss: 0,
                double: 0,
                crash: 0,
                cut: 0,
                pause: 0,
                stall: 0,
                switch: 0,
                wipe: 0,
                disaster: 0,
                founds_by_two: false,
                ..plan
            };
        }
        plan
    }
}
