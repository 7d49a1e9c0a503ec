//! The search: level by level, all states that are so many steps away, by all threads.

use super::memo::Parts;
use super::small::{Mover, Small};
use super::{Plan, Step};
use crate::cluster::audit::Violation;
use crate::cluster::digest::Folding;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// So many states a thread takes at a time.
const PORTION: usize = 64;

/// So many threads may note states at the same time.
const SHARDS: usize = 64;

/// What exploring has found.
#[derive(Debug)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// How many steps were looked at.
    pub steps: usize,
    /// The longest run without repetition, in steps.
    pub depth: usize,
    /// The different states of all hosts.
    pub hosts: usize,
    /// Whether all of them were looked at.
    pub is_exhausted: bool,
    /// When not all were looked at: a run that was looked at last, in words.
    pub last: String,
    /// A shortest run that violates something, in words.
    pub counterexample: Option<String>,
    /// If wanted: all states in which no storage is busy, by what makes a difference in them.
    pub forms: BTreeSet<u64>,
}

/// Looks at all runs, at most at about so many states.
#[must_use]
pub fn explore(plan: &Plan, most: usize) -> Explored {
    let parts = Parts::new();
    let mut mover = Mover::new(plan, &parts);
    let mut explored = Explored {
        states: 0,
        steps: 0,
        depth: 0,
        hosts: 0,
        is_exhausted: false,
        last: String::new(),
        counterexample: None,
        forms: BTreeSet::new(),
    };
    match mover.coupled() {
        Err(violation) => explored.counterexample = Some(format!("before it is coupled: {violation}")),
        Ok(None) => "without faults it does not couple".clone_into(&mut explored.last),
        Ok(Some(start)) => Search::new(plan, &parts, most).run(start, &mut mover, &mut explored),
    }
    explored.hosts = parts.hosts.len();
    explored
}

/// Where in the level before a state comes from, and by which step.
type Origin = (u32, Step);

/// States that are as many steps away.
type Level = Vec<(Small, Origin)>;

struct Search<'p> {
    plan: &'p Plan,
    parts: &'p Parts,
    most: usize,
    known: [Mutex<HashSet<u128, BuildHasherDefault<Half>>>; SHARDS],
    states: AtomicUsize,
    steps: AtomicUsize,
    is_over: AtomicBool,
    found: Mutex<Option<(Origin, Violation)>>,
    forms: Mutex<BTreeSet<u64>>,
}

/// Digests are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Half(u64);

impl std::hash::Hasher for Half {
    fn write(&mut self, bytes: &[u8]) {
        let mut folding = Folding::default();
        folding.write(bytes);
        self.0 = folding.finish();
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl<'p> Search<'p> {
    fn new(plan: &'p Plan, parts: &'p Parts, most: usize) -> Self {
        Self {
            plan,
            parts,
            most,
            known: std::array::from_fn(|_| Mutex::default()),
            states: AtomicUsize::new(0),
            steps: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            found: Mutex::default(),
            forms: Mutex::default(),
        }
    }

    fn run(self, start: Small, mover: &mut Mover<'p>, explored: &mut Explored) {
        let threads = match self.plan.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let mut movers: Vec<_> = (0..threads).map(|_| Mover::new(self.plan, self.parts)).collect();
        self.is_new(&start, mover);
        let mut origins: Vec<Vec<Origin>> = Vec::new();
        let mut level = vec![start];
        while !level.is_empty() && !self.is_over.load(Ordering::Relaxed) {
            let found = self.next_level(&level, &mut movers);
            // Levels are long.
            drop(level);
            let mut from = Vec::with_capacity(found.iter().map(Vec::len).sum());
            level = Vec::with_capacity(from.capacity());
            for (small, origin) in found.into_iter().flatten() {
                level.push(small);
                from.push(origin);
            }
            explored.depth += usize::from(!level.is_empty());
            origins.push(from);
        }
        explored.states = self.states.into_inner();
        explored.steps = self.steps.into_inner();
        explored.forms = self.forms.into_inner().unwrap_or_else(PoisonError::into_inner);
        explored.is_exhausted = !self.is_over.into_inner();
        match self.found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((origin, violation)) => {
                origins.pop();
                explored.counterexample = Some(tell(mover, start, &path(&origins, origin), &violation));
            }
            None if explored.is_exhausted => {}
            None => {
                let last = origins.pop().and_then(|level| level.last().copied());
                explored.last = last.map_or_else(String::new, |last| tell(mover, start, &path(&origins, last), ""));
            }
        }
    }

    fn next_level(&self, level: &[Small], movers: &mut [Mover<'p>]) -> Vec<Level> {
        let taken = AtomicUsize::new(0);
        thread::scope(|scope| {
            let workers: Vec<_> =
                movers.iter_mut().map(|mover| scope.spawn(|| self.work(level, &taken, mover))).collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    /// What one thread does for the next level.
    fn work(&self, level: &[Small], taken: &AtomicUsize, mover: &mut Mover<'p>) -> Level {
        let mut next = Vec::new();
        loop {
            let first = taken.fetch_add(PORTION, Ordering::Relaxed);
            if first >= level.len() || self.is_over.load(Ordering::Relaxed) {
                return next;
            }
            let mut steps = 0;
            for (at, small) in level.iter().enumerate().skip(first).take(PORTION) {
                for step in mover.steps(small) {
                    steps += 1;
                    let origin = (u32::try_from(at).unwrap_or(u32::MAX), step);
                    let mut after = *small;
                    match mover.apply(&mut after, step) {
                        Ok(()) if self.is_new(&after, mover) => next.push((after, origin)),
                        Ok(()) => {}
                        Err(violation) => {
                            *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some((origin, violation));
                            self.is_over.store(true, Ordering::Relaxed);
                            return next;
                        }
                    }
                }
            }
            self.steps.fetch_add(steps, Ordering::Relaxed);
            if self.states.load(Ordering::Relaxed) >= self.most {
                self.is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    fn is_new(&self, small: &Small, mover: &mut Mover<'_>) -> bool {
        let digest = small.digest();
        let mut known = self.known[(digest >> 64) as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.insert(digest);
        drop(known);
        if is_new {
            self.states.fetch_add(1, Ordering::Relaxed);
            if self.plan.keeps_forms {
                let form = mover.form(small);
                self.forms.lock().unwrap_or_else(PoisonError::into_inner).extend(form);
            }
        }
        is_new
    }
}

/// The steps to a state of the level after the last one.
fn path(origins: &[Vec<Origin>], last: Origin) -> Vec<Step> {
    let (mut at, mut steps) = (last.0, vec![last.1]);
    for level in origins.iter().rev() {
        let (before, step) = level[at as usize];
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}

/// A run in words.
fn tell(mover: &mut Mover<'_>, mut small: Small, steps: &[Step], violation: &str) -> String {
    let mut story = String::new();
    for step in steps {
        let message = match *step {
            Step::Arrive(from, to) | Step::Break(from, to, _) => mover.next_message(&small, from, to),
            _ => String::new(),
        };
        let _ = writeln!(story, "{step:?}{message}");
        let _ = mover.apply(&mut small, *step);
    }
    let _ = write!(story, "{violation}");
    story
}
