//! How runs end, and with which exit status.

use super::{Folder, await_file, baton, job, run, signal, text, wait};
use crate::process::{processes_with, unique_seconds};
use rustix::process::Signal;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn finished_is_zero() {
    let folder = Folder::new();
    let ended = run(&folder.workflow(&job("exit 0", "")), &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.result().contains(r#""state":"Finished""#), "{ended:?}");
}

#[test]
fn failed_is_one_and_says_why() {
    let folder = Folder::new();
    let ended = run(&folder.workflow(&job("exit 3", "")), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains(r#""message":"return code 3""#), "{ended:?}");
}

#[test]
fn a_failed_branch_fails_the_run_although_its_parent_waits() {
    let folder = Folder::new();
    let (good, bad) = (job("exit 0", ""), job("exit 4", ""));
    let fork = format!(
        r#"{{"TYPE":"Fork","branches":[{{"id":"good","workflow":{{"instructions":[{good}]}}}},{{"id":"bad","workflow":{{"instructions":[{bad}]}}}}]}}"#
    );
    let ended = run(&folder.workflow(&fork), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("branch bad: return code 4"), "{ended:?}");
}

#[test]
fn an_executable_that_does_not_exist_fails_the_run() {
    let folder = Folder::new();
    let instruction = r#"{"TYPE":"Execute.Anonymous","job":{"agentPath":"A","executable":{"TYPE":"PathExecutable","path":"/no/such/file"}}}"#;
    let ended = run(&folder.workflow(instruction), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("no such program"), "{ended:?}");
}

#[test]
fn unusable_input_is_two_and_says_where() {
    let folder = Folder::new();
    let unusable = |path: &std::path::Path, options: &[&str], words: &str| {
        let ended = run(path, options);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
        assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
        assert!(ended.has_line(&[r#""TYPE":"Result""#, r#""state":"NotRun""#, r#""exitStatus":2"#]), "{ended:?}");
    };
    let missing = folder.path("missing.json");
    unusable(&missing, &[], text(&missing));
    unusable(&folder.write("rubbish.json", "\0\u{1}rubbish"), &[], "rubbish.json");
    unusable(
        &folder.write("wrong.json", r#"{"TYPE":"Workflow","path":"W","instructions":[{"TYPE":"Nonsense"}]}"#),
        &[],
        "Nonsense",
    );
    unusable(&folder.write("lock.json", r#"{"TYPE":"Lock","path":"L"}"#), &[], "Workflow");
    let good = folder.workflow(&job("exit 0", ""));
    unusable(&good, &["--order-id", "a|b"], "reserved");
    unusable(&good, &["--arg", "a=1", "--arg", "a=2"], "twice");
    let lock = r#"{"TYPE":"Lock","demands":[{"lockPath":"MISSING"}],"lockedWorkflow":{"instructions":[]}}"#;
    unusable(&folder.workflow(lock), &[], "MISSING");
}

#[test]
fn items_of_a_folder_are_used() {
    let folder = Folder::new();
    folder.write("items/deep/lock.json", r#"{"TYPE":"Lock","path":"L"}"#);
    let inner = job("exit 0", "");
    let lock =
        format!(r#"{{"TYPE":"Lock","demands":[{{"lockPath":"L"}}],"lockedWorkflow":{{"instructions":[{inner}]}}}}"#);
    let ended = run(&folder.workflow(&lock), &["--items", text(&folder.path("items"))]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.has_line(&["OrderLocksAcquired"]), "{ended:?}");
}

#[test]
fn timeouts_end_jobs() {
    let folder = Folder::new();
    let seconds = unique_seconds();
    let ended = run(&folder.workflow(&job(&format!("sleep {seconds}"), r#""timeout":1,"#)), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    // By SIGTERM.
    assert!(ended.result().contains("timed out (return code 143)"), "{ended:?}");
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
}

#[test]
fn an_interrupt_cancels_the_order_and_kills_its_jobs() {
    let folder = Folder::new();
    let seconds = unique_seconds();
    let ready = folder.path("ready");
    let script = format!("touch {}; exec sleep {seconds}", ready.display());
    let child = baton(["run", text(&folder.workflow(&job(&script, "")))]).spawn().unwrap();
    await_file(&ready);
    signal(&child, Signal::INT);
    let ended = wait(child, LIMIT);
    assert_eq!(ended.status, Some(130), "{ended:?}");
    assert!(ended.result().contains(r#""state":"Cancelled""#), "{ended:?}");
    assert_eq!(processes_with(&seconds), Vec::<String>::new());
}

#[test]
fn a_second_interrupt_ends_everything_at_once() {
    let folder = Folder::new();
    let seconds = unique_seconds();
    let ready = folder.path("ready");
    let script = format!("trap '' TERM; touch {}; sleep {seconds}; sleep {seconds}", ready.display());
    let mut child = baton(["run", text(&folder.workflow(&job(&script, "")))]).spawn().unwrap();
    await_file(&ready);
    signal(&child, Signal::INT);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("once more to end at once")));
    let start = Instant::now();
    signal(&child, Signal::INT);
    assert_eq!(wait(child, LIMIT).status, Some(130));
    // Sooner than SIGKILL would follow SIGTERM.
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    while !processes_with(&seconds).is_empty() {
        assert!(start.elapsed() < LIMIT, "{:?}", processes_with(&seconds));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn questions_need_somebody_who_answers() {
    let folder = Folder::new();
    let workflow = folder.workflow(r#"{"TYPE":"Prompt","question":"'Shall I?'"}"#);
    let ended = run(&workflow, &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("--yes"), "{ended:?}");
    let ended = run(&workflow, &["--yes"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
}

/// An Execute instruction with a built-in job.
fn built_in(class: &str, arguments: &str, members: &str) -> String {
    format!(
        r#"{{"TYPE":"Execute.Anonymous","job":{{"agentPath":"AGENT",{members}"executable":{{"TYPE":"InternalExecutable","className":"{class}","arguments":{{{arguments}}}}}}}}}"#
    )
}

#[test]
fn built_in_jobs_need_no_program() {
    let folder = Folder::new();
    let instructions = [built_in("js7.tests.jobs.EmptyJob", "", ""), built_in("SleepJob", r#""sleep":"0.1""#, "")];
    let ended = run(&folder.workflow(&instructions.join(",")), &[]);
    assert_eq!(ended.status, Some(0), "{ended:?}");

    let ended = run(&folder.workflow(&built_in("FailingJob", r#""message":"'on purpose'""#, "")), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("on purpose"), "{ended:?}");

    let ended = run(&folder.workflow(&built_in("SleepJob", r#""sleep":"1000""#, r#""timeout":1,"#)), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("timed out (Canceled)"), "{ended:?}");

    let ended = run(&folder.workflow(&built_in("com.example.Special", "", "")), &[]);
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.result().contains("no built-in job") && ended.result().contains("com.example.Special"), "{ended:?}");
}
