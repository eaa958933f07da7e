//! Refresh tokens: a family for each sign-in, in which one token at a time is good.
//!
//! A token is replaced when it is used. One that comes a second time was copied, and nobody can say who
//! holds the copy: the whole family ends (RFC 9700, section 4.14.2). Two windows of one client may race with
//! the same token, so the one that was replaced last is for a moment refused and nothing more.

use tidings_core::Org;

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::options::{PRUNE_MOST, SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, bounded};

/// Rotations of one family at most; afterwards one signs in again.
pub const ROTATIONS_MOST: u64 = 10_000;

/// A family as it is made, with its first token.
#[derive(Debug, Clone, Copy)]
pub struct NewFamily<'a> {
    /// Unique within the organisation; made by the caller.
    pub id: &'a str,
    /// Who signed in.
    pub user: &'a str,
    /// The first token's digest.
    pub digest: &'a Digest,
    /// When it ends however often it is rotated.
    pub expires_ms: u64,
}

/// What one sign-in led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The organisation.
    pub org: Org,
    /// Unique within the organisation.
    pub id: String,
    /// Who signed in.
    pub user: String,
    /// When they did.
    pub created_ms: u64,
    /// When a token was last replaced.
    pub rotated_ms: u64,
    /// When it ends however often it is rotated.
    pub expires_ms: u64,
    /// When and why it ended before.
    pub revoked: Option<(u64, String)>,
}

/// What came of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The new token is the good one now.
    Rotated(Family),
    /// The token was the last to be replaced, and that only just; nothing has changed.
    Raced {
        /// Milliseconds until it counts as used a second time.
        left_ms: u64,
    },
    /// The token was replaced before: the family has ended, `first` says whether just now.
    Reused {
        /// The family.
        family: Family,
        /// This was the use that ended it.
        first: bool,
    },
    /// The family had ended before, by signing out or otherwise.
    Revoked(Family),
    /// The family's time is over, or it was rotated [`ROTATIONS_MOST`] times.
    Expired(Family),
    /// There is no such token.
    Unknown,
}

/// Replaces a token that is good; `None` if it is not there or was replaced before.
async fn rotate(tx: &mut Tx, old: &Digest, new: &Digest, now_ms: u64) -> Result<Option<Rotation>> {
    // Whoever changes this row first has won; the others see it replaced.
    let claim = "UPDATE refresh_tokens SET replaced_ms = $2 WHERE digest = $1 AND replaced_ms IS NULL \
                 RETURNING org, family";
    let Some(row) = tx.row(claim, args![old, now_ms]).await? else { return Ok(None) };
    let (org, id) = (row.org(0)?, row.text(1)?);
    let renew = "UPDATE refresh_families SET rotated_ms = $3, rotations = rotations + 1 \
                 WHERE org = $1 AND id = $2 AND revoked_ms IS NULL AND expires_ms > $3 AND rotations < $4";
    let renewed = tx.run(renew, args![&org, &id, now_ms, ROTATIONS_MOST]).await?;
    let Some(family) = tx.family(&org, &id).await? else { return Ok(Some(Rotation::Unknown)) };
    if renewed == 0 {
        let ended = family.revoked.is_some();
        return Ok(Some(if ended { Rotation::Revoked(family) } else { Rotation::Expired(family) }));
    }
    let insert = "INSERT INTO refresh_tokens (digest, org, family, created_ms) VALUES ($1, $2, $3, $4)";
    let done = tx.run(insert, args![new, &org, &id, now_ms]).await;
    done.map_err(|error| error.about("the refresh token", "refresh family"))?;
    Ok(Some(Rotation::Rotated(family)))
}

/// What is to be said of a token that was replaced before; unless it has only just been, its family ends.
async fn replaced(tx: &mut Tx, old: &Digest, grace_ms: u64, now_ms: u64) -> Result<Rotation> {
    // In one statement, so that the token and its family are of one moment.
    let find = "SELECT t.org, t.family, t.replaced_ms, f.rotated_ms, f.revoked_ms FROM refresh_tokens t \
                JOIN refresh_families f ON f.org = t.org AND f.id = t.family WHERE t.digest = $1";
    let Some(row) = tx.row(find, args![old]).await? else { return Ok(Rotation::Unknown) };
    let (org, id) = (row.org(0)?, row.text(1)?);
    let (replaced_ms, rotated_ms) = (row.count_or_none(2)?, row.count(3)?);
    let lives = row.count_or_none(4)?.is_none();
    // Its successor is the one that is good now: nothing was replaced since.
    if let Some(at_ms) = replaced_ms.filter(|at_ms| lives && *at_ms == rotated_ms) {
        let left_ms = grace_ms.saturating_sub(now_ms.saturating_sub(at_ms));
        if left_ms > 0 {
            return Ok(Rotation::Raced { left_ms });
        }
    }
    let first = tx.revoke_family(&org, &id, "reuse", now_ms).await?;
    let family = tx.family(&org, &id).await?;
    Ok(family.map_or(Rotation::Unknown, |family| Rotation::Reused { family, first }))
}

impl Rotation {
    /// Whether something has changed, so that the transaction has to be committed; else it has to be dropped,
    /// which takes back its claim of the token. The end of a family lasts even though its caller is refused.
    pub const fn lasts(&self) -> bool {
        matches!(self, Self::Rotated(_) | Self::Reused { .. })
    }
}

impl Tx {
    /// Replaces the token `old` by `new`; of any number that try at once one succeeds.
    ///
    /// For `grace_ms` after that, the token that was replaced last is [`Rotation::Raced`]; with 0 none is.
    /// What has to be done with the transaction says [`Rotation::lasts`].
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn rotate(
        &mut self,
        old: &Digest,
        new: &Digest,
        grace_ms: u64,
        now_ms: u64,
    ) -> Result<Rotation> {
        match rotate(self, old, new, now_ms).await? {
            Some(rotation) => Ok(rotation),
            None => replaced(self, old, grace_ms, now_ms).await,
        }
    }

    /// Makes a family with its first token.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) if the id or the token exists;
    /// [`StoreError::NotFound`](crate::StoreError::NotFound) without the user.
    pub async fn create_family(&mut self, org: &Org, family: &NewFamily<'_>, now_ms: u64) -> Result<()> {
        bounded(family.id, SHORT_BYTES, "a family's id is 1 to 1024 bytes")?;
        let sql = "INSERT INTO refresh_families (org, id, user_id, created_ms, rotated_ms, rotations, expires_ms) \
                   VALUES ($1, $2, $3, $4, $4, 0, $5)";
        let values = args![org, family.id, family.user, now_ms, family.expires_ms];
        let done = self.run(sql, values).await;
        done.map_err(|error| error.about("the refresh family", "user"))?;
        let sql = "INSERT INTO refresh_tokens (digest, org, family, created_ms) VALUES ($1, $2, $3, $4)";
        let done = self.run(sql, args![family.digest, org, family.id, now_ms]).await;
        done.map(drop).map_err(|error| error.about("the refresh token", "refresh family"))
    }

    /// Ends a family, as on signing out; `false` if it had ended or never was.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn revoke_family(&mut self, org: &Org, id: &str, reason: &str, now_ms: u64) -> Result<bool> {
        bounded(reason, SHORT_BYTES, "a reason is 1 to 1024 bytes")?;
        let sql = "UPDATE refresh_families SET revoked_ms = $3, revoked_reason = $4 \
                   WHERE org = $1 AND id = $2 AND revoked_ms IS NULL";
        Ok(self.run(sql, args![org, id, now_ms, reason]).await? > 0)
    }

    /// Ends all of a user's families, as after a new password; says how many there were.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn revoke_families(&mut self, org: &Org, user: &str, reason: &str, now_ms: u64) -> Result<u64> {
        bounded(reason, SHORT_BYTES, "a reason is 1 to 1024 bytes")?;
        let sql = "UPDATE refresh_families SET revoked_ms = $3, revoked_reason = $4 \
                   WHERE org = $1 AND user_id = $2 AND revoked_ms IS NULL";
        self.run(sql, args![org, user, now_ms, reason]).await
    }

    /// Ends the families of all who signed in before a moment; of one user, or of everybody in the organisation.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn revoke_families_before(
        &mut self,
        org: &Org,
        user: Option<&str>,
        before_ms: u64,
        (reason, now_ms): (&str, u64),
    ) -> Result<u64> {
        bounded(reason, SHORT_BYTES, "a reason is 1 to 1024 bytes")?;
        let sql = "UPDATE refresh_families SET revoked_ms = $4, revoked_reason = $5 \
                   WHERE org = $1 AND user_id = coalesce($2, user_id) AND created_ms < $3 AND revoked_ms IS NULL";
        self.run(sql, args![org, user, before_ms, now_ms, reason]).await
    }

    /// Deletes families whose time was over before `before_ms`, of all organisations; at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_families(&mut self, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM refresh_families WHERE (org, id) IN \
                   (SELECT org, id FROM refresh_families WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)";
        self.run(sql, args![before_ms, PRUNE_MOST]).await
    }
}

/// The columns of a family, before the rest of a statement.
macro_rules! families {
    ($rest:literal) => {
        concat!(
            "SELECT org, id, user_id, created_ms, rotated_ms, expires_ms, revoked_ms, revoked_reason ",
            "FROM refresh_families ",
            $rest
        )
    };
}

impl Reader {
    /// Finds a family.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn family(&mut self, org: &Org, id: &str) -> Result<Option<Family>> {
        let sql = families!("WHERE org = $1 AND id = $2");
        self.row(sql, args![org, id]).await?.as_ref().map(family).transpose()
    }

    /// The family a token belongs to, good or replaced, as on signing out with it.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn family_of_token(&mut self, digest: &Digest) -> Result<Option<Family>> {
        let row = self.row("SELECT org, family FROM refresh_tokens WHERE digest = $1", args![digest]).await?;
        let Some(row) = row else { return Ok(None) };
        self.family(&row.org(0)?, &row.text(1)?).await
    }

    /// The tokens of a family that were made at `since_ms` or later, replaced or not, the newest first.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn family_tokens(
        &mut self,
        org: &Org,
        id: &str,
        since_ms: u64,
        limit: u32,
    ) -> Result<Vec<Digest>> {
        let sql = "SELECT digest FROM refresh_tokens WHERE org = $1 AND family = $2 AND created_ms >= $3 \
                   ORDER BY created_ms DESC, replaced_ms IS NULL DESC LIMIT $4";
        let rows = self.rows(sql, args![org, id, since_ms, page(limit)]).await?;
        rows.iter().map(|row| row.digest(0)).collect()
    }

    /// A user's families, the newest first.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn families(&mut self, org: &Org, user: &str, limit: u32) -> Result<Vec<Family>> {
        let sql = families!("WHERE org = $1 AND user_id = $2 ORDER BY created_ms DESC, id LIMIT $3");
        self.rows(sql, args![org, user, page(limit)]).await?.iter().map(family).collect()
    }
}

fn family(row: &Row) -> Result<Family> {
    let revoked_ms = row.count_or_none(6)?;
    let reason = row.text_or_none(7)?.unwrap_or_default();
    Ok(Family {
        org: row.org(0)?,
        id: row.text(1)?,
        user: row.text(2)?,
        created_ms: row.count(3)?,
        rotated_ms: row.count(4)?,
        expires_ms: row.count(5)?,
        revoked: revoked_ms.map(|ms| (ms, reason)),
    })
}
