//! Standard output and error: live, bounded, decoded, and what keeps them open.

use std::time::{Duration, Instant};

use baton_nodes::process::{Event, Status, Stream};

use super::{Fixture, await_file, await_line, await_processes_with, finish, processes_with, unique_seconds};

#[tokio::test]
async fn streams_are_separate_and_complete() {
    let fixture = Fixture::start().await;
    let outcome = fixture.run("echo out; echo err >&2; printf end").await;
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("out\nend", "err\n"));
    assert!(!outcome.ended.output_abandoned);
}

#[tokio::test]
async fn output_comes_while_the_process_runs() {
    let fixture = Fixture::start().await;
    let go = fixture.directory.path().join("go");
    let script = format!("echo first; while ! test -e {}; do sleep 0.02; done; echo second", go.display());
    let mut running = fixture.launch(&script).await;
    await_line(&mut running, "first").await;
    std::fs::write(go, "").unwrap();
    assert_eq!(finish(running).await.stdout, "second\n");
}

#[tokio::test]
async fn invalid_utf8_becomes_replacement_characters() {
    let fixture = Fixture::start().await;
    let outcome = fixture.run(r"printf 'a\377b\342\202'; sleep 0.2; printf '\254\n\303'").await;
    assert_eq!(outcome.stdout, "a\u{fffd}b€\n\u{fffd}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_stays_bounded_and_stops_only_its_own_process() {
    const SIZE: usize = 200 << 20;
    let fixture = Fixture::start().await;
    let before = resident_memory();
    let mut flood = fixture.launch(&format!("head -c {SIZE} /dev/zero | tr '\\0' x")).await;
    let mut peak = 0;
    let mut length = 0;
    let mut chunks = 0;
    loop {
        match flood.next().await.unwrap() {
            Event::Output { stream, text } => {
                assert_eq!(stream, Stream::Stdout);
                assert!(text.len() <= 48 << 10, "{}", text.len());
                length += text.len();
                chunks += 1;
            }
            Event::Ended(ended) => {
                assert_eq!(ended.status, Status::Exited(0));
                break;
            }
        }
        if chunks % 1000 == 1 {
            // A slow consumer; the others get on meanwhile.
            assert_eq!(fixture.run("echo ok").await.stdout, "ok\n");
            peak = peak.max(resident_memory());
        }
    }
    assert_eq!(length, SIZE);
    assert!(peak < before + (16 << 20), "from {before} to {peak} bytes");
}

#[tokio::test]
async fn grandchild_with_the_pipe_does_not_hang_the_end() {
    let fixture = Fixture::start().await;
    let sleep = unique_seconds();
    let directory = fixture.directory.path();
    // It writes later, and must neither be heard nor die of it.
    let script = format!(
        "cd {}; (while ! test -e go; do sleep 0.02; done; echo later; touch survived; exec sleep {sleep}) & echo now; exit 5",
        directory.display()
    );
    let outcome = fixture.run(&script).await;
    assert_eq!(outcome.ended.status, Status::Exited(5));
    assert!(outcome.ended.output_abandoned);
    assert_eq!(outcome.stdout, "now\n");
    assert!(outcome.duration > Duration::from_millis(400), "{:?}", outcome.duration);
    std::fs::write(directory.join("go"), "").unwrap();
    await_file(&directory.join("survived")).await;
    await_processes_with(&sleep, |count| count == 1).await;
    fixture.launcher.stop().await;
    // All of it is gone.
    assert_eq!(processes_with(&sleep), Vec::<String>::new());
}

#[tokio::test]
async fn end_waits_for_output_that_is_already_in_the_pipe() {
    let fixture = Fixture::start().await;
    let mut running = fixture.launch("sleep 10 & head -c 60000 /dev/zero | tr '\\0' x").await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let mut length = 0;
    while let Event::Output { text, .. } = running.next().await.unwrap() {
        length += text.len();
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(length, 60_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_run_at_once() {
    const COUNT: usize = 300;
    let fixture = Fixture::start().await;
    let start = Instant::now();
    let mut all = Vec::new();
    for n in 0..COUNT {
        all.push(fixture.launch(&format!("sleep 1; exit {}", n % 100)).await);
    }
    println!("{COUNT} started in {:?}", start.elapsed());
    for (n, running) in all.into_iter().enumerate() {
        let status = finish(running).await.ended.status;
        assert_eq!(status, Status::Exited(i32::try_from(n % 100).unwrap()));
    }
}

fn resident_memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
