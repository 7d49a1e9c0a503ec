//! Commands over the HTTP API, with TLS, by several clients which each have a connection of their own: at a coupled pair, then at its
//! active node alone. The clients are part of the load: they share the machine.

use crate::figures::Times;
use crate::real::clients::{Caller, Request};
use crate::real::health::Health;
use crate::real::installation::{Installation, Links};
use crate::real::{Access, Failure};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// So many clients at a time.
const CLIENTS: [usize; 3] = [1, 16, 256];

/// How long each number of them is measured.
const EACH: Duration = Duration::from_secs(4);

/// The time until all connections are made and everything is warm.
const WARM: Duration = Duration::from_secs(2);

/// Measures and tells.
pub(crate) async fn measure() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut installation = Installation::new(&folder.path().join("cluster"), Links::Direct)?;
    let health = Health { access: Access::new(&installation)?, oracle: Arc::default() };
    installation.start_all()?;
    let active = health.working(&mut installation, None, Duration::from_secs(60)).await?;
    Caller::new(Access::new(&installation)?).give(&Request::workflows()).await;
    for mode in ["coupled", "alone"] {
        if mode == "alone" {
            installation.kill(active.peer())?;
        }
        for clients in CLIENTS {
            let (times, per_second) = requests(&installation, mode, clients).await?;
            let [p50, p99] = [500, 990].map(|permille| times.permille(permille).as_secs_f64() * 1e3);
            println!(
                "HTTP {mode:<8} {clients:>3} clients: {per_second:7.0} commands/s, p50 {p50:7.2} ms, p99 {p99:7.2} ms"
            );
        }
    }
    Ok(())
}

async fn requests(installation: &Installation, mode: &str, clients: usize) -> Result<(Times, f64), Failure> {
    let begin = Instant::now() + WARM;
    let end = begin + EACH;
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let mut caller = Caller::new(Access::new(installation)?);
        let prefix = format!("{mode}-{clients}-{client}");
        tasks.spawn(async move {
            let mut times = Times::default();
            for number in 0.. {
                let key = format!("{prefix}-{number}");
                let asked = Instant::now();
                if asked > end {
                    break;
                }
                let answer = caller.give(&Request::add(key.clone(), key, true)).await;
                if answer.status >= 300 {
                    return Err(Failure::from(answer.text));
                }
                if asked >= begin {
                    times.add(asked.elapsed());
                }
            }
            Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(ended) = tasks.join_next().await {
        all.extend(ended??);
    }
    let per_second = all.count() as f64 / EACH.as_secs_f64();
    Ok((all, per_second))
}
