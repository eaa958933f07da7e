//! Links that work once: to verify an address, to reset a password.

use tidings_core::Org;

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::options::{PRUNE_MOST, SHORT_BYTES};
use crate::sql::{Tx, bounded};

/// A link as it is made.
#[derive(Debug, Clone, Copy)]
pub struct NewLink<'a> {
    /// What it is for; a link of one kind is none of another.
    pub kind: &'a str,
    /// Whom it is for.
    pub user: &'a str,
    /// The digest of the secret in it.
    pub digest: &'a Digest,
    /// From when on it no longer works.
    pub expires_ms: u64,
}

/// Whose link it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedLink {
    /// The user's organisation.
    pub org: Org,
    /// The user.
    pub user: String,
}

impl Tx {
    /// Makes a link; the user's older ones of that kind no longer work.
    ///
    /// # Errors
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) without the user.
    pub async fn create_link(&mut self, org: &Org, link: &NewLink<'_>, now_ms: u64) -> Result<()> {
        bounded(link.kind, SHORT_BYTES, "a link's kind is 1 to 1024 bytes")?;
        self.drop_links(org, link.user, link.kind).await?;
        let sql = "INSERT INTO links (digest, org, user_id, kind, created_ms, expires_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let values = args![link.digest, org, link.user, link.kind, now_ms, link.expires_ms];
        let done = self.run(sql, values).await;
        done.map(drop).map_err(|error| error.about("the link", "user"))
    }

    /// Uses a link up; `None` if it is unknown, used, expired, or of another kind. Its secret says whose it is.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn use_link(&mut self, kind: &str, digest: &Digest, now_ms: u64) -> Result<Option<UsedLink>> {
        let sql = "UPDATE links SET used_ms = $3 WHERE digest = $1 AND kind = $2 AND used_ms IS NULL \
                   AND expires_ms > $3 RETURNING org, user_id";
        let row = self.row(sql, args![digest, kind, now_ms]).await?;
        row.map(|row| Ok(UsedLink { org: row.org(0)?, user: row.text(1)? })).transpose()
    }

    /// Ends a user's links of one kind.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn drop_links(&mut self, org: &Org, user: &str, kind: &str) -> Result<u64> {
        self.run("DELETE FROM links WHERE org = $1 AND user_id = $2 AND kind = $3", args![org, user, kind])
            .await
    }

    /// Deletes links that expired before `before_ms`, of all organisations; at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_links(&mut self, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM links WHERE digest IN \
                   (SELECT digest FROM links WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)";
        self.run(sql, args![before_ms, PRUNE_MOST]).await
    }
}
