//! What administrators do to clients: send them events, take them into rooms, send them out, end them.

use compact_str::CompactString;
use tidings_core::{ConnKey, Org, Room};
use tidings_wire::CloseReason;
use tokio::sync::oneshot;

use super::ShardLoop;
use super::link::Seat;
use super::renewal::FORBIDDEN;
use super::walk::Walk;
use crate::client::Emission;
use crate::ids::SocketId;

/// Whose clients are meant, of one organisation.
#[derive(Debug, Clone)]
pub(crate) struct Whose {
    pub(crate) org: Org,
    /// In this namespace alone.
    pub(crate) namespace: Option<u8>,
    pub(crate) whom: Whom,
}

/// Which of an organisation's clients.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// A user's.
    User(CompactString),
    /// One, by its public id.
    Socket(SocketId),
    /// Who is in a room.
    In(Room),
    /// All.
    Everybody,
}

/// An event for clients, whatever rooms they are in.
#[derive(Debug, Clone)]
pub(crate) struct Emitted {
    pub(crate) name: CompactString,
    /// As JSON.
    pub(crate) args: Vec<String>,
}

/// What is done to them.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    /// They are sent an event.
    Emit(Emitted),
    /// They are taken into a room, as far as its rules let each.
    Join(Room),
    /// They are sent out of a room.
    Leave(Room),
    /// They are sent out of the namespace, and do not come back by themselves.
    Disconnect,
    /// Their connections end; they may come back.
    Close,
}

/// Does something to clients, and counts them.
pub(crate) struct Doing {
    pub(crate) whose: Whose,
    pub(crate) deed: Deed,
    pub(crate) done: usize,
    pub(crate) reply: oneshot::Sender<usize>,
}

impl Walk for Doing {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let Some(link) = shard.links.get(key) else { return };
        let whose = &self.whose;
        let is_meant = |seat: &&Seat| {
            seat.who.org == whose.org
                && whose.namespace.is_none_or(|namespace| seat.namespace == namespace)
                && match &whose.whom {
                    Whom::User(user) => seat.who.user.as_ref() == Some(user),
                    Whom::Socket(id) => seat.sid == *id,
                    Whom::In(_) | Whom::Everybody => true,
                }
        };
        let namespaces: Vec<u8> = link.seats.iter().filter(is_meant).map(|seat| seat.namespace).collect();
        for namespace in namespaces {
            let is_there = match &whose.whom {
                Whom::In(room) => shard.shard.is_member(key.slot, room, namespace),
                _ => true,
            };
            self.done += usize::from(is_there && shard.does(key, namespace, &self.deed));
        }
    }

    /// What was begun is finished, whoever waits for it.
    fn is_done(&self) -> bool {
        false
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        let _ = self.reply.send(self.done);
    }
}

impl ShardLoop {
    /// Does something to a client; whether there was anything to do.
    fn does(&mut self, key: ConnKey, namespace: u8, deed: &Deed) -> bool {
        match deed {
            Deed::Emit(event) => {
                let Emitted { name, args } = event.clone();
                let event = Emission::Event { namespace, name, args, attachments: Vec::new(), ack: None };
                self.emit(key, event);
                true
            }
            Deed::Join(room) => {
                let is_free = self.shard.rooms_of(key.slot) < self.settings.rooms_per_connection;
                if is_free && !self.shard.is_member(key.slot, room, namespace) {
                    self.join_for_handler(key, namespace, room);
                }
                self.shard.is_member(key.slot, room, namespace)
            }
            Deed::Leave(room) => {
                let is_there = self.shard.is_member(key.slot, room, namespace);
                if is_there {
                    self.send_out(key, namespace, room, FORBIDDEN);
                }
                is_there
            }
            Deed::Disconnect => self.disconnect(key, namespace),
            Deed::Close => {
                let is_open = self.links.get(key).is_some();
                self.close(key, CloseReason::Disconnected);
                is_open
            }
        }
    }
}
