//! Remembers what every client was told and what every reader has read, and says when the two do not fit: the promises S1, S2 and S7
//! of the design, and that a command with an id is carried out once.

use super::Failure;
use super::installation::name;
use super::lines::{number, text};
use baton_protocol::checksum::checksum;
use baton_protocol::register::Seat;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many read all events. What is added is looked for in what the first one reads.
pub(crate) const READERS: usize = 2;

/// What a client was told of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is done, and this is the last event that it has led to.
    Done(u64),
    /// It is not done.
    Refused,
    /// Nothing: it may be done.
    Nothing,
}

/// An event that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadEvent {
    pub(crate) id: u64,
    /// Of its line.
    pub(crate) checksum: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Oracle {
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    /// What was told since the last check: the key, the order that was to be added.
    told: Vec<(String, Option<String>, Told)>,
    counts: Counts,
    /// When an attempt began, and when it was answered.
    answers: Vec<(Instant, Instant)>,
    read: [Vec<ReadEvent>; READERS],
    added: BTreeSet<String>,
    carried_out: BTreeSet<String>,
    /// Who said that it is active in an epoch.
    actives: BTreeMap<u64, Seat>,
    violation: Option<String>,
}

/// How many commands there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    pub(crate) repeated: u64,
}

impl Oracle {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client was told of its command, after attempts from `began` on.
    pub(crate) fn told(&self, key: &str, order: Option<&str>, told: Told, began: Instant) {
        let mut ledger = self.ledger();
        match told {
            Told::Done(_) => ledger.counts.done += 1,
            Told::Refused => ledger.counts.refused += 1,
            Told::Nothing => ledger.counts.unknown += 1,
        }
        if told != Told::Nothing {
            ledger.answers.push((began, Instant::now()));
            ledger.told.push((key.to_owned(), order.map(str::to_owned), told));
        }
    }

    /// A command was given once more, and had the same answer.
    pub(crate) fn repeated(&self) {
        self.ledger().counts.repeated += 1;
    }

    /// Something was seen that must not be.
    pub(crate) fn accuse(&self, what: String) {
        self.ledger().violation.get_or_insert(what);
    }

    /// # Errors
    /// When something was seen that must not be.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        self.ledger().violation.clone().map_or(Ok(()), |violation| Err(violation.into()))
    }

    /// A reader has read an event.
    pub(crate) fn read(&self, reader: usize, line: &str) {
        let mut ledger = self.ledger();
        let Some(id) = number(line, "eventId") else {
            ledger.violation.get_or_insert(format!("an event has no id: {line}"));
            return;
        };
        let last = ledger.read[reader].last().map_or(0, |last| last.id);
        if id <= last {
            ledger.violation.get_or_insert(format!("event {id} was read after event {last}: {line}"));
        }
        ledger.read[reader].push(ReadEvent { id, checksum: checksum(0, line.as_bytes()) });
        if reader > 0 {
            return;
        }
        let is_new = match text(line, "TYPE") {
            Some("OrderAdded") => text(line, "Key").is_none_or(|order| ledger.added.insert(order.to_owned())),
            Some("CommandAnswered") => text(line, "id").is_none_or(|key| ledger.carried_out.insert(key.to_owned())),
            _ => true,
        };
        if !is_new {
            ledger.violation.get_or_insert(format!("done twice: {line}"));
        }
    }

    /// The last event that every reader has read.
    pub(crate) fn read_until(&self) -> u64 {
        self.ledger().read.iter().map(|read| read.last().map_or(0, |last| last.id)).min().unwrap_or_default()
    }

    /// The last event that a client was told of since the last check.
    pub(crate) fn told_until(&self) -> u64 {
        let done = |told: &(_, _, Told)| if let Told::Done(event_id) = told.2 { event_id } else { 0 };
        self.ledger().told.iter().map(done).max().unwrap_or_default()
    }

    /// Compares what was told since the last check with what was read; all of it must have been read by now.
    ///
    /// # Errors
    /// When they do not fit.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let mut ledger = self.ledger();
        let until = ledger.read[0].last().map_or(0, |last| last.id);
        let all = std::mem::take(&mut ledger.told);
        for (key, order, told) in all {
            let is_carried_out = ledger.carried_out.contains(&key);
            let is_added = order.as_ref().map(|order| ledger.added.contains(order));
            let fits = match told {
                // What was told a moment ago is looked at the next time.
                Told::Done(event_id) if event_id > until => {
                    ledger.told.push((key, order, told));
                    continue;
                }
                Told::Done(_) => is_carried_out && is_added != Some(false),
                Told::Refused => !is_carried_out && is_added != Some(true),
                Told::Nothing => true,
            };
            if !fits {
                return Err(format!(
                    "a client was told {told:?} of its command {key} (to add the order {order:?}), but the events until \
                     {until} say: carried out {is_carried_out}, order added {is_added:?}"
                )
                .into());
            }
        }
        drop(ledger);
        self.verdict()
    }

    /// A node says that it is active.
    pub(crate) fn claims(&self, epoch: u64, seat: Seat) {
        let mut ledger = self.ledger();
        let active = *ledger.actives.entry(epoch).or_insert(seat);
        if active != seat {
            let (seat, active) = (name(seat), name(active));
            ledger
                .violation
                .get_or_insert(format!("{seat} and {active} both say that they are active in epoch {epoch}"));
        }
    }

    /// When the first command was answered of which all attempts began after a moment.
    pub(crate) fn answered_since(&self, moment: Instant) -> Option<Instant> {
        self.ledger().answers.iter().filter(|(began, _)| *began > moment).map(|(_, at)| *at).min()
    }

    /// The longest time without an answer between two moments. Forgets what was before.
    pub(crate) fn longest_pause(&self, from: Instant, until: Instant) -> Duration {
        let mut ledger = self.ledger();
        ledger.answers.retain(|(_, at)| *at >= from);
        let within = ledger.answers.iter().map(|(_, at)| *at).filter(|at| *at < until);
        let mut moments: Vec<_> = within.chain([from, until]).collect();
        drop(ledger);
        moments.sort_unstable();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// How many commands there were so far.
    pub(crate) fn counts(&self) -> Counts {
        self.ledger().counts
    }

    /// How many take-overs and other changes were seen: epochs in which somebody said to be active.
    pub(crate) fn epochs(&self) -> usize {
        self.ledger().actives.len()
    }

    /// What a reader has read, in its order.
    pub(crate) fn events(&self, reader: usize) -> Vec<ReadEvent> {
        self.ledger().read[reader].clone()
    }
}
