//! What a subagent has to tell about its processes: numbered, kept until acknowledged, and bounded because a process whose
//! output is not received is not read any further.

use crate::attempt::Attempt;
use crate::message::{Report, Reported};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// About how many bytes of reports go into one message.
const MESSAGE_BYTES: usize = 256 << 10;

/// Reports that have not been acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reports {
    /// Number of the last report that was acknowledged.
    acknowledged: u64,
    queue: VecDeque<Report>,
}

/// What an acknowledgement frees.
#[derive(Debug, PartialEq)]
pub(super) enum Freed {
    /// Bytes of output.
    Output(Attempt, usize),
    /// The end of the attempt has been received.
    Ended(Attempt),
}

impl Reports {
    /// Number of the last report that was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Number of the last report.
    pub(super) fn last(&self) -> u64 {
        self.acknowledged + self.queue.len() as u64
    }

    /// Adds a report and returns its number.
    pub(super) fn push(&mut self, report: Report) -> u64 {
        self.queue.push_back(report);
        self.last()
    }

    /// The reports until `until` have been received. `None` if there are not so many.
    pub(super) fn acknowledge(&mut self, until: u64) -> Option<Vec<Freed>> {
        if until > self.last() {
            return None;
        }
        let count = until.saturating_sub(self.acknowledged);
        self.acknowledged += count;
        let freed = self.queue.drain(..usize::try_from(count).unwrap_or(usize::MAX)).filter_map(|report| {
            let bytes = report.bytes();
            match report.what {
                Reported::Started { .. } => None,
                Reported::Output { .. } => Some(Freed::Output(report.attempt, bytes)),
                Reported::Ended(_) => Some(Freed::Ended(report.attempt)),
            }
        });
        Some(freed.collect())
    }

    /// All reports after `after`, in messages: the number of the first, and the reports.
    pub(super) fn messages_after(&self, after: u64) -> Vec<(u64, Vec<Report>)> {
        let skip = usize::try_from(after.saturating_sub(self.acknowledged)).unwrap_or(usize::MAX);
        let mut number = self.acknowledged.max(after);
        let (mut messages, mut bytes) = (Vec::<(u64, Vec<Report>)>::new(), 0);
        for report in self.queue.iter().skip(skip) {
            number += 1;
            bytes += report.bytes();
            match messages.last_mut() {
                Some((_, reports)) if bytes <= MESSAGE_BYTES => reports.push(report.clone()),
                _ => {
                    bytes = report.bytes();
                    messages.push((number, Vec::from([report.clone()])));
                }
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Channel;
    use baton_protocol::event_id::EventId;
    use baton_protocol::record::Epoch;
    use baton_workflow::id::OrderId;

    fn report(length: usize) -> Report {
        let attempt = Attempt { number: EventId(1), epoch: Epoch(1), order_id: OrderId::new("A") };
        Report { attempt, what: Reported::Output { channel: Channel::Stdout, chunk: "x".repeat(length) } }
    }

    #[test]
    fn are_told_again_until_acknowledged() {
        let mut reports = Reports::default();
        assert_eq!([reports.push(report(1)), reports.push(report(2)), reports.push(report(3))], [1, 2, 3]);
        assert_eq!(reports.messages_after(0), [(1, Vec::from([report(1), report(2), report(3)]))]);
        assert_eq!(reports.messages_after(2), [(3, Vec::from([report(3)]))]);
        assert_eq!(reports.acknowledge(4), None);
        assert_eq!(reports.acknowledge(2).map(|freed| freed.len()), Some(2));
        assert_eq!(reports.acknowledge(1).map(|freed| freed.len()), Some(0));
        assert_eq!(reports.messages_after(0), [(3, Vec::from([report(3)]))]);
        assert_eq!(reports.push(report(4)), 4);
    }

    #[test]
    fn messages_are_limited() {
        let mut reports = Reports::default();
        for _ in 0..3 {
            reports.push(report(MESSAGE_BYTES / 2));
        }
        let numbers: Vec<u64> = reports.messages_after(0).iter().map(|(first, _)| *first).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}
