//! Connections and users of a shard as administrators see them, a page at a time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;
use tidings_core::{ConnKey, Identity, Room, UserKey};
use tokio::sync::oneshot;

use super::ShardLoop;
use super::link::{Link, Seat};
use super::walk::{Walk, door};
use crate::admin::sight::Sight;
use crate::ids::SocketId;

/// Connections of a user that are told one by one.
const DEVICES: usize = 16;

/// A client in one namespace.
pub(crate) struct SocketRow {
    pub(crate) key: ConnKey,
    pub(crate) id: SocketId,
    pub(crate) who: Arc<Identity>,
    pub(crate) door: &'static str,
    pub(crate) namespace: u8,
    /// When it signed in, in milliseconds since 1970, if that is known.
    pub(crate) since_ms: Option<u64>,
    /// The rooms it is in through this namespace: how many, and the first of them.
    pub(crate) rooms: usize,
    pub(crate) names: Vec<Room>,
    /// What waits for its connection.
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    pub(crate) address: IpAddr,
}

/// Which clients are wanted.
#[derive(Debug, Clone)]
pub(crate) struct SocketsWanted {
    pub(crate) sight: Sight,
    pub(crate) user: Option<CompactString>,
    pub(crate) room: Option<Room>,
    pub(crate) namespace: Option<u8>,
    /// So many at least, if there are so many; a page ends with a whole connection.
    pub(crate) limit: usize,
    /// Rooms of a client that are named; of the others the number is told.
    pub(crate) names: usize,
    /// The slot to begin at.
    pub(crate) from: usize,
}

/// Clients that were found, and the slot to go on from if there may be more.
pub(crate) type SocketsFound = (Vec<SocketRow>, Option<usize>);

/// Looks for clients.
pub(crate) struct Sockets {
    pub(crate) wanted: SocketsWanted,
    pub(crate) found: Vec<SocketRow>,
    pub(crate) reply: oneshot::Sender<SocketsFound>,
}

impl Walk for Sockets {
    fn begins_at(&self) -> usize {
        self.wanted.from
    }

    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let wanted = &self.wanted;
        let Some(link) = shard.links.get(key) else { return };
        let Some(door) = door(link) else { return };
        let fits = |seat: &&Seat| {
            wanted.sight.sees(&seat.who.org)
                && wanted.namespace.is_none_or(|namespace| seat.namespace == namespace)
                && wanted.user.as_ref().is_none_or(|user| seat.who.user.as_ref() == Some(user))
        };
        let seats: Vec<_> = link.seats.iter().filter(fits).map(|seat| seat_of(link, seat)).collect();
        let address = link.remote;
        for Sat { id, who, namespace, begun_ms } in seats {
            let is_there = |room: &Room| shard.shard.is_member(key.slot, room, namespace);
            if !wanted.room.as_ref().is_none_or(is_there) {
                continue;
            }
            let mut names = shard.shard.room_names(key.slot, namespace);
            let rooms = names.len();
            names.truncate(wanted.names);
            let (bytes, messages) = (shard.shard.waiting(key.slot), shard.shard.messages_waiting(key.slot));
            let since_ms = begun_ms.or_else(|| shard.first_joined(key));
            let row =
                SocketRow { key, id, who, door, namespace, since_ms, rooms, names, bytes, messages, address };
            self.found.push(row);
        }
    }

    fn is_done(&self) -> bool {
        self.found.len() >= self.wanted.limit || self.reply.is_closed()
    }

    fn end(self: Box<Self>, next: Option<usize>) {
        // Whoever asked may have given up.
        let _ = self.reply.send((self.found, next));
    }
}

/// One of a user's connections.
#[derive(Debug, Clone)]
pub(crate) struct DeviceRow {
    pub(crate) id: SocketId,
    pub(crate) door: &'static str,
    pub(crate) namespace: u8,
    pub(crate) since_ms: Option<u64>,
    pub(crate) address: IpAddr,
}

/// A user who is connected.
#[derive(Debug, Clone, Default)]
pub(crate) struct UserRow {
    pub(crate) name: Option<CompactString>,
    pub(crate) connections: usize,
    pub(crate) devices: Vec<DeviceRow>,
}

impl UserRow {
    /// Adds what another shard knows of the user.
    pub(crate) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.name = self.name.take().or(other.name);
        self.devices.extend(other.devices);
        self.devices.truncate(DEVICES);
    }
}

/// Users by organisation and id.
pub(crate) type UsersFound = BTreeMap<UserKey, UserRow>;

/// Looks for users: the first so many behind a place in the order of organisation and id.
pub(crate) struct Users {
    pub(crate) sight: Sight,
    /// Part of the id or the name, in small letters; empty: all.
    pub(crate) part: String,
    pub(crate) after: Option<UserKey>,
    pub(crate) limit: usize,
    pub(crate) found: UsersFound,
    pub(crate) reply: oneshot::Sender<UsersFound>,
}

impl Users {
    fn wants(&self, who: &Identity, user: &UserKey) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.part);
        let is_late = self.found.len() >= self.limit
            && self.found.last_key_value().is_some_and(|(last, _)| user > last);
        self.sight.sees(&who.org)
            && !is_late
            && self.after.as_ref().is_none_or(|after| user > after)
            && (self.part.is_empty() || has(user.id()) || who.name.as_deref().is_some_and(has))
    }
}

impl Walk for Users {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let Some(link) = shard.links.get(key) else { return };
        let Some(door) = door(link) else { return };
        let (address, mut counted) = (link.remote, Vec::new());
        let seats: Vec<_> = link.seats.iter().map(|seat| seat_of(link, seat)).collect();
        for Sat { id, who, namespace, begun_ms } in seats {
            let Some(user) = who.user_key().filter(|user| self.wants(&who, user)) else { continue };
            let since_ms = begun_ms.or_else(|| shard.first_joined(key));
            let row = self.found.entry(user.clone()).or_default();
            if !counted.contains(&user) {
                row.connections += 1;
                counted.push(user);
            }
            row.name = row.name.take().or_else(|| who.name.clone());
            if row.devices.len() < DEVICES {
                row.devices.push(DeviceRow { id, door, namespace, since_ms, address });
            }
            while self.found.len() > self.limit {
                self.found.pop_last();
            }
        }
    }

    fn is_done(&self) -> bool {
        self.reply.is_closed()
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        // Whoever asked may have given up.
        let _ = self.reply.send(self.found);
    }
}

/// What of a seat outlasts the look at its connection.
struct Sat {
    id: SocketId,
    who: Arc<Identity>,
    namespace: u8,
    begun_ms: Option<u64>,
}

fn seat_of(link: &Link, seat: &Seat) -> Sat {
    let begun_ms = link.noted.map(|noted| noted.begun_ms);
    Sat { id: seat.sid, who: seat.who.clone(), namespace: seat.namespace, begun_ms }
}

impl ShardLoop {
    /// When a connection entered the first of its rooms, in milliseconds since 1970: as good as when it came,
    /// where that is not written down.
    fn first_joined(&self, key: ConnKey) -> Option<u64> {
        let joined_ms = self.shard.first_joined_ms(key.slot)?;
        Some(self.shared.wall_of(joined_ms))
    }
}
