//! Stored events that gather on the way out: connections that wait for more of them.
//!
//! What is stored has its place at once, so nothing can hold it back before that. It may still wait in the outboxes of
//! those who hear it: whatever else a connection is sent goes out with it, in the order both came.

use std::collections::BTreeSet;

use super::members::Member;
use super::{ConnKey, Shard, mark};
use crate::lane::Lane;
use crate::outbox::{Item, Pushed};
use crate::pace::Pacing;

/// Bytes that wait in an outbox for others; of more all leaves at once.
const HELD_BYTES: usize = 64 << 10;

/// How long the first of a room's events waits in an outbox, and how many leave at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gather {
    wait_ms: u64,
    most: u16,
}

/// What of a connection waits for more.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Events; 0: nothing waits.
    events: u16,
    /// It is in the queue of its shard, under the time at which it is due.
    listed: bool,
    /// When all of it leaves; of one that is listed and has nothing that waits, when it would have left.
    due_ms: u64,
}

/// The connections that wait, by when each is due: at most one entry of each.
pub(super) type Queue = BTreeSet<(u64, u32, u32)>;

impl Waiting {
    /// All that waited has left.
    pub(super) fn is_over(&mut self) {
        self.events = 0;
    }
}

impl Shard {
    /// How the events of a room gather; `None`: each leaves with the turn it came in.
    pub(super) fn gather_of(&self, room: u32) -> Option<Gather> {
        let spec = &self.local.get(room as usize)?.entry.spec;
        match spec.pacing {
            Some(Pacing::Batch { wait_ms, most }) if spec.keep.is_durable() => {
                // An outbox that is half full holds recorded events back: that must not come from waiting.
                let most = most.min(self.limits.messages / 4).clamp(1, u16::MAX.into());
                Some(Gather { wait_ms, most: most as u16 })
            }
            _ => None,
        }
    }

    /// Adds a stored event to a member's outbox, where it waits for others unless something else goes out anyway.
    pub(super) fn push_gathered(&mut self, member: &Member, item: Item, first: u64, gather: Gather) {
        let slot = member.slot;
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| !conn.overflowed) else { return };
        let idle = !conn.dirty && !conn.blocked && !conn.paused;
        if !idle || !conn.outbox.takes(&item, &self.limits) {
            return self.push_event(member, item, Lane::Normal, first);
        }
        let (room, messages) = (item.room, item.messages);
        let pushed = conn.outbox.push(item, Lane::Normal, &self.limits, self.now_ms);
        let waiting = &mut conn.waiting;
        let own_ms = self.now_ms.saturating_add(gather.wait_ms);
        // Of two kinds the more impatient one says when.
        let due_ms = if waiting.events == 0 { own_ms } else { waiting.due_ms.min(own_ms) };
        waiting.events += 1;
        if waiting.events >= gather.most || conn.outbox.bytes() > HELD_BYTES || pushed != Pushed::Queued {
            mark(&mut self.hot, conn, slot);
        } else if !waiting.listed || waiting.due_ms != due_ms {
            // It stands in the queue once, also if what it was listed for has left with something else.
            if std::mem::replace(&mut waiting.listed, true) {
                self.gathered.remove(&(waiting.due_ms, slot, conn.generation));
            }
            waiting.due_ms = due_ms;
            self.gathered.insert((due_ms, slot, conn.generation));
        }
        if pushed != Pushed::Queued {
            self.note_loss(slot, pushed, room, Lane::Normal, messages);
        }
    }

    /// Has everything leave that has waited long enough.
    pub(super) fn release_gathered(&mut self) {
        while let Some(&(due_ms, slot, generation)) = self.gathered.first() {
            if due_ms > self.now_ms {
                return;
            }
            self.gathered.pop_first();
            let conn = self.conns.get_mut(slot as usize);
            let Some(conn) = conn.filter(|conn| conn.generation == generation) else { continue };
            conn.waiting.listed = false;
            if conn.waiting.events > 0 {
                mark(&mut self.hot, conn, slot);
            }
        }
    }

    /// Lets all leave that waits for a connection: it is about to end.
    pub fn hurry(&mut self, key: ConnKey) {
        if self.holds(key)
            && let Some(conn) = self.conns.get_mut(key.slot as usize)
            && conn.waiting.events > 0
        {
            mark(&mut self.hot, conn, key.slot);
        }
    }

    /// When something that waits has to leave, in the caller's milliseconds; `None`: nothing waits.
    pub fn gathered_due_ms(&self) -> Option<u64> {
        self.gathered.first().map(|(due_ms, ..)| *due_ms)
    }
}
