//! Rooms that users want to be in whenever they are connected, and how far each has heard them.

use tidings_core::{Epoch, Org, Position};

use crate::args;
use crate::error::Result;
use crate::log::{signed, unsigned};
use crate::options::{LIST_MOST, SHORT_BYTES};
use crate::sql::{Reader, Row, Tx, Value, bounded};

/// A room a user wants to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The room's name.
    pub room: String,
    /// How far the user has heard it; `None` if that was never known, as in rooms that keep nothing.
    pub heard: Option<Position>,
}

impl Tx {
    /// Keeps a subscription, unless it would be one more than `most` of the user's; whether it is kept.
    ///
    /// One that is kept already keeps its place.
    ///
    /// # Errors
    /// [`StoreError::Invalid`](crate::StoreError::Invalid) for a name that is empty or too long.
    pub async fn keep_subscription(
        &mut self,
        org: &Org,
        user: &str,
        new: &Subscription,
        most: u64,
        at_ms: u64,
    ) -> Result<bool> {
        for text in [user, &new.room] {
            bounded(text, SHORT_BYTES, "a user's id and a room's name are 1 to 1024 bytes")?;
        }
        let others = "SELECT count(*) FROM subscriptions WHERE org = $1 AND user_id = $2 AND room <> $3";
        let others =
            self.row(others, args![org, user, &new.room]).await?.map_or(Ok(0), |row| row.count(0))?;
        if others >= most {
            return Ok(false);
        }
        let (epoch, place, tag) = columns(new.heard);
        let sql = "INSERT INTO subscriptions (org, user_id, room, epoch, place, tag, created_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org, user_id, room) DO NOTHING";
        let epoch = Value::Int(epoch);
        self.run(sql, args![org, user, &new.room, epoch, place, tag, at_ms]).await?;
        Ok(true)
    }

    /// Notes how far a user has heard a room; never back within an epoch, and nothing if it is not kept.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn heard_subscription(
        &mut self,
        org: &Org,
        user: &str,
        room: &str,
        heard: Position,
    ) -> Result<()> {
        let (epoch, place, tag) = columns(Some(heard));
        let sql = "UPDATE subscriptions SET epoch = $4, place = $5, tag = $6 \
                   WHERE org = $1 AND user_id = $2 AND room = $3 \
                   AND (epoch IS NULL OR epoch <> $4 OR place < $5)";
        let epoch = Value::Int(epoch);
        self.run(sql, args![org, user, room, epoch, place, tag]).await.map(drop)
    }

    /// Ends a subscription; whether there was such.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn end_subscription(&mut self, org: &Org, user: &str, room: &str) -> Result<bool> {
        let sql = "DELETE FROM subscriptions WHERE org = $1 AND user_id = $2 AND room = $3";
        Ok(self.run(sql, args![org, user, room]).await? > 0)
    }
}

impl Reader {
    /// A user's subscriptions, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn subscriptions(&mut self, org: &Org, user: &str) -> Result<Vec<Subscription>> {
        let sql = "SELECT room, epoch, place, tag FROM subscriptions WHERE org = $1 AND user_id = $2 \
                   ORDER BY created_ms, room LIMIT $3";
        self.rows(sql, args![org, user, LIST_MOST]).await?.iter().map(subscription).collect()
    }
}

/// Epochs use all 64 bits; both databases have signed numbers.
fn columns(heard: Option<Position>) -> (Option<i64>, u64, u32) {
    (heard.map(|p| signed(p.epoch.0)), heard.map_or(0, |p| p.offset), heard.map_or(0, |p| p.tag))
}

fn subscription(row: &Row) -> Result<Subscription> {
    let (offset, tag) = (row.count(2)?, row.count(3)? as u32);
    let epoch = row.int_or_none(1)?;
    let heard = epoch.map(|epoch| Position { epoch: Epoch(unsigned(epoch)), offset, tag });
    Ok(Subscription { room: row.text(0)?, heard })
}
