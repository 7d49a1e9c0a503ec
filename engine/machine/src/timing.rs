//! All times of the machines, in one place, and how they depend on each other.

use core::time::Duration;

/// How often a node gives a sign of life to its peer.
pub const HEARTBEAT: Duration = Duration::from_millis(500);

/// Silence after which a subagent gets no more jobs, and a link to it is given up.
pub const SUBAGENT_SILENCE: Duration = Duration::from_secs(2);

/// Silence after which a link between controller and agent is given up. Longer than a fail-over of either takes to notice.
pub const AGENT_SILENCE: Duration = Duration::from_secs(10);

/// How long an attempt to dial or to couple may take.
pub const COUPLING: Duration = Duration::from_secs(2);

/// Pause before dialling again.
pub const REDIAL: Duration = Duration::from_secs(1);

/// After this time without its director, a subagent ends what it runs. Longer than the takeover of a director may take, so
/// that processes survive that.
pub const RECONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// How much later than [`RECONNECT_TIMEOUT`] the director takes the processes for ended: time to kill them, and clocks that
/// run differently fast.
pub const LOSS_MARGIN: Duration = Duration::from_secs(5);

/// Time between SIGTERM and SIGKILL if the job says nothing.
pub const SIGKILL_DELAY: Duration = Duration::from_secs(15);

/// How often the wall clock is looked at while something waits for a time of day, because it may jump.
pub const WALL_CLOCK_CHECK: Duration = Duration::from_secs(10);

/// How soon something is tried again that was put off because storage is behind.
pub const CONGESTION_RETRY: Duration = Duration::from_millis(100);

// Two signs of life may be lost or late.
const _: () = assert!(HEARTBEAT.as_millis() * 3 <= SUBAGENT_SILENCE.as_millis());
const _: () = assert!(RECONNECT_TIMEOUT.as_millis() > 2 * SUBAGENT_SILENCE.as_millis());
