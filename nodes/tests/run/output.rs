//! What runs print, and that it costs no memory.

use super::{Folder, baton, job, run, text};
use std::io::Read as _;
use std::process::Stdio;

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

#[test]
fn a_flood_of_output_costs_bounded_memory() {
    /// What a job writes, in bytes.
    const FLOOD: usize = 200 << 20;
    /// What the process may take, in KiB.
    const LIMIT: u64 = 250 << 10;
    let folder = Folder::new();
    let line = "x".repeat(99);
    let workflow = folder.workflow(&job(&format!("yes {line} | head -c {FLOOD}"), ""));
    let mut child = baton(["run", text(&workflow)]).stderr(Stdio::inherit()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut read, mut peak, mut tail) = (0, 0, Vec::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = stdout.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        read += length;
        tail = buffer[..length].to_vec();
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let now = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", String::from_utf8_lossy(&tail));
    assert!(read > FLOOD, "only {read} bytes");
    assert!(peak < LIMIT, "{peak} KiB");
}
