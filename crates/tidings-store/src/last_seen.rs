//! When users were last there. Users of other issuers need no account here.

use std::collections::BTreeMap;

use tidings_core::Org;

use crate::args;
use crate::error::Result;
use crate::many::ManyRows;
use crate::options::{PRUNE_MOST, SHORT_BYTES};
use crate::sql::{Reader, Tx, Value};

/// When a user was last there.
#[derive(Debug, Clone, Copy)]
pub struct LastSeen<'a> {
    /// Where it belongs.
    pub org: &'a Org,
    /// The user.
    pub user: &'a str,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

static NOTE: ManyRows = ManyRows::new(
    "INSERT INTO last_seen (org, user_id, seen_ms) VALUES ",
    3,
    " ON CONFLICT (org, user_id) DO UPDATE SET seen_ms = excluded.seen_ms \
     WHERE excluded.seen_ms > last_seen.seen_ms",
);

impl Tx {
    /// Notes when users were last there; an earlier time than is known changes nothing.
    ///
    /// Ids that no database can keep (empty, with a NUL, or too long) are left out.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn note_last_seen(&mut self, seen: &[LastSeen<'_>]) -> Result<()> {
        // One statement may not change a row twice.
        let mut newest: BTreeMap<(&Org, &str), u64> = BTreeMap::new();
        for LastSeen { org, user, at_ms } in seen {
            let can_be_kept = !user.is_empty() && user.len() <= SHORT_BYTES && !user.contains('\0');
            if can_be_kept {
                let known = newest.entry((org, user)).or_default();
                *known = (*at_ms).max(*known);
            }
        }
        let rows = newest.iter().flat_map(|((org, user), at_ms)| *args![*org, *user, *at_ms]);
        let values: Vec<Value<'_>> = rows.collect();
        self.run_rows(&NOTE, &values).await.map(drop)
    }

    /// Forgets users of all organisations who were last there before `before_ms`, at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_last_seen(&mut self, before_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM last_seen WHERE (org, user_id) IN \
                   (SELECT org, user_id FROM last_seen WHERE seen_ms < $1 ORDER BY seen_ms LIMIT $2)";
        self.run(sql, args![before_ms, PRUNE_MOST]).await
    }
}

impl Reader {
    /// When a user was last there, in milliseconds since 1970, if that is known.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn last_seen(&mut self, org: &Org, user: &str) -> Result<Option<u64>> {
        let sql = "SELECT seen_ms FROM last_seen WHERE org = $1 AND user_id = $2";
        self.row(sql, args![org, user]).await?.map(|row| row.count(0)).transpose()
    }
}
