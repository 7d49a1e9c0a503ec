//! Connecting to an address: resolve, then try each of the host's addresses within one deadline.
//!
//! What matters is how it fails. A refusal comes from the peer's host and says that no process listens: since a node listens
//! from its start to its end, *its process is dead*, and the protocols use that as a proof. So a refusal is reported
//! only if every address of the host refused; one that is silent may be where the node listens. (What refuses in
//! the name of a host, as some firewalls and forwarders do, must not stand between nodes: DROP, not REJECT.)

use crate::address::Address;
use crate::network::{Network, Stream};
use crate::tls::Security;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The host says that nobody listens there: the peer's process is dead.
    #[error("{address} refuses the connection: no process listens there")]
    Refused {
        /// Where.
        address: Address,
    },
    /// Nothing was heard within the deadline. The peer may be alive.
    #[error("{address} does not answer within {after:?}")]
    Silent {
        /// Where.
        address: Address,
        /// The deadline.
        after: Duration,
    },
    /// There is no way to the host at this time. The peer may be alive.
    #[error("there is no route to {address}: {reason}")]
    NoRoute {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
    /// The host's name means nothing, or nobody can be asked.
    #[error("the host of {address} cannot be resolved: {reason}")]
    Unresolved {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
    /// It would be another machine, and nothing is encrypted.
    #[error("{address} is {found}, which is not on this machine: it is not connected without TLS")]
    PlainText {
        /// Where.
        address: Address,
        /// The address that was found.
        found: SocketAddr,
    },
    /// Something else.
    #[error("{address} cannot be connected: {reason}")]
    Failed {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
}

impl ConnectError {
    /// Whether the peer's host says that its process is dead.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// Connects within the deadline. If nothing is encrypted, then to this machine only.
///
/// # Errors
/// When there is no connection.
pub async fn connect(
    network: Network,
    address: &Address,
    security: &Security,
    deadline: Duration,
) -> Result<(Stream, SocketAddr), ConnectError> {
    let until = Instant::now() + deadline;
    let silent = || ConnectError::Silent { address: address.clone(), after: deadline };
    let found = match timeout_at(until, network.resolve(address)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            return Err(ConnectError::Unresolved { address: address.clone(), reason: error.to_string() });
        }
        Err(_) => return Err(silent()),
    };
    let mut failure = None;
    let count = found.len();
    for (n, found) in found.into_iter().enumerate() {
        if !security.is_permitted(network, found.ip()) {
            return Err(ConnectError::PlainText { address: address.clone(), found });
        }
        // An address that is silent leaves the others their share.
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / u32::try_from(count - n).unwrap_or(u32::MAX);
        let error = match timeout_at(now + share, network.connect(found)).await {
            Ok(Ok(stream)) => return Ok((stream, found)),
            Ok(Err(error)) => explain(address, &error, deadline),
            Err(_) => silent(),
        };
        if failure.as_ref().is_none_or(ConnectError::is_refused) {
            failure = Some(error);
        }
    }
    Err(failure.unwrap_or_else(silent))
}

fn explain(address: &Address, error: &io::Error, deadline: Duration) -> ConnectError {
    let address = address.clone();
    match error.kind() {
        ErrorKind::ConnectionRefused => ConnectError::Refused { address },
        ErrorKind::TimedOut => ConnectError::Silent { address, after: deadline },
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            ConnectError::NoRoute { address, reason: error.to_string() }
        }
        _ => ConnectError::Failed { address, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(300);

    async fn fail(address: &str) -> ConnectError {
        let address = address.parse().unwrap();
        connect(Network::Sockets, &address, &Security::Plain, DEADLINE).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_other_failures() {
        let listener = Network::Sockets.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let port = listener.local_address().unwrap().port();
        drop(listener);
        assert!(fail(&format!("127.0.0.1:{port}")).await.is_refused());
        assert!(matches!(
            fail("no-such-host.invalid:1").await,
            ConnectError::Unresolved { .. } | ConnectError::Silent { .. }
        ));
    }

    #[tokio::test]
    async fn plain_text_stays_on_the_machine() {
        let error = fail("192.0.2.1:4444").await;
        assert!(matches!(error, ConnectError::PlainText { .. }), "{error}");
        assert!(error.to_string().contains("without TLS"), "{error}");
    }
}
