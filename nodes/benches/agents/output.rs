//! What a job may write in a second, until it is in the journal of the controller; next to reading the same from a pipe. And what memory
//! that takes: output that is not taken waits in the pipe of its process.

use crate::memory::resident;
use crate::real::Failure;
use crate::real::installation::{AGENT, CONTROLLER, subagent};
use serde_json::json;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) async fn measure(megabytes: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    // Lines of a hundred characters.
    let line = "x".repeat(99);
    let script = format!("yes {line} | head -c {}", megabytes << 20);
    let executable = json!({"TYPE": "ShellScriptExecutable", "script": script});
    let mut installation = crate::installation(folder.path(), 1, json!({"executable": executable})).await?;
    let raw = directly(&script)?;
    let api = installation.api(CONTROLLER)?;
    let names = [CONTROLLER.to_owned(), AGENT.to_owned(), subagent(1)];
    let before = names.iter().map(|name| resident(&mut installation, name)).collect::<Result<Vec<_>, _>>()?;
    let mut most = before.clone();
    let began = Instant::now();
    installation.add("JOB", "O").await?;
    loop {
        for (most, name) in most.iter_mut().zip(&names) {
            *most = (*most).max(resident(&mut installation, name)?);
        }
        if api.get("/controller/api/order/O").await?["state"]["TYPE"] == "Finished" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let through = began.elapsed();
    let rate = |time: Duration| megabytes as f64 / time.as_secs_f64();
    println!(
        "output of a job: {:.0} MiB/s to the controller, {:.0} MiB/s directly: {:.2} (budget 200 MB/s)",
        rate(through),
        rate(raw),
        rate(through) / rate(raw)
    );
    for ((name, before), most) in names.iter().zip(&before).zip(&most) {
        println!("  {name:<12} {} MiB idle, {} MiB at most", before >> 20, most >> 20);
    }
    Ok(())
}

fn directly(script: &str) -> Result<Duration, Failure> {
    let began = Instant::now();
    let mut child = Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().ok_or("there is no pipe")?;
    let mut buffer = vec![0; 64 << 10];
    while output.read(&mut buffer)? > 0 {}
    child.wait()?;
    Ok(began.elapsed())
}
