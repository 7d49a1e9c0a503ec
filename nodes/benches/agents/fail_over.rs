//! How long it takes until jobs begin elsewhere when the first subagent of a cluster dies, or is silent.

use crate::figures::Times;
use crate::real::Failure;
use crate::real::installation::{Installation, subagent};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often it is silent, by how often it is killed.
const SILENT: usize = 5;

/// So long it is silent.
const SILENCE: Duration = Duration::from_secs(4);

pub(crate) async fn measure(runs: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut installation = Installation::new(folder.path(), 3)?;
    let items = installation.items(&installation.ledger.script());
    installation.begin(&items).await?;
    let (mut next, mut moved) = (Times::default(), Times::default());
    for run in 0..runs {
        installation.working().await?;
        // Who comes and goes is dialled less often, so let it stay for a while.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let (held, follows) = (format!("held-{run}_0.7"), format!("next-{run}_0"));
        installation.add("FIX", &held).await?;
        installation.job_has_begun(&held, 1).await?;
        let killed = nanoseconds();
        installation.kill(&subagent(1))?;
        installation.add("FIX", &follows).await?;
        installation.job_has_begun(&held, 2).await?;
        installation.order_is(&held, "Finished").await?;
        installation.order_is(&follows, "Finished").await?;
        next.add(since(killed, &installation, &follows)?);
        moved.add(since(killed, &installation, &held)?);
        installation.start(&subagent(1))?;
    }
    println!("kill -9 of a subagent until the next job begins:        {next} (budget median 0.5 s, maximum 2 s)");
    println!("kill -9 of a subagent until its job begins elsewhere:   {moved} (budget maximum 2 s)");
    let mut silent = Times::default();
    for run in 0..runs.div_ceil(SILENT) {
        installation.working().await?;
        let paused = nanoseconds();
        installation.pause(&subagent(1), true)?;
        let orders: Vec<String> = (0..SILENCE.as_millis() / 100).map(|n| format!("silent-{run}-{n}_0")).collect();
        for order in &orders {
            installation.add("FIX", order).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        installation.pause(&subagent(1), false)?;
        for order in &orders {
            installation.order_is(order, "Finished").await?;
        }
        let ledger = installation.ledger.read()?;
        let elsewhere = orders.iter().filter_map(|order| ledger.get(order));
        let elsewhere = elsewhere.filter(|entries| entries.begun.first() != Some(&subagent(1)));
        let first = elsewhere.filter_map(|entries| entries.times.first()).min().ok_or("no job began elsewhere")?;
        silent.add(Duration::from_nanos(u64::try_from(first.saturating_sub(paused))?));
    }
    println!("SIGSTOP of a subagent until the next job begins:        {silent} (budget maximum 3 s)");
    Ok(())
}

/// From then until the last process of an order began.
fn since(then: u128, installation: &Installation, order: &str) -> Result<Duration, Failure> {
    let last = installation.ledger.of(order)?.times.last().copied().unwrap_or_default();
    Ok(Duration::from_nanos(u64::try_from(last.saturating_sub(then))?))
}

fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}
