//! What a fetched version is called on disk.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Hex digits of a key.
const DIGITS: usize = 64;

/// Names the content of a version: the same for the same place and identity. Prints as 64
/// lowercase hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey(String);

impl CacheKey {
    /// The key of what lies at a URI. `identity` is whatever distinguishes one content there from
    /// another: an artifact store does not promise that a place is written only once.
    #[must_use]
    pub fn of(origin: &str, identity: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [origin, identity] {
            // With its length, so that the end of one part is not taken for the start of the next.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(hex(&digest.finalize()))
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not 64 lowercase hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of the cache is {DIGITS} lowercase hex digits")]
pub struct NotAKey;

impl FromStr for CacheKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_key = text.len() == DIGITS && text.bytes().all(is_digit);
        is_key.then(|| Self(text.to_owned())).ok_or(NotAKey)
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes as lowercase hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_follows_both_parts_and_reads_back() {
        let keys = [("s3://a", "1"), ("s3://a1", ""), ("", "s3://a1"), ("s3://a", "2")]
            .map(|(origin, identity)| CacheKey::of(origin, identity));
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "key {place} is an earlier one");
            assert_eq!(key.to_string().parse(), Ok(key.clone()));
        }
        assert_eq!(CacheKey::of("s3://a", "1"), keys[0]);
    }

    #[test]
    fn other_names_are_no_keys() {
        let upper = "A".repeat(DIGITS);
        for text in ["", "abc", "../versions", upper.as_str(), &"a".repeat(DIGITS + 1)] {
            assert_eq!(text.parse::<CacheKey>(), Err(NotAKey), "{text}");
        }
    }
}
