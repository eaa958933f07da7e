//! What happens by itself: rooms are fed and end, standings are kept and told, positions are valued anew.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use tidings_app::{Changes, Lane, Org, Reader, Refusal, Stage};

use crate::acts::{happens, snapshot};
use crate::journal::Input;
use crate::prices;
use crate::replay::{self, Tapes};
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms, Round};
use crate::standing::{Moved, moved};
use crate::store::{self, Due, Timer};
use crate::telling::{entries, place, portfolio, position};
use crate::wire::{LeaderboardUpdated, RankingChanged, TradeEvent};

/// How often it is looked at; also how often a viewer is told of a symbol's price at most.
pub const BEAT: Duration = Duration::from_millis(250);
/// So much less often it is looked at where no room is in memory, until one is: what is due in one then is what another
/// server left, or an earlier start.
pub const CALM: Duration = Duration::from_millis(750);
/// Beats between standings that are told.
const STANDINGS_BEATS: u64 = 4;
/// Rooms in which something is due that are seen to in one beat, of each sort; the others come with the next beat, those
/// first that wait longest. Also users of a room whose open orders are cancelled in one beat.
const DUE_MOST: u64 = 64;
/// So long a room is left alone in which something is due and cannot be done, if it is not said when to try again. Those that
/// wait longest go first: it would keep others from their turn.
const AGAIN_MS: u64 = 5_000;
/// Transactions of marks in one beat of a room, and events of each at most; who is left out is told first in the next
/// beat. Orders are done in between.
const MARKS: (usize, usize) = (3, 150);
/// Changed places that are told of one by one, at most and at least; with more of them the list alone says where everybody is.
const MOVED: (usize, usize) = (200, 10);
/// Deliveries of changed places in a second of a room: the more hear it, the fewer are told one by one.
const MOVED_HEARD: usize = 4_000;

/// Does what is due; `beat` counts how often this was called.
pub async fn beat(rooms: &Arc<Rooms>, tapes: &Tapes, stage: &Stage, beat: u64) {
    rooms.read_on_beside(stage);
    if let Err(refusal) = due(rooms, tapes, stage).await {
        tracing::warn!(%refusal, "rooms that are due were not looked at");
    }
    for key in rooms.restless() {
        if let Err(refusal) = tell(rooms, stage, &key, beat.is_multiple_of(STANDINGS_BEATS)).await {
            tracing::warn!(%refusal, room = key.1, "prices or standings of a room were not told");
        }
    }
}

async fn due(rooms: &Arc<Rooms>, tapes: &Tapes, stage: &Stage) -> Result<(), Refusal> {
    let Due { prices, cancels, snapshots, ends } =
        store::due(&mut stage.read().await?, stage.now_ms(), (DUE_MOST, replay::ROOMS_MOST)).await?;
    for key in prices {
        replay::give_due(rooms, tapes, stage, key).await;
    }
    for key in cancels {
        let done = cancel(rooms, stage, &key).await;
        done_or_put_off(stage, key, (Timer::Cancels, done)).await;
    }
    for key in snapshots {
        let done = keep(rooms, stage, &key).await;
        done_or_put_off(stage, key, (Timer::Snapshots, done)).await;
    }
    for key in ends {
        let done = end(rooms, stage, &key).await;
        done_or_put_off(stage, key, (Timer::Ends, done)).await;
    }
    Ok(())
}

/// Ends a room behind the prices of its file that are of before.
async fn end(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    if is_behind(&mut stage.read().await?, stage, key).await? {
        return next_beat(stage, key, Timer::Ends).await;
    }
    happens(rooms, stage, key, vec![Input::End]).await.map(drop)
}

/// Whether prices of a room's file are due that were not given yet. What could not be given is tried again later, and is not
/// waited for.
async fn is_behind(reader: &mut Reader, stage: &Stage, key: &Key) -> Result<bool, Refusal> {
    let replay = replay::rows::find(reader, key).await?;
    Ok(replay.and_then(|replay| replay.due_ms).is_some_and(|due| due <= stage.now_ms()))
}

/// What comes behind prices of a room's file is looked at again when more of those were given.
async fn next_beat(stage: &Stage, key: &Key, timer: Timer) -> Result<(), Refusal> {
    let (key, next) = (key.clone(), stage.now_ms().saturating_add(BEAT.as_millis() as u64));
    stage.commit(move |tx| Box::pin(async move { store::put_off(tx, &key, timer, next).await })).await
}

/// Cancels the orders of those who did not put it off, behind the prices of the room's file that are of before; those that come
/// between are given with them.
async fn cancel(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    let now_ms = stage.now_ms();
    let mut reader = stage.read().await?;
    if is_behind(&mut reader, stage, key).await? {
        drop(reader);
        return next_beat(stage, key, Timer::Cancels).await;
    }
    let users = rooms.look(&mut reader, key, |row, room| {
        // What would be due at its end is cancelled by that.
        let room_ms = row.time(now_ms);
        let by_ms = room.over_by(room_ms).map_or(room_ms, |ends| ends - 1);
        let due = room.cancels_due(by_ms).take(DUE_MOST as usize);
        due.map(str::to_owned).collect::<Vec<_>>()
    });
    let users = users.await?;
    // A reader sees one moment, and keeps what comes after it from being cleared away.
    drop(reader);
    let mut refused = None;
    for user in &users {
        let due = vec![Input::CancelDue { user: user.clone() }];
        refused = happens(rooms, stage, key, due).await.err().or(refused);
    }
    if refused.is_none() && !users.is_empty() {
        return Ok(());
    }
    let is_due = still_due(rooms, stage, key, users).await?;
    // Who has put it off in the meantime was refused, which is as well.
    refused.filter(|_| is_due).map_or(Ok(()), Err)
}

/// Writes again when the next open orders are to be cancelled, which the room's row says wrongly where nobody was found; whether
/// some of these users' still are.
async fn still_due(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    users: Vec<String>,
) -> Result<bool, Refusal> {
    let (rooms, key) = (rooms.clone(), key.clone());
    let look = stage.commit(move |tx| {
        Box::pin(async move {
            let (row, room) = rooms.take(tx, &key).await?;
            let (now_ms, next) = (row.time(tx.now_ms()), room.next_cancel_ms().map(|at| row.when(at)));
            let is_due = room.cancels_due(now_ms).any(|user| users.iter().any(|it| it == user));
            rooms.put(&key, room);
            store::cancel_next(tx, &key.0, &key.1, next).await?;
            Ok(is_due)
        })
    });
    look.await
}

/// A room in which what is due cannot be done keeps no other from it.
async fn done_or_put_off(stage: &Stage, key: Key, (timer, done): (Timer, Result<(), Refusal>)) {
    let Err(refusal) = done else { return };
    tracing::warn!(%refusal, room = key.1, "what was due in a room was not done; it is tried again in a moment");
    let wait_ms = refusal.retry_after_ms.map_or(AGAIN_MS, u64::from);
    let put_off = stage.commit(move |tx| {
        Box::pin(async move {
            let again = tx.now_ms().saturating_add(wait_ms);
            store::put_off(tx, &key, timer, again).await
        })
    });
    if let Err(refusal) = put_off.await {
        tracing::debug!(%refusal, "it is tried again at once");
    }
}

async fn keep(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    rooms.warm(stage, key).await?;
    let (doing, key) = (rooms.clone(), key.clone());
    stage.commit(move |tx| Box::pin(async move { snapshot(&doing, tx, &key).await.map(drop) })).await
}

/// Tells of a room what has changed: marks to those who have a position and listen, standings to everybody.
async fn tell(rooms: &Arc<Rooms>, stage: &Stage, key: &Key, standings: bool) -> Result<(), Refusal> {
    prices::tell(rooms, stage, key, &rooms.marked(key)).await;
    for _ in 0..MARKS.0 {
        let Some(round) = rooms.round(key) else { break };
        let asking = stage.clone();
        let telling =
            seen(rooms, stage, key, move |_, tx, key, room| tell_marks(tx, &key.0, room, (&asking, &round)));
        match telling.await? {
            Some(round) => rooms.go_round(key, round),
            None => break,
        }
    }
    if standings {
        let listening = stage.members(&place(&key.0, &key.1, None)?);
        let most = (MOVED_HEARD / listening.max(1)).clamp(MOVED.1, MOVED.0);
        seen(rooms, stage, key, move |rooms, tx, key, room| tell_standings(rooms, tx, key, (room, most)))
            .await?;
    }
    Ok(())
}

/// Tells something of a room as the transaction sees it.
async fn seen<T: Send + 'static>(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    key: &Key,
    tell: impl FnOnce(&Arc<Rooms>, &mut Changes, &Key, &Room) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (rooms, key) = (rooms.clone(), key.clone());
    let telling = stage.commit(move |tx| {
        Box::pin(async move {
            let (_, room) = rooms.take(tx, &key).await?;
            let told = tell(&rooms, tx, &key, &room);
            rooms.put(&key, room);
            told
        })
    });
    telling.await
}

/// Tells members what positions are worth; the rest of the round if it is more than fits.
fn tell_marks(
    tx: &mut Changes,
    org: &Org,
    room: &Room,
    (stage, round): (&Stage, &Round),
) -> Result<Option<Round>, Refusal> {
    let marked = &round.symbols;
    let symbols = room.rules().instruments.iter().enumerate().filter(|(_, it)| marked.contains(&it.symbol));
    let symbols: Vec<(usize, &str)> = symbols.map(|(at, it)| (at, it.symbol.as_str())).collect();
    let mut told = 0;
    let from = round.from.as_deref().unwrap_or_default();
    let turn = room.accounts().range::<str, _>((Bound::Included(from), Bound::Unbounded));
    for (user, account) in turn.filter(|(_, account)| !account.left) {
        let held: Vec<_> =
            symbols.iter().filter_map(|(at, symbol)| Some((*symbol, account.holdings.get(at)?))).collect();
        let own = place(org, room.id(), Some(user))?;
        if held.is_empty() || stage.members(&own) == 0 {
            continue;
        }
        told += held.len() + 1;
        if told > MARKS.1 {
            return Ok(Some(Round { from: Some(user.clone()), ..round.clone() }));
        }
        for (symbol, holding) in held {
            tx.emit_in(&own, &position(room.id(), user, symbol, holding), Some(Lane::Low))?;
        }
        tx.emit_in(&own, &portfolio(room.id(), user, &account.portfolio()), Some(Lane::Low))?;
    }
    Ok(None)
}

fn tell_standings(
    rooms: &Arc<Rooms>,
    tx: &mut Changes,
    key: &Key,
    (room, most): (&Room, usize),
) -> Result<(), Refusal> {
    if room.state() == State::Ended {
        return Ok(());
    }
    let now = room.standings();
    let before = rooms.told(key);
    let (rooms, at, seq) = (rooms.clone(), key.clone(), room.seq());
    let same = before.as_ref().is_some_and(|(_, before)| *before == now);
    if !same && room.state() == State::Running {
        let (public, room_id) = (place(&key.0, room.id(), None)?, room.id().to_owned());
        let updated = LeaderboardUpdated { room_id: room_id.clone(), entries: entries(&now) };
        tx.emit(&public, &TradeEvent::Standings(updated))?;
        // What was told before a start is not known; the list says it all.
        let steps = before.map(|(_, before)| moved(&before, &now)).unwrap_or_default();
        for Moved { user_id, old_rank, new_rank } in steps.into_iter().take(most) {
            let changed = RankingChanged { room_id: room_id.clone(), user_id, old_rank, new_rank };
            tx.emit(&public, &TradeEvent::Ranking(changed))?;
        }
    }
    tx.after(move || rooms.tell(&at, seq, now));
    Ok(())
}
