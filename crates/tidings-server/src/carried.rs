//! What is in memory alone outlives an orderly restart: it is left in the store once nobody is here any more, and the
//! next process takes it before anybody comes (decision 0104).

mod pack;

use std::sync::Arc;
use std::time::Duration;

use tidings_core::Node;
use tidings_store::carried::{Carried, CarriedRoom};
use tidings_store::{Store, StoreError};
use tokio::time::timeout;

use crate::shared::{Shared, wall_ms};

/// Bytes of memory that are handed on; rooms beyond are left out, the largest first.
const MOST: usize = 64 << 20;

/// How long a server that stops waits until that is written.
const LAST: Duration = Duration::from_secs(5);

/// Rooms of one note that something was said in them.
const NOTED: usize = 512;

/// Leaves what is in memory to the next process; nobody records anything there behind it.
pub(crate) async fn leave(shared: &Shared) {
    let Some(records) = &shared.records else { return };
    let (carried, left_out) = shared.node.hand_on(MOST, wall_ms());
    if left_out > 0 {
        tracing::warn!(left_out, "rooms in memory are too large to be kept over the restart");
    }
    if carried.rooms.is_empty() {
        return;
    }
    let left = Carried {
        process: shared.node.id(),
        state: pack::whole(&carried),
        rooms: carried.rooms.iter().filter_map(packed).collect(),
    };
    let write = async {
        let mut tx = records.store.begin().await?;
        tx.leave_carried(&left).await?;
        tx.commit().await
    };
    match timeout(LAST, write).await {
        Ok(Ok(())) => tracing::debug!(rooms = left.rooms.len(), "rooms in memory are kept over the restart"),
        Ok(Err(error)) => tracing::warn!(%error, "rooms in memory could not be kept over the restart"),
        Err(_) => tracing::warn!("rooms in memory could not be kept over the restart in time"),
    }
}

fn packed((room, contents): &(tidings_core::Room, tidings_core::recent::Contents)) -> Option<CarriedRoom> {
    Some(CarriedRoom { room: room.clone(), state: pack::room(contents)? })
}

/// Takes what the process before has left, and goes on with it.
///
/// What was taken is noted as said in this process: should it crash, its memory is gone.
///
/// # Errors
/// [`StoreError`]: it cannot be told what there is. Whoever went on without it would leave it to be found later, when
/// it is old.
pub(crate) async fn take(node: &Arc<Node>, store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let Some(left) = tx.take_carried().await? else { return tx.commit().await };
    let rooms: Vec<_> = left.rooms.iter().map(|one| one.room.clone()).collect();
    for some in rooms.chunks(NOTED) {
        tx.note_spoken(node.id(), some).await?;
    }
    let Some(carried) = pack::unpack(left) else {
        tracing::warn!("what the server before has kept of its rooms in memory cannot be read");
        return tx.commit().await;
    };
    tx.commit().await?;
    let rooms = node.go_on_with(carried, wall_ms());
    tracing::info!(rooms, "rooms in memory go on where the server before has stopped");
    Ok(())
}
