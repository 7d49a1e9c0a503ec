//! Processes that are killed, and how they resist.

use std::time::Duration;

use baton_nodes::process::{Launch, Status};

use super::{
    Fixture, LIMIT, await_line, await_no_process_with, await_processes_with, finish, processes_with, unique_seconds,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn sigterm_lets_the_process_end_in_its_own_way() {
    let fixture = Fixture::start().await;
    let script = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let mut running = fixture.launch(script).await;
    await_line(&mut running, "ready").await;
    running.killer().terminate(100 * SECOND);
    let outcome = finish(running).await;
    assert_eq!(outcome.ended.status, Status::Exited(7));
    assert_eq!(outcome.stdout, "bye\n");
    assert!(outcome.duration < LIMIT);
}

#[tokio::test]
async fn sigterm_reaches_the_child_that_the_shell_waits_for() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    let mut running = fixture.launch(&format!("echo ready; sleep {sleep}; echo survived")).await;
    await_line(&mut running, "ready").await;
    running.killer().terminate(100 * SECOND);
    let outcome = finish(running).await;
    assert_eq!(outcome.ended.status, Status::Signaled(15));
    assert!(outcome.duration < LIMIT);
    await_no_process_with(&sleep).await;
}

#[tokio::test]
async fn sigkill_follows_when_sigterm_is_ignored() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    let mut running = fixture.launch(&format!("trap '' TERM; echo ready; sleep {sleep}; sleep {sleep}")).await;
    await_line(&mut running, "ready").await;
    let killer = running.killer();
    killer.terminate(SECOND / 2);
    killer.terminate(100 * SECOND);
    let outcome = finish(running).await;
    assert_eq!(outcome.ended.status, Status::Signaled(9));
    assert!((SECOND * 9 / 20..LIMIT).contains(&outcome.duration), "{:?}", outcome.duration);
    assert!(outcome.ended.return_values.unwrap().is_empty());
    await_no_process_with(&sleep).await;
}

#[tokio::test]
async fn descendants_have_the_grace_time_after_the_main_process() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    // The main process dies of SIGTERM at once; the child cleans up, the grandchild ignores it.
    let script = format!(
        "(trap '' TERM; sleep {sleep}) & (trap 'sleep 0.3; echo cleaned; exit' TERM; echo ready; while :; do sleep 0.1; done) & wait"
    );
    let mut running = fixture.launch(&script).await;
    await_line(&mut running, "ready").await;
    running.killer().terminate(SECOND);
    let outcome = finish(running).await;
    assert_eq!(outcome.ended.status, Status::Signaled(15));
    assert_eq!(outcome.stdout, "cleaned\n");
    assert!((SECOND * 19 / 20..LIMIT).contains(&outcome.duration), "{:?}", outcome.duration);
    await_no_process_with(&sleep).await;
}

#[tokio::test]
async fn kill_reaches_processes_that_left_group_and_session() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    // Double-forked; in its own session; with empty environment below a living parent; without our output.
    let script = format!(
        "(setsid sleep {sleep} &) ; setsid sh -c 'sleep {sleep} & sleep {sleep}' & env -i setsid sleep {sleep} &
         (setsid nohup sleep {sleep} >/dev/null 2>&1 &) ; echo ready; wait"
    );
    let mut running = fixture.launch(&script).await;
    await_line(&mut running, "ready").await;
    await_processes_with(&sleep, |count| count >= 5).await;
    let bystander_sleep = unique_seconds();
    let _bystander = fixture.launch(&format!("setsid sleep {bystander_sleep} & sleep 600")).await;
    await_processes_with(&bystander_sleep, |count| count == 1).await;
    running.killer().kill();
    let outcome = finish(running).await;
    assert_eq!(outcome.ended.status, Status::Signaled(9));
    await_no_process_with(&sleep).await;
    assert_eq!(processes_with(&bystander_sleep).len(), 1);
}

#[tokio::test]
async fn dropped_process_is_killed() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    drop(fixture.launch(&format!("exec sleep {sleep}")).await);
    await_no_process_with(&sleep).await;

    // Also when nobody awaits the start any more.
    let launch = fixture.launcher.launch(Launch::script(format!("exec sleep {sleep}")));
    tokio::select! {
        biased;
        _ = launch => panic!("cannot have been started at once"),
        () = std::future::ready(()) => {}
    }
    tokio::time::sleep(SECOND / 5).await;
    await_no_process_with(&sleep).await;
}

#[tokio::test]
async fn kill_after_the_end_does_nothing() {
    let fixture = Fixture::start().await;
    let running = fixture.launch("exit 0").await;
    let killer = running.killer();
    assert_eq!(finish(running).await.ended.status, Status::Exited(0));
    killer.terminate(Duration::ZERO);
    killer.kill();
    assert_eq!(fixture.run("exit 1").await.ended.status, Status::Exited(1));
}

#[tokio::test]
async fn fork_bomb_is_killed() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    let script = format!("echo ready; n=0; while [ $n -lt 300 ]; do (setsid sleep {sleep} &); n=$((n+1)); done; wait");
    let mut running = fixture.launch(&script).await;
    await_line(&mut running, "ready").await;
    tokio::time::sleep(SECOND / 10).await;
    running.killer().kill();
    finish(running).await;
    await_no_process_with(&sleep).await;
}
