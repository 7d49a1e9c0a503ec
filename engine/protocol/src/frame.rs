//! Frames: the envelope of whatever travels over a link or is stored as one piece.
//!
//! A link delivers bytes in pieces of any length, and what it delivers may come from another version of the program, from
//! something that is no node at all, or be damaged. A frame says where it ends, which version of the messages it holds, and
//! whether it is whole. What is wrong is named; then the stream is of no use any more, since nobody knows where the next
//! frame begins.
//!
//! 24 bytes, little endian, then the payload:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | `BATN` |
//! | 4..6 | version of what the payload holds |
//! | 6..8 | kind of the payload, as the sender and the receiver agree |
//! | 8..12 | length of the payload |
//! | 12..16 | lower half of XXH64 over bytes 0..12 |
//! | 16..24 | XXH64 over bytes 0..16 and the payload |
//!
//! The header has a checksum of its own, so that a damaged length is not waited for. Magic, version and this checksum stay
//! where they are in all versions to come.

use crate::checksum::{Checksum, checksum};
use crate::limit;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::ops::RangeInclusive;

/// Length of what precedes the payload.
pub const HEADER: usize = 24;

/// How each frame begins.
pub const MAGIC: [u8; 4] = *b"BATN";

/// A piece of something, complete and undamaged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Version of what the payload holds.
    pub version: u16,
    /// What the payload is.
    pub kind: u16,
    /// At most [`limit::FRAME_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
}

/// Appends a frame to `bytes`.
///
/// # Errors
/// When the payload is longer than [`limit::FRAME_PAYLOAD`]. Then nothing is appended.
pub fn encode(version: u16, kind: u16, payload: &[u8], bytes: &mut Vec<u8>) -> Result<(), FrameError> {
    let Some(length) = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= limit::FRAME_PAYLOAD) else {
        return Err(FrameError::TooLong { length: payload.len(), limit: limit::FRAME_PAYLOAD });
    };
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&version.to_le_bytes());
    header[6..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&length.to_le_bytes());
    let header_checksum = header_checksum(&header);
    header[12..16].copy_from_slice(&header_checksum);
    let mut whole = Checksum::new(0);
    whole.update(&header[..16]);
    whole.update(payload);
    header[16..24].copy_from_slice(&whole.finish().to_le_bytes());
    bytes.reserve(HEADER + payload.len());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(payload);
    Ok(())
}

/// Reads `bytes` that are one frame and nothing else: something stored.
///
/// # Errors
/// When they are not.
pub fn decode(mut bytes: &[u8], versions: RangeInclusive<u16>) -> Result<Frame, FrameError> {
    let mut decoder = Decoder::new(versions, limit::FRAME_PAYLOAD);
    match decoder.read(&mut bytes)? {
        None => Err(FrameError::Short { missing: decoder.missing() }),
        Some(_) if !bytes.is_empty() => Err(FrameError::Trailing { length: bytes.len() }),
        Some(frame) => Ok(frame),
    }
}

/// Cuts a stream of bytes into frames. Holds one incomplete frame at most.
///
/// Memory follows what has arrived, not what a header claims: never more than twice of what has arrived, and never more
/// than the frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    versions: RangeInclusive<u16>,
    limit: usize,
    header: [u8; HEADER],
    /// Bytes of the header that have arrived.
    filled: usize,
    /// What the whole header has told.
    body: Option<Body>,
    failed: Option<FrameError>,
}

#[derive(Clone, Debug)]
struct Body {
    version: u16,
    kind: u16,
    length: usize,
    payload: Vec<u8>,
    checksum: Checksum,
}

impl Decoder {
    /// For a stream in which `versions` and payloads of up to `limit` bytes are understood; more than
    /// [`limit::FRAME_PAYLOAD`] is never.
    #[must_use]
    pub fn new(versions: RangeInclusive<u16>, limit: usize) -> Self {
        let limit = limit.min(limit::FRAME_PAYLOAD);
        Self { versions, limit, header: [0; HEADER], filled: 0, body: None, failed: None }
    }

    /// Takes bytes from the front of `input` until a frame is complete or there are no more. To be called until it
    /// returns none.
    ///
    /// # Errors
    /// When the stream is not one of frames that are understood here. Then it is over: the same error comes again.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.try_read(input).inspect_err(|&error| self.failed = Some(error))
    }

    /// Whether the stream may end here without something being lost.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.filled == 0
    }

    /// How many bytes are needed at least to complete the frame that has begun, or the next one.
    #[must_use]
    pub fn missing(&self) -> usize {
        match &self.body {
            Some(body) => body.length - body.payload.len(),
            None => HEADER - self.filled,
        }
    }

    fn try_read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, FrameError> {
        let mut body = match self.body.take() {
            Some(body) => body,
            None => {
                let taken = take(input, HEADER - self.filled);
                self.header[self.filled..self.filled + taken.len()].copy_from_slice(taken);
                self.filled += taken.len();
                if self.filled < HEADER {
                    return Ok(None);
                }
                self.read_header()?
            }
        };
        if !body.arrive(input) {
            self.body = Some(body);
            return Ok(None);
        }
        self.filled = 0;
        let Body { version, kind, payload, checksum, .. } = body;
        if self.header[16..24] != checksum.finish().to_le_bytes() {
            return Err(FrameError::Damaged { kind, length: payload.len() });
        }
        Ok(Some(Frame { version, kind, payload }))
    }

    fn read_header(&self) -> Result<Body, FrameError> {
        let h = &self.header;
        if h[0..4] != MAGIC {
            return Err(FrameError::NotAFrame { found: [h[0], h[1], h[2], h[3]] });
        }
        if h[12..16] != header_checksum(h) {
            return Err(FrameError::HeaderDamaged);
        }
        let version = u16::from_le_bytes([h[4], h[5]]);
        if !self.versions.contains(&version) {
            let (oldest, newest) = (*self.versions.start(), *self.versions.end());
            return Err(FrameError::Version { found: version, oldest, newest });
        }
        let length = u32::from_le_bytes([h[8], h[9], h[10], h[11]]) as usize;
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        let mut checksum = Checksum::new(0);
        checksum.update(&h[..16]);
        Ok(Body { version, kind: u16::from_le_bytes([h[6], h[7]]), length, payload: Vec::new(), checksum })
    }
}

impl Body {
    /// Takes what belongs to the payload; whether it is complete.
    fn arrive(&mut self, input: &mut &[u8]) -> bool {
        let taken = take(input, self.length - self.payload.len());
        let arrived = self.payload.len() + taken.len();
        if arrived > self.payload.capacity() {
            let room = arrived.max(2 * self.payload.len()).min(self.length);
            self.payload.reserve_exact(room - self.payload.len());
        }
        self.payload.extend_from_slice(taken);
        self.checksum.update(taken);
        arrived == self.length
    }
}

/// At most `most` bytes from the front of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

fn header_checksum(header: &[u8; HEADER]) -> [u8; 4] {
    let [a, b, c, d, ..] = checksum(0, &header[..12]).to_le_bytes();
    [a, b, c, d]
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Something else than a frame.
    NotAFrame {
        /// What is there instead of the magic.
        found: [u8; 4],
    },
    /// The header does not fit its checksum.
    HeaderDamaged,
    /// A version that is not understood here.
    Version {
        /// Of the frame.
        found: u16,
        /// The first that is understood.
        oldest: u16,
        /// The last that is understood.
        newest: u16,
    },
    /// The payload is too long.
    TooLong {
        /// Its length.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The payload does not fit its checksum.
    Damaged {
        /// What it would be.
        kind: u16,
        /// Its length.
        length: usize,
    },
    /// The bytes end before the frame.
    Short {
        /// How many are missing at least.
        missing: usize,
    },
    /// There are bytes after the frame.
    Trailing {
        /// How many.
        length: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFrame { found } => {
                write!(
                    f,
                    "not a frame: it begins with \"{}\" instead of \"{}\"",
                    found.escape_ascii(),
                    MAGIC.escape_ascii()
                )
            }
            Self::HeaderDamaged => f.write_str("the header of a frame is damaged"),
            Self::Version { found, oldest, newest } => {
                write!(f, "frame of version {found}, this program understands versions {oldest} to {newest}")
            }
            Self::TooLong { length, limit } => {
                write!(f, "frame with a payload of {length} bytes, at most {limit} are allowed")
            }
            Self::Damaged { kind, length } => write!(f, "a frame of kind {kind} with {length} bytes is damaged"),
            Self::Short { missing } => write!(f, "a frame is incomplete, at least {missing} bytes are missing"),
            Self::Trailing { length } => write!(f, "{length} bytes are left over after a frame"),
        }
    }
}

impl Error for FrameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(3, kind, payload, &mut bytes).unwrap();
        bytes
    }

    /// Pins the form: other versions of the program read these bytes.
    #[test]
    fn golden_bytes() {
        let expected = *b"BATN\x03\0\x07\0\x02\0\0\0\xf9\x3b\xb7\xd3\xab\x37\x02\xbe\xec\xb7\x2b\x8chi";
        assert_eq!(frame(7, b"hi"), expected);
    }

    #[test]
    fn every_refusal_has_its_reason() {
        let whole = frame(7, b"hello");
        let broken = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            decode(&bytes, 3..=3)
        };
        assert_eq!(broken(0), Err(FrameError::NotAFrame { found: *b"CATN" }));
        assert_eq!(broken(8), Err(FrameError::HeaderDamaged));
        assert_eq!(broken(20), Err(FrameError::Damaged { kind: 7, length: 5 }));
        assert_eq!(broken(28), Err(FrameError::Damaged { kind: 7, length: 5 }));
        assert_eq!(decode(&whole, 1..=2), Err(FrameError::Version { found: 3, oldest: 1, newest: 2 }));
        assert_eq!(decode(&whole[..10], 3..=3), Err(FrameError::Short { missing: 14 }));
        assert_eq!(decode(&whole[..25], 3..=3), Err(FrameError::Short { missing: 4 }));
        let mut two = whole.clone();
        two.push(0);
        assert_eq!(decode(&two, 3..=3), Err(FrameError::Trailing { length: 1 }));
        let mut decoder = Decoder::new(3..=3, 4);
        assert_eq!(decoder.read(&mut &whole[..]), Err(FrameError::TooLong { length: 5, limit: 4 }));
        assert_eq!(decoder.read(&mut &frame(1, b"")[..]), Err(FrameError::TooLong { length: 5, limit: 4 }));
        let long = vec![0; limit::FRAME_PAYLOAD + 1];
        assert!(matches!(encode(1, 1, &long, &mut Vec::new()), Err(FrameError::TooLong { .. })));
    }

    #[test]
    fn an_empty_stream_is_not_a_frame() {
        assert_eq!(decode(&[], 3..=3), Err(FrameError::Short { missing: HEADER }));
    }

    #[test]
    fn memory_follows_what_has_arrived() {
        let whole = frame(1, &vec![5; limit::FRAME_PAYLOAD]);
        let mut decoder = Decoder::new(3..=3, usize::MAX);
        for (n, chunk) in whole.chunks(1 << 16).enumerate() {
            let frame = decoder.read(&mut &*chunk).unwrap();
            if let Some(body) = &decoder.body {
                assert!(body.payload.capacity() <= (2 * (n + 1)) << 16, "{} after {n} chunks", body.payload.capacity());
                assert!(body.payload.capacity() <= body.length);
            } else {
                assert_eq!(frame.unwrap().payload.capacity(), limit::FRAME_PAYLOAD);
            }
        }
        assert!(decoder.is_between_frames());
    }
}
