//! API keys: a public prefix to find one by, and the digest of its secret.

use tidings_core::Org;

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::options::{SHORT_BYTES, page};
use crate::orgs::one;
use crate::sql::{Reader, Row, Tx, bounded};

/// The time a key was last used is written at most this often, in milliseconds.
pub const USED_EVERY_MS: u64 = 60_000;

/// A key as it is made.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    /// The part that may be shown; unique in the whole store.
    pub prefix: &'a str,
    /// The digest of the secret.
    pub digest: &'a Digest,
    /// What people call it.
    pub name: &'a str,
    /// What it may do, words with one space between.
    pub scopes: &'a str,
    /// From when on it no longer works.
    pub expires_ms: Option<u64>,
}

/// A key of an organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The part that may be shown.
    pub prefix: String,
    /// Whose it is.
    pub org: Org,
    /// The digest of the secret, which the caller compares.
    pub digest: Digest,
    /// What people call it.
    pub name: String,
    /// What it may do, words with one space between.
    pub scopes: String,
    /// When it was made.
    pub created_ms: u64,
    /// From when on it no longer works.
    pub expires_ms: Option<u64>,
    /// When it was used, to [`USED_EVERY_MS`].
    pub last_used_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
}

impl ApiKey {
    /// Whether it works at this time.
    pub fn is_good(&self, now_ms: u64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|end| now_ms < end)
    }

    /// Whether [`Tx::touch_key`] would write something.
    pub fn wants_touch(&self, now_ms: u64) -> bool {
        self.last_used_ms.is_none_or(|last| now_ms >= last.saturating_add(USED_EVERY_MS))
    }
}

impl Tx {
    /// Makes a key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) if the prefix is taken;
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) without the organisation.
    pub async fn create_key(&mut self, org: &Org, key: &NewKey<'_>, now_ms: u64) -> Result<()> {
        bounded(key.prefix, SHORT_BYTES, "a key's prefix is 1 to 1024 bytes")?;
        bounded(key.name, SHORT_BYTES, "a key's name is 1 to 1024 bytes")?;
        bounded(key.scopes, SHORT_BYTES, "a key's scopes are 1 to 1024 bytes")?;
        let sql = "INSERT INTO api_keys (prefix, org, digest, name, scopes, created_ms, expires_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = args![key.prefix, org, key.digest, key.name, key.scopes, now_ms, key.expires_ms];
        let done = self.run(sql, values).await;
        done.map(drop).map_err(|error| error.about("the key", "organisation"))
    }

    /// Ends a key; ending it twice keeps the first time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound)
    pub async fn revoke_key(&mut self, org: &Org, prefix: &str, now_ms: u64) -> Result<()> {
        let sql = "UPDATE api_keys SET revoked_ms = coalesce(revoked_ms, $3) WHERE org = $1 AND prefix = $2";
        one(self.run(sql, args![org, prefix, now_ms]).await?, "key")
    }

    /// Notes that a key was used, unless that was noted less than [`USED_EVERY_MS`] ago; says whether it was.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn touch_key(&mut self, org: &Org, prefix: &str, now_ms: u64) -> Result<bool> {
        let sql = "UPDATE api_keys SET last_used_ms = $3 WHERE org = $1 AND prefix = $2 \
                   AND (last_used_ms IS NULL OR last_used_ms <= $4)";
        let old = now_ms.saturating_sub(USED_EVERY_MS);
        Ok(self.run(sql, args![org, prefix, now_ms, old]).await? > 0)
    }
}

/// The columns of a key, before the rest of a statement.
macro_rules! keys {
    ($rest:literal) => {
        concat!(
            "SELECT prefix, org, digest, name, scopes, created_ms, expires_ms, last_used_ms, revoked_ms ",
            "FROM api_keys ",
            $rest
        )
    };
}

impl Reader {
    /// Finds a key by its prefix, which says whose it is; its secret still has to be compared.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn key_by_prefix(&mut self, prefix: &str) -> Result<Option<ApiKey>> {
        self.row(keys!("WHERE prefix = $1"), args![prefix]).await?.as_ref().map(key).transpose()
    }

    /// How many keys of an organisation work at this time.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn good_keys(&mut self, org: &Org, now_ms: u64) -> Result<u64> {
        let sql = "SELECT count(*) FROM api_keys WHERE org = $1 AND revoked_ms IS NULL \
                   AND (expires_ms IS NULL OR expires_ms > $2)";
        self.row(sql, args![org, now_ms]).await?.map_or(Ok(0), |row| row.count(0))
    }

    /// Lists an organisation's keys by prefix, after `after`.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn keys(&mut self, org: &Org, after: &str, limit: u32) -> Result<Vec<ApiKey>> {
        let sql = keys!("WHERE org = $1 AND prefix > $2 ORDER BY prefix LIMIT $3");
        self.rows(sql, args![org, after, page(limit)]).await?.iter().map(key).collect()
    }
}

fn key(row: &Row) -> Result<ApiKey> {
    Ok(ApiKey {
        prefix: row.text(0)?,
        org: row.org(1)?,
        digest: row.digest(2)?,
        name: row.text(3)?,
        scopes: row.text(4)?,
        created_ms: row.count(5)?,
        expires_ms: row.count_or_none(6)?,
        last_used_ms: row.count_or_none(7)?,
        revoked_ms: row.count_or_none(8)?,
    })
}
