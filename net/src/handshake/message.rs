//! What the sides of a handshake say.

use crate::name::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// A controller.
    Controller,
    /// A director of an agent.
    Director,
    /// A subagent.
    Subagent,
    /// A cluster watch.
    Watch,
    /// Somebody who commands and reads events: the cockpit, a person's command.
    Client,
}

/// The versions of messages which a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versions {
    /// The first.
    pub oldest: u16,
    /// The last.
    pub newest: u16,
}

impl Versions {
    /// The newest version that both know.
    #[must_use]
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest && newest >= other.oldest).then_some(newest)
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Introduction {
    /// The cluster to which it belongs.
    pub cluster: ClusterId,
    /// Its name, which stands in its certificate.
    pub node: NodeId,
    /// What it is.
    pub role: Role,
    /// The versions of messages which it knows.
    pub versions: Versions,
    /// The epoch that it knows; means something to the protocols only.
    pub epoch: u64,
    /// Names this run of the program. Another one after each start.
    pub run: u64,
}

/// Why a node does not want to talk to another. Told in the words of who refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// Another cluster.
    Cluster {
        /// Of who refuses.
        here: ClusterId,
        /// Of who is refused.
        asked: ClusterId,
    },
    /// Not the node that was wanted.
    Node {
        /// The node which is at this end.
        found: NodeId,
        /// The node which was wanted there.
        wanted: NodeId,
    },
    /// The certificate is not one of the node that it claims to be.
    Certificate {
        /// The node which it claims to be.
        claimed: NodeId,
        /// The names in its certificate.
        named: Vec<String>,
    },
    /// No version is known to both.
    Version {
        /// What who refuses knows.
        here: Versions,
        /// What who is refused knows.
        asked: Versions,
    },
    /// Nodes which are this are not expected here.
    Role {
        /// What who refuses is.
        here: Role,
        /// Who is expected.
        expected: Vec<Role>,
        /// What who is refused is.
        asked: Role,
    },
    /// What was said is not understood.
    NotUnderstood {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster { here, asked } => write!(f, "this is cluster {here}, you belong to cluster {asked}"),
            Self::Node { found, wanted } => write!(f, "here is node {found}, wanted was node {wanted}"),
            Self::Certificate { claimed, named } => {
                let named = if named.is_empty() { "nobody".to_owned() } else { named.join(", ") };
                write!(f, "you say that you are node {claimed}, your certificate is for {}", named.escape_debug())
            }
            Self::Version { here, asked } => write!(
                f,
                "messages of versions {} to {} are understood here, you understand {} to {}",
                here.oldest, here.newest, asked.oldest, asked.newest
            ),
            Self::Role { here, expected, asked } => {
                write!(f, "this is a {here}, which is called by ")?;
                for (n, role) in expected.iter().enumerate() {
                    write!(f, "{}{role}s", if n == 0 { "" } else { " and " })?;
                }
                write!(f, ", you are a {asked}")
            }
            Self::NotUnderstood { reason } => write!(f, "you are not understood: {}", reason.escape_debug()),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Controller => "controller",
            Self::Director => "director",
            Self::Subagent => "subagent",
            Self::Watch => "watch",
            Self::Client => "client",
        })
    }
}

/// The messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Message {
    Call { from: Introduction, to: NodeId },
    Answer { from: Introduction },
    Agreed,
    Refused(Refusal),
}

impl Message {
    /// What to say when another message was expected.
    pub(super) fn unexpected(&self, expected: &str) -> Refusal {
        let found = match self {
            Self::Call { .. } => "a call",
            Self::Answer { .. } => "an answer",
            Self::Agreed => "an agreement",
            Self::Refused(_) => "a refusal",
        };
        Refusal::NotUnderstood { reason: format!("expected was {expected}, but this is {found}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pins the form: other versions of the program read it.
    #[test]
    fn golden_messages() {
        let caller = Introduction {
            cluster: ClusterId::new("test").unwrap(),
            node: NodeId::new("caller").unwrap(),
            role: Role::Controller,
            versions: Versions { oldest: 1, newest: 1 },
            epoch: u64::MAX,
            run: 7,
        };
        let call = Message::Call { from: caller, to: NodeId::new("listener").unwrap() };
        let expected = r#"{"call":{"from":{"cluster":"test","node":"caller","role":"controller","versions":{"oldest":1,"newest":1},"epoch":18446744073709551615,"run":7},"to":"listener"}}"#;
        assert_eq!(serde_json::to_string(&call).unwrap(), expected);
        let later = expected.replace(r#""run":7"#, r#""run":7,"later":[{}]"#);
        assert_eq!(serde_json::from_str::<Message>(&later).unwrap(), call);
        assert_eq!(serde_json::to_string(&Message::Agreed).unwrap(), r#""agreed""#);
    }
}
