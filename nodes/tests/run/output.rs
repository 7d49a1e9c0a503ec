//! What runs print, and that it costs no memory.

use super::{Folder, baton, job, run, text};
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

#[test]
fn arguments_reach_the_jobs_and_output_comes_back() {
    let folder = Folder::new();
    let script = job("echo \"value=$V\"; echo wrong >&2", "").replace(
        r#""TYPE":"ShellScriptExecutable""#,
        r#""TYPE":"ShellScriptExecutable","env":{"V":"$v ++ '-' ++ $n"}"#,
    );
    let workflow = folder.write(
        "w.json",
        &format!(
            r#"{{"TYPE":"Workflow","path":"W","orderPreparation":{{"parameters":{{"v":{{"type":"String"}},"n":{{"type":"Number"}}}}}},"instructions":[{script}]}}"#
        ),
    );
    let ended = run(&workflow, &["--arg", "v=7", "--arg", "n=8", "--order-id", "X", "--json"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.has_line(&["OrderStdoutWritten", r#""chunk":"value=7-8\n""#, r#""Key":"X""#]), "{ended:?}");
    assert!(ended.has_line(&["OrderStderrWritten", r#""chunk":"wrong\n""#]), "{ended:?}");
    for line in ended.stdout.lines() {
        let parsed = baton_workflow::json::parse(line).unwrap();
        assert!(parsed.get("TYPE").is_some(), "{line}");
    }
}

/// What a job writes, in bytes.
const FLOOD: usize = 200 << 20;

/// What a run may take for it, in KiB.
const MEMORY: u64 = 200 << 10;

#[test]
fn a_flood_of_output_costs_bounded_memory() {
    flood(Duration::ZERO);
}

#[test]
fn a_flood_which_nobody_reads_stops_its_job() {
    flood(Duration::from_secs(6));
}

/// Runs a job that writes a lot, and begins to read after a pause.
fn flood(pause: Duration) {
    let folder = Folder::new();
    let line = "x".repeat(99);
    let written = folder.path("written");
    let script = format!("yes {line} | head -c {FLOOD} | tee {}", written.display());
    let mut child = baton(["run", text(&folder.workflow(&job(&script, "")))]).stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut peak = 0;
    let start = Instant::now();
    while start.elapsed() < pause {
        peak = peak.max(resident(&child));
        std::thread::sleep(Duration::from_millis(10));
    }
    if !pause.is_zero() {
        let before = std::fs::metadata(&written).unwrap().len();
        assert!(before < FLOOD as u64 / 2, "{before} bytes were taken from the job");
    }
    let (mut read, mut tail) = (0, Vec::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = stdout.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        read += length;
        tail = buffer[..length].to_vec();
        peak = peak.max(resident(&child));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", String::from_utf8_lossy(&tail));
    assert!(read > FLOOD, "only {read} bytes");
    assert!(peak < MEMORY, "{peak} KiB");
}

/// Resident memory in KiB; zero if the process has ended.
fn resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    line.unwrap_or(0)
}
