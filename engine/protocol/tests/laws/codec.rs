//! Records and frames come back as they went, however they are cut; damage is always found and never believed.

use crate::cases;
use baton_protocol::frame::{Decoder, Frame, FrameError, HEADER, decode, encode};
use baton_protocol::record::{Epoch, Position, Record};
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Arc;

const VERSION: u16 = 5;

fn frames() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    vec((any::<u16>(), vec(any::<u8>(), 0..100)), 0..6)
}

fn stream(frames: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, payload) in frames {
        encode(VERSION, *kind, payload, &mut bytes).unwrap();
    }
    bytes
}

/// Delivers `bytes` in pieces of the given lengths, then the rest at once.
fn read_in_pieces(bytes: &[u8], pieces: &[usize]) -> (Vec<Frame>, Result<Decoder, FrameError>) {
    let mut decoder = Decoder::new(VERSION..=VERSION, 1_000);
    let mut frames = Vec::new();
    let mut rest = bytes;
    for &length in pieces.iter().chain([&usize::MAX]) {
        let (mut piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        loop {
            match decoder.read(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty(), "the decoder leaves nothing behind");
    }
    (frames, Ok(decoder))
}

fn journal() -> impl Strategy<Value = Vec<Record>> {
    vec((0..3_u64, vec(any::<u8>(), 0..60)), 1..8).prop_map(|payloads| {
        let (mut end, mut records) = (Position::ORIGIN, Vec::new());
        for (newer, payload) in payloads {
            let record = Record::write(end, Epoch(end.epoch.0 + newer), Arc::from(payload)).unwrap();
            end = record.id.after();
            records.push(record);
        }
        records
    })
}

/// Reads records until one is refused or does not follow; returns those before.
fn recover(mut bytes: &[u8]) -> Vec<Record> {
    let (mut end, mut records) = (Position::ORIGIN, Vec::new());
    while let Ok((record, rest)) = Record::decode(bytes)
        && let Ok(next) = record.follows(end)
    {
        (end, bytes) = (next, rest);
        records.push(record);
    }
    records
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn frames_survive_any_cutting(frames in frames(), pieces in vec(0..40_usize, 0..30)) {
        let (found, end) = read_in_pieces(&stream(&frames), &pieces);
        prop_assert!(end.unwrap().is_between_frames());
        let expected: Vec<_> =
            frames.into_iter().map(|(kind, payload)| Frame { version: VERSION, kind, payload }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_damaged_stream_yields_a_prefix_and_a_reason(
        frames in frames().prop_filter("something to damage", |frames| !frames.is_empty()),
        pieces in vec(0..40_usize, 0..10),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let mut bytes = stream(&frames);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let (found, end) = read_in_pieces(&bytes, &pieces);
        // The frame that contains the damage, and none after it, is not delivered.
        let mut begin = 0;
        let intact = frames.iter().take_while(|(_, payload)| {
            begin += HEADER + payload.len();
            begin <= at
        });
        let intact: Vec<_> = intact.map(|(kind, payload)| (*kind, payload.clone())).collect();
        prop_assert_eq!(found.into_iter().map(|frame| (frame.kind, frame.payload)).collect::<Vec<_>>(), intact);
        prop_assert!(end.is_err());
    }

    #[test]
    fn a_cut_stream_is_incomplete(payload in vec(any::<u8>(), 0..100), cut in any::<prop::sample::Index>()) {
        let bytes = stream(&[(1, payload)]);
        let have = cut.index(bytes.len());
        let Err(FrameError::Short { missing }) = decode(&bytes[..have], VERSION..=VERSION) else {
            return Err(TestCaseError::fail("a part was taken for a frame"));
        };
        prop_assert!(missing > 0 && have + missing <= bytes.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes, 0..=u16::MAX).is_err());
        let mut framed = b"BATN".to_vec();
        framed.extend_from_slice(&bytes);
        prop_assert!(decode(&framed, 0..=u16::MAX).is_err());
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn records_come_back(records in journal()) {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.encode(&mut bytes));
        prop_assert_eq!(recover(&bytes), records);
    }

    #[test]
    fn damage_to_a_journal_ends_it_there(
        records in journal(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for record in &records {
            record.encode(&mut bytes);
            ends.push(bytes.len());
        }
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let intact = ends.iter().filter(|&&end| end <= at).count();
        prop_assert_eq!(recover(&bytes), &records[..intact]);
    }

    #[test]
    fn positions_come_back(bytes in any::<[u8; 24]>()) {
        prop_assert_eq!(Position::decode(&bytes).encode(), bytes);
    }
}
