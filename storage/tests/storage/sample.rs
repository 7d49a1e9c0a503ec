//! Records for the tests: those at one offset of one epoch are always the same, so that a test can tell what it should
//! find without remembering it.

use baton_protocol::record::{Epoch, Position, Record};

/// The payload of the record at an offset: of lengths from 0 to 999, not compressible.
pub(crate) fn payload(offset: u64) -> Vec<u8> {
    let mut state = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = state % 1000;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

/// So many records from a position on, and the position after them.
pub(crate) fn records(mut end: Position, epoch: u64, count: u64) -> (Vec<Record>, Position) {
    let records = (0..count)
        .map(|_| {
            let record = Record::write(end, Epoch(epoch), payload(end.offset.0).into()).unwrap();
            end = record.id.after();
            record
        })
        .collect();
    (records, end)
}

/// The first `count` records of a journal in epoch 1, and their end.
pub(crate) fn journal(count: u64) -> (Vec<Record>, Position) {
    records(Position::ORIGIN, 1, count)
}

/// A folder for one test, in memory where that is to be had: what the tests do to processes and files needs no disk, and
/// a busy disk takes minutes for their syncs.
#[cfg(feature = "fjall")]
pub(crate) fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
