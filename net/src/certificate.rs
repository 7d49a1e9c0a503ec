//! Certificates for a cluster that has no authority of its own: an authority, and certificates which it issues to nodes.
//!
//! Good for development and for installations which keep the authority's key somewhere safe. Everything is made at once, and
//! can be extended later: the authority is known again by its key.

use crate::name::{ClusterId, NodeId};
use crate::tls::{OwnFiles, OwnPem, TlsFiles, TlsPem};
use baton_protocol::time::Timestamp;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an authority is valid.
pub const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How long a certificate of a node is valid.
pub const NODE_VALIDITY: Duration = Duration::from_secs(2 * 365 * 86_400);

/// Certificates are valid from so long before they are made on, for clocks that are late.
const EARLIER: Duration = Duration::from_secs(3_600);

/// The files of the authority have this name, so no node can have it.
const AUTHORITY: &str = "authority";

/// The kind of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA over P-256: browsers know it.
    #[default]
    EcdsaP256,
    /// Ed25519: signatures have always the same length. Browsers do not know it.
    Ed25519,
}

/// Certificates cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// They cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A node cannot be called so.
    #[error("no node can be called \"{AUTHORITY}\": its files would be those of the authority")]
    Reserved,
    /// What is there is of another authority.
    #[error("{} is no certificate of the authority of cluster {cluster} with the key beside it", file.display())]
    OtherAuthority {
        /// The certificate.
        file: PathBuf,
        /// The cluster.
        cluster: ClusterId,
    },
    /// They cannot be written or read.
    #[error("{}: {error}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// An authority: it issues the certificates of a cluster.
pub struct Authority {
    kind: KeyKind,
    key: String,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one. Keys are drawn from the system.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn new(cluster: &ClusterId, kind: KeyKind, now: Timestamp) -> Result<Self, CertificateError> {
        Self::with_key(cluster, kind, KeyPair::generate_for(kind.algorithm())?, now)
    }

    /// The one that has this key, again. Its certificate is made anew, as good as the first.
    ///
    /// # Errors
    /// When the text is no key in PEM.
    pub fn from_key(cluster: &ClusterId, key: &str, now: Timestamp) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pem(key)?;
        let kind = if key.is_compatible(&PKCS_ED25519) { KeyKind::Ed25519 } else { KeyKind::EcdsaP256 };
        Self::with_key(cluster, kind, key, now)
    }

    fn with_key(cluster: &ClusterId, kind: KeyKind, key: KeyPair, now: Timestamp) -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("Baton cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_VALIDITY);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { kind, key: key.serialize_pem(), certificate, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, in PEM: whom everybody trusts.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key, in PEM: who has it can be any node.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether a certificate in PEM is one of this authority.
    fn owns(&self, certificate: &[u8]) -> bool {
        let [theirs, ours] = [certificate, self.certificate.as_bytes()].map(CertificateDer::from_pem_slice);
        let (Ok(theirs), Ok(ours)) = (theirs, ours) else { return false };
        match (webpki::anchor_from_trusted_cert(&theirs), webpki::anchor_from_trusted_cert(&ours)) {
            (Ok(theirs), Ok(ours)) => theirs == ours,
            _ => false,
        }
    }

    /// Issues a certificate to a node, for its name and the hosts where it runs (DNS names or IP addresses, for who calls it by HTTP).
    ///
    /// # Errors
    /// When a host is neither, or the system gives no random numbers.
    pub fn issue(
        &self,
        node: &NodeId,
        hosts: &[String],
        now: Timestamp,
        validity: Duration,
    ) -> Result<OwnPem, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(node.as_str());
        params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(node.as_str())?)];
        for host in hosts.iter().filter(|host| *host != node.as_str()) {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(Ia5String::try_from(host.as_str())?),
            });
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, validity);
        let key = KeyPair::generate_for(self.kind.algorithm())?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(OwnPem { certificate: certificate.into_bytes(), key: key.serialize_pem().into_bytes() })
    }

    /// Issues a certificate, for [`Tls::from_pem`](crate::tls::Tls::from_pem).
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_pem(&self, node: &NodeId, hosts: &[String], now: Timestamp) -> Result<TlsPem, CertificateError> {
        let own = self.issue(node, hosts, now, NODE_VALIDITY)?;
        Ok(TlsPem { authorities: self.certificate.clone().into_bytes(), own: Some(own) })
    }
}

impl KeyKind {
    fn algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            Self::Ed25519 => &PKCS_ED25519,
        }
    }
}

fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, validity: Duration) {
    let moment = |timestamp: Timestamp| {
        let since = timestamp.since(Timestamp::EPOCH);
        rcgen::date_time_ymd(1970, 1, 1) + since
    };
    params.not_before = moment(now - EARLIER);
    params.not_after = moment(now + validity);
}

/// A node for which files are wanted.
#[derive(Clone, Debug)]
pub struct NodeFiles {
    /// Its name.
    pub node: NodeId,
    /// Where it runs: DNS names or IP addresses.
    pub hosts: Vec<String>,
}

/// Makes certificates for a cluster in a directory: `authority.pem` and `authority.key`, and `NODE.pem` and `NODE.key` for each
/// node. An authority which is there already is used; the files of a node are made anew. Keys can be read by their owner only.
/// Returns the files of each node, in the order of the nodes.
///
/// # Errors
/// When something cannot be made, read or written.
pub fn write_cluster(
    directory: &Path,
    cluster: &ClusterId,
    nodes: &[NodeFiles],
    now: Timestamp,
) -> Result<Vec<TlsFiles>, CertificateError> {
    let in_file = |file: &Path| {
        let file = file.to_owned();
        |error| CertificateError::File { file, error }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(in_file(directory))?;
    if nodes.iter().any(|node| node.node.as_str() == AUTHORITY) {
        return Err(CertificateError::Reserved);
    }
    let authorities = directory.join(format!("{AUTHORITY}.pem"));
    let authority_key = directory.join(format!("{AUTHORITY}.key"));
    let authority = match fs::read_to_string(&authority_key) {
        Ok(key) => Authority::from_key(cluster, &key, now)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let authority = Authority::new(cluster, KeyKind::default(), now)?;
            write_file(&authority_key, authority.key().as_bytes(), 0o600).map_err(in_file(&authority_key))?;
            authority
        }
        Err(error) => return Err(in_file(&authority_key)(error)),
    };
    match fs::read(&authorities) {
        Ok(certificate) if authority.owns(&certificate) => {}
        Ok(_) => return Err(CertificateError::OtherAuthority { file: authorities, cluster: cluster.clone() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_file(&authorities, authority.certificate().as_bytes(), 0o644).map_err(in_file(&authorities))?;
        }
        Err(error) => return Err(in_file(&authorities)(error)),
    }
    let mut written = Vec::new();
    for NodeFiles { node, hosts } in nodes {
        let issued = authority.issue(node, hosts, now, NODE_VALIDITY)?;
        let certificate = directory.join(format!("{node}.pem"));
        let key = directory.join(format!("{node}.key"));
        write_file(&key, &issued.key, 0o600).map_err(in_file(&key))?;
        write_file(&certificate, &issued.certificate, 0o644).map_err(in_file(&certificate))?;
        written.push(TlsFiles { authorities: authorities.clone(), own: Some(OwnFiles { certificate, key }) });
    }
    Ok(written)
}

/// Writes a file so that it is there wholly or not at all, and never readable by others than it may be.
fn write_file(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{MaterialError, Tls, WallClock};
    use std::os::unix::fs::PermissionsExt as _;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn clock() -> WallClock {
        WallClock::new(|| NOW)
    }

    fn nodes(names: &[&str]) -> Vec<NodeFiles> {
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.iter().map(|name| NodeFiles { node: NodeId::new(*name).unwrap(), hosts: hosts.clone() }).collect()
    }

    #[test]
    fn a_cluster_is_written_and_extended() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("tls");
        let cluster = ClusterId::new("test").unwrap();
        let first = write_cluster(&directory, &cluster, &nodes(&["a", "b"]), NOW).unwrap();
        let authority = fs::read(directory.join("authority.pem")).unwrap();
        let second = write_cluster(&directory, &cluster, &nodes(&["c"]), NOW).unwrap();
        assert_eq!(fs::read(directory.join("authority.pem")).unwrap(), authority);
        let other = ClusterId::new("other").unwrap();
        let error = write_cluster(&directory, &other, &nodes(&["d"]), NOW).unwrap_err();
        assert!(matches!(error, CertificateError::OtherAuthority { .. }), "{error}");
        let error = write_cluster(&directory, &cluster, &nodes(&["Authority"]), NOW).unwrap_err();
        assert!(matches!(error, CertificateError::Reserved), "{error}");
        for files in first.into_iter().chain(second) {
            // Loading judges the certificate by the authority.
            let tls = Tls::from_files(files.clone(), clock()).unwrap();
            let identity = tls.identity().unwrap();
            assert!(identity.is_for("localhost") && identity.is_for("127.0.0.1"), "{identity:?}");
            let own = files.own.unwrap();
            let node = own.key.file_stem().unwrap().to_str().unwrap();
            assert!(identity.is_for(node) && !identity.is_for("z"));
            assert_eq!(fs::metadata(own.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(directory.join("authority.key")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn mistakes_are_found_when_loading() {
        let cluster = ClusterId::new("test").unwrap();
        let authority = Authority::new(&cluster, KeyKind::Ed25519, NOW).unwrap();
        let node = NodeId::new("a").unwrap();
        let good = authority.issue_pem(&node, &[], NOW).unwrap();
        let load = |pem: TlsPem, now: Timestamp| Tls::from_pem(pem, WallClock::new(move || now)).err();
        assert_eq!(load(good.clone(), NOW), None);

        let expired = load(good.clone(), NOW + NODE_VALIDITY + Duration::from_secs(7_200)).unwrap();
        assert!(expired.to_string().contains("expired 2 hours ago"), "{expired}");
        let early = load(good.clone(), NOW - Duration::from_secs(86_400)).unwrap();
        assert!(early.to_string().contains("becomes valid in 23 hours"), "{early}");

        let mut other_key = good.clone();
        other_key.own.as_mut().unwrap().key = authority.issue(&node, &[], NOW, NODE_VALIDITY).unwrap().key;
        assert!(matches!(load(other_key, NOW), Some(MaterialError::Key { .. })));

        let mut no_key = good.clone();
        no_key.own.as_mut().unwrap().key = good.authorities.clone();
        assert!(matches!(load(no_key, NOW), Some(MaterialError::Missing { expected: "private key", .. })));

        let no_authority = TlsPem { authorities: Vec::new(), ..good.clone() };
        let error = load(no_authority, NOW).unwrap();
        assert_eq!(error.to_string(), "the given authorities holds no certificate of an authority in PEM");

        // Others may trust whom we do not.
        let stranger = Authority::new(&ClusterId::new("other").unwrap(), KeyKind::Ed25519, NOW).unwrap();
        let foreign = TlsPem { authorities: stranger.certificate().into(), ..good.clone() };
        assert!(!Tls::from_pem(foreign, clock()).unwrap().trusts_itself());
        assert!(Tls::from_pem(good, clock()).unwrap().trusts_itself());
    }
}
