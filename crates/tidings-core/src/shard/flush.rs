//! From outboxes and runs to sockets.

use super::members::Member;
use super::run::Run;
use super::{Shard, mark};
use crate::outbox::Item;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// So many bytes were taken; fewer than all means: not writable until further notice.
    Bytes(usize),
    /// The peer is gone; its connection will be closed by the one who reads.
    Gone,
}

/// Where bytes leave: a socket, or a poll that waits.
pub trait Sink {
    /// Writes as much of `bytes` as the connection in `slot` takes now; never blocks.
    fn send(&mut self, slot: u32, bytes: &[u8]) -> Sent;
}

impl Shard {
    /// Whether something is left to be flushed.
    pub fn has_work(&self) -> bool {
        !self.hot.is_empty() || !self.runs.is_empty() || !self.drained.is_empty()
    }

    /// Says that a connection's socket takes bytes again.
    pub fn writable(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.blocked = false;
        if !conn.outbox.is_empty() {
            mark(&mut self.hot, conn, slot);
        }
    }

    /// Writes to dirty connections, one write each; runs of big rooms after `budget` sends wait
    /// for the next turn, so that reads and small rooms are not held up.
    pub fn flush(&mut self, sink: &mut impl Sink, budget: usize) {
        self.release_gathered();
        let mut hot = std::mem::take(&mut self.hot);
        for slot in hot.drain(..) {
            self.flush_one(slot, sink);
        }
        // Nothing marks a connection dirty while flushing, so the list's memory can be kept.
        if self.hot.is_empty() {
            self.hot = hot;
        }
        self.flush_runs(sink, budget);
    }

    fn flush_one(&mut self, slot: u32, sink: &mut impl Sink) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.dirty = false;
        conn.waiting.is_over();
        let stuck = self.trace.as_ref().map_or(0, |trace| trace.before_this_turn());
        while !conn.blocked {
            let bytes = conn.outbox.gather(&mut self.scratch);
            if bytes.is_empty() {
                conn.stuck = 0;
                break;
            }
            let length = bytes.len();
            self.counters.writes += 1;
            match sink.send(slot, bytes) {
                Sent::Gone => {
                    conn.blocked = true;
                    conn.note_stuck(stuck);
                    conn.outbox.clear();
                }
                Sent::Bytes(count) => {
                    let (sequence, messages) = conn.outbox.sent(count);
                    conn.flushed = conn.flushed.max(sequence);
                    conn.blocked = count < length;
                    conn.note_stuck(stuck);
                    self.counters.bytes += count as u64;
                    self.counters.delivered += messages as u64;
                }
            }
        }
        if conn.lag.is_some() {
            self.note_drained(slot);
        }
    }

    fn flush_runs(&mut self, sink: &mut impl Sink, mut budget: usize) {
        while budget > 0 {
            let Some(mut run) = self.runs.pop_front() else { return };
            let Some(local) = self.local.get_mut(run.room as usize) else { continue };
            let members = std::mem::take(&mut local.members);
            let mut goes_on = true;
            while goes_on && budget > 0 {
                let stretch = run.stretch(members.len(), budget);
                let count = stretch.len();
                self.send_stretch(&mut run, &members[stretch], sink);
                budget -= count;
                goes_on = run.advance(count, members.len());
            }
            self.local[run.room as usize].members = members;
            self.note_timed(run.timed.drain(..));
            if goes_on {
                // Another room's turn comes first: a room that never falls silent holds up none.
                self.runs.push_back(run);
            }
        }
    }

    /// Sends the events under way to members that all want them.
    fn send_stretch(&mut self, run: &mut Run, members: &[Member], sink: &mut impl Sink) {
        let mut form = None;
        for member in members {
            let item = match &mut form {
                Some((known, item)) if *known == member.form => item,
                made => {
                    let item = run.item(member.form, &self.namespaces);
                    &mut made.insert((member.form, item)).1
                }
            };
            self.send_run(run, member, item, sink);
        }
    }

    /// Sends a run to one member: straight to its socket, or behind what already waits.
    fn send_run(&mut self, run: &mut Run, member: &Member, item: &Item, sink: &mut impl Sink) {
        let slot = member.slot;
        let stuck = self.trace.as_ref().map_or(0, |trace| trace.before_this_turn());
        let Some(conn) = self.conns.get_mut(slot as usize).filter(|conn| !conn.overflowed) else { return };
        if conn.blocked || conn.paused || !conn.outbox.is_empty() {
            return self.push_run(run, member, item.clone());
        }
        self.counters.writes += 1;
        match sink.send(slot, &item.bytes) {
            Sent::Gone => {
                conn.blocked = true;
                conn.note_stuck(stuck);
            }
            Sent::Bytes(count) if count == item.bytes.len() => {
                conn.flushed = conn.flushed.max(item.sequence);
                self.counters.delivered += u64::from(item.messages);
                self.counters.bytes += count as u64;
            }
            Sent::Bytes(count) => {
                conn.blocked = true;
                conn.note_stuck(stuck);
                self.counters.bytes += count as u64;
                if count > 0 {
                    conn.outbox.put_back(item.clone(), count);
                } else {
                    self.push_run(run, member, item.clone());
                }
            }
        }
    }
}
