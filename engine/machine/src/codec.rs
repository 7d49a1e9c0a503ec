//! The one place where bincode is: how transactions and messages become bytes and are read again.
//!
//! A transaction is the payload of one journal record: a byte with the version of its form, then the events. Variants of
//! events are only ever appended; whatever else changes the form gets a new version, and all old ones stay readable. The
//! golden bytes in the tests hold us to that. A message is the payload of one [`frame`], whose head has version and kind.
//!
//! A transaction that is too long for one record is cut into pieces, each the payload of a record: a byte that says whether
//! another piece follows, then some of the bytes. After a crash between them the last piece is missing. Then the others are
//! void, which is seen by the epoch: whoever writes after a crash does so in another one.
//!
//! What can fail: bytes which this program did not write, or a later version did. Lengths are checked against a limit before
//! memory is taken, and nothing that is decoded here nests: items travel as JSON text, values are flat. So no input, however
//! hostile, takes more memory than a few times the limit, or overflows the stack.

use crate::message::Message;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use baton_protocol::event_id::EventId;
use baton_protocol::frame::{self, Frame, FrameError};
use baton_protocol::limit;
use baton_protocol::record::{Offset, Record, RecordId};
use baton_workflow::model::event::Event;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::time::Timestamp;
use core::fmt;
use core::ops::RangeInclusive;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the form of transactions which this program writes.
const TRANSACTION_VERSION: u8 = 1;

/// Instead of a version: a piece of a transaction, continued in the next record.
const PIECE: u8 = 128;

/// Instead of a version: the last piece of a transaction.
const LAST_PIECE: u8 = 129;

/// Longest transaction, in bytes: no journal can hold back more.
const TRANSACTION: usize = 128 << 20;

/// Version of the form of images which this program writes.
const IMAGE_VERSION: u8 = 4;

/// Version of the messages which this program writes.
pub const MESSAGE_VERSION: u16 = 1;

/// Versions of messages which this program reads.
pub const MESSAGE_VERSIONS: RangeInclusive<u16> = 1..=MESSAGE_VERSION;

/// An event with its identity and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Identifies it in the journal it is in.
    #[serde(with = "event_id")]
    pub event_id: EventId,
    /// When it happened. Of an adopted event: when it happened where it came from.
    pub timestamp: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Stamped {
    /// Memory it takes, roughly, in bytes. Output is what is long and often.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let written = match &self.event {
            Event::Order(_, OrderEvent::OrderStdoutWritten { chunk } | OrderEvent::OrderStderrWritten { chunk }) => {
                chunk.len()
            }
            _ => 0,
        };
        size_of::<Self>() + written
    }
}

/// What one input led to: the payload of one record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// In the order of their ids.
    pub events: Vec<Stamped>,
}

/// Bytes which are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// There are none.
    Empty,
    /// A form which this program does not know.
    Version {
        /// What has it.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The newest which is known.
        known: u16,
    },
    /// A kind of message which is not expected here.
    Kind {
        /// The kind found.
        found: u16,
        /// The kind expected.
        expected: u16,
    },
    /// The bytes are damaged, or not of this form at all.
    Malformed {
        /// What they should be.
        what: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// More bytes than there should be.
    Trailing {
        /// What they follow.
        what: &'static str,
        /// How many.
        length: usize,
    },
    /// The frame cannot be.
    Frame(FrameError),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there are no bytes"),
            Self::Version { what, found, known } => {
                write!(f, "a {what} of version {found}, but this program knows versions up to {known} only")
            }
            Self::Kind { found, expected } => {
                write!(f, "a message of kind {found} where only kind {expected} is understood")
            }
            Self::Malformed { what, reason } => write!(f, "no {what}: {reason}"),
            Self::Trailing { what, length } => write!(f, "{length} bytes too many after a {what}"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CodecError {}

impl Transaction {
    /// The payload of a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        versioned(TRANSACTION_VERSION, self)
    }

    /// The payloads of its records, in their order: one, if none is longer than `limit` then.
    #[must_use]
    pub fn encode_records(&self, limit: usize) -> Vec<Vec<u8>> {
        cut(self.encode(), limit)
    }

    /// Inverse of [`Self::encode`], of all versions. Records are read by an [`Assembly`].
    ///
    /// # Errors
    /// When the bytes are not of a transaction, or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match split_version(bytes)? {
            (TRANSACTION_VERSION, bytes) => decode_whole::<_, TRANSACTION>("transaction", bytes),
            (found, _) => Err(unknown_version("transaction", found, TRANSACTION_VERSION)),
        }
    }
}

/// The payloads of a transaction's records, in their order.
fn cut(whole: Vec<u8>, limit: usize) -> Vec<Vec<u8>> {
    if whole.len() <= limit {
        return Vec::from([whole]);
    }
    let mut pieces: Vec<Vec<u8>> = whole
        .chunks(limit.saturating_sub(1).max(1))
        .map(|chunk| {
            let mut piece = Vec::with_capacity(1 + chunk.len());
            piece.push(PIECE);
            piece.extend_from_slice(chunk);
            piece
        })
        .collect();
    if let Some(form) = pieces.last_mut().and_then(|piece| piece.first_mut()) {
        *form = LAST_PIECE;
    }
    pieces
}

/// As [`Transaction::encode_records`], of events which are encoded already.
pub(crate) fn transaction_records(count: usize, events: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let mut whole = Vec::with_capacity(10 + events.len());
    whole.push(TRANSACTION_VERSION);
    encode_into(&count, &mut whole);
    whole.extend_from_slice(events);
    cut(whole, limit)
}

/// Puts transactions together from the records of a journal, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assembly {
    begun: Option<Begun>,
}

/// A transaction whose last piece is missing.
#[derive(Clone, Debug, PartialEq)]
struct Begun {
    first: Offset,
    last: RecordId,
    bytes: Vec<u8>,
}

/// A whole transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Assembled {
    /// Its first record.
    pub first: Offset,
    /// Its length in bytes.
    pub length: usize,
    /// The transaction.
    pub transaction: Transaction,
}

impl Assembly {
    /// Whether no transaction is begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begun.is_none()
    }

    /// Takes the next record. Returns the transaction which it completes.
    ///
    /// # Errors
    /// When the record is not understood.
    pub fn add(&mut self, record: &Record) -> Result<Option<Assembled>, CodecError> {
        let id = record.id;
        let begun = self.begun.take();
        let (form, bytes) = split_version(&record.payload)?;
        if form != PIECE && form != LAST_PIECE {
            let transaction = Transaction::decode(&record.payload)?;
            return Ok(Some(Assembled { first: id.offset, length: record.payload.len(), transaction }));
        }
        let is_continued = |begun: &Begun| begun.last.epoch == id.epoch && begun.last.offset.next() == id.offset;
        let mut begun =
            begun.filter(is_continued).unwrap_or_else(|| Begun { first: id.offset, last: id, bytes: Vec::new() });
        if begun.bytes.len() + bytes.len() > TRANSACTION {
            let reason = String::from("its pieces are too long together");
            return Err(CodecError::Malformed { what: "transaction", reason });
        }
        begun.last = id;
        begun.bytes.extend_from_slice(bytes);
        if form == PIECE {
            self.begun = Some(begun);
            return Ok(None);
        }
        let transaction = Transaction::decode(&begun.bytes)?;
        Ok(Some(Assembled { first: begun.first, length: begun.bytes.len(), transaction }))
    }
}

/// The bytes of an image of a state.
pub(crate) fn encode_image<T: Serialize>(image: &T) -> Vec<u8> {
    versioned(IMAGE_VERSION, image)
}

/// Inverse of [`encode_image`].
pub(crate) fn decode_image<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    /// Longest image.
    const IMAGE: usize = 1 << 34;
    match split_version(bytes)? {
        (IMAGE_VERSION, bytes) => decode_whole::<_, IMAGE>("image", bytes),
        (found, _) => Err(unknown_version("image", found, IMAGE_VERSION)),
    }
}

/// A message as a frame, ready to be sent.
///
/// # Errors
/// When it is longer than [`limit::FRAME_PAYLOAD`].
pub fn encode_message<M: Message>(message: &M) -> Result<Arc<[u8]>, CodecError> {
    let mut bytes = Vec::new();
    frame::encode(MESSAGE_VERSION, M::KIND, &encode(message), &mut bytes).map_err(CodecError::Frame)?;
    Ok(bytes.into())
}

/// Inverse of [`encode_message`], of a frame that has been cut from the stream.
///
/// # Errors
/// When it is of another kind or version, or malformed.
pub fn decode_message<M: Message>(frame: &Frame) -> Result<M, CodecError> {
    if !MESSAGE_VERSIONS.contains(&frame.version) {
        return Err(CodecError::Version { what: "message", found: frame.version, known: MESSAGE_VERSION });
    }
    if frame.kind != M::KIND {
        return Err(CodecError::Kind { found: frame.kind, expected: M::KIND });
    }
    decode_whole::<_, { limit::FRAME_PAYLOAD }>("message", &frame.payload)
}

/// How many bytes a value takes in a message.
pub(crate) fn encoded_length<T: Serialize>(value: &T) -> usize {
    encode(value).len()
}

fn versioned<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let mut bytes = Vec::from([version]);
    bytes.append(&mut encode(value));
    bytes
}

fn split_version(bytes: &[u8]) -> Result<(u8, &[u8]), CodecError> {
    bytes.split_first().map(|(version, rest)| (*version, rest)).ok_or(CodecError::Empty)
}

fn unknown_version(what: &'static str, found: u8, known: u8) -> CodecError {
    CodecError::Version { what, found: found.into(), known: known.into() }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// Appends the bytes of a value.
pub(crate) fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    #[expect(
        clippy::expect_used,
        reason = "writing to memory fails for unsized sequences only, and no type here has any"
    )]
    bincode::serde::encode_into_writer(value, Appending(bytes), bincode::config::standard()).expect("encodable");
}

struct Appending<'b>(&'b mut Vec<u8>);

impl bincode::enc::write::Writer for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn decode_whole<T: DeserializeOwned, const LIMIT: usize>(what: &'static str, bytes: &[u8]) -> Result<T, CodecError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, length) = bincode::serde::decode_from_slice(bytes, config)
        .map_err(|error| CodecError::Malformed { what, reason: error.to_string() })?;
    match bytes.len() - length {
        0 => Ok(value),
        length => Err(CodecError::Trailing { what, length }),
    }
}

/// Event ids in records and messages. The protocol crate, which defines them, knows no serde.
pub(crate) mod event_id {
    use baton_protocol::event_id::EventId;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(id: &EventId, serializer: S) -> Result<S::Ok, S::Error> {
        id.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
        u64::deserialize(deserializer).map(EventId)
    }
}

/// Epochs in messages.
pub(crate) mod epoch {
    use baton_protocol::record::Epoch;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(epoch: &Epoch, serializer: S) -> Result<S::Ok, S::Error> {
        epoch.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Epoch, D::Error> {
        u64::deserialize(deserializer).map(Epoch)
    }
}
