//! Where a room stands, asked before it is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidings_core::{Position, Room};
use tidings_store::StoreError;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Log;
use crate::shared::Shared;

/// Nobody waits longer for what apps make of a transaction.
const TOLD: Duration = Duration::from_secs(1);

/// Transactions of apps: how many were about to be committed, and of how many of these apps know what became of them.
#[derive(Debug, Default)]
pub(super) struct Told {
    begun: AtomicU64,
    ended: watch::Sender<u64>,
}

impl Told {
    /// One is about to be committed.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Apps know of all that were begun.
    pub(super) fn end(&self) {
        self.ended.send_replace(self.begun.load(Ordering::SeqCst));
    }

    /// Waits until apps know of those that were begun by now; `false` if that takes too long.
    async fn up_to_now(&self) -> bool {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut ended = self.ended.subscribe();
        matches!(timeout(TOLD, ended.wait_for(|ended| *ended >= begun)).await, Ok(Ok(_)))
    }
}

impl Log {
    /// Where a room stands in the log; one in which nothing was said at the beginning of the epoch it would get.
    async fn top_of(&self, room: &Room) -> Result<Position, StoreError> {
        let head = self.store.read().await?.log_room(room).await?;
        match head {
            Some(head) => Ok(head.top),
            None => Ok(Position::start(self.origin.epoch_of(room).await?)),
        }
    }
}

impl Shared {
    /// Where a room stands that keeps events: what is read of it afterwards is at least as new. Of a durable one that
    /// is not in memory the log is asked. `None` of one that keeps events in memory and is not there, since its epoch
    /// begins with it, and while the log cannot be read.
    pub(crate) async fn stands(&self, room: &Room) -> Option<Position> {
        if let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) {
            return Some(top);
        }
        let log = self.log.as_ref().filter(|_| self.node.is_durable(room))?;
        Box::pin(log.in_time(room, log.top_of(room))).await.ok()
    }

    /// The same for apps: by then they have in memory what was committed up to there.
    pub(crate) async fn stands_for_apps(&self, room: &Room) -> Option<Position> {
        // What memory says was delivered, and apps are told before anybody else.
        if let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) {
            return Some(top);
        }
        let top = self.stands(room).await?;
        self.log.as_ref()?.told.up_to_now().await.then_some(top)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_what_was_begun_before_and_not_for_what_comes() {
        let told = Arc::new(Told::default());
        assert!(told.up_to_now().await, "nothing was begun");
        told.begin();
        let waits = tokio::spawn({
            let told = told.clone();
            async move { told.up_to_now().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        told.end();
        told.begin();
        assert!(waits.await.unwrap());
        assert!(!told.up_to_now().await, "the next one never ends");
    }
}
