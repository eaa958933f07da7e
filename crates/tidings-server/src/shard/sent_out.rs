//! Clients that are sent out of a room, or whose connection is ended, by an administrator.

use compact_str::CompactString;
use tidings_core::{ConnKey, Org, Room};
use tidings_wire::CloseReason;
use tokio::sync::oneshot;

use super::ShardLoop;
use super::link::Seat;
use super::walk::Walk;
use crate::ids::SocketId;

/// Whose clients are meant.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// A user's.
    User(CompactString),
    /// One, by its public id.
    Socket(SocketId),
}

impl Whom {
    fn is(&self, org: &Org, seat: &Seat) -> bool {
        seat.who.org == *org
            && match self {
                Self::User(user) => seat.who.user.as_ref() == Some(user),
                Self::Socket(id) => seat.sid == *id,
            }
    }
}

/// Sends clients out of a room.
pub(crate) struct SendingOut {
    pub(crate) whom: Whom,
    pub(crate) room: Room,
    /// How many have left.
    pub(crate) left: usize,
    pub(crate) reply: oneshot::Sender<usize>,
}

impl Walk for SendingOut {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let Some(link) = shard.links.get(key) else { return };
        let seats = link.seats.iter().filter(|seat| self.whom.is(self.room.org(), seat));
        for namespace in seats.map(|seat| seat.namespace).collect::<Vec<_>>() {
            if shard.shard.is_member(key.slot, &self.room, namespace) {
                shard.send_out(key, namespace, &self.room);
                self.left += 1;
            }
        }
    }

    /// What was begun is finished, whoever waits for it.
    fn is_done(&self) -> bool {
        false
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        let _ = self.reply.send(self.left);
    }
}

/// Ends the connections of clients; they may come back.
pub(crate) struct Ending {
    pub(crate) org: Org,
    pub(crate) whom: Whom,
    /// Only those in this room.
    pub(crate) room: Option<Room>,
    /// How many have ended.
    pub(crate) ended: usize,
    pub(crate) reply: oneshot::Sender<usize>,
}

impl Walk for Ending {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let Some(link) = shard.links.get(key) else { return };
        let mut seats = link.seats.iter().filter(|seat| self.whom.is(&self.org, seat));
        let core = &shard.shard;
        let is_there = |seat: &Seat| match &self.room {
            Some(room) => core.is_member(key.slot, room, seat.namespace),
            None => true,
        };
        if seats.any(is_there) {
            shard.close(key, CloseReason::Disconnected);
            self.ended += 1;
        }
    }

    fn is_done(&self) -> bool {
        false
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        let _ = self.reply.send(self.ended);
    }
}
