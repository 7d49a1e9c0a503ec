//! The clocks by which program and guard agree on a moment: they are those of the machine, the same in both processes.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Two readings that are to belong to one moment may be apart by this.
const MOMENT: Duration = Duration::from_millis(1);

/// The clock of [`std::time::Instant`], which stands still while the machine is suspended. Zero is some moment before.
pub(crate) fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}

/// The same, but it counts suspension.
#[cfg(target_os = "linux")]
pub(super) fn boot() -> Duration {
    read(ClockId::Boottime)
}

/// Elsewhere there is no such clock.
#[cfg(not(target_os = "linux"))]
pub(super) fn boot() -> Duration {
    monotonic()
}

/// What the clock that counts suspension shows when the other one shows `at`, if the machine is not suspended meanwhile.
pub(super) fn to_boot(at: Duration) -> Duration {
    loop {
        // Whoever is stopped between two readings reads again.
        let before = monotonic();
        let boot = boot();
        if monotonic().saturating_sub(before) < MOMENT {
            return (boot + at).saturating_sub(before);
        }
    }
}

fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}
