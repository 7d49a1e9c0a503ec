//! Why a connection is not secured, for the operator of either side: what was found, and what was expected.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use std::io;
use std::time::Duration;

/// Why a connection is not secured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The peer's certificate is not valid any more.
    #[error("the certificate has expired {} ago, by the clock of this host", age(*.ago))]
    Expired {
        /// For how long.
        ago: Option<Duration>,
    },
    /// The peer's certificate is not yet valid.
    #[error("the certificate becomes valid in {}, by the clock of this host: is the clock right?", age(*.ahead))]
    NotYetValid {
        /// When.
        ahead: Option<Duration>,
    },
    /// Nobody whom we trust has issued the peer's certificate.
    #[error("the certificate was issued by none of the authorities in {trusted}")]
    UnknownAuthority {
        /// Where the trusted authorities stand.
        trusted: String,
    },
    /// The peer is somebody else.
    #[error("the peer's certificate is for {}, expected was one for {expected}", list(.found))]
    WrongName {
        /// Who was expected.
        expected: String,
        /// The names in the certificate.
        found: Vec<String>,
    },
    /// The certificate is not for this use, damaged, or signed in an unknown way.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
    /// The peer shows no certificate.
    #[error("the peer shows no certificate, but must")]
    NoCertificate,
    /// We have no certificate to show, and so cannot be connected.
    #[error("there is no certificate of our own for connections from others")]
    NoOwnCertificate,
    /// The peer does not encrypt at all.
    #[error(
        "the peer does not speak TLS, expected was TLS 1.3: is it configured without, or is this another service's port?"
    )]
    NotTls,
    /// The peer wants another protocol within TLS.
    #[error("the peer speaks TLS for something else: a port for links between nodes is none for HTTP, and vice versa")]
    WrongPurpose,
    /// The peer speaks older versions of TLS only.
    #[error("the peer does not speak TLS 1.3, which is required: {0}")]
    Incompatible(String),
    /// The peer does not accept us.
    #[error("the peer refuses our certificate: {0}")]
    RefusedByPeer(&'static str),
    /// The peer ends the connection.
    #[error("the peer ends the connection while encryption is being agreed: {0}")]
    Ended(String),
    /// Nothing came within the deadline.
    #[error("encryption was not agreed within {after:?}")]
    Silent {
        /// The deadline.
        after: Duration,
    },
    /// Something else.
    #[error("encryption failed: {0}")]
    Failed(String),
}

impl SessionError {
    /// Of what a secured stream reported.
    pub(crate) fn explain(error: &io::Error, trusted: &str) -> Self {
        match Self::find(error) {
            Some(error) => Self::explain_tls(error, trusted),
            None => Self::Ended(error.to_string()),
        }
    }

    /// Why the peer does not accept us, when it tells that only after encryption was agreed.
    pub(crate) fn explain_later(error: &io::Error) -> Option<Self> {
        Self::find(error).map(|error| Self::explain_tls(error, ""))
    }

    fn find(error: &io::Error) -> Option<&rustls::Error> {
        error.get_ref().and_then(|error| error.downcast_ref())
    }

    pub(super) fn explain_tls(error: &rustls::Error, trusted: &str) -> Self {
        use rustls::Error;

        match error {
            Error::InvalidCertificate(error) => Self::explain_certificate(error, trusted),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::NotTls
            }
            Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::WrongPurpose
            }
            Error::PeerIncompatible(why) => Self::Incompatible(format!("{why:?}")),
            Error::AlertReceived(AlertDescription::ProtocolVersion) => {
                Self::Incompatible("it refuses the version".to_owned())
            }
            Error::AlertReceived(alert) => match refusal(*alert) {
                Some(reason) => Self::RefusedByPeer(reason),
                None => Self::Ended(format!("{alert:?}")),
            },
            error => Self::Failed(error.to_string()),
        }
    }

    fn explain_certificate(error: &CertificateError, trusted: &str) -> Self {
        let between = |earlier: &UnixTime, later: &UnixTime| {
            Some(Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs())))
        };
        match error {
            CertificateError::Expired => Self::Expired { ago: None },
            CertificateError::ExpiredContext { time, not_after } => Self::Expired { ago: between(not_after, time) },
            CertificateError::NotValidYet => Self::NotYetValid { ahead: None },
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid { ahead: between(time, not_before) }
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority { trusted: trusted.to_owned() },
            // The name of an authority which we trust, but another key: an authority that was made anew.
            CertificateError::BadSignature => Self::UnknownAuthority { trusted: trusted.to_owned() },
            CertificateError::NotValidForNameContext { expected, presented } => {
                // They are written as rustls writes them when debugging.
                let name = |name: &String| {
                    let name = name.trim_start_matches("DnsName(").trim_start_matches("IpAddress(");
                    name.trim_matches([')', '"']).to_owned()
                };
                Self::WrongName {
                    expected: expected.to_str().into_owned(),
                    found: presented.iter().map(name).collect(),
                }
            }
            error => Self::Unusable(error.to_string()),
        }
    }
}

/// What an alert says about our certificate.
fn refusal(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateExpired => "it has expired, or is not yet valid, by the peer's clock",
        AlertDescription::UnknownCA => "it was issued by none of the authorities which the peer trusts",
        AlertDescription::CertificateRequired => "we have none, but it must be shown",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::UnsupportedCertificate => "it is not for this use",
        AlertDescription::BadCertificate => "it cannot be used, or has another name than the peer expects",
        AlertDescription::CertificateUnknown => "for a reason which the peer does not tell",
        AlertDescription::AccessDenied => "access is denied",
        AlertDescription::DecryptError => "its signature is wrong: it may come from another authority of the same name",
        _ => return None,
    })
}

/// In words, with one unit.
fn age(duration: Option<Duration>) -> String {
    let Some(seconds) = duration.map(|duration| duration.as_secs()) else { return "some time".to_owned() };
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_one_unit() {
        for (seconds, expected) in
            [(0, "0 seconds"), (1, "1 second"), (200, "3 minutes"), (90_000, "25 hours"), (200_000, "2 days")]
        {
            assert_eq!(age(Some(Duration::from_secs(seconds))), expected);
        }
    }
}
