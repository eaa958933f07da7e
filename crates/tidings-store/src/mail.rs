//! Mail that waits to be sent.

use tidings_core::Org;

use crate::args;
use crate::error::{Result, StoreError};
use crate::options::{LONG_BYTES, PRUNE_MOST, SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, bounded};
use crate::store::Store;

/// Mails of one organisation that may wait; more are refused, so that one cannot fill the disk.
pub const WAITING_MOST: u64 = 10_000;

/// A mail as it is written.
#[derive(Debug, Clone, Copy)]
pub struct NewMail<'a> {
    /// Unique within the organisation; made by the caller.
    pub id: &'a str,
    /// The address.
    pub to: &'a str,
    /// The subject.
    pub subject: &'a str,
    /// The text.
    pub text: &'a str,
    /// What it is for: `verify`, `reset`.
    pub kind: &'a str,
}

/// A mail and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The organisation.
    pub org: Org,
    /// Unique within the organisation.
    pub id: String,
    /// The address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text; empty once it is sent, for it may hold the secret of a link.
    pub text: String,
    /// What it is for.
    pub kind: String,
    /// When it was written.
    pub created_ms: u64,
    /// When it was sent.
    pub sent_ms: Option<u64>,
    /// How often that was tried.
    pub attempts: u64,
    /// Why it did not work the last time.
    pub last_error: Option<String>,
}

impl Tx {
    /// Puts a mail into the outbox, to be sent at once.
    ///
    /// # Errors
    /// [`StoreError::Overflow`] beyond [`WAITING_MOST`]; [`StoreError::Conflict`] if the id is taken.
    pub async fn post_mail(&mut self, org: &Org, mail: &NewMail<'_>, now_ms: u64) -> Result<()> {
        let short = [mail.id, mail.to, mail.subject, mail.kind];
        short
            .iter()
            .try_for_each(|text| bounded(text, SHORT_BYTES, "a mail's head texts are 1 to 1024 bytes"))?;
        bounded(mail.text, LONG_BYTES, "a mail's text is 1 to 65536 bytes")?;
        let sql = "SELECT count(*) FROM mail WHERE org = $1 AND sent_ms IS NULL";
        let waiting = self.row(sql, args![org]).await?.map_or(Ok(0), |row| row.count(0))?;
        if waiting >= WAITING_MOST {
            return Err(StoreError::Overflow("mails"));
        }
        let sql = "INSERT INTO mail (org, id, recipient, subject, body, kind, created_ms, due_ms, attempts) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 0)";
        let values = args![org, mail.id, mail.to, mail.subject, mail.text, mail.kind, now_ms];
        let done = self.run(sql, values).await;
        done.map(drop).map_err(|error| error.about("the mail", "organisation"))
    }

    /// Notes that a mail was sent and forgets its text; `false` if there is no such mail that waits.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn mail_was_sent(&mut self, org: &Org, id: &str, now_ms: u64) -> Result<bool> {
        let sql = "UPDATE mail SET sent_ms = $3, last_error = NULL, body = '' \
                   WHERE org = $1 AND id = $2 AND sent_ms IS NULL";
        Ok(self.run(sql, args![org, id, now_ms]).await? > 0)
    }

    /// Notes why a mail could not be sent, and when to try again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn mail_failed(&mut self, org: &Org, id: &str, why: &str, due_ms: u64) -> Result<bool> {
        bounded(why, LONG_BYTES, "why a mail failed is 1 to 65536 bytes")?;
        let sql = "UPDATE mail SET last_error = $3, due_ms = $4 \
                   WHERE org = $1 AND id = $2 AND sent_ms IS NULL";
        Ok(self.run(sql, args![org, id, why, due_ms]).await? > 0)
    }

    /// Deletes mail written before `before_ms`, sent or not, of all organisations; at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_mail(&mut self, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM mail WHERE (org, id) IN \
                   (SELECT org, id FROM mail WHERE created_ms < $1 ORDER BY created_ms LIMIT $2)";
        self.run(sql, args![before_ms, PRUNE_MOST]).await
    }
}

impl Store {
    /// Takes mail that is due, of all organisations, for whoever sends it. Nobody else gets it until
    /// `again_ms`; if nothing is heard of it till then, it is due again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn take_mail(&self, now_ms: u64, again_ms: u64, limit: u32) -> Result<Vec<Mail>> {
        // Asked a second time outside of the list: of two nodes that made the same list, the second finds
        // it no longer due.
        let sql = "UPDATE mail SET due_ms = $2, attempts = attempts + 1 \
                   WHERE sent_ms IS NULL AND due_ms <= $1 AND (org, id) IN \
                   (SELECT org, id FROM mail WHERE sent_ms IS NULL AND due_ms <= $1 ORDER BY due_ms LIMIT $3) \
                   RETURNING org, id, recipient, subject, body, kind, created_ms, sent_ms, attempts, last_error";
        let mut tx = self.begin().await?;
        let rows = tx.rows(sql, args![now_ms, again_ms, page(limit)]).await?;
        tx.commit().await?;
        rows.iter().map(mail).collect()
    }
}

impl Reader {
    /// An organisation's mail written before a time, the newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn mails(&mut self, org: &Org, before_ms: u64, limit: u32) -> Result<Vec<Mail>> {
        let sql = "SELECT org, id, recipient, subject, body, kind, created_ms, sent_ms, attempts, last_error \
                   FROM mail WHERE org = $1 AND created_ms < $2 ORDER BY created_ms DESC, id LIMIT $3";
        self.rows(sql, args![org, before_ms, page(limit)]).await?.iter().map(mail).collect()
    }
}

fn mail(row: &Row) -> Result<Mail> {
    Ok(Mail {
        org: row.org(0)?,
        id: row.text(1)?,
        to: row.text(2)?,
        subject: row.text(3)?,
        text: row.text(4)?,
        kind: row.text(5)?,
        created_ms: row.count(6)?,
        sent_ms: row.count_or_none(7)?,
        attempts: row.count(8)?,
        last_error: row.text_or_none(9)?,
    })
}
