//! `tidings token`: tokens signed in the server's own name.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tidings_server::accounts::input;
use tidings_server::config::Config;
use tidings_server::signin::{Grant, Signer};

use crate::config::{self, LocateFlags, Source};
use crate::output;
use crate::people::said;

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
    /// How long it is valid: 90s, 30m, 1h, 7d; it can be called back before, by its `jti` or its user.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: Duration,
    #[command(flatten)]
    locate: LocateFlags,
}

/// Prints one token.
///
/// # Errors
/// No good secret; an empty user, organisation or scope; what is no role.
pub(crate) fn run(line: TokenLine) -> Result<()> {
    line.roles.iter().try_for_each(|role| input::role(role, "--role").map(drop)).map_err(said)?;
    let resolved = config::resolve(&line.locate.inputs())?;
    let secret = config::resolve_secret(&resolved)?;
    if let Some(warning) = &secret.warning {
        output::note(&format!("tidings: {warning}"));
    }
    if secret.source == Source::Made {
        output::note(&format!(
            "tidings: there was no signing secret, so one was made ({}); a server believes this token if it uses that \
             directory",
            secret.origin
        ));
    }
    let grant = Grant {
        user: line.user,
        org: line.org,
        name: line.name,
        roles: line.roles,
        email_verified: line.verified,
        scopes: line.scopes,
        token_id: None,
        lifetime_seconds: line.ttl.as_secs(),
    };
    let token = signer(&resolved.config, &secret.text).sign(&grant).map_err(anyhow::Error::msg)?;
    output::line(&token)
}

/// A service that may publish, as `user` of the default organisation.
pub(crate) fn service(user: &str, ttl: Duration) -> Grant {
    Grant {
        user: user.into(),
        org: "default".into(),
        scopes: vec!["publish".into()],
        lifetime_seconds: ttl.as_secs(),
        ..Grant::default()
    }
}

/// Signs in the name of a configured server.
pub(crate) fn signer(config: &Config, secret: &str) -> Signer {
    Signer::new(secret.as_bytes(), &config.auth.own_issuer)
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
