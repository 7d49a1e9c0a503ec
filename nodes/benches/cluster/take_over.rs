//! How long no command is answered when the active node is killed, paused or cut off: from then on until the first command is
//! answered which was asked for after that.

use crate::figures::Times;
use crate::real::clients::{Caller, Request};
use crate::real::health::Health;
use crate::real::installation::{Installation, Links};
use crate::real::oracle::{Oracle, Told};
use crate::real::{Access, Failure};
use baton_protocol::register::Seat;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// So many clients give commands all the time.
const CLIENTS: usize = 4;

/// The pause of each between two.
const PAUSE: Duration = Duration::from_millis(5);

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a node is silent in each of the two ways, by how often it is killed.
const SILENT: u64 = 5;

/// What happens to the active node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Paused,
    CutOff,
}

/// Measures all faults, the first one so often.
pub(crate) async fn measure(runs: u64) -> Result<(), Failure> {
    for (fault, runs, links, words, budget) in [
        (Fault::Killed, runs, Links::Direct, "kill -9", "median 1 s, maximum 2 s"),
        (Fault::Paused, runs.div_ceil(SILENT), Links::Cuttable, "SIGSTOP", "maximum 8 s"),
        (Fault::CutOff, runs.div_ceil(SILENT), Links::Cuttable, "links cut", "maximum 8 s"),
    ] {
        let times = measure_one(fault, runs, links).await?;
        println!("{words:<10} of the active until the next answered command: {times} (budget {budget})");
    }
    Ok(())
}

async fn measure_one(fault: Fault, runs: u64, links: Links) -> Result<Times, Failure> {
    let folder = tempfile::tempdir()?;
    let mut installation = Installation::new(&folder.path().join("cluster"), links)?;
    let health = Health { access: Access::new(&installation)?, oracle: Arc::default() };
    installation.start_all()?;
    health.working(&mut installation, None, LIMIT).await?;
    Caller::new(Access::new(&installation)?).give(&Request::workflows()).await;
    let (_stop, stopped) = watch::channel(false);
    for number in 0..CLIENTS {
        let (caller, oracle) = (Caller::new(Access::new(&installation)?), Arc::clone(&health.oracle));
        tokio::spawn(give(number, caller, oracle, stopped.clone()));
    }
    let mut times = Times::default();
    for _ in 0..runs {
        let active = health.working(&mut installation, None, LIMIT).await?;
        // What was under way while it was made whole is over.
        sleep(Duration::from_millis(300)).await;
        health.oracle.longest_pause(Instant::now(), Instant::now());
        let began = Instant::now();
        apply(fault, &mut installation, active, true)?;
        let is_there = Instant::now();
        let answered = loop {
            if let Some(answered) = health.oracle.answered_since(is_there) {
                break answered;
            }
            if began.elapsed() > LIMIT {
                return Err(format!("{fault:?}: no command was answered for {LIMIT:?}").into());
            }
            sleep(Duration::from_millis(1)).await;
        };
        times.add(answered - began);
        apply(fault, &mut installation, active, false)?;
    }
    Ok(times)
}

/// Lets it begin, or end.
fn apply(fault: Fault, installation: &mut Installation, active: Seat, begins: bool) -> Result<(), Failure> {
    match fault {
        Fault::Killed if begins => installation.kill(active)?,
        Fault::Killed => installation.start(active)?,
        Fault::Paused => installation.pause(active, begins)?,
        Fault::CutOff => {
            for other in active.others() {
                installation.cut(active, other, begins);
                installation.cut(other, active, begins);
            }
        }
    }
    Ok(())
}

/// Adds orders.
async fn give(client: usize, mut caller: Caller, oracle: Arc<Oracle>, stopped: watch::Receiver<bool>) {
    for number in 0.. {
        // Whoever measures is gone.
        if stopped.has_changed().is_err() {
            return;
        }
        let key = format!("{client}-{number}");
        let began = Instant::now();
        let answer = caller.give(&Request::add(key.clone(), key.clone(), false)).await;
        oracle.told(&key, None, Told::Done(answer.event_id), began);
        sleep(PAUSE).await;
    }
}
