//! What is left when the program or the guard is killed: nothing.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use baton_nodes::process::{Launch, LaunchError, Launcher, StartError, Status};

use super::{Fixture, await_line, await_no_process_with, await_processes_with, config, finish, unique_seconds};

/// The work directory for [`program_that_gets_killed`], when it is to do something.
const WORK_DIRECTORY: &str = "BATON_TEST_WORK_DIRECTORY";
/// The argument of its sleeping jobs.
const SLEEP: &str = "BATON_TEST_SLEEP";

/// Not a test but, started by the one below in a process of its own, the program that gets killed.
#[tokio::test]
async fn program_that_gets_killed() {
    let (Some(work), Ok(sleep)) = (std::env::var_os(WORK_DIRECTORY), std::env::var(SLEEP)) else {
        return;
    };
    let launcher = Launcher::start(config(Path::new(&work))).await.unwrap();
    let script = format!(
        "trap '' TERM; (setsid sleep {sleep} &); (setsid sh -c 'env -i setsid sleep {sleep} & exit' &); sleep {sleep} & wait"
    );
    let mut running = Vec::new();
    for _ in 0..20 {
        running.push(launcher.launch(Launch::script(script.as_str())).await.unwrap());
    }
    await_processes_with(&sleep, |count| count >= 60).await;
    println!("\nready");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn jobs_die_with_the_program_on_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    let sleep = unique_seconds();
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["process::death::program_that_gets_killed", "--exact", "--nocapture"])
        .env(WORK_DIRECTORY, &work)
        .env(SLEEP, &sleep)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    program.kill().unwrap();
    assert_eq!(program.wait().unwrap().signal(), Some(9));
    await_no_process_with(&sleep).await;
    await_no_process_with(&work.display().to_string()).await;
}

#[tokio::test]
async fn processes_of_a_killed_guard_are_killed_and_reported_lost() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    let script = format!("(setsid sleep {sleep} &); echo ready; sleep {sleep}");
    let mut running = fixture.launch(&script).await;
    await_line(&mut running, "ready").await;
    kill_guard(&fixture);
    assert_eq!(finish(running).await.ended.status, Status::Lost);
    await_no_process_with(&sleep).await;
    fixture.launcher.ended().await;
    assert!(matches!(fixture.launcher.launch(Launch::script("")).await, Err(LaunchError::GuardLost)));
    Launcher::start(config(&fixture.directory.path().join("work"))).await.unwrap();
}

#[tokio::test]
async fn guard_survives_signals_meant_for_the_program() {
    let fixture = Fixture::start().await;
    for signal in ["-TERM", "-INT", "-HUP"] {
        signal_guard(&fixture, signal);
    }
    assert_eq!(fixture.run("echo ok").await.stdout, "ok\n");
}

#[tokio::test]
async fn work_directory_belongs_to_one_launcher() {
    let fixture = Fixture::start().await;
    let work = fixture.directory.path().join("work");
    let second = tokio::spawn(async move { Launcher::start(config(&work)).await.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.is_finished());
    fixture.launcher.stop().await;
    assert!(second.await.unwrap().is_ok());
}

#[tokio::test]
async fn guard_that_cannot_begin_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory.path().join("work"));
    config.guard_program = Some("/bin/false".into());
    assert!(matches!(Launcher::start(config.clone()).await, Err(StartError::GuardEnded(_))));
    config.guard_program = Some("/no/such/program".into());
    assert!(matches!(Launcher::start(config).await, Err(StartError::Guard(..))));
}

fn kill_guard(fixture: &Fixture) {
    signal_guard(fixture, "-KILL");
}

fn signal_guard(fixture: &Fixture, signal: &str) {
    let work = fixture.directory.path().join("work").display().to_string();
    let guards: Vec<_> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command_line).starts_with(&format!("baton\0guard\0{work}"))
        })
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(guards.len(), 1);
    assert!(Command::new("/bin/kill").arg(signal).args(guards).status().unwrap().success());
}
