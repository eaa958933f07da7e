//! The secret that signs questions to the team's own backend.

use std::path::Path;

use anyhow::Result;
use tidings_server::config::Config;

use super::{refuse, secret};

/// Finds the secret of the hooks; empty where nobody is asked.
///
/// # Errors
/// [`super::Misconfigured`] for a secret that is missing, weak or set twice.
pub(super) fn resolve(config: &Config) -> Result<String> {
    let hooks = &config.hooks;
    if !hooks.any() {
        return Ok(String::new());
    }
    let text = match (hooks.secret.is_empty(), hooks.secret_file.is_empty()) {
        (false, false) => refuse!("both hooks.secret and hooks.secret_file are set; set one"),
        (true, true) => refuse!(
            "hooks need a secret that signs their questions: set TIDINGS_HOOKS__SECRET or hooks.secret_file; \
             `openssl rand -hex 32` makes a good one"
        ),
        (false, true) => hooks.secret.clone(),
        (true, false) => secret::from_file(Path::new(&hooks.secret_file), "secret of the hooks")?.text,
    };
    if let Some(reason) = secret::weakness(&text) {
        refuse!("the secret of the hooks {reason}; `openssl rand -hex 32` makes a good one");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = "kP9$wq!mZ2#vB7^nR4&tX1*cL6(hJ3)d";

    fn with(secret: &str) -> Config {
        let mut config = Config::default();
        config.hooks.connect = "https://backend.example/hooks".into();
        config.hooks.secret = secret.into();
        config
    }

    #[test]
    fn hooks_need_a_secret() {
        let refused = |config: &Config| resolve(config).unwrap_err().to_string();
        assert!(refused(&with("")).contains("TIDINGS_HOOKS__SECRET"));
        assert!(refused(&with("short")).contains("at least 32"));
        let mut twice = with(GOOD);
        twice.hooks.secret_file = "/somewhere".into();
        assert!(refused(&twice).contains("set one"));
        assert_eq!(resolve(&with(GOOD)).unwrap(), GOOD);
    }

    #[test]
    fn without_hooks_no_secret_is_needed() {
        assert_eq!(resolve(&Config::default()).unwrap(), "");
    }
}
