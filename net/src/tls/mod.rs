//! Encrypted connections. Between nodes both sides show a certificate; for HTTP the caller's may be left out.
//!
//! - TLS 1.3 only, by rustls with ring.
//! - Every connection verifies certificates anew: sessions are never resumed, so a certificate that has expired or an authority
//!   that was taken away counts from the next connection on.
//! - Material can be [reloaded](Tls::reload) while the program runs. New connections take the new one; what cannot be
//!   used is reported, and the old stays in force.
//! - What a certificate is for is its DNS names (subject alternative names). A common name is not looked at.
//! - Time is given as a [`WallClock`]. Randomness is not: ring draws keys from the system and cannot be told otherwise, and
//!   whoever could tell it would have the keys. So two runs of one seed send other bytes, though the same of them.
//!
//! Without TLS ([`Security::Plain`]) nodes talk on one machine only.

mod error;
mod identity;
mod material;

pub use error::SessionError;
pub use identity::Identity;
pub use material::{MaterialError, OwnFiles, OwnPem, TlsFiles, TlsPem};

use crate::network::{Network, Stream};
use baton_protocol::time::Timestamp;
use material::Material;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What tells the time by which certificates are judged.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// A clock that is read by the function.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// What it tells.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(self.now().as_millis())
            .ok()
            .map(|millis| UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// What a connection is for. Told to the peer while encryption is agreed (ALPN), so that nobody is misled to a port of the other kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A link between nodes.
    Link,
    /// HTTP.
    Http,
}

/// Whether who connects must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Else there is no connection.
    #[default]
    Required,
    /// If there is one it must be good.
    Optional,
}

/// How connections are secured.
#[derive(Clone, Debug)]
pub enum Security {
    /// Not at all: on this machine only.
    Plain,
    /// By TLS.
    Tls(Tls),
}

impl Security {
    /// Whether connections with such an address are permitted.
    #[must_use]
    pub fn is_permitted(&self, network: Network, ip: IpAddr) -> bool {
        matches!(self, Self::Tls(_)) || network.is_private(ip)
    }

    /// Secures a stream that was connected, to a peer who must prove that it has the name.
    ///
    /// # Errors
    /// When it cannot be secured within the deadline.
    pub(crate) async fn connect(
        &self,
        stream: Stream,
        name: ServerName<'static>,
        purpose: Purpose,
        deadline: Duration,
    ) -> Result<Secured, SessionError> {
        let Self::Tls(tls) = self else { return Ok(Secured { stream, identity: None, is_http2: false }) };
        let material = tls.material();
        let connector = TlsConnector::from(Arc::clone(material.client(purpose)));
        match timeout(deadline, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let (_, session) = stream.get_ref();
                let identity = session.peer_certificates().and_then(Identity::of);
                let is_http2 = session.alpn_protocol() == Some(material::HTTP_2);
                Ok(Secured { stream: Box::new(stream), identity, is_http2 })
            }
            Ok(Err(error)) => Err(SessionError::explain(&error, &material.authorities)),
            Err(_) => Err(SessionError::Silent { after: deadline }),
        }
    }

    /// Secures a stream that was accepted.
    ///
    /// # Errors
    /// When it cannot be secured within the deadline.
    pub(crate) async fn accept(
        &self,
        stream: Stream,
        purpose: Purpose,
        clients: ClientCertificate,
        deadline: Duration,
    ) -> Result<Secured, SessionError> {
        let Self::Tls(tls) = self else { return Ok(Secured { stream, identity: None, is_http2: false }) };
        let material = tls.material();
        let Some(server) = material.server(purpose, clients) else { return Err(SessionError::NoOwnCertificate) };
        let accepting = async {
            match TlsAcceptor::from(Arc::clone(server)).accept(stream).into_fallible().await {
                Ok(stream) => Ok(stream),
                Err((error, stream)) => {
                    let error = SessionError::explain(&error, &material.authorities);
                    let_go(stream).await;
                    Err(error)
                }
            }
        };
        let stream = match timeout(deadline, accepting).await {
            Ok(stream) => stream?,
            Err(_) => return Err(SessionError::Silent { after: deadline }),
        };
        let (_, session) = stream.get_ref();
        let identity = session.peer_certificates().and_then(Identity::of);
        let is_http2 = session.alpn_protocol() == Some(material::HTTP_2);
        Ok(Secured { stream: Box::new(stream), identity, is_http2 })
    }
}

/// A stream that is secured as it should be.
pub(crate) struct Secured {
    pub(crate) stream: Stream,
    /// Who the peer is. None without TLS, or without a certificate.
    pub(crate) identity: Option<Identity>,
    /// What was agreed for HTTP.
    pub(crate) is_http2: bool,
}

/// How long the peer of a stream that is given up may take to read why.
const LET_GO: Duration = Duration::from_millis(200);

/// How much it may still send meanwhile, in bytes.
const LET_GO_BYTES: usize = 64 << 10;

/// Ends a stream so that the peer can read what was last written: a stream which is dropped while there is something unread in it
/// is reset, and the peer may see nothing but that.
pub(crate) async fn let_go(mut stream: Stream) {
    let ending = async {
        stream.shutdown().await?;
        let mut buffer = vec![0; 4096];
        let mut length = 0;
        while length < LET_GO_BYTES {
            match stream.read(&mut buffer).await? {
                0 => break,
                read => length += read,
            }
        }
        std::io::Result::Ok(())
    };
    // The peer does not have to care.
    let _ = timeout(LET_GO, ending).await;
}

/// Certificates and keys of this node, and the authorities that it trusts. Clones are the same.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    files: Option<TlsFiles>,
    clock: WallClock,
    material: RwLock<Arc<Material>>,
}

impl Tls {
    /// From PEM files, which can be [reloaded](Self::reload). Reads files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn from_files(files: TlsFiles, clock: WallClock) -> Result<Self, MaterialError> {
        let material = Material::new(files.read()?, &files.names(), &clock)?;
        Ok(Self::new(Some(files), material, clock))
    }

    /// From PEM texts.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn from_pem(pem: TlsPem, clock: WallClock) -> Result<Self, MaterialError> {
        let material = Material::new(pem, &TlsFiles::nameless(), &clock)?;
        Ok(Self::new(None, material, clock))
    }

    fn new(files: Option<TlsFiles>, material: Material, clock: WallClock) -> Self {
        Self { shared: Arc::new(Shared { files, clock, material: RwLock::new(Arc::new(material)) }) }
    }

    /// Reads the files again. Whether they have changed. Cheap enough to be called every few seconds, and by a signal.
    ///
    /// # Errors
    /// When they cannot be used. Then the material stays as it was.
    pub fn reload(&self) -> Result<bool, MaterialError> {
        let Some(files) = &self.shared.files else { return Ok(false) };
        let pem = files.read()?;
        if self.material().pem == pem {
            return Ok(false);
        }
        self.set(Material::new(pem, &files.names(), &self.shared.clock)?);
        Ok(true)
    }

    /// Uses other PEM texts from now on.
    ///
    /// # Errors
    /// When they cannot be used. Then the material stays as it was.
    pub fn replace(&self, pem: TlsPem) -> Result<(), MaterialError> {
        self.set(Material::new(pem, &TlsFiles::nameless(), &self.shared.clock)?);
        Ok(())
    }

    /// The files, for who watches them.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.files.iter().flat_map(TlsFiles::paths).cloned().collect()
    }

    /// The certificate of this node; none if it has none to show.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.material().identity.clone()
    }

    /// Whether one of the authorities that this node trusts has issued its own certificate. If not, only peers who trust others
    /// will accept it.
    #[must_use]
    pub fn trusts_itself(&self) -> bool {
        self.material().is_own_trusted
    }

    fn set(&self, material: Material) {
        *self.shared.material.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
    }

    fn material(&self) -> Arc<Material> {
        Arc::clone(&self.shared.material.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.shared.files).finish_non_exhaustive()
    }
}
