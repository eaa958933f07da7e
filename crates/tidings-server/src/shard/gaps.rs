//! Gaps that a client is told of.

use tidings_core::node::From;
use tidings_core::{ConnKey, Joined, Room};
use tidings_wire::names::Dialect;
use tidings_wire::plain;

use super::ShardLoop;
use super::command::AckTo;

impl ShardLoop {
    pub(super) fn tells_gaps(&mut self, key: ConnKey, ack: AckTo) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        link.dialect() == Dialect::Plain || link.seat(ack.namespace()).is_some_and(|seat| seat.gaps)
    }

    pub(super) fn tell_gap(&mut self, key: ConnKey, ack: AckTo, room: &Room, joined: &Joined, from: From) {
        let (Some(top), From::Position(since)) = (joined.top, from) else { return };
        let first = joined.missed.first().and_then(|missed| missed.position);
        let resume_at = first.map_or(top.offset + 1, |position| position.offset);
        let (reason, lost) = if since.epoch != top.epoch {
            ("epoch", None)
        } else if since.offset > top.offset {
            ("rewind", None)
        } else if since.offset + 1 >= resume_at {
            // The positions fit, so the message the client has there is not the one that is kept.
            ("corrupt", None)
        } else {
            ("trimmed", Some((since.offset + 1, resume_at - 1)))
        };
        let gap = plain::server::Gap {
            room: room.name(),
            reason,
            from: lost.map(|(from, _)| from),
            to: lost.map(|(_, to)| to),
            resume_at: Some(resume_at),
        };
        self.say_gap(key, ack, &gap);
    }

    /// Tells a client that wants to know it that events are missing, from the first to the last.
    pub(super) fn tell_hole(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        room: &Room,
        reason: &str,
        (from, to): (u64, u64),
    ) {
        if self.tells_gaps(key, ack) {
            let (from, to, resume_at) = (Some(from), Some(to), Some(to + 1));
            self.say_gap(key, ack, &plain::server::Gap { room: room.name(), reason, from, to, resume_at });
        }
    }

    fn say_gap(&mut self, key: ConnKey, ack: AckTo, gap: &plain::server::Gap<'_>) {
        match ack {
            AckTo::Plain { .. } => self.say_plain(key, |out| plain::server::gap(out, gap)),
            AckTo::SocketIo { namespace, .. } => {
                let mut body = Vec::new();
                plain::server::gap_body(&mut body, gap);
                self.send_event(key, namespace, "tidings:gap", &body);
            }
        }
    }
}
