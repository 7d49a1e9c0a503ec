//! The stored and sent forms of what the register is made of: fixed widths, little endian.

use super::{
    Accepted, Answer, Ballot, EpochRecord, FoundingId, Incarnation, Members, Mode, Question, Refusal, Seat, Vote,
};
use crate::bytes::{Reader, Writer};
use crate::record::Epoch;

impl Seat {
    pub(crate) fn write(self, to: &mut Writer) {
        to.byte(self as u8);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Self::ALL.get(usize::from(from.byte()?)).copied()
    }
}

impl Ballot {
    pub(crate) fn write(self, to: &mut Writer) {
        to.word(self.round);
        self.seat.write(to);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { round: from.number()?, seat: Seat::read(from)? })
    }
}

impl EpochRecord {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.word(self.founding.0);
        to.word(self.epoch.0);
        self.active.write(to);
        to.word(self.process);
        to.byte(match self.mode {
            Mode::Alone => 0,
            Mode::Coupled => 1,
            Mode::Stopped => 2,
        });
        to.position(self.began);
        for incarnation in self.members.0 {
            to.word(incarnation.0);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            founding: FoundingId(from.word()?),
            epoch: Epoch(from.number()?),
            active: Seat::read(from).filter(|&seat| seat != Seat::Watch)?,
            process: from.word()?,
            mode: match from.byte()? {
                0 => Mode::Alone,
                1 => Mode::Coupled,
                2 => Mode::Stopped,
                _ => return None,
            },
            began: from.position()?,
            members: Members([Incarnation(from.word()?), Incarnation(from.word()?), Incarnation(from.word()?)]),
        })
    }
}

impl Accepted {
    pub(crate) fn write(&self, to: &mut Writer) {
        self.ballot.write(to);
        self.record.write(to);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { ballot: Ballot::read(from)?, record: EpochRecord::read(from)? })
    }
}

impl Vote {
    pub(crate) fn write(&self, to: &mut Writer) {
        self.promised.write(to);
        to.option(self.accepted, |accepted, to| accepted.write(to));
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { promised: Ballot::read(from)?, accepted: from.option(Accepted::read)? })
    }
}

impl Question {
    pub(crate) fn write(&self, to: &mut Writer) {
        match self {
            Self::Prepare { ballot, take_over } => {
                to.byte(0);
                ballot.write(to);
                to.option(*take_over, |refuses, to| to.byte(refuses.into()));
            }
            Self::Accept { ballot, record, founding } => {
                to.byte(1);
                ballot.write(to);
                record.write(to);
                to.byte((*founding).into());
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Prepare { ballot: Ballot::read(from)?, take_over: from.option(Reader::flag)? },
            1 => Self::Accept { ballot: Ballot::read(from)?, record: EpochRecord::read(from)?, founding: from.flag()? },
            _ => return None,
        })
    }
}

impl Answer {
    pub(crate) fn write(&self, to: &mut Writer) {
        match self {
            Self::Promised(accepted) => {
                to.byte(0);
                accepted.write(to);
            }
            Self::Accepted => to.byte(1),
            Self::Refused(Refusal::Late { promised }) => {
                to.byte(2);
                promised.write(to);
            }
            Self::Refused(Refusal::Ignorant) => to.byte(3),
            Self::Refused(Refusal::Founded) => to.byte(4),
            Self::Refused(Refusal::NoMember) => to.byte(5),
            Self::Refused(Refusal::ActiveIsAlive) => to.byte(6),
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Promised(Accepted::read(from)?),
            1 => Self::Accepted,
            2 => Self::Refused(Refusal::Late { promised: Ballot::read(from)? }),
            3 => Self::Refused(Refusal::Ignorant),
            4 => Self::Refused(Refusal::Founded),
            5 => Self::Refused(Refusal::NoMember),
            6 => Self::Refused(Refusal::ActiveIsAlive),
            _ => return None,
        })
    }
}
