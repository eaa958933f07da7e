//! Tokens that this server signs itself.

use std::fmt;

use compact_str::CompactString;
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::Sha256;

use super::claims::{NAME_BYTES, USER_BYTES};
use super::issuer::Issuer;
use super::keys::{Key, KeySet};

/// What the key of our own access tokens is derived for. Another purpose has another label, so that
/// no key ever has two.
const PURPOSE: &[u8] = b"tidings access token signing key, version 1";

/// What a token is to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The user (`sub`).
    pub user: String,
    /// The organisation.
    pub org: String,
    /// The display name.
    pub name: Option<String>,
    /// The roles.
    pub roles: Vec<String>,
    /// Whether the e-mail address is verified.
    pub email_verified: bool,
    /// Scopes, one word each.
    pub scopes: Vec<String>,
    /// The token's own id (`jti`); `None`: a random one.
    pub token_id: Option<String>,
    /// Seconds from now to its end.
    pub lifetime_seconds: u64,
}

/// The server's own key: derived from the secret, and different from it.
#[derive(Clone)]
pub(super) struct OwnKey {
    name: CompactString,
    secret: [u8; 32],
}

impl OwnKey {
    /// Derives it; the same secret always gives the same key (RFC 5869 section 2.3, one block).
    pub(super) fn derive(secret: &[u8]) -> Self {
        let key = prf(secret, PURPOSE);
        let name = prf(&key, b"name")
            .iter()
            .take(6)
            .fold(String::from("own-"), |text, byte| format!("{text}{byte:02x}"));
        Self { name: name.into(), secret: key }
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A key of `secret` for one purpose (RFC 5869 section 2.3, one block).
pub(super) fn prf(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { unreachable!("any length will do") };
    mac.update(label);
    mac.update(&[1]);
    mac.finalize().into_bytes().into()
}

/// Verifies the tokens of these keys.
///
/// # Errors
/// As [`Key::secret`]; derived keys are long enough.
pub(super) fn own_issuer(name: &str, keys: &[OwnKey]) -> Result<Issuer, String> {
    let named: Result<Vec<_>, String> =
        keys.iter().map(|own| Ok((own.name.clone(), Key::secret(&own.secret, Algorithm::HS256)?))).collect();
    Ok(Issuer::fixed(name, &[name.to_owned()], KeySet::named(named?)))
}

/// Signs tokens of our own.
#[derive(Debug, Clone)]
pub struct Signer {
    key: OwnKey,
    issuer: String,
}

impl Signer {
    /// Signs in the name of `issuer` with a key derived from a server's secret.
    pub fn new(secret: &[u8], issuer: &str) -> Self {
        Self { key: OwnKey::derive(secret), issuer: issuer.into() }
    }

    /// Makes a token.
    ///
    /// # Errors
    /// A sentence if the grant cannot be put into one, or the system has no randomness.
    pub fn sign(&self, grant: &Grant) -> Result<String, String> {
        self.sign_at(grant, super::now_seconds())
    }

    /// Makes a token that says it was made at a second.
    pub(super) fn sign_at(&self, grant: &Grant, now: u64) -> Result<String, String> {
        sign(&self.key, &self.issuer, grant, now)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    org: &'a str,
    roles: &'a [String],
    email_verified: bool,
    iat: u64,
    exp: u64,
    jti: &'a str,
    typ: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Header and claims are as RFC 9068 has them.
fn sign(key: &OwnKey, issuer: &str, grant: &Grant, now: u64) -> Result<String, String> {
    let may_be = |name: &str, most| (1..=most).contains(&name.len()) && !name.chars().any(char::is_control);
    if !may_be(&grant.user, USER_BYTES) || !may_be(&grant.org, NAME_BYTES) {
        return Err(format!(
            "a token needs a user of 1 to {USER_BYTES} and an organisation of 1 to {NAME_BYTES} printable bytes"
        ));
    }
    if grant.scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
        return Err("a scope is one word".into());
    }
    let random = crate::ids::random_hex().map_err(|error| error.to_string())?;
    let claims = Claims {
        iss: issuer,
        aud: issuer,
        sub: &grant.user,
        org: &grant.org,
        roles: &grant.roles,
        email_verified: grant.email_verified,
        iat: now,
        exp: now.saturating_add(grant.lifetime_seconds),
        jti: grant.token_id.as_deref().unwrap_or(&random),
        typ: "access",
        scope: grant.scopes.join(" "),
        name: grant.name.as_deref(),
    };
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some("at+jwt".into());
    header.kid = Some(key.name.to_string());
    let signing = EncodingKey::from_secret(&key.secret);
    jsonwebtoken::encode(&header, &claims, &signing).map_err(|error| error.to_string())
}
