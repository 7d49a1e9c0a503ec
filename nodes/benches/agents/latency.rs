//! From asking for an order until its process runs; and from a line of output until it is seen at the controller.

use crate::figures::Times;
use crate::real::Failure;
use crate::real::installation::CONTROLLER;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::process::Command;
use tokio::time::timeout;

/// So many orders, one after the other.
const ORDERS: usize = 300;

/// So many lines of output.
const LINES: usize = 200;

/// Longer than anything takes.
const DEADLINE: Duration = Duration::from_secs(30);

type Notes = Lines<BufReader<Receiver>>;

/// Where processes note that they run.
fn notes(path: &Path) -> Result<Notes, Failure> {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0)?;
    // Open for both, so that it never ends.
    Ok(BufReader::new(OpenOptions::new().read_write(true).open_receiver(path)?).lines())
}

async fn note(notes: &mut Notes) -> Result<String, Failure> {
    Ok(timeout(DEADLINE, notes.next_line()).await??.ok_or("the notes have ended")?)
}

pub(crate) async fn measure() -> Result<(), Failure> {
    start().await?;
    output().await
}

async fn start() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("notes");
    let mut notes = notes(&fifo)?;
    let script = format!("echo > '{}'", fifo.display());
    let executable = json!({"TYPE": "ShellScriptExecutable", "script": script});
    let installation = crate::installation(folder.path(), 1, json!({"executable": executable})).await?;
    let api = installation.api(CONTROLLER)?;
    let (mut orders, mut raw) = (Times::default(), Times::default());
    for n in 0..ORDERS {
        let order = json!({"id": format!("O{n}"), "workflowPath": "JOB", "planId": [], "deleteWhenTerminated": true});
        let began = Instant::now();
        api.post("/controller/api/order", &order.to_string()).await?;
        note(&mut notes).await?;
        orders.add(began.elapsed());
        let began = Instant::now();
        let mut child = Command::new("/bin/sh").args(["-c", &script]).stdin(Stdio::null()).spawn()?;
        note(&mut notes).await?;
        raw.add(began.elapsed());
        child.wait().await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "order asked for until its process runs: p50 {:.2} ms, p99 {:.2} ms (budget 3 and 10); the same directly: p50 {:.2} ms, p99 {:.2} ms",
        millis(&orders, 500),
        millis(&orders, 990),
        millis(&raw, 500),
        millis(&raw, 990)
    );
    Ok(())
}

async fn output() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let fifo = folder.path().join("notes");
    let mut notes = notes(&fifo)?;
    let script = format!(
        "n=0; while [ $n -lt {LINES} ]; do echo line-$n-; echo $n > '{}'; n=$((n+1)); sleep 0.02; done",
        fifo.display()
    );
    let executable = json!({"TYPE": "ShellScriptExecutable", "script": script});
    let installation = crate::installation(folder.path(), 1, json!({"executable": executable})).await?;
    let seen: Arc<Mutex<Vec<Option<Instant>>>> = Arc::new(Mutex::new(vec![None; LINES]));
    let told = Arc::clone(&seen);
    let reader = installation.api(CONTROLLER)?;
    let path = "/controller/api/event?return=OrderStdoutWritten&timeout=30&heartbeat=1";
    let reading = tokio::spawn(async move {
        reader
            .each_line(path, |line| {
                let now = Instant::now();
                let Ok(mut told) = told.lock() else { return false };
                for part in line.split("line-").skip(1) {
                    let number = part.split('-').next().and_then(|number| number.parse::<usize>().ok());
                    if let Some(entry) = number.and_then(|number| told.get_mut(number)) {
                        entry.get_or_insert(now);
                    }
                }
                told.iter().any(Option::is_none)
            })
            .await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    installation.add("JOB", "O").await?;
    let mut written = Vec::new();
    for _ in 0..LINES {
        note(&mut notes).await?;
        written.push(Instant::now());
    }
    timeout(DEADLINE, reading).await???;
    let mut times = Times::default();
    for (written, seen) in written.iter().zip(seen.lock().map_err(|error| error.to_string())?.iter()) {
        times.add(seen.ok_or("a line was not seen")?.saturating_duration_since(*written));
    }
    println!(
        "line of output until it is seen at the controller: p50 {:.2} ms, p99 {:.2} ms (budget 50)",
        millis(&times, 500),
        millis(&times, 990)
    );
    Ok(())
}

fn millis(times: &Times, permille: usize) -> f64 {
    times.permille(permille).as_secs_f64() * 1e3
}
