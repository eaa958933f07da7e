//! What a room no longer keeps.

use tidings_core::Room;

use crate::args;
use crate::error::Result;
use crate::options::PRUNE_MOST;
use crate::sql::Tx;

/// An idempotency key is good for ten minutes.
pub const KEY_MS: u64 = 600_000;

/// What a room keeps; what is beyond one of the three goes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// So many events.
    pub events: u64,
    /// So many bytes of them.
    pub bytes: u64,
    /// Those accepted since then, in milliseconds since 1970.
    pub since_ms: u64,
}

impl Tx {
    /// Deletes what a room does not keep and says how many that were, at most [`PRUNE_MOST`] a call.
    ///
    /// What is known of the room stays: its epoch, its newest position and where its events begin.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn trim_log(&mut self, room: &Room, kept: &Kept) -> Result<u64> {
        let Some(head) = self.log_room(room).await? else { return Ok(0) };
        let find = "WITH sized AS (SELECT place, at_ms, sum(bytes) OVER (ORDER BY place DESC) AS so_far \
                                   FROM log_events WHERE room_id = $1) \
                    SELECT max(place) FROM sized WHERE place <= $2 OR so_far > $3 OR at_ms < $4";
        let by_count = head.top.offset.saturating_sub(kept.events);
        let found = self.row(find, args![head.id(), by_count, kept.bytes, kept.since_ms]).await?;
        let Some(last) = found.map_or(Ok(None), |row| row.count_or_none(0))? else { return Ok(0) };
        let last = last.min(head.trimmed + u64::from(PRUNE_MOST));
        let note = "UPDATE log_rooms SET trimmed = e.place, trimmed_sequence = e.sequence, \
                    node = e.node, number = e.number, bytes = log_rooms.bytes - \
                    (SELECT sum(gone.bytes) FROM log_events gone WHERE gone.room_id = $1 AND gone.place <= $2) \
                    FROM log_events e WHERE log_rooms.id = $1 AND e.room_id = $1 AND e.place = $2";
        self.run(note, args![head.id(), last]).await?;
        self.run("DELETE FROM log_events WHERE room_id = $1 AND place <= $2", args![head.id(), last]).await
    }

    /// Forgets a room that keeps no events, unless something was appended; whether it did. Who comes back with a
    /// position in it is told of a gap.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn forget_log_room(&mut self, room: &Room, top: u64) -> Result<bool> {
        let sql = "DELETE FROM log_rooms WHERE org = $1 AND room = $2 AND top = $3 AND trimmed = top";
        Ok(self.run(sql, args![room.org(), room.name(), top]).await? > 0)
    }

    /// Deletes keys that are no longer good, at most [`PRUNE_MOST`] a call.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn prune_log_keys(&mut self, now_ms: u64) -> Result<u64> {
        let sql = "DELETE FROM log_keys WHERE (room_id, idempotency_key) IN \
                   (SELECT room_id, idempotency_key FROM log_keys WHERE at_ms <= $1 ORDER BY at_ms LIMIT $2)";
        self.run(sql, args![now_ms.saturating_sub(KEY_MS), PRUNE_MOST]).await
    }
}
