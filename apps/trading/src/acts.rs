//! What happens in rooms: each a transaction of entries, events, and the room's row.

use std::sync::{Arc, Mutex, PoisonError};

use tidings_app::commit::TOGETHER;
use tidings_app::{Changes, Org, Refusal, Stage, Tells, plain_id};

use crate::journal::{Entry, Input};
use crate::order::{Ask, order_number};
use crate::refused::{Reason, Refused};
use crate::room::{FILLS_MOST, Room, State};
use crate::rooms::{Key, Rooms};
use crate::rules::Rules;
use crate::store::{self, Head, RoomRow};
use crate::telling::{self, entries, place};
use crate::views;
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

/// What came of inputs.
#[derive(Debug)]
pub struct Done<T> {
    /// What was made of the room behind them.
    pub value: T,
    /// How many of them were applied: no more than what they tell fits in the transaction.
    pub taken: usize,
    /// Whether orders have not all met a price.
    pub goes_on: bool,
}

/// Events after which no further input is taken into a transaction: one more may tell three and a digest for each of its
/// fills.
const ENOUGH: usize = TOGETHER - 4 * FILLS_MOST - 2;

/// Does something in a room, and stores and tells it. What `done` makes of the room behind it is answered.
///
/// # Errors
/// What the room refuses; then nothing of the inputs is done.
pub async fn apply<T>(
    rooms: &Arc<Rooms>,
    tx: &mut Changes,
    key: &Key,
    inputs: Vec<Input>,
    done: impl FnOnce(&Room, Option<u64>) -> T,
) -> Result<Done<T>, No> {
    let (org, id) = key;
    let (row, mut room) = rooms.take(tx, key).await?;
    let (before, now_ms) = (room.state(), row.time(tx.now_ms()));
    let mut stored: Vec<Entry> = Vec::with_capacity(inputs.len());
    let (mut order, mut tells) = (None, Tells::default());
    // A server that was killed may have left some that have not met the newest price.
    let unmet = room.unfinished().map(|symbol| Input::GoOn { symbol: symbol.to_owned() });
    let unmet = unmet.filter(|_| inputs.iter().any(|input| matches!(input, Input::Price { .. })));
    let extra = usize::from(unmet.is_some());
    for input in unmet.into_iter().chain(inputs) {
        if tells.len() > ENOUGH || !stored.is_empty() && room.unfinished().is_some() {
            break;
        }
        // Whatever is refused behind something else leaves the room to be made again of its journal.
        let applied = match room.apply(now_ms, input) {
            Ok(applied) => applied,
            Err(refused) => {
                if stored.is_empty() {
                    rooms.put(key, room);
                }
                return Err(refused.into());
            }
        };
        store::write(tx, org, id, &applied.entry).await?;
        order = applied.order.or(order);
        stored.push(applied.entry.clone());
        telling::tell(&mut tells, org, &room, applied)?;
    }
    tx.tell(tells)?;
    let switched = |entry: &Entry| matches!(entry.input, Input::CancelAfter { .. } | Input::CancelDue { .. });
    if stored.iter().any(switched) {
        store::cancel_next(tx, org, id, room.next_cancel_ms().map(|at| row.when(at))).await?;
    }
    if before != room.state() {
        turned(tx, org, &row, &room).await?;
    }
    save(tx, org, &room).await?;
    let (taken, goes_on) = (stored.len() - extra, room.unfinished().is_some());
    let value = done(&room, order);
    rooms.put(key, room);
    let (rooms, key) = (rooms.clone(), key.clone());
    tx.after(move || rooms.settle_after(&key, &stored));
    Ok(Done { value, taken, goes_on })
}

/// The room stands otherwise: when it is to be looked at, and where everybody stood at the end.
async fn turned(tx: &mut Changes, org: &Org, row: &RoomRow, room: &Room) -> Result<(), Refusal> {
    let (running, now_ms) = (room.state() == State::Running, tx.now_ms());
    let due = |after: Option<u64>| after.filter(|_| running).map(|ms| now_ms.saturating_add(row.lasts(ms)));
    let times = (due(row.rules.duration_ms), due(row.rules.snapshot_every_ms));
    store::schedule(tx, org, room.id(), times).await?;
    if room.state() == State::Ended {
        keep_standings(tx, org, room).await?;
    }
    Ok(())
}

async fn save(tx: &mut Changes, org: &Org, room: &Room) -> Result<(), Refusal> {
    let head = Head {
        state: room.state().as_str(),
        members: room.members(),
        seq: room.seq(),
        chain: &room.chain().to_string(),
        started_ms: room.started_ms(),
        ended_ms: room.ended_ms(),
    };
    store::save(tx, org, room.id(), &head).await
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
    rooms.warm(stage, &key).await?;
    let why = Arc::new(Mutex::new(None));
    let (doing, noting, user, asked) = (rooms.clone(), why.clone(), user.to_owned(), ask.clone());
    let (at, whose) = (key.clone(), user.clone());
    let placed = stage.commit(move |tx| {
        Box::pin(async move {
            let input = Input::Place { user: whose.clone(), ask: asked };
            let placed = apply(&doing, tx, &at, vec![input], |room, order| {
                let order = room.order(order.unwrap_or_default())?;
                Some(views::of_reply(room, order, room.at_ms()))
            });
            let placed = placed.await.map_err(|no| {
                if let No::Room(refused) = &no {
                    *noting.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused.clone());
                }
                Refusal::from(no)
            })?;
            placed.value.ok_or_else(|| Refusal::unavailable("it is not known what became of it"))
        })
    });
    let refusal = match placed.await {
        Ok(reply) => return Ok(reply),
        Err(refusal) => refusal,
    };
    let why = why.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(refused) = why else { return Err(refusal) };
    if let Some(reply) = same(rooms, stage, &key, (&refused, &ask)).await? {
        return Ok(reply);
    }
    tell_refused(stage, &key, &user, (&ask, refused)).await?;
    Err(refusal)
}

/// The order that there is of a repeat.
async fn same(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    (refused, ask): (&Refused, &Ask),
) -> Result<Option<OrderReply>, Refusal> {
    let Some(number) = refused.order.filter(|_| refused.reason == Reason::DuplicateClientOrderId) else {
        return Ok(None);
    };
    let mut reader = stage.read().await?;
    rooms
        .look(&mut reader, key, |row, room| {
            let order = room.order(number).filter(|order| order.ask == *ask)?;
            let reply = views::of_reply(room, order, row.time(stage.now_ms()));
            Some(OrderReply { duplicate: Some(true), ..reply })
        })
        .await
}

/// Tells a member why an order was refused. Who comes too fast, or is no member, is answered alone.
async fn tell_refused(
    stage: &Stage,
    key: &Key,
    user: &str,
    (ask, refused): (&Ask, Refused),
) -> Result<(), Refusal> {
    if matches!(refused.reason, Reason::RateExceeded | Reason::NotAMember) {
        return Ok(());
    }
    let own = place(&key.0, &key.1, Some(user))?;
    let event = telling::failed(&key.1, &ask.client_order_id, &refused);
    stage
        .commit(move |tx| {
            Box::pin(async move { tx.emit_in(&own, &event, Some(tidings_app::Lane::Critical)) })
        })
        .await
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
    let number = order_number(order).ok_or_else(unknown)?;
    rooms.warm(stage, &key).await?;
    let (doing, user) = (rooms.clone(), user.to_owned());
    let cancelled = stage.commit(move |tx| {
        Box::pin(async move {
            let input = Input::Cancel { user, order: number };
            let cancelled = apply(&doing, tx, &key, vec![input], |room, _| {
                let order = room.order(number)?;
                Some(views::of_reply(room, order, room.at_ms()))
            });
            Ok(cancelled.await?.value)
        })
    });
    cancelled.await?.ok_or_else(unknown)
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
    rooms.warm(stage, key).await?;
    let mut taken = 0;
    while taken < inputs.len() {
        let done = match once(rooms, stage, key, inputs[taken..].to_vec()).await {
            Err(refusal) if taken == 0 => return Err(refusal),
            Err(_) => break,
            Ok(done) => done,
        };
        taken += done.taken;
        let mut goes_on = done.goes_on;
        while goes_on {
            goes_on = go_on(rooms, stage, key).await?;
        }
    }
    Ok(taken)
}

async fn once(rooms: &Arc<Rooms>, stage: &Stage, key: &Key, inputs: Vec<Input>) -> Result<Done<()>, Refusal> {
    let (doing, at) = (rooms.clone(), key.clone());
    stage
        .commit(move |tx| Box::pin(async move { Ok(apply(&doing, tx, &at, inputs, |_, _| ()).await?) }))
        .await
}

/// Orders that have not met the newest price go on to; whether there are still more.
async fn go_on(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<bool, Refusal> {
    let unmet =
        rooms.look(&mut stage.read().await?, key, |_, room| room.unfinished().map(str::to_owned)).await?;
    let Some(symbol) = unmet else { return Ok(false) };
    Ok(once(rooms, stage, key, vec![Input::GoOn { symbol }]).await?.goes_on)
}
