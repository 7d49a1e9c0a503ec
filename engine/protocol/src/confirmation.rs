//! Confirmations: does the standby still follow?
//!
//! What was true may not be true any more. A coupled active that was paused, or is cut off, does not know that it has been
//! replaced; what it commits needs the standby, so it can do no harm, but it might still show what was true before. So what
//! only shows the state, and changes nothing, waits for a word of the standby that was asked for later than the caller asked:
//! whoever follows has not asked for a take-over, and nobody but the standby could have taken over.
//!
//! One question is under way at a time, and all that has to be confirmed meanwhile shares the next one. A node that is alone
//! needs no confirmation: nobody may take over from it, unless a person accepts the loss.

use crate::record::Offset;
use alloc::collections::VecDeque;

/// The questions of an active to its standby.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Confirmations {
    /// Wanted and not yet confirmed: their numbers, each with the end of what is to be committed besides. The question under way and
    /// the next one; and those which are answered and wait for commits, one for each end of the journal at most.
    open: VecDeque<(u64, Offset)>,
    /// How many were wanted.
    wanted: u64,
    /// How many have been asked: all wanted ones, or all but the last.
    asked: u64,
    /// The standby has answered the questions up to this.
    answered: u64,
    /// Up to this they are answered, and what goes with them is committed.
    confirmed: u64,
}

impl Confirmations {
    /// The number of the question that confirms what is in the journal now, which ends there.
    pub(crate) fn want(&mut self, end: Offset) -> u64 {
        match self.open.back_mut() {
            Some((number, before)) if *number > self.asked => *before = end,
            _ => {
                self.wanted += 1;
                self.open.push_back((self.wanted, end));
            }
        }
        self.wanted
    }

    /// The question to be asked now, or once more: the one under way, else the next one.
    pub(crate) fn ask(&mut self) -> Option<u64> {
        if self.answered >= self.asked {
            self.asked = self.wanted;
        }
        (self.answered < self.asked).then_some(self.asked)
    }

    /// The standby follows, and has received this question. Answers to older ones say nothing.
    pub(crate) fn answered(&mut self, number: u64) {
        if number == self.asked {
            self.answered = number;
        }
    }

    /// Whether the standby has yet to answer something.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.answered < self.wanted
    }

    /// Up to which number they are confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Takes note of what is committed, and whether that needs the standby.
    pub(crate) fn settle(&mut self, committed: Offset, is_coupled: bool) {
        let answered = if is_coupled { self.answered } else { self.wanted };
        while let Some((number, _)) =
            self.open.pop_front_if(|(number, before)| *number <= answered && *before <= committed)
        {
            self.confirmed = number;
        }
        // Of several that are answered and wait for the same commit, the last is enough.
        while let [(_, before), (number, after), ..] = self.open.make_contiguous()[..]
            && number <= answered
            && before == after
        {
            self.open.pop_front();
        }
        if !is_coupled {
            (self.asked, self.answered) = (self.wanted, self.wanted);
        }
    }

    /// Nobody waits any more.
    pub(crate) fn give_up(&mut self) {
        self.open.clear();
        (self.asked, self.answered, self.confirmed) = (self.wanted, self.wanted, self.wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_while_a_question_is_under_way_waits_for_the_next_one() {
        let mut questions = Confirmations::default();
        assert_eq!(questions.ask(), None);
        assert_eq!((questions.want(Offset(3)), questions.want(Offset(4))), (1, 1), "not asked yet");
        assert_eq!((questions.ask(), questions.ask()), (Some(1), Some(1)), "repeated");
        assert_eq!((questions.want(Offset(4)), questions.want(Offset(6))), (2, 2));
        assert_eq!(questions.ask(), Some(1), "one at a time");
        questions.answered(1);
        questions.settle(Offset(3), true);
        assert_eq!(questions.confirmed(), 0, "not all is committed");
        questions.settle(Offset(4), true);
        assert_eq!((questions.confirmed(), questions.ask()), (1, Some(2)));
        questions.answered(1);
        questions.settle(Offset(9), true);
        assert_eq!(questions.confirmed(), 1, "an old answer");
        questions.settle(Offset(5), false);
        assert_eq!(questions.confirmed(), 1, "alone, but not all is committed");
        questions.settle(Offset(6), false);
        assert_eq!((questions.confirmed(), questions.ask()), (2, None));
    }

    #[test]
    fn what_is_answered_and_not_committed_does_not_pile_up() {
        let mut questions = Confirmations::default();
        for number in 1..100 {
            assert_eq!(questions.want(Offset(5)), number);
            assert_eq!(questions.ask(), Some(number));
            questions.answered(number);
            questions.settle(Offset(4), true);
            assert_eq!((questions.open.len(), questions.is_unanswered(), questions.confirmed()), (1, false, 0));
        }
        questions.settle(Offset(5), true);
        assert_eq!((questions.open.len(), questions.confirmed()), (0, 99));
    }

    #[test]
    fn who_ceases_to_be_active_shows_nothing() {
        let mut questions = Confirmations::default();
        questions.want(Offset(1));
        questions.ask();
        questions.give_up();
        assert_eq!(questions.ask(), None);
        assert_eq!(questions.want(Offset(1)), 2);
        questions.answered(1);
        questions.settle(Offset(1), true);
        assert_eq!((questions.confirmed(), questions.ask()), (1, Some(2)));
    }
}
