//! ID tokens of OpenID Connect providers: who somebody is there, said to us alone, once.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tidings_wire::json;
use tokio::sync::Mutex;

use super::claims::Claims;
use super::fetch::{self, Address};
use super::issuer::is_shared;
use super::kept::Kept;
use super::keys::KeySet;
use super::token::Token;
use super::{Fault, now_seconds};

/// A provider's keys are read again after so long, and for a key that is not known at most this often.
const KEYS_GOOD: Duration = Duration::from_secs(3_600);
const KEYS_EVERY: Duration = Duration::from_secs(10);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a subject (OpenID Connect Core section 2) and of other texts that are kept.
const SUBJECT_BYTES: usize = 255;
const TEXT_BYTES: usize = 254;

/// What a provider says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The provider's id of them.
    pub(crate) subject: String,
    /// Their address.
    pub(crate) email: Option<String>,
    /// Whether the provider says that it is theirs.
    pub(crate) email_verified: bool,
    /// The name others see.
    pub(crate) name: Option<String>,
}

/// Judges the ID tokens of one provider.
pub(crate) struct IdTokens {
    issuer: String,
    client: String,
    keys: Mutex<Kept<KeySet>>,
}

impl IdTokens {
    pub(crate) fn new(issuer: &str, client: &str) -> Self {
        Self { issuer: issuer.into(), client: client.into(), keys: Mutex::default() }
    }

    /// Judges a token by the provider's keys, for the sign-in that made `nonce` (OpenID Connect Core 3.1.3.7).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) async fn verify(&self, keys: &Address, token: &str, nonce: &str) -> Result<Claimed, Fault> {
        let token = Token::read(token)?;
        let claims = Claims::read(&token.claims)?;
        // A key that both sides know is the client's secret; who has it could sign for anybody.
        if is_shared(token.algorithm) {
            return Err(Fault::Algorithm);
        }
        match self.keys(keys, KEYS_GOOD).await?.verify(&token) {
            Err(Fault::UnknownKey) => self.keys(keys, KEYS_EVERY).await?.verify(&token)?,
            judged => judged?,
        }
        self.claimed(&claims, nonce)
    }

    fn claimed(&self, claims: &Claims<'_>, nonce: &str) -> Result<Claimed, Fault> {
        if claims.issuer()?.as_deref() != Some(&self.issuer) {
            return Err(Fault::Issuer);
        }
        if !claims.is_for(std::slice::from_ref(&self.client)) {
            return Err(Fault::Audience);
        }
        let several =
            claims.top("aud").is_some_and(|aud| aud.starts_with('[') && json::elements(aud).count() > 1);
        match claims.top("azp").map(json::string) {
            Some(party) if party.as_deref() != Some(self.client.as_str()) => return Err(Fault::Audience),
            None if several => return Err(Fault::Audience),
            _ => {}
        }
        claims.times(now_seconds())?;
        let said = claims.text("nonce").ok_or(Fault::Claims)?;
        if !bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Fault::Claims);
        }
        let text = |name: &str, most: usize| {
            claims.text(name).filter(|text| text.len() <= most).map(|text| text.into_owned())
        };
        Ok(Claimed {
            subject: text("sub", SUBJECT_BYTES).ok_or(Fault::User)?,
            email: text("email", TEXT_BYTES),
            email_verified: claims.top("email_verified") == Some("true"),
            name: text("name", TEXT_BYTES),
        })
    }

    /// The keys, no older than `most`; one reads them, the others wait for that.
    async fn keys(&self, address: &Address, most: Duration) -> Result<Arc<KeySet>, Fault> {
        let read = async {
            let fetched = fetch::get(address, PATIENCE).await?;
            let text = String::from_utf8(fetched.body).map_err(|_| "the key set is not UTF-8".to_owned())?;
            KeySet::from_jwks(&text)
        };
        self.keys.lock().await.get_or_ask(most, read).await.map_err(|why| {
            tracing::warn!(issuer = %self.issuer, why, "the keys of a provider cannot be read");
            Fault::Busy
        })
    }
}
