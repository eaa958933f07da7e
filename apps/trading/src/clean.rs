//! Rooms that nobody needs are removed: those that ended long ago, and those to which nobody came.
//!
//! A room is gone in one transaction, from when on everybody is answered as if it had never been. Its journal and what
//! was kept of it go behind it in steps, so that nobody waits for a long one.

pub mod rows;

use std::sync::Arc;

use tidings_app::{Refusal, Stage};

use crate::rooms::{Key, Rooms};
use crate::telling::place;

/// Beats between two looks.
const BEATS: u64 = 8;
/// Rooms of each sort that are seen to in one look.
const ROOMS_MOST: u64 = 8;
/// Rooms that have ended whose end is noted in one look.
const NOTED_MOST: u64 = 64;
/// So long a file of prices stays at least when no room has it: ten times as long as the transaction may take that
/// gives it to one.
const TAPES_MS: u64 = 5_000;
/// Rooms in memory of which it is asked in one look whether they are still there.
const ASKED_MOST: usize = 64;

/// How long rooms are kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFor {
    /// After their end.
    pub ended_ms: u64,
    /// After they were made, where nobody is in them and they were not started.
    pub unjoined_ms: u64,
}

/// Removes what is over; `beat` counts how often this was called.
pub async fn beat(rooms: &Arc<Rooms>, stage: &Stage, keeps: KeptFor, beat: u64) {
    if !beat.is_multiple_of(BEATS) {
        return;
    }
    let looked = async {
        note(stage).await?;
        remove_old(rooms, stage, keeps).await?;
        for key in rows::removed(&mut stage.read().await?, ROOMS_MOST).await? {
            clear(stage, &key).await?;
        }
        remove_tapes(stage).await?;
        forget(rooms, stage, beat / BEATS).await
    };
    let looked: Result<(), Refusal> = looked.await;
    if let Err(refusal) = looked {
        tracing::warn!(%refusal, "rooms that are over were not removed");
    }
}

/// Notes which rooms have ended since.
async fn note(stage: &Stage) -> Result<(), Refusal> {
    if !rows::ended_unnoted(&mut stage.read().await?).await? {
        return Ok(());
    }
    stage.commit(|tx| Box::pin(async move { rows::note_ended(tx, NOTED_MOST).await })).await
}

async fn remove_old(rooms: &Arc<Rooms>, stage: &Stage, keeps: KeptFor) -> Result<(), Refusal> {
    let now_ms = stage.now_ms();
    let before = (now_ms.saturating_sub(keeps.ended_ms), now_ms.saturating_sub(keeps.unjoined_ms));
    for key in rows::old(&mut stage.read().await?, before, ROOMS_MOST).await? {
        let old = key.clone();
        if stage.commit(move |tx| Box::pin(async move { rows::remove(tx, &old, Some(before)).await })).await?
        {
            tracing::info!(org = key.0.as_str(), room = key.1, "a room was removed");
            close(rooms, stage, &key)?;
        }
    }
    Ok(())
}

/// Removes files of prices that no room has.
async fn remove_tapes(stage: &Stage) -> Result<(), Refusal> {
    let before_ms = stage.now_ms().saturating_sub(TAPES_MS);
    if !rows::has_idle_tapes(&mut stage.read().await?, before_ms).await? {
        return Ok(());
    }
    stage.commit(move |tx| Box::pin(async move { rows::remove_idle_tapes(tx, before_ms).await })).await
}

/// Removes a step of what a room that is gone has left; whether there was anything.
async fn clear(stage: &Stage, key: &Key) -> Result<bool, Refusal> {
    let key = key.clone();
    stage.commit(move |tx| Box::pin(async move { rows::clear(tx, &key).await })).await
}

/// Removes a room and all it has left at once: another of its id is about to be made, which nobody hears who has not
/// come to it.
///
/// # Errors
/// `unavailable` if it cannot be done now.
pub async fn remove_wholly(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    let gone = key.clone();
    stage.commit(move |tx| Box::pin(async move { rows::remove(tx, &gone, None).await })).await?;
    close(rooms, stage, key)?;
    while clear(stage, key).await? {}
    Ok(())
}

/// Rooms that another server has removed are not kept here, and nobody is left in them, also where there is another of
/// the same id by now: some are asked of in each look.
async fn forget(rooms: &Arc<Rooms>, stage: &Stage, look: u64) -> Result<(), Refusal> {
    let mut known = rooms.known_since();
    known.sort_by(|(one, _), (other, _)| (one.0.as_str(), &one.1).cmp(&(other.0.as_str(), &other.1)));
    let parts = known.len().div_ceil(ASKED_MOST).max(1);
    let part = usize::try_from(look).unwrap_or(0) % parts;
    let mut reader = stage.read().await?;
    for (key, created_ms) in known.iter().skip(part * ASKED_MOST).take(ASKED_MOST) {
        let row = crate::store::find(&mut reader, &key.0, &key.1).await?;
        if row.is_none_or(|row| row.created_ms != *created_ms) {
            close(rooms, stage, key)?;
        }
    }
    Ok(())
}

/// Takes everybody out of a room and out of its members' own.
fn close(rooms: &Arc<Rooms>, stage: &Stage, key: &Key) -> Result<(), Refusal> {
    for user in rooms.forget(key) {
        stage.close(&place(&key.0, &key.1, Some(&user))?);
    }
    stage.close(&place(&key.0, &key.1, None)?);
    Ok(())
}
