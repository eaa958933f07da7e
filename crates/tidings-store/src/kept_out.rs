//! Another process that writes a SQLite file keeps all of us out of it at once (decision 0079).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Result, StoreError};
use crate::sql::within;

/// What SQLite says of a lock that others hold (<https://www.sqlite.org/rescode.html#busy>).
const BUSY: u32 = 5;

/// How often somebody who wanted to write was kept out; cloning it counts a reference.
///
/// One connection writes, so that who wants to waits for who tries before. If that one is kept out, those behind it have waited for
/// the same lock: each with a try of its own would be told as much later as there are before it.
#[derive(Clone, Default)]
pub(crate) struct KeptOut(Arc<watch::Sender<u64>>);

impl KeptOut {
    /// Begins something, unless somebody is kept out meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it takes longer than `patience` or others hold the lock.
    pub(crate) async fn or<T>(
        &self,
        patience: Duration,
        begin: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let mut others = self.0.subscribe();
        let begin = async {
            let begun = begin.await;
            if begun.as_ref().is_err_and(|error| is(error, BUSY)) {
                self.0.send_modify(|times| *times += 1);
            }
            begun
        };
        tokio::select! {
            // Who is kept out itself says what SQLite said.
            biased;
            begun = within(patience, begin) => begun,
            _ = others.changed() => Err(StoreError::Unavailable("another process holds its lock".into())),
        }
    }
}

/// Whether SQLite gave this reason; of its code the lowest byte counts.
pub(crate) fn is(error: &sqlx::Error, reason: u32) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == reason)
}
