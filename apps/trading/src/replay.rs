//! Rooms that are fed from a file of prices, by the server itself.
//!
//! How far a room was fed stands in the database and is changed in the transaction that takes the prices, which holds
//! the room's row: no price comes twice, whoever was killed, and of several servers one gives each.
//!
//! | module | what it is |
//! |---|---|
//! | [`tape`] | the file |
//! | [`rows`] | what is stored: files, and how far each room was fed |

pub mod rows;
pub mod tape;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_app::{Changes, Reader, Refusal, Stage};

use crate::acts::go_on;
use crate::journal::{Hash, Input};
use crate::room::State;
use crate::rooms::{Key, Rooms};
use crate::store::{self, RoomRow};
use crate::together::{Asked, together};

use rows::Replay;
use tape::{Due, Tape};

/// The file that comes with the app; where it is from stands beside it.
pub const SAMPLE: &str = include_str!("../prices/sample.csv");
/// How many times as fast a file goes at most: a century in a minute.
pub const RATE_MOST: u64 = 52_560_000;
/// Files in memory at most; of more one that is not played just now gives way.
const TAPES_MOST: usize = 32;
/// Rooms that are fed in one beat, and prices of each, at most: what is due beyond them comes with the next beat, to
/// those first who wait longest.
pub const ROOMS_MOST: u64 = 32;
const PRICES_MOST: usize = 200;
/// So long a room is left alone whose prices could not be given, if it is not said when they can be.
const AGAIN_MS: u64 = 60_000;

/// Files of prices: those that rooms may name, and those that are played.
#[derive(Debug, Default)]
pub struct Tapes {
    /// The operator's, if there is one: its text and what it says.
    server: Option<(String, Arc<Tape>)>,
    played: Mutex<HashMap<Hash, Arc<Tape>>>,
}

impl Tapes {
    /// With the text of the operator's file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(server: Option<String>) -> Result<Self, String> {
        let read = |text: String| Tape::parse(&text).map(|tape| (text, Arc::new(tape)));
        Ok(Self { server: server.map(read).transpose()?, played: Mutex::default() })
    }

    /// A file by name: its text and what it says.
    ///
    /// # Errors
    /// `bad_request` if there is none.
    pub fn named(&self, name: &str) -> Result<(String, Arc<Tape>), Refusal> {
        let unknown =
            || Refusal::bad_request("tape: expected sample, or server where its operator has set one");
        match name {
            "sample" => {
                let tape = Tape::parse(SAMPLE).map_err(|problem| Refusal::unavailable(&problem))?;
                Ok((SAMPLE.to_owned(), Arc::new(tape)))
            }
            "server" => self.server.clone().ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }

    fn played(&self) -> MutexGuard<'_, HashMap<Hash, Arc<Tape>>> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that a room is fed from.
    async fn of(&self, reader: &mut Reader, key: &Key, replay: &Replay) -> Result<Arc<Tape>, Refusal> {
        if let Some(tape) = self.played().get(&replay.tape) {
            return Ok(tape.clone());
        }
        let damaged = || Refusal::unavailable("the prices of this room cannot be read");
        let text = rows::tape(reader, &key.0, replay.tape).await?.ok_or_else(damaged)?;
        let tape = Tape::parse(&text).ok().filter(|tape| tape.hash() == replay.tape).ok_or_else(damaged)?;
        let (mut played, tape) = (self.played(), Arc::new(tape));
        if played.len() >= TAPES_MOST {
            // Nobody else has it just now.
            let idle = played.iter().find(|(_, tape)| Arc::strong_count(tape) == 1).map(|(hash, _)| *hash);
            idle.and_then(|hash| played.remove(&hash));
        }
        played.insert(replay.tape, tape.clone());
        Ok(tape)
    }
}

/// Has a room fed from a file, `rate` times as fast as its prices came, from when it is started on.
///
/// # Errors
/// `not_found`, `conflict` if it was started, `bad_request` if the file does not go with it.
pub async fn set(
    tx: &mut Changes,
    key: &Key,
    (name, text): (&str, &str),
    (tape, rate): (&Tape, u64),
) -> Result<Replay, Refusal> {
    let row = hold(tx, key).await?;
    if ![State::Draft, State::Open].iter().any(|state| state.as_str() == row.state) {
        return Err(Refusal::conflict("room_state: a room is given its prices before it is started"));
    }
    tape.fits(&row.rules.instruments).map_err(|problem| tidings_routes::bad(&problem))?;
    let (total, name) = (tape.len() as u64, name.to_owned());
    let replay = Replay { tape: tape.hash(), name, rate, given: 0, total, due_ms: None };
    rows::keep(tx, &key.0, replay.tape, text).await?;
    rows::set(tx, key, &replay).await?;
    Ok(replay)
}

/// The row of a room, which nobody else changes until the transaction is over.
async fn hold(tx: &mut Changes, key: &Key) -> Result<RoomRow, Refusal> {
    store::hold(tx, &key.0, &key.1).await?.ok_or_else(Refusal::no_such_room)?;
    store::find(tx, &key.0, &key.1).await?.ok_or_else(Refusal::no_such_room)
}

/// Gives a room what is due.
pub async fn give_due(rooms: &Arc<Rooms>, tapes: &Tapes, stage: &Stage, key: Key) {
    if let Err(refusal) = feed(rooms, tapes, stage, &key).await {
        let wait_ms = match refusal.retry_after_ms {
            // What keeps it from being fed passes by itself, as when its journal is being read.
            Some(wait_ms) => {
                tracing::info!(%refusal, room = key.1, wait_ms, "a room is not fed from its file yet");
                wait_ms.into()
            }
            None => {
                tracing::warn!(%refusal, room = key.1, "a room was not fed from its file; it is tried again in a minute");
                AGAIN_MS
            }
        };
        put_off(stage, key, wait_ms).await;
    }
}

async fn put_off(stage: &Stage, key: Key, wait_ms: u64) {
    let put_off = stage.commit(move |tx| {
        Box::pin(async move {
            let again = tx.now_ms().saturating_add(wait_ms);
            rows::put_off(tx, &key, again).await
        })
    });
    if let Err(refusal) = put_off.await {
        tracing::debug!(%refusal, "it is tried again at once");
    }
}

/// Gives one room what is due in it.
async fn feed(rooms: &Arc<Rooms>, tapes: &Tapes, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    let mut reader = stage.read().await?;
    let Some(replay) = rows::find(&mut reader, key).await? else { return Ok(()) };
    let tape = tapes.of(&mut reader, key, &replay).await?;
    // A reader keeps what comes after its moment from being cleared away.
    drop(reader);
    rooms.warm(stage, key).await?;
    let (doing, at) = (rooms.clone(), key.clone());
    let given = stage.commit(move |tx| Box::pin(async move { give(&doing, tx, &at, &tape).await }));
    let mut goes_on = given.await?;
    while goes_on {
        goes_on = go_on(rooms, stage, key).await?;
    }
    Ok(())
}

/// Gives prices that are due, and says when the next is; whether orders have not all met the last of them.
async fn give(rooms: &Arc<Rooms>, tx: &mut Changes, key: &Key, tape: &Tape) -> Result<bool, Refusal> {
    let row = hold(tx, key).await?;
    // Another server may have been here since it was looked at.
    let replay = rows::find(tx, key).await?.filter(|replay| replay.tape == tape.hash());
    let (Some(mut replay), Some(started_ms)) = (replay, rows::started_ms(tx, key).await?) else {
        return Ok(false);
    };
    if row.state != State::Running.as_str() {
        rows::advance(tx, key, (replay.given, None)).await?;
        return Ok(false);
    }
    let (given, rate) = (replay.given as usize, replay.rate);
    // What is due before the end is given before it, also where the end is over by now; nothing else is.
    let ends_ms = row.rules.duration_ms.map(|lasts| started_ms.saturating_add(lasts));
    let room_ms = row.time(tx.now_ms());
    let room_ms = ends_ms.map_or(room_ms, |ends| room_ms.min(ends - 1));
    let elapsed_ms = room_ms.saturating_sub(started_ms);
    let Due { prices, until } = tape.due((given, rate), elapsed_ms, &row.rules.instruments, PRICES_MOST);
    let (places, given_at): (Vec<usize>, Vec<(u64, Input)>) = prices
        .into_iter()
        .map(|(until, after_ms, input)| (until, (started_ms.saturating_add(after_ms), input)))
        .unzip();
    let (mut done_with, mut goes_on) = (until, false);
    if !given_at.is_empty() {
        let (answers, _) = together(rooms, tx, key, vec![Asked::of(given_at)]).await?;
        let done = answers.into_iter().next().ok_or_else(|| Refusal::unavailable("no price was taken"))??;
        goes_on = done.goes_on;
        if done.taken < places.len() {
            done_with =
                done.taken.checked_sub(1).and_then(|last| places.get(last)).map_or(given, |until| *until);
        }
    }
    replay.given = done_with as u64;
    let next = tape.after_ms(done_with, rate).map(|after| started_ms.saturating_add(after));
    let next = next.filter(|next| ends_ms.is_none_or(|ends| *next < ends));
    // A room that is far behind takes its turn with the others: it is due from now on, not from when its price was.
    let due_ms = next.map(|at| row.when(at).max(tx.now_ms()));
    rows::advance(tx, key, (replay.given, due_ms)).await?;
    Ok(goes_on)
}
