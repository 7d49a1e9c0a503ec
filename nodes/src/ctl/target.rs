//! Which controllers, agents and subagents are meant, and what is shown to them: from the command line, a file, the environment, in this order.
//!
//! A token never stands in the arguments, which others can see.

use super::arguments::CtlArguments;
use crate::driver::wall_clock;
use baton_net::address::Address;
use baton_net::http::client::{Client, HttpError};
use baton_net::network::Network;
use baton_net::tls::{MaterialError, OwnFiles, Security, Tls, TlsFiles, WallClock};
use hyper::Uri;
use hyper::header::HeaderValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The port of a URL that has none.
const PORT: u16 = 4444;

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No controller is named.
    #[error("no controller is named; expected is --url URL, --config FILE, or the variable BATON_URL")]
    NoUrl,
    /// A URL is none.
    #[error("\"{0}\" is no URL of a node; expected is one like http://localhost:4444 or https://a.example:4444")]
    Url(String),
    /// A URL with TLS needs to know whom to trust.
    #[error(
        "{0} needs the authority whose certificates are trusted; expected is --ca FILE, or authorities in the file of --config"
    )]
    NoAuthority(String),
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file of `--config` is not understood.
    #[error("{}: {why}", .path.display())]
    Config {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A token cannot be sent.
    #[error("the token of {0} has characters that cannot be sent, or is empty")]
    Token(String),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// The host cannot be in a certificate.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// A node to be asked.
pub struct Endpoint {
    /// Without a slash at its end.
    pub url: String,
    /// To send requests with.
    pub http: Client,
}

/// The controllers of a cluster.
pub struct Target {
    /// One, or a pair.
    pub controllers: Vec<Endpoint>,
    /// Agents and subagents, by the names which the file has for them.
    pub nodes: BTreeMap<String, Endpoint>,
    /// The header `Authorization`.
    pub authorization: Option<HeaderValue>,
}

/// The file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Config {
    urls: Vec<String>,
    /// Of agents and subagents, by names.
    nodes: BTreeMap<String, String>,
    token_file: Option<PathBuf>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Target {
    /// What the arguments and the environment say.
    ///
    /// # Errors
    /// When it is not enough, or cannot be used.
    pub fn of(arguments: &CtlArguments) -> Result<Self, TargetError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = arguments.config.clone().or_else(|| variable("BATON_CTL_CONFIG").map(PathBuf::from));
        let config = file.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let mut urls = arguments.urls.clone();
        if urls.is_empty() {
            urls = config.urls;
        }
        if urls.is_empty() {
            let text = variable("BATON_URL").unwrap_or_default();
            urls = text.split([',', ' ']).filter(|url| !url.is_empty()).map(str::to_owned).collect();
        }
        if urls.is_empty() {
            return Err(TargetError::NoUrl);
        }
        let authorization = match arguments.token_file.clone() {
            Some(path) => Some(read_token(&path)?),
            None => match (variable("BATON_TOKEN"), config.token_file) {
                (Some(token), _) => Some(header("BATON_TOKEN", &token)?),
                (None, Some(path)) => Some(read_token(&path)?),
                (None, None) => None,
            },
        };
        let authorities = arguments.ca.clone().or(config.authorities);
        let certificate = arguments.certificate.clone().or(config.certificate);
        let own = certificate.zip(arguments.key.clone().or(config.key));
        let own = own.map(|(certificate, key)| OwnFiles { certificate, key });
        let tls = authorities.map(|authorities| {
            Tls::from_files(TlsFiles { authorities, own }, WallClock::new(wall_clock)).map(Security::Tls)
        });
        let tls = tls.transpose()?;
        let controllers = urls.iter().map(|url| endpoint(url, tls.as_ref())).collect::<Result<_, _>>()?;
        let nodes = config.nodes.into_iter().map(|(name, url)| Ok((name, endpoint(&url, tls.as_ref())?)));
        Ok(Self { controllers, nodes: nodes.collect::<Result<_, TargetError>>()?, authorization })
    }
}

fn endpoint(url: &str, tls: Option<&Security>) -> Result<Endpoint, TargetError> {
    let is_no_url = || TargetError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| is_no_url())?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(is_no_url()) };
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(is_no_url());
    }
    let security = match (scheme, tls) {
        ("http", _) => Security::Plain,
        ("https", Some(tls)) => tls.clone(),
        ("https", None) => return Err(TargetError::NoAuthority(url.to_owned())),
        _ => return Err(is_no_url()),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = Address::new(host, uri.port_u16().unwrap_or(PORT));
    let http = Client::new(Network::Sockets, security, address)?;
    Ok(Endpoint { url: url.trim_end_matches('/').to_owned(), http })
}

fn read_token(path: &Path) -> Result<HeaderValue, TargetError> {
    let text = std::fs::read_to_string(path).map_err(|error| TargetError::File { path: path.to_owned(), error })?;
    header(&path.display().to_string(), text.trim())
}

fn header(source: &str, token: &str) -> Result<HeaderValue, TargetError> {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
    let mut value = value.ok_or_else(|| TargetError::Token(source.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Config {
    fn read(path: &Path) -> Result<Self, TargetError> {
        let text = std::fs::read_to_string(path).map_err(|error| TargetError::File { path: path.to_owned(), error })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder).map_err(|why| TargetError::Config { path: path.to_owned(), why })
    }

    /// Paths are relative to the folder.
    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let table = DeTable::parse(text).map_err(|error| error.to_string())?;
        let mut config = Self::default();
        for (key, value) in table.get_ref() {
            let key: &str = key.get_ref();
            let value = value.get_ref();
            let path = || text_of(key, value).map(|text| Some(folder.join(text)));
            match key {
                "urls" => {
                    let DeValue::Array(urls) = value else {
                        return Err("urls: expected is a list of texts".to_owned());
                    };
                    config.urls = urls.iter().map(|url| text_of(key, url.get_ref())).collect::<Result<_, _>>()?;
                }
                "nodes" => {
                    let DeValue::Table(nodes) = value else {
                        return Err("nodes: expected is a section of names and URLs".to_owned());
                    };
                    let node = |(name, url): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
                        Ok::<_, String>((name.get_ref().to_string(), text_of(name.get_ref(), url.get_ref())?))
                    };
                    config.nodes = nodes.iter().map(node).collect::<Result<_, _>>()?;
                }
                "token_file" => config.token_file = path()?,
                "authorities" => config.authorities = path()?,
                "certificate" => config.certificate = path()?,
                "key" => config.key = path()?,
                other => {
                    let known = "urls, nodes, token_file, authorities, certificate and key";
                    return Err(format!("{other}: this is not known; known are {known}"));
                }
            }
        }
        Ok(config)
    }
}

fn text_of(key: &str, value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err(format!("{key}: expected is a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let folder = Path::new("conf");
        let text = "urls = [\"https://a:1\"]\ntoken_file = \"token\"\n[nodes]\nagent-1 = \"https://b:2\"";
        let config = Config::parse(text, folder).unwrap();
        let expected = Config {
            urls: vec!["https://a:1".to_owned()],
            nodes: BTreeMap::from([("agent-1".to_owned(), "https://b:2".to_owned())]),
            token_file: Some(folder.join("token")),
            ..Config::default()
        };
        assert_eq!(config, expected);
        for bad in ["urls = 1", "nodes = 1", "nodes = { a = 1 }", "urls = [1]", "key = []", "token = \"x\"", "?"] {
            assert!(Config::parse(bad, folder).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_those_of_controllers() {
        for good in ["http://localhost:4444", "http://localhost", "http://[::1]:4444/"] {
            assert!(endpoint(good, None).is_ok(), "{good}");
        }
        for bad in ["localhost:4444", "ftp://a", "http://a/x", "https://a", "", "http://"] {
            assert!(endpoint(bad, None).is_err(), "{bad}");
        }
        assert!(header("here", "a\nb").is_err());
    }
}
