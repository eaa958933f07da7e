//! What a connection's lane carries.

use tidings_core::{Position, Room};

use super::By;
use crate::apps::{Connection, SaidCommand};
use crate::client::{Call, Client};
use crate::durable::Said;
use crate::front::hello::Hello;
use crate::receipts::Terms;
use crate::shard::command::AckTo;
use crate::shard::kept::{Asking, Kept};

/// A command for the front.
pub(crate) enum Job {
    /// Read a room's history.
    History { by: By, room: Room, since: Option<Position>, limit: usize },
    /// Publish to a durable room.
    Publish { by: By, said: Box<Said>, remaining: Option<u64>, terms: Option<Terms> },
    /// See who is in a room.
    Presence { by: By, room: Room, page: usize },
    /// Read what is kept for a user.
    Restore { by: By },
    /// End what is kept for a user, and answer that it has left a room.
    EndKept { by: By, room: Room },
    /// Tell the mounted handler of a client that joined.
    Welcome(Box<Client>, Option<String>, Box<Hello>),
    /// An event for the mounted handler.
    Handle(Call),
    /// A command of an app.
    Command { by: By, said: Box<SaidCommand>, client: Box<Client> },
    /// A client has entered a namespace: the rooms it is in from then on, and whether apps are told.
    Entered { connection: Box<Connection>, rooms: Vec<Room>, welcomes: bool },
    /// Ask the backend about a command that then comes back.
    Ask(Box<Asking>),
    /// A command that came behind one that asks.
    Later(Box<Kept>),
}

impl Job {
    /// Whether it may send to the client by itself, which must not overtake answers before it.
    pub(super) fn speaks(&self) -> bool {
        matches!(
            self,
            Self::Welcome(..) | Self::Handle(..) | Self::Ask(_) | Self::Command { .. } | Self::Entered { .. }
        )
    }

    pub(super) fn ack(&self) -> AckTo {
        match self {
            Self::History { by, .. }
            | Self::Publish { by, .. }
            | Self::Presence { by, .. }
            | Self::Restore { by }
            | Self::EndKept { by, .. }
            | Self::Command { by, .. } => by.ack,
            Self::Entered { connection, .. } => {
                AckTo::SocketIo { namespace: connection.client.namespace_index(), id: None }
            }
            Self::Welcome(client, ..) => AckTo::SocketIo { namespace: client.namespace_index(), id: None },
            Self::Handle(call) => AckTo::SocketIo { namespace: call.client.namespace_index(), id: call.id },
            Self::Ask(asking) => asking.kept.ack(),
            Self::Later(kept) => kept.ack(),
        }
    }

    pub(super) fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Ask(asking) => Some(&asking.kept),
            Self::Later(kept) => Some(kept),
            _ => None,
        }
    }

    /// The bytes of what it says, while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Publish { said, .. } => said.payload.bytes(),
            Self::Command { said, .. } => said.data.len(),
            job => job.kept().map_or(0, Kept::bytes),
        }
    }
}
