//! The names of clusters and nodes. A node's name stands in its certificate, so it has the form of a DNS name.

use rustls::pki_types::{DnsName, ServerName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a cluster: the nodes that belong together. Nodes of different clusters do not talk to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ClusterId(String);

/// Names a node: one program that may run once at a time. Has the form of a DNS name, but does not have to be one: it is
/// looked for in certificates, not in the DNS. Case does not matter, and is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct NodeId(String);

/// A text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no name of a cluster.
    #[error(
        "\"{}\" cannot be the name of a cluster: expected are 1 to 63 letters, digits, '-', '_' and '.'", .0.escape_debug()
    )]
    Cluster(String),
    /// It is no name of a node.
    #[error(
        "\"{}\" cannot be the name of a node: it must have the form of a DNS name, up to 253 letters, digits, '-', '_' and '.', \
         with something else than digits after the last '.'", .0.escape_debug()
    )]
    Node(String),
}

impl ClusterId {
    /// From 1 to 63 letters, digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let is_fitting = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=63).contains(&name.len()) && name.chars().all(is_fitting) {
            Ok(Self(name))
        } else {
            Err(NameError::Cluster(name))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NodeId {
    /// From a text in the form of a DNS name.
    ///
    /// # Errors
    /// When it has another form.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        match DnsName::try_from(name.as_str()) {
            Ok(dns) if !name.ends_with('.') => Ok(Self(dns.to_lowercase_owned().as_ref().to_owned())),
            _ => Err(NameError::Node(name)),
        }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as certificates have it.
    pub(crate) fn to_server_name(&self) -> ServerName<'static> {
        #[expect(clippy::expect_used, reason = "checked when it was made")]
        ServerName::try_from(self.0.clone()).expect("a DNS name")
    }
}

impl TryFrom<String> for ClusterId {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl TryFrom<String> for NodeId {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_nodes_fit_into_certificates() {
        for name in ["controller", "agent_1", "a.b-c.d2", "Subagent-A"] {
            assert_eq!(NodeId::new(name).unwrap().as_str(), name.to_lowercase());
            NodeId::new(name).unwrap().to_server_name();
        }
        for name in ["", "1.2", "a b", "ä", "*.a", "a..b", ".", "a.", &"a".repeat(64)] {
            assert!(NodeId::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_of_clusters_are_short_and_plain() {
        assert_eq!(ClusterId::new("Main.1").unwrap().to_string(), "Main.1");
        for name in ["", "a b", "a\n", &"a".repeat(64)] {
            assert!(ClusterId::new(name).is_err(), "{name}");
        }
    }
}
