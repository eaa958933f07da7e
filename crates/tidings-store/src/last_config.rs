//! What was set when a server last started, so that the next one can tell what is set otherwise.

use crate::args;
use crate::error::{Result, StoreError};
use crate::sql::{Reader, Tx};

/// Bytes of what is kept; a configuration has some hundred settings.
pub const SETTINGS_BYTES: usize = 1 << 20;

impl Reader {
    /// What was set at the last start, as whoever started wrote it; `None` before the first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn last_config(&mut self) -> Result<Option<String>> {
        let row = self.row("SELECT settings FROM last_config WHERE id = 1", &[]).await?;
        row.map(|row| row.text(0)).transpose()
    }
}

impl Tx {
    /// Keeps what is set now, in the place of what was.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for more than [`SETTINGS_BYTES`]; else as every write.
    pub async fn keep_config(&mut self, settings: &str, now_ms: u64) -> Result<()> {
        if settings.len() > SETTINGS_BYTES {
            return Err(StoreError::Invalid("the settings of a server are 1 MiB at most"));
        }
        let sql = "INSERT INTO last_config (id, settings, at_ms) VALUES (1, $1, $2) \
                   ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, at_ms = excluded.at_ms";
        self.run(sql, args![settings, now_ms]).await.map(drop)
    }
}
