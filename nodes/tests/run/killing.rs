//! `baton run --journal`, killed at any moment, resumes: nothing that finished runs twice, and no order is lost.

use super::{Ended, Folder, baton, job, text};
use baton_protocol::random::Random;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// So many times a run is killed.
const KILLS: u32 = 200;

/// So many times at most before it is left in peace, however slow the machine is.
const KILLS_OF_ONE: u32 = 20;

/// A run that is not killed must have finished by then.
const LIMIT: Duration = Duration::from_secs(120);

/// The same moments in every run of the test; what the machine makes of them differs.
const SEED: u64 = 20_260_401;

#[test]
fn no_finished_job_runs_twice_and_no_order_is_lost() {
    let folder = Folder::new();
    let ledger = folder.path("ledger");
    folder.write("items/lock.json", r#"{"TYPE":"Lock","path":"L"}"#);
    let workflow = folder.workflow(&instructions(&ledger));
    let mut random = Random::new(SEED);
    let mut kills = 0;
    let mut rounds = 0;
    // How long a run takes here that nobody kills.
    std::fs::write(&ledger, "").unwrap();
    let begin = Instant::now();
    let unhurt = Ended::of(command(&folder, &workflow, &folder.path("unhurt")).output().unwrap());
    assert_eq!(unhurt.status, Some(0), "{unhurt:?}");
    let whole = u64::try_from(begin.elapsed().as_micros()).unwrap();
    while kills < KILLS {
        rounds += 1;
        let directory = folder.path(&format!("journal-{rounds}"));
        std::fs::write(&ledger, "").unwrap();
        let mut is_begun = false;
        let last_kill = KILLS.min(kills + KILLS_OF_ONE);
        loop {
            let begin = Instant::now();
            let mut command = command(&folder, &workflow, &directory);
            if is_begun {
                command.arg("--resume");
            }
            let mut child = command.spawn().unwrap();
            // Enough for a few jobs, so that a run is killed many times.
            let moment = Duration::from_micros(random.below(whole / 2));
            let ended = loop {
                if child.try_wait().unwrap().is_some() {
                    break true;
                }
                if kills < last_kill && begin.elapsed() >= moment {
                    child.kill().unwrap();
                    break false;
                }
                assert!(begin.elapsed() < LIMIT, "round {rounds} does not finish");
                std::thread::sleep(Duration::from_millis(1));
            };
            let output = Ended::of(child.wait_with_output().unwrap());
            if ended {
                assert_eq!(output.status, Some(0), "round {rounds}: {output:?}");
                break;
            }
            kills += 1;
            is_begun = directory.join("controller").is_dir();
            check_journals(&directory);
        }
        check_ledger(&ledger, &directory);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

fn command(folder: &Folder, workflow: &Path, directory: &Path) -> Command {
    let mut command = baton(["run", text(workflow), "--items", text(&folder.path("items"))]);
    command.args(["--journal", text(directory)]);
    command
}

/// About fifteen jobs, in a row, in branches, with a lock, and one that fails at first.
fn instructions(ledger: &Path) -> String {
    let entry = |name: &str, then: &str| {
        let ledger = ledger.display();
        job(&format!("echo start {name} >>{ledger}; sleep 0.02; {then} echo end {name} >>{ledger}"), "")
    };
    let simple = |name: &str| entry(name, "");
    let branch = |name: &str| {
        let jobs = [1, 2, 3].map(|n| simple(&format!("{name}{n}"))).join(",");
        format!(r#"{{"id":"{name}","workflow":{{"instructions":[{jobs}]}}}}"#)
    };
    let fork = format!(r#"{{"TYPE":"Fork","branches":[{},{}]}}"#, branch("left"), branch("right"));
    let failing = entry("failing", &format!("echo end failing >>{}; exit 1;", ledger.display()));
    let tried = format!(
        r#"{{"TYPE":"Try","try":{{"instructions":[{failing}]}},"catch":{{"instructions":[{}]}}}}"#,
        simple("caught")
    );
    let lock = format!(
        r#"{{"TYPE":"Lock","demands":[{{"lockPath":"L"}}],"lockedWorkflow":{{"instructions":[{},{}]}}}}"#,
        simple("locked1"),
        simple("locked2")
    );
    [simple("first"), simple("second"), fork, tried, lock, simple("last")].join(",")
}

/// Journals may not exist yet, or be unfinished creations; else they must be intact.
fn check_journals(directory: &Path) {
    for name in ["controller", "agent-AGENT"] {
        let folder = directory.join(name);
        if folder.join("baton-journal").exists() {
            let verified = Ended::of(baton(["journal", "verify", text(&folder)]).output().unwrap());
            assert_eq!(verified.status, Some(0), "{verified:?}");
        }
    }
}

/// Every job ran, and none was started again after its end was journaled.
fn check_ledger(ledger: &Path, directory: &Path) {
    let ledger = std::fs::read_to_string(ledger).unwrap();
    let mut ends: BTreeMap<&str, u32> = BTreeMap::new();
    for line in ledger.lines() {
        if let Some(name) = line.strip_prefix("end ") {
            *ends.entry(name).or_default() += 1;
        }
    }
    assert_eq!(ends.len(), 13, "{ledger}");

    let cat = Ended::of(baton(["journal", "cat", text(&directory.join("agent-AGENT"))]).output().unwrap());
    assert_eq!(cat.status, Some(0), "{cat:?}");
    // Of each order: whether its last process has ended by itself, at the position where it is.
    let mut done: BTreeMap<String, bool> = BTreeMap::new();
    for line in cat.stdout.lines() {
        let event = baton_workflow::json::parse(line).unwrap();
        let Some(key) = event.get("Key").and_then(|key| key.as_str()).map(ToOwned::to_owned) else { continue };
        match event.get("TYPE").and_then(|name| name.as_str()) {
            Some("OrderProcessed") => drop(done.insert(key, !line.contains("ProcessLost"))),
            Some("OrderProcessingStarted") => assert_ne!(done.insert(key, false), Some(true), "started again: {line}"),
            Some("OrderMoved" | "OrderCaught" | "OrderForked" | "OrderDetachable" | "OrderAttachedToAgent") => {
                done.remove(&key);
            }
            _ => {}
        }
    }
    // A process that was running when it was killed may have come to its end, and then have run again; nothing else.
    let lost = cat.stdout.matches("ProcessLost").count();
    let again: u32 = ends.values().map(|count| count - 1).sum();
    assert!(again as usize <= lost, "{again} ends too many, but {lost} processes were lost: {ledger}");
}
