//! What idle daemons take.

use crate::real::Failure;
use crate::real::installation::{AGENT, CONTROLLER, Installation, subagent};
use std::time::Duration;

pub(crate) async fn measure() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let mut installation = Installation::new(folder.path(), 1)?;
    let items = installation.items(&installation.ledger.script());
    installation.begin(&items).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut megabytes = |name: &str| Ok::<_, Failure>(resident(&mut installation, name)? as f64 / f64::from(1 << 20));
    println!(
        "idle memory: controller {:.1} MiB (budget 40), agent {:.1} MiB, subagent {:.1} MiB (budget 15)",
        megabytes(CONTROLLER)?,
        megabytes(AGENT)?,
        megabytes(&subagent(1))?
    );
    Ok(())
}

/// What a process has in the machine's memory, in bytes.
pub(crate) fn resident(installation: &mut Installation, name: &str) -> Result<u64, Failure> {
    let pid = installation.child(name).as_ref().ok_or("it does not run")?.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the system does not tell")?;
    let kilobytes: u64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(kilobytes * 1024)
}
