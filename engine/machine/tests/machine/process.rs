//! Processes as the tests have them: scripts of a few words, carried out by the world's clock.

use baton_machine::message::Channel;
use baton_machine::process::{ProcessSpec, Program};
use baton_protocol::time::{Duration, Instant};
use std::collections::VecDeque;

/// A process: what it still does, and when.
pub(crate) struct Process {
    pub(crate) started: Instant,
    pub(crate) acts: VecDeque<(Duration, Act)>,
    pub(crate) ignores_terminate: bool,
    pub(crate) returned: Vec<(String, String)>,
}

pub(crate) enum Act {
    Write(Channel, String),
    Exit(i32),
}

impl Process {
    /// A script of lines: `out TEXT`, `err TEXT`, `env NAME`, `ret NAME=VALUE`, `sleep MILLISECONDS`, `ignore`, `exit CODE`.
    pub(crate) fn new(started: Instant, spec: &ProcessSpec) -> Self {
        let Program::Script(script) = &spec.program else { panic!("{:?}", spec.program) };
        let mut process = Self { started, acts: VecDeque::new(), ignores_terminate: false, returned: Vec::new() };
        let mut after = Duration::ZERO;
        let mut code = 0;
        for line in script.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "out" => process.acts.push_back((after, Act::Write(Channel::Stdout, format!("{rest}\n")))),
                "err" => process.acts.push_back((after, Act::Write(Channel::Stderr, format!("{rest}\n")))),
                "env" => {
                    let value = spec.environment.iter().rev().find(|(name, _)| &**name == rest);
                    let text = value.and_then(|(_, value)| value.clone()).unwrap_or_else(|| "-".into());
                    process.acts.push_back((after, Act::Write(Channel::Stdout, text)));
                }
                "ret" => {
                    let (name, value) = rest.split_once('=').expect("NAME=VALUE");
                    process.returned.push((name.into(), value.into()));
                }
                "sleep" => after += Duration::from_millis(rest.parse().expect("milliseconds")),
                "ignore" => process.ignores_terminate = true,
                "exit" => code = rest.parse().expect("a code"),
                _ => panic!("unknown word {word}"),
            }
        }
        process.acts.push_back((after, Act::Exit(code)));
        process
    }
}
