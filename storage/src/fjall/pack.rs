//! What stands in the database, byte by byte.
//!
//! | keyspace | key | value |
//! |---|---|---|
//! | `segment-OFFSET` | offset of the first record, big endian | a pack: time of writing in milliseconds since 1970 (u64, little endian), then encoded records |
//! | `cells-INSTANCE` | name | checksum (u64, over name and rest), how many times cells were set before (u64), value |
//!
//! A pack has many records because the database costs more per key than per byte. Records need no further checksum: the
//! chain covers them.

use ::fjall::{Keyspace, UserKey};
use baton_protocol::checksum::Checksum;
use baton_protocol::record::Record;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A pack is closed when it is longer than this, in bytes.
pub(super) const PACK: usize = 256 << 10;

const TIME: usize = 8;
const SUM: usize = 8;

/// Name of the keyspace of a segment whose first record has this offset.
pub(super) fn segment_name(first: u64) -> String {
    format!("segment-{first:020}")
}

/// Inverse of [`segment_name`].
pub(super) fn segment_first(name: &str) -> Option<u64> {
    name.strip_prefix("segment-")?.parse().ok()
}

/// Name of the keyspace of the cells of this instance of a journal.
pub(super) fn cells_name(instance: u128) -> String {
    format!("cells-{instance:032x}")
}

/// A pack under construction.
#[derive(Debug)]
pub(super) struct Pack {
    /// Offset of the first record.
    pub(super) first: u64,
    pub(super) bytes: Vec<u8>,
}

impl Pack {
    /// An empty pack, written at `time`.
    pub(super) fn new(first: u64, time: SystemTime) -> Self {
        Self::within(Vec::new(), first, time)
    }

    /// The same in a buffer whose content is not needed any more.
    pub(super) fn within(mut bytes: Vec<u8>, first: u64, time: SystemTime) -> Self {
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64;
        bytes.clear();
        bytes.extend_from_slice(&millis.to_le_bytes());
        Self { first, bytes }
    }
}

/// The records of a pack, one by one; the second value is the number of bytes that are not readable.
pub(super) fn records(pack: &[u8]) -> impl Iterator<Item = Result<Record, (String, u64)>> {
    let mut rest = pack.get(TIME..).unwrap_or_default();
    let mut short = pack.len() < TIME;
    std::iter::from_fn(move || {
        if std::mem::take(&mut short) {
            return Some(Err(("a group of records without head".to_owned(), 0)));
        }
        if rest.is_empty() {
            return None;
        }
        match Record::decode(rest) {
            Ok((record, after)) => {
                rest = after;
                Some(Ok(record))
            }
            Err(error) => Some(Err((error.to_string(), std::mem::take(&mut rest).len() as u64))),
        }
    })
}

/// The key of the pack that has the record at this offset, or of where it would be.
pub(super) fn start(segment: &Keyspace, offset: u64) -> UserKey {
    let before = segment.range(..=offset.to_be_bytes()).next_back().and_then(|entry| entry.key().ok());
    before.unwrap_or_else(|| offset.to_be_bytes().into())
}

/// When a pack was written.
pub(super) fn time(pack: &[u8]) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(*pack.first_chunk()?)))
}

/// A value with a checksum over it and its key.
pub(super) fn sealed(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SUM + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.extend_from_slice(&[0; SUM]);
    for part in parts {
        bytes.extend_from_slice(part);
    }
    let sum = sum(key, &bytes[SUM..]);
    bytes[..SUM].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Inverse of [`sealed`]; none if the checksum does not fit.
pub(super) fn unsealed<'a>(key: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (found, rest) = bytes.split_first_chunk()?;
    (u64::from_le_bytes(*found) == sum(key, rest)).then_some(rest)
}

fn sum(key: &[u8], rest: &[u8]) -> u64 {
    let mut checksum = Checksum::new(key.len() as u64);
    checksum.update(key);
    checksum.update(rest);
    checksum.finish()
}

/// The value of a cell, and how many times cells were set before.
pub(super) fn cell<'a>(name: &[u8], bytes: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (version, value) = unsealed(name, bytes)?.split_first_chunk()?;
    Some((u64::from_le_bytes(*version), value))
}
