//! Who a token says its bearer is.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;
use tidings_core::{Code, Identity, Org, Refusal};

/// Verifies tokens signed with the shared secret (HS256).
///
/// The key carries its algorithm: a token that names another one is refused. `exp` is demanded,
/// `nbf` judged; the user is `sub`, else `userId`, else `id`.
pub struct SignIn {
    key: DecodingKey,
    validation: Validation,
}

/// The least bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// Seconds by which clocks may differ.
const LEEWAY_SECONDS: u64 = 30;

/// A token longer than this is refused before it is looked at.
const TOKEN_BYTES: usize = 8_192;

/// Claims that have a field of their own and are not kept as others.
const KNOWN: [&str; 14] = [
    "sub",
    "userId",
    "id",
    "org",
    "roles",
    "email_verified",
    "name",
    "exp",
    "nbf",
    "iat",
    "scope",
    "iss",
    "aud",
    "jti",
];

#[derive(Debug, Deserialize)]
struct Claims {
    exp: u64,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

impl SignIn {
    /// Verifies with the raw bytes of a secret.
    ///
    /// # Errors
    /// A sentence if it is shorter than [`SECRET_BYTES`].
    pub fn new(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("the signing secret must have at least {SECRET_BYTES} bytes"));
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        // Issuer and audience are judged once they can be configured.
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp"]);
        Ok(Self { key: DecodingKey::from_secret(secret), validation })
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`Code::TokenExpired`] for one that was good, [`Code::Unauthorized`] for any other.
    pub fn verify(&self, token: &str) -> Result<Identity, Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::new(Code::Unauthorized, "the token is too long"));
        }
        let claims = decode::<Claims>(token, &self.key, &self.validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::ExpiredSignature => Refusal::new(Code::TokenExpired, "the token has expired"),
                _ => Refusal::new(Code::Unauthorized, "the token is not valid"),
            }
        })?;
        identity(claims.claims)
    }
}

fn identity(claims: Claims) -> Result<Identity, Refusal> {
    let other = &claims.other;
    let text = |name: &str| other.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let user = ["sub", "userId", "id"].into_iter().find_map(|name| match other.get(name) {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => text(name).map(str::to_owned),
    });
    let user = user.filter(|user| user.len() <= 200 && !user.chars().any(char::is_control));
    let user = user.ok_or_else(|| Refusal::new(Code::Unauthorized, "the token names no user"))?;
    let org = match other.get("org") {
        None | Some(Value::Null) => Org::default(),
        Some(_) => text("org")
            .filter(|org| org.len() <= 200 && !org.chars().any(char::is_control))
            .map(Org::new)
            .ok_or_else(|| Refusal::new(Code::Unauthorized, "the token's organisation is not valid"))?,
    };
    let roles = other.get("roles").and_then(Value::as_array);
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        _ => None,
    };
    let rest = other.iter().filter(|(name, _)| !KNOWN.contains(&name.as_str()));
    Ok(Identity {
        user: Some(user.into()),
        org,
        name: text("name").map(Into::into),
        roles: roles.into_iter().flatten().filter_map(|role| role.as_str().map(Into::into)).collect(),
        email_verified: other.get("email_verified") == Some(&Value::Bool(true)),
        scopes: text("scope").unwrap_or("").split_ascii_whitespace().map(Into::into).collect(),
        claims: rest.filter_map(|(name, value)| Some((name.as_str().into(), plain(value)?))).collect(),
        expires_at: Some(claims.exp),
    })
}

/// Seconds since 1970.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

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
