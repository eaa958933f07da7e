//! Who somebody is elsewhere: the subjects of OpenID Connect issuers.

use tidings_core::Org;

use crate::args;
use crate::error::Result;
use crate::options::{SHORT_BYTES, page};
use crate::sql::{Reader, Tx, bounded};

/// A subject of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The issuer's URL, as its tokens say it.
    pub issuer: String,
    /// The issuer's id of the user.
    pub subject: String,
}

impl Tx {
    /// Says that a subject of an issuer is this user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) if the subject is somebody in this organisation
    /// already; [`StoreError::NotFound`](crate::StoreError::NotFound) without the user.
    pub async fn link_identity(
        &mut self,
        org: &Org,
        identity: &ExternalIdentity,
        user: &str,
        now_ms: u64,
    ) -> Result<()> {
        bounded(&identity.issuer, SHORT_BYTES, "an issuer is 1 to 1024 bytes")?;
        bounded(&identity.subject, SHORT_BYTES, "a subject is 1 to 1024 bytes")?;
        let sql = "INSERT INTO external_identities (org, issuer, subject, user_id, created_ms) \
                   VALUES ($1, $2, $3, $4, $5)";
        let done = self.run(sql, args![org, &identity.issuer, &identity.subject, user, now_ms]).await;
        done.map(drop).map_err(|error| error.about("the external identity", "user"))
    }
}

impl Reader {
    /// The id of the user a subject is.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn user_of_identity(
        &mut self,
        org: &Org,
        identity: &ExternalIdentity,
    ) -> Result<Option<String>> {
        let sql = "SELECT user_id FROM external_identities WHERE org = $1 AND issuer = $2 AND subject = $3";
        let row = self.row(sql, args![org, &identity.issuer, &identity.subject]).await?;
        row.map(|row| row.text(0)).transpose()
    }

    /// A user's subjects.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn identities(&mut self, org: &Org, user: &str, limit: u32) -> Result<Vec<ExternalIdentity>> {
        let sql = "SELECT issuer, subject FROM external_identities WHERE org = $1 AND user_id = $2 \
                   ORDER BY issuer, subject LIMIT $3";
        let rows = self.rows(sql, args![org, user, page(limit)]).await?;
        rows.iter().map(|row| Ok(ExternalIdentity { issuer: row.text(0)?, subject: row.text(1)? })).collect()
    }
}
