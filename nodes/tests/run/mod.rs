//! `baton run`: good workflows, bad ones, interrupted ones, and what is left when it is killed.

mod endings;
mod journal;
mod killing;
mod operator;
mod output;
mod prompt;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder for the files of a test.
struct Folder {
    directory: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a workflow with these instructions.
    fn workflow(&self, instructions: &str) -> PathBuf {
        let text = format!(r#"{{"TYPE":"Workflow","path":"W","instructions":[{instructions}]}}"#);
        self.write("workflow.json", &text)
    }
}

/// An Execute instruction with this script, and more members of the job.
fn job(script: &str, members: &str) -> String {
    let script = script.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!(
        r#"{{"TYPE":"Execute.Anonymous","job":{{"agentPath":"AGENT",{members}"executable":{{"TYPE":"ShellScriptExecutable","script":"{script}"}}}}}}"#
    )
}

fn baton<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(workflow: &Path, options: &[&str]) -> Ended {
    Ended::of(baton(["run", text(workflow)].iter().chain(options).copied()).output().unwrap())
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Whether some line has all these words.
    fn has_line(&self, words: &[&str]) -> bool {
        self.stdout.lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    fn result(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// Waits until the child has ended.
fn wait(mut child: Child, limit: Duration) -> Ended {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            child.kill().unwrap();
            panic!("still running after {limit:?}: {:?}", Ended::of(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ended::of(child.wait_with_output().unwrap())
}

fn await_file(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
