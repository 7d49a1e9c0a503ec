//! The processes of jobs: what they do, and who lets them live.
//!
//! What a process does is said by its script: `short`, `flaky` (fails now and then), `hang`, `stubborn` (hangs, and ignores
//! SIGTERM), `output N` (writes N lines), `takes MILLIS`, `fails`.

use super::place::Place;
use baton_machine::attempt::Attempt;
use baton_machine::process::{Ended, ProcessSpec, Program};
use baton_protocol::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a process.
#[derive(Clone, Debug)]
pub(super) enum Happens {
    /// It runs.
    Started,
    /// It writes its next line.
    Writes,
    /// It ends.
    Ends(Ended),
    /// The guard kills it, since its subagent is gone.
    Reaped,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    /// Ends after so long, with this code.
    Ends(Duration, i32),
    /// Runs until it is killed.
    Hangs { is_stubborn: bool },
    /// Writes so many lines, and ends.
    Writes(u32),
}

impl Script {
    pub(super) fn of(spec: &ProcessSpec, draw: &mut dyn FnMut(u64) -> u64) -> Self {
        let Program::Script(text) = &spec.program else { return Self::Ends(Duration::ZERO, 1) };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number: u64 = rest.parse().unwrap_or(0);
        let mut random = || {
            let most = if draw(4) == 0 { 20_000 } else { 3_000 };
            Duration::from_millis(draw(most))
        };
        match word {
            "hang" => Self::Hangs { is_stubborn: false },
            "stubborn" => Self::Hangs { is_stubborn: true },
            "output" => Self::Writes(u32::try_from(number).unwrap_or(1)),
            "takes" => Self::Ends(Duration::from_millis(number), 0),
            "fails" => Self::Ends(Duration::from_millis(number), 1),
            "flaky" => {
                let duration = random();
                Self::Ends(duration / 8, i32::from(draw(3) == 0))
            }
            _ => Self::Ends(random(), 0),
        }
    }
}

/// A process that lives.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) place: Place,
    pub(super) script: Script,
    /// How many lines it has written.
    pub(super) lines: u32,
    /// It is about to end.
    pub(super) is_ending: bool,
}

/// All processes of a world.
#[derive(Debug, Default)]
pub(super) struct Processes {
    pub(super) live: BTreeMap<Attempt, Process>,
    /// All attempts which were ever started.
    pub(super) started: BTreeSet<Attempt>,
    /// What those wrote that have ended by themselves or by a signal of their subagent.
    pub(super) written: BTreeMap<Attempt, u32>,
}

impl Processes {
    pub(super) fn at(&self, place: Place) -> Vec<Attempt> {
        self.live.iter().filter(|(_, process)| process.place == place).map(|(attempt, _)| attempt.clone()).collect()
    }

    pub(super) fn of_order<'a>(&'a self, attempt: &'a Attempt) -> impl Iterator<Item = (&'a Attempt, &'a Process)> {
        self.live.iter().filter(|(other, _)| other.order_id == attempt.order_id)
    }
}
