//! What is left when the program or the guard is killed: nothing.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use baton_nodes::process::{Launch, LaunchError, Launcher, StartError, Status};

use super::{
    Fixture, await_line, await_no_process_with, await_processes_with, config, finish, processes_with, unique_seconds,
};

/// The work directory for [`program_that_gets_killed`], when it is to do something.
const WORK_DIRECTORY: &str = "BATON_TEST_WORK_DIRECTORY";
/// The argument of its sleeping jobs.
const SLEEP: &str = "BATON_TEST_SLEEP";
/// For how many milliseconds they may run before the program has to be heard of again.
const LEASE: &str = "BATON_TEST_LEASE";

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
    if let Some(lease) = std::env::var(LEASE).ok().and_then(|millis| millis.parse().ok()) {
        launcher.lease(monotonic() + Duration::from_millis(lease));
    }
    println!("\nready");
    std::future::pending::<()>().await;
}

/// What the monotonic clock shows.
fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap())
}

/// The program, when its jobs run.
fn program(work: &Path, sleep: &str, lease: Option<Duration>) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap());
    if let Some(lease) = lease {
        program.env(LEASE, lease.as_millis().to_string());
    }
    let mut program = program
        .args(["process::death::program_that_gets_killed", "--exact", "--nocapture"])
        .env(WORK_DIRECTORY, work)
        .env(SLEEP, sleep)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "ready"));
    program
}

#[tokio::test]
async fn jobs_die_with_the_program_on_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    let sleep = unique_seconds();
    let mut program = program(&work, &sleep, None);
    program.kill().unwrap();
    assert_eq!(program.wait().unwrap().signal(), Some(9));
    await_no_process_with(&sleep).await;
    await_no_process_with(&work.display().to_string()).await;
}

/// A program that stands still is not dead, and nobody sees its end. But others take what it runs for dead.
#[tokio::test]
async fn jobs_of_a_program_that_stands_still_die_with_its_lease() {
    let directory = tempfile::tempdir().unwrap();
    let sleep = unique_seconds();
    let lease = Duration::from_secs(3);
    let mut program = program(&directory.path().join("work"), &sleep, Some(lease));
    signal("-STOP", &program);
    let begin = Instant::now();
    assert!(!processes_with(&sleep).is_empty());
    await_no_process_with(&sleep).await;
    assert!(begin.elapsed() + Duration::from_secs(1) > lease, "they died after {:?}", begin.elapsed());
    signal("-CONT", &program);
    program.kill().unwrap();
    program.wait().unwrap();
}

/// With a control group, even what has left its parents and cleared its environment is found when both are dead.
#[tokio::test]
async fn what_a_killed_program_and_its_killed_guard_leave_dies_with_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    let sleep = unique_seconds();
    let mut program = program(&work, &sleep, None);
    signal("-STOP", &program);
    signal_guard_of(&work, "-KILL");
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(!processes_with(&sleep).is_empty());
    let launcher = Launcher::start(config(&work)).await.unwrap();
    if launcher.control_group().is_some() {
        await_no_process_with(&sleep).await;
    } else {
        // What has cleared its environment is not known any more. There are twenty of them.
        await_processes_with(&sleep, |count| count <= 20).await;
        assert!(Command::new("pkill").args(["-9", "-f", &sleep]).status().unwrap().success());
    }
    launcher.stop().await;
    assert_eq!(launcher.control_group(), None);
}

fn signal(signal: &str, program: &Child) {
    assert!(Command::new("kill").args([signal, &program.id().to_string()]).status().unwrap().success());
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
    signal_guard_of(&fixture.directory.path().join("work"), signal);
}

fn signal_guard_of(work: &Path, signal: &str) {
    let work = work.display().to_string();
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
