//! Job processes: good ones, bad ones, and what is left when somebody dies.

mod death;
mod kill;
mod output;
mod results;

use std::path::Path;
use std::time::{Duration, Instant};

use baton_nodes::process::{Ended, Event, Launch, Launcher, LauncherConfig, Running, Stream};
use tempfile::TempDir;

/// So long anything may take that is to happen soon: the machine may be slow, and busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A launcher with its own work directory.
struct Fixture {
    launcher: Launcher,
    directory: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let launcher = Launcher::start(config(&directory.path().join("work"))).await.unwrap();
        Self { launcher, directory }
    }

    async fn launch(&self, script: &str) -> Running {
        self.launcher.launch(Launch::script(script)).await.unwrap()
    }

    async fn run(&self, script: &str) -> Outcome {
        finish(self.launch(script).await).await
    }
}

fn config(work_directory: &Path) -> LauncherConfig {
    LauncherConfig {
        work_directory: work_directory.to_owned(),
        guard_program: Some(env!("CARGO_BIN_EXE_baton").into()),
        process_limit: None,
    }
}

struct Outcome {
    stdout: String,
    stderr: String,
    ended: Ended,
    /// From the call to the last event.
    duration: Duration,
}

async fn finish(mut running: Running) -> Outcome {
    let start = Instant::now();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    loop {
        match running.next().await.unwrap() {
            Event::Output { stream: Stream::Stdout, text } => stdout += &text,
            Event::Output { stream: Stream::Stderr, text } => stderr += &text,
            Event::Ended(ended) => {
                assert!(running.next().await.is_none());
                return Outcome { stdout, stderr, ended, duration: start.elapsed() };
            }
        }
    }
}

/// Reads from standard output until this line has come.
async fn await_line(running: &mut Running, line: &str) {
    let mut stdout = String::new();
    while !stdout.lines().any(|l| l == line) {
        match running.next().await.unwrap() {
            Event::Output { text, .. } => stdout += &text,
            Event::Ended(ended) => panic!("{ended:?} before {line:?}, after {stdout:?}"),
        }
    }
}

/// The command lines of all living processes that contain this word.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&command_line).replace('\0', " ");
        if command_line.contains(word) && entry.file_name() != *std::process::id().to_string() {
            found.push(command_line);
        }
    }
    found
}

/// Waits until so many processes have this word in their command lines.
async fn await_processes_with(word: &str, count: impl Fn(usize) -> bool) {
    let start = Instant::now();
    loop {
        let found = processes_with(word);
        if count(found.len()) {
            return;
        }
        assert!(start.elapsed() < LIMIT, "still so after {LIMIT:?}: {found:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn await_no_process_with(word: &str) {
    await_processes_with(word, |count| count == 0).await;
}

async fn await_file(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < LIMIT, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A number of seconds to sleep that no other test uses, to find the process by.
pub(crate) fn unique_seconds() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("1000.{}{next:04}", std::process::id())
}
