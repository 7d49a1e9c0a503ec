//! Certificates, keys and authorities: from PEM to what sessions are made with. Looked through when they are loaded, so that an
//! operator hears of a mistake then and not from the peers.

use super::{ClientCertificate, Identity, Purpose, SessionError, WallClock};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider as _;
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of HTTP/2 when encryption is agreed.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
const LINK: &[u8] = b"baton";

/// The files with what [`Tls`](super::Tls) needs, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authorities which are trusted.
    pub authorities: PathBuf,
    /// What this program shows. A program that only calls others may have none.
    pub own: Option<OwnFiles>,
}

/// The files with what a program shows, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFiles {
    /// The certificate, followed by those of the authorities between it and the trusted one.
    pub certificate: PathBuf,
    /// Its private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// As [`TlsFiles`], but what is in them.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsPem {
    /// The certificates of the authorities which are trusted.
    pub authorities: Vec<u8>,
    /// What this program shows.
    pub own: Option<OwnPem>,
}

/// As [`OwnFiles`], but what is in them.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnPem {
    /// The certificate chain.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Certificates, keys or authorities cannot be used. Each variant names the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    File {
        /// Which.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// What should be in a file is not.
    #[error("{file} holds no {expected} in PEM{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Missing {
        /// Which.
        file: String,
        /// What should be there.
        expected: &'static str,
        /// What is wrong, if there is something.
        reason: Option<String>,
    },
    /// A certificate of an authority is of no use.
    #[error("a certificate in {file} cannot be used as that of an authority: {reason}")]
    Authority {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// Our own certificate is of no use: the peers would refuse it.
    #[error("the certificate in {file} cannot be used: {reason}")]
    Certificate {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// The key does not belong to the certificate, or is of an unknown kind.
    #[error("the key in {file} cannot be used for the certificate: {reason}")]
    Key {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
}

/// How the three pieces are called in messages.
pub(super) struct Names {
    authorities: String,
    certificate: String,
    key: String,
}

impl TlsFiles {
    pub(super) fn read(&self) -> Result<TlsPem, MaterialError> {
        let own = match &self.own {
            Some(own) => Some(OwnPem { certificate: read(&own.certificate)?, key: read(&own.key)? }),
            None => None,
        };
        Ok(TlsPem { authorities: read(&self.authorities)?, own })
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let own = self.own.iter().flat_map(|own| [&own.certificate, &own.key]);
        std::iter::once(&self.authorities).chain(own)
    }

    pub(super) fn names(&self) -> Names {
        let of = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
        Names {
            authorities: of(Some(&self.authorities)),
            certificate: of(self.own.as_ref().map(|own| &own.certificate)),
            key: of(self.own.as_ref().map(|own| &own.key)),
        }
    }

    /// For what did not come from files.
    pub(super) fn nameless() -> Names {
        Names {
            authorities: "the given authorities".to_owned(),
            certificate: "the given certificate".to_owned(),
            key: "the given key".to_owned(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, MaterialError> {
    std::fs::read(path)
        .map_err(|error| MaterialError::File { file: path.display().to_string(), reason: error.to_string() })
}

/// What sessions are made with.
pub(super) struct Material {
    /// What it was made of.
    pub(super) pem: TlsPem,
    /// Where the authorities come from, for messages.
    pub(super) authorities: String,
    /// Our own certificate.
    pub(super) identity: Option<Identity>,
    /// Whether one of the authorities has issued it.
    pub(super) is_own_trusted: bool,
    link_client: Arc<ClientConfig>,
    http_client: Arc<ClientConfig>,
    servers: Option<Servers>,
}

struct Servers {
    link: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    http_for_all: Arc<ServerConfig>,
}

impl Material {
    pub(super) fn new(pem: TlsPem, names: &Names, clock: &WallClock) -> Result<Self, MaterialError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(roots(&pem.authorities, &names.authorities)?);
        let own = match &pem.own {
            Some(own) => Some(Arc::new(certified_key(own, &provider, names)?)),
            None => None,
        };
        let is_own_trusted = match &own {
            Some(own) => check(own, &roots, &provider, names, clock)?,
            None => false,
        };
        let make = Make { provider, roots, own, clock, names };
        let servers = match make.own {
            Some(_) => Some(Servers {
                link: make.server(&[LINK], ClientCertificate::Required)?,
                http: make.server(&[HTTP_2, HTTP_1], ClientCertificate::Required)?,
                http_for_all: make.server(&[HTTP_2, HTTP_1], ClientCertificate::Optional)?,
            }),
            None => None,
        };
        Ok(Self {
            link_client: make.client(&[LINK])?,
            http_client: make.client(&[HTTP_2, HTTP_1])?,
            servers,
            authorities: names.authorities.clone(),
            identity: make.own.as_ref().and_then(|own| Identity::of(&own.cert)),
            is_own_trusted,
            pem,
        })
    }

    pub(super) fn client(&self, purpose: Purpose) -> &Arc<ClientConfig> {
        match purpose {
            Purpose::Link => &self.link_client,
            Purpose::Http => &self.http_client,
        }
    }

    /// None if there is no certificate to show.
    pub(super) fn server(&self, purpose: Purpose, clients: ClientCertificate) -> Option<&Arc<ServerConfig>> {
        let servers = self.servers.as_ref()?;
        Some(match (purpose, clients) {
            (Purpose::Link, _) => &servers.link,
            (Purpose::Http, ClientCertificate::Required) => &servers.http,
            (Purpose::Http, ClientCertificate::Optional) => &servers.http_for_all,
        })
    }
}

/// The pieces.
struct Make<'a> {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    own: Option<Arc<CertifiedKey>>,
    clock: &'a WallClock,
    names: &'a Names,
}

impl Make<'_> {
    fn client(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, MaterialError> {
        let clock = Arc::new(self.clock.clone());
        let builder = ClientConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.unusable(error))?
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.own {
            Some(own) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(own)))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|&protocol| protocol.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn server(&self, protocols: &[&[u8]], clients: ClientCertificate) -> Result<Arc<ServerConfig>, MaterialError> {
        let Some(own) = &self.own else {
            return Err(self.unusable("there is none"));
        };
        let verifier = verifier(&self.roots, &self.provider, self.names, clients)?;
        let clock = Arc::new(self.clock.clone());
        let mut config = ServerConfig::builder_with_details(Arc::clone(&self.provider), clock)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.unusable(error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(own))));
        config.alpn_protocols = protocols.iter().map(|&protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn unusable(&self, reason: impl ToString) -> MaterialError {
        MaterialError::Certificate { file: self.names.certificate.clone(), reason: reason.to_string() }
    }
}

fn certificates(pem: &[u8], file: &str, expected: &'static str) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let missing = |reason| MaterialError::Missing { file: file.to_owned(), expected, reason };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| missing(Some(error.to_string())))?;
    if found.is_empty() { Err(missing(None)) } else { Ok(found) }
}

fn roots(pem: &[u8], file: &str) -> Result<RootCertStore, MaterialError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, file, "certificate of an authority")? {
        roots
            .add(certificate)
            .map_err(|error| MaterialError::Authority { file: file.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

fn certified_key(own: &OwnPem, provider: &CryptoProvider, names: &Names) -> Result<CertifiedKey, MaterialError> {
    let chain = certificates(&own.certificate, &names.certificate, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&own.key).map_err(|error| MaterialError::Missing {
        file: names.key.clone(),
        expected: "private key",
        reason: Some(error.to_string()),
    })?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| MaterialError::Key { file: names.key.clone(), reason: error.to_string() })
}

/// Who judges the certificates of those who connect.
fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    names: &Names,
    clients: ClientCertificate,
) -> Result<Arc<dyn ClientCertVerifier>, MaterialError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
    let verifier = match clients {
        ClientCertificate::Required => verifier,
        ClientCertificate::Optional => verifier.allow_unauthenticated(),
    };
    verifier
        .build()
        .map_err(|error| MaterialError::Authority { file: names.authorities.clone(), reason: error.to_string() })
}

/// Judges our own certificate as a peer would that trusts whom we trust. Others may trust others: returns whether it was issued by
/// somebody whom we trust. It must be for servers or for clients.
fn check(
    own: &CertifiedKey,
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    names: &Names,
    clock: &WallClock,
) -> Result<bool, MaterialError> {
    let fail = |reason| MaterialError::Certificate { file: names.certificate.clone(), reason };
    let Some((certificate, between)) = own.cert.split_first() else { return Err(fail("there is none".to_owned())) };
    let parsed = ParsedCertificate::try_from(certificate).map_err(|error| fail(error.to_string()))?;
    let now = clock.current_time().ok_or_else(|| fail("the clock is before 1970".to_owned()))?;
    let algorithms = provider.signature_verification_algorithms.all;
    let mut judged =
        rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms);
    if let Err(Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. })) = judged {
        let verifier = verifier(roots, provider, names, ClientCertificate::Required)?;
        judged = verifier.verify_client_cert(certificate, between, now).map(|_| ());
    }
    match judged {
        Ok(()) => Ok(true),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Ok(false),
        Err(error) => Err(fail(SessionError::explain_tls(&error, &names.authorities).to_string())),
    }
}
