//! The folder of a run: who may use it, and what `baton journal` says about it.

use super::{Ended, Folder, await_file, baton, job, run, text};
use std::time::{Duration, Instant};

fn journal(arguments: &[&str]) -> Ended {
    Ended::of(baton(["journal"].iter().chain(arguments).copied()).output().unwrap())
}

#[test]
fn a_folder_is_taken_for_what_it_is() {
    let folder = Folder::new();
    let workflow = folder.workflow(&job("exit 0", ""));
    let directory = folder.path("journal");
    let directory = text(&directory);
    let refused = |options: &[&str], words: &str| {
        let ended = run(&workflow, options);
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    };
    refused(&["--journal", directory, "--resume"], "nothing to resume");
    let ended = run(&workflow, &["--journal", directory]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    refused(&["--journal", directory], "--resume");
    folder.write("other/file", "");
    refused(&["--journal", text(&folder.path("other"))], "not empty");

    // What is finished stays finished.
    let ended = run(&workflow, &["--journal", directory, "--resume"]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(!ended.has_line(&["OrderProcessingStarted"]), "{ended:?}");
}

#[test]
fn a_folder_in_use_is_refused_at_once() {
    let folder = Folder::new();
    let ready = folder.path("ready");
    let workflow = folder.workflow(&job(&format!("touch {}; sleep 1000", ready.display()), ""));
    let directory = folder.path("journal");
    let mut child = baton(["run", text(&workflow), "--journal", text(&directory)]).spawn().unwrap();
    await_file(&ready);
    let start = Instant::now();
    let ended = run(&workflow, &["--journal", text(&directory), "--resume"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("in use"), "{ended:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert_eq!(journal(&["verify", text(&directory)]).status, Some(2));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn journals_can_be_looked_into() {
    let folder = Folder::new();
    let directory = folder.path("journal");
    let ended = run(&folder.workflow(&job("echo hello", "")), &["--journal", text(&directory)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");

    let listed = journal(&["ls", text(&directory)]);
    assert!(listed.has_line(&[r#""TYPE":"Journal""#, r#""name":"controller""#]), "{listed:?}");
    assert!(listed.has_line(&[r#""TYPE":"Journal""#, r#""name":"agent AGENT""#]), "{listed:?}");
    assert!(listed.has_line(&[r#""TYPE":"Epoch""#, r#""epoch":1"#]), "{listed:?}");

    let controller = folder.path("journal/controller");
    let all = journal(&["cat", text(&controller)]);
    assert!(all.has_line(&["OrderFinished", r#""Key":"W""#]), "{all:?}");
    let last = all.stdout.lines().last().unwrap();
    let id = baton_workflow::json::parse(last).unwrap().get("eventId").unwrap().to_value();
    let some = journal(&["cat", text(&controller), "--from", &baton_workflow::json::print(&id)]);
    assert_eq!(some.stdout.lines().collect::<Vec<_>>(), [last]);
    let raw = journal(&["cat", text(&controller), "--raw"]);
    assert!(raw.has_line(&[r#""payload":"01"#, r#""offset":0"#]), "{raw:?}");

    let verified = journal(&["verify", text(&directory)]);
    assert_eq!(verified.status, Some(0), "{verified:?}");
    assert_eq!(verified.stdout.lines().count(), 2, "{verified:?}");
}

#[test]
fn damage_is_found_and_can_be_accepted() {
    let folder = Folder::new();
    let directory = folder.path("journal");
    let ended = run(&folder.workflow(&job("echo hello", "")), &["--journal", text(&directory)]);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    std::fs::remove_file(directory.join("controller/mark")).unwrap();
    let verified = journal(&["verify", text(&directory)]);
    assert_eq!(verified.status, Some(1), "{verified:?}");
    assert!(verified.stderr.contains("accept-loss"), "{verified:?}");
    let ended = run(&folder.path("workflow.json"), &["--journal", text(&directory), "--resume"]);
    assert_eq!(ended.status, Some(2), "{ended:?}");
    let accepted = journal(&["accept-loss", text(&directory)]);
    assert_eq!(accepted.status, Some(0), "{accepted:?}");
    assert_eq!(journal(&["verify", text(&directory)]).status, Some(0));
}

#[test]
fn where_there_is_no_journal_nothing_is_made() {
    let folder = Folder::new();
    folder.write("file", "");
    let empty = folder.path("nothing");
    for command in ["ls", "cat", "verify", "accept-loss"] {
        assert_eq!(journal(&[command, text(&empty)]).status, Some(2), "{command}");
        assert_eq!(journal(&[command, text(folder.directory.path())]).status, Some(2), "{command}");
    }
    assert!(!empty.exists());
}
