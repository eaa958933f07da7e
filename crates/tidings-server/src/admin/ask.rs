//! Walks over the connections of all shards: how they are begun and waited for.

use std::time::Duration;

use tidings_core::{Code, Org, Refusal};
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::timeout;

use super::Admin;
use crate::shard::census::{Census, Counting};
use crate::shard::inbox::Mail;
use crate::shard::rounds::Errand;
use crate::shard::sent_out::{Deed, Doing, Whose};
use crate::shard::walk::Walk;
use crate::shared::Shared;

/// A shard that has not answered by then is too busy to be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// When who found no place is told to come again, in milliseconds.
const RETRY_MS: u32 = 500;

impl Admin {
    /// Leave to walk over all connections, for as long as it is held.
    ///
    /// # Errors
    /// `unavailable` if enough others do.
    pub(crate) fn may_walk(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.walks.try_acquire().map_err(|_| busy("too many lists are being made"))
    }
}

/// Has every shard walk; what each of them found, in their order.
///
/// # Errors
/// `unavailable` if a shard has too much to do.
pub(crate) async fn everywhere<T>(
    shared: &Shared,
    walk: impl Fn(oneshot::Sender<T>) -> Box<dyn Walk>,
) -> Result<Vec<T>, Refusal> {
    let mut answers = Vec::with_capacity(shared.inboxes.len());
    for inbox in &shared.inboxes {
        let (reply, answer) = oneshot::channel();
        inbox.push(Mail::Errand(Errand::Walk(walk(reply))));
        answers.push(answer);
    }
    let mut found = Vec::with_capacity(answers.len());
    for answer in answers {
        found.push(waited(answer).await?);
    }
    Ok(found)
}

/// The same of one shard alone.
///
/// # Errors
/// As [`everywhere`].
pub(crate) async fn one<T>(
    shared: &Shared,
    shard: usize,
    walk: impl FnOnce(oneshot::Sender<T>) -> Box<dyn Walk>,
) -> Result<T, Refusal> {
    let (reply, answer) = oneshot::channel();
    if let Some(inbox) = shared.inboxes.get(shard) {
        inbox.push(Mail::Errand(Errand::Walk(walk(reply))));
    }
    waited(answer).await
}

/// Does something to clients on every shard; how many they were.
///
/// # Errors
/// As [`everywhere`].
pub(crate) async fn act(shared: &Shared, whose: &Whose, deed: &Deed) -> Result<usize, Refusal> {
    let walk =
        |reply| Box::new(Doing { whose: whose.clone(), deed: deed.clone(), done: 0, reply }) as Box<dyn Walk>;
    Ok(everywhere(shared, walk).await?.into_iter().sum())
}

/// Counts the connections of each shard: all, or those of one organisation.
///
/// # Errors
/// As [`everywhere`].
pub(crate) async fn census(shared: &Shared, org: Option<&Org>) -> Result<Vec<Census>, Refusal> {
    everywhere(shared, |reply| {
        Box::new(Counting { org: org.cloned(), found: Census::default(), reply }) as Box<dyn Walk>
    })
    .await
}

async fn waited<T>(answer: oneshot::Receiver<T>) -> Result<T, Refusal> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(found)) => Ok(found),
        _ => Err(busy("the server has too much to do")),
    }
}

fn busy(message: &str) -> Refusal {
    Refusal { retry_after_ms: Some(RETRY_MS), ..Refusal::new(Code::Unavailable, message) }
}
