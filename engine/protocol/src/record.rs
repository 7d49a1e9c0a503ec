//! Records, and what identifies them.
//!
//! A journal is a sequence of records; one record is one committed transaction of the application, and its payload is
//! opaque here. The offset alone says where a record stands, not what it is: after a crash or a takeover another record
//! may stand at the same offset, and an acknowledgement of the lost one must not count for it. So a record is named by
//! [`RecordId`]: whose journal (epoch), where (offset), and the running checksum over everything up to and including it
//! (chain). Two journals whose records at one offset have equal chains are equal up to there.
//!
//! # Stored and sent form
//!
//! 32 bytes, little endian, then the payload:
//!
//! | bytes | field |
//! |---|---|
//! | 0..2 | version of this form, now 1 |
//! | 2..4 | zero |
//! | 4..8 | length of the payload |
//! | 8..16 | epoch |
//! | 16..24 | offset |
//! | 24..32 | chain |
//!
//! A record damaged in any bit is found when the chain is recomputed from the record before it ([`Record::follows`]);
//! decoding alone finds only what it names in [`DecodeError`].

use crate::checksum::Checksum;
use crate::limit;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

/// Number of a period in which one certain node, and no other, may commit. Grows with every activation and restart.
/// Zero is before the first activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Number of records before this one; or, of a position, number of records before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// The beginning of a journal.
    pub const ZERO: Self = Self(0);

    /// The offset after one more record.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Running checksum over all records up to one.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(pub u64);

impl Chain {
    /// The chain before the first record.
    pub const ORIGIN: Self = Self(0);

    /// The chain including the record of this epoch, offset and payload: XXH64 over previous chain, epoch, offset,
    /// length of the payload (8 bytes each, little endian) and the payload.
    #[must_use]
    pub fn next(self, epoch: Epoch, offset: Offset, payload: &[u8]) -> Self {
        let mut head = [0; 32];
        let (words, _) = head.as_chunks_mut::<8>();
        words[0] = self.0.to_le_bytes();
        words[1] = epoch.0.to_le_bytes();
        words[2] = offset.0.to_le_bytes();
        words[3] = (payload.len() as u64).to_le_bytes();
        let mut checksum = Checksum::new(0);
        checksum.update(&head);
        checksum.update(payload);
        Self(checksum.finish())
    }
}

/// Identity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId {
    /// The epoch in which it was first written. A copy keeps it.
    pub epoch: Epoch,
    /// How many records stand before it.
    pub offset: Offset,
    /// Checksum over everything up to and including it.
    pub chain: Chain,
}

impl RecordId {
    /// The position immediately after this record.
    #[must_use]
    pub const fn after(self) -> Position {
        Position { epoch: self.epoch, offset: self.offset.next(), chain: self.chain }
    }
}

/// A place between two records: the end of a journal, of an image, of what was acknowledged. It names everything before
/// it, by the identity of the last record before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Epoch of the last record before; zero at the origin.
    pub epoch: Epoch,
    /// How many records are before.
    pub offset: Offset,
    /// Chain of the last record before; [`Chain::ORIGIN`] at the origin.
    pub chain: Chain,
}

impl Position {
    /// The beginning of every journal.
    pub const ORIGIN: Self = Self { epoch: Epoch(0), offset: Offset::ZERO, chain: Chain::ORIGIN };

    /// Length of the encoded form.
    pub const ENCODED: usize = 24;

    /// Epoch, offset and chain, 8 bytes each, little endian.
    #[must_use]
    pub fn encode(self) -> [u8; Self::ENCODED] {
        let mut bytes = [0; Self::ENCODED];
        let (words, _) = bytes.as_chunks_mut::<8>();
        words[0] = self.epoch.0.to_le_bytes();
        words[1] = self.offset.0.to_le_bytes();
        words[2] = self.chain.0.to_le_bytes();
        bytes
    }

    /// Inverse of [`Self::encode`]. Every 24 bytes are some position; whether it exists, only a journal can tell.
    #[must_use]
    pub fn decode(bytes: &[u8; Self::ENCODED]) -> Self {
        let (words, _) = bytes.as_chunks::<8>();
        Self {
            epoch: Epoch(u64::from_le_bytes(words[0])),
            offset: Offset(u64::from_le_bytes(words[1])),
            chain: Chain(u64::from_le_bytes(words[2])),
        }
    }
}

/// One committed transaction of the application. Cloning shares the payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// What it is called.
    pub id: RecordId,
    /// At most [`limit::RECORD_PAYLOAD`] bytes, understood by the application only.
    pub payload: Arc<[u8]>,
}

impl Record {
    /// The record that `epoch` writes at `end`.
    ///
    /// # Errors
    /// When the payload is too long, or the epoch is older than that of the record before.
    pub fn write(end: Position, epoch: Epoch, payload: Arc<[u8]>) -> Result<Self, Misplaced> {
        if payload.len() > limit::RECORD_PAYLOAD {
            return Err(Misplaced::PayloadTooLong { length: payload.len() });
        }
        if epoch < end.epoch {
            return Err(Misplaced::EpochGoesBack { before: end.epoch, found: epoch });
        }
        let chain = end.chain.next(epoch, end.offset, &payload);
        Ok(Self { id: RecordId { epoch, offset: end.offset, chain }, payload })
    }

    /// Whether this record is whole and stands immediately after `end`. Returns the position after it.
    ///
    /// # Errors
    /// When it stands elsewhere, or its chain does not fit.
    pub fn follows(&self, end: Position) -> Result<Position, Misplaced> {
        if self.id.offset != end.offset {
            return Err(Misplaced::Offset { expected: end.offset, found: self.id.offset });
        }
        if self.id.epoch < end.epoch {
            return Err(Misplaced::EpochGoesBack { before: end.epoch, found: self.id.epoch });
        }
        if self.payload.len() > limit::RECORD_PAYLOAD {
            return Err(Misplaced::PayloadTooLong { length: self.payload.len() });
        }
        let chain = end.chain.next(self.id.epoch, self.id.offset, &self.payload);
        if self.id.chain != chain {
            return Err(Misplaced::Chain { offset: end.offset, expected: chain, found: self.id.chain });
        }
        Ok(self.id.after())
    }

    /// Length of the encoded form.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        Header::ENCODED + self.payload.len()
    }

    /// Appends the encoded form to `bytes`.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.encoded_len());
        bytes.extend_from_slice(&self.header().encode());
        bytes.extend_from_slice(&self.payload);
    }

    /// What precedes the payload in the encoded form.
    ///
    /// # Panics
    /// When the payload is longer than [`limit::RECORD_PAYLOAD`], which [`Self::write`] and [`Self::follows`] refuse.
    #[must_use]
    pub fn header(&self) -> Header {
        assert!(self.payload.len() <= limit::RECORD_PAYLOAD, "payload of {} bytes", self.payload.len());
        Header { id: self.id, length: self.payload.len() as u32 }
    }

    /// Reads one record from the front of `bytes` and returns it with the bytes after it. Copies the payload, once its
    /// length has been checked.
    ///
    /// # Errors
    /// When the header is not of a record that this version knows, or bytes are missing.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let Some((header, rest)) = bytes.split_first_chunk() else {
            return Err(DecodeError::Short { need: Header::ENCODED, have: bytes.len() });
        };
        let header = Header::decode(header)?;
        let Some((payload, rest)) = rest.split_at_checked(header.length as usize) else {
            return Err(DecodeError::Short { need: Header::ENCODED + header.length as usize, have: bytes.len() });
        };
        Ok((Self { id: header.id, payload: payload.into() }, rest))
    }
}

/// What precedes the payload of an encoded record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Of the record.
    pub id: RecordId,
    /// Of the payload, in bytes; at most [`limit::RECORD_PAYLOAD`].
    pub length: u32,
}

impl Header {
    /// Length of the encoded form.
    pub const ENCODED: usize = 32;

    const VERSION: u16 = 1;

    /// The encoded form.
    #[must_use]
    pub fn encode(self) -> [u8; Self::ENCODED] {
        let mut bytes = [0; Self::ENCODED];
        bytes[0..2].copy_from_slice(&Self::VERSION.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        let (words, _) = bytes.as_chunks_mut::<8>();
        words[1] = self.id.epoch.0.to_le_bytes();
        words[2] = self.id.offset.0.to_le_bytes();
        words[3] = self.id.chain.0.to_le_bytes();
        bytes
    }

    /// Inverse of [`Self::encode`].
    ///
    /// # Errors
    /// When this is no header of a version known here, or the length is beyond the limit.
    pub fn decode(bytes: &[u8; Self::ENCODED]) -> Result<Self, DecodeError> {
        let version = u16::from_le_bytes([bytes[0], bytes[1]]);
        if version != Self::VERSION {
            return Err(DecodeError::Version { known: Self::VERSION, found: version });
        }
        if bytes[2..4] != [0, 0] {
            return Err(DecodeError::Reserved);
        }
        let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        if length as usize > limit::RECORD_PAYLOAD {
            return Err(DecodeError::PayloadTooLong { length });
        }
        let (words, _) = bytes.as_chunks::<8>();
        let id = RecordId {
            epoch: Epoch(u64::from_le_bytes(words[1])),
            offset: Offset(u64::from_le_bytes(words[2])),
            chain: Chain(u64::from_le_bytes(words[3])),
        };
        Ok(Self { id, length })
    }
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than the record has.
    Short {
        /// Bytes of the header, or of the whole record once the header was read.
        need: usize,
        /// Bytes given.
        have: usize,
    },
    /// Written in a form that this program does not know.
    Version {
        /// The only version known here.
        known: u16,
        /// The version found.
        found: u16,
    },
    /// Bytes that must be zero are not.
    Reserved,
    /// The header tells of a payload beyond [`limit::RECORD_PAYLOAD`].
    PayloadTooLong {
        /// The length told.
        length: u32,
    },
}

/// Why a record cannot stand where it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It stands at another offset.
    Offset {
        /// The offset at which the journal ends.
        expected: Offset,
        /// The offset of the record.
        found: Offset,
    },
    /// It was written in an older epoch than the record before it.
    EpochGoesBack {
        /// Epoch of the record before.
        before: Epoch,
        /// Epoch of the record.
        found: Epoch,
    },
    /// It is damaged, or it follows another record than the one before.
    Chain {
        /// Offset of the record.
        offset: Offset,
        /// The chain computed from the record before and this record's content.
        expected: Chain,
        /// The chain that the record names.
        found: Chain,
    },
    /// Its payload is longer than [`limit::RECORD_PAYLOAD`].
    PayloadTooLong {
        /// Bytes of the payload.
        length: usize,
    },
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { need, have } => write!(f, "a record needs {need} bytes, there are {have}"),
            Self::Version { known, found } => {
                write!(f, "record of version {found}, this program knows version {known}")
            }
            Self::Reserved => f.write_str("a reserved field of a record is not zero"),
            Self::PayloadTooLong { length } => {
                write!(f, "record with a payload of {length} bytes, at most {} are allowed", limit::RECORD_PAYLOAD)
            }
        }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset { expected, found } => write!(f, "record of offset {found} where {expected} should follow"),
            Self::EpochGoesBack { before, found } => {
                write!(f, "record of epoch {found} after one of the newer epoch {before}")
            }
            Self::Chain { offset, expected, found } => {
                write!(
                    f,
                    "record at offset {offset} has chain {found}, its content and the record before make {expected}"
                )
            }
            Self::PayloadTooLong { length } => {
                write!(f, "payload of {length} bytes, at most {} are allowed", limit::RECORD_PAYLOAD)
            }
        }
    }
}

impl Error for DecodeError {}
impl Error for Misplaced {}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::write(Position::ORIGIN, Epoch(3), Arc::from(&b"hello"[..])).unwrap()
    }

    /// Pins the stored form: these bytes are on disks.
    #[test]
    fn golden_bytes() {
        let mut bytes = Vec::new();
        record().encode(&mut bytes);
        assert_eq!(bytes[..24], *b"\x01\0\0\0\x05\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(record().id.chain, Chain(u64::from_le_bytes(bytes[24..32].try_into().unwrap())));
        assert_eq!(record().id.chain, Chain(0x7a87_05bd_403f_b46a));
        assert_eq!(bytes[32..], *b"hello");
    }

    #[test]
    fn round_trip() {
        let mut bytes = Vec::new();
        let first = record();
        let second = Record::write(first.id.after(), Epoch(4), Arc::from(&[][..])).unwrap();
        first.encode(&mut bytes);
        second.encode(&mut bytes);
        assert_eq!(bytes.len(), first.encoded_len() + second.encoded_len());
        let (found, rest) = Record::decode(&bytes).unwrap();
        assert_eq!(found, first);
        let (found, rest) = Record::decode(rest).unwrap();
        assert_eq!(found, second);
        assert!(rest.is_empty());
        assert_eq!(Position::decode(&second.id.after().encode()), second.id.after());
    }

    #[test]
    fn decoding_names_what_is_wrong() {
        let mut bytes = Vec::new();
        record().encode(&mut bytes);
        assert_eq!(Record::decode(&bytes[..31]), Err(DecodeError::Short { need: 32, have: 31 }));
        assert_eq!(Record::decode(&bytes[..36]), Err(DecodeError::Short { need: 37, have: 36 }));
        let mut wrong = bytes.clone();
        wrong[0] = 2;
        assert_eq!(Record::decode(&wrong), Err(DecodeError::Version { known: 1, found: 2 }));
        let mut wrong = bytes.clone();
        wrong[3] = 1;
        assert_eq!(Record::decode(&wrong), Err(DecodeError::Reserved));
        let mut wrong = bytes.clone();
        wrong[7] = 0xff;
        assert_eq!(Record::decode(&wrong), Err(DecodeError::PayloadTooLong { length: 0xff00_0005 }));
    }

    #[test]
    fn a_record_follows_only_its_predecessor() {
        let first = record();
        let second = Record::write(first.id.after(), Epoch(3), Arc::from(&b"b"[..])).unwrap();
        assert_eq!(second.follows(first.id.after()), Ok(second.id.after()));
        assert_eq!(second.follows(Position::ORIGIN), Err(Misplaced::Offset { expected: Offset(0), found: Offset(1) }));
        let other = Record::write(Position::ORIGIN, Epoch(3), Arc::from(&b"other"[..])).unwrap();
        assert!(matches!(second.follows(other.id.after()), Err(Misplaced::Chain { offset: Offset(1), .. })));
        let newer = Position { epoch: Epoch(9), ..first.id.after() };
        assert_eq!(second.follows(newer), Err(Misplaced::EpochGoesBack { before: Epoch(9), found: Epoch(3) }));
        assert!(Record::write(newer, Epoch(8), Arc::from(&[][..])).is_err());
    }

    #[test]
    fn the_payload_has_a_limit() {
        let long: Arc<[u8]> = alloc::vec![0; limit::RECORD_PAYLOAD + 1].into();
        let expected = Misplaced::PayloadTooLong { length: limit::RECORD_PAYLOAD + 1 };
        assert_eq!(Record::write(Position::ORIGIN, Epoch(1), long), Err(expected));
    }
}
