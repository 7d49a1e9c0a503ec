//! Who a peer is, by the certificate which was verified.

use rustls::pki_types::{CertificateDer, ServerName};
use std::fmt;

/// A certificate of a peer that was verified, or our own.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    certificate: CertificateDer<'static>,
}

impl Identity {
    /// Of a chain, whose first certificate is the peer's.
    pub(super) fn of(chain: impl AsRef<[CertificateDer<'static>]>) -> Option<Self> {
        chain.as_ref().first().map(|certificate| Self { certificate: certificate.clone() })
    }

    /// The DNS names in the certificate.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        webpki::EndEntityCert::try_from(&self.certificate)
            .map(|certificate| certificate.valid_dns_names().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// Whether the certificate is one for the name (a DNS name, or an IP address).
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        webpki::EndEntityCert::try_from(&self.certificate)
            .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.names()).finish()
    }
}
