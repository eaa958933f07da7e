//! The secret that signs questions to the team's own backend.

use std::path::Path;

use anyhow::Result;
use tidings_server::config::Config;
use tidings_server::is_key_of_hooks;

use super::{refuse, secret};

/// Finds the secret of the hooks; empty where nobody is asked.
///
/// # Errors
/// [`super::Misconfigured`] for a secret that is missing, weak, set twice, or one that signs tokens.
pub(crate) fn resolve(config: &Config, signing: &[&str]) -> Result<String> {
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
    if signing.iter().any(|signing| is_key_of_hooks(&text, signing.as_bytes())) {
        refuse!(
            "the secret of the hooks is the signing secret: the backend could make tokens; give it its own"
        );
    }
    for issuer in config.auth.issuers.iter().filter(|issuer| !issuer.secret_file.is_empty()) {
        let secret = secret::from_file(Path::new(&issuer.secret_file), "secret of an issuer")?;
        if is_key_of_hooks(&text, secret.text.as_bytes()) {
            refuse!("the secret of the hooks signs the tokens of {:?}; give it its own", issuer.issuer);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_server::config::IssuerConfig;

    use super::*;

    const GOOD: &str = "kP9$wq!mZ2#vB7^nR4&tX1*cL6(hJ3)d";

    fn with(secret: &str) -> Config {
        let mut config = Config::default();
        config.hooks.connect = "https://backend.example/hooks".into();
        config.hooks.secret = secret.into();
        config
    }

    #[test]
    fn hooks_need_a_secret_of_their_own() {
        let refused = |config: &Config, jwt: &str| resolve(config, &[jwt]).unwrap_err().to_string();
        assert!(refused(&with(""), "jwt").contains("TIDINGS_HOOKS__SECRET"));
        assert!(refused(&with("short"), "jwt").contains("at least 32"));
        assert!(refused(&with(GOOD), GOOD).contains("its own"));
        // The same key, written as webhooks write theirs.
        let encoded = "whsec_YSBzZWNyZXQgdGhhdCBzaWducyB0b2tlbnMsIDMyIGJ5dGVzIGF0IGxlYXN0";
        let decoded = "a secret that signs tokens, 32 bytes at least";
        assert!(refused(&with(encoded), decoded).contains("its own"));
        let dir = std::env::temp_dir().join(format!("tidings-hooks-{}", std::process::id()));
        std::fs::write(&dir, GOOD).unwrap();
        let mut signs = with(GOOD);
        let file = dir.to_str().unwrap().to_owned();
        signs.auth.issuers = vec![IssuerConfig { secret_file: file, ..IssuerConfig::default() }];
        let told = refused(&signs, "jwt");
        std::fs::remove_file(&dir).unwrap();
        assert!(told.contains("signs the tokens of"), "{told}");
        let mut twice = with(GOOD);
        twice.hooks.secret_file = "/somewhere".into();
        assert!(refused(&twice, "jwt").contains("set one"));
        assert_eq!(resolve(&with(GOOD), &["jwt"]).unwrap(), GOOD);
    }

    #[test]
    fn without_hooks_no_secret_is_needed() {
        assert_eq!(resolve(&Config::default(), &["jwt"]).unwrap(), "");
    }
}
