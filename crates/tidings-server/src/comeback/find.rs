//! Finding sessions that other processes have left: many who come back at once are one read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidings_store::comebacks::Comeback;
use tidings_store::{Digest, Reader, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::pack::unpack;
use super::{Counts, Proof, Subscription};

/// Sessions of one read.
const BATCH: usize = 512;

/// A session that somebody wants.
pub(super) struct Wanted {
    pub(super) digest: Digest,
    pub(super) reply: oneshot::Sender<Result<Option<Found>, StoreError>>,
}

/// A session that another process has left.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) session: Comeback,
    pub(crate) rooms: Vec<Subscription>,
}

pub(super) struct Finder {
    pub(super) store: Store,
    pub(super) process: u64,
    pub(super) counts: Arc<Counts>,
}

impl Finder {
    pub(super) async fn run(self, mut wanted: mpsc::Receiver<Wanted>) {
        let mut batch = Vec::with_capacity(BATCH);
        while wanted.recv_many(&mut batch, BATCH).await > 0 {
            let found = self.find(&batch).await;
            if let Err(error) = &found {
                tracing::debug!(%error, "sessions cannot be looked for now");
            }
            for Wanted { digest, reply } in batch.drain(..) {
                let session = found.as_ref().map(|found| found.get(&digest).cloned());
                // Whoever asked may be gone.
                let _ = reply.send(session.map_err(Clone::clone));
            }
        }
    }

    async fn find(&self, batch: &[Wanted]) -> Result<HashMap<Digest, Found>, StoreError> {
        let mut digests: Vec<_> = batch.iter().map(|wanted| wanted.digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let mut reader = self.store.read().await?;
        let found = reader.comebacks(&digests).await?;
        // One of this process that is not in its memory is over; that is only not written yet.
        let theirs = found.into_iter().filter(|session| session.process != self.process);
        let unpacked = theirs.filter_map(|session| {
            let rooms = unpack(&session.org, &session.rooms)?;
            Some(Found { session, rooms })
        });
        let mut found: Vec<Found> = unpacked.collect();
        judge_memory(&mut reader, &mut found).await?;
        self.counts.found.fetch_add(found.len() as u64, Ordering::Relaxed);
        Ok(found.into_iter().map(|found| (found.session.digest, found)).collect())
    }
}

/// Of rooms that were in memory alone: where nothing had been said nothing is lost.
async fn judge_memory(reader: &mut Reader, found: &mut [Found]) -> Result<(), StoreError> {
    let in_memory = found.iter().flat_map(|found| {
        let rooms = found.rooms.iter().filter(|one| one.proof == Proof::Memory);
        rooms.map(|one| (found.session.process, &one.room))
    });
    let spoken: HashSet<_> = reader.spoken(&in_memory.collect::<Vec<_>>()).await?.into_iter().collect();
    for Found { session, rooms } in found {
        for one in rooms.iter_mut().filter(|one| one.proof == Proof::Memory) {
            let place = (session.process, one.room.org().clone(), one.room.name().to_owned());
            one.proof = if spoken.contains(&place) { Proof::Gone } else { Proof::Silent };
        }
    }
    Ok(())
}
