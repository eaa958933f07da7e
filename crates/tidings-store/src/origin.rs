//! By what one database is told from every other.

use crate::args;
use crate::digest::Digest;
use crate::error::{Result, StoreError};
use crate::sql::Tx;

impl Tx {
    /// What this database has had since it was first asked for; `drawn` becomes it if nothing was yet.
    ///
    /// It stands among the migrations, of which none is ever deleted; those are counted from 1.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn origin(&mut self, drawn: &Digest) -> Result<Digest> {
        let sql = "INSERT INTO migrations (owner, number, name, checksum) VALUES ('origin', 0, 'origin', $1) \
                   ON CONFLICT (owner, number) DO NOTHING";
        self.run(sql, args![drawn]).await?;
        let sql = "SELECT checksum FROM migrations WHERE owner = 'origin' AND number = 0";
        let row = self.row(sql, &[]).await?;
        row.ok_or_else(|| StoreError::Corrupt("the origin is gone".into()))?.digest(0)
    }
}
