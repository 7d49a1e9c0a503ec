//! What the three say to each other. All of it may be lost, doubled or late: what matters is repeated with each heartbeat,
//! and what is old is recognised.

use super::epochs::MOST_TOLD;
use crate::bytes::{Reader, Writer};
use crate::limit;
use crate::record::{Epoch, Offset, Position, Record};
use crate::register::{Accepted, Answer, Ballot, FoundingId, Incarnation, Question, Seat};
use alloc::vec::Vec;

/// A message with its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// Where the sender sits.
    pub from: Seat,
    /// Which one it is.
    pub incarnation: Incarnation,
    /// Which process of it; drawn at each start.
    pub run: u64,
    /// To which cluster it belongs, if it knows.
    pub founding: FoundingId,
    /// What it says.
    pub message: Message,
}

/// A stream of records to a standby. A new one begins each time when the standby joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Session {
    /// The process of the active.
    pub active: u64,
    /// The process of the standby.
    pub standby: u64,
    /// How often the standby has joined.
    pub join: u64,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A proposal about the epoch record. Leaves when the own vote is durable.
    Question(Question),
    /// A vote. Leaves when it is durable.
    Answer {
        /// To which proposal.
        ballot: Ballot,
        /// The vote.
        answer: Answer,
    },
    /// The sender lives, and knows this.
    Beat {
        /// The sender knows of no record, and may be a founding member.
        ignorant: bool,
        /// The newest record that it knows to be decided.
        decided: Option<Accepted>,
        /// Of the active: what it has sent of its journal.
        sent: Option<(Session, Offset)>,
    },
    /// A node wants the records of the active. Asserts nothing.
    Join {
        /// The process of the active, as the standby knows it.
        active: u64,
        /// How often it has joined.
        join: u64,
        /// Where its journal ends.
        end: Position,
        /// Where the newest epochs of its journal begin.
        epochs: Vec<(Epoch, Offset)>,
    },
    /// Records follow, from here on. What the standby has after it, is to be cut off.
    Start {
        /// Which stream.
        session: Session,
        /// A position in both journals.
        at: Position,
    },
    /// Records, perhaps not yet durable at the active.
    Records {
        /// Which stream.
        session: Session,
        /// Before the first of them.
        at: Position,
        /// The records.
        records: Vec<Record>,
    },
    /// What the active has committed. Leaves when it has.
    Committed {
        /// Which stream.
        session: Session,
        /// Everything before.
        before: Offset,
    },
    /// What the standby has. Leaves when it is durable there.
    Acknowledged {
        /// Which stream.
        session: Session,
        /// Everything before.
        position: Position,
    },
    /// Instead of [`Self::Start`]: the records that the standby needs are released. It is to begin with an image.
    Offer {
        /// Which stream.
        session: Session,
        /// Of what state.
        at: Position,
        /// Where the newest epochs before begin.
        epochs: Vec<(Epoch, Offset)>,
    },
    /// The standby wants a piece of the image that it was offered. Asserts nothing.
    Fetch {
        /// Which stream.
        session: Session,
        /// Of which image.
        at: Position,
        /// The first byte.
        from: u64,
        /// How many; fewer at the end of the image.
        bytes: u32,
    },
    /// A piece of the image that was offered.
    Piece {
        /// Which stream.
        session: Session,
        /// Of which image.
        at: Position,
        /// The first byte.
        from: u64,
        /// The piece.
        piece: ImagePiece,
    },
    /// The active asks whether the standby still follows. Asserts nothing.
    Confirm {
        /// Which stream.
        session: Session,
        /// Which question.
        number: u64,
    },
    /// The standby does, and has not asked for a take-over.
    Confirmed {
        /// Which stream.
        session: Session,
        /// To which question.
        number: u64,
    },
}

/// A piece of an image, and what the whole is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImagePiece {
    /// Length of the image in bytes.
    pub length: u64,
    /// XXH64 of the whole image, with seed zero.
    pub checksum: u64,
    /// As many bytes as were wanted; fewer only at the end of the image.
    pub bytes: Vec<u8>,
}

/// Most bytes of records in one message, unless a single one is longer.
pub const RECORDS_BYTES: usize = 1 << 20;

const _: () = assert!(RECORDS_BYTES <= limit::RECORD_PAYLOAD);

impl Envelope {
    /// Whether `earlier`, to the same receiver, need not be told any more when this is.
    #[must_use]
    pub fn supersedes(&self, earlier: &Self) -> bool {
        match (&self.message, &earlier.message) {
            (Message::Acknowledged { session, .. }, Message::Acknowledged { session: before, .. })
            | (Message::Committed { session, .. }, Message::Committed { session: before, .. }) => session == before,
            _ => false,
        }
    }

    /// As it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::new();
        self.from.write(&mut to);
        to.word(self.incarnation.0);
        to.word(self.run);
        to.word(self.founding.0);
        self.message.write(&mut to);
        to.0
    }

    /// Inverse of [`Self::encode`]. None: not understood.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let envelope = Self {
            from: Seat::read(&mut from)?,
            incarnation: Incarnation(from.word()?),
            run: from.word()?,
            founding: FoundingId(from.word()?),
            message: Message::read(&mut from)?,
        };
        from.is_empty().then_some(envelope)
    }
}

impl Session {
    fn write(self, to: &mut Writer) {
        to.word(self.active);
        to.word(self.standby);
        to.word(self.join);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self { active: from.word()?, standby: from.word()?, join: from.word()? })
    }
}

impl Message {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Question(question) => {
                to.byte(0);
                question.write(to);
            }
            Self::Answer { ballot, answer } => {
                to.byte(1);
                ballot.write(to);
                answer.write(to);
            }
            Self::Beat { ignorant, decided, sent } => {
                to.byte(2);
                to.byte((*ignorant).into());
                to.option(*decided, |decided, to| decided.write(to));
                to.option(*sent, |(session, offset), to| {
                    session.write(to);
                    to.word(offset.0);
                });
            }
            Self::Join { active, join, end, epochs } => {
                to.byte(3);
                to.word(*active);
                to.word(*join);
                to.position(*end);
                write_epochs(epochs, to);
            }
            Self::Start { session, at } => {
                to.byte(4);
                session.write(to);
                to.position(*at);
            }
            Self::Records { session, at, records } => {
                to.byte(5);
                session.write(to);
                to.position(*at);
                for record in records {
                    record.encode(&mut to.0);
                }
            }
            Self::Committed { session, before } => {
                to.byte(6);
                session.write(to);
                to.word(before.0);
            }
            Self::Acknowledged { session, position } => {
                to.byte(7);
                session.write(to);
                to.position(*position);
            }
            Self::Offer { session, at, epochs } => {
                to.byte(8);
                session.write(to);
                to.position(*at);
                write_epochs(epochs, to);
            }
            Self::Fetch { session, at, from, bytes } => {
                to.byte(9);
                session.write(to);
                to.position(*at);
                to.word(*from);
                to.word(u64::from(*bytes));
            }
            Self::Piece { session, at, from, piece } => {
                to.byte(10);
                session.write(to);
                to.position(*at);
                to.word(*from);
                to.word(piece.length);
                to.word(piece.checksum);
                to.0.extend_from_slice(&piece.bytes);
            }
            Self::Confirm { session, number } => {
                to.byte(11);
                session.write(to);
                to.word(*number);
            }
            Self::Confirmed { session, number } => {
                to.byte(12);
                session.write(to);
                to.word(*number);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Question(Question::read(from)?),
            1 => Self::Answer { ballot: Ballot::read(from)?, answer: Answer::read(from)? },
            2 => Self::Beat {
                ignorant: from.flag()?,
                decided: from.option(Accepted::read)?,
                sent: from.option(|from| Some((Session::read(from)?, Offset(from.number()?))))?,
            },
            3 => {
                let (active, join, end) = (from.word()?, from.word()?, from.position()?);
                Self::Join { active, join, end, epochs: read_epochs(from)? }
            }
            4 => Self::Start { session: Session::read(from)?, at: from.position()? },
            5 => {
                let (session, at) = (Session::read(from)?, from.position()?);
                let mut records = Vec::new();
                while !from.is_empty() {
                    records.push(from.record()?);
                }
                Self::Records { session, at, records }
            }
            6 => Self::Committed { session: Session::read(from)?, before: Offset(from.number()?) },
            7 => Self::Acknowledged { session: Session::read(from)?, position: from.position()? },
            8 => {
                let (session, at) = (Session::read(from)?, from.position()?);
                Self::Offer { session, at, epochs: read_epochs(from)? }
            }
            9 => {
                let (session, at, from_byte) = (Session::read(from)?, from.position()?, from.word()?);
                Self::Fetch { session, at, from: from_byte, bytes: u32::try_from(from.word()?).ok()? }
            }
            10 => {
                let (session, at, from_byte) = (Session::read(from)?, from.position()?, from.word()?);
                let (length, checksum) = (from.word()?, from.word()?);
                let bytes = core::mem::take(&mut from.0).to_vec();
                let end = from_byte.checked_add(bytes.len() as u64)?;
                if length > limit::IMAGE || end > length || bytes.len() > limit::IMAGE_PIECE {
                    return None;
                }
                Self::Piece { session, at, from: from_byte, piece: ImagePiece { length, checksum, bytes } }
            }
            11 => Self::Confirm { session: Session::read(from)?, number: from.word()? },
            12 => Self::Confirmed { session: Session::read(from)?, number: from.word()? },
            _ => return None,
        })
    }
}

fn write_epochs(epochs: &[(Epoch, Offset)], to: &mut Writer) {
    for (epoch, first) in epochs {
        to.word(epoch.0);
        to.word(first.0);
    }
}

/// All that is left, at most [`MOST_TOLD`].
fn read_epochs(from: &mut Reader<'_>) -> Option<Vec<(Epoch, Offset)>> {
    let mut epochs = Vec::new();
    while !from.is_empty() {
        if epochs.len() == MOST_TOLD {
            return None;
        }
        epochs.push((Epoch(from.number()?), Offset(from.number()?)));
    }
    Some(epochs)
}
