//! Deleting what durable rooms do not keep any more.

use std::sync::Arc;
use std::time::Duration;

use tidings_store::StoreError;
use tidings_store::log::{Kept, StoredRoom};
use tokio::sync::watch;

use super::Log;
use crate::shared::{Shared, wall_ms};

/// How often the log is trimmed, and how many rooms are looked at each time.
const TRIM: Duration = Duration::from_secs(10);
const TRIM_ROOMS: u32 = 500;

/// What is known of a room outlasts its events by so long; of one in which nothing was ever said, by less.
const OLD_ROOM_MS: u64 = 90 * 24 * 3_600_000;
const NEW_ROOM_MS: u64 = 24 * 3_600_000;

/// Deletes what durable rooms do not keep any more, some rooms at a time, until `stop` changes.
pub(crate) async fn keep_trimmed(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(log) = &shared.log else { return };
    let mut behind = 0;
    loop {
        match trim_some(&shared, log, behind).await {
            Ok(next) => behind = next,
            Err(error) => tracing::debug!(%error, "the log cannot be trimmed now"),
        }
        tokio::select! {
            () = tokio::time::sleep(TRIM) => {}
            _ = stop.changed() => return,
        }
    }
}

/// Trims the next rooms behind a place, and says where to go on; 0 once all were looked at.
async fn trim_some(shared: &Shared, log: &Log, behind: i64) -> Result<i64, StoreError> {
    let rooms = log.store.read().await?.log_rooms(behind, TRIM_ROOMS).await?;
    let kinds = shared.node.kinds();
    for stored in &rooms {
        forget_idle(shared, log, stored).await?;
        // What a kind that is not declared now has kept, it keeps: the configuration may come back.
        let Some((size, ttl, _)) = kinds.spec(&stored.room).ok().and_then(|spec| spec.keep.bounds()) else {
            continue;
        };
        let since_ms = wall_ms().saturating_sub(ttl.as_millis() as u64);
        if stored.events > size as u64 || stored.oldest_ms.is_some_and(|oldest| oldest < since_ms) {
            let kept = Kept { events: size as u64, bytes: i64::MAX as u64, since_ms };
            let mut tx = log.store.begin().await?;
            tx.trim_log(&stored.room, &kept).await?;
            tx.commit().await?;
        }
    }
    let mut tx = log.store.begin().await?;
    tx.prune_log_keys(wall_ms()).await?;
    tx.commit().await?;
    let is_last = rooms.len() < TRIM_ROOMS as usize;
    Ok(rooms.last().filter(|_| !is_last).map_or(0, |room| room.place))
}

/// Forgets a room in which nothing was said for so long that nobody comes back to it.
async fn forget_idle(shared: &Shared, log: &Log, stored: &StoredRoom) -> Result<(), StoreError> {
    let lasts = if stored.top == 0 { NEW_ROOM_MS } else { OLD_ROOM_MS };
    if stored.events > 0 || stored.touched_ms.saturating_add(lasts) > wall_ms() {
        return Ok(());
    }
    let _turn = log.turn(&stored.room).await;
    // One that is in memory goes on with its numbers.
    if shared.node.hub().find(&stored.room).is_none() {
        let mut tx = log.store.begin().await?;
        tx.forget_log_room(&stored.room, stored.top).await?;
        tx.commit().await?;
    }
    Ok(())
}
