//! The times of a pair. They decide when a node asks, never what it may do.

use crate::time::Duration;

/// The times. Both nodes and the watch should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// How often each tells the others that it lives.
    pub heartbeat: Duration,
    /// After so long without a sign of life, the other node is taken for lost.
    pub silence: Duration,
    /// After so long without a sign of life of the active, the watch lets the standby take over. Shorter than `silence`, as the
    /// watch heard the last one perhaps a heartbeat later than the standby.
    pub watch_silence: Duration,
    /// A question without an answer is repeated after this time.
    pub exchange: Duration,
}

impl Timing {
    /// For production.
    pub const DEFAULT: Self = Self {
        heartbeat: Duration::from_secs(1),
        silence: Duration::from_secs(4),
        watch_silence: Duration::from_millis(2_500),
        exchange: Duration::from_secs(1),
    };

    /// The longest time from the last sign of life of a lost node until the other one commits, when nothing else fails.
    pub const TAKE_OVER: Duration = Duration::from_secs(15);

    /// The time that take-overs are built for: silence, and three exchanges of which the first is lost.
    pub const TARGET: Duration = Duration::from_secs(8);
}

const _: () = {
    let Timing { heartbeat, silence, watch_silence, exchange } = Timing::DEFAULT;
    // A single lost heartbeat is no silence, and the watch agrees when the standby asks.
    assert!(silence.as_millis() >= 3 * heartbeat.as_millis());
    assert!(watch_silence.as_millis() + heartbeat.as_millis() < silence.as_millis());
    assert!(watch_silence.as_millis() > 2 * heartbeat.as_millis());
    assert!(silence.as_millis() + 4 * exchange.as_millis() <= Timing::TARGET.as_millis());
    assert!(Timing::TARGET.as_millis() < Timing::TAKE_OVER.as_millis());
};
