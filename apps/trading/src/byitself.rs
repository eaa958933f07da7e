//! What happens by itself: rooms end, standings are kept and told, positions are valued anew.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidings_app::{Changes, Lane, Org, Refusal, Stage};

use crate::acts::{happens, snapshot};
use crate::journal::Input;
use crate::prices;
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms};
use crate::standing::{Moved, moved};
use crate::store::{self, Due};
use crate::telling::{entries, place, portfolio, position};
use crate::wire::{LeaderboardUpdated, RankingChanged, TradeEvent};

/// How often it is looked at; also how often a viewer is told of a symbol's price at most.
pub const BEAT: Duration = Duration::from_millis(250);
/// Beats between standings that are told.
const STANDINGS_BEATS: u64 = 4;
/// Rooms whose end or snapshot is due that are seen to in one beat.
const DUE_MOST: u64 = 64;
/// Events of one beat of a room at most; who is left out is told in the next one in which prices change.
const EVENTS_MOST: usize = 800;
/// Changed places that are told of one by one; with more of them the list alone says where everybody is.
const MOVED_MOST: usize = 200;

/// Does what is due; `beat` counts how often this was called.
pub async fn beat(rooms: &Arc<Rooms>, stage: &Stage, beat: u64) {
    if let Err(refusal) = due(rooms, stage).await {
        tracing::warn!(%refusal, "rooms that are due were not looked at");
    }
    for key in rooms.restless() {
        if let Err(refusal) = tell(rooms, stage, &key, beat.is_multiple_of(STANDINGS_BEATS)).await {
            tracing::warn!(%refusal, room = key.1, "prices or standings of a room were not told");
        }
    }
}

async fn due(rooms: &Arc<Rooms>, stage: &Stage) -> Result<(), Refusal> {
    let Due { ends, snapshots, cancels } =
        store::due(&mut stage.read().await?, stage.now_ms(), DUE_MOST).await?;
    for key in cancels {
        warned(&key.1.clone(), cancel(rooms, stage, key).await);
    }
    for key in snapshots {
        warned(&key.1.clone(), keep(rooms, stage, key).await);
    }
    for key in ends {
        warned(&key.1, happens(rooms, stage, &key, vec![Input::End]).await.map(drop));
    }
    Ok(())
}

/// Cancels the orders of those who did not put it off.
async fn cancel(rooms: &Arc<Rooms>, stage: &Stage, key: Key) -> Result<(), Refusal> {
    let now_ms = stage.now_ms();
    let mut reader = stage.read().await?;
    let users = rooms.look(&mut reader, &key, |row, room| {
        let due = room.cancels_due(row.time(now_ms)).take(DUE_MOST as usize);
        due.map(str::to_owned).collect::<Vec<_>>()
    });
    let users = users.await?;
    // A reader sees one moment, and keeps what comes after it from being cleared away.
    drop(reader);
    for user in users {
        // Who has put it off in the meantime is refused, which is as well.
        if let Err(refusal) = happens(rooms, stage, &key, vec![Input::CancelDue { user }]).await {
            tracing::debug!(%refusal, room = key.1, "open orders were not cancelled");
        }
    }
    Ok(())
}

/// One room that cannot be read keeps no other from its end.
fn warned(room: &str, done: Result<(), Refusal>) {
    if let Err(refusal) = done {
        tracing::warn!(%refusal, room, "what was due in a room was not done");
    }
}

async fn keep(rooms: &Arc<Rooms>, stage: &Stage, key: Key) -> Result<(), Refusal> {
    rooms.warm(stage, &key).await?;
    let doing = rooms.clone();
    stage.commit(move |tx| Box::pin(async move { snapshot(&doing, tx, &key).await.map(drop) })).await
}

/// Tells of a room what has changed: marks to those who have a position and listen, standings to everybody.
async fn tell(rooms: &Arc<Rooms>, stage: &Stage, key: &Key, standings: bool) -> Result<(), Refusal> {
    let marked = rooms.marked(key);
    prices::tell(rooms, stage, key, &marked).await;
    if marked.is_empty() && !standings {
        return Ok(());
    }
    let (doing, key, asking) = (rooms.clone(), key.clone(), stage.clone());
    let telling = stage.commit(move |tx| {
        Box::pin(async move {
            let (_, room) = doing.take(tx, &key).await?;
            let told = tell_both(&doing, tx, &key, (&room, &asking, &marked, standings));
            doing.put(&key, room);
            told
        })
    });
    telling.await
}

fn tell_both(
    rooms: &Arc<Rooms>,
    tx: &mut Changes,
    key: &Key,
    (room, stage, marked, standings): (&Room, &Stage, &BTreeSet<String>, bool),
) -> Result<(), Refusal> {
    tell_marks(tx, &key.0, room, (stage, marked))?;
    if standings && room.state() != State::Ended {
        tell_standings(rooms, tx, key, room)?;
    }
    Ok(())
}

fn tell_marks(
    tx: &mut Changes,
    org: &Org,
    room: &Room,
    (stage, marked): (&Stage, &BTreeSet<String>),
) -> Result<(), Refusal> {
    let symbols = room.rules().instruments.iter().enumerate().filter(|(_, it)| marked.contains(&it.symbol));
    let symbols: Vec<(usize, &str)> = symbols.map(|(at, it)| (at, it.symbol.as_str())).collect();
    let mut told = 0;
    for (user, account) in room.accounts().iter().filter(|(_, account)| !account.left) {
        let held: Vec<_> =
            symbols.iter().filter_map(|(at, symbol)| Some((*symbol, account.holdings.get(at)?))).collect();
        let own = place(org, room.id(), Some(user))?;
        if held.is_empty() || stage.members(&own) == 0 {
            continue;
        }
        told += held.len() + 1;
        if told > EVENTS_MOST {
            break;
        }
        for (symbol, holding) in held {
            tx.emit_in(&own, &position(room.id(), user, symbol, holding), Some(Lane::Low))?;
        }
        tx.emit_in(&own, &portfolio(room.id(), user, &account.portfolio()), Some(Lane::Low))?;
    }
    Ok(())
}

fn tell_standings(rooms: &Arc<Rooms>, tx: &mut Changes, key: &Key, room: &Room) -> Result<(), Refusal> {
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
        for Moved { user_id, old_rank, new_rank } in steps.into_iter().take(MOVED_MOST) {
            let changed = RankingChanged { room_id: room_id.clone(), user_id, old_rank, new_rank };
            tx.emit(&public, &TradeEvent::Ranking(changed))?;
        }
    }
    tx.after(move || rooms.tell(&at, seq, now));
    Ok(())
}
