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
    /// watch heard the last one perhaps a heartbeat later than the standby. And after so long another process with the memory of
    /// one that is gone is heard in its place.
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

impl Timing {
    /// What is wrong with the times, if they do not fit each other: then a single lost heartbeat could pass for a lost node, or a
    /// take-over would not be granted when it is asked for, or be late.
    #[must_use]
    pub const fn mistake(self) -> Option<&'static str> {
        let Self { heartbeat, silence, watch_silence, exchange } = self;
        let [heartbeat, silence, watch_silence, exchange] =
            [heartbeat.as_millis(), silence.as_millis(), watch_silence.as_millis(), exchange.as_millis()];
        // The first bounds what is added below.
        if silence > Self::TAKE_OVER.as_millis() || exchange > Self::TAKE_OVER.as_millis() {
            Some("silence and exchange must not be longer than 15 seconds")
        } else if heartbeat == 0 || exchange == 0 {
            Some("heartbeat and exchange must be longer than zero")
        } else if heartbeat > silence / 3 {
            Some("silence must be three heartbeats at least, for one may be lost")
        } else if watch_silence <= 2 * heartbeat {
            Some("watch_silence must be longer than two heartbeats, for one may be lost")
        } else if watch_silence + heartbeat >= silence {
            Some(
                "watch_silence must be shorter than silence less a heartbeat, or the watch refuses a take-over when it is asked",
            )
        } else if silence + 4 * exchange > Self::TARGET.as_millis() {
            Some("silence and four exchanges must not be longer than 8 seconds, or take-overs are late")
        } else {
            None
        }
    }
}

const _: () = {
    assert!(Timing::DEFAULT.mistake().is_none());
    assert!(Timing::TARGET.as_millis() < Timing::TAKE_OVER.as_millis());
};
