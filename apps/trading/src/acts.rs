//! What happens in rooms: each a transaction of entries, events, and the room's row.

use std::sync::Arc;

use tidings_app::{Changes, Org, Refusal, Stage, plain_id};

use crate::journal::Input;
use crate::line;
use crate::order::{Ask, order_number};
use crate::refused::{Reason, Refused};
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms};
use crate::rules::Rules;
use crate::store::{self, RoomRow};
use crate::telling::{entries, place};
use crate::wire::{CancelAfterReply, OrderReply, SnapshotCreated, TradeEvent};

/// Rooms of one user that have not ended, at most.
pub const ROOMS_OF_ONE_MOST: u64 = 20;

/// A no: of the room, or of the store.
#[derive(Debug)]
pub enum No {
    /// The room refuses it.
    Room(Refused),
    /// It cannot be done.
    Other(Refusal),
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        Self::Room(refused)
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<No> for Refusal {
    fn from(no: No) -> Self {
        match no {
            No::Room(refused) => refused.into(),
            No::Other(refusal) => refusal,
        }
    }
}

/// Makes a room.
///
/// # Errors
/// `bad_request` for rules that make no sense, `conflict` if the id is taken or the owner has too many.
pub async fn create(
    tx: &mut Changes,
    org: &Org,
    (id, name, owner): (&str, &str, &str),
    rules: Rules,
) -> Result<RoomRow, Refusal> {
    plain_id(id, "id")?;
    let room = Room::new(id, rules).map_err(|problem| Refusal::bad_request(&problem))?;
    if !owner.is_empty() && store::unended(tx, org, owner).await? >= ROOMS_OF_ONE_MOST {
        return Err(Refusal::conflict("you have as many rooms as one may have"));
    }
    let row = RoomRow {
        id: id.to_owned(),
        name: name.to_owned(),
        owner: owner.to_owned(),
        rules: room.rules().clone(),
        state: room.state().as_str().to_owned(),
        created_ms: tx.now_ms(),
        seq: 0,
        chain: room.chain(),
    };
    if !store::add(tx, org, &row).await? {
        return Err(Refusal::conflict("there is a room of this id"));
    }
    Ok(row)
}

/// The room stands otherwise: when it is to be looked at, and where everybody stood at the end.
pub(crate) async fn turned(tx: &mut Changes, org: &Org, row: &RoomRow, room: &Room) -> Result<(), Refusal> {
    let (running, now_ms) = (room.state() == State::Running, tx.now_ms());
    let due = |after: Option<u64>| after.filter(|_| running).map(|ms| now_ms.saturating_add(row.lasts(ms)));
    let times = (due(row.rules.duration_ms), due(row.rules.snapshot_every_ms));
    store::schedule(tx, org, room.id(), times).await?;
    if running {
        crate::replay::rows::begin(tx, org, room.id()).await?;
    }
    if room.state() == State::Ended {
        keep_standings(tx, org, room).await?;
    }
    Ok(())
}

/// Keeps the standings of this moment; the id by which they are found.
async fn keep_standings(tx: &mut Changes, org: &Org, room: &Room) -> Result<String, Refusal> {
    let standings = room.standings();
    let json = serde_json::to_string(&standings)
        .map_err(|_| Refusal::unavailable("the standings cannot be written"))?;
    let number = store::keep(tx, org, room.id(), (room.seq(), room.at_ms(), &json)).await?;
    let created = SnapshotCreated {
        room_id: room.id().to_owned(),
        snapshot_id: number.to_string(),
        at: tidings_app::time::iso8601(room.at_ms()),
        entries: entries(&standings),
    };
    tx.emit(&place(org, room.id(), None)?, &TradeEvent::Snapshot(created))?;
    Ok(number.to_string())
}

/// Keeps the standings of a room now, and says when they are kept next.
///
/// # Errors
/// `not_found`, `conflict` if it has not begun or has ended.
pub async fn snapshot(rooms: &Arc<Rooms>, tx: &mut Changes, key: &Key) -> Result<String, Refusal> {
    let (row, room) = rooms.take(tx, key).await?;
    let running = room.state() == State::Running;
    let kept = if running {
        keep_standings(tx, &key.0, &room).await
    } else {
        Err(Refused::new(Reason::RoomNotRunning, "this room is not running").into())
    };
    rooms.put(key, room);
    if let Some(every) = row.rules.snapshot_every_ms.filter(|_| running) {
        let next = tx.now_ms().saturating_add(row.lasts(every));
        store::snapshot_next(tx, &key.0, &key.1, next).await?;
    }
    kept
}

/// Places an order, by whatever door. A repeat of the same order is answered with how that stands now; what the
/// room refuses is told to the member too.
///
/// # Errors
/// What the room refuses, as a refusal.
pub async fn order(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: Key,
    user: &str,
    ask: Ask,
) -> Result<OrderReply, Refusal> {
    let placed = line::ask(rooms, stage, &key, vec![Input::Place { user: user.to_owned(), ask }]).await?;
    placed.reply.ok_or_else(|| Refusal::unavailable("it is not known what became of it"))
}

/// Cancels what is left of an order.
///
/// # Errors
/// What the room refuses, as a refusal.
pub async fn cancel(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: Key,
    user: &str,
    order: &str,
) -> Result<OrderReply, Refusal> {
    let unknown = || Refusal::from(Refused::new(Reason::UnknownOrder, "there is no such order of yours"));
    let input = Input::Cancel { user: user.to_owned(), order: order_number(order).ok_or_else(unknown)? };
    line::ask(rooms, stage, &key, vec![input]).await?.reply.ok_or_else(unknown)
}

/// Arms, puts off or lays down the switch that cancels a member's open orders; when it is due.
///
/// # Errors
/// What the room refuses, as a refusal.
pub async fn cancel_after(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    (user, after_ms): (&str, Option<u64>),
) -> Result<CancelAfterReply, Refusal> {
    let input = Input::CancelAfter { user: user.to_owned(), after_ms };
    happens(rooms, stage, key, vec![input]).await?;
    let mut reader = stage.read().await?;
    let looked = rooms.look(&mut reader, key, |_, room| {
        room.accounts().get(user).and_then(|account| account.cancel_ms).map(tidings_app::time::iso8601)
    });
    Ok(CancelAfterReply { room_id: key.1.clone(), cancel_at: looked.await? })
}

/// Does in a room, in order, what is no order; each input is done or not, and with it those behind it. How many were.
///
/// # Errors
/// What the room refuses of the first; of a later one nothing is said but that it was not taken.
pub async fn happens(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    inputs: Vec<Input>,
) -> Result<usize, Refusal> {
    let mut taken = 0;
    while taken < inputs.len() {
        let done = match line::ask(rooms, stage, key, inputs[taken..].to_vec()).await {
            Err(no) if taken == 0 => return Err(no.into()),
            Err(_) => break,
            Ok(done) => done,
        };
        taken += done.taken;
        let mut goes_on = done.goes_on;
        while goes_on {
            goes_on = go_on(rooms, stage, key).await?;
        }
        if done.is_refused {
            break;
        }
    }
    Ok(taken)
}

/// Orders that have not met the newest price go on to; whether there are still more.
pub(crate) async fn go_on(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<bool, Refusal> {
    let unmet =
        rooms.look(&mut stage.read().await?, key, |_, room| room.unfinished().map(str::to_owned)).await?;
    let Some(symbol) = unmet else { return Ok(false) };
    match line::ask(rooms, stage, key, vec![Input::GoOn { symbol }]).await {
        // Somebody else's price has seen to it.
        Err(No::Room(_)) => Ok(false),
        done => Ok(done?.goes_on),
    }
}
