//! The engine's own commands, described as the app `rooms`; it is always there.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::shape::unless_nothing;
use super::{AppSaid, ChannelSaid, CommandSaid, EventSaid, KindSaid};
use crate::command::AckStyle;

/// Its name.
pub const NAME: &str = "rooms";

/// Its commands that are about a connection, and are refused by HTTP.
pub(super) const OF_CONNECTION: [&str; 3] = ["subscribe", "unsubscribe", "auth"];

/// Those of them that are, in every app, for the rooms a connection is in.
pub(super) const OF_ROOMS: [&str; 2] = ["subscribe", "unsubscribe"];

macro_rules! said {
    ($strict:meta: $($(#[$about:meta])* $name:ident { $($(#[$field:meta])* $member:ident: $type:ty,)* })*) => {
        $(
            $(#[$about])*
            #[derive(JsonSchema)]
            #[schemars(rename_all = "camelCase")]
            #[$strict]
            #[allow(dead_code, reason = "it is never made, only described")]
            struct $name { $($(#[$field])* $member: $type,)* }
        )*
    };
}

// What clients say: nothing else is taken.
said! {
    schemars(deny_unknown_fields):
    /// Where a client's knowledge of a room ends.
    Position {
        /// The generation of the room's history.
        epoch: String,
        /// Counts the room's events from 1, without holes.
        offset: u64,
        /// Proves which event stands there.
        tag: Option<String>,
    }
    /// What is wanted of a room.
    Subscribe {
        /// The room's name, `kind:id`.
        room: String,
        /// Everything after this is sent first.
        since: Option<Position>,
        /// So many of the newest events are sent first.
        rewind: Option<u32>,
        /// Only events of these names.
        events: Option<Vec<String>>,
        /// Only events of this lane and of more urgent ones.
        min_lane: Option<LaneName>,
        /// It is kept for the user, who is back in the room whenever it asks for what is kept.
        persist: Option<bool>,
    }
    /// A room.
    OfRoom {
        /// The room's name.
        room: String,
        /// What is kept for the user ends as well, whichever of its devices made it.
        persist: Option<bool>,
    }
    /// An event for a room.
    PublishEvent {
        /// The room's name.
        room: String,
        /// The event's name.
        event: String,
        /// The event's data.
        data: Value,
        /// Under it the event is published once.
        key: Option<String>,
        /// How urgent it is.
        lane: Option<LaneName>,
        /// It is not kept, even if the room keeps events.
        volatile: Option<bool>,
        /// The publisher does not hear it.
        except_self: Option<bool>,
        /// What it is about, such as the symbol of a price: of one name and slot the newest counts.
        slot: Option<String>,
        /// Its recipients are asked to acknowledge it.
        receipt: Option<Receipt>,
    }
    /// How recipients are asked to acknowledge an event; `true` in its place is the same as `{}`.
    Receipt {
        /// Milliseconds each try may take, 100 to 60,000; 5,000 if not said.
        timeout_ms: Option<u32>,
        /// How often it is sent at most, 1 to 10; 3 if not said.
        tries: Option<u32>,
    }
    /// Which part of a history is wanted.
    OfHistory {
        /// The room's name.
        room: String,
        /// Everything after this; without it the newest.
        since: Option<Position>,
        /// How many at most.
        limit: Option<u32>,
    }
    /// Whose presence is wanted.
    OfPresence {
        /// The room's name.
        room: String,
        /// Which page, from 0.
        page: Option<u32>,
    }
    /// What others are to see of the one who says it.
    PresenceSet {
        /// Its status in every room; `auto`: what the server decides.
        status: Option<WantedStatus>,
        /// Until when, in milliseconds since 1970.
        until: Option<u64>,
        /// Whether somebody is at this device.
        active: Option<bool>,
        /// What it says of itself, up to 1,024 bytes; `null` takes it back.
        info: Option<Value>,
    }
    /// A token that takes the place of the one before.
    Renew {
        /// The token.
        token: String,
    }
    /// Nothing.
    Nothing {}
}

// What they are told: there may be more.
said! {
    schemars():
    /// Where a newcomer stands.
    Subscribed {
        room: String,
        epoch: Option<String>,
        offset: Option<u64>,
        tag: Option<String>,
        /// Whether nothing is missing; there if `since` or `rewind` was given.
        recovered: Option<bool>,
        /// How the room stands, if an app keeps it.
        snapshot: Option<Value>,
        /// Who is there, if the room's kind shows it.
        presence: Option<Roster>,
    }
    /// What became of an event.
    PublishedEvent {
        room: String,
        message_id: String,
        epoch: Option<String>,
        offset: Option<u64>,
        tag: Option<String>,
        /// How safe it is: `memory` or `synced`.
        durability: String,
        /// It was published before under this key.
        duplicate: Option<bool>,
        /// It waits for the room's pace: it has no position yet, and is not heard if a newer one takes its place.
        held: Option<bool>,
        /// How many more the budget lets through now; there where something is limited.
        remaining: Option<u64>,
        /// How its recipients are asked to acknowledge it, if they are.
        receipt: Option<Receipt>,
    }
    /// What became of an event whose recipients were asked to acknowledge it.
    Delivered {
        message_id: String,
        room: String,
        /// The user it was for, if it was for one.
        user_id: Option<String>,
        /// `acknowledged`, `partly`, `timed_out` or `nobody`.
        outcome: String,
        counts: DeliveryCounts,
        /// How often it was sent.
        tries: u64,
        /// It is kept as a dead letter.
        dead_letter: bool,
        /// Who they are, for servers.
        users: Option<Value>,
    }
    /// How many recipients came how far.
    DeliveryCounts {
        recipients: u64,
        sent: u64,
        acknowledged: u64,
        timed_out: u64,
        gone: u64,
        busy: u64,
    }
    /// The client was taken out of a room, or may not go back into it.
    Left {
        room: String,
        reason: String,
        /// Whether it is still kept for the user.
        kept: Option<bool>,
    }
    /// An event of a history.
    PastEvent {
        message_id: String,
        event: String,
        data: Value,
        offset: u64,
        /// When it was accepted.
        at: String,
    }
    /// A part of a history.
    History {
        room: String,
        epoch: Option<String>,
        events: Vec<PastEvent>,
        /// There is more.
        more: bool,
        /// Whether nothing between `since` and the first event is missing; there with `since`.
        complete: Option<bool>,
    }
    /// How many are in a room.
    Counts {
        connections: u64,
        users: u64,
    }
    /// Who is in a room, for a newcomer.
    Roster {
        version: u64,
        counts: Counts,
        members: Option<Vec<Member>>,
    }
    /// Who came to a room and who went.
    RosterChanged {
        room: String,
        /// Counts up by one with each event.
        version: u64,
        joined: Option<Vec<Member>>,
        left: Option<Vec<Member>>,
        changed: Option<Vec<Member>>,
        /// Some changes were left out: `presence` says what there is.
        reread: Option<bool>,
        counts: Counts,
    }
    /// A user came, or is gone.
    OfUser {
        user_id: String,
    }
    /// Who is in a room.
    Presence {
        room: String,
        counts: Counts,
        members: Option<Vec<Member>>,
        more: bool,
    }
    /// Somebody in a room.
    Member {
        user_id: Option<String>,
        name: Option<String>,
        status: Option<String>,
        devices: Option<u64>,
        last_seen: Option<String>,
        /// What it says of itself.
        info: Option<Value>,
    }
    /// A room is up to date again.
    Resumed {
        room: String,
        epoch: String,
        offset: u64,
    }
    /// Something of a room is missing and will not come.
    Gap {
        room: Option<String>,
        reason: String,
        from: Option<u64>,
        to: Option<u64>,
        resume_at: Option<u64>,
    }
    /// What others see of the one who said it.
    PresenceWas {
        /// Its status.
        status: String,
        /// Until when, in milliseconds since 1970.
        until: Option<u64>,
    }
    /// Until when a sign-in is good.
    Renewed {
        /// When the token ends.
        expires_at: Option<String>,
    }
    /// The sign-in ends soon.
    TokenEnds {
        /// When the token ends.
        expires_at: String,
    }
    /// The server stops, and this connection with it.
    Leaving {
        /// After how many milliseconds the connection is closed.
        after_ms: u64,
    }
    /// Volatile events were left out because the client reads too slowly.
    Skipped {
        /// Of this room; of several or of none without it.
        room: Option<String>,
        count: u64,
    }
    /// Recorded events were held back because the client reads too slowly; they follow.
    Behind {
        /// How many.
        events: u64,
    }
    /// A command without acknowledgement was refused.
    CommandRefused {
        command: String,
        error: Value,
    }
}

/// How urgent an event is.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it is never made, only described")]
enum LaneName {
    Critical,
    High,
    Normal,
    Low,
}

/// What a user wants others to see.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it is never made, only described")]
enum WantedStatus {
    Online,
    Away,
    Invisible,
    Auto,
}

/// What the engine itself takes and says.
pub(super) fn rooms(generator: &mut SchemaGenerator) -> AppSaid {
    let g = generator;
    let commands = vec![
        command::<Subscribe, Subscribed>(g, "subscribe", "Hears a room, by the room's rule."),
        command::<OfRoom, ()>(g, "unsubscribe", "Hears a room no longer."),
        command::<PublishEvent, PublishedEvent>(
            g,
            "publish",
            "Says something in a room, by the room's rule.",
        ),
        command::<OfHistory, History>(g, "history", "Reads what was said, by the room's rule."),
        command::<OfPresence, Presence>(g, "presence", "Sees who is there, by the room's rule."),
        command::<PresenceSet, PresenceWas>(
            g,
            "presence:set",
            "Says what others are to see of the one who says it.",
        ),
        command::<Nothing, ()>(g, "ping", "Answers."),
        command::<Renew, Renewed>(g, "auth", "Renews the sign-in by a newer token."),
    ];
    let events = vec![
        event::<Resumed>(g, "tidings:resumed", "Everything that was missed has been sent."),
        event::<Gap>(g, "tidings:gap", "Something is missing; for clients that say `auth.gaps: true`."),
        event::<TokenEnds>(g, "tidings:token", "The token ends soon: renew it by `auth`."),
        event::<Leaving>(g, "tidings:reconnect", "The server stops and will close the connection."),
        event::<Skipped>(
            g,
            "tidings:skipped",
            "Volatile events were left out; for clients that say `auth.gaps: true`.",
        ),
        event::<Behind>(
            g,
            "tidings:behind",
            "What was held back follows; for clients that say `auth.gaps: true`.",
        ),
        event::<Delivered>(g, "tidings:receipt", "What became of an event that asked for a receipt."),
        event::<Subscribed>(g, "tidings:subscribed", "A subscription kept for the user was taken up."),
        event::<Left>(g, "tidings:left", "The client is not in a room any more."),
        event::<RosterChanged>(g, "tidings:presence", "Members came or went; for kinds that show it."),
        event::<OfUser>(g, "userOnline", "A user's first connection came to the namespace."),
        event::<OfUser>(g, "userOffline", "A user's last connection left the namespace."),
        event::<CommandRefused>(g, "tidings:error", "A command that wanted no answer was refused."),
    ];
    let channel = ChannelSaid { namespace: "/".into(), kinds: kinds(), commands, events, snapshot: None };
    AppSaid {
        name: NAME.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        about: "The engine's own commands, for the rooms of every app.".into(),
        channels: vec![channel],
    }
}

fn kinds() -> Vec<KindSaid> {
    let kind = |name: &str, about: &str, subscribe: &str, publish: &str, keeps| KindSaid {
        name: name.into(),
        about: about.into(),
        subscribe: subscribe.into(),
        publish: publish.into(),
        keeps,
    };
    vec![
        kind("lobby", "Everybody who has signed in.", "signed-in", "signed-in", "durable"),
        kind("user", "One user's own; joined by itself.", "owner", "server", "recent"),
        kind("metrics", "The host's figures.", "signed-in", "server", "recent"),
    ]
}

fn command<D: JsonSchema, R: JsonSchema + 'static>(
    generator: &mut SchemaGenerator,
    name: &str,
    about: &str,
) -> CommandSaid {
    CommandSaid {
        name: name.into(),
        about: about.into(),
        requires: "anyone".into(),
        rate: None,
        ack: AckStyle::Ok,
        data: generator.subschema_for::<D>().to_value(),
        reply: unless_nothing::<R>(generator),
    }
}

fn event<T: JsonSchema>(generator: &mut SchemaGenerator, name: &str, about: &str) -> EventSaid {
    EventSaid { name: name.into(), about: about.into(), data: generator.subschema_for::<T>().to_value() }
}
