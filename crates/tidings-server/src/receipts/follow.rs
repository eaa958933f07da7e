//! One message on its way: try after try, until nothing is open or the last one is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_core::lock;
use tokio::time::timeout;

use super::tracked::Outcome;
use super::{Receipts, shown};
use crate::shard::inbox::Mail;
use crate::shared::wall_ms;

/// Follows a message to its end.
pub(super) async fn follow(receipts: Arc<Receipts>, ack: u64) {
    let Some((terms, settled)) = receipts.followed(ack) else { return };
    let patience = Duration::from_millis(terms.timeout_ms.into());
    for number in 1..=terms.tries {
        if timeout(patience, settled.notified()).await.is_ok() {
            break;
        }
        receipts.failed_once(ack);
        if number < terms.tries {
            receipts.again(ack);
        }
    }
    receipts.end(ack, None).await;
}

impl Receipts {
    fn followed(&self, ack: u64) -> Option<(super::Terms, Arc<tokio::sync::Notify>)> {
        let mut book = lock(&self.book);
        let tracked = book.get(ack)?;
        Some((tracked.terms, tracked.settled.clone()))
    }

    fn failed_once(&self, ack: u64) {
        if let Some(tracked) = lock(&self.book).get(ack) {
            tracked.failed_once();
        }
    }

    /// Has every shard send a message to those who have not acknowledged it.
    fn again(&self, ack: u64) {
        let again = lock(&self.book).get(ack).and_then(|tracked| {
            tracked.tries += 1;
            Some((tracked.message.clone()?, tracked.user.is_some()))
        });
        let Some((message, to_user)) = again else { return };
        self.counts.retried.fetch_add(1, Ordering::Relaxed);
        self.inboxes.iter().for_each(|inbox| inbox.push(Mail::Again(message.clone(), to_user)));
    }

    /// Ends a message: nobody is waited for any more, and the publisher is told.
    pub(super) async fn end(&self, ack: u64, why: Option<&'static str>) {
        let Some(outcome) = lock(&self.book).close(ack, wall_ms()) else { return };
        self.inboxes.iter().for_each(|inbox| inbox.push(Mail::Settled(ack)));
        self.count(ack);
        if outcome != Outcome::Acknowledged {
            self.bury(ack, why).await;
        } else {
            self.unbury(ack).await;
        }
        let mut book = lock(&self.book);
        if let Some(tracked) = book.get(ack)
            && let Some(teller) = tracked.teller.take()
        {
            let mut body = Vec::new();
            shown::write_receipt(&mut body, tracked);
            teller.tell("receipt", body);
        }
        book.over(ack, wall_ms());
    }

    fn count(&self, ack: u64) {
        let timed_out = lock(&self.book).get(ack).map_or(0, |tracked| tracked.counts().timed_out);
        self.counts.timed_out.fetch_add(timed_out, Ordering::Relaxed);
    }
}
