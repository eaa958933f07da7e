//! Tokens that are no longer good although their time is not over.
//!
//! Each change has a number, and numbers become visible in their order, so that a server that has read
//! up to one misses nothing by asking for those after it.

use tidings_core::Org;

use crate::args;
use crate::error::{Result, StoreError};
use crate::options::{PRUNE_MOST, SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, bounded};

/// Which tokens of an organisation are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// The one with this id (`jti`).
    Token(String),
    /// Those of a user (`sub`).
    User(String),
    /// All of them.
    Org,
}

impl Revoked {
    fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::User(_) => "user",
            Self::Org => "org",
        }
    }

    fn subject(&self) -> &str {
        match self {
            Self::Token(id) | Self::User(id) => id,
            Self::Org => "",
        }
    }
}

/// A revocation as servers apply it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its number; a change gives it a new one.
    pub seq: u64,
    /// Whose tokens.
    pub org: Org,
    /// Which of them.
    pub what: Revoked,
    /// Those issued before this time.
    pub issued_before_ms: u64,
    /// Of those issued before this time nothing is believed; of the others only the rights have changed.
    pub refused_before_ms: u64,
    /// When the last of them would have ended anyway.
    pub expires_ms: u64,
    /// Why.
    pub reason: String,
}

/// Which tokens, which of them by time, until when, and why.
#[derive(Debug, Clone, Copy)]
pub struct NewRevocation<'a> {
    /// Which tokens.
    pub what: &'a Revoked,
    /// Those issued before this time.
    pub issued_before_ms: u64,
    /// When the last of them would have ended anyway.
    pub expires_ms: u64,
    /// Only the rights of their bearer have changed: who comes with a newer one goes on.
    pub rights_alone: bool,
    /// Why, for people.
    pub reason: &'a str,
}

impl Tx {
    /// Revokes tokens, and answers the revocation's number; a second one widens the first.
    ///
    /// Others who revoke wait for this transaction, so commit soon.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revoke(&mut self, org: &Org, new: &NewRevocation<'_>) -> Result<u64> {
        if *new.what != Revoked::Org {
            bounded(new.what.subject(), SHORT_BYTES, "a token's or user's id is 1 to 1024 bytes")?;
        }
        bounded(new.reason, SHORT_BYTES, "a reason is 1 to 1024 bytes")?;
        // A row and not a sequence: its lock makes numbers visible in their order.
        let count = "UPDATE counters SET value = value + 1 WHERE name = 'revocations' RETURNING value";
        let row = self.row(count, &[]).await?;
        let seq =
            row.ok_or_else(|| StoreError::Corrupt("the counter of revocations is gone".into()))?.count(0)?;
        // Each bound is widened by itself: a later change of rights takes nothing back of a revocation.
        let sql = "INSERT INTO revocations \
                   (org, kind, subject, seq, issued_before_ms, refused_before_ms, expires_ms, reason) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org, kind, subject) DO UPDATE SET \
                   seq = excluded.seq, reason = excluded.reason, \
                   issued_before_ms = CASE WHEN excluded.issued_before_ms > revocations.issued_before_ms \
                   THEN excluded.issued_before_ms ELSE revocations.issued_before_ms END, \
                   refused_before_ms = CASE WHEN excluded.refused_before_ms > \
                   coalesce(revocations.refused_before_ms, revocations.issued_before_ms) \
                   THEN excluded.refused_before_ms \
                   ELSE coalesce(revocations.refused_before_ms, revocations.issued_before_ms) END, \
                   expires_ms = CASE WHEN excluded.expires_ms > revocations.expires_ms \
                   THEN excluded.expires_ms ELSE revocations.expires_ms END";
        let (kind, subject) = (new.what.kind(), new.what.subject());
        let refused = if new.rights_alone { 0 } else { new.issued_before_ms };
        let values =
            args![org, kind, subject, seq, new.issued_before_ms, refused, new.expires_ms, new.reason];
        self.run(sql, values).await?;
        Ok(seq)
    }

    /// The first second, in milliseconds, that is after every token a user may have by now.
    ///
    /// Tokens say by the second when they were made, so the running one is taken in; and one that was signed
    /// after a revocation of the running second is dated behind that, by [`Reader::good_from`]. It holds if
    /// whoever signs does so in a transaction that holds the user, as this one does ([`Tx::hold_user`]).
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn after_tokens(&mut self, org: &Org, user: &str, now_ms: u64) -> Result<u64> {
        let next = (now_ms / 1_000 + 1) * 1_000;
        let good_from = self.good_from(org, user).await?;
        Ok(if good_from > now_ms { next.max(good_from + 1_000) } else { next })
    }

    /// Deletes revocations of tokens that had all ended before `before_ms`; at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune_revocations(&mut self, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM revocations WHERE seq IN \
                   (SELECT seq FROM revocations WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)";
        self.run(sql, args![before_ms, PRUNE_MOST]).await
    }
}

/// The columns of a revocation, before the rest of a statement.
macro_rules! revocations {
    ($rest:literal) => {
        concat!(
            "SELECT seq, org, kind, subject, issued_before_ms, expires_ms, reason, ",
            "coalesce(refused_before_ms, issued_before_ms) FROM revocations ",
            $rest
        )
    };
}

impl Reader {
    /// Revocations of all organisations after a number, in the order of their numbers; 0: from the first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revocations_since(&mut self, seq: u64, limit: u32) -> Result<Vec<Revocation>> {
        let sql = revocations!("WHERE seq > $1 ORDER BY seq LIMIT $2");
        self.rows(sql, args![seq, page(limit)]).await?.iter().map(revocation).collect()
    }

    /// An organisation's revocations, the newest first, before a number.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn revocations(&mut self, org: &Org, before: u64, limit: u32) -> Result<Vec<Revocation>> {
        let sql = revocations!("WHERE org = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3");
        self.rows(sql, args![org, before, page(limit)]).await?.iter().map(revocation).collect()
    }

    /// The time from which on tokens of a user are good; 0: all are.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn good_from(&mut self, org: &Org, user: &str) -> Result<u64> {
        let sql = "SELECT coalesce(max(issued_before_ms), 0) FROM revocations WHERE org = $1 AND \
                   ((kind = 'user' AND subject = $2) OR (kind = 'org' AND subject = ''))";
        self.row(sql, args![org, user]).await?.map_or(Ok(0), |row| row.count(0))
    }
}

fn revocation(row: &Row) -> Result<Revocation> {
    let subject = row.text(3)?;
    Ok(Revocation {
        seq: row.count(0)?,
        org: row.org(1)?,
        what: match row.text(2)?.as_str() {
            "token" => Revoked::Token(subject),
            "user" => Revoked::User(subject),
            "org" => Revoked::Org,
            _ => return Err(StoreError::Corrupt("a revocation's kind is none".into())),
        },
        issued_before_ms: row.count(4)?,
        expires_ms: row.count(5)?,
        reason: row.text(6)?,
        refused_before_ms: row.count(7)?,
    })
}
