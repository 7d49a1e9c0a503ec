//! Very many jobs that sleep at a time on one agent, and how soon it tells how it is meanwhile.

use crate::figures::Times;
use crate::memory::resident;
use crate::real::Failure;
use crate::real::installation::{AGENT, CONTROLLER};
use serde_json::json;
use std::time::{Duration, Instant};

/// How often it is asked.
const QUESTIONS: usize = 500;

/// So many orders are asked for at a time.
const BATCH: usize = 1_000;

/// So long the start of all may take.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) async fn measure(count: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let executable = json!({"TYPE": "CommandLineExecutable", "command": "/bin/sleep 10000"});
    let job = json!({"executable": executable, "subagentSelectionId": AGENT});
    let mut installation = crate::installation(folder.path(), 0, job).await?;
    let (controller, agent) = (installation.api(CONTROLLER)?, installation.api(AGENT)?);
    let began = Instant::now();
    let order = |n: usize| json!({"id": format!("S{n}"), "workflowPath": "JOB", "planId": []});
    let orders: Vec<_> = (0..count).map(order).collect();
    for batch in orders.chunks(BATCH) {
        controller.post("/controller/api/order", &serde_json::to_string(batch)?).await?;
    }
    let mut starting = Times::default();
    loop {
        let asked = Instant::now();
        let status = agent.get("/agent/api").await?;
        starting.add(asked.elapsed());
        if status["subagent"]["processes"]["started"] == count {
            break;
        }
        if began.elapsed() > LIMIT {
            return Err(format!("not all were started within {LIMIT:?}: {status}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = began.elapsed();
    let mut running = Times::default();
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        agent.get("/agent/api").await?;
        running.add(asked.elapsed());
    }
    println!(
        "{count} jobs at a time were started in {:.1} s; status meanwhile p50 {:.2} ms, p99 {:.2} ms; then p50 {:.2} ms, p99 {:.2} ms \
         (budget 50); the agent takes {} MiB",
        started.as_secs_f64(),
        millis(&starting, 500),
        millis(&starting, 990),
        millis(&running, 500),
        millis(&running, 990),
        resident(&mut installation, AGENT)? >> 20,
    );
    Ok(())
}

fn millis(times: &Times, permille: usize) -> f64 {
    times.permille(permille).as_secs_f64() * 1e3
}
