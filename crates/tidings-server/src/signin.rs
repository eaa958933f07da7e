//! Who a token says its bearer is, and whether that is believed.
//!
//! | file | what it is |
//! |---|---|
//! | `token`, `strict` | a token's parts, read strictly |
//! | `keys`, `source`, `fetch`, `refresh` | keys pinned to their algorithm, where they are read, and when again |
//! | `issuer`, `claims` | whose tokens are believed, and what they say |
//! | `purposes` | that no secret serves two purposes |
//! | `issue` | tokens of our own |
//! | `seal` | secrets of others that are kept in the database |
//! | `id_token`, `kept` | who somebody is at an OpenID Connect provider; what it was asked, kept for a while |
//! | `revoked` | tokens that were called back |
//! | `api_key` | keys of other programs |
//! | `fault` | what can be wrong |

pub mod api_key;
mod claims;
mod fault;
pub(crate) mod fetch;
pub(crate) mod id_token;
mod issue;
mod issuer;
pub(crate) mod kept;
mod keys;
mod purposes;
mod refresh;
pub mod revoked;
mod seal;
mod source;
mod strict;
mod token;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidings_core::{Identity, Org, Refusal};
use tokio::sync::{Semaphore, watch};

use crate::config::AuthConfig;
use claims::Claims;
use fault::Faults;
use issue::OwnKey;
use issuer::{Issuer, is_shared};
use revoked::Revoked;
use seal::Seals;
use token::Token;

pub use api_key::{ApiKey, ApiKeys, Found};
pub use fault::Fault;
pub use issue::{Grant, Signer};
pub(crate) use purposes::refuse_shared_with_hooks;
pub use refresh::RefreshTimes;
pub use revoked::Revocation;
pub use token::TOKEN_BYTES;

/// The least bytes of a secret (RFC 7518 section 3.2).
pub const SECRET_BYTES: usize = 32;

/// Seconds by which a token of ours may be dated ahead; every node takes them for good (30 s).
const AHEAD_SECONDS: u64 = 10;

/// Issuers that can be configured.
pub const ISSUERS: usize = 32;

/// Tokens that wait for a key at once, and tokens that wait for their turn to be checked with a
/// public key; more of either are refused as `unavailable`.
const WAITING: usize = 1_024;

/// Decides who the bearer of a token is.
///
/// A key carries its algorithm and belongs to one issuer; a token whose `iss` is a configured
/// issuer's is judged by that issuer's keys alone, any other by the shared secret. Nothing in a
/// token leads to a file, an address or a query.
pub struct SignIn {
    signer: Signer,
    own: Issuer,
    shared: Issuer,
    issuers: HashMap<String, Arc<Issuer>>,
    times: RefreshTimes,
    /// Places of tokens that wait for a key.
    waiting: Semaphore,
    /// Places of tokens that wait for a turn.
    queue: Semaphore,
    /// Public keys at work at once: half of the threads, so that a flood of forged tokens leaves the
    /// others for everything else.
    turns: Semaphore,
    revoked: Revoked,
    seals: Seals,
    faults: Faults,
}

/// How far a token could be judged without keeping a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is good, and this is who its bearer is.
    Known(Identity),
    /// Its signature takes a public key: [`SignIn::verify_on_front`] has to judge it.
    Front,
}

/// What is known of an issuer's keys, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerHealth {
    /// The issuer's name.
    pub issuer: String,
    /// Keys held.
    pub keys: usize,
    /// Seconds since they were read; `None`: never.
    pub age_seconds: Option<u64>,
    /// Readings that brought keys.
    pub good: u64,
    /// Readings that did not.
    pub failed: u64,
}

impl SignIn {
    /// Judges by a shared secret alone.
    ///
    /// # Errors
    /// A sentence if it is shorter than [`SECRET_BYTES`].
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        let jwt_secret = String::from_utf8(secret.to_vec()).map_err(|_| "the signing secret is not text")?;
        Self::configured(&AuthConfig { jwt_secret, ..AuthConfig::default() })
    }

    /// Judges as configured; files of keys are read, `jwt_secret` has to be resolved.
    ///
    /// # Errors
    /// A sentence that says what about the configuration cannot be used.
    pub fn configured(config: &AuthConfig) -> Result<Self, String> {
        Self::with_times(config, RefreshTimes::default())
    }

    /// The same with other times for reading keys again.
    ///
    /// # Errors
    /// As [`SignIn::configured`].
    pub fn with_times(config: &AuthConfig, times: RefreshTimes) -> Result<Self, String> {
        let previous = Some(&config.jwt_secret_previous).filter(|secret| !secret.is_empty());
        let secrets: Vec<&[u8]> =
            [&config.jwt_secret].into_iter().chain(previous).map(|s| s.as_bytes()).collect();
        refuse_doubles(config)?;
        let shared = Issuer::fixed(&config.issuer, &config.audience, issuer::shared_keys(secrets.clone())?);
        let own: Vec<OwnKey> = secrets.iter().map(|secret| OwnKey::derive(secret)).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut issuers = HashMap::new();
        for configured in &config.issuers {
            let issuer = Issuer::configured(configured, &times)?;
            issuers.insert(issuer.name.clone(), Arc::new(issuer));
        }
        Ok(Self {
            own: issue::own_issuer(&config.own_issuer, &own)?,
            signer: Signer::new(config.jwt_secret.as_bytes(), &config.own_issuer),
            shared,
            issuers,
            times,
            waiting: Semaphore::new(WAITING),
            queue: Semaphore::new(WAITING),
            turns: Semaphore::new(threads.div_ceil(2)),
            revoked: Revoked::default(),
            seals: Seals::derive(&secrets),
            faults: Faults::default(),
        })
    }

    /// Keeps the issuers' keys fresh, on the runtime of the caller, until `stop` changes.
    pub fn keep_fresh(&self, stop: &watch::Receiver<bool>) {
        for reader in self.readers(stop) {
            tokio::spawn(reader);
        }
    }

    /// What keeps the keys of each issuer fresh that has a source, until `stop` changes.
    pub(crate) fn readers(
        &self,
        stop: &watch::Receiver<bool>,
    ) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<>> {
        let read = self.issuers.values().filter(|issuer| issuer.source.is_some());
        read.map(|issuer| refresh::keep_fresh(issuer.clone(), self.times, stop.clone()))
    }

    /// Judges a token as far as that does not keep a shard: all but public keys.
    ///
    /// # Errors
    /// What the client is told.
    pub fn check(&self, token: &str) -> Result<Verdict, Refusal> {
        self.examined(token).map_err(|fault| self.refuse(fault))
    }

    /// The same, and says exactly what is wrong; the caller has to [`SignIn::refuse`] it.
    pub(crate) fn examined(&self, token: &str) -> Result<Verdict, Fault> {
        self.judge(token, false)
    }

    /// Judges on the front, and says exactly what is wrong; the caller has to [`SignIn::refuse`] it.
    pub(crate) async fn examined_on_front(&self, token: &str) -> Result<Identity, Fault> {
        self.verified_on_front(token).await
    }

    /// Judges on the front with the keys that are held, without waiting for newer ones; says exactly what is
    /// wrong, and whether a public key found it. Nothing is counted: it does not sign anybody in.
    pub(crate) async fn examined_as_held(&self, token: &str) -> Result<Identity, (Fault, bool)> {
        match self.judge(token, false).map_err(|fault| (fault, false))? {
            Verdict::Known(who) => Ok(who),
            Verdict::Front => self.verified_in_turn(token).await.map_err(|fault| (fault, true)),
        }
    }

    /// Counts what is wrong with a token; answers what its bearer is told.
    pub(crate) fn refuse(&self, fault: Fault) -> Refusal {
        self.faults.count(fault)
    }

    /// Judges a token with the keys that are held now; never waits, but a public key takes up to a
    /// millisecond.
    ///
    /// # Errors
    /// What the client is told.
    pub fn verify(&self, token: &str) -> Result<Identity, Refusal> {
        self.verified(token).map_err(|fault| self.faults.count(fault))
    }

    /// The same, and says exactly what is wrong with the token; not for clients.
    ///
    /// # Errors
    /// The fault.
    pub fn verified(&self, token: &str) -> Result<Identity, Fault> {
        match self.judge(token, true)? {
            Verdict::Known(who) => Ok(who),
            // With all means a verdict is final.
            Verdict::Front => Err(Fault::Algorithm),
        }
    }

    /// Judges a token on the front; a key that is not known is waited for, but only one reading long.
    ///
    /// # Errors
    /// What the client is told; `unavailable` if too many wait already.
    pub async fn verify_on_front(&self, token: &str) -> Result<Identity, Refusal> {
        self.verified_on_front(token).await.map_err(|fault| self.faults.count(fault))
    }

    async fn verified_on_front(&self, token: &str) -> Result<Identity, Fault> {
        if let Verdict::Known(who) = self.judge(token, false)? {
            return Ok(who);
        }
        match self.verified_in_turn(token).await {
            Err(Fault::UnknownKey) => {}
            judged => return judged,
        }
        self.renewed_for(token).await?;
        self.verified_in_turn(token).await
    }

    async fn verified_in_turn(&self, token: &str) -> Result<Identity, Fault> {
        let Ok(_place) = self.queue.try_acquire() else { return Err(Fault::Busy) };
        let Ok(_turn) = self.turns.acquire().await else { return Err(Fault::Busy) };
        self.verified(token)
    }

    /// Waits for newer keys of the issuer that a token names.
    async fn renewed_for(&self, token: &str) -> Result<(), Fault> {
        let name = {
            let token = Token::read(token)?;
            Claims::read(&token.claims)?.issuer()?.unwrap_or_default().into_owned()
        };
        let issuer = self.issuers.get(&name).ok_or(Fault::UnknownKey)?;
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Fault::Busy) };
        if issuer.freshness.renewed(&self.times).await { Ok(()) } else { Err(Fault::UnknownKey) }
    }

    /// Makes a token of our own.
    ///
    /// A revocation concerns all tokens of the second in which it was made, since tokens do not say
    /// more exactly when they were. One that is made here after it is dated behind it: by a second, and by one
    /// more for each further revocation in the same second, [`AHEAD_SECONDS`] at most.
    ///
    /// # Errors
    /// A sentence if the grant cannot be put into one.
    pub fn issue(&self, grant: &Grant) -> Result<String, String> {
        self.issue_from(grant, 0)
    }

    /// The same, dated at this second at least, from which on the user's tokens are good by the store.
    pub(crate) fn issue_from(&self, grant: &Grant, good_from: u64) -> Result<String, String> {
        let good_from = self.revoked.good_from(&Org::new(&grant.org), &grant.user).max(good_from);
        let now = now_seconds();
        self.signer.sign_at(grant, now.max(good_from.min(now + AHEAD_SECONDS)))
    }

    /// The tokens that were called back.
    pub fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What seals secrets that are kept in the database.
    pub(crate) fn seals(&self) -> &Seals {
        &self.seals
    }

    /// How often each fault was found.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.faults.read()
    }

    /// How the keys of each configured issuer are.
    pub fn health(&self) -> Vec<IssuerHealth> {
        let health = |issuer: &Arc<Issuer>| {
            let (keys, age_seconds) = issuer.keys();
            let count =
                |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
            let (good, failed) = (count(&issuer.freshness.good), count(&issuer.freshness.failed));
            IssuerHealth { issuer: issuer.name.clone(), keys, age_seconds, good, failed }
        };
        let mut all: Vec<_> = self.issuers.values().map(health).collect();
        all.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        all
    }

    fn judge(&self, token: &str, with_public_keys: bool) -> Result<Verdict, Fault> {
        let token = Token::read(token)?;
        let claims = Claims::read(&token.claims)?;
        let issuer = self.issuer_of(&token, &claims)?;
        if !with_public_keys && !is_shared(token.algorithm) {
            // Only a configured issuer has public keys.
            return if issuer.source.is_some() { Ok(Verdict::Front) } else { Err(Fault::Algorithm) };
        }
        let who = issuer.verify(&token, &claims, now_seconds())?;
        if self.revoked.concerns(&who) { Err(Fault::Revoked) } else { Ok(Verdict::Known(who)) }
    }

    /// Whose keys a token is judged by; what it says of itself chooses among those we know, no more.
    fn issuer_of(&self, token: &Token<'_>, claims: &Claims<'_>) -> Result<&Issuer, Fault> {
        let name = claims.issuer()?;
        let Some(name) = name.as_deref() else { return Ok(&self.shared) };
        if let Some(issuer) = self.issuers.get(name) {
            return Ok(issuer);
        }
        let is_own = token.kid.as_ref().is_some_and(|kid| self.own.has_key(kid));
        Ok(if is_own && name == self.own.name { &self.own } else { &self.shared })
    }
}

/// Reads a secret that somebody else has given to this server.
///
/// # Errors
/// A sentence if it cannot be read or is empty.
pub(crate) fn read_secret_file(path: &str) -> Result<String, String> {
    let text = source::read_file(path.as_ref())?;
    match source::secret_of(&text) {
        "" => Err("is empty".into()),
        secret => Ok(secret.to_owned()),
    }
}

/// What somebody is told whose provider said something that is not believed.
pub(crate) fn refused(fault: Fault, provider: &str) -> Refusal {
    tracing::info!(fault = fault.label(), provider, "an ID token was refused");
    match fault {
        Fault::Busy => fault.refusal(),
        _ => Refusal::new(tidings_core::Code::Unauthorized, "the provider's answer is not valid"),
    }
}

/// Refuses names that mean two issuers, and secrets that serve two purposes.
fn refuse_doubles(config: &AuthConfig) -> Result<(), String> {
    if config.issuers.len() > ISSUERS {
        return Err(format!("more than {ISSUERS} [[auth.issuers]]"));
    }
    if config.own_issuer.is_empty() {
        return Err("`auth.own_issuer` is empty; it is the `iss` of the tokens this server issues".into());
    }
    if !config.jwt_secret.is_empty() && config.jwt_secret == config.jwt_secret_previous {
        return Err("the previous signing secret is the current one; remove it".into());
    }
    let mut seen = vec![config.own_issuer.as_str()];
    for issuer in std::iter::once(config.issuer.as_str())
        .filter(|name| !name.is_empty())
        .chain(config.issuers.iter().map(|issuer| issuer.issuer.as_str()))
    {
        if seen.contains(&issuer) {
            return Err(format!("{issuer:?} is the name of two issuers"));
        }
        seen.push(issuer);
    }
    purposes::refuse_shared(config)
}

/// Seconds since 1970.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use serde_json::{Value, json};
    use tidings_core::Code;

    use super::*;

    const SECRET: &[u8] = b"a secret of the tests, 32 bytes or more";

    fn token(claims: &Value) -> String {
        encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn verify(claims: &Value) -> Result<Identity, Code> {
        SignIn::new(SECRET).unwrap().verify(&token(claims)).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_user_is_sub_then_user_id_then_id() {
        let exp = now_seconds() + 60;
        let user = |claims: Value| verify(&claims).unwrap().user.unwrap().to_string();
        assert_eq!(user(json!({"exp": exp, "sub": "a", "userId": "b", "id": "c"})), "a");
        assert_eq!(user(json!({"exp": exp, "userId": "b", "id": "c"})), "b");
        assert_eq!(user(json!({"exp": exp, "id": 7})), "7");
        assert_eq!(verify(&json!({"exp": exp})), Err(Code::Unauthorized));
    }

    #[test]
    fn a_token_needs_an_expiry_that_has_not_passed() {
        assert_eq!(verify(&json!({"sub": "a"})), Err(Code::Unauthorized));
        assert_eq!(verify(&json!({"sub": "a", "exp": now_seconds() - 3_600})), Err(Code::TokenExpired));
        assert_eq!(verify(&json!({"sub": "a", "exp": "soon"})), Err(Code::Unauthorized));
        let nbf = now_seconds() + 3_600;
        assert_eq!(verify(&json!({"sub": "a", "exp": nbf + 60, "nbf": nbf})), Err(Code::Unauthorized));
    }

    #[test]
    fn a_token_of_another_algorithm_or_key_is_refused() {
        let sign_in = SignIn::new(SECRET).unwrap();
        let claims = json!({"sub": "a", "exp": now_seconds() + 60});
        let other =
            encode(&Header::new(Algorithm::HS384), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
        assert_eq!(sign_in.verify(&other).unwrap_err().code, Code::Unauthorized);
        let foreign = encode(&Header::default(), &claims, &EncodingKey::from_secret(&[7; 40])).unwrap();
        assert_eq!(sign_in.verify(&foreign).unwrap_err().code, Code::Unauthorized);
        for text in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(10_000)] {
            assert_eq!(sign_in.verify(text).unwrap_err().code, Code::Unauthorized);
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(SignIn::new(&[1; 31]).is_err());
    }
}
