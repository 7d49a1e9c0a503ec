//! The section `[api]`: where a daemon answers HTTP, and who may use it.

use super::parts::{Common, listen, one_of};
use super::reader::{Section, quoted};
use super::secret::SecretHash;
use baton_net::address::Address;

/// An HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it answers.
    pub listen: Address,
    /// How others reach it, without a slash at the end: the standby of a pair sends callers there when this node is active. None if
    /// nobody needs to know.
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

impl Api {
    /// Whether it fits the other sections.
    pub(super) fn relate(&self, section: &Section<'_>, common: &Common) -> bool {
        if let Some(url) = &self.url
            && url.starts_with("https:") != common.tls.is_some()
        {
            let is = if common.tls.is_some() { "https" } else { "http" };
            section.doubt("api", format!("url is {url}, but this node speaks {is}: is there a proxy between?"));
        }
        if self.users.is_empty() {
            section.doubt("api", "there are no users, so nobody may use the API; expected are sections [[api.users]]");
        }
        let fits = self.listen != common.links || self.listen.port() == 0;
        if !fits {
            let message = format!("HTTP and links cannot both listen at {}; expected are two ports", self.listen);
            section.complain("api", message);
        }
        fits
    }
}

/// Reads it. `default` is where it answers when nothing else is said.
pub(super) fn api(section: &Section<'_>, default: &str, is_secured: bool) -> Option<Api> {
    let listen = listen(section, default, is_secured);
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

/// `http://HOST:PORT` or `https://HOST:PORT`; the port may be missing.
pub(super) fn url(text: &str) -> Result<String, String> {
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
