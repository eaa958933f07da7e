//! What is set otherwise than at the last start, for the audit log.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_server::audit::{Action, Actor, Entry};
use tidings_server::config::Config;
use tidings_store::{Digest, Store, StoreError};

use crate::config::{self, Layer};

/// What is set, by key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Values that are not the default.
    settings: BTreeMap<String, Value>,
    /// Of secrets a part of the digest, which tells that one is another and nothing else: they are too long to be guessed.
    secrets: BTreeMap<String, String>,
}

/// What the keys of room kinds begin with.
const ROOMS: &str = "rooms.";

impl Settings {
    /// What is set by these values; `config` has the secrets, wherever they came from.
    ///
    /// # Errors
    /// A value that JSON cannot say.
    pub(crate) fn of(values: &Layer, config: &Config) -> Result<Self> {
        let defaults = config::defaults()?;
        let mut settings = BTreeMap::new();
        for (path, sourced) in values {
            let is_default = defaults.get(path).is_some_and(|default| default.value == sourced.value);
            if !is_default && !config::is_secret(path) {
                settings.insert(path.join("."), serde_json::to_value(&sourced.value)?);
            }
        }
        let secrets = [
            ("auth.jwt_secret", &config.auth.jwt_secret),
            ("auth.jwt_secret_previous", &config.auth.jwt_secret_previous),
            ("hooks.secret", &config.hooks.secret),
        ];
        let digest = |key: &str, text: &str| Digest::of(format!("{key}\0{text}").as_bytes()).short();
        let secrets = secrets.into_iter().filter(|(_, text)| !text.is_empty());
        let secrets = secrets.map(|(key, text)| (key.to_owned(), digest(key, text))).collect();
        Ok(Self { settings, secrets })
    }

    /// Takes over what another says of room kinds: that alone changes without a restart.
    pub(crate) fn take_rooms(&mut self, other: &Self) {
        self.settings.retain(|key, _| !key.starts_with(ROOMS));
        let rooms = other.settings.iter().filter(|(key, _)| key.starts_with(ROOMS));
        self.settings.extend(rooms.map(|(key, value)| (key.clone(), value.clone())));
    }

    /// What to write down of what is set otherwise than it was.
    fn since(&self, before: &Self) -> Vec<Entry> {
        let said = |settings: &BTreeMap<String, Value>, key: &str| {
            settings.get(key).map_or_else(|| "null".to_owned(), Value::to_string)
        };
        let changed = differing(&before.settings, &self.settings).map(|key| {
            let entry = Entry::ok(Action::ConfigChange).by(Actor::Operator).on(key.to_owned());
            entry.changed(said(&before.settings, key), said(&self.settings, key))
        });
        let renewed = differing(&before.secrets, &self.secrets).map(|key| {
            let why = match (before.secrets.contains_key(key), self.secrets.contains_key(key)) {
                (false, _) => "set",
                (true, true) => "changed",
                (true, false) => "removed",
            };
            Entry::ok(Action::SecretRotate).by(Actor::Operator).on(key.to_owned()).because(why)
        });
        changed.chain(renewed).collect()
    }

    /// What to write down of what is set otherwise than at the last start on this database; nothing at the first.
    ///
    /// A log that cannot be written holds up no start: what the database does not say is not compared.
    pub(crate) async fn since_last_start(&self, store: &Store) -> Vec<Entry> {
        match last(store).await {
            Ok(before) => before.map(|before| self.since(&before)).unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "what was set at the last start cannot be read");
                Vec::new()
            }
        }
    }

    /// Keeps this to be compared with at the next start.
    pub(crate) async fn keep(&self, store: &Store) {
        let kept = async {
            let mut tx = store.begin().await?;
            tx.keep_config(&serde_json::to_string(self)?, now_ms()).await?;
            anyhow::Ok(tx.commit().await?)
        };
        if let Err(error) = kept.await {
            tracing::warn!("what is set cannot be kept for the next start: {error:#}");
        }
    }
}

/// What was kept at the last start; what this version cannot read is nothing.
async fn last(store: &Store) -> Result<Option<Settings>, StoreError> {
    let text = store.read().await?.last_config().await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The keys of what is not the same in both.
fn differing<'a, T: PartialEq>(
    before: &'a BTreeMap<String, T>,
    now: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = &'a str> {
    let added = now.keys().filter(|key| !before.contains_key(*key));
    before.keys().chain(added).filter(|key| before.get(*key) != now.get(*key)).map(String::as_str)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
