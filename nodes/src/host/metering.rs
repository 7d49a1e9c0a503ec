//! The load of this machine, for priorities of subagents which depend on it: read from `/proc` once a second. Where there is no
//! such thing, nothing is told, and such priorities are missing.

use super::subagent::SubagentRequest;
use baton_machine::message::MachineLoad;
use baton_machine::subagent::SubagentInput;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Time between two measurements.
const PERIOD: Duration = Duration::from_secs(1);

/// Tells the load until nobody listens.
pub(super) async fn measure(requests: mpsc::WeakSender<SubagentRequest>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        ticks.tick().await;
        let Some(requests) = requests.upgrade().filter(|requests| !requests.is_closed()) else { return };
        let times = read("/proc/stat").as_deref().and_then(CpuTimes::parse);
        let cpu_per_mille = before.zip(times).and_then(|(before, now)| CpuTimes::load(before, now));
        before = times;
        let Some(load) = read("/proc/meminfo").and_then(|text| machine_load(&text, cpu_per_mille)) else { return };
        // When too much waits, the next measurement will do.
        let _ = requests.try_send(SubagentRequest::Input(SubagentInput::Metering(load)));
    }
}

/// Files of the kernel, which are in memory.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Ticks of all processors since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    idle: u64,
    total: u64,
}

impl CpuTimes {
    /// Reads `/proc/stat`.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user.
        let times: Vec<u64> = line.split_whitespace().take(8).map_while(|time| time.parse().ok()).collect();
        let idle = times.get(3)?.saturating_add(times.get(4).copied().unwrap_or(0));
        Some(Self { idle, total: times.iter().sum() })
    }

    fn load(before: Self, now: Self) -> Option<u16> {
        let total = now.total.checked_sub(before.total).filter(|total| *total > 0)?;
        let idle = now.idle.saturating_sub(before.idle).min(total);
        u16::try_from((total - idle) * 1_000 / total).ok()
    }
}

/// Reads `/proc/meminfo`.
fn machine_load(text: &str, cpu_per_mille: Option<u16>) -> Option<MachineLoad> {
    let bytes = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
    };
    Some(MachineLoad {
        cpu_per_mille,
        committed_memory: bytes("Committed_AS")?,
        free_memory: bytes("MemAvailable")?,
        total_memory: bytes("MemTotal")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_tells() {
        let before = CpuTimes::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3 4\n").unwrap();
        assert_eq!(before, CpuTimes { idle: 850, total: 1_000 });
        let now = CpuTimes::parse("cpu  150 0 75 925 50 0 0 0 0 0\n").unwrap();
        assert_eq!(CpuTimes::load(before, now), Some(375));
        assert_eq!(CpuTimes::load(now, now), None);
        assert_eq!(CpuTimes::parse("intr 1"), None);
        let text = "MemTotal:       8000 kB\nMemFree: 1 kB\nMemAvailable:   2000 kB\nCommitted_AS:   3000 kB\n";
        let load = machine_load(text, Some(375)).unwrap();
        assert_eq!((load.total_memory, load.free_memory, load.committed_memory), (8_192_000, 2_048_000, 3_072_000));
        assert_eq!(machine_load("MemTotal: x", None), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        if cfg!(target_os = "linux") {
            assert!(read("/proc/stat").as_deref().and_then(CpuTimes::parse).is_some());
            assert!(read("/proc/meminfo").and_then(|text| machine_load(&text, None)).is_some());
        }
    }
}
