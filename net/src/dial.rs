//! Dialling a node: connect, encrypt, shake hands, each with a deadline of its own.
//!
//! How it failed is a typed value, since the protocols conclude from it: see [`DialError::is_refused`].

use crate::address::Address;
use crate::backoff::Backoff;
use crate::connect::{ConnectError, connect};
use crate::handshake::{self, Agreement, HandshakeError, Introduction};
use crate::link;
use crate::name::NodeId;
use crate::network::{Network, Stream};
use crate::tls::{Identity, Purpose, Security, SessionError, let_go};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Deadlines of dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For resolving and connecting.
    pub connect: Duration,
    /// For encryption.
    pub security: Duration,
    /// For the handshake.
    pub handshake: Duration,
}

impl Default for Deadlines {
    /// A second for each.
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { connect: second, security: second, handshake: second }
    }
}

/// Why a node could not be reached. Told to people with the address in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection cannot be encrypted.
    #[error("{address}: {error}")]
    Security {
        /// Where.
        address: Address,
        /// Why.
        error: SessionError,
    },
    /// One side does not want the other.
    #[error("{address}: {error}")]
    Handshake {
        /// Where.
        address: Address,
        /// Why.
        error: HandshakeError,
    },
}

impl DialError {
    /// Whether the peer's host says that the process is dead. Everything else, silence above all, says nothing about it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_refused())
    }

    /// Whether the connection was there and ended without a word, as when the peer's process has just died. Soon its host may
    /// say more.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        matches!(
            self,
            Self::Security { error: SessionError::Ended(_), .. }
                | Self::Handshake { error: HandshakeError::Ended(_), .. }
        )
    }
}

/// A connection to a node, who has proved who it is.
pub struct Connection {
    /// The bytes that follow the handshake.
    pub stream: Stream,
    /// Who the peer is.
    pub agreement: Agreement,
    /// Its certificate; none without TLS.
    pub identity: Option<Identity>,
    /// From where, or to where it was connected.
    pub address: SocketAddr,
}

impl Connection {
    /// Goes on as a link, in the version that was agreed.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn open(self) -> (link::Sender, link::Receiver<Stream>) {
        let version = self.agreement.version;
        link::open(self.stream, version..=version)
    }
}

/// Dials nodes.
#[derive(Clone, Debug)]
pub struct Dialler {
    /// Over which network.
    pub network: Network,
    /// How connections are secured.
    pub security: Security,
    /// Each step has one.
    pub deadlines: Deadlines,
}

impl Dialler {
    /// With the usual deadlines.
    #[must_use]
    pub fn new(network: Network, security: Security) -> Self {
        Self { network, security, deadlines: Deadlines::default() }
    }

    /// Dials once. The peer must be the node `to`: its certificate must say so, wherever it runs.
    ///
    /// # Errors
    /// When it cannot be reached, or one side does not want the other.
    pub async fn dial(&self, address: &Address, to: &NodeId, me: &Introduction) -> Result<Connection, DialError> {
        let Deadlines { connect: connecting, security, handshake } = self.deadlines;
        let (stream, found) = connect(self.network, address, &self.security, connecting).await?;
        let secured = self
            .security
            .connect(stream, to.to_server_name(), Purpose::Link, security)
            .await
            .map_err(|error| DialError::Security { address: address.clone(), error })?;
        let (mut stream, identity) = (secured.stream, secured.identity);
        let error = match timeout(handshake, handshake::call(&mut stream, me, to, identity.as_ref())).await {
            Ok(Ok(agreement)) => return Ok(Connection { stream, agreement, identity, address: found }),
            Ok(Err(error)) => error,
            Err(_) => HandshakeError::Silent { after: handshake },
        };
        if matches!(error, HandshakeError::Refused(_)) {
            let_go(stream).await;
        }
        Err(match error {
            HandshakeError::Security(error) => DialError::Security { address: address.clone(), error },
            error => DialError::Handshake { address: address.clone(), error },
        })
    }

    /// Dials until it succeeds, waiting in between as `backoff` says. `report` is told each failure and how long will be
    /// waited; `me` is asked before each attempt. Ends by dropping the future.
    pub async fn persist(
        &self,
        address: &Address,
        to: &NodeId,
        me: impl Fn() -> Introduction,
        backoff: &mut Backoff,
        mut report: impl FnMut(&DialError, Duration),
    ) -> Connection {
        loop {
            match self.dial(address, to, &me()).await {
                Ok(connection) => {
                    backoff.succeeded();
                    return connection;
                }
                Err(error) => {
                    let wait = backoff.failed();
                    report(&error, wait);
                    sleep(wait).await;
                }
            }
        }
    }
}
