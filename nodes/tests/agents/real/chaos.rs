//! Faults at random against a controller, an agent with two directors and its subagents that have jobs to run all the time: processes are killed and
//! paused, one or more at a time. The ledger of the jobs, and the events of the controller, prove that no order is lost, that no two
//! processes of an order run at a time, and that each order is finished once.

use super::Failure;
use super::api::{Api, OPERATOR};
use super::installation::{AGENT, CONTROLLER, Installation, SECOND, subagent};
use crate::figures::Times;
use baton_protocol::random::Random;
use hyper::Method;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// So many subagents beside that of the agent.
const SUBAGENTS: usize = 3;

/// The time between two orders, in milliseconds, at most.
const ORDER_PAUSE: u64 = 120;

/// So long a job sleeps at most, in milliseconds.
const LONGEST_JOB: u64 = 1_500;

/// So long a process is away that was killed, at most, in milliseconds.
const LONGEST_ABSENCE: u64 = 3_000;

/// Nothing is done between two faults for so long at most, in milliseconds.
const LONGEST_CALM: u64 = 1_000;

/// So many rounds in a hundred have two faults at a time.
const DOUBLES: u64 = 25;

/// After the last fault, all orders are finished within this time: what a subagent ran that was silent is lost after a minute.
const SETTLED: Duration = Duration::from_secs(120);

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// So many rounds at most.
    pub(crate) rounds: u64,
    /// After this time no round begins.
    pub(crate) time: Duration,
    /// The longest time that a process is paused.
    pub(crate) longest: Duration,
}

/// How it went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rounds: u64,
    /// How often each was done.
    faults: BTreeMap<String, usize>,
    orders: usize,
    /// How many orders had so many processes.
    processes: BTreeMap<usize, usize>,
    /// From the answer to an order until its first process began.
    begun: Times,
    /// Between the beginnings of two processes, whichever.
    gaps: Times,
    /// From the end of all faults until all orders were finished.
    settled: Duration,
}

/// The orders that were answered, and when.
type Answered = Arc<Mutex<BTreeMap<String, u128>>>;

/// Does it all in an empty folder, and tells how it goes on.
pub(crate) async fn run(plan: &Plan, folder: &Path, say: &(dyn Fn(String) + Sync)) -> Result<Report, Failure> {
    let mut installation = Installation::paired(folder, SUBAGENTS)?;
    let items = installation.items(&installation.ledger.script());
    installation.begin(&items).await?;
    let mut random = Random::new(plan.seed);
    let answered = Answered::default();
    let (stop, stopped) = watch::channel(false);
    let feeder =
        tokio::spawn(feed(installation.api(CONTROLLER)?, random.child("orders"), Arc::clone(&answered), stopped));
    let mut report = Report::default();
    let began = Instant::now();
    let mut result = Ok(());
    while result.is_ok() && report.rounds < plan.rounds && began.elapsed() < plan.time {
        let done = round(plan, &mut installation, &mut random).await;
        let told = done.and_then(|faults| Ok((faults, installation.ledger.read()?.len())));
        result = told.map(|(faults, begun)| {
            say(format!("{:>4} {:>7.1?} {begun:>6} orders  {}", report.rounds, began.elapsed(), faults.join(", ")));
            for fault in faults {
                let kind = fault.split(' ').take(2).collect::<Vec<_>>().join(" ");
                *report.faults.entry(kind).or_default() += 1;
            }
            report.rounds += 1;
        });
    }
    stop.send_replace(true);
    // It ends when its last order is answered; or never, after a failure.
    if result.is_err() {
        feeder.abort();
    }
    let _ = feeder.await;
    result?;
    heal(&mut installation)?;
    let healed = Instant::now();
    settle(&installation).await?;
    report.settled = healed.elapsed();
    judge(&installation, &answered, &mut report).await?;
    Ok(report)
}

/// One round: one or two faults, and how they end. Tells what was done.
async fn round(plan: &Plan, installation: &mut Installation, random: &mut Random) -> Result<Vec<String>, Failure> {
    let mut targets: Vec<String> = (1..=SUBAGENTS).map(subagent).collect();
    // Each director as often as a subagent, the controller half as often.
    targets.extend([AGENT, SECOND].map(str::to_owned));
    if random.chance(1, 2) {
        targets.push(CONTROLLER.to_owned());
    }
    random.shuffle(&mut targets);
    targets.truncate(if random.chance(DOUBLES, 100) { 2 } else { 1 });
    let mut told = Vec::new();
    let mut ends = Vec::new();
    for target in targets {
        let is_pause = random.chance(1, 2);
        let most = if is_pause { u64::try_from(plan.longest.as_millis())? } else { LONGEST_ABSENCE };
        // Short ones are as likely as long ones: what matters happens around the times of the protocol.
        let most = if random.chance(1, 2) { most } else { most.min(3_000) };
        let millis = random.between(if is_pause { 100 } else { 0 }, most);
        if is_pause {
            installation.pause(&target, true)?;
        } else {
            installation.kill(&target)?;
        }
        told.push(format!("{} {target} for {millis} ms", if is_pause { "pause" } else { "kill" }));
        ends.push((Instant::now() + Duration::from_millis(millis), target, is_pause));
    }
    ends.sort();
    for (at, target, is_pause) in ends {
        tokio::time::sleep(at.saturating_duration_since(Instant::now())).await;
        if is_pause {
            installation.pause(&target, false)?;
        } else {
            installation.start(&target)?;
        }
    }
    tokio::time::sleep(Duration::from_millis(random.between(0, LONGEST_CALM))).await;
    installation.all_run()?;
    Ok(told)
}

/// Takes all faults away.
fn heal(installation: &mut Installation) -> Result<(), Failure> {
    for name in installation.names() {
        installation.pause(&name, false)?;
    }
    installation.start_all()
}

/// Waits until all orders are finished, and so deleted.
async fn settle(installation: &Installation) -> Result<(), Failure> {
    let api = installation.api(CONTROLLER)?;
    let began = Instant::now();
    loop {
        let left = match api.get("/controller/api/order?limit=10").await {
            Ok(page) if page["orders"].as_array().is_some_and(Vec::is_empty) => return Ok(()),
            Ok(page) => page.to_string(),
            Err(error) => error.to_string(),
        };
        if began.elapsed() > SETTLED {
            return Err(format!("orders are left {SETTLED:?} after the last fault: {left}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Adds orders until it is told to stop. Each is asked for again until it is answered: then it is there.
async fn feed(api: Api, mut random: Random, answered: Answered, mut stopped: watch::Receiver<bool>) {
    for number in 0.. {
        let seconds = random.below(LONGEST_JOB) as f64 / 1e3;
        let order = format!("O{number}_{seconds}");
        let body = format!(r#"{{"id":"{order}","workflowPath":"ROUND","planId":[],"deleteWhenTerminated":true}}"#);
        loop {
            let answer = api.ask(Method::POST, "/controller/api/order", Some(OPERATOR), &body).await;
            if answer.is_ok_and(|answer| answer.status == 201 || answer.status == 409) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answered.lock().unwrap_or_else(PoisonError::into_inner).insert(order, nanoseconds());
        let pause = Duration::from_millis(random.below(ORDER_PAUSE));
        if tokio::time::timeout(pause, stopped.wait_for(|is_stopped| *is_stopped)).await.is_ok() {
            return;
        }
    }
}

fn nanoseconds() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Compares what was answered, what was run, and what the controller tells.
async fn judge(installation: &Installation, answered: &Answered, report: &mut Report) -> Result<(), Failure> {
    let ledger = installation.ledger.read()?;
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    report.orders = answered.len();
    let mut times: Vec<u128> = Vec::new();
    for (order, at) in &answered {
        let entries = ledger.get(order).ok_or_else(|| format!("{order} was answered, but never run"))?;
        if entries.ended.is_empty() {
            return Err(format!("{order} is finished, but no process of it came to its end: {entries:?}").into());
        }
        *report.processes.entry(entries.begun.len()).or_default() += 1;
        let first = entries.times.first().copied().unwrap_or_default();
        report.begun.add(Duration::from_nanos(u64::try_from(first.saturating_sub(*at))?));
        times.extend(&entries.times);
    }
    if let Some(unknown) = ledger.keys().find(|order| !answered.contains_key(*order)) {
        return Err(format!("{unknown} was run, but never answered").into());
    }
    times.sort_unstable();
    for pair in times.windows(2) {
        report.gaps.add(Duration::from_nanos(u64::try_from(pair[1] - pair[0])?));
    }
    let lines =
        installation.api(CONTROLLER)?.lines("/controller/api/event?after=0&timeout=5&return=OrderFinished").await?;
    let mut finished = BTreeSet::new();
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(&line)?;
        let order = event["Key"].as_str().unwrap_or_default().to_owned();
        if !finished.insert(order.clone()) {
            return Err(format!("{order} was finished twice").into());
        }
    }
    match answered.keys().find(|order| !finished.contains(*order)) {
        Some(order) => Err(format!("the controller does not tell that {order} is finished").into()),
        None => Ok(()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rounds: {:?}", self.rounds, self.faults)?;
        writeln!(f, "{} orders, by the number of their processes: {:?}", self.orders, self.processes)?;
        writeln!(f, "from the answer to an order until its first process: {}", self.begun)?;
        writeln!(f, "between the beginnings of two processes:             {}", self.gaps)?;
        write!(f, "all were finished {:.1?} after the last fault", self.settled)
    }
}
