//! A channel: commands on one namespace, and the kinds of rooms they act on.

use std::future::Future;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use tidings_core::{Action, Refusal, Room};

use crate::app::RoomKind;
use crate::command::{Command, Event};
use crate::ctx::{Ctx, Stage};

/// A set of commands on one namespace and the rooms they act on.
///
/// The callbacks run on the front and may wait. The commands of one client run one after the other,
/// those of different clients at the same time.
pub trait Channel: Send + Sync + Sized + 'static {
    /// The namespace; several channels may share one.
    const NAMESPACE: &'static str;
    /// Kinds of rooms whose `kind:USERID` everybody who enters the namespace is in at once.
    const PERSONAL: &'static [&'static str] = &[];
    /// Whether [`Channel::connected`] is called.
    const WELCOMES: bool = false;

    /// What clients may say.
    type Command: Command;
    /// What rooms may hear.
    type Event: Event;
    /// What a command is acknowledged with: an object, or `()`.
    type Reply: Serialize + JsonSchema + Send + 'static;
    /// What a newcomer gets on joining a room.
    type Snapshot: Serialize + JsonSchema + Send + 'static;

    /// The kinds of rooms that are this channel's.
    fn kinds(&self) -> Vec<RoomKind> {
        Vec::new()
    }

    /// Does what a client said, which passed [`Command::RULES`] and every check.
    ///
    /// # Errors
    /// What the client is told.
    fn handle(
        &self,
        ctx: Ctx<'_, Self>,
        command: Self::Command,
    ) -> impl Future<Output = Result<Self::Reply, Refusal>> + Send;

    /// Somebody who may say a command said one that cannot be read: what the client is told. An app whose refusals say more
    /// than what is wrong adds that to this one.
    fn misread(
        &self,
        ctx: Ctx<'_, Self>,
        (command, data): (&'static str, &str),
        refusal: Refusal,
    ) -> impl Future<Output = Refusal> + Send {
        let _ = (ctx, command, data);
        async { refusal }
    }

    /// Somebody wants to hear a room of this channel: how it stands, for the answer. A channel without rooms of its
    /// own leaves it out.
    ///
    /// What [`Ctx::read`] gives is one moment, and the newcomer hears exactly what was committed after it.
    /// It is a question: it may be asked again for one who is in, and for one who is gone before it is in.
    ///
    /// # Errors
    /// What the client is told.
    fn join(
        &self,
        ctx: Ctx<'_, Self>,
        room: &Room,
    ) -> impl Future<Output = Result<Self::Snapshot, Refusal>> + Send {
        let _ = (ctx, room);
        async { Err(Refusal::no_such_room()) }
    }

    /// Whether somebody may do something in a room whose rule leaves it to the app (`Rule::App`).
    ///
    /// # Errors
    /// What the client is told; `not_found` for what it must not know of.
    fn admit(
        &self,
        ctx: Ctx<'_, Self>,
        room: &Room,
        action: Action,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = (ctx, room, action);
        async { Err(Refusal::no_such_room()) }
    }

    /// Somebody was in a room and is not any more; called once for each time it was.
    fn leave(&self, ctx: Ctx<'_, Self>, room: &Room) -> impl Future<Output = ()> + Send {
        let _ = (ctx, room);
        async {}
    }

    /// A client has entered the namespace, or has taken up its session there; called where
    /// [`Channel::WELCOMES`].
    fn connected(&self, ctx: Ctx<'_, Self>) -> impl Future<Output = ()> + Send {
        let _ = ctx;
        async {}
    }

    /// A user has said that others are not to see it any more, or they see it again, because it has said so or because
    /// the time of its wish is over; wherever it is connected. [`Stage::is_invisible`] says which.
    fn shown(&self, ctx: Ctx<'_, Self>) -> impl Future<Output = ()> + Send {
        let _ = ctx;
        async {}
    }

    /// Called once the server runs, then again whenever the time it asked for is over.
    fn wake(&self, stage: Stage) -> impl Future<Output = Option<Duration>> + Send {
        let _ = stage;
        async { None }
    }
}
