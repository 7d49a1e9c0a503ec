//! What must never happen in a cluster, whatever fails: the invariants S1 to S8 and S12 of the design as far as they concern
//! pairs.
//! One function for each; each looks at one step of one host.

use super::host::{Host, Left};
use super::toy::{News, Number, length, list_of};
use baton_protocol::pair::message::Message;
use baton_protocol::record::{Epoch, Offset, Position, Record};
use baton_protocol::register::{EpochRecord, Seat};
use std::collections::BTreeMap;

/// What was committed, answered and decided so far, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Audit {
    /// By offset.
    committed: Vec<Record>,
    /// How much of each node's journal has been compared with that.
    compared: [usize; 2],
    /// The newest image of each node that was compared.
    images: [Position; 2],
    /// Who wrote in which epoch, and in which of its lives.
    writers: BTreeMap<Epoch, (Seat, u64)>,
    /// How often a take-over, cut and so on have been seen.
    activations: usize,
    /// What is decided, by epoch.
    decided: BTreeMap<Epoch, EpochRecord>,
    /// Who has looked, and how much was committed then.
    looks: BTreeMap<u32, usize>,
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
        self.images_are_of_committed_records(host)?;
        self.one_writer_in_an_epoch(host, news)?;
        self.committed_records_survive(host, news)?;
        self.cuts_are_of_uncommitted_records(host, news)?;
        self.installs_lose_nothing(host, news)?;
        no_trouble(host, news)?;
        self.one_record_in_an_epoch(host)?;
        self.answers_are_committed(left)?;
        self.what_is_shown_is_present(host, left)?;
        acknowledgements_are_durable(host, left)
    }

    /// Looks at what a second process of a seat has just done, whose disk is another one.
    ///
    /// # Errors
    /// With the invariant that does not hold.
    pub fn look_at_copy(&mut self, copy: &Host, news: &[News], left: &[Left]) -> Result<(), Violation> {
        let Some(&compared) = self.compared.get(copy.seat() as usize) else { return Ok(()) };
        self.wiped(copy.seat());
        let result = self.look(copy, news, left);
        self.compared[copy.seat() as usize] = compared;
        result
    }

    /// Somebody looks now.
    pub fn looked(&mut self, look: u32) {
        self.looks.insert(look, self.committed.len());
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
            self.images[seat as usize] = Position::ORIGIN;
        }
    }

    /// What only others had is lost, and a person accepts that: from now on what is committed is what this host has of it.
    pub fn forgive(&mut self, survivor: &Host) {
        let is_there = |record: &Record| survivor.disk().record(record.id.offset).is_none_or(|its| its == record);
        let end = length(survivor.disk().end().offset);
        let same = self.committed.iter().take(end).take_while(|record| is_there(record)).count();
        self.committed.truncate(same);
        self.looks.clear();
        for compared in &mut self.compared {
            *compared = same.min(*compared);
        }
    }

    /// The committed record at an offset.
    fn at(&self, offset: Offset) -> Option<&Record> {
        self.committed.get(length(offset))
    }

    /// Whether this is a position between committed records.
    fn is_committed(&self, position: Position) -> bool {
        let last = position.offset.0.checked_sub(1);
        last.map_or(Some(Position::ORIGIN), |last| self.at(Offset(last)).map(|record| record.id.after()))
            == Some(position)
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
        // What is released is in an image, which is compared by itself.
        let begin = length(host.disk().begin().offset);
        let compared = &mut self.compared[host.seat() as usize];
        *compared = begin.max(*compared);
        while *compared < committed {
            let Some(record) = host.disk().record(Offset(*compared as u64)) else {
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
                let begin = host.disk().begin();
                let committed = self.committed.iter().skip(length(begin.offset));
                let same =
                    host.disk().records().iter().zip(committed).take_while(|(mine, known)| mine == known).count();
                let same = if self.is_committed(begin) { length(begin.offset) + same } else { 0 };
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
                let removed = host.disk().records_from(Offset(at as u64));
                if removed.iter().any(|record| self.at(record.id.offset) == Some(record)) {
                    return Err(format!("S6: {} cuts committed records at {at}", host.seat()));
                }
            }
        }
        Ok(())
    }

    /// S6, S2: who begins anew with an image gives up no committed record that is not in the image.
    fn installs_lose_nothing(&mut self, host: &Host, news: &[News]) -> Result<(), Violation> {
        for news in news {
            let News::Installed(at) = news else { continue };
            if !self.is_committed(*at) {
                return Err(format!("S8: {} installs an image at {at:?}, which is not committed", host.seat()));
            }
            if let Some(lost) = host
                .disk()
                .records_from(at.offset.max(host.disk().begin().offset))
                .iter()
                .find(|record| self.at(record.id.offset) == Some(record))
            {
                let (seat, at, lost) = (host.seat(), at.offset, lost.id.offset);
                return Err(format!("S6: {seat} installs an image at {at}, and has the committed record {lost}"));
            }
        }
        Ok(())
    }

    /// S8, S12: an image is what the committed records make up, and no record is released that is not in an image.
    fn images_are_of_committed_records(&mut self, host: &Host) -> Result<(), Violation> {
        if host.node().is_none() {
            return Ok(());
        }
        let (seat, begin) = (host.seat(), host.disk().begin());
        let newest = host.disk().image().map_or(Position::ORIGIN, |(at, _)| *at);
        if begin.offset > newest.offset {
            return Err(format!("S12: {seat} has released {}, its newest image is at {}", begin.offset, newest.offset));
        }
        let Some((at, image)) = host.disk().image() else { return Ok(()) };
        if core::mem::replace(&mut self.images[seat as usize], *at) == *at {
            return Ok(());
        }
        let list = list_of(image);
        let is_same =
            list.len() == length(at.offset) && self.numbers().zip(&list).all(|(known, number)| known == *number);
        if !is_same || !self.is_committed(*at) {
            return Err(format!("S8: the image of {seat} at {} is not what was committed", at.offset));
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

    /// S11: who looks sees all that was committed when it began to look, and nothing that is not committed.
    fn what_is_shown_is_present(&mut self, host: &Host, left: &[Left]) -> Result<(), Violation> {
        for left in left {
            let Left::Seen(look, seen) = left else { continue };
            // What was asked before a person accepted a loss is not told any more.
            let Some(least) = self.looks.remove(look) else { continue };
            if !(least..=self.committed.len()).contains(seen) {
                let (seat, committed) = (host.seat(), self.committed.len());
                return Err(format!(
                    "S11: {seat} shows {seen} records to who began to look at {least}, {committed} are committed"
                ));
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
            && host.disk().position(position.offset) != Some(position)
        {
            return Err(format!("S3: {} acknowledges {}, which it has not", host.seat(), position.offset));
        }
    }
    Ok(())
}

/// Nothing that a person would have to look at.
pub(super) fn no_trouble(host: &Host, news: &[News]) -> Result<(), Violation> {
    for news in news {
        if let News::Trouble(trouble) = news {
            return Err(format!("{} is in trouble: {trouble:?}", host.seat()));
        }
    }
    Ok(())
}
