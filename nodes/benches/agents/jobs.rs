//! Shell jobs per second through controller, agent and subagent, next to starting the same script directly.

use crate::real::Failure;
use crate::real::installation::{CONTROLLER, Installation};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// So many processes at a time.
const AT_ONCE: usize = 16;

/// So many orders are asked for at a time.
const BATCH: usize = 500;

pub(crate) async fn measure(count: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let executable = json!({"TYPE": "ShellScriptExecutable", "script": "exit 0"});
    let job = json!({"executable": executable, "processLimit": AT_ONCE});
    let installation = crate::installation(folder.path(), 1, job).await?;
    let script = folder.path().join("script.sh");
    std::fs::write(&script, "exit 0")?;
    // In turns, so that both meet the same machine.
    let (mut raw, mut through) = (0.0_f64, 0.0_f64);
    for turn in 0..3 {
        raw = raw.max(per_second(count, directly(count, &script)?));
        through = through.max(per_second(count, run(&installation, turn, count).await?));
    }
    println!(
        "shell jobs, {AT_ONCE} at a time: {through:.0}/s through three processes, {raw:.0}/s directly: {:.2} (budget 0.8)",
        through / raw
    );
    Ok(())
}

async fn run(installation: &Installation, turn: usize, count: usize) -> Result<Duration, Failure> {
    let api = installation.api(CONTROLLER)?;
    let began = Instant::now();
    let orders: Vec<_> = (0..count)
        .map(|n| json!({"id": format!("T{turn}-{n}"), "workflowPath": "JOB", "planId": [], "deleteWhenTerminated": true}))
        .collect();
    for batch in orders.chunks(BATCH) {
        api.post("/controller/api/order", &serde_json::to_string(batch)?).await?;
    }
    while api.get("/controller/api").await?["orders"]["count"] != 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(began.elapsed())
}

fn directly(count: usize, script: &std::path::Path) -> Result<Duration, Failure> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let run = |share: usize| {
            for _ in 0..share {
                let mut command = Command::new("/bin/sh");
                command.arg(script).stdin(Stdio::null()).output()?;
            }
            Ok::<_, std::io::Error>(())
        };
        let lines: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(move || run(count / AT_ONCE))).collect();
        lines.into_iter().try_for_each(|line| line.join().unwrap_or(Ok(())))
    })?;
    Ok(began.elapsed())
}

fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
