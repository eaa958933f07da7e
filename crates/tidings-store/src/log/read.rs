//! Reading rooms.

use tidings_core::{Epoch, MessageId, Org, Position, Room};

use super::record::Record;
use super::unsigned;
use crate::args;
use crate::error::{Result, StoreError};
use crate::sql::{Reader, Row};

/// Events of a page at most.
pub const PAGE_EVENTS: u32 = 256;

/// Bytes of a page's events, beyond which no further one is on it.
pub const PAGE_BYTES: u64 = 256 * 1024;

/// What is known of a room, whether or not its events are still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomHead {
    /// Its row, for reads that follow.
    id: i64,
    /// The newest position.
    pub top: Position,
    /// The highest offset that is not kept any more.
    pub trimmed: u64,
    /// The sequence of the event there; who has heard everything up to it has missed nothing.
    pub trimmed_sequence: u64,
    /// When something was appended last.
    pub touched_ms: u64,
}

impl RoomHead {
    pub(super) fn id(&self) -> i64 {
        self.id
    }
}

/// A room of the log, to judge what of it is still kept.
#[derive(Debug, Clone)]
pub struct StoredRoom {
    /// The room.
    pub room: Room,
    /// How many events it ever had.
    pub top: u64,
    /// How many of them are kept.
    pub events: u64,
    /// When something was appended last, or when it was made.
    pub touched_ms: u64,
    /// What these take together, in bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted; `None` without any.
    pub oldest_ms: Option<u64>,
    /// Where a walk goes on behind it.
    pub place: i64,
}

impl Reader {
    /// Rooms of all organisations, in the order in which they were made, behind a place; at most `most`.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_rooms(&mut self, behind: i64, most: u32) -> Result<Vec<StoredRoom>> {
        let sql = "SELECT r.id, r.org, r.room, r.top, r.top - r.trimmed, e.at_ms, r.touched_ms, r.bytes FROM log_rooms r \
                   LEFT JOIN log_events e ON e.room_id = r.id AND e.place = r.trimmed + 1 \
                   WHERE r.id > $1 ORDER BY r.id LIMIT $2";
        let stored = |row: &Row| {
            let room = Room::new(&row.org(1)?, &row.text(2)?, usize::MAX);
            let room = room.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ok(StoredRoom {
                room,
                top: row.count(3)?,
                events: row.count(4)?,
                oldest_ms: row.count_or_none(5)?,
                touched_ms: row.count(6)?,
                place: row.int(0)?,
                bytes: row.count(7)?,
            })
        };
        self.rows(sql, args![behind, most]).await?.iter().map(stored).collect()
    }

    /// Finds a room; `None` if nothing was ever appended.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_room(&mut self, room: &Room) -> Result<Option<RoomHead>> {
        let sql = "SELECT r.id, r.epoch, r.top, coalesce(e.node, r.node), coalesce(e.number, r.number), \
                   r.trimmed, r.trimmed_sequence, r.touched_ms \
                   FROM log_rooms r LEFT JOIN log_events e ON e.room_id = r.id AND e.place = r.top \
                   WHERE r.org = $1 AND r.room = $2";
        self.row(sql, args![room.org(), room.name()]).await?.as_ref().map(head).transpose()
    }

    /// A page of a room's events behind an offset, oldest first: at most [`PAGE_EVENTS`], and none once those
    /// before it have [`PAGE_BYTES`]. One that is damaged stands there as such.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_after(&mut self, room: &RoomHead, offset: u64) -> Result<Vec<Record>> {
        let sql = "WITH page AS (SELECT place, bytes FROM log_events \
                                 WHERE room_id = $1 AND place > $2 ORDER BY place LIMIT $3), \
                   sized AS (SELECT place, sum(bytes) OVER (ORDER BY place) - bytes AS before FROM page) \
                   SELECT e.place, e.sequence, e.node, e.number, e.at_ms, e.event, e.data, e.attachments, \
                   e.checksum FROM sized JOIN log_events e ON e.room_id = $1 AND e.place = sized.place \
                   WHERE sized.before < $4 ORDER BY e.place";
        let rows = self.rows(sql, args![room.id, offset, PAGE_EVENTS, PAGE_BYTES]).await?;
        rows.iter().map(|row| Record::read(row, room.id, room.top.epoch)).collect()
    }

    /// How many events of an organisation the log has numbered.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_sequence(&mut self, org: &Org) -> Result<u64> {
        let row = self.row("SELECT sequence FROM log_orgs WHERE org = $1", args![org]).await?;
        row.map_or(Ok(0), |row| row.count(0))
    }

    /// How many events each organisation has had in its log.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_sequences(&mut self) -> Result<Vec<(Org, u64)>> {
        let rows = self.rows("SELECT org, sequence FROM log_orgs", &[]).await?;
        rows.iter().map(|row| Ok((row.org(0)?, row.count(1)?))).collect()
    }

    /// The number among its organisation's events of the newest event up to an offset, kept or not.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_sequence_at(&mut self, room: &RoomHead, offset: u64) -> Result<u64> {
        let sql =
            "SELECT sequence FROM log_events WHERE room_id = $1 AND place <= $2 ORDER BY place DESC LIMIT 1";
        let row = self.row(sql, args![room.id, offset]).await?;
        row.map_or(Ok(room.trimmed_sequence), |row| row.count(0))
    }

    /// Organisations whose rooms take more than so many bytes together, and how many they take.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_orgs_over(&mut self, bytes: u64) -> Result<Vec<(Org, u64)>> {
        let sql = "SELECT org, CAST(sum(bytes) AS BIGINT) FROM log_rooms GROUP BY org HAVING sum(bytes) > $1";
        let rows = self.rows(sql, args![bytes]).await?;
        rows.iter().map(|row| Ok((row.org(0)?, row.count(1)?))).collect()
    }

    /// What the rooms of an organisation take together, in bytes.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_bytes_of(&mut self, org: &Org) -> Result<u64> {
        let sql = "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM log_rooms WHERE org = $1";
        self.row(sql, args![org]).await?.map_or(Ok(0), |row| row.count(0))
    }

    /// The room of an organisation that takes the most bytes, and how many.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_largest_room(&mut self, org: &Org) -> Result<Option<(Room, u64)>> {
        let sql = "SELECT room, bytes FROM log_rooms WHERE org = $1 ORDER BY bytes DESC, id LIMIT 1";
        let Some(row) = self.row(sql, args![org]).await? else { return Ok(None) };
        let room = Room::new(org, &row.text(0)?, usize::MAX);
        let room = room.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Some((room, row.count(1)?)))
    }

    /// The highest offset of a room whose event has at most this sequence; what was trimmed counts as such.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn log_offset_of(&mut self, room: &RoomHead, sequence: u64) -> Result<u64> {
        let sql =
            "SELECT place FROM log_events WHERE room_id = $1 AND sequence <= $2 ORDER BY place DESC LIMIT 1";
        let row = self.row(sql, args![room.id, sequence]).await?;
        row.map_or(Ok(room.trimmed), |row| row.count(0))
    }
}

fn head(row: &Row) -> Result<RoomHead> {
    let epoch = Epoch(unsigned(row.int(1)?));
    let (offset, id) =
        (row.count(2)?, MessageId { node: unsigned(row.int(3)?), number: unsigned(row.int(4)?) });
    let top = if offset == 0 { Position::start(epoch) } else { Position::of(epoch, offset, id) };
    Ok(RoomHead {
        id: row.int(0)?,
        top,
        trimmed: row.count(5)?,
        trimmed_sequence: row.count(6)?,
        touched_ms: row.count(7)?,
    })
}
