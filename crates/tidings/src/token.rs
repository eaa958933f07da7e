//! `tidings token`: tokens signed with the server's own secret.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::config::{self, LocateFlags, random_hex};
use crate::output;

/// Issuer and audience of the tokens that Tidings issues.
const OURS: &str = "tidings";

/// `tidings token`.
#[derive(Debug, Args)]
pub(crate) struct TokenLine {
    /// The user it speaks for (claim `sub`).
    #[arg(long, value_name = "ID")]
    user: String,
    /// The user's organisation.
    #[arg(long, default_value = "default")]
    org: String,
    /// A role of the user; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A scope; may be repeated. `publish` and `admin` make it a server's token.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The name others see.
    #[arg(long)]
    name: Option<String>,
    /// Says that the user's e-mail address is verified.
    #[arg(long)]
    verified: bool,
    /// How long it is valid: 90s, 30m, 1h, 7d. It cannot be called back before.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: Duration,
    #[command(flatten)]
    locate: LocateFlags,
}

/// Prints one token.
///
/// # Errors
/// No good secret; an empty user, organisation or scope.
pub(crate) fn run(line: TokenLine) -> Result<()> {
    let secret = config::resolve_secret(&config::resolve(&line.locate.inputs())?)?;
    if let Some(warning) = &secret.warning {
        output::note(&format!("tidings: {warning}"));
    }
    if line.user.is_empty() || line.org.is_empty() {
        bail!("a token needs a user and an organisation that are not empty");
    }
    if line.scopes.iter().any(|scope| scope.is_empty() || scope.contains(' ')) {
        bail!("a scope is one word; repeat --scope for several");
    }
    let grant = Grant {
        user: line.user,
        org: line.org,
        roles: line.roles,
        scopes: line.scopes,
        name: line.name,
        verified: line.verified,
        ttl: line.ttl,
    };
    output::line(&grant.sign(&secret.text)?)
}

/// What a token is to say.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The user.
    pub(crate) user: String,
    /// The organisation.
    pub(crate) org: String,
    /// The user's roles.
    pub(crate) roles: Vec<String>,
    /// Scopes, one word each.
    pub(crate) scopes: Vec<String>,
    /// The name others see.
    pub(crate) name: Option<String>,
    /// Whether the e-mail address is verified.
    pub(crate) verified: bool,
    /// How long it is valid from now.
    pub(crate) ttl: Duration,
}

impl Grant {
    /// A service that may publish, as `user` of the default organisation.
    pub(crate) fn service(user: &str, ttl: Duration) -> Self {
        Self {
            user: user.into(),
            org: "default".into(),
            roles: Vec::new(),
            scopes: vec!["publish".into()],
            name: None,
            verified: false,
            ttl,
        }
    }

    /// Signs it with HS256 (RFC 7515 appendix A.1).
    ///
    /// # Errors
    /// No clock or no randomness.
    pub(crate) fn sign(&self, secret: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = Claims {
            iss: OURS,
            aud: OURS,
            sub: &self.user,
            org: &self.org,
            roles: &self.roles,
            email_verified: self.verified,
            iat: now,
            exp: now.saturating_add(self.ttl.as_secs()),
            jti: random_hex::<16>()?,
            typ: "access",
            scope: self.scopes.join(" "),
            name: self.name.as_deref(),
        };
        let key = EncodingKey::from_secret(secret.as_bytes());
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
    }
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    org: &'a str,
    roles: &'a [String],
    email_verified: bool,
    iat: u64,
    exp: u64,
    jti: String,
    typ: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Reads `90s`, `30m`, `1h` or `7d`, one second or more; a bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..) {
        Some("" | "s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        Some("d") => 86_400,
        _ => return Err(format!("`{text}` has no unit of s, m, h or d")),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match number {
        Some(seconds @ 1..=MOST_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{text}` is not a duration such as 90s, 30m, 1h or 7d, of at most ten years")),
    }
}

const MOST_SECONDS: u64 = 10 * 366 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_bound() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "h", "0", "1.5h", "-1s", "1 h", "1w", "99999999999999999999d", "4000d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
