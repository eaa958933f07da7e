//! What happens in rooms: each a transaction of entries, events, and the room's row.

use std::sync::Arc;

use tidings_app::{Changes, Once, Org, Refusal, Stage, Told, plain_id};

use crate::journal::Input;
use crate::keyed::{Answer, Keyed, switch};
use crate::line;
use crate::order::{Ask, order_number};
use crate::refused::{Reason, Refused};
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms};
use crate::rules::Rules;
use crate::store::{self, RoomRow};
use crate::telling::{entries, place};
use crate::together::Asked;
use crate::wire::{CancelAfterReply, OrderReply, SnapshotCreated, TradeEvent};

/// Rooms of one user that have not ended, at most.
pub const ROOMS_OF_ONE_MOST: u64 = 20;
/// Rooms of one service that have not ended, at most. Services that name no user have these together.
pub const ROOMS_OF_A_SERVICE_MOST: u64 = 10_000;

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

/// Makes a room, whose owner may have so many that have not ended.
///
/// # Errors
/// `bad_request` for rules that make no sense, `conflict` if the id is taken or the owner has too many.
pub async fn create(
    tx: &mut Changes,
    org: &Org,
    (id, name, owner): (&str, &str, &str),
    (rules, most): (Rules, u64),
) -> Result<RoomRow, Refusal> {
    plain_id(id, "id")?;
    let room = Room::new(id, rules).map_err(|problem| Refusal::bad_request(&problem))?;
    if store::unended(tx, org, owner).await? >= most {
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
    let ends_ms = room.ends_ms().filter(|_| running).map(|at| row.when(at));
    let times = (ends_ms, due(row.rules.snapshot_every_ms));
    store::schedule(tx, org, room.id(), times).await?;
    if running {
        crate::replay::rows::begin(tx, org, room.id()).await?;
    }
    if room.state() == State::Ended {
        keep_standings(tx, org, (row, room)).await?;
    }
    Ok(())
}

/// Keeps the standings of this moment; the id by which they are found.
async fn keep_standings(
    tx: &mut Changes,
    org: &Org,
    (row, room): (&RoomRow, &Room),
) -> Result<String, Refusal> {
    let at_ms = room.time(row.time(tx.now_ms()));
    let standings = room.standings_at(at_ms);
    let json = serde_json::to_string(&standings)
        .map_err(|_| Refusal::unavailable("the standings cannot be written"))?;
    let number = store::keep(tx, org, room.id(), (room.seq(), at_ms, &json)).await?;
    let created = SnapshotCreated {
        room_id: room.id().to_owned(),
        snapshot_id: number.to_string(),
        at: tidings_app::time::iso8601(at_ms),
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
        keep_standings(tx, &key.0, (&row, &room)).await
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
    (user, once): (&str, Option<Once>),
    ask: Ask,
) -> Result<OrderReply, Refusal> {
    let asked = about_order(Input::Place { user: user.to_owned(), ask }, once);
    let placed = line::ask(rooms, stage, &key, asked).await?;
    placed.reply.ok_or_else(|| Refusal::unavailable("it is not known what became of it"))
}

fn about_order(input: Input, once: Option<Once>) -> Asked {
    Asked::now(vec![input], once.map(|once| Keyed::new(once, Answer::Order)))
}

/// Cancels what is left of an order.
///
/// # Errors
/// What the room refuses, as a refusal.
pub async fn cancel(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: Key,
    (user, once): (&str, Option<Once>),
    order: &str,
) -> Result<OrderReply, Refusal> {
    let unknown = || Refusal::from(Refused::new(Reason::UnknownOrder, "there is no such order of yours"));
    // What is no id of an order is asked for too: the room says what it says of one that is not there.
    let input = Input::Cancel { user: user.to_owned(), order: order_number(order).unwrap_or_default() };
    line::ask(rooms, stage, &key, about_order(input, once)).await?.reply.ok_or_else(unknown)
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
    once: Option<Once>,
) -> Result<CancelAfterReply, Refusal> {
    let inputs = vec![Input::CancelAfter { user: user.to_owned(), after_ms }];
    let keyed = once.map(|once| Keyed::new(once, Answer::Switch(user.to_owned())));
    line::ask(rooms, stage, key, Asked::now(inputs, keyed)).await?;
    rooms.look(&mut stage.read().await?, key, |_, room| switch(room, user)).await
}

/// The name under which a refusal says how many inputs before it were taken.
const TAKEN: &str = "taken";

/// Does in a room, in order, what is no order; each input is done or not, and with it those behind it. How many were.
///
/// # Errors
/// What the room refuses; `taken` stands beside it if it is not the first.
pub async fn happens(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    inputs: Vec<Input>,
) -> Result<usize, Refusal> {
    let (all, mut taken) = (inputs.len(), 0);
    happens_so_far(rooms, stage, key, (inputs, None), &mut taken).await.map(|_| all)
}

/// The same under a key once: how it is answered.
///
/// # Errors
/// As [`happens`]; `conflict` for a key of something else.
pub async fn happens_once(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    (inputs, keyed): (Vec<Input>, Keyed),
) -> Result<Told, Refusal> {
    let (once, mut taken) = (keyed.once.clone(), 0);
    match happens_so_far(rooms, stage, key, (inputs, Some(keyed)), &mut taken).await {
        Ok(Some(json)) => Ok(Told { json, duplicate: false }),
        Ok(None) => Err(Refusal::unavailable("it is not known what became of it")),
        // What was taken just now was not done before.
        Err(refusal) if taken > 0 => Err(refusal),
        Err(refusal) => stage.answered(&once).await.unwrap_or(Err(refusal)),
    }
}

/// What is kept for the key, if there is one.
async fn happens_so_far(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    (mut inputs, keyed): (Vec<Input>, Option<Keyed>),
    taken: &mut usize,
) -> Result<Option<String>, Refusal> {
    let mut kept = None;
    while !inputs.is_empty() {
        let keyed = keyed.as_ref().map(|keyed| keyed.behind(*taken));
        let asked = Asked::now(inputs.clone(), keyed);
        let done = line::ask(rooms, stage, key, asked).await.map_err(|no| so_far(no.into(), *taken))?;
        *taken += done.taken;
        inputs.drain(..done.taken);
        kept = done.kept.or(kept);
        let mut goes_on = done.goes_on;
        while goes_on {
            goes_on = go_on(rooms, stage, key).await.map_err(|refusal| so_far(refusal, *taken))?;
        }
        if let Some(refused) = done.refused {
            return Err(so_far(refused.into(), *taken));
        }
    }
    Ok(kept)
}

fn so_far(refusal: Refusal, taken: usize) -> Refusal {
    let taken = u32::try_from(taken).ok().filter(|taken| *taken > 0);
    Refusal { left: taken.map(|taken| (TAKEN, taken)).or(refusal.left), ..refusal }
}

/// Orders that have not met the newest price go on to; whether there are still more.
pub(crate) async fn go_on(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<bool, Refusal> {
    let unmet =
        rooms.look(&mut stage.read().await?, key, |_, room| room.unfinished().map(str::to_owned)).await?;
    let Some(symbol) = unmet else { return Ok(false) };
    let asked = Asked::now(vec![Input::GoOn { symbol }], None);
    match line::ask(rooms, stage, key, asked).await {
        // Somebody else's price has seen to it.
        Err(No::Room(_)) => Ok(false),
        done => Ok(done?.goes_on),
    }
}
