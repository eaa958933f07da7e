//! The store as the server holds it.

use std::time::Duration;

use tidings_store::Store;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// An answer about the store is good for so long, however many ask.
const FRESH: Duration = Duration::from_secs(1);
/// A store that takes longer than this to answer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The store, and whether it answered when it was asked last.
pub(crate) struct Records {
    pub(crate) store: Store,
    asked: Mutex<Option<(Instant, bool)>>,
}

impl Records {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, asked: Mutex::new(None) }
    }

    /// Whether the store answers; one asks it at a time, and the others wait for that answer.
    pub(crate) async fn answers(&self) -> bool {
        let mut asked = self.asked.lock().await;
        if let Some((at, answer)) = *asked
            && at.elapsed() < FRESH
        {
            return answer;
        }
        let answer = matches!(timeout(PATIENCE, self.store.ping()).await, Ok(Ok(())));
        *asked = Some((Instant::now(), answer));
        answer
    }
}
