//! Where an issuer's keys are read.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fetch::{self, Address};
use super::keys::{Key, KeySet};
use super::token::known;
use crate::config::IssuerConfig;

/// Bytes of a key file and of a fetched key set.
pub(super) const KEY_BYTES: usize = 64 * 1024;

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Secret(PathBuf, jsonwebtoken::Algorithm),
    Pem(PathBuf),
    Jwks(PathBuf),
    Fetched(Address),
}

impl Source {
    /// The one source that a configuration names.
    ///
    /// # Errors
    /// A sentence if it names none or several, or an address that is not safe.
    pub(super) fn of(config: &IssuerConfig) -> Result<Self, String> {
        let algorithm = known(&config.algorithm).ok_or("`algorithm` is unknown")?;
        let named = [&config.secret_file, &config.public_key_file, &config.jwks_file, &config.jwks_url];
        if named.iter().filter(|text| !text.is_empty()).count() != 1 {
            return Err("one of secret_file, public_key_file, jwks_file and jwks_url is needed".into());
        }
        Ok(match named.map(String::as_str) {
            [path, "", "", ""] => Self::Secret(path.into(), algorithm),
            ["", path, "", ""] => Self::Pem(path.into()),
            ["", "", path, ""] => Self::Jwks(path.into()),
            [_, _, _, address] => Self::Fetched(Address::parse(address)?),
        })
    }

    /// Reads a file; an address has no keys yet.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn read_now(&self) -> Result<Option<KeySet>, String> {
        let path = match self {
            Self::Secret(path, _) | Self::Pem(path) | Self::Jwks(path) => path,
            Self::Fetched(_) => return Ok(None),
        };
        let keys = read_file(path).and_then(|text| self.keys_in(&text));
        keys.map(Some).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn keys_in(&self, text: &str) -> Result<KeySet, String> {
        match self {
            Self::Pem(_) => KeySet::from_pem(text),
            Self::Jwks(_) | Self::Fetched(_) => KeySet::from_jwks(text),
            Self::Secret(_, algorithm) => {
                Ok(KeySet::unnamed([Key::secret(secret_of(text).as_bytes(), *algorithm)?]))
            }
        }
    }

    /// Reads the keys again; answers for how long they are good, if the issuer says so.
    ///
    /// # Errors
    /// A sentence for the log.
    pub(super) async fn read(&self, most: Duration) -> Result<(KeySet, Option<Duration>), String> {
        if let Self::Fetched(address) = self {
            let fetched = fetch::get(address, most).await?;
            let text = String::from_utf8(fetched.body).map_err(|_| "the key set is not UTF-8")?;
            return Ok((self.keys_in(&text)?, fetched.good_for));
        }
        let this = self.clone();
        let read = tokio::task::spawn_blocking(move || this.read_now());
        let keys = tokio::time::timeout(most, read).await.map_err(|_| "the file takes too long")?;
        let keys = keys.map_err(|error| error.to_string())??;
        Ok((keys.unwrap_or_default(), None))
    }

    /// Whether it is asked over the network.
    pub(super) fn is_fetched(&self) -> bool {
        matches!(self, Self::Fetched(_))
    }
}

/// A secret in a file ends before the line break that editors add.
pub(super) fn secret_of(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

/// Reads a file of keys, which is text and short.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(KEY_BYTES as u64 + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() > KEY_BYTES { Err(format!("holds more than {KEY_BYTES} bytes")) } else { Ok(text) }
}
