//! Writes and reads the small fixed forms in which the protocol's own values are stored and sent: little endian, no lengths
//! that could lie. What does not fit is `None`.

use crate::record::{Position, Record};
use alloc::vec::Vec;

/// Epochs, offsets and rounds from here on are not understood.
const MOST: u64 = 1 << 62;

pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn word(&mut self, word: u64) {
        self.0.extend_from_slice(&word.to_le_bytes());
    }

    pub(crate) fn position(&mut self, position: Position) {
        self.0.extend_from_slice(&position.encode());
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(T, &mut Self)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(value, self);
        }
    }
}

pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn word(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number that grows by steps, and so never comes near its end: it can be added to without care.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.word().filter(|number| *number < MOST)
    }

    pub(crate) fn position(&mut self) -> Option<Position> {
        let position = self.take::<{ Position::ENCODED }>().map(|bytes| Position::decode(&bytes))?;
        (position.offset.0 < MOST && position.epoch.0 < MOST).then_some(position)
    }

    /// A record, which carries its own bounded length.
    pub(crate) fn record(&mut self) -> Option<Record> {
        let (record, rest) = Record::decode(self.0).ok()?;
        if record.id.offset.0 >= MOST || record.id.epoch.0 >= MOST {
            return None;
        }
        self.0 = rest;
        Some(record)
    }

    /// None: not understood. Some(None): there is no value.
    #[expect(clippy::option_option, reason = "nothing and not understood are two things")]
    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.flag()? { read(self).map(Some) } else { Some(None) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}
