//! When users were last there, written into the store behind everybody's back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidings_core::UserKey;
use tidings_store::last_seen::LastSeen;
use tidings_store::{Store, StoreError};
use tokio::sync::watch;

use crate::shared::{Shared, wall_ms};

/// Time between two rounds of writing.
const PAUSE: Duration = Duration::from_secs(5);

/// Users of one transaction.
const BATCH: usize = 512;

/// Every so many rounds what is too old is removed: once an hour.
const PRUNE_EVERY: u64 = 720;

/// Writes when users were last there, until the server stops.
pub(crate) async fn keep_seen(shared: Arc<Shared>, days: u64, mut stop: watch::Receiver<bool>) {
    let Some(records) = &shared.records else { return };
    let mut rounds = 0_u64;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => return,
        }
        write_seen(&shared).await;
        if rounds.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = prune(&records.store, days).await
        {
            tracing::warn!(%error, "old times of users could not be removed");
        }
        rounds += 1;
    }
}

/// Writes what was noted so far; what cannot be written is lost and counted.
pub(crate) async fn write_seen(shared: &Shared) {
    let Some(records) = &shared.records else { return };
    let seen = shared.node.presence().take_seen();
    for batch in seen.chunks(BATCH) {
        if let Err(error) = write(shared, &records.store, batch).await {
            let lost = batch.len() as u64;
            shared.presence_told.unseen.fetch_add(lost, Ordering::Relaxed);
            tracing::warn!(%error, lost, "it could not be stored when users were last there");
        }
    }
}

async fn write(shared: &Shared, store: &Store, batch: &[(UserKey, u64)]) -> Result<(), StoreError> {
    let seen = batch.iter().map(|(user, at_ms)| {
        let (org, user, at_ms) = (user.org(), user.id(), shared.wall_of(*at_ms));
        LastSeen { org, user, at_ms }
    });
    let mut tx = store.begin().await?;
    tx.note_last_seen(&seen.collect::<Vec<_>>()).await?;
    tx.commit().await
}

async fn prune(store: &Store, days: u64) -> Result<(), StoreError> {
    let before_ms = wall_ms().saturating_sub(days.saturating_mul(24 * 3_600_000));
    let mut tx = store.begin().await?;
    tx.prune_last_seen(before_ms).await?;
    tx.commit().await
}
