//! Who may do what: users with secrets, of which only hashes are kept, or with certificates.
//!
//! A secret is random, of at least 128 bits, so a plain hash of it is enough, and how long comparing takes tells nothing of it.
//! It comes as a bearer token, or as the password of HTTP basic authentication. Over TLS a user may show instead a certificate of the cluster's authority that has the user's
//! name. Who fails [`FAILURES`] times within [`PERIOD`] is not listened to for the rest of it, by address.

use super::answer::Refusal;
use crate::config::{Permission, SecretHash, User};
use crate::flood::Flood;
use baton_net::http::server::Caller;
use hyper::header::{AUTHORIZATION, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many failed attempts an address has in each [`PERIOD`].
pub const FAILURES: u32 = 20;

/// See [`FAILURES`].
pub const PERIOD: Duration = Duration::from_secs(60);

/// So many addresses with failed attempts are remembered.
const ADDRESSES: usize = 10_000;

/// Knows the users.
pub(super) struct Access {
    users: Vec<User>,
    failures: Mutex<BTreeMap<IpAddr, Failures>>,
    flood: Flood,
}

struct Failures {
    since: Instant,
    count: u32,
}

/// What a request shows.
enum Credential<'r> {
    Bearer(&'r str),
    Basic { user: String, secret: String },
}

impl Access {
    pub(super) fn new(users: Vec<User>) -> Self {
        let flood = Flood::new("requests with wrong credentials");
        Self { users, failures: Mutex::default(), flood }
    }

    /// The user who calls.
    pub(super) fn caller(&self, head: &Parts) -> Result<&User, Refusal> {
        self.user(&head.headers, head.extensions.get::<Caller>())
    }

    fn user(&self, headers: &HeaderMap, caller: Option<&Caller>) -> Result<&User, Refusal> {
        let Some(credential) = credential(headers)? else {
            let identity = caller.and_then(|caller| caller.identity.as_ref());
            let user = identity.and_then(|identity| {
                let names = identity.names();
                self.users.iter().find(|user| names.contains(&user.name))
            });
            return user.ok_or_else(|| unauthorized("a credential is needed: a bearer token, or user and password"));
        };
        // Simulated callers without address share one.
        let address = caller.map_or(IpAddr::from([0; 4]), |caller| caller.address.ip());
        self.check_failures(address)?;
        let user = match &credential {
            Credential::Bearer(secret) => {
                let hash = SecretHash::of(secret);
                self.users.iter().find(|user| user.secret == hash)
            }
            Credential::Basic { user, secret } => {
                self.users.iter().find(|known| known.name == *user && known.secret.is_of(secret))
            }
        };
        user.ok_or_else(|| {
            self.count_failure(address);
            self.flood.write(|| tracing::warn!(%address, "a request to the API with a wrong credential"));
            unauthorized("the credential is wrong")
        })
    }

    fn check_failures(&self, address: IpAddr) -> Result<(), Refusal> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let left = failures
            .get(&address)
            .filter(|it| it.count >= FAILURES)
            .map(|it| PERIOD.saturating_sub(it.since.elapsed()));
        match left {
            Some(left) if !left.is_zero() => {
                let message = "too many wrong credentials came from this address; try again later";
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TooManyFailures", message);
                Err(refusal.header(RETRY_AFTER, &(left.as_secs() + 1).to_string()))
            }
            _ => Ok(()),
        }
    }

    fn count_failure(&self, address: IpAddr) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            failures.retain(|_, it| it.since.elapsed() < PERIOD);
            if failures.len() >= ADDRESSES {
                failures.pop_first();
            }
        }
        let entry = failures.entry(address).or_insert_with(|| Failures { since: Instant::now(), count: 0 });
        if entry.since.elapsed() >= PERIOD {
            *entry = Failures { since: Instant::now(), count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }
}

/// Whether the user may do what is asked for. True if it is to change something.
pub(super) fn permit(user: &User, head: &Parts) -> Result<bool, Refusal> {
    let changes = head.method == Method::POST;
    let permission = if changes { Permission::Operate } else { Permission::Read };
    if !user.permissions.contains(&permission) {
        let what = if changes { "operate" } else { "read" };
        let message = format!("the user {} lacks the permission '{what}'", user.name);
        return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    if changes {
        let from = head.extensions.get::<Caller>().map(|caller| tracing::field::display(caller.address));
        tracing::debug!(user = user.name, from, "{} {}", head.method, head.uri.path());
    }
    Ok(changes)
}

/// The credential of a request, if it has one.
fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, Refusal> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = header.to_str().unwrap_or_default();
    let (scheme, value) = text.split_once(' ').unwrap_or((text, ""));
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !value.is_empty() {
        return Ok(Some(Credential::Bearer(value)));
    }
    if scheme.eq_ignore_ascii_case("basic")
        && let Some(text) = base64(value)
        && let Some((user, secret)) = text.split_once(':')
    {
        return Ok(Some(Credential::Basic { user: user.to_owned(), secret: secret.to_owned() }));
    }
    Err(unauthorized(
        "the header Authorization is not understood; expected is 'Bearer TOKEN', or 'Basic' with user:password in Base64",
    ))
}

fn unauthorized(message: &str) -> Refusal {
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized", message);
    refusal.header(WWW_AUTHENTICATE, r#"Bearer realm="baton", Basic realm="baton""#)
}

/// The text that is written in Base64 (RFC 4648), with or without padding; none if it is not.
fn base64(text: &str) -> Option<String> {
    let text = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn access() -> Access {
        let user = |name: &str, secret: &str, permissions: &[Permission]| User {
            name: name.to_owned(),
            secret: SecretHash::of(secret),
            permissions: permissions.to_vec(),
        };
        let (read, operate) = (Permission::Read, Permission::Operate);
        Access::new(vec![user("viewer", "SECRET-1", &[read]), user("operator", "SECRET-2", &[read, operate])])
    }

    fn name(access: &Access, authorization: &str) -> Result<String, StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        access.user(&headers, None).map(|user| user.name.clone()).map_err(|refusal| refusal.status)
    }

    #[test]
    fn base64_is_read() {
        for (text, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("ä:?>", "w6Q6Pz4=")]
        {
            assert_eq!(base64(encoded).as_deref(), Some(text));
        }
        assert_eq!(base64("Zm9v!"), None);
        assert_eq!(base64("//8="), None, "no text");
    }

    #[test]
    fn users_are_known_by_their_secrets() {
        let access = access();
        assert_eq!(name(&access, "Bearer SECRET-1").unwrap(), "viewer");
        assert_eq!(name(&access, "bearer  SECRET-2").unwrap(), "operator");
        // viewer:SECRET-1
        assert_eq!(name(&access, "Basic dmlld2VyOlNFQ1JFVC0x").unwrap(), "viewer");
        // viewer:SECRET-2
        assert_eq!(name(&access, "Basic dmlld2VyOlNFQ1JFVC0y"), Err(StatusCode::UNAUTHORIZED));
        for bad in ["Bearer SECRET-3", "Bearer ", "Bearer", "Basic", "Basic !", "Basic dmlld2Vy", "Digest x", ""] {
            assert_eq!(name(&access, bad), Err(StatusCode::UNAUTHORIZED), "{bad}");
        }
        assert_eq!(access.user(&HeaderMap::new(), None).err().unwrap().status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn who_guesses_is_not_listened_to() {
        let access = access();
        for _ in 0..FAILURES {
            assert_eq!(name(&access, "Bearer GUESS"), Err(StatusCode::UNAUTHORIZED));
        }
        assert_eq!(name(&access, "Bearer SECRET-1"), Err(StatusCode::TOO_MANY_REQUESTS));
    }
}
