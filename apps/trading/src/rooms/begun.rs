//! Rooms whose journals are too long to be read while somebody waits.
//!
//! Whoever asks first reads for a few seconds. What that came to is kept, also if who asked has gone away, and is read on in
//! the background until it is all; meanwhile whoever asks is told to come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidings_app::{Reader, Refusal, Stage};

use super::{Key, Rooms};
use crate::images::{self, Restored};
use crate::store::{self, RoomRow};

/// Entries that are read at most while somebody waits, five seconds' worth: as many as there may be behind an image, so that a
/// room which has one is there at once.
pub const READ_MOST: u64 = 300_000;
/// Rooms of which a part is kept at most; of others it is read again.
const ROOMS_MOST: usize = 16;
/// When to ask again for a room that is being read, in milliseconds.
const AGAIN_MS: u32 = 1_000;

/// Rooms of which a part was read.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// With when each was made, since another of the same id is another room; nothing while it is read on.
    parts: Mutex<HashMap<Key, (u64, Option<Restored>)>>,
    /// They are read on by one at a time.
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl Begun {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u64, Option<Restored>)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a room is being read, or about to be.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// Some room to be read on.
    fn any(&self) -> Option<Key> {
        self.lock().keys().next().cloned()
    }

    /// What was read of a room to be read on; nothing if that is not its part any more.
    fn take(&self, key: &Key, created_ms: u64) -> Option<Restored> {
        let mut parts = self.lock();
        parts.get_mut(key).filter(|(made_ms, _)| *made_ms == created_ms)?.1.take()
    }

    fn keep(&self, key: &Key, created_ms: u64, restored: Restored) {
        let mut parts = self.lock();
        parts.insert(key.clone(), (created_ms, Some(restored)));
        if parts.len() > ROOMS_MOST {
            let read = |part: &Option<Restored>| part.as_ref().map(|restored| restored.room.seq());
            let least = parts.iter().min_by_key(|(_, (_, part))| read(part)).map(|(key, _)| key.clone());
            least.and_then(|key| parts.remove(&key));
        }
    }
}

/// What is told while a room is being read.
pub(super) fn is_read() -> Refusal {
    let refusal = Refusal::unavailable("this room is being read from a long journal");
    Refusal { retry_after_ms: Some(AGAIN_MS), ..refusal }
}

/// A part while it is read. If that ends before it is all, it is kept, however it ends.
struct Part<'a> {
    begun: &'a Begun,
    key: &'a Key,
    created_ms: u64,
    restored: Option<Restored>,
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if let Some(restored) = self.restored.take() {
            self.begun.keep(self.key, self.created_ms, restored);
        }
    }
}

impl Rooms {
    /// Makes a room of what is stored, if that is not too much at once; from a part of it, where there is one.
    ///
    /// # Errors
    /// `unavailable`, with when to ask again if it goes on, without if it cannot be read.
    pub(super) async fn restore(
        &self,
        reader: &mut Reader,
        (key, row): (&Key, &RoomRow),
        restored: Option<Restored>,
    ) -> Result<Restored, Refusal> {
        let mut part = Part { begun: &self.begun, key, created_ms: row.created_ms, restored };
        let (top, go) = (row.top(), (&mut part.restored, self.read_most));
        images::go_on(reader, key, (&row.rules, &top), go).await?.ok_or_else(is_read)
    }

    /// Reads a room of which a part was read on until it is there, if there is such a room.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn read_on(&self, stage: &Stage) -> Result<(), Refusal> {
        let Some(key) = self.begun.any() else { return Ok(()) };
        loop {
            // Each time another moment: a reader keeps what comes after its own from being cleared away.
            let mut reader = stage.read().await?;
            let row = store::find(&mut reader, &key.0, &key.1).await?;
            let part = row.as_ref().and_then(|row| self.begun.take(&key, row.created_ms));
            let (Some(row), Some(part)) = (row, part) else { break };
            match self.restore(&mut reader, (&key, &row), Some(part)).await {
                Ok(restored) => {
                    self.add(&key, &row, restored);
                    break;
                }
                Err(refusal) if refusal.retry_after_ms.is_some() => {}
                Err(refusal) => {
                    // What was read was kept, unless it was wrong.
                    self.begun.lock().retain(|known, (_, part)| *known != key || part.is_some());
                    return Err(refusal);
                }
            }
        }
        self.begun.lock().remove(&key);
        Ok(())
    }

    /// The same in a task of its own, if there is anything to read on and nobody does; called once a beat.
    pub(crate) fn read_on_beside(self: &Arc<Self>, stage: &Stage) {
        if self.begun.any().is_none() {
            return;
        }
        let Ok(alone) = self.begun.reading.clone().try_lock_owned() else { return };
        let (rooms, stage) = (self.clone(), stage.clone());
        tokio::spawn(async move {
            if let Err(refusal) = rooms.read_on(&stage).await {
                tracing::warn!(%refusal, "a room was not read on");
            }
            drop(alone);
        });
    }
}
