//! Finding sessions that other processes have left: many who come back at once are one read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidings_core::{Node, Room};
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
    pub(super) node: Arc<Node>,
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
        let process = self.node.id();
        // One of this process that is not in its memory is over; that is only not written yet.
        let theirs = found.into_iter().filter(|session| session.process != process);
        let unpacked = theirs.filter_map(|session| {
            let rooms = unpack(&session.org, &session.rooms)?;
            Some(Found { session, rooms })
        });
        let mut found: Vec<Found> = unpacked.collect();
        judge_memory(&self.node, &mut reader, &mut found).await?;
        self.counts.found.fetch_add(found.len() as u64, Ordering::Relaxed);
        Ok(found.into_iter().map(|found| (found.session.digest, found)).collect())
    }
}

/// Of rooms that were in memory alone: nothing is lost where their process has handed them on, or where nothing had been
/// said, then or since.
async fn judge_memory(node: &Node, reader: &mut Reader, found: &mut [Found]) -> Result<(), StoreError> {
    let in_memory = found.iter_mut().flat_map(|found| {
        let process = found.session.process;
        let rooms = found.rooms.iter_mut().filter(|one| one.proof == Proof::Memory);
        rooms.map(move |one| (process, one))
    });
    let (carried, others): (Vec<_>, Vec<_>) =
        in_memory.partition(|(process, one)| node.has_carried(*process, &one.room));
    carried.into_iter().for_each(|(_, one)| one.proof = Proof::Carried);
    let asked: Vec<&Room> = others.iter().map(|(_, one)| &one.room).collect();
    let spoken: HashSet<_> = reader.spoken(node.id(), &asked).await?.into_iter().collect();
    for (_, one) in others {
        let place = (one.room.org().clone(), one.room.name().to_owned());
        one.proof = if spoken.contains(&place) { Proof::Gone } else { Proof::Silent };
    }
    Ok(())
}
