//! Forgetting old entries.

use crate::args;
use crate::error::{Result, StoreError};
use crate::options::PRUNE_MOST;
use crate::store::Store;

impl Store {
    /// Deletes the oldest entries, those written before `before_ms`, and keeps the hash of the last one of
    /// them, on which the rest of the chain follows. Says how many; at most [`PRUNE_MOST`] a call.
    ///
    /// Nothing behind an entry that has to stay is deleted, whatever the clocks said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn trim_audit(&self, before_ms: u64) -> Result<u64> {
        let mut tx = self.begin().await?;
        let (head, anchor) = tx.lock_head().await?;
        let most = anchor.seq + u64::from(PRUNE_MOST);
        let sql = "SELECT min(seq) FROM audit WHERE written_ms >= $1";
        let staying = tx.row(sql, args![before_ms]).await?.map_or(Ok(None), |row| row.count_or_none(0))?;
        let last = staying.map_or(head.seq, |seq| seq - 1).min(most);
        if last <= anchor.seq {
            return Ok(0);
        }
        let row = tx.row("SELECT hash FROM audit WHERE seq = $1", args![last]).await?;
        let hash = row
            .ok_or_else(|| StoreError::Corrupt(format!("entry {last} of the audit log is gone")))?
            .digest(0)?;
        // First the anchor: the table gives away only what lies before it.
        let sql = "UPDATE audit_head SET anchor_seq = $1, anchor_hash = $2 WHERE id = 1";
        tx.run(sql, args![last, &hash]).await?;
        let deleted = tx.run("DELETE FROM audit WHERE seq <= $1", args![last]).await?;
        tx.commit().await?;
        Ok(deleted)
    }
}
