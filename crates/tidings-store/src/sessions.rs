//! Sessions: who is or was connected, from where, and how it ended.
//!
//! Thousands begin and end in a second. Their table is ordered by when they began, so that one transaction
//! writes a few pages at its end; found by a random digest alone, each would be on a page of its own.

use tidings_core::Org;

use crate::args;
use crate::digest::Digest;
use crate::error::Result;
use crate::many::ManyRows;
use crate::options::{PRUNE_MOST, SHORT_BYTES, page};
use crate::sql::{Reader, Row, Tx, Value, bounded};

/// A session as it begins.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Where it belongs.
    pub org: &'a Org,
    /// The digest of its id, since whoever has the id has the session.
    pub digest: &'a Digest,
    /// The user; none for anonymous clients. Users of other issuers need no account here.
    pub user: Option<&'a str>,
    /// The node that holds it.
    pub node: &'a str,
    /// The door it came through: `socket.io`, `plain`, `http`.
    pub door: &'a str,
    /// The client's address, as it was judged.
    pub address: &'a str,
    /// When it begins.
    pub at_ms: u64,
}

/// A session as it ends.
#[derive(Debug, Clone, Copy)]
pub struct EndedSession<'a> {
    /// Where it belongs.
    pub org: &'a Org,
    /// The digest of its id.
    pub digest: &'a Digest,
    /// When it began.
    pub begun_ms: u64,
    /// Why it ends.
    pub cause: &'a str,
    /// When it ended, which is the last that was heard of it.
    pub at_ms: u64,
}

impl<'a> NewSession<'a> {
    fn row(&self) -> [Value<'a>; 8] {
        let Self { org, digest, user, node, door, address, at_ms } = *self;
        *args![org, digest, user, node, door, address, at_ms, at_ms]
    }
}

impl<'a> EndedSession<'a> {
    fn row(&self) -> [Value<'a>; 5] {
        let Self { org, digest, begun_ms, cause, at_ms } = *self;
        *args![org, begun_ms, digest, cause, at_ms]
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The digest of its id.
    pub digest: Digest,
    /// The user; none for anonymous clients.
    pub user: Option<String>,
    /// The node that holds or held it.
    pub node: String,
    /// The door it came through.
    pub door: String,
    /// The client's address, as it was judged.
    pub address: String,
    /// When it began.
    pub created_ms: u64,
    /// When something was heard of it.
    pub seen_ms: u64,
    /// When and why it ended.
    pub ended: Option<(u64, String)>,
}

static BEGIN: ManyRows = ManyRows::new(
    "INSERT INTO sessions (org, digest, user_id, node, door, address, created_ms, seen_ms) VALUES ",
    8,
    "",
);

static END: ManyRows = ManyRows::new(
    "WITH ended (org, created_ms, digest, cause, at_ms) AS (VALUES ",
    5,
    ") UPDATE sessions SET ended_ms = ended.at_ms, seen_ms = ended.at_ms, cause = ended.cause FROM ended \
     WHERE sessions.org = ended.org AND sessions.created_ms = ended.created_ms \
     AND sessions.digest = ended.digest AND sessions.ended_ms IS NULL",
);

impl Tx {
    /// Notes that sessions begin.
    ///
    /// # Errors
    /// [`StoreError::Conflict`](crate::StoreError::Conflict) if there is one of such an id that began then.
    pub async fn begin_sessions(&mut self, sessions: &[NewSession<'_>]) -> Result<()> {
        let texts = |new: &NewSession<'_>| {
            [new.user.unwrap_or("-"), new.node, new.door, new.address]
                .iter()
                .try_for_each(|text| bounded(text, SHORT_BYTES, "a session's texts are 1 to 1024 bytes"))
        };
        sessions.iter().try_for_each(texts)?;
        let values: Vec<_> = sessions.iter().flat_map(NewSession::row).collect();
        let done = self.run_rows(&BEGIN, &values).await;
        done.map(drop).map_err(|error| error.about("the session", "organisation"))
    }

    /// Notes how sessions ended and says of how many; of those that had ended before it stays as it was.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn end_sessions(&mut self, sessions: &[EndedSession<'_>]) -> Result<u64> {
        sessions
            .iter()
            .try_for_each(|ended| bounded(ended.cause, SHORT_BYTES, "a cause is 1 to 1024 bytes"))?;
        let values: Vec<_> = sessions.iter().flat_map(EndedSession::row).collect();
        self.run_rows(&END, &values).await
    }

    /// Notes that something was heard of a session; `false` if it has ended.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn see_session(
        &mut self,
        org: &Org,
        digest: &Digest,
        begun_ms: u64,
        now_ms: u64,
    ) -> Result<bool> {
        let sql = "UPDATE sessions SET seen_ms = $4 \
                   WHERE org = $1 AND created_ms = $2 AND digest = $3 AND ended_ms IS NULL";
        Ok(self.run(sql, args![org, begun_ms, digest, now_ms]).await? > 0)
    }

    /// Notes that a node's sessions have ended, as when it starts again after a crash.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn end_sessions_of_node(&mut self, node: &str, cause: &str, now_ms: u64) -> Result<u64> {
        bounded(cause, SHORT_BYTES, "a cause is 1 to 1024 bytes")?;
        let sql = "UPDATE sessions SET ended_ms = $2, cause = $3 WHERE node = $1 AND ended_ms IS NULL";
        self.run(sql, args![node, now_ms, cause]).await
    }

    /// Deletes sessions of all organisations that ended before `before_ms`, or were not seen since and never
    /// ended; at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_sessions(&mut self, before_ms: u64) -> Result<u64> {
        let over = "DELETE FROM sessions WHERE (org, created_ms, digest) IN \
                    (SELECT org, created_ms, digest FROM sessions \
                     WHERE ended_ms IS NOT NULL AND ended_ms < $1 ORDER BY ended_ms LIMIT $2)";
        let pruned = self.run(over, args![before_ms, PRUNE_MOST]).await?;
        // Left open by a node that never came back.
        let left = "DELETE FROM sessions WHERE (org, created_ms, digest) IN \
                    (SELECT org, created_ms, digest FROM sessions \
                     WHERE ended_ms IS NULL AND seen_ms < $1 LIMIT $2)";
        let room = u64::from(PRUNE_MOST).saturating_sub(pruned);
        Ok(pruned + self.run(left, args![before_ms, room]).await?)
    }
}

/// The columns of a session, before the rest of a statement.
macro_rules! sessions {
    ($rest:literal) => {
        concat!(
            "SELECT digest, user_id, node, door, address, created_ms, seen_ms, ended_ms, cause FROM sessions ",
            $rest
        )
    };
}

impl Reader {
    /// Finds a session.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn session(&mut self, org: &Org, digest: &Digest, begun_ms: u64) -> Result<Option<Session>> {
        let sql = sessions!("WHERE org = $1 AND created_ms = $2 AND digest = $3");
        self.row(sql, args![org, begun_ms, digest]).await?.as_ref().map(session).transpose()
    }

    /// A user's sessions, the newest first; with `before` those behind the one that began then and has this
    /// digest, or would have it.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn sessions(
        &mut self,
        org: &Org,
        user: &str,
        before: Option<(u64, Digest)>,
        limit: u32,
    ) -> Result<Vec<Session>> {
        let (begun_ms, digest) = before.unwrap_or((u64::MAX, Digest::LAST));
        let sql = sessions!(
            "WHERE org = $1 AND user_id = $2 AND created_ms <= $3 AND (created_ms < $3 OR digest > $4) \
             ORDER BY created_ms DESC, digest LIMIT $5"
        );
        let values = args![org, user, begun_ms, &digest, page(limit)];
        self.rows(sql, values).await?.iter().map(session).collect()
    }
}

fn session(row: &Row) -> Result<Session> {
    let ended_ms = row.count_or_none(7)?;
    let cause = row.text_or_none(8)?.unwrap_or_default();
    Ok(Session {
        digest: row.digest(0)?,
        user: row.text_or_none(1)?,
        node: row.text(2)?,
        door: row.text(3)?,
        address: row.text(4)?,
        created_ms: row.count(5)?,
        seen_ms: row.count(6)?,
        ended: ended_ms.map(|ms| (ms, cause)),
    })
}
