//! Every bound of this crate, and how the bounds depend on each other, asserted at compile time.
//!
//! The fixed bounds belong to formats: both sides of a link, and the versions of a program that read one disk, must agree
//! on them. The bounds in [`Limits`] belong to the memory of one node; tests make them tiny so that every run meets them.

use core::error::Error;
use core::fmt;

/// Longest payload of a record in bytes: one transaction of the application.
pub const RECORD_PAYLOAD: usize = 16 << 20;

/// Longest payload of a frame in bytes: a record, and what is said about it.
pub const FRAME_PAYLOAD: usize = RECORD_PAYLOAD + FRAME_ROOM;

/// What a frame that carries a record has left for everything else.
pub const FRAME_ROOM: usize = 64 << 10;

/// Longest piece of an image in one message, in bytes.
pub const IMAGE_PIECE: usize = 1 << 20;

/// Longest image in bytes that is sent to a standby.
pub const IMAGE: u64 = 1 << 40;

/// Longest value of a cell in bytes.
pub const CELL_VALUE: usize = 64 << 10;

/// How much a node keeps in memory of what storage or the standby have not confirmed.
///
/// A machine that refuses or delays new work while [`crate::outbox::Outbox::is_congested`] (half of the room for records or
/// promises is used) is never refused these, unless a single step needs the other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Records that are not yet confirmed. At most two commits are under way at a time, the one being synced and the one
    /// being collected, so this stands for the length of a stall rather than for the speed of the disk.
    pub records: usize,
    /// Bytes of their payloads.
    pub record_bytes: usize,
    /// Promises held in the gate.
    pub promises: usize,
    /// Their bytes, as they tell them by [`crate::gate::Promise::bytes`].
    pub promise_bytes: usize,
    /// Puts that are not yet durable. They belong to rounds of questions and answers, so there are never many.
    pub puts: usize,
}

impl Limits {
    /// For production.
    pub const DEFAULT: Self =
        Self { records: 1 << 16, record_bytes: 128 << 20, promises: 1 << 17, promise_bytes: 128 << 20, puts: 64 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

// A length fits into the 32 bits that records and frames have for it, and into memory addresses of 32 bits.
const _: () = assert!(FRAME_PAYLOAD <= u32::MAX as usize / 2);
// A frame can carry the longest record with its header and two positions.
const _: () =
    assert!(FRAME_PAYLOAD >= RECORD_PAYLOAD + crate::record::Header::ENCODED + 2 * crate::record::Position::ENCODED);
// A node that is not congested can take in at least the longest record.
const _: () = assert!(Limits::DEFAULT.record_bytes / 2 >= RECORD_PAYLOAD);
// A piece of an image can be sent.
const _: () = assert!(FRAME_PAYLOAD >= IMAGE_PIECE + FRAME_ROOM);
// A whole cell can be sent.
const _: () = assert!(FRAME_PAYLOAD >= 2 * CELL_VALUE);
// Every record can have an answer, and another promise that follows from it.
const _: () = assert!(Limits::DEFAULT.promises >= 2 * Limits::DEFAULT.records);
const _: () = assert!(Limits::DEFAULT.promise_bytes / 2 >= FRAME_PAYLOAD);

/// A bound of [`Limits`] was met: storage or the standby do not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// [`Limits::records`].
    Records {
        /// The bound.
        limit: usize,
    },
    /// [`Limits::record_bytes`].
    RecordBytes {
        /// The bound.
        limit: usize,
    },
    /// [`Limits::promises`].
    Promises {
        /// The bound.
        limit: usize,
    },
    /// [`Limits::promise_bytes`].
    PromiseBytes {
        /// The bound.
        limit: usize,
    },
    /// [`Limits::puts`].
    Puts {
        /// The bound.
        limit: usize,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records { limit } => write!(f, "{limit} records are waiting to be confirmed, no more are taken"),
            Self::RecordBytes { limit } => {
                write!(f, "records waiting to be confirmed would be longer than {limit} bytes together")
            }
            Self::Puts { limit } => write!(f, "{limit} puts are waiting to be confirmed, no more are taken"),
            Self::Promises { limit } => write!(f, "{limit} promises are waiting for their records, no more are taken"),
            Self::PromiseBytes { limit } => {
                write!(f, "promises waiting for their records would be longer than {limit} bytes together")
            }
        }
    }
}

impl Error for Full {}
