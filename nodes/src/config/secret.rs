//! Secrets of callers: a configuration has only their hashes.
//!
//! A secret is drawn from the system with at least 128 bits, so a plain hash is enough: there is nothing to guess.

use ring::digest::{SHA256, digest};
use std::fmt;

/// The SHA-256 of a secret. Never printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Of a secret, as it is sent.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(hash)
    }

    /// Whether it is that of the secret. How long this takes tells nothing of the secret, only of its hash.
    #[must_use]
    pub fn is_of(&self, secret: &str) -> bool {
        *self == Self::of(secret)
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// From 64 hexadecimal digits. The message does not repeat what was given, for it may be the secret itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = "this is no SHA-256; expected are 64 hexadecimal digits, as `printf %s \"$SECRET\" | sha256sum` prints them";
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(expected.to_owned());
        }
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| expected.to_owned())?;
        }
        Ok(Self(hash))
    }

    /// In hexadecimal digits, for configurations.
    #[must_use]
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sha256sum_prints_is_read() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(SecretHash::of("abc").to_hex(), hash);
        assert!(SecretHash::parse(&hash.to_uppercase()).unwrap().is_of("abc"));
        assert!(!SecretHash::parse(hash).unwrap().is_of("abd"));
        for text in ["", "hunter2", &"ä".repeat(32)] {
            let message = SecretHash::parse(text).unwrap_err();
            assert!(text.is_empty() || !message.contains(text));
        }
    }
}
