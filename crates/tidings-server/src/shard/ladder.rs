//! Clients that were behind: they are told what they were spared, and caught up.

use std::sync::Arc;

use tidings_core::shard::{Caught, InLog, Lost};
use tidings_core::{ConnKey, Publication, Refusal};
use tidings_wire::names::Dialect;
use tidings_wire::{CloseReason, plain};

use super::ShardLoop;
use super::inbox::Mail;

/// Connections that go on in one turn, each with a page of what it missed.
const DRAINED: usize = 32;

impl ShardLoop {
    /// Goes on with the connections that were behind and have little left to be sent.
    pub(super) fn go_on_with_drained(&mut self) {
        for key in self.shard.take_drained(DRAINED) {
            self.tell_skipped(key);
            self.catch_up(key);
        }
    }

    /// Says how many volatile events were dropped in each room, to those who want to hear of gaps.
    fn tell_skipped(&mut self, key: ConnKey) {
        let teller = self.teller(key);
        for (room, count) in self.shard.take_skipped(key.slot) {
            let room = room.as_ref().map(|room| room.name());
            match teller {
                None => {}
                Some(Teller::Plain) => self.say_plain(key, |out| plain::server::skipped(out, room, count)),
                Some(Teller::SocketIo(namespace)) => {
                    let mut body = Vec::new();
                    plain::server::skipped_body(&mut body, room, count);
                    self.send_event(key, namespace, "tidings:skipped", &body);
                }
            }
        }
    }

    /// Sends the next of what was held back; without a word nobody is left with a hole.
    fn catch_up(&mut self, key: ConnKey) {
        if let Some(behind) = self.shard.take_behind(key.slot) {
            self.tell_behind(key, behind);
        }
        loop {
            match self.shard.catch_up(key.slot) {
                Caught::Up | Caught::Behind => return,
                Caught::InLog(wanted) => {
                    let page = self.shared.page_at_hand(&wanted.room, wanted.epoch, wanted.after);
                    let Some(page) = page else { return self.read_for_slow(key, wanted) };
                    self.shard.lend(key.slot, &wanted, &page);
                }
                Caught::Lost(lost) => {
                    if !self.tell_lost(key, &lost) {
                        return self.close(key, CloseReason::TooSlow);
                    }
                    self.shard.pass_over(key.slot, &lost);
                }
            }
        }
    }

    /// Has the front read what is not at hand; the connection waits, and hears nothing that is recorded meanwhile.
    fn read_for_slow(&mut self, key: ConnKey, wanted: InLog) {
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        self.shared.front.spawn(async move {
            let read = shared.read_behind(&wanted.room, wanted.epoch, wanted.after).await;
            inbox.push(Mail::Lent(key, wanted, read));
        });
    }

    /// The front has read a page for a slow client, or could not: then the client comes again, and nothing is lost.
    pub(super) fn lent(
        &mut self,
        key: ConnKey,
        wanted: &InLog,
        read: Result<Vec<Arc<Publication>>, Refusal>,
    ) {
        if self.links.get(key).is_none() {
            return;
        }
        let Ok(page) = read else { return self.close(key, CloseReason::Overloaded) };
        self.shard.lend(key.slot, wanted, &page);
        self.catch_up(key);
    }

    fn tell_behind(&mut self, key: ConnKey, behind: u64) {
        match self.teller(key) {
            None => {}
            Some(Teller::Plain) => self.say_plain(key, |out| plain::server::behind(out, behind)),
            Some(Teller::SocketIo(namespace)) => {
                let body = format!("{{\"events\":{behind}}}");
                self.send_event(key, namespace, "tidings:behind", body.as_bytes());
            }
        }
    }

    /// Tells a client of a gap, if it wants to hear of such.
    fn tell_lost(&mut self, key: ConnKey, lost: &Lost) -> bool {
        let gap = plain::server::Gap {
            room: lost.room.name(),
            reason: match lost.range {
                None => "epoch",
                Some(_) if lost.is_damaged => "corrupt",
                Some(_) => "overflow",
            },
            from: lost.range.map(|(from, _)| from),
            to: lost.range.map(|(_, to)| to),
            resume_at: Some(lost.resume_at),
        };
        let Some(link) = self.links.get(key) else { return false };
        if link.dialect() == Dialect::Plain {
            self.say_plain(key, |out| plain::server::gap(out, &gap));
            return true;
        }
        let wanted = link.seat(lost.namespace).is_some_and(|seat| seat.gaps);
        if wanted {
            let mut body = Vec::new();
            plain::server::gap_body(&mut body, &gap);
            self.send_event(key, lost.namespace, "tidings:gap", &body);
        }
        wanted
    }

    /// How a connection is told what concerns all of it; `None`: it did not ask for that.
    fn teller(&mut self, key: ConnKey) -> Option<Teller> {
        let link = self.links.get(key)?;
        if link.dialect() == Dialect::Plain {
            return Some(Teller::Plain);
        }
        link.seats.iter().find(|seat| seat.gaps).map(|seat| Teller::SocketIo(seat.namespace))
    }
}

/// How a client is told something that no event of a room says.
#[derive(Clone, Copy)]
enum Teller {
    Plain,
    SocketIo(u8),
}
