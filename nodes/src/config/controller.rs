//! The configuration of a controller.

use super::findings::{Findings, Setting};
use super::parts::{API, Common, Member, listen, one_of, timing};
use super::reader::{Environment, Section, quoted, read_file};
use super::secret::SecretHash;
use baton_net::address::Address;
use baton_protocol::pair::timing::Timing;
use baton_protocol::register::Seat;
use std::path::Path;

/// The configuration of a controller.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// What every daemon has.
    pub common: Common,
    /// The HTTP API.
    pub api: Api,
    /// The pair it is one of; none if it is alone.
    pub pair: Option<Pair>,
    /// The times of the pair.
    pub timing: Timing,
    /// All settings, with where they came from.
    pub settings: Vec<Setting>,
    /// What somebody should look at.
    pub warnings: Findings,
}

/// The HTTP API of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it answers.
    pub listen: Address,
    /// How others reach it, without a slash at the end: the standby sends callers there when this node is active. None if nobody needs to
    /// know.
    pub url: Option<String>,
    /// Who may use it.
    pub users: Vec<User>,
}

/// Somebody who may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who it is, for logs and the journal.
    pub name: String,
    /// The hash of the secret that is sent as a bearer token.
    pub secret: SecretHash,
    /// What is permitted, in order, each once.
    pub permissions: Vec<Permission>,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To see everything.
    Read,
    /// To change everything: items, orders, the pair.
    Operate,
}

/// A pair of controllers and its watch, seen from one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Which of the two this is: first or second.
    pub seat: Seat,
    /// The other one.
    pub peer: Member,
    /// How its API is reached, as [`Api::url`] says there.
    pub peer_url: Option<String>,
    /// The cluster watch.
    pub watch: Member,
}

impl ControllerConfig {
    /// Reads a configuration from a file, and over it the environment. Reads that file only.
    ///
    /// # Errors
    /// With all mistakes that it has.
    pub fn read(file: &Path, environment: &Environment) -> Result<Self, Findings> {
        let read = read_file(file, environment, Self::of)?;
        Ok(Self { settings: read.settings, warnings: read.warnings, ..read.value })
    }

    /// How the APIs of the first and the second node of the pair are reached, where that is known; both unknown if there is no pair.
    #[must_use]
    pub fn urls(&self) -> [Option<String>; 2] {
        let own = self.api.url.clone();
        match &self.pair {
            None => [None, None],
            Some(Pair { seat: Seat::First, peer_url, .. }) => [own, peer_url.clone()],
            Some(Pair { peer_url, .. }) => [peer_url.clone(), own],
        }
    }

    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        let common = Common::read(section);
        let is_secured = section.has("tls");
        let api = section.section("api", |section| api(section, is_secured));
        let pair = section.optional_section("pair", |section| pair(section, is_secured));
        let timing = section.section("timing", timing);
        let config = Self {
            common: common?,
            api: api?,
            pair: pair?,
            timing: timing?,
            settings: Vec::new(),
            warnings: Findings::default(),
        };
        config.relate(section).then_some(config)
    }

    /// Whether the sections fit each other.
    fn relate(&self, section: &Section<'_>) -> bool {
        let Self { common, api, pair, .. } = self;
        let mut fits = true;
        let mut complain = |key: &str, message: String| {
            section.complain(key, message);
            fits = false;
        };
        if api.listen == common.links && api.listen.port() != 0 {
            complain("api", format!("HTTP and links cannot both listen at {}; expected are two ports", api.listen));
        }
        if let Some(pair) = pair {
            for (name, member) in [("peer", &pair.peer), ("watch", &pair.watch)] {
                if member.node == common.node {
                    complain(
                        "pair",
                        format!("{name} is called {}, as this node is; expected are three nodes", member.node),
                    );
                }
                if member.address == common.links {
                    complain("pair", format!("{name} is at {}, where this node listens itself", member.address));
                }
            }
            if pair.peer.node == pair.watch.node {
                complain(
                    "pair",
                    format!("peer and watch are both called {}; expected are three nodes", pair.peer.node),
                );
            }
            if pair.peer.address == pair.watch.address {
                complain(
                    "pair",
                    format!("peer and watch are both at {}; expected are two addresses", pair.peer.address),
                );
            }
        }
        if let Some(url) = &api.url
            && url.starts_with("https:") != common.tls.is_some()
        {
            let is = if common.tls.is_some() { "https" } else { "http" };
            section.doubt("api", format!("url is {url}, but this node speaks {is}: is there a proxy between?"));
        }
        if api.users.is_empty() {
            section.doubt("api", "there are no users, so nobody may use the API; expected are sections [[api.users]]");
        }
        fits
    }
}

fn api(section: &Section<'_>, is_secured: bool) -> Option<Api> {
    let listen = listen(section, API, is_secured);
    let url = section.optional("url", url);
    let users = section.sections("users", user);
    let api = Api { listen: listen?, url: url?, users: users? };
    for (i, user) in api.users.iter().enumerate() {
        if api.users[..i].iter().any(|other| other.name == user.name) {
            section.complain(
                "users",
                format!("two users are called {}; expected are different names", quoted(&user.name)),
            );
            return None;
        }
    }
    Some(api)
}

fn user(section: &Section<'_>) -> Option<User> {
    let name = section.required("name", |text| {
        let is_fitting = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if (1..=63).contains(&text.len()) && text.chars().all(is_fitting) {
            Ok(text.to_owned())
        } else {
            Err(format!(
                "{} cannot be a name; expected are 1 to 63 letters, digits, '-', '_', '.' and '@'",
                quoted(text)
            ))
        }
    });
    let secret = section.secret("secret_sha256", SecretHash::parse);
    let words = [("read", Permission::Read), ("operate", Permission::Operate)];
    let permissions = section.texts("permissions", |text| one_of(text, &words)).map(|mut permissions| {
        permissions.sort_unstable();
        permissions.dedup();
        permissions
    });
    Some(User { name: name?, secret: secret?, permissions: permissions? })
}

fn pair(section: &Section<'_>, is_secured: bool) -> Option<Pair> {
    let seat = section.required("seat", |text| one_of(text, &[("first", Seat::First), ("second", Seat::Second)]));
    let peer = section.section("peer", |section| {
        let (member, url) = (Member::read(section, is_secured), section.optional("url", url));
        Some((member?, url?))
    });
    let watch = section.section("watch", |section| Member::read(section, is_secured));
    let (peer, peer_url) = peer?;
    Some(Pair { seat: seat?, peer, peer_url, watch: watch? })
}

/// `http://HOST:PORT` or `https://HOST:PORT`; the port may be missing.
fn url(text: &str) -> Result<String, String> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let authority = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
    let is_address = |authority: &str| {
        authority.parse::<Address>().is_ok_and(|address| address.port() != 0)
            || format!("{authority}:1").parse::<Address>().is_ok()
    };
    match authority {
        Some(authority) if is_address(authority) => Ok(trimmed.to_owned()),
        _ => {
            Err(format!("{} is no address of an API; expected is \"https://HOST:PORT\", without a path", quoted(text)))
        }
    }
}
