//! Addresses as people write them: `host:port`. Names are resolved at each connect, so that a host may move.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host and a port. The host is a name or an IP address; an IPv6 address is written in brackets: `[::1]:4444`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// A name or an IP address (without brackets), and a port. Port 0 is for listening only: any that is free.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// A name or an IP address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is no address: {why}; expected is HOST:PORT, as in \"localhost:4444\" or \"[::1]:4444\"", text.escape_debug())]
pub struct AddressError {
    text: String,
    why: &'static str,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { text: text.to_owned(), why };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| fail("there is no port"))?;
        let port = port.parse().map_err(|_| fail("the port is no number up to 65535"))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(ip) => {
                ip.parse::<Ipv6Addr>().map_err(|_| fail("what is in brackets is no IPv6 address"))?;
                ip
            }
            None if host.contains(':') => return Err(fail("an IPv6 address needs brackets")),
            None => host,
        };
        let is_fitting = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        match host {
            "" => Err(fail("there is no host")),
            host if host.len() > 253 => Err(fail("the host is longer than 253 characters")),
            host if !host.chars().all(is_fitting) => Err(fail("the host has characters which no host name has")),
            host => Ok(Self::new(host, port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["localhost:4444", "10.0.0.1:1", "[::1]:65535", "a-b.example:0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let address: Address = "[fe80::1]:7".parse().unwrap();
        assert_eq!((address.host(), address.port()), ("fe80::1", 7));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "host", "host:", ":1", "host:65536", "::1:80", "[host]:1", "a b:1", "http://host:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
