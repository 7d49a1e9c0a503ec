//! What must never happen in a cluster, whatever fails: the invariants S1 to S7 of the design as far as they concern pairs.
//! One function for each; each looks at one step of one host.

use super::host::{Host, Left};
use super::toy::{News, Number, length};
use baton_protocol::pair::message::Message;
use baton_protocol::record::{Epoch, Record};
use baton_protocol::register::{EpochRecord, Seat};
use std::collections::BTreeMap;

/// What was committed, answered and decided so far, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Audit {
    /// By offset.
    committed: Vec<Record>,
    /// How much of each node's journal has been compared with that.
    compared: [usize; 2],
    /// Who wrote in which epoch, and in which of its lives.
    writers: BTreeMap<Epoch, (Seat, u64)>,
    /// How often a take-over, cut and so on have been seen.
    activations: usize,
    /// What is decided, by epoch.
    decided: BTreeMap<Epoch, EpochRecord>,
}

/// What is wrong.
pub type Violation = String;

impl Audit {
    /// Looks at what a node has just done.
    ///
    /// # Errors
    /// With the invariant that does not hold.
    pub fn look(&mut self, host: &Host, news: &[News], left: &[Left]) -> Result<(), Violation> {
        self.one_history(host)?;
        self.one_writer_in_an_epoch(host, news)?;
        self.committed_records_survive(host, news)?;
        self.cuts_are_of_uncommitted_records(host, news)?;
        no_trouble(host, news)?;
        self.one_record_in_an_epoch(host)?;
        self.answers_are_committed(left)?;
        acknowledgements_are_durable(host, left)
    }

    /// The numbers that are committed.
    pub fn numbers(&self) -> impl Iterator<Item = Number> {
        self.committed
            .iter()
            .filter_map(|record| record.payload.first_chunk())
            .map(|bytes| Number::from_le_bytes(*bytes))
    }

    /// How many records are committed.
    #[must_use]
    pub fn committed(&self) -> usize {
        self.committed.len()
    }

    /// How often a node became active.
    #[must_use]
    pub fn activations(&self) -> usize {
        self.activations
    }

    /// A host has lost its disk.
    pub fn wiped(&mut self, seat: Seat) {
        if let Some(compared) = self.compared.get_mut(seat as usize) {
            *compared = 0;
        }
    }

    /// S1, S5, S11: what is decided in an epoch is decided once.
    fn one_record_in_an_epoch(&mut self, host: &Host) -> Result<(), Violation> {
        let Some(decided) = host.voter().and_then(|voter| voter.decided()) else { return Ok(()) };
        let record = decided.record;
        match self.decided.insert(record.epoch, record) {
            Some(before) if before != record => Err(format!("S1: decided was {before:?}, and now {record:?}")),
            _ => Ok(()),
        }
    }

    /// S1: no two nodes commit different records at one offset; nothing is committed twice.
    fn one_history(&mut self, host: &Host) -> Result<(), Violation> {
        let Some(node) = host.node() else { return Ok(()) };
        let committed = length(node.journal().watermarks().committed);
        let compared = &mut self.compared[host.seat() as usize];
        while *compared < committed {
            let Some(record) = host.disk().records().get(*compared) else {
                return Err(format!("S3: {} commits record {compared}, which is not on its disk", host.seat()));
            };
            match self.committed.get(*compared) {
                Some(known) if known != record => {
                    return Err(format!(
                        "S1: {} commits {:?} at {compared}, committed there is {:?}",
                        host.seat(),
                        record.id,
                        known.id
                    ));
                }
                Some(_) => {}
                None => {
                    let is_twice = record.payload[..] != [0, 0]
                        && self.committed.iter().any(|known| known.payload == record.payload);
                    if is_twice {
                        return Err(format!("S2: {:?} is committed twice", record.payload));
                    }
                    self.committed.push(record.clone());
                }
            }
            *compared += 1;
        }
        Ok(())
    }

    /// S1, S5: in an epoch one process is active, once.
    fn one_writer_in_an_epoch(&mut self, host: &Host, news: &[News]) -> Result<(), Violation> {
        for news in news {
            if let News::Activated(epoch, _) | News::EpochBegan(epoch) = news {
                self.activations += 1;
                let who = (host.seat(), host.starts);
                if let Some(before) = self.writers.insert(*epoch, who) {
                    return Err(format!("S1: {who:?} becomes active in epoch {epoch}, as {before:?} has been"));
                }
            }
        }
        Ok(())
    }

    /// S2: what was committed is in the journal of everyone who becomes active; except of who learns so late of its epoch that
    /// another one has followed, and so cannot commit in it.
    fn committed_records_survive(&self, host: &Host, news: &[News]) -> Result<(), Violation> {
        for news in news {
            if let News::Activated(epoch, mandate) = news
                && self.writers.keys().next_back() == Some(epoch)
            {
                let records = host.disk().records();
                let same =
                    records.iter().zip(&self.committed).take_while(|(mine, committed)| mine == committed).count();
                if same < self.committed.len() {
                    return Err(format!(
                        "S2: {} becomes active in epoch {epoch} ({mandate:?}) without the committed record {same}",
                        host.seat()
                    ));
                }
            }
        }
        Ok(())
    }

    /// S6: a truncation removes uncommitted records only.
    fn cuts_are_of_uncommitted_records(&mut self, host: &Host, news: &[News]) -> Result<(), Violation> {
        for news in news {
            if let News::Cut(at) = news {
                let at = length(at.offset);
                // What comes in its place, is to be compared anew.
                let compared = &mut self.compared[host.seat() as usize];
                *compared = at.min(*compared);
                let mut removed = host.disk().records().iter().skip(at).zip(self.committed.iter().skip(at));
                if removed.any(|(record, committed)| record == committed) {
                    return Err(format!("S6: {} cuts committed records at {at}", host.seat()));
                }
            }
        }
        Ok(())
    }

    /// S2: an answer says only what is committed.
    fn answers_are_committed(&self, left: &[Left]) -> Result<(), Violation> {
        for left in left {
            if let Left::Added(number) = left
                && !self.numbers().any(|committed| committed == *number)
            {
                return Err(format!("S2: {number} is answered but not committed"));
            }
        }
        Ok(())
    }
}

/// S3: an acknowledgement covers only what is durable at its sender.
fn acknowledgements_are_durable(host: &Host, left: &[Left]) -> Result<(), Violation> {
    for left in left {
        if let Left::Message(_, envelope) = left
            && let Message::Acknowledged { position, .. } = envelope.message
        {
            let has = length(position.offset)
                .checked_sub(1)
                .is_none_or(|last| host.disk().records().get(last).is_some_and(|record| record.id.after() == position));
            if !has {
                return Err(format!("S3: {} acknowledges {}, which it has not", host.seat(), position.offset));
            }
        }
    }
    Ok(())
}

/// Nothing that a person would have to look at.
fn no_trouble(host: &Host, news: &[News]) -> Result<(), Violation> {
    for news in news {
        if let News::Trouble(trouble) = news {
            return Err(format!("{} is in trouble: {trouble:?}", host.seat()));
        }
    }
    Ok(())
}
