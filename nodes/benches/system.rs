//! `cargo bench -p baton --bench system`: jobs through the whole system (controller, agent, subagent, journals on disk, processes)
//! next to raw spawn-and-wait of the same command in the same run.
//!
//! It measures the command `baton run --json --journal`, by the timestamps of its events, as a user would see it.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Jobs at once, and jobs in all, of the wide measurement.
const WIDTHS: [usize; 3] = [1, 4, 16];
const WIDE: usize = 1_000;
/// Jobs one after the other.
const CHAIN: usize = 40;
const RUNS: usize = 5;

/// `{"TYPE": "…", …, "timestamp": …}`: what happened when, in milliseconds.
struct Events(Vec<(String, u64)>);

impl Events {
    fn first(&self, type_name: &str) -> Option<u64> {
        self.0.iter().find(|(name, _)| name == type_name).map(|(_, time)| *time)
    }

    fn last(&self, type_name: &str) -> Option<u64> {
        self.0.iter().rfind(|(name, _)| name == type_name).map(|(_, time)| *time)
    }

    fn count(&self, type_name: &str) -> usize {
        self.0.iter().filter(|(name, _)| name == type_name).count()
    }
}

fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    rest.trim_start_matches('"').split(['"', ',', '}']).next()
}

/// Runs a workflow of these instructions.
fn run(instructions: &str) -> Result<Events, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("workflow.json");
    let text = format!(r#"{{"TYPE": "Workflow", "path": "BENCH", "instructions": [{instructions}]}}"#);
    std::fs::write(&file, text)?;
    let output = Command::new(env!("CARGO_BIN_EXE_baton"))
        .arg("run")
        .arg(&file)
        .arg("--json")
        .arg("--journal")
        .arg(folder.path().join("journal"))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("baton run: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let event = |line: &str| Some((member(line, "TYPE")?.to_owned(), member(line, "timestamp")?.parse().ok()?));
    Ok(Events(text.lines().filter_map(event).collect()))
}

fn job(process_limit: usize) -> String {
    format!(
        r#"{{"TYPE": "Execute.Anonymous", "job": {{"agentPath": "A", "processLimit": {process_limit},
           "executable": {{"TYPE": "CommandLineExecutable", "command": "/bin/sh -c true"}}}}}}"#
    )
}

fn spawn_and_wait() {
    let status = Command::new("/bin/sh").args(["-c", "true"]).stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "/bin/sh -c true");
}

/// How long `count` raw processes take, so many at once.
fn raw(count: usize, at_once: usize) -> Duration {
    let left = AtomicUsize::new(count);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    spawn_and_wait();
                }
            });
        }
    });
    began.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn wide(at_once: usize) -> Result<(), Box<dyn Error>> {
    let elements: Vec<String> = (0..WIDE).map(|n| n.to_string()).collect();
    let instructions = format!(
        r#"{{"TYPE": "ForkList", "children": "[{}]", "childToId": "(x) => \"$x\"", "childToArguments": "(x) => {{ x: $x }}",
           "workflow": {{"instructions": [{}]}}}}"#,
        elements.join(","),
        job(at_once)
    );
    let events = run(&instructions)?;
    if events.count("OrderProcessed") != WIDE {
        return Err(format!("{} of {WIDE} jobs have run", events.count("OrderProcessed")).into());
    }
    let (first, last) = (events.first("OrderProcessingStarted"), events.last("OrderProcessed"));
    let (Some(first), Some(last)) = (first, last) else { return Err("no jobs".into()) };
    let system = per_second(WIDE, Duration::from_millis(last.saturating_sub(first)));
    let raw = per_second(WIDE, raw(WIDE, at_once));
    println!(
        "sh -c true, {at_once:2} at once: {system:6.0} jobs/s; raw {raw:6.0}/s; ratio {:.2} (budget 0.80)",
        system / raw
    );
    Ok(())
}

fn chain() -> Result<(), Box<dyn Error>> {
    let instructions = vec![job(1); CHAIN].join(",");
    let mut best = u64::MAX;
    let mut first_start = u64::MAX;
    for _ in 0..RUNS {
        let events = run(&instructions)?;
        let times = [events.first("OrderAdded"), events.first("OrderProcessingStarted"), events.last("OrderProcessed")];
        let [Some(added), Some(first), Some(last)] = times else { return Err("no jobs".into()) };
        best = best.min(last.saturating_sub(first));
        first_start = first_start.min(first.saturating_sub(added));
    }
    let raw = raw(CHAIN, 1).as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let (best, count, first_start) = (best as f64, CHAIN as f64, first_start as f64);
    println!(
        "chain of {CHAIN} jobs: {:.2} ms each; raw {:.2} ms each; {:.2} ms more each (budget 2.5); \
         order added until first process started: {first_start} ms, with the coupling of the agent",
        best / count,
        raw / count,
        (best - raw) / count
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    for at_once in WIDTHS {
        wide(at_once)?;
    }
    chain()
}
