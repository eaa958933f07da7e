//! Second factors: a sealed secret, the newest step that was taken, and codes for whoever lost their device.
//!
//! What is decided here is decided while the transaction holds the user ([`Tx::hold_user`]); each statement would hold
//! by itself as well.

use tidings_core::Org;

use crate::args;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::options::{SHORT_BYTES, page};
use crate::sql::{Reader, Tx};

/// The second factor of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret, as whoever stored it sealed it.
    pub sealed: Vec<u8>,
    /// The newest step of which a code was taken; codes of it and of earlier ones are used up.
    pub last_step: u64,
    /// Since when it is asked for; `None` until a code has proved that its owner has the secret.
    pub on_ms: Option<u64>,
}

/// A refresh token, and the sign-in it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The token's digest.
    pub digest: Digest,
    /// The sign-in's family.
    pub family: String,
    /// When its owner last proved who they are; 0: never, or it has ended.
    pub proved_ms: u64,
}

impl Reader {
    /// The second factor of a user, asked for already or not yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn second_factor(&mut self, org: &Org, user: &str) -> Result<Option<SecondFactor>> {
        let sql = "SELECT secret, last_step, on_ms FROM second_factors WHERE org = $1 AND user_id = $2";
        let Some(row) = self.row(sql, args![org, user]).await? else { return Ok(None) };
        let (sealed, last_step, on_ms) = (row.bytes(0)?, row.count(1)?, row.count_or_none(2)?);
        Ok(Some(SecondFactor { sealed, last_step, on_ms }))
    }

    /// Whether a user is asked for a second factor.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn has_second_factor(&mut self, org: &Org, user: &str) -> Result<bool> {
        Ok(self.second_factor(org, user).await?.is_some_and(|factor| factor.on_ms.is_some()))
    }

    /// How many recovery codes a user has left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recovery_codes_left(&mut self, org: &Org, user: &str) -> Result<u64> {
        let sql = "SELECT count(*) FROM recovery_codes WHERE org = $1 AND user_id = $2";
        self.row(sql, args![org, user]).await?.map_or(Ok(0), |row| row.count(0))
    }

    /// The refresh tokens that were made for a user at `since_ms` or later, replaced or not, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn signed_since(
        &mut self,
        org: &Org,
        user: &str,
        since_ms: u64,
        limit: u32,
    ) -> Result<Vec<Signed>> {
        let sql = "SELECT t.digest, f.id, CASE WHEN f.revoked_ms IS NULL THEN f.proved_ms ELSE 0 END \
                   FROM refresh_families f JOIN refresh_tokens t ON t.org = f.org AND t.family = f.id \
                   WHERE f.org = $1 AND f.user_id = $2 AND t.created_ms >= $3 \
                   ORDER BY t.created_ms DESC LIMIT $4";
        let rows = self.rows(sql, args![org, user, since_ms, page(limit)]).await?;
        let signed = rows
            .iter()
            .map(|row| Ok(Signed { digest: row.digest(0)?, family: row.text(1)?, proved_ms: row.count(2)? }));
        signed.collect()
    }
}

impl Tx {
    /// Keeps the secret of a second factor that is not asked for yet, in the place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if one is asked for already; [`StoreError::NotFound`] without the user.
    pub async fn begin_second_factor(&mut self, org: &Org, user: &str, sealed: &[u8]) -> Result<()> {
        let sql = "INSERT INTO second_factors (org, user_id, secret, last_step) VALUES ($1, $2, $3, 0) \
                   ON CONFLICT (org, user_id) DO UPDATE SET secret = excluded.secret, last_step = 0 \
                   WHERE second_factors.on_ms IS NULL";
        let done = self.run(sql, args![org, user, bounded(sealed)?]).await;
        let kept = done.map_err(|error| error.about("the second factor", "user"))?;
        if kept == 0 { Err(StoreError::Conflict("a second factor")) } else { Ok(()) }
    }

    /// Asks for the second factor from now on; `false` if it is asked for already, or there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn turn_on_second_factor(&mut self, org: &Org, user: &str, now_ms: u64) -> Result<bool> {
        let sql = "UPDATE second_factors SET on_ms = $3 WHERE org = $1 AND user_id = $2 AND on_ms IS NULL";
        Ok(self.run(sql, args![org, user, now_ms]).await? > 0)
    }

    /// Uses the code of a step up, with those of all earlier ones; `false` if it was used up before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_step(&mut self, org: &Org, user: &str, step: u64) -> Result<bool> {
        let sql =
            "UPDATE second_factors SET last_step = $3 WHERE org = $1 AND user_id = $2 AND last_step < $3";
        Ok(self.run(sql, args![org, user, step]).await? > 0)
    }

    /// Keeps the same secret sealed otherwise, as after the key of the seal was changed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn reseal_second_factor(&mut self, org: &Org, user: &str, sealed: &[u8]) -> Result<()> {
        let sql = "UPDATE second_factors SET secret = $3 WHERE org = $1 AND user_id = $2";
        self.run(sql, args![org, user, bounded(sealed)?]).await.map(drop)
    }

    /// Removes a user's second factor with its recovery codes; `false` if there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_second_factor(&mut self, org: &Org, user: &str) -> Result<bool> {
        Ok(self.run("DELETE FROM second_factors WHERE org = $1 AND user_id = $2", args![org, user]).await?
            > 0)
    }

    /// Gives a user these recovery codes; those from before are good no more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] without a second factor.
    pub async fn set_recovery_codes(&mut self, org: &Org, user: &str, codes: &[Digest]) -> Result<()> {
        self.run("DELETE FROM recovery_codes WHERE org = $1 AND user_id = $2", args![org, user]).await?;
        for digest in codes {
            let sql = "INSERT INTO recovery_codes (org, user_id, digest) VALUES ($1, $2, $3)";
            let done = self.run(sql, args![org, user, digest]).await;
            done.map_err(|error| error.about("the recovery code", "second factor"))?;
        }
        Ok(())
    }

    /// Uses a recovery code up; `false` if there is no such code, or no longer.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn use_recovery_code(&mut self, org: &Org, user: &str, digest: &Digest) -> Result<bool> {
        let sql = "DELETE FROM recovery_codes WHERE org = $1 AND user_id = $2 AND digest = $3";
        Ok(self.run(sql, args![org, user, digest]).await? > 0)
    }

    /// Notes that the owner of a sign-in has proved who they are; `false` if it has ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prove_family(&mut self, org: &Org, id: &str, now_ms: u64) -> Result<bool> {
        let sql =
            "UPDATE refresh_families SET proved_ms = $3 WHERE org = $1 AND id = $2 AND revoked_ms IS NULL";
        Ok(self.run(sql, args![org, id, now_ms]).await? > 0)
    }
}

fn bounded(sealed: &[u8]) -> Result<&[u8]> {
    match sealed.len() {
        1..=SHORT_BYTES => Ok(sealed),
        _ => Err(StoreError::Invalid("a sealed secret is 1 to 1024 bytes")),
    }
}
