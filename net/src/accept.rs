//! Accepting connections from nodes.
//!
//! Until a connection has proved who it is, it costs little and for a short time only: there are at most
//! [`Limits::strangers`] such connections, each for at most [`Limits::deadline`]; when one more comes, the oldest of them is dropped. So
//! whoever connects and says nothing, or rubbish, or slowly, delays nobody else.

use crate::address::Address;
use crate::dial::Connection;
use crate::handshake::{self, HandshakeError, Introduction, Role};
use crate::network::{Listener, Network, Stream};
use crate::tls::{ClientCertificate, Purpose, Security, SessionError, let_go};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

/// How long nothing is accepted after the system could not: it does not recover at once.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Bounds for connections that have not proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many there are at most.
    pub strangers: usize,
    /// How long encryption and handshake may take together.
    pub deadline: Duration,
}

impl Default for Limits {
    /// 256 connections, 2 s.
    fn default() -> Self {
        Self { strangers: 256, deadline: Duration::from_secs(2) }
    }
}

/// A node cannot listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The host of the address is unknown.
    #[error("the host of {address} cannot be resolved: {reason}")]
    Unresolved {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
    /// The address can be reached from other machines, and nothing would be encrypted.
    #[error(
        "{address} can be reached from other machines: without TLS, only addresses of this machine alone are allowed, \
         as localhost:{}", address.port()
    )]
    PlainText {
        /// Where.
        address: Address,
    },
    /// There is nothing to show to who connects.
    #[error("{address}: TLS is configured without a certificate and key of our own")]
    NoCertificate {
        /// Where.
        address: Address,
    },
    /// The address is in use, is not one of this host, or may not be used.
    #[error("{address} cannot be listened at: {reason}")]
    Failed {
        /// Where.
        address: Address,
        /// What the system says.
        reason: String,
    },
}

/// Listens at the first address that the host has.
pub(crate) async fn listen(network: Network, at: &Address, security: &Security) -> Result<Listener, BindError> {
    let address = || at.clone();
    if let Security::Tls(tls) = security
        && tls.identity().is_none()
    {
        return Err(BindError::NoCertificate { address: address() });
    }
    let found = network
        .resolve(at)
        .await
        .map_err(|error| BindError::Unresolved { address: address(), reason: error.to_string() })?;
    if found.iter().any(|found| !security.is_permitted(network, found.ip())) {
        return Err(BindError::PlainText { address: address() });
    }
    let mut failure = "the host has no address".to_owned();
    for found in found {
        match network.listen(found).await {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error.to_string(),
        }
    }
    Err(BindError::Failed { address: address(), reason: failure })
}

/// What has come.
pub enum Arrival {
    /// A node.
    Node(Box<Connection>),
    /// Somebody who did not become one.
    TurnedAway {
        /// From where.
        from: SocketAddr,
        /// Why.
        why: TurnedAway,
    },
    /// The system cannot accept now: it lacks file descriptors, or memory. It may have them later.
    Failed(io::Error),
}

/// Why somebody did not become a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// The connection cannot be encrypted.
    #[error(transparent)]
    Security(SessionError),
    /// One side does not want the other.
    #[error(transparent)]
    Handshake(HandshakeError),
    /// Too many others came before it had said who it is.
    #[error("too many others came before it had said who it is")]
    Displaced,
}

/// Accepts connections.
pub struct Acceptor {
    listener: Listener,
    greeter: Arc<Greeter>,
    strangers: JoinSet<(SocketAddr, Result<Box<Connection>, TurnedAway>)>,
    /// The strangers in the order in which they came. Some have left already.
    order: VecDeque<(SocketAddr, AbortHandle)>,
    limits: Limits,
}

/// What each stranger meets.
struct Greeter {
    security: Security,
    me: Box<dyn Fn() -> Introduction + Send + Sync>,
    expected: Vec<Role>,
    deadline: Duration,
}

impl Acceptor {
    /// Listens for nodes which are one of `expected`. `me` is asked for each connection.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn bind(
        network: Network,
        at: &Address,
        security: Security,
        me: impl Fn() -> Introduction + Send + Sync + 'static,
        expected: &[Role],
        limits: Limits,
    ) -> Result<Self, BindError> {
        let listener = listen(network, at, &security).await?;
        let greeter = Greeter { security, me: Box::new(me), expected: expected.to_vec(), deadline: limits.deadline };
        Ok(Self { listener, greeter: Arc::new(greeter), strangers: JoinSet::new(), order: VecDeque::new(), limits })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// The listening socket once more, for another process to hold: as long as it does, nobody who connects is refused. None
    /// if it is simulated.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn socket(&self) -> io::Result<Option<OwnedFd>> {
        self.listener.socket()
    }

    /// The next who has come. Nothing is accepted but in here. Dropping the future loses no node.
    pub async fn accept(&mut self) -> Arrival {
        loop {
            tokio::select! {
                biased;
                Some(left) = self.strangers.join_next_with_id() => {
                    let (id, left) = match left {
                        Ok((id, left)) => (id, Some(left)),
                        Err(error) => (error.id(), None),
                    };
                    // Who was displaced is not there any more, and was reported.
                    let position = self.order.iter().position(|(_, handle)| handle.id() == id);
                    if position.and_then(|position| self.order.remove(position)).is_some() {
                        match left {
                            Some((_, Ok(connection))) => return Arrival::Node(connection),
                            Some((from, Err(why))) => return Arrival::TurnedAway { from, why },
                            None => {}
                        }
                    }
                },
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        let displaced = if self.order.len() >= self.limits.strangers { self.order.pop_front() } else { None };
                        let handle = self.strangers.spawn(Arc::clone(&self.greeter).greet(stream, from));
                        self.order.push_back((from, handle));
                        if let Some((from, handle)) = displaced {
                            handle.abort();
                            return Arrival::TurnedAway { from, why: TurnedAway::Displaced };
                        }
                    }
                    Err(error) => {
                        sleep(PAUSE).await;
                        return Arrival::Failed(error);
                    }
                },
            }
        }
    }
}

impl Greeter {
    async fn greet(
        self: Arc<Self>,
        stream: Stream,
        from: SocketAddr,
    ) -> (SocketAddr, Result<Box<Connection>, TurnedAway>) {
        (from, self.try_greet(stream, from).await)
    }

    async fn try_greet(&self, stream: Stream, from: SocketAddr) -> Result<Box<Connection>, TurnedAway> {
        let until = Instant::now() + self.deadline;
        let secured = self
            .security
            .accept(stream, Purpose::Link, ClientCertificate::Required, self.deadline)
            .await
            .map_err(TurnedAway::Security)?;
        let (mut stream, identity) = (secured.stream, secured.identity);
        let me = (self.me)();
        let shaken = timeout_at(until, handshake::answer(&mut stream, &me, &self.expected, identity.as_ref())).await;
        let error = match shaken {
            Ok(Ok(agreement)) => return Ok(Box::new(Connection { stream, agreement, identity, address: from })),
            Ok(Err(error)) => error,
            Err(_) => HandshakeError::Silent { after: self.deadline },
        };
        if !matches!(error, HandshakeError::Ended(_)) {
            let_go(stream).await;
        }
        Err(match error {
            HandshakeError::Security(error) => TurnedAway::Security(error),
            error => TurnedAway::Handshake(error),
        })
    }
}
