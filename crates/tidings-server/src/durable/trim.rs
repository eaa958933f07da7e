//! Deleting what durable rooms do not keep any more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tidings_core::{Keep, Room};
use tidings_store::StoreError;
use tidings_store::log::{Kept, StoredRoom};
use tokio::sync::watch;

use super::Log;
use super::ages::Ages;
use super::origin::OLD_ROOM_MS;
use crate::shared::{Shared, wall_ms};

/// How often the log is trimmed, and how many rooms are looked at each time.
const TRIM: Duration = Duration::from_secs(10);
const TRIM_ROOMS: u32 = 500;

/// A room in which nothing was ever said is in a log of versions that wrote such rooms down; it goes after so long.
const NEW_ROOM_MS: u64 = 24 * 3_600_000;

/// Deletes what durable rooms do not keep any more, some rooms at a time, until `stop` changes.
pub(crate) async fn keep_trimmed(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Some(log) = &shared.log else { return };
    let (mut behind, mut ages) = (0, Ages::new(wall_ms(), Instant::now()));
    loop {
        match trim_some(&shared, log, behind, ages.now_ms(wall_ms(), Instant::now())).await {
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
async fn trim_some(shared: &Shared, log: &Log, behind: i64, now_ms: u64) -> Result<i64, StoreError> {
    let rooms = log.store.read().await?.log_rooms(behind, TRIM_ROOMS).await?;
    let kinds = shared.node.kinds();
    for stored in &rooms {
        forget_idle(shared, log, stored, now_ms).await?;
        // What a kind that is not declared now has kept, it keeps: the configuration may come back.
        let Some(Keep::Durable { size, ttl, log_bytes, .. }) =
            kinds.spec(&stored.room).ok().map(|spec| spec.keep)
        else {
            continue;
        };
        let since_ms = now_ms.saturating_sub(ttl.as_millis() as u64);
        let is_old = stored.oldest_ms.is_some_and(|oldest| oldest < since_ms);
        if stored.events > size as u64 || is_old || stored.bytes > log_bytes {
            let kept = Kept { events: size as u64, bytes: log_bytes, since_ms };
            trim_room(shared, log, &stored.room, &kept).await?;
        }
    }
    trim_organisations(shared, log).await?;
    let mut tx = log.store.begin().await?;
    tx.prune_log_keys(now_ms).await?;
    tx.commit().await?;
    let is_last = rooms.len() < TRIM_ROOMS as usize;
    Ok(rooms.last().filter(|_| !is_last).map_or(0, |room| room.place))
}

async fn trim_room(shared: &Shared, log: &Log, room: &Room, kept: &Kept) -> Result<u64, StoreError> {
    let mut tx = log.store.begin().await?;
    let gone = tx.trim_log(room, kept).await?;
    let head = tx.log_room(room).await?;
    tx.commit().await?;
    // Who comes back with a position is told by memory whether the log helps.
    if let Some(head) = head {
        shared.node.note_log(room, head.trimmed);
    }
    Ok(gone)
}

/// Where an organisation's rooms take more than they may, the oldest events of its largest room go, and again:
/// at most so many times a round.
const LARGEST: usize = 64;

/// An eighth of a room's events goes at once, so that not each publish makes one go.
const PART: u64 = 8;

async fn trim_organisations(shared: &Shared, log: &Log) -> Result<(), StoreError> {
    let most = shared.settings.log_bytes;
    for (org, mut taken) in log.store.read().await?.log_orgs_over(most).await? {
        tracing::warn!(
            org = org.as_str(),
            taken,
            most,
            "the log of an organisation is full: its oldest events go"
        );
        for _ in 0..LARGEST {
            let largest = log.store.read().await?.log_largest_room(&org).await?;
            let Some((room, bytes)) = largest.filter(|_| taken > most) else { break };
            let kept = Kept { events: u64::MAX, bytes: bytes - (bytes / PART).max(1), since_ms: 0 };
            let gone = trim_room(shared, log, &room, &kept).await?;
            log.trimmed.fetch_add(gone, Ordering::Relaxed);
            if gone == 0 {
                break;
            }
            taken = log.store.read().await?.log_bytes_of(&org).await?;
        }
    }
    Ok(())
}

/// Forgets a room in which nothing was said for so long that nobody comes back to it.
async fn forget_idle(shared: &Shared, log: &Log, stored: &StoredRoom, now_ms: u64) -> Result<(), StoreError> {
    let lasts = if stored.top == 0 { NEW_ROOM_MS } else { OLD_ROOM_MS };
    if stored.events > 0 || stored.touched_ms.saturating_add(lasts) > now_ms {
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
