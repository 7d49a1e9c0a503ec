//! `cargo bench -p baton --bench system`: jobs through the whole system (controller, agent, subagent, journals on disk, processes)
//! next to raw spawn-and-wait of the same command in the same run.
//!
//! It measures the command `baton run --json --journal`, by the timestamps of its events, as a user would see it.
#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Jobs at once, and jobs in all, of the wide measurement.
const WIDTHS: [usize; 3] = [1, 4, 16];
const WIDE: usize = 1_000;
/// How often both ways of the wide measurement are taken in turns. The best of each counts, so that what else the machine does
/// meanwhile does not.
const ROUNDS: usize = 5;
/// Jobs one after the other.
const CHAIN: usize = 40;
const RUNS: usize = 5;
/// Orders which are added to an idle system, and the pause between two of them in seconds.
const STARTS: usize = 200;
const PAUSE: &str = "0.02";

/// What happened when: `{"Key": "…", "TYPE": "…", …, "timestamp": …}`.
struct Event {
    order: String,
    type_name: String,
    /// In milliseconds.
    time: u64,
}

struct Events(Vec<Event>);

impl Events {
    fn first(&self, type_name: &str) -> Option<u64> {
        self.0.iter().find(|event| event.type_name == type_name).map(|event| event.time)
    }

    fn last(&self, type_name: &str) -> Option<u64> {
        self.0.iter().rfind(|event| event.type_name == type_name).map(|event| event.time)
    }

    fn count(&self, type_name: &str) -> usize {
        self.0.iter().filter(|event| event.type_name == type_name).count()
    }
}

fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    rest.trim_start_matches('"').split(['"', ',', '}']).next()
}

/// Runs a workflow of these instructions.
fn run(instructions: &str) -> Result<Events, Box<dyn Error>> {
    run_with(instructions, None)
}

/// The same, with other items of a folder.
fn run_with(instructions: &str, items: Option<&Path>) -> Result<Events, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("workflow.json");
    let text = format!(r#"{{"TYPE": "Workflow", "path": "BENCH", "instructions": [{instructions}]}}"#);
    std::fs::write(&file, text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.arg("run").arg(&file).arg("--json").arg("--journal").arg(folder.path().join("journal"));
    if let Some(items) = items {
        command.arg("--items").arg(items);
    }
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(format!("baton run: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let event = |line: &str| {
        let order = member(line, "Key").unwrap_or_default().to_owned();
        Some(Event {
            order,
            type_name: member(line, "TYPE")?.to_owned(),
            time: member(line, "timestamp")?.parse().ok()?,
        })
    };
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
    let (mut system, mut direct) = (0_f64, 0_f64);
    for _ in 0..ROUNDS {
        let events = run(&instructions)?;
        if events.count("OrderProcessed") != WIDE {
            return Err(format!("{} of {WIDE} jobs have run", events.count("OrderProcessed")).into());
        }
        let (first, last) = (events.first("OrderProcessingStarted"), events.last("OrderProcessed"));
        let (Some(first), Some(last)) = (first, last) else { return Err("no jobs".into()) };
        system = system.max(per_second(WIDE, Duration::from_millis(last.saturating_sub(first))));
        direct = direct.max(per_second(WIDE, raw(WIDE, at_once)));
    }
    println!(
        "sh -c true, {at_once:2} at once: {system:6.0} jobs/s; raw {direct:6.0}/s; ratio {:.2} (budget 0.80)",
        system / direct
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

/// From the record that an order was added until its process tells that it runs, in an idle system. The former is cut off to
/// milliseconds, so the figures are up to one too high; the latter comes through a named pipe and includes the start of the shell.
fn starts() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("started");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU)?;
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || -> std::io::Result<Vec<(String, f64)>> {
            // Held open for writing too, so that it does not end between two processes.
            let mut pipe = BufReader::new(File::options().read(true).write(true).open(pipe)?);
            let mut found = Vec::with_capacity(STARTS);
            loop {
                let mut line = String::new();
                pipe.read_line(&mut line)?;
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                match line.trim() {
                    "" => return Ok(found),
                    id => found.push((id.to_owned(), now.as_secs_f64() * 1e3)),
                }
            }
        }
    });
    let added = format!(
        r#"{{"TYPE": "Workflow", "path": "STARTED", "instructions": [{{"TYPE": "Execute.Anonymous", "job": {{"agentPath": "A",
           "executable": {{"TYPE": "ShellScriptExecutable", "script": "echo $ORDER > {}",
           "env": {{"ORDER": "$js7OrderId"}}}}}}}}]}}"#,
        pipe.display()
    );
    let items = folder.path().join("items");
    std::fs::create_dir(&items)?;
    std::fs::write(items.join("started.json"), added)?;
    let instructions: Vec<String> = (0..STARTS)
        .map(|n| {
            format!(
                r#"{{"TYPE": "AddOrder", "orderId": "'started-{n:04}'", "workflowPath": "STARTED", "deleteWhenTerminated": true}},
                   {{"TYPE": "Sleep", "duration": "{PAUSE}"}}"#
            )
        })
        .collect();
    // At its end the last ones have run.
    let instructions = format!(r#"{}, {{"TYPE": "Sleep", "duration": "1"}}"#, instructions.join(","));
    let events = run_with(&instructions, Some(&items));
    File::options().write(true).open(&pipe)?.write_all(b"\n")?;
    let events = events?;
    let found = reader.join().map_err(|_| "the reader has panicked")??;
    let mut times: Vec<f64> = found
        .iter()
        .filter_map(|(id, time)| {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
            let added =
                events.0.iter().find(|event| event.type_name == "OrderAttachable" && event.order == *id)?.time as f64;
            Some(time - added)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(f64::NAN);
    println!(
        "order added until its process runs, idle system, {} orders: p50 {:.1} ms (budget 3), p99 {:.1} ms (budget 10)",
        times.len(),
        at(50),
        at(99)
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    for at_once in WIDTHS {
        wide(at_once)?;
    }
    chain()?;
    starts()
}
