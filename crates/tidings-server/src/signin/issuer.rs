//! One issuer: whose tokens are believed, about what, and by which keys.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tidings_core::{Identity, Org};

use super::Fault;
use super::claims::{Claims, Mapping};
use super::keys::{Key, KeySet};
use super::refresh::{Freshness, RefreshTimes};
use super::source::Source;
use super::token::{Token, known};
use crate::config::IssuerConfig;

/// Somebody whose tokens are believed.
#[derive(Debug)]
pub(super) struct Issuer {
    /// The exact `iss`; empty: it is not looked at.
    pub(super) name: String,
    audience: Vec<String>,
    /// The one organisation it speaks for.
    org: Option<Org>,
    map: Mapping,
    keys: RwLock<Held>,
    /// Where its keys are read again; none for keys that came with the configuration.
    pub(super) source: Option<Source>,
    pub(super) freshness: Freshness,
}

/// The keys in force.
#[derive(Debug, Clone)]
struct Held {
    keys: Arc<KeySet>,
    /// When they were read; `None` for keys that do not age.
    read: Option<Instant>,
    /// How old they may get.
    oldest: Duration,
}

impl Issuer {
    /// An issuer whose keys come with the configuration.
    pub(super) fn fixed(name: &str, audience: &[String], keys: KeySet) -> Self {
        Self {
            name: name.into(),
            audience: audience.to_vec(),
            org: None,
            map: Mapping::default(),
            keys: RwLock::new(Held { keys: Arc::new(keys), read: None, oldest: Duration::MAX }),
            source: None,
            freshness: Freshness::default(),
        }
    }

    /// A configured issuer; its files are read, its addresses are not asked yet.
    ///
    /// # Errors
    /// A sentence that names the issuer and what is wrong.
    pub(super) fn configured(config: &IssuerConfig, times: &RefreshTimes) -> Result<Self, String> {
        let wrong = |why: String| format!("[[auth.issuers]] {:?}: {why}", config.issuer);
        if config.issuer.is_empty() {
            return Err(wrong("`issuer` is empty; it is the exact `iss` of the tokens".into()));
        }
        if known(&config.algorithm).is_none_or(|algorithm| !is_shared(algorithm)) {
            return Err(wrong("`algorithm` is HS256, HS384 or HS512".into()));
        }
        let source = Source::of(config).map_err(wrong)?;
        let keys = source.read_now().map_err(wrong)?;
        let read = keys.as_ref().map(|_| Instant::now());
        Ok(Self {
            name: config.issuer.clone(),
            audience: config.audience.clone(),
            org: (!config.org.is_empty()).then(|| Org::new(&config.org)),
            map: Mapping::new(config),
            keys: RwLock::new(Held { keys: Arc::new(keys.unwrap_or_default()), read, oldest: times.oldest }),
            source: Some(source),
            freshness: Freshness::default(),
        })
    }

    /// Checks a token's signature and what it claims.
    pub(super) fn verify(&self, token: &Token<'_>, claims: &Claims<'_>, now: u64) -> Result<Identity, Fault> {
        self.verify_signature(token)?;
        if !self.name.is_empty() && claims.issuer()?.as_deref() != Some(&self.name) {
            return Err(Fault::Issuer);
        }
        if !self.audience.is_empty() && !claims.is_for(&self.audience) {
            return Err(Fault::Audience);
        }
        claims.identity(&self.map, self.org.as_ref(), now)
    }

    fn verify_signature(&self, token: &Token<'_>) -> Result<(), Fault> {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if held.read.is_some_and(|read| read.elapsed() > held.oldest) {
            return Err(Fault::UnknownKey);
        }
        if is_shared(token.algorithm) {
            return held.keys.verify(token);
        }
        // A public key takes its time; whoever brings new keys does not wait for it.
        let keys = held.keys.clone();
        drop(held);
        keys.verify(token)
    }

    /// Puts new keys in force.
    pub(super) fn replace(&self, keys: KeySet) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held { keys: Arc::new(keys), read: Some(Instant::now()), oldest: held.oldest };
    }

    /// Whether it has a key of this name.
    pub(super) fn has_key(&self, name: &str) -> bool {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).keys.has(name)
    }

    /// How many keys are held, and for how many seconds; `None` if they do not age.
    pub(super) fn keys(&self) -> (usize, Option<u64>) {
        let held = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        (held.keys.len(), held.read.map(|read| read.elapsed().as_secs()))
    }
}

/// Whether an algorithm uses a secret that both sides know; its cost does not hold up a shard.
pub(super) fn is_shared(algorithm: jsonwebtoken::Algorithm) -> bool {
    use jsonwebtoken::Algorithm::{HS256, HS384, HS512};
    matches!(algorithm, HS256 | HS384 | HS512)
}

/// The keys of secrets that are the same on both sides.
///
/// # Errors
/// As [`Key::secret`].
pub(super) fn shared_keys<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Result<KeySet, String> {
    let keys: Result<Vec<_>, _> =
        secrets.into_iter().map(|secret| Key::secret(secret, jsonwebtoken::Algorithm::HS256)).collect();
    keys.map(KeySet::unnamed)
}
