//! The handshake: the first exchange over a new connection, before any message of a protocol.
//!
//! Who dials says who it is and whom it wants; who listens checks that and says who it is; who dials checks that and agrees. Either may
//! refuse, and says why, with both values, so that whoever reads it in a log knows what to change where.
//!
//! | dialler | | listener |
//! |---|---|---|
//! | `Call { from, to }` | → | |
//! | | ← | `Answer { from }` or `Refused` |
//! | `Agreed` or `Refused` | → | |
//!
//! Both sides then speak the newest version that both know. The name that a side claims must stand in its certificate.
//!
//! Each message is a [frame] with at most [`LONGEST`] bytes of JSON: this one exchange must be
//! understood between all versions to come, so members may be added, and unknown ones are ignored. Not one byte more
//! than the message is read, so that what follows belongs to the link.
//!
//! Nothing here has a deadline of its own: the [dialler](crate::dial) and the [acceptor](crate::accept) have.

#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod message;

pub use message::{Introduction, Refusal, Role, Versions};

use crate::name::NodeId;
use crate::tls::{Identity, SessionError};
use baton_protocol::frame::{self, Decoder, FrameError};
use message::Message;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest message of a handshake, in bytes.
pub const LONGEST: usize = 4096;

/// Longest reason that is given for not understanding, in characters.
const LONGEST_REASON: usize = 200;

/// So many names of a certificate are told: a refusal has to be short enough.
const NAMES: usize = 10;

/// The version of the frames, which never changes.
const VERSION: u16 = 1;

/// The kind of the frames: no other message has it.
const KIND: u16 = u16::MAX;

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// We refuse the peer.
    #[error("the peer is refused: {0}")]
    Refused(Refusal),
    /// The peer refuses us.
    #[error("the peer refuses: {0}")]
    RefusedByPeer(Refusal),
    /// The peer encrypts, we do not.
    #[error("the peer speaks TLS, but here no TLS is configured for it")]
    SpeaksTls,
    /// The peer is something else.
    #[error("the peer is no node of Baton: it begins with \"{}\"", .found.escape_ascii())]
    NotANode {
        /// The first bytes from it, 4 at most.
        found: Vec<u8>,
    },
    /// A frame is damaged, too long, or of an unknown form.
    #[error("what the peer says is no handshake: {0}")]
    NotUnderstood(String),
    /// The peer's side of the encryption does not want us.
    #[error("{0}")]
    Security(SessionError),
    /// The peer ended the connection, or it broke.
    #[error("the connection ended during the handshake: {0}")]
    Ended(String),
    /// The peer did not say enough within the deadline.
    #[error("the peer did not complete the handshake within {after:?}")]
    Silent {
        /// The deadline.
        after: Duration,
    },
}

/// Both sides know each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The peer.
    pub peer: Introduction,
    /// The version of the messages from now on.
    pub version: u16,
}

/// The side that dialled, and wants `to`. `identity` is what the peer's certificate says, if there is encryption.
///
/// # Errors
/// When one refuses the other, or the peer is no node.
pub async fn call<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    me: &Introduction,
    to: &NodeId,
    identity: Option<&Identity>,
) -> Result<Agreement, HandshakeError> {
    let sent = send(stream, &Message::Call { from: me.clone(), to: to.clone() }).await;
    // A peer which ends the connection may have said why.
    let answer = match (sent, receive(stream).await) {
        (Err(error), Err(HandshakeError::Ended(_))) => return Err(broken(&error)),
        (_, answer) => answer?,
    };
    let peer = match answer {
        Message::Answer { from } => from,
        Message::Refused(refusal) => return Err(HandshakeError::RefusedByPeer(refusal)),
        other => return Err(refuse(stream, other.unexpected("an answer")).await),
    };
    let checked = if peer.node == *to {
        check(me, &peer, identity)
    } else {
        Err(Refusal::Node { found: peer.node.clone(), wanted: to.clone() })
    };
    match checked {
        Ok(version) => {
            send(stream, &Message::Agreed).await.map_err(|error| broken(&error))?;
            Ok(Agreement { peer, version })
        }
        Err(refusal) => Err(refuse(stream, refusal).await),
    }
}

/// The side that listens, for nodes which are one of `expected`. `identity` is what the peer's certificate says, if there is encryption.
///
/// # Errors
/// When one refuses the other, or the peer is no node.
pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    me: &Introduction,
    expected: &[Role],
    identity: Option<&Identity>,
) -> Result<Agreement, HandshakeError> {
    let (peer, to) = match receive(stream).await {
        Ok(Message::Call { from, to }) => (from, to),
        Ok(other) => return Err(refuse(stream, other.unexpected("a call")).await),
        Err(error) => {
            let reason = match &error {
                HandshakeError::NotUnderstood(reason) => reason.clone(),
                // It will understand that this is not TLS.
                HandshakeError::SpeaksTls => "no TLS is configured here".to_owned(),
                _ => return Err(error),
            };
            refuse(stream, Refusal::NotUnderstood { reason }).await;
            return Err(error);
        }
    };
    let checked = check(me, &peer, identity).and_then(|version| {
        if to != me.node {
            Err(Refusal::Node { found: me.node.clone(), wanted: to })
        } else if !expected.contains(&peer.role) {
            Err(Refusal::Role { here: me.role, expected: expected.to_vec(), asked: peer.role })
        } else {
            Ok(version)
        }
    });
    let version = match checked {
        Ok(version) => version,
        Err(refusal) => return Err(refuse(stream, refusal).await),
    };
    send(stream, &Message::Answer { from: me.clone() }).await.map_err(|error| broken(&error))?;
    match receive(stream).await? {
        Message::Agreed => Ok(Agreement { peer, version }),
        Message::Refused(refusal) => Err(HandshakeError::RefusedByPeer(refusal)),
        other => Err(refuse(stream, other.unexpected("an agreement")).await),
    }
}

/// What both sides check. The version which is agreed.
fn check(me: &Introduction, peer: &Introduction, identity: Option<&Identity>) -> Result<u16, Refusal> {
    if me.cluster != peer.cluster {
        return Err(Refusal::Cluster { here: me.cluster.clone(), asked: peer.cluster.clone() });
    }
    if let Some(identity) = identity
        && !identity.is_for(peer.node.as_str())
    {
        let named = identity.names().into_iter().take(NAMES).collect();
        return Err(Refusal::Certificate { claimed: peer.node.clone(), named });
    }
    let (here, asked) = (me.versions, peer.versions);
    here.common(asked).ok_or(Refusal::Version { here, asked })
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, refusal: Refusal) -> HandshakeError {
    // Whether the peer hears it is its concern.
    let _ = send(stream, &Message::Refused(refusal.clone())).await;
    HandshakeError::Refused(refusal)
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, message: &Message) -> io::Result<()> {
    let mut bytes = Vec::new();
    let json = serde_json::to_vec(message)?;
    frame::encode(VERSION, KIND, &json, &mut bytes).map_err(io::Error::other)?;
    stream.write_all(&bytes).await?;
    stream.flush().await
}

/// Reads one message, and nothing of what follows.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Message, HandshakeError> {
    let mut decoder = Decoder::new(VERSION..=VERSION, LONGEST);
    let mut buffer = [0; 512];
    let mut start = Vec::new();
    loop {
        let missing = decoder.missing().min(buffer.len());
        let length = match stream.read(&mut buffer[..missing]).await {
            Ok(0) => return Err(HandshakeError::Ended("by the peer".to_owned())),
            Ok(length) => length,
            Err(error) => return Err(broken(&error)),
        };
        let mut bytes = &buffer[..length];
        if start.len() < frame::MAGIC.len() {
            start.extend(bytes.iter().take(frame::MAGIC.len() - start.len()));
            if !frame::MAGIC.starts_with(&start) {
                return Err(stranger(start));
            }
        }
        match decoder.read(&mut bytes) {
            Ok(None) => {}
            Ok(Some(frame)) if frame.kind != KIND => {
                return Err(HandshakeError::NotUnderstood(format!("it is a message of kind {}", frame.kind)));
            }
            Ok(Some(frame)) => {
                return serde_json::from_slice(&frame.payload).map_err(|error| {
                    // It may repeat what the peer said.
                    HandshakeError::NotUnderstood(error.to_string().chars().take(LONGEST_REASON).collect())
                });
            }
            Err(FrameError::NotAFrame { found }) => return Err(stranger(found.to_vec())),
            Err(error) => return Err(HandshakeError::NotUnderstood(error.to_string())),
        }
    }
}

/// Somebody who does not begin as a node does.
fn stranger(found: Vec<u8>) -> HandshakeError {
    /// A handshake of TLS, and an alert, of any version.
    const TLS: [u8; 2] = [0x16, 0x15];
    match found[..] {
        [kind] | [kind, 3, ..] if TLS.contains(&kind) => HandshakeError::SpeaksTls,
        _ => HandshakeError::NotANode { found },
    }
}

fn broken(error: &io::Error) -> HandshakeError {
    match SessionError::explain_later(error) {
        Some(error) => HandshakeError::Security(error),
        None => HandshakeError::Ended(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::ClusterId;
    use tokio::io::{duplex, join};

    fn node(name: &str, role: Role, oldest: u16, newest: u16) -> Introduction {
        Introduction {
            cluster: ClusterId::new("test").unwrap(),
            node: NodeId::new(name).unwrap(),
            role,
            versions: Versions { oldest, newest },
            epoch: u64::MAX,
            run: 7,
        }
    }

    fn caller() -> Introduction {
        node("caller", Role::Controller, 1, 1)
    }

    fn listener() -> Introduction {
        node("listener", Role::Director, 1, 1)
    }

    async fn shake(caller: &Introduction, to: &str, listener: &Introduction) -> [Result<Agreement, HandshakeError>; 2] {
        // Small, so that messages arrive in pieces.
        let (mut a, mut b) = duplex(7);
        let to = NodeId::new(to).unwrap();
        let calling = call(&mut a, caller, &to, None);
        let answering = answer(&mut b, listener, &[Role::Controller], None);
        tokio::join!(calling, answering).into()
    }

    fn refusals(results: [Result<Agreement, HandshakeError>; 2]) -> (Refusal, bool) {
        match results {
            [Err(HandshakeError::RefusedByPeer(theirs)), Err(HandshakeError::Refused(ours))] => {
                assert_eq!(ours, theirs);
                (ours, true)
            }
            [Err(HandshakeError::Refused(ours)), Err(HandshakeError::RefusedByPeer(theirs))] => {
                assert_eq!(ours, theirs);
                (ours, false)
            }
            other => panic!("not refused by one: {other:?}"),
        }
    }

    #[tokio::test]
    async fn nodes_come_to_know_each_other() {
        let [called, answered] = shake(&caller(), "listener", &listener()).await;
        assert_eq!(called, Ok(Agreement { peer: listener(), version: 1 }));
        assert_eq!(answered, Ok(Agreement { peer: caller(), version: 1 }));
    }

    #[tokio::test]
    async fn nothing_of_what_follows_is_read() {
        let (mut a, mut b) = duplex(4096);
        let to = NodeId::new("listener").unwrap();
        let (me, other) = (caller(), listener());
        let calling = async {
            call(&mut a, &me, &to, None).await.unwrap();
            a.write_all(b"first").await.unwrap();
        };
        let answering = async {
            b.write_all(b"").await.unwrap();
            answer(&mut b, &other, &[Role::Controller], None).await.unwrap();
            let mut bytes = [0; 5];
            b.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"first");
        };
        tokio::join!(calling, answering);
    }

    #[tokio::test]
    async fn the_newest_common_version_is_spoken() {
        for (a, b, expected) in [((1, 1), (1, 2), 1), ((1, 2), (2, 3), 2), ((3, 7), (1, 9), 7), ((2, 2), (2, 2), 2)] {
            let caller = node("caller", Role::Controller, a.0, a.1);
            let listener = node("listener", Role::Director, b.0, b.1);
            for result in shake(&caller, "listener", &listener).await {
                assert_eq!(result.unwrap().version, expected);
            }
        }
        let caller = node("caller", Role::Controller, 3, 4);
        let (refusal, _) = refusals(shake(&caller, "listener", &node("listener", Role::Director, 1, 2)).await);
        assert_eq!(refusal.to_string(), "messages of versions 1 to 2 are understood here, you understand 3 to 4");
        // A range which is none fits to nothing.
        assert_eq!(Versions { oldest: 5, newest: 1 }.common(Versions { oldest: 1, newest: 9 }), None);
    }

    #[tokio::test]
    async fn both_values_are_told() {
        let (refusal, by_listener) = refusals(shake(&caller(), "somebody", &listener()).await);
        assert_eq!(
            (refusal.to_string().as_str(), by_listener),
            ("here is node listener, wanted was node somebody", true)
        );

        let mut stranger = caller();
        stranger.cluster = ClusterId::new("other").unwrap();
        let (refusal, _) = refusals(shake(&stranger, "listener", &listener()).await);
        assert_eq!(refusal.to_string(), "this is cluster test, you belong to cluster other");

        let (refusal, _) = refusals(shake(&node("caller", Role::Watch, 1, 1), "listener", &listener()).await);
        assert_eq!(refusal.to_string(), "this is a director, which is called by controllers, you are a watch");
    }

    #[tokio::test]
    async fn a_listener_which_is_another_is_refused_by_the_caller() {
        let (mut a, mut b) = duplex(4096);
        let to = NodeId::new("listener").unwrap();
        let liar = async {
            receive(&mut b).await.unwrap();
            send(&mut b, &Message::Answer { from: node("liar", Role::Director, 1, 1) }).await.unwrap();
            receive(&mut b).await.unwrap()
        };
        let me = caller();
        let (called, heard) = tokio::join!(call(&mut a, &me, &to, None), liar);
        let refusal = Refusal::Node { found: NodeId::new("liar").unwrap(), wanted: to };
        assert_eq!(called, Err(HandshakeError::Refused(refusal.clone())));
        assert_eq!(heard, Message::Refused(refusal));
    }

    async fn hear(bytes: &[u8]) -> HandshakeError {
        answer(&mut join(bytes, Vec::new()), &listener(), &[Role::Controller], None).await.unwrap_err()
    }

    #[tokio::test]
    async fn strangers_are_recognised_by_their_first_bytes() {
        assert_eq!(hear(b"GET / HTTP/1.1\r\n").await, HandshakeError::NotANode { found: b"GET ".to_vec() });
        assert_eq!(hear(b"x").await, HandshakeError::NotANode { found: b"x".to_vec() });
        assert_eq!(hear(&[0x16, 3, 1, 2, 0]).await, HandshakeError::SpeaksTls);
        assert_eq!(hear(&[0x15, 3, 3, 0, 2]).await, HandshakeError::SpeaksTls);
        assert!(matches!(hear(b"").await, HandshakeError::Ended(_)));
        assert!(matches!(hear(b"BAT").await, HandshakeError::Ended(_)));
        assert!(matches!(
            hear(b"BATN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0").await,
            HandshakeError::NotUnderstood(_)
        ));
    }

    #[tokio::test]
    async fn messages_of_other_forms_are_refused() {
        let framed = |kind, payload: &[u8]| {
            let mut bytes = Vec::new();
            frame::encode(VERSION, kind, payload, &mut bytes).unwrap();
            bytes
        };
        for bytes in [
            framed(1, b"{}"),
            framed(KIND, b"{}"),
            framed(KIND, b"\xff"),
            framed(KIND, &[b'['; LONGEST]),
            framed(KIND, &[b' '; LONGEST + 1]),
            framed(KIND, br#"{"call":{"to":"a b"}}"#),
            framed(KIND, format!("{{\"{}\":1}}", "x".repeat(4000)).as_bytes()),
        ] {
            let error = hear(&bytes).await;
            assert!(matches!(error, HandshakeError::NotUnderstood(_)), "{error}");
            assert!(error.to_string().len() < 300, "{error}");
        }
        assert!(matches!(
            hear(&framed(KIND, br#""agreed""#)).await,
            HandshakeError::Refused(Refusal::NotUnderstood { .. })
        ));
    }
}
