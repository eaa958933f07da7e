//! Appending to the chain.

use super::Head;
use super::entry::{AuditEntry, Recorded};
use crate::args;
use crate::error::{Result, StoreError};
use crate::sql::Tx;
use crate::store::Store;

/// Entries of one batch at most; whoever has more appends again.
pub const BATCH_MOST: usize = 256;

impl Store {
    /// Appends entries in their order, all or none, and answers the new head.
    ///
    /// Other nodes that append wait meanwhile; texts beyond their bounds are cut, and say so.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for more than [`BATCH_MOST`]; else as every write.
    pub async fn append_audit(&self, batch: &[AuditEntry], now_ms: u64) -> Result<Head> {
        let mut tx = self.begin().await?;
        let head = tx.append_audit(batch, now_ms).await?;
        tx.commit().await?;
        Ok(head)
    }
}

impl Tx {
    /// Appends entries in this transaction, so that they last if and only if what they tell of does.
    ///
    /// # Errors
    /// As [`Store::append_audit`].
    pub async fn append_audit(&mut self, batch: &[AuditEntry], now_ms: u64) -> Result<Head> {
        if batch.len() > BATCH_MOST {
            return Err(StoreError::Invalid("a batch of the audit log has 256 entries at most"));
        }
        let mut head = self.lock_head().await?.0;
        for entry in batch {
            let recorded = Recorded::after(head.seq + 1, head.hash, now_ms, entry.storable());
            recorded.insert(self).await?;
            head = Head { seq: recorded.seq, hash: recorded.hash };
        }
        let sql = "UPDATE audit_head SET seq = $1, hash = $2 WHERE id = 1";
        self.run(sql, args![head.seq, &head.hash]).await?;
        Ok(head)
    }

    /// Takes the head's row for this transaction alone; answers head and anchor.
    pub(super) async fn lock_head(&mut self) -> Result<(Head, Head)> {
        let sql = "UPDATE audit_head SET id = id WHERE id = 1 RETURNING seq, hash, anchor_seq, anchor_hash";
        heads(self.row(sql, &[]).await?.as_ref())
    }
}

/// Reads head and anchor.
pub(super) fn heads(row: Option<&crate::sql::Row>) -> Result<(Head, Head)> {
    let row = row.ok_or_else(|| StoreError::Corrupt("the head of the audit log is gone".into()))?;
    let head = Head { seq: row.count(0)?, hash: row.digest(1)? };
    Ok((head, Head { seq: row.count(2)?, hash: row.digest(3)? }))
}
