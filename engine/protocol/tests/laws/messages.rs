//! What voters say to each other comes back as it went, has one form, and is understood only as a whole.

use crate::cases;
use baton_protocol::limit::{self, IMAGE_PIECE};
use baton_protocol::pair::message::{Envelope, ImagePiece, Message, Session};
use baton_protocol::pair::{decode_vote, encode_vote};
use baton_protocol::record::{Chain, Epoch, Offset, Position, Record};
use baton_protocol::register::{
    Accepted, Answer, Ballot, EpochRecord, FoundingId, Incarnation, Members, Mode, Question, Refusal, Seat, Vote, Voter,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Rounds, epochs and offsets from here on are not understood.
const MOST: u64 = 1 << 62;

fn seat() -> impl Strategy<Value = Seat> {
    prop_oneof![Just(Seat::First), Just(Seat::Second), Just(Seat::Watch)]
}

fn node() -> impl Strategy<Value = Seat> {
    prop_oneof![Just(Seat::First), Just(Seat::Second)]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Alone), Just(Mode::Coupled), Just(Mode::Stopped)]
}

fn position() -> impl Strategy<Value = Position> {
    (0..MOST, 0..MOST, any::<u64>()).prop_map(|(epoch, offset, chain)| Position {
        epoch: Epoch(epoch),
        offset: Offset(offset),
        chain: Chain(chain),
    })
}

prop_compose! {
    fn ballot()(round in 0..MOST, seat in seat()) -> Ballot {
        Ballot { round, seat }
    }
}

prop_compose! {
    fn epoch_record()(
        founding in any::<u64>(),
        epoch in 0..MOST,
        active in node(),
        process in any::<u64>(),
        mode in mode(),
        began in position(),
        members in any::<[u64; 3]>(),
    ) -> EpochRecord {
        let members = Members(members.map(Incarnation));
        EpochRecord { founding: FoundingId(founding), epoch: Epoch(epoch), active, process, mode, began, members }
    }
}

prop_compose! {
    fn accepted()(ballot in ballot(), record in epoch_record()) -> Accepted {
        Accepted { ballot, record }
    }
}

prop_compose! {
    fn session()((active, standby, join) in any::<(u64, u64, u64)>()) -> Session {
        Session { active, standby, join }
    }
}

prop_compose! {
    fn records()(at in position(), epochs in vec(0..3u64, 0..4), payload in vec(any::<u8>(), 0..40)) -> Vec<Record> {
        let mut at = Position { offset: Offset(at.offset.0 >> 1), epoch: Epoch(at.epoch.0 >> 1), ..at };
        let mut records = Vec::new();
        for step in epochs {
            let record = Record::write(at, Epoch(at.epoch.0 + step), payload.as_slice().into()).unwrap();
            at = record.id.after();
            records.push(record);
        }
        records
    }
}

fn epochs() -> impl Strategy<Value = Vec<(Epoch, Offset)>> {
    vec((0..MOST, 0..MOST).prop_map(|(epoch, offset)| (Epoch(epoch), Offset(offset))), 0..5)
}

fn question() -> impl Strategy<Value = Question> {
    prop_oneof![
        (ballot(), option::of(any::<bool>())).prop_map(|(ballot, take_over)| Question::Prepare { ballot, take_over }),
        (ballot(), epoch_record(), any::<bool>()).prop_map(|(ballot, record, founding)| Question::Accept {
            ballot,
            record,
            founding
        }),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        accepted().prop_map(Answer::Promised),
        Just(Answer::Accepted),
        ballot().prop_map(|promised| Answer::Refused(Refusal::Late { promised })),
        Just(Answer::Refused(Refusal::Ignorant)),
        Just(Answer::Refused(Refusal::Founded)),
        Just(Answer::Refused(Refusal::NoMember)),
        Just(Answer::Refused(Refusal::ActiveIsAlive)),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let offset = || (0..MOST).prop_map(Offset);
    let piece = (0..limit::IMAGE / 2, 0..limit::IMAGE / 4, any::<u64>(), vec(any::<u8>(), 0..50)).prop_map(
        |(from, more, checksum, bytes)| {
            (from, ImagePiece { length: from + more + bytes.len() as u64, checksum, bytes })
        },
    );
    prop_oneof![
        question().prop_map(Message::Question),
        (ballot(), answer()).prop_map(|(ballot, answer)| Message::Answer { ballot, answer }),
        (any::<bool>(), option::of(accepted()), option::of((session(), offset())))
            .prop_map(|(ignorant, decided, sent)| Message::Beat { ignorant, decided, sent }),
        (any::<u64>(), any::<u64>(), position(), epochs()).prop_map(|(active, join, end, epochs)| Message::Join {
            active,
            join,
            end,
            epochs
        }),
        (session(), position()).prop_map(|(session, at)| Message::Start { session, at }),
        (session(), position(), records()).prop_map(|(session, at, records)| Message::Records { session, at, records }),
        (session(), offset()).prop_map(|(session, before)| Message::Committed { session, before }),
        (session(), position()).prop_map(|(session, position)| Message::Acknowledged { session, position }),
        (session(), position(), epochs()).prop_map(|(session, at, epochs)| Message::Offer { session, at, epochs }),
        (session(), position(), any::<u64>(), any::<u32>()).prop_map(|(session, at, from, bytes)| Message::Fetch {
            at,
            session,
            from,
            bytes
        }),
        (session(), position(), piece).prop_map(|(session, at, (from, piece))| Message::Piece {
            session,
            at,
            from,
            piece
        }),
        (session(), any::<u64>()).prop_map(|(session, number)| Message::Confirm { session, number }),
        (session(), any::<u64>()).prop_map(|(session, number)| Message::Confirmed { session, number }),
    ]
}

prop_compose! {
    fn envelope()(
        from in seat(),
        (incarnation, run, founding) in any::<(u64, u64, u64)>(),
        message in message(),
    ) -> Envelope {
        Envelope { from, incarnation: Incarnation(incarnation), run, founding: FoundingId(founding), message }
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_message_comes_back(envelope in envelope()) {
        let bytes = envelope.encode();
        prop_assert_eq!(Envelope::decode(&bytes), Some(envelope));
    }

    /// A part of a message, or one with another byte, is not understood, or is just that message: a shorter list, another
    /// number. Nothing has two forms.
    #[test]
    fn a_damaged_message_has_one_form(
        envelope in envelope(),
        length in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        more in vec(any::<u8>(), 0..3),
    ) {
        let bytes = envelope.encode();
        let cut = &bytes[..length.index(bytes.len())];
        let mut other = bytes.clone();
        other[at.index(bytes.len())] = byte;
        other.extend(more);
        for damaged in [cut, &other] {
            if let Some(understood) = Envelope::decode(damaged) {
                prop_assert_eq!(understood.encode(), damaged);
            }
        }
    }

    #[test]
    fn rubbish_is_not_misread(bytes in vec(any::<u8>(), 0..200), kind in 0..16u8) {
        // Behind a well-formed beginning, so that it gets that far.
        let mut formed = vec![1];
        formed.extend([7; 24]);
        formed.push(kind);
        formed.extend(&bytes);
        for bytes in [&bytes, &formed] {
            if let Some(understood) = Envelope::decode(bytes) {
                prop_assert_eq!(&understood.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_vote_comes_back(
        seat in seat(),
        incarnation in any::<u64>(),
        promised in ballot(),
        accepted in option::of(accepted()),
        length in any::<prop::sample::Index>(),
    ) {
        let voter = Voter::new(seat, Incarnation(incarnation), Vote { promised, accepted });
        let bytes = encode_vote(&voter);
        prop_assert_eq!(decode_vote(seat, &bytes), Some(voter));
        prop_assert_eq!(decode_vote(seat, &bytes[..length.index(bytes.len())]), None);
    }
}

fn said(message: Message) -> Envelope {
    Envelope { from: Seat::Second, incarnation: Incarnation(2), run: 3, founding: FoundingId(4), message }
}

fn record() -> EpochRecord {
    let began = Position { epoch: Epoch(5), offset: Offset(6), chain: Chain(7) };
    let members = Members([Incarnation(8), Incarnation(9), Incarnation(10)]);
    EpochRecord {
        founding: FoundingId(4),
        epoch: Epoch(11),
        active: Seat::First,
        process: 12,
        mode: Mode::Coupled,
        began,
        members,
    }
}

#[test]
fn lists_and_pieces_have_bounds() {
    let join = |count: u64| {
        let epochs = (0..count).map(|epoch| (Epoch(epoch), Offset(epoch))).collect();
        said(Message::Join { active: 1, join: 1, end: Position::ORIGIN, epochs }).encode()
    };
    assert!(Envelope::decode(&join(256)).is_some());
    assert_eq!(Envelope::decode(&join(257)), None, "more epochs than are ever told");
    let piece = |bytes: usize| {
        let piece = ImagePiece { length: limit::IMAGE, checksum: 1, bytes: vec![0; bytes] };
        said(Message::Piece { session: Session::default(), at: Position::ORIGIN, from: 0, piece }).encode()
    };
    assert!(Envelope::decode(&piece(IMAGE_PIECE)).is_some());
    assert_eq!(Envelope::decode(&piece(IMAGE_PIECE + 1)), None, "a longer piece than is ever sent");
}

/// Numbers to which something is added must not come near their end, and the watch is never active.
#[test]
fn nonsense_is_not_understood() {
    let decided = |ballot, record| {
        said(Message::Beat { ignorant: false, decided: Some(Accepted { ballot, record }), sent: None }).encode()
    };
    let ballot = Ballot { round: 1, seat: Seat::First };
    assert!(Envelope::decode(&decided(ballot, record())).is_some());
    for (ballot, record) in [
        (Ballot { round: MOST, ..ballot }, record()),
        (ballot, EpochRecord { epoch: Epoch(MOST), ..record() }),
        (ballot, EpochRecord { active: Seat::Watch, ..record() }),
    ] {
        assert_eq!(Envelope::decode(&decided(ballot, record)), None, "{ballot:?} {record:?}");
    }
    let beat = said(Message::Beat { ignorant: false, decided: None, sent: None }).encode();
    let mut other = beat.clone();
    other[0] = 3;
    assert_eq!(Envelope::decode(&other), None, "there is no fourth seat");
    other.clone_from(&beat);
    other[25] = 13;
    assert_eq!(Envelope::decode(&other), None, "nor a message of this kind");
    other.clone_from(&beat);
    other[26] = 2;
    assert_eq!(Envelope::decode(&other), None, "nor is anything both true and false");
}

/// The bytes on the wire and in the cell of a vote. Who changes them breaks the nodes of other versions.
#[test]
fn golden_bytes() {
    let (ballot, session) = (Ballot { round: 13, seat: Seat::Watch }, Session { active: 14, standby: 15, join: 16 });
    let at = Position { epoch: Epoch(17), offset: Offset(18), chain: Chain(19) };
    let accepted = Accepted { ballot, record: record() };
    let records = vec![Record::write(at, Epoch(20), [21, 22].into()).unwrap()];
    let epochs = vec![(Epoch(23), Offset(24))];
    let piece = ImagePiece { length: 250, checksum: 26, bytes: vec![27, 28] };
    let messages = [
        Message::Question(Question::Prepare { ballot, take_over: Some(true) }),
        Message::Question(Question::Accept { ballot, record: record(), founding: true }),
        Message::Answer { ballot, answer: Answer::Promised(accepted) },
        Message::Answer { ballot, answer: Answer::Accepted },
        Message::Answer { ballot, answer: Answer::Refused(Refusal::Late { promised: ballot }) },
        Message::Answer { ballot, answer: Answer::Refused(Refusal::ActiveIsAlive) },
        Message::Beat { ignorant: true, decided: Some(accepted), sent: Some((session, Offset(29))) },
        Message::Join { active: 30, join: 31, end: at, epochs: epochs.clone() },
        Message::Start { session, at },
        Message::Records { session, at, records },
        Message::Committed { session, before: Offset(32) },
        Message::Acknowledged { session, position: at },
        Message::Offer { session, at, epochs },
        Message::Fetch { session, at, from: 33, bytes: 34 },
        Message::Piece { session, at, from: 35, piece },
        Message::Confirm { session, number: 37 },
        Message::Confirmed { session, number: 38 },
    ];
    let mut told: Vec<String> = messages.into_iter().map(|message| hex(&said(message).encode())).collect();
    let vote = Vote { promised: ballot, accepted: Some(accepted) };
    told.push(hex(&encode_vote(&Voter::new(Seat::First, Incarnation(36), vote))));
    assert_eq!(told.join("\n"), include_str!("messages.hex").trim_end());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
