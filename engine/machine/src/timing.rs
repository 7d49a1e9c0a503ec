//! All times of the machines, in one place, and how they depend on each other.

use core::time::Duration;

/// The times of a node. Nodes which talk to each other have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a node gives a sign of life to its peer.
    pub heartbeat: Duration,
    /// Silence after which a subagent gets no more jobs, and a link to it is given up.
    pub subagent_silence: Duration,
    /// Silence after which a link between controller and agent is given up. Longer than a fail-over of either takes to notice.
    pub agent_silence: Duration,
    /// How long an attempt to dial or to couple may take.
    pub coupling: Duration,
    /// Time between two attempts to couple.
    pub redial: Duration,
    /// Longest time between two attempts to couple with a peer that tells what cannot be.
    pub longest_redial: Duration,
    /// After this time without its director, a subagent ends what it runs. Longer than the takeover of a director may take, so
    /// that processes survive that.
    pub reconnect_timeout: Duration,
    /// How much later than `reconnect_timeout` the director takes the processes for ended: time to kill them, and clocks that
    /// run differently fast.
    pub loss_margin: Duration,
    /// Time between SIGTERM and SIGKILL if the job says nothing.
    pub sigkill_delay: Duration,
    /// For how long it is believed what a subagent has told of the load of its machine.
    pub metering_life: Duration,
    /// How often the wall clock is looked at while something waits for a time of day, because it may jump.
    pub wall_clock_check: Duration,
    /// How soon something is tried again that was put off because storage is behind.
    pub congestion_retry: Duration,
}

impl Timing {
    /// The times of production.
    pub const DEFAULT: Self = Self {
        heartbeat: Duration::from_millis(500),
        subagent_silence: Duration::from_secs(2),
        agent_silence: Duration::from_secs(10),
        coupling: Duration::from_secs(2),
        redial: Duration::from_secs(1),
        longest_redial: Duration::from_mins(1),
        reconnect_timeout: Duration::from_mins(1),
        loss_margin: Duration::from_secs(5),
        sigkill_delay: Duration::from_secs(15),
        metering_life: Duration::from_secs(6),
        wall_clock_check: Duration::from_secs(10),
        congestion_retry: Duration::from_millis(100),
    };

    /// For a world in which no node falls silent and nobody turns the clocks unseen: years pass without a sign of life.
    pub const PATIENT: Self = Self {
        heartbeat: YEARS,
        subagent_silence: Duration::from_secs(4 * YEARS.as_secs()),
        agent_silence: Duration::from_secs(4 * YEARS.as_secs()),
        coupling: YEARS,
        reconnect_timeout: Duration::from_secs(10 * YEARS.as_secs()),
        metering_life: Duration::from_secs(10 * YEARS.as_secs()),
        wall_clock_check: YEARS,
        ..Self::DEFAULT
    };
}

const YEARS: Duration = Duration::from_secs(20 * 366 * 24 * 60 * 60);

const fn is_consistent(timing: &Timing) -> bool {
    // Two signs of life may be lost or late.
    timing.heartbeat.as_secs() * 3 <= timing.subagent_silence.as_secs() + 1
        && timing.subagent_silence.as_secs() <= timing.agent_silence.as_secs()
        && timing.reconnect_timeout.as_secs() > 2 * timing.subagent_silence.as_secs()
}

const _: () = assert!(is_consistent(&Timing::DEFAULT));
const _: () = assert!(is_consistent(&Timing::PATIENT));
