//! That every secret serves one purpose: whoever has it for one could do the other.

use super::source::{read_file, secret_of};
use crate::config::{AuthConfig, HooksConfig};
use crate::hooks::is_key_of_hooks;

/// A secret of the configuration, and what it is for.
struct Held {
    purpose: String,
    /// The provider that gave it; it may stand here for several organisations.
    provider: Option<String>,
    bytes: Vec<u8>,
}

/// Refuses a secret of tokens or of a provider that serves another such purpose as well.
///
/// # Errors
/// A sentence that names both purposes.
pub(super) fn refuse_shared(config: &AuthConfig) -> Result<(), String> {
    let held = held(config);
    for (at, secret) in held.iter().enumerate() {
        let is_same = |other: &&Held| {
            let one_provider = other.provider.is_some() && other.provider == secret.provider;
            other.bytes == secret.bytes && !one_provider
        };
        if let Some(other) = held.iter().take(at).find(is_same) {
            return Err(shared(&secret.purpose, &other.purpose));
        }
    }
    Ok(())
}

/// Refuses a secret of the hooks, however it is written, that serves another purpose as well.
///
/// # Errors
/// A sentence that names both purposes.
pub(crate) fn refuse_shared_with_hooks(hooks: &HooksConfig, config: &AuthConfig) -> Result<(), String> {
    let is_same = |other: &Held| is_key_of_hooks(&hooks.secret, &other.bytes);
    match held(config).into_iter().find(is_same) {
        Some(other) if hooks.any() => Err(shared("the secret of the hooks", &other.purpose)),
        _ => Ok(()),
    }
}

fn shared(purpose: &str, other: &str) -> String {
    format!(
        "{purpose} serves another purpose already, as {other}: whoever has it for the one could do the other; \
         give each its own"
    )
}

/// Every secret that is there. A file that cannot be read is refused by whoever needs it.
fn held(config: &AuthConfig) -> Vec<Held> {
    let signing = [
        ("the signing secret", &config.jwt_secret),
        ("the previous signing secret", &config.jwt_secret_previous),
    ];
    let signing = signing.into_iter().map(|(purpose, text)| Held {
        purpose: purpose.into(),
        provider: None,
        bytes: text.as_bytes().to_vec(),
    });
    let issuers = config.issuers.iter().map(|issuer| Held {
        purpose: format!("the secret of the issuer {:?} ({})", issuer.issuer, issuer.secret_file),
        provider: None,
        bytes: read(&issuer.secret_file),
    });
    let providers = config.providers.iter().map(|provider| Held {
        purpose: format!("the client secret of {:?} ({})", provider.name, provider.client_secret_file),
        provider: Some(provider.issuer.clone()),
        bytes: read(&provider.client_secret_file),
    });
    signing.chain(issuers).chain(providers).filter(|held| !held.bytes.is_empty()).collect()
}

/// The secret in a file; empty if none is named or it cannot be read.
fn read(path: &str) -> Vec<u8> {
    let text = if path.is_empty() { String::new() } else { read_file(path.as_ref()).unwrap_or_default() };
    secret_of(&text).as_bytes().to_vec()
}
