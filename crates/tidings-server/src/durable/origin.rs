//! The epoch of a room in which nothing was ever said.
//!
//! It follows from the room's name, so that nobody has to remember such a room: who was told that it has heard
//! nothing, and comes back once the room was forgotten, finds the same history, in this process and in the next.
//! The first event writes the epoch down.

use tidings_core::{Epoch, Room};
use tidings_store::{Digest, Store, StoreError};
use tokio::sync::OnceCell;

use crate::ids::Entropy;
use crate::shared::wall_ms;

/// What is known of a room outlasts its events by so long.
///
/// After as long another epoch follows from the same name: that of a room which had events, and was forgotten with
/// them, never comes back.
pub(super) const OLD_ROOM_MS: u64 = 90 * 24 * 3_600_000;

/// What the epochs of one database are made of, so that another's are others.
#[derive(Debug)]
pub(super) struct Origin {
    store: Store,
    read: OnceCell<Digest>,
}

impl Origin {
    pub(super) fn new(store: Store) -> Self {
        Self { store, read: OnceCell::new() }
    }

    /// The epoch with which a room begins now.
    ///
    /// # Errors
    /// As [`Origin::read`].
    pub(super) async fn epoch_of(&self, room: &Room) -> Result<Epoch, StoreError> {
        Ok(epoch(self.read().await?, room, wall_ms()))
    }

    /// Asks the database, the first time.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be asked now.
    pub(super) async fn read(&self) -> Result<&Digest, StoreError> {
        self.read.get_or_try_init(|| self.ask()).await
    }

    async fn ask(&self) -> Result<Digest, StoreError> {
        let drawn = Digest::of(&Entropy::default().secret().to_be_bytes());
        let mut tx = self.store.begin().await?;
        let origin = tx.origin(&drawn).await?;
        tx.commit().await?;
        Ok(origin)
    }
}

fn epoch(origin: &Digest, room: &Room, now_ms: u64) -> Epoch {
    let (org, age) = (room.org().as_str().as_bytes(), now_ms / OLD_ROOM_MS);
    let sizes = [age.to_be_bytes(), (org.len() as u64).to_be_bytes()];
    let digest = Digest::of(&[&origin.as_bytes()[..], &sizes.concat(), org, room.name().as_bytes()].concat());
    let eight = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    Epoch(u64::from_be_bytes(eight))
}

#[cfg(test)]
mod tests {
    use tidings_core::Org;

    use super::*;

    #[test]
    fn an_epoch_is_one_of_its_database_its_organisation_its_name_and_its_time() {
        let room = |org: &str, name: &str| Room::new(&Org::new(org), name, 200).unwrap();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let here = epoch(&one, &room("a", "notes:1"), OLD_ROOM_MS);
        assert_eq!(here, epoch(&one, &room("a", "notes:1"), 2 * OLD_ROOM_MS - 1));
        let others = [
            epoch(&other, &room("a", "notes:1"), OLD_ROOM_MS),
            epoch(&one, &room("b", "notes:1"), OLD_ROOM_MS),
            epoch(&one, &room("a", "notes:2"), OLD_ROOM_MS),
            // A room is forgotten so long after its last event, and its name begins another history then.
            epoch(&one, &room("a", "notes:1"), 2 * OLD_ROOM_MS),
        ];
        assert!(!others.contains(&here), "{here:?} {others:?}");
        assert_ne!(epoch(&one, &room("ab", "c:1"), 0), epoch(&one, &room("a", "bc:1"), 0));
    }
}
