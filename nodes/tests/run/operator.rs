//! What the operator of a run is told: warnings of its nodes, and how it ends when a node halts.

use super::{Folder, await_file, baton, job, run, text, wait};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The script of a job that touches `ready` and goes on when there is `go`.
fn until_told(folder: &Folder) -> String {
    let (ready, go) = (folder.path("ready"), folder.path("go"));
    format!("touch {}; while ! test -e {}; do sleep 0.02; done; echo on", ready.display(), go.display())
}

#[test]
fn a_directory_that_cannot_be_read_is_warned_of() {
    let folder = Folder::new();
    let missing = folder.path("missing");
    folder.write(
        "items/watch.json",
        &format!(
            r#"{{"TYPE":"FileWatch","path":"WATCH","workflowPath":"W","agentPath":"AGENT","directoryExpr":"'{}'"}}"#,
            missing.display()
        ),
    );
    let workflow = folder.workflow(&job(&until_told(&folder), ""));
    let mut child = baton(["run", text(&workflow), "--items", text(&folder.path("items"))]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let warning = lines.find(|line| line.contains(r#""TYPE":"Warning""#)).unwrap();
    assert!(warning.contains(r#""node":"agent AGENT""#) && warning.contains(text(&missing)), "{warning}");
    folder.write("go", "");
    assert!(!lines.any(|line| line.contains("Warning")), "warned again");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_recovery_did_is_told() {
    let folder = Folder::new();
    let workflow = folder.workflow(&job("exit 0", ""));
    let directory = folder.path("journal");
    let arguments = ["--journal", text(&directory)];
    assert_eq!(run(&workflow, &arguments).status, Some(0));
    folder.write("journal/agent-AGENT/images/00000000000000000001.image", "rubbish");
    let ended = run(&workflow, &[&arguments[..], &["--resume"]].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.has_line(&[r#""TYPE":"Warning""#, r#""node":"agent AGENT""#, "image", "damaged"]), "{ended:?}");
    assert!(ended.result().contains(r#""TYPE":"Result""#), "{ended:?}");
}

#[test]
fn a_full_disk_breaks_the_run_off() {
    let folder = Folder::new();
    let workflow = folder.workflow(&job(&until_told(&folder), ""));
    // Else the signal ends the process, where a full disk sends none.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_baton"), "run", text(&workflow)]);
    command.args(["--journal", text(&folder.path("journal"))]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    await_file(&folder.path("ready"));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(Pid::from_raw(i32::try_from(child.id()).unwrap()), Resource::Fsize, none).unwrap();
    folder.write("go", "");
    let ended = wait(child, LIMIT);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("has halted"), "{ended:?}");
    let result = ended.result();
    let expected = [r#""TYPE":"Result""#, r#""state":"BrokenOff""#, r#""exitStatus":3"#, r#""orderId":"W""#, "halted"];
    assert!(expected.iter().all(|member| result.contains(member)), "{result}");
    assert_eq!(ended.stdout.matches(r#""TYPE":"Result""#).count(), 1, "{ended:?}");

    // With room again, it goes on.
    let ended = run(&workflow, &["--journal", text(&folder.path("journal")), "--resume"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}
