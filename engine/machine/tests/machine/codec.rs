//! Bytes that must stay readable, and bytes that must be refused.

use baton_machine::codec::{Assembly, CodecError, Stamped, Transaction, decode_message, encode_message};
use baton_machine::message::{FromAgent, ToAgent, ToSubagent};
use baton_protocol::event_id::EventId;
use baton_protocol::frame;
use baton_protocol::record::{Chain, Epoch, Offset, Record, RecordId};
use baton_workflow::id::{OrderId, SubagentId};
use baton_workflow::model::event::Event;
use baton_workflow::model::order_event::OrderEvent;
use baton_workflow::time::Timestamp;

fn transaction() -> Transaction {
    let order = |number: u64, event: OrderEvent| Stamped {
        event_id: EventId(1_767_225_600_000_000 + number),
        timestamp: Timestamp::from_millis(1_767_225_600_000),
        event: Event::Order(OrderId::new("A"), event),
    };
    let started = OrderEvent::OrderProcessingStarted {
        subagent_id: Some(SubagentId::new("first")),
        subagent_bundle_id: None,
        stick: false,
        end_of_admission_period: None,
    };
    let written = OrderEvent::OrderStdoutWritten { chunk: "hello\n".into() };
    Transaction { events: vec![order(0, OrderEvent::OrderStarted), order(1, started), order(2, written)] }
}

/// What version 1 of the form looks like, for ever.
const GOLDEN_1: &str = include_str!("golden/transaction-1.hex");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_form_of_transactions_is_kept() {
    assert_eq!(hex(&transaction().encode()), GOLDEN_1.trim(), "a new form needs a new version");
    assert_eq!(Transaction::decode(&unhex(GOLDEN_1)), Ok(transaction()));
}

#[test]
fn other_bytes_are_refused() {
    assert_eq!(Transaction::decode(&[]), Err(CodecError::Empty));
    assert!(matches!(Transaction::decode(&[99, 0]), Err(CodecError::Version { found: 99, .. })));
    let mut bytes = transaction().encode();
    bytes.push(0);
    assert!(matches!(Transaction::decode(&bytes), Err(CodecError::Trailing { length: 1, .. })));
    for length in 1..bytes.len() - 1 {
        assert!(Transaction::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    // A length of 2^62 must not take memory.
    let huge = [1, 253, 0, 0, 0, 0, 0, 0, 0, 0x40];
    assert!(matches!(Transaction::decode(&huge), Err(CodecError::Malformed { .. })));
}

#[test]
fn messages_are_read_as_what_they_are_only() {
    let message = ToAgent::Beat { session: 7 };
    let bytes = encode_message(&message).unwrap();
    let read = frame::decode(&bytes, 1..=1).unwrap();
    assert_eq!(decode_message::<ToAgent>(&read), Ok(message));
    assert!(matches!(decode_message::<FromAgent>(&read), Err(CodecError::Kind { .. })));
    assert!(matches!(decode_message::<ToSubagent>(&read), Err(CodecError::Kind { .. })));
}

#[test]
fn a_transaction_in_pieces_is_whole_or_nothing() {
    let record = |offset: u64, epoch: u64, payload: &[u8]| Record {
        id: RecordId { epoch: Epoch(epoch), offset: Offset(offset), chain: Chain::default() },
        payload: payload.into(),
    };
    let pieces = transaction().encode_records(20);
    assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.len() <= 20), "{pieces:?}");
    assert_eq!(transaction().encode_records(1_000), [transaction().encode()]);

    for complete in 0..=pieces.len() {
        let mut assembly = Assembly::default();
        let mut read = Vec::new();
        let first = pieces[..complete].iter().map(|piece| (1, piece.clone()));
        // After a crash, the same in another epoch.
        let second = pieces.iter().map(|piece| (2, piece.clone()));
        for (offset, (epoch, piece)) in first.chain(second).enumerate() {
            let assembled = assembly.add(&record(offset as u64, epoch, &piece)).unwrap();
            read.extend(assembled.map(|assembled| (assembled.first, assembled.transaction)));
        }
        let all = pieces.len();
        let mut expected = vec![(Offset(complete as u64), transaction())];
        if complete == all {
            expected.insert(0, (Offset(0), transaction()));
        }
        assert_eq!(read, expected, "{complete} of {all} pieces");
    }
}
