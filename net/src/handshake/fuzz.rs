//! What the fuzzer calls (feature `fuzz`). It takes any bytes and panics when something does not hold that must hold for all bytes.
//!
//! It stands here and not in `fuzz/`, so that the stable toolchain can play what fuzzers have found, see `fuzz/corpus/handshake`.

use super::message::Message;
use super::{Agreement, HandshakeError, Introduction, KIND, Role, VERSION, Versions, answer, call, receive};
use crate::name::{ClusterId, NodeId};
use baton_protocol::frame;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncReadExt as _, join};

/// What a peer says that has just connected, or was connected; before it a byte that says in which pieces it arrives. Both sides come to an
/// end with it, to the same one in whatever pieces, and say nothing that the peer could not understand.
///
/// # Panics
/// When they do not.
pub fn handshake(data: &[u8]) {
    let Some((&cut, said)) = data.split_first() else { return };
    check(said, cut);
    // Fuzzers do not find checksums.
    let mut framed = Vec::new();
    if frame::encode(VERSION, KIND, said, &mut framed).is_ok() {
        check(&framed, cut);
    }
    if let Ok(message) = serde_json::from_slice::<Message>(said) {
        let again = serde_json::to_vec(&message).and_then(|json| serde_json::from_slice(&json));
        assert_eq!(again.ok(), Some(message), "a message stays the same");
    }
}

fn check(said: &[u8], cut: u8) {
    for is_caller in [true, false] {
        let whole = hear(is_caller, said, 0);
        let pieces = hear(is_caller, said, cut.into());
        // Who is no node is recognised as early as possible.
        if !(is_stranger(&whole.0) && is_stranger(&pieces.0)) {
            assert_eq!(whole, pieces, "pieces make no difference");
        }
        let mut answered = &whole.1[..];
        while !answered.is_empty() {
            if let Err(error) = at_once(receive(&mut answered)) {
                panic!("{error}: a peer understands what it is told");
            }
        }
    }
}

fn is_stranger(heard: &Result<Agreement, HandshakeError>) -> bool {
    matches!(heard, Err(HandshakeError::NotANode { .. } | HandshakeError::SpeaksTls))
}

/// What one side makes of it, and says.
fn hear(is_caller: bool, said: &[u8], cut: usize) -> (Result<Agreement, HandshakeError>, Vec<u8>) {
    let (first, rest) = said.split_at(cut.min(said.len()));
    let mut stream = join(first.chain(rest), Vec::new());
    let listener = node("listener", Role::Director);
    let heard = if is_caller {
        at_once(call(&mut stream, &node("caller", Role::Controller), &listener.node, None))
    } else {
        at_once(answer(&mut stream, &listener, &[Role::Controller], None))
    };
    (heard, stream.into_inner().1)
}

/// All bytes are there: nothing is waited for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits for something else than bytes"),
    }
}

fn node(name: &str, role: Role) -> Introduction {
    match (ClusterId::new("test"), NodeId::new(name)) {
        (Ok(cluster), Ok(node)) => {
            Introduction { cluster, node, role, versions: Versions { oldest: 1, newest: 2 }, epoch: 1, run: 1 }
        }
        _ => panic!("these are names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_corpus_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/handshake");
        let mut count = 0;
        for entry in fs::read_dir(&corpus).unwrap() {
            handshake(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "{} is empty", corpus.display());
    }
}
