//! The rules by which a journal that was found is accepted, cut or refused. The same for every store.
//!
//! A store knows some positions apart from its records: up to where it has released, and *marks*, lower bounds of what it
//! has confirmed (images are among them). The walk starts at the first and must pass all others. In between every record
//! must follow the one before it, by offset, epoch and chain.
//!
//! A crash can only tear the end: what was never confirmed may be missing, or be there in part. So a defect is a torn tail
//! when the store knows it for a write that was under way, nothing comes after it and it lies beyond all marks; then it is
//! cut. Every other defect is damage, for no crash explains it, and what it took may have been answered for; then the
//! journal is refused.

use baton_protocol::record::{Position, Record};
use std::fmt;

/// What is wrong where the next record was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// For people.
    pub reason: String,
    /// Bytes that cannot be used because of it, as far as known.
    pub bytes: u64,
    /// Whether this may be a write that a crash interrupted.
    pub torn: bool,
}

impl Defect {
    /// A defect that no crash explains.
    pub fn damage(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), bytes: 0, torn: false }
    }

    /// A write that may have been interrupted.
    pub fn torn(reason: impl fmt::Display, bytes: u64) -> Self {
        Self { reason: reason.to_string(), bytes, torn: true }
    }
}

/// A journal that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Its end.
    pub end: Position,
    /// The torn tail behind the end, which the store must now remove.
    pub torn: Option<Defect>,
}

/// A journal that must not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The end of what is intact.
    pub intact: Position,
    /// What is wrong.
    pub reason: String,
}

/// Walks through all records that were found after `released`, and past all `marks`, which are positions up to which the
/// store has certainly confirmed. Needs memory for the marks only.
///
/// # Errors
/// When something is missing or damaged that no crash explains.
pub fn verify(
    released: Position,
    marks: impl IntoIterator<Item = Position>,
    records: impl IntoIterator<Item = Result<Record, Defect>>,
) -> Result<Verified, Refused> {
    let mut end = released;
    let mut marks: Vec<_> = marks.into_iter().filter(|mark| mark.offset >= released.offset).collect();
    marks.sort_by_key(|mark| std::cmp::Reverse(mark.offset));
    let mut records = records.into_iter();
    let torn = loop {
        while let Some(mark) = marks.pop_if(|mark| mark.offset == end.offset) {
            if mark != end {
                let reason = format!(
                    "at offset {} epoch {} and chain {} were found, but epoch {} and chain {} were confirmed",
                    end.offset, end.epoch, end.chain, mark.epoch, mark.chain
                );
                return Err(Refused { intact: end, reason });
            }
        }
        let Some(found) = records.next() else { break None };
        match found.and_then(|record| record.follows(end).map_err(Defect::damage)) {
            Ok(next) => end = next,
            Err(defect) => break Some(defect),
        }
    };
    let refused = |reason: String| Err(Refused { intact: end, reason });
    match torn {
        Some(defect) if !defect.torn || !marks.is_empty() => {
            refused(format!("at offset {}: {}", end.offset, defect.reason))
        }
        Some(defect) if records.next().is_some() => {
            refused(format!("at offset {}: {}, and more follows", end.offset, defect.reason))
        }
        torn => match marks.first() {
            Some(mark) => refused(format!("it ends at offset {}, but was confirmed up to {}", end.offset, mark.offset)),
            None => Ok(Verified { end, torn }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::record::Epoch;

    fn journal(count: u64) -> Vec<Record> {
        let mut end = Position::ORIGIN;
        (0..count)
            .map(|n| {
                let record = Record::write(end, Epoch(1), n.to_string().into_bytes().into()).unwrap();
                end = record.id.after();
                record
            })
            .collect()
    }

    fn run(mark: Position, records: Vec<Result<Record, Defect>>) -> Result<Verified, Refused> {
        verify(Position::ORIGIN, [mark], records)
    }

    fn defect() -> Result<Record, Defect> {
        Err(Defect::torn("unreadable", 7))
    }

    #[test]
    fn a_whole_journal_is_accepted_wherever_the_mark_is() {
        let records = journal(5);
        for mark in std::iter::once(Position::ORIGIN).chain(records.iter().map(|record| record.id.after())) {
            let verified = run(mark, records.iter().cloned().map(Ok).collect()).unwrap();
            assert_eq!(verified, Verified { end: records[4].id.after(), torn: None });
        }
    }

    #[test]
    fn a_torn_tail_beyond_the_mark_is_cut_and_nothing_else_is() {
        let records = journal(5);
        let whole = || records[..3].iter().cloned().map(Ok);
        let at = |n: usize| records[n - 1].id.after();

        let torn: Vec<_> = whole().chain([defect()]).collect();
        assert_eq!(run(at(3), torn.clone()).unwrap().end, at(3));
        assert!(run(at(4), torn).unwrap_err().reason.contains("unreadable"));

        let hole: Vec<_> = whole().chain([defect(), Ok(records[4].clone())]).collect();
        assert!(run(at(2), hole).unwrap_err().reason.contains("more follows"));

        let gap: Vec<_> = whole().chain([Ok(records[4].clone())]).collect();
        assert_eq!(run(at(3), gap).unwrap_err().intact, at(3));

        assert!(run(at(4), whole().collect()).unwrap_err().reason.contains("confirmed up to 4"));
        let other = Position { epoch: Epoch(2), ..at(2) };
        assert!(run(other, whole().collect()).unwrap_err().reason.contains("were confirmed"));
    }
}
