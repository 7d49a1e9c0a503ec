//! The seam: streams of bytes over the sockets of the machine, or over simulated ones.
//!
//! Everything above is written once, against [`Stream`] and [`Listener`], and does not know which of the two it uses.
//!
//! Simulated sockets (feature `turmoil`, for tests) differ from real ones in this: what is lost is never sent again, so a
//! stream that was partitioned is dead without saying so; a host that is reached over a partition seems to refuse at
//! once, which is turned into silence here, since a refusal means that the peer is dead. (If the partition begins while the
//! request is under way, it is taken for a refusal still.)

use crate::address::Address;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// A connection: a stream of bytes in both directions.
pub type Stream = Box<dyn ByteStream>;

/// What a [`Stream`] can do.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A connection ends when the peer's host has confirmed nothing for so long, though there was something to confirm. What
/// the nodes agree about silence is much shorter; this is for connections about which nobody has agreed anything.
const UNCONFIRMED: Duration = Duration::from_secs(20);

/// A connection over which nothing has come for so long is probed.
const PROBE_AFTER: Duration = Duration::from_secs(10);

/// So often it is probed.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// So many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where streams come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The TCP sockets of the machine.
    Sockets,
    /// The sockets of a simulated host.
    #[cfg(feature = "turmoil")]
    Simulated,
}

impl Network {
    /// The addresses of a host. Not empty.
    ///
    /// # Errors
    /// When the host is unknown, or nobody can be asked.
    pub async fn resolve(self, address: &Address) -> io::Result<Vec<SocketAddr>> {
        let target = (address.host(), address.port());
        let found: Vec<_> = match self {
            Self::Sockets => lookup_host(target).await?.collect(),
            #[cfg(feature = "turmoil")]
            Self::Simulated => turmoil::net::lookup_host(target).await?.collect(),
        };
        if found.is_empty() {
            Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"))
        } else {
            Ok(found)
        }
    }

    /// Connects. Waits as long as the system does: to be used with a deadline.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] when the host says that nobody listens; others as they come.
    pub async fn connect(self, to: SocketAddr) -> io::Result<Stream> {
        match self {
            Self::Sockets => {
                let stream = TcpStream::connect(to).await?;
                prepare(&stream)?;
                Ok(Box::new(stream))
            }
            #[cfg(feature = "turmoil")]
            Self::Simulated => {
                let asked = tokio::time::Instant::now();
                match turmoil::net::TcpStream::connect(to).await {
                    Ok(stream) => Ok(Box::new(stream)),
                    // An answer takes time. This is none.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && asked.elapsed().is_zero() => {
                        std::future::pending().await
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Listens.
    ///
    /// # Errors
    /// When the address is not one of this host, is in use, or may not be used.
    pub async fn listen(self, at: SocketAddr) -> io::Result<Listener> {
        match self {
            Self::Sockets => {
                let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                // A node that restarts does not wait for the connections of its predecessor.
                socket.set_reuseaddr(true)?;
                socket.bind(at)?;
                Ok(Listener::Sockets(socket.listen(BACKLOG)?))
            }
            #[cfg(feature = "turmoil")]
            Self::Simulated => Ok(Listener::Simulated(turmoil::net::TcpListener::bind(at).await?)),
        }
    }

    /// Whether what is sent to this address stays within the machine.
    #[must_use]
    pub fn is_private(self, ip: IpAddr) -> bool {
        match self {
            Self::Sockets => ip.to_canonical().is_loopback(),
            #[cfg(feature = "turmoil")]
            Self::Simulated => true,
        }
    }
}

/// Accepts streams.
#[non_exhaustive]
pub enum Listener {
    /// Of the machine.
    Sockets(TcpListener),
    /// Of a simulated host.
    #[cfg(feature = "turmoil")]
    Simulated(turmoil::net::TcpListener),
}

impl Listener {
    /// The next stream and from where it comes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the system lacks something: file descriptors, memory. It may have them later.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Sockets(listener) => {
                let (stream, from) = listener.accept().await?;
                // A connection that has ended already is no failure of the listener.
                let _ = prepare(&stream);
                Ok((Box::new(stream), from))
            }
            #[cfg(feature = "turmoil")]
            Self::Simulated(listener) => {
                let (stream, from) = listener.accept().await?;
                Ok((Box::new(stream), from))
            }
        }
    }

    /// The socket once more. None if it is simulated.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn socket(&self) -> io::Result<Option<OwnedFd>> {
        match self {
            Self::Sockets(listener) => listener.as_fd().try_clone_to_owned().map(Some),
            #[cfg(feature = "turmoil")]
            Self::Simulated(_) => Ok(None),
        }
    }

    /// Where it listens, with the port that was chosen if none was given.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Sockets(listener) => listener.local_addr(),
            #[cfg(feature = "turmoil")]
            Self::Simulated(listener) => listener.local_addr(),
        }
    }
}

/// Small messages leave at once, and a host that has vanished is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;

    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
    sockopt::set_tcp_user_timeout(stream, UNCONFIRMED.as_millis() as u32)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[tokio::test]
    async fn bytes_travel_and_an_end_is_seen() {
        let listener = Network::Sockets.listen(loopback()).await.unwrap();
        let address = listener.local_address().unwrap();
        let mut client = Network::Sockets.connect(address).await.unwrap();
        let (mut server, from) = listener.accept().await.unwrap();
        assert!(from.ip().is_loopback());
        client.write_all(b"hello").await.unwrap();
        drop(client);
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
    }

    #[tokio::test]
    async fn a_port_without_listener_refuses() {
        let listener = Network::Sockets.listen(loopback()).await.unwrap();
        let address = listener.local_address().unwrap();
        drop(listener);
        let error = Network::Sockets.connect(address).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn an_address_can_be_used_again_at_once() {
        let listener = Network::Sockets.listen(loopback()).await.unwrap();
        let address = listener.local_address().unwrap();
        let client = Network::Sockets.connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        // The side which ends first keeps the address busy.
        drop(server);
        drop(listener);
        drop(client);
        Network::Sockets.listen(address).await.unwrap();
    }

    #[test]
    fn only_loopback_is_private() {
        for (ip, expected) in [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)] {
            assert_eq!(Network::Sockets.is_private(ip.parse().unwrap()), expected, "{ip}");
        }
        assert!(!Network::Sockets.is_private("0.0.0.0".parse().unwrap()));
    }
}
