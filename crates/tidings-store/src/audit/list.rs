//! Reading the log.

use tidings_core::Org;

use super::entry::{Recorded, entries};
use crate::args;
use crate::error::Result;
use crate::options::page;
use crate::sql::Reader;

/// Which entries; what is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Those with numbers below this one: the last one of the page before.
    pub before_seq: Option<u64>,
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// With this result.
    pub result: Option<String>,
    /// Happened at or after this time.
    pub from_ms: Option<u64>,
    /// Happened before this time.
    pub until_ms: Option<u64>,
}

impl Reader {
    /// An organisation's entries, the newest first.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn audit(&mut self, org: &Org, filter: &AuditFilter, limit: u32) -> Result<Vec<Recorded>> {
        self.audit_where(Some(org), filter, limit).await
    }

    /// Entries of all organisations and of the server, the newest first; for operators.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn audit_of_all(&mut self, filter: &AuditFilter, limit: u32) -> Result<Vec<Recorded>> {
        self.audit_where(None, filter, limit).await
    }

    async fn audit_where(
        &mut self,
        org: Option<&Org>,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<Recorded>> {
        let sql = entries!(
            "WHERE seq < $1 AND ($2 IS NULL OR actor = $2) AND ($3 IS NULL OR action = $3) \
             AND ($4 IS NULL OR result = $4) AND at_ms >= $5 AND at_ms < $6 AND ($7 IS NULL OR org = $7) \
             ORDER BY seq DESC LIMIT $8"
        );
        let values = args![
            filter.before_seq.unwrap_or(u64::MAX),
            &filter.actor,
            &filter.action,
            &filter.result,
            filter.from_ms.unwrap_or(0),
            filter.until_ms.unwrap_or(u64::MAX),
            org.map(Org::as_str),
            page(limit)
        ];
        self.rows(sql, values).await?.iter().map(Recorded::read).collect()
    }
}
