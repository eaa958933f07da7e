//! What is asked under a key is done once: the key and what it was answered with stand in the transaction of the entries.

use serde::Serialize;
use serde_json::json;
use tidings_app::{Once, Refusal};

use crate::room::Room;
use crate::store::RoomRow;
use crate::together::Done;
use crate::views;
use crate::wire::{CancelAfterReply, OrderReply};

/// Bytes of an answer that is kept for a key, with some to spare.
const ANSWER_BYTES: usize = 60 << 10;

/// Under which key something is done once, and how it is answered.
#[derive(Debug, Clone)]
pub struct Keyed {
    /// The key.
    pub(crate) once: Once,
    /// How it is answered.
    pub(crate) answer: Answer,
    /// How many of its inputs were taken in transactions before: then the key is its own, and what is kept for it grows.
    pub(crate) taken: usize,
}

impl Keyed {
    /// A key that is still to be taken.
    pub fn new(once: Once, answer: Answer) -> Self {
        Self { once, answer, taken: 0 }
    }

    /// The same when so many inputs were taken.
    pub(crate) fn behind(&self, taken: usize) -> Self {
        Self { taken, ..self.clone() }
    }
}

/// How something is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// That it was done.
    Done,
    /// With how many prices were taken.
    Taken,
    /// With how the order stands.
    Order,
    /// With the room.
    Room,
    /// With what a member has.
    Account(String),
    /// With when a member's open orders are cancelled.
    Switch(String),
}

impl Answer {
    /// The answer as it is kept: of a room at a time, of what was done behind what was taken before.
    pub(crate) fn json(
        &self,
        (row, room, now_ms): (&RoomRow, &Room, u64),
        (done, taken): (&Done, usize),
    ) -> Result<String, Refusal> {
        match self {
            Self::Done => written(&json!({"ok": true})),
            Self::Taken => written(&json!({"ok": true, "taken": taken + done.taken})),
            // That it is a repeat is said of each repeat anyway.
            Self::Order => written(&done.reply.clone().map(|reply| OrderReply { duplicate: None, ..reply })),
            Self::Room => short(row, room),
            Self::Account(user) => written(&views::of_account(room, user, now_ms)?),
            Self::Switch(user) => written(&switch(room, user)),
        }
    }
}

/// When a member's open orders are cancelled.
pub(crate) fn switch(room: &Room, user: &str) -> CancelAfterReply {
    let cancel_ms = room.accounts().get(user).and_then(|account| account.cancel_ms);
    CancelAfterReply { room_id: room.id().to_owned(), cancel_at: cancel_ms.map(tidings_app::time::iso8601) }
}

/// A room with as many of its first places as can be kept: names may be long.
fn short(row: &RoomRow, room: &Room) -> Result<String, Refusal> {
    let mut view = views::of_room(row, room);
    loop {
        let text = written(&view)?;
        if text.len() <= ANSWER_BYTES || view.standings.is_empty() {
            return Ok(text);
        }
        view.standings.truncate(view.standings.len() / 2);
    }
}

fn written(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|_| Refusal::unavailable("the answer cannot be written"))
}
