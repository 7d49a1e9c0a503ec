//! What fuzzers call. Each function takes any bytes and panics when something does not hold that must hold for all bytes.
//!
//! They stand here and not in `fuzz/`, so that the stable toolchain can play what fuzzers have found, see `fuzz/corpus/`.

mod pair;

use baton_machine::codec::{MESSAGE_VERSION, MESSAGE_VERSIONS, Transaction, decode_message, encode_message};
use baton_machine::message::{FromAgent, FromSubagent, Message, ToAgent, ToSubagent};
use baton_protocol::frame;
use baton_protocol::record::Record;
use baton_workflow::document::{Dialect, Format, Scripts, Source, read};
use baton_workflow::expression::Expression;
use baton_workflow::expression::board::BoardExpression;
use baton_workflow::expression::command_line::CommandLine;
use baton_workflow::expression::function::ExprFunction;
use baton_workflow::expression::scope::EmptyScope;
use baton_workflow::json::{from_text, to_text};
use baton_workflow::model::item::Item;
pub use pair::pair;
use std::fmt::Debug;

/// What a fuzzer calls with bytes of its own; panics on what must not happen.
pub type Target = fn(&[u8]);

/// The targets by name: those of `fuzz/fuzz_targets/`, and of the folders in `fuzz/corpus/`, but for the handshake, which the
/// network crate has.
pub const TARGETS: [(&str, Target); 5] =
    [("document", document), ("expression", expression), ("record", record), ("commands", commands), ("pair", pair)];

/// A document in any format and dialect: the first byte says which. Items which are read can be written and read again.
///
/// # Panics
/// When they cannot, or are others then.
pub fn document(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let format = [None, Some(Format::Json), Some(Format::Yaml)][usize::from(choice & 3) % 3];
    let dialect = [None, Some(Dialect::Controller), Some(Dialect::Inventory)][usize::from((choice >> 2) & 3) % 3];
    let source = Source { name: "fuzz", text: &text, format, dialect, scripts: Scripts::new() };
    for item in read(&source).into_items().unwrap_or_default() {
        let written = to_text(&item);
        match from_text::<Item>(&written) {
            Ok(again) => assert_eq!(to_text(&again), written, "an item stays the same"),
            Err(problem) => panic!("{problem}: an item which was written can be read: {written}"),
        }
    }
}

/// Text of the expression language. What is parsed can be printed and parsed again, and means the same.
///
/// # Panics
/// When it cannot, or means something else then.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(expression) = Expression::parse(text) {
        let printed = expression.to_string();
        match Expression::parse(&printed) {
            Ok(again) => {
                assert_eq!(again.to_string(), printed, "printing is stable: {text}");
                assert_eq!(again.eval(&EmptyScope), expression.eval(&EmptyScope), "the meaning stays: {text}");
            }
            Err(problem) => panic!("{problem}: what is printed can be parsed: {printed}"),
        }
    }
    let printed = [
        ExprFunction::parse(text)
            .map(|function| (function.to_string(), ExprFunction::parse(&function.to_string()).is_ok())),
        BoardExpression::parse(text)
            .map(|board| (board.to_string(), BoardExpression::parse(&board.to_string()).is_ok())),
        CommandLine::parse(text).map(|line| (line.to_string(), CommandLine::parse(&line.to_string()).is_ok())),
    ];
    for (printed, is_parsed) in printed.into_iter().flatten() {
        assert!(is_parsed, "what is printed can be parsed: {printed}");
    }
}

/// Bytes of a journal or of a link: records, transactions, frames and messages. What is read can be written and read again.
///
/// # Panics
/// When it cannot, or is something else then.
pub fn record(data: &[u8]) {
    if let Ok((record, rest)) = Record::decode(data) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(bytes, data[..data.len() - rest.len()], "a record has one form");
        transaction(&record.payload);
    }
    transaction(data);
    let _ = frame::decode(data, MESSAGE_VERSIONS);
    message::<ToAgent>(data);
    message::<FromAgent>(data);
    message::<ToSubagent>(data);
    message::<FromSubagent>(data);
}

/// The bytes as the payload of a frame: fuzzers do not find checksums.
fn message<M: Message + PartialEq + Debug>(payload: &[u8]) {
    let mut bytes = Vec::new();
    if frame::encode(MESSAGE_VERSION, M::KIND, payload, &mut bytes).is_err() {
        return;
    }
    let Ok(frame) = frame::decode(&bytes, MESSAGE_VERSIONS) else { panic!("a frame which was written can be read") };
    if let Ok(message) = decode_message::<M>(&frame) {
        let again = encode_message(&message)
            .map_err(|error| error.to_string())
            .and_then(|bytes| frame::decode(&bytes, MESSAGE_VERSIONS).map_err(|error| error.to_string()))
            .and_then(|frame| decode_message::<M>(&frame).map_err(|error| error.to_string()));
        assert_eq!(again, Ok(message), "a message stays the same");
    }
}

fn transaction(data: &[u8]) {
    if let Ok(transaction) = Transaction::decode(data) {
        let again = Transaction::decode(&transaction.encode());
        assert_eq!(again, Ok(transaction), "a transaction stays the same");
    }
}

/// A run of an installation, see [`laws`](crate::laws).
///
/// # Panics
/// When a law of the engine is broken.
pub fn commands(data: &[u8]) {
    crate::laws::hold(data);
}
