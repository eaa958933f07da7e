//! Organisations.

use tidings_core::Org;

use crate::args;
use crate::error::{Result, StoreError};
use crate::options::{SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, bounded};

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Its name in tokens and keys; never changes.
    pub org: Org,
    /// The name people read.
    pub name: String,
    /// When it was made.
    pub created_ms: u64,
    /// JSON that its administrators choose; the store does not look inside.
    pub settings: String,
}

impl Tx {
    /// Makes an organisation with empty settings.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if there is one of this name.
    pub async fn create_org(&mut self, org: &Org, name: &str, now_ms: u64) -> Result<()> {
        bounded(org.as_str(), SHORT_BYTES, "an organisation's id is 1 to 1024 bytes")?;
        bounded(name, SHORT_BYTES, "an organisation's name is 1 to 1024 bytes")?;
        let sql = "INSERT INTO organisations (org, name, created_ms, settings) VALUES ($1, $2, $3, '{}')";
        let done = self.run(sql, args![org, name, now_ms]).await;
        done.map(drop).map_err(|error| error.about("the organisation", "organisation"))
    }

    /// Makes an organisation unless there is one, as for those that a trusted issuer names; whether it made it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn ensure_org(&mut self, org: &Org, now_ms: u64) -> Result<bool> {
        bounded(org.as_str(), SHORT_BYTES, "an organisation's id is 1 to 1024 bytes")?;
        let sql = "INSERT INTO organisations (org, name, created_ms, settings) VALUES ($1, $1, $2, '{}') \
                   ON CONFLICT (org) DO NOTHING";
        self.run(sql, args![org, now_ms]).await.map(|made| made > 0)
    }

    /// Holds an organisation until the transaction ends: others who would hold it wait, and nobody else does.
    ///
    /// So what is decided by several of its people, whom no one transaction holds, is decided one after the other.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn hold_org(&mut self, org: &Org) -> Result<()> {
        // On SQLite the transaction itself excludes every other.
        if self.is_postgres() {
            let sql = "SELECT org FROM organisations WHERE org = $1 FOR NO KEY UPDATE";
            self.row(sql, args![org]).await?;
        }
        Ok(())
    }
}

impl Reader {
    /// Finds an organisation.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn org(&mut self, org: &Org) -> Result<Option<Organisation>> {
        let sql = "SELECT org, name, created_ms, settings FROM organisations WHERE org = $1";
        self.row(sql, args![org]).await?.as_ref().map(organisation).transpose()
    }

    /// Lists organisations by name, after `after`; for operators.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn orgs(&mut self, after: &str, limit: u32) -> Result<Vec<Organisation>> {
        let sql =
            "SELECT org, name, created_ms, settings FROM organisations WHERE org > $1 ORDER BY org LIMIT $2";
        self.rows(sql, args![after, page(limit)]).await?.iter().map(organisation).collect()
    }
}

fn organisation(row: &Row) -> Result<Organisation> {
    Ok(Organisation {
        org: row.org(0)?,
        name: row.text(1)?,
        created_ms: row.count(2)?,
        settings: row.text(3)?,
    })
}

/// One row had to change.
pub(crate) fn one(changed: u64, missing: &'static str) -> Result<()> {
    if changed == 0 { Err(StoreError::NotFound(missing)) } else { Ok(()) }
}
