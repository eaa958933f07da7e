//! Keys of other programs: what they look like, and the seam to whoever keeps them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tidings_core::{Identity, Refusal};

/// How every key begins, so that people and scanners recognise one.
pub const MARK: &str = "tk_";

/// Characters of the public part of a key that is made here.
const PREFIX_MADE: usize = 12;

/// Characters that a public part may have.
const PREFIX_LENGTHS: std::ops::RangeInclusive<usize> = 8..=32;

/// Bytes of the secret part, and its characters in base64url.
const SECRET: usize = 32;
const SECRET_TEXT: usize = 43;

/// A key as a program shows it: `tk_PREFIX_SECRET`. The prefix finds it, the secret proves it.
#[derive(Clone)]
pub struct ApiKey {
    prefix: CompactString,
    hash: [u8; 32],
}

impl ApiKey {
    /// Reads a key; `None` if it is none by its form.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, secret) = text.strip_prefix(MARK)?.split_once('_')?;
        let is_public = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !PREFIX_LENGTHS.contains(&prefix.len()) || !is_public || secret.len() != SECRET_TEXT {
            return None;
        }
        let secret: [u8; SECRET] = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self { prefix: prefix.into(), hash: Sha256::digest(secret).into() })
    }

    /// Makes a key; its text is shown once, its prefix and hash are kept.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn make() -> Result<(String, Self), getrandom::Error> {
        let (mut name, mut secret) = ([0; PREFIX_MADE / 2], [0; SECRET]);
        getrandom::fill(&mut name)?;
        getrandom::fill(&mut secret)?;
        let prefix = name.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let text = format!("{MARK}{prefix}_{}", URL_SAFE_NO_PAD.encode(secret));
        Ok((text, Self { prefix: prefix.into(), hash: Sha256::digest(secret).into() }))
    }

    /// The public part, by which it is found.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// SHA-256 of the secret part, to be kept instead of it.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether this is the key that was kept; takes the same time whatever differs.
    ///
    /// Where no key has the prefix, compare with [`ApiKey::NOBODY`], so that the answer takes as long.
    pub fn matches(&self, kept: &[u8; 32]) -> bool {
        self.hash.ct_eq(kept).into()
    }

    /// What no key's hash is, as far as anybody knows.
    pub const NOBODY: [u8; 32] = [0; 32];
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Whose key it is, if it is anybody's, or why that cannot be said.
pub type Found = Result<Option<Identity>, Refusal>;

/// Who keeps the keys.
pub trait ApiKeys: Send + Sync + 'static {
    /// Whose key it is; `None` if it is not known, over, or called back.
    ///
    /// Find it by [`ApiKey::prefix`] and decide with [`ApiKey::matches`]. The answer has to come
    /// within a bounded time: a request waits for it.
    ///
    /// # Errors
    /// `unavailable` if that cannot be known now: a good key must not be called a wrong one, since whoever
    /// shows wrong ones is kept out.
    fn lookup<'a>(&'a self, key: &'a ApiKey) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_that_was_made_is_read_again() {
        let (text, made) = ApiKey::make().unwrap();
        let read = ApiKey::parse(&text).unwrap();
        assert_eq!(read.prefix(), made.prefix());
        assert!(read.matches(made.hash()));
        assert!(!read.matches(&ApiKey::NOBODY));
        let (_, other) = ApiKey::make().unwrap();
        assert!(!read.matches(other.hash()));
    }

    #[test]
    fn what_is_not_of_the_form_is_no_key() {
        let secret = "A".repeat(SECRET_TEXT);
        assert!(ApiKey::parse(&format!("tk_abcd1234_{secret}")).is_some());
        for bad in [
            String::new(),
            "tk_".into(),
            secret.clone(),
            format!("tk_short_{secret}"),
            format!("tk_{}_{secret}", "p".repeat(33)),
            format!("tk_abc-1234_{secret}"),
            format!("TK_abcd1234_{secret}"),
            format!("tk_abcd1234_{secret}A"),
            format!("tk_abcd1234_{}", &secret[1..]),
            format!("tk_abcd1234_{}!", &secret[1..]),
            format!("tk_abcd1234{secret}"),
            format!(" tk_abcd1234_{secret}"),
        ] {
            assert!(ApiKey::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_in_the_log_shows_its_public_part_only() {
        let (text, key) = ApiKey::make().unwrap();
        // It may have underscores itself: from the last of them on it can be a letter that stands in the rest as well.
        let secret = text.splitn(3, '_').nth(2).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(key.prefix()) && !shown.contains(secret), "{shown}");
    }
}
