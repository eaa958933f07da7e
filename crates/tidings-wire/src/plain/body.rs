use super::field::{BadField, Field, Since, TOKEN, pick};
use super::lane::Lane;
use crate::socketio::is_reserved;
use crate::{Limits, json};
use std::borrow::Cow;

/// The most bytes of a token; what fits in a request's head fits here.
pub const TOKEN_BYTES: usize = 16_384;

/// The most event names one subscription may ask for.
pub const MAX_EVENT_FILTERS: usize = 64;

/// The body of `auth`, and of a Socket.IO CONNECT as far as it is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthBody<'a> {
    /// The token, at most [`TOKEN_BYTES`]; without one the client is anonymous.
    pub token: Option<Cow<'a, str>>,
    /// Whether the client wants offsets as trailing arguments.
    pub recovery: Option<bool>,
    /// Whether the client wants to be told of gaps.
    pub gaps: Option<bool>,
    /// Whether the client takes up the subscriptions that are kept for its user.
    pub persistent: Option<bool>,
}

/// The body of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeBody<'a> {
    /// The room's name.
    pub room: Cow<'a, str>,
    /// Where to resume.
    pub since: Option<Since<'a>>,
    /// How many of the last events to send first.
    pub rewind: Option<u32>,
    /// The only event names to send, at most [`MAX_EVENT_FILTERS`].
    pub events: Option<Vec<Cow<'a, str>>>,
    /// The least urgent lane to send.
    pub min_lane: Option<Lane>,
    /// Whether it is kept for the user, until it is ended.
    pub persist: bool,
}

/// The body of `unsubscribe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomBody<'a> {
    /// The room's name.
    pub room: Cow<'a, str>,
    /// Whether what is kept for the user ends as well, whoever of its devices made it.
    pub persist: bool,
}

/// The body of `publish`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishBody<'a> {
    /// The room's name.
    pub room: Cow<'a, str>,
    /// The event's name; never one that Socket.IO keeps for itself.
    pub event: Cow<'a, str>,
    /// The payload as raw JSON, byte for byte as the client wrote it.
    pub data: &'a str,
    /// The idempotency key, at most [`Limits::key_bytes`].
    pub key: Option<Cow<'a, str>>,
    /// The lane, if the client chose one.
    pub lane: Option<Lane>,
    /// Whether the event may be lost and is not recorded.
    pub volatile: bool,
    /// Whether the publisher's own connection is left out.
    pub except_self: bool,
    /// What the event is about, at most [`Limits::key_bytes`]: of one name and slot the newest is what counts.
    pub slot: Option<Cow<'a, str>>,
    /// What is asked for of its recipients, if they are asked to acknowledge it.
    pub receipt: Option<ReceiptWish>,
}

/// How often an event is sent, and how long its recipients may take to acknowledge it each time; what is not
/// said is the server's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReceiptWish {
    /// Milliseconds for each try.
    pub timeout_ms: Option<u32>,
    /// How often it is sent at most, the first time included.
    pub tries: Option<u32>,
}

/// The body of `history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBody<'a> {
    /// The room's name.
    pub room: Cow<'a, str>,
    /// The position after which to read.
    pub since: Option<Since<'a>>,
    /// The most events to answer with.
    pub limit: Option<u32>,
}

/// The body of `presence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceBody<'a> {
    /// The room's name.
    pub room: Cow<'a, str>,
    /// Which page of the members.
    pub page: Option<u32>,
}

/// The body of `presence:set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresenceSetBody<'a> {
    /// What others are to see.
    pub status: Option<WantedStatus>,
    /// Until when, in milliseconds since 1970.
    pub until: Option<u64>,
    /// Whether somebody is at this device.
    pub active: Option<bool>,
    /// What the user says of itself, as raw JSON of at most [`INFO_BYTES`]; `null` takes it back.
    pub info: Option<&'a str>,
}

/// What a user wants others to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedStatus {
    /// `online`.
    Online,
    /// `away`.
    Away,
    /// `invisible`: nothing.
    Invisible,
    /// `auto`: what the server decides.
    Auto,
}

/// Bytes of what a user says of itself.
pub const INFO_BYTES: usize = 1_024;

// Each `parse` takes an object that passed `json::check`; a field it does not know is not looked at, and a
// field given as null counts as not given.

impl<'a> AuthBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is of the wrong type, too long or given twice.
    pub fn parse(object: &'a str) -> Result<Self, BadField> {
        let names = [TOKEN, "recovery", "gaps", "persistent"];
        let [token, recovery, gaps, persistent] = pick(whole(object)?, names)?;
        // Elsewhere null is nothing; here it would make somebody anonymous who meant to sign in.
        if token.raw() == Some("null") {
            return Err(token.bad("must be a string"));
        }
        Ok(Self {
            token: token.optional_text(TOKEN_BYTES)?,
            recovery: recovery.flag()?,
            gaps: gaps.flag()?,
            persistent: persistent.flag()?,
        })
    }
}

impl<'a> SubscribeBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is missing, of the wrong type, too long or given twice.
    pub fn parse(object: &'a str, limits: &Limits) -> Result<Self, BadField> {
        let names = ["room", "since", "rewind", "events", "minLane", "persist"];
        let [room, since, rewind, events, min_lane, persist] = pick(whole(object)?, names)?;
        Ok(Self {
            room: room.name(limits.room_name_bytes)?,
            since: since.since()?,
            rewind: rewind.small_number()?,
            events: events.names(MAX_EVENT_FILTERS, limits.event_name_bytes)?,
            min_lane: min_lane.lane()?,
            persist: persist.flag()?.unwrap_or(false),
        })
    }
}

impl<'a> RoomBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// If the room is missing, of the wrong type, too long or given twice.
    pub fn parse(object: &'a str, limits: &Limits) -> Result<Self, BadField> {
        let [room, persist] = pick(whole(object)?, ["room", "persist"])?;
        Ok(Self { room: room.name(limits.room_name_bytes)?, persist: persist.flag()?.unwrap_or(false) })
    }
}

impl<'a> PublishBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is missing, of the wrong type, too long or given twice, and an event name that is
    /// not the client's to use.
    pub fn parse(object: &'a str, limits: &Limits) -> Result<Self, BadField> {
        let names = ["room", "event", "data", "key", "lane", "volatile", "exceptSelf", "slot", "receipt"];
        let [room, event, data, key, lane, volatile, except_self, slot, receipt] =
            pick(whole(object)?, names)?;
        Ok(Self {
            room: room.name(limits.room_name_bytes)?,
            event: free_event_name(event, limits)?,
            data: data.raw().ok_or(data.bad("is missing"))?,
            key: key.optional_name(limits.key_bytes)?,
            lane: lane.lane()?,
            volatile: volatile.flag()?.unwrap_or(false),
            except_self: except_self.flag()?.unwrap_or(false),
            slot: slot.optional_name(limits.key_bytes)?,
            receipt: receipt.receipt()?,
        })
    }
}

impl<'a> HistoryBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is missing, of the wrong type, too long or given twice.
    pub fn parse(object: &'a str, limits: &Limits) -> Result<Self, BadField> {
        let [room, since, limit] = pick(whole(object)?, ["room", "since", "limit"])?;
        Ok(Self {
            room: room.name(limits.room_name_bytes)?,
            since: since.since()?,
            limit: limit.small_number()?,
        })
    }
}

impl<'a> PresenceBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is missing, of the wrong type, too long or given twice.
    pub fn parse(object: &'a str, limits: &Limits) -> Result<Self, BadField> {
        let [room, page] = pick(whole(object)?, ["room", "page"])?;
        Ok(Self { room: room.name(limits.room_name_bytes)?, page: page.small_number()? })
    }
}

impl<'a> PresenceSetBody<'a> {
    /// Reads the body from a checked JSON object.
    ///
    /// # Errors
    /// The first field that is of the wrong type, unknown, too long or given twice.
    pub fn parse(object: &'a str) -> Result<Self, BadField> {
        let [status, until, active, info] = pick(whole(object)?, ["status", "until", "active", "info"])?;
        if info.raw().is_some_and(|raw| raw.len() > INFO_BYTES) {
            return Err(info.bad("is too long"));
        }
        let wanted = match status.optional_name(16)?.as_deref() {
            None => None,
            Some("online") => Some(WantedStatus::Online),
            Some("away") => Some(WantedStatus::Away),
            Some("invisible") => Some(WantedStatus::Invisible),
            Some("auto") => Some(WantedStatus::Auto),
            Some(_) => return Err(status.bad("must be online, away, invisible or auto")),
        };
        Ok(Self { status: wanted, until: until.number()?, active: active.flag()?, info: info.raw() })
    }
}

fn free_event_name<'a>(event: Field<'a>, limits: &Limits) -> Result<Cow<'a, str>, BadField> {
    let name = event.name(limits.event_name_bytes)?;
    if !is_free_event_name(&name, limits) {
        return Err(event.bad("is a reserved name"));
    }
    Ok(name)
}

/// The idempotency key of a Socket.IO command, from what stands behind its data; what is no object says none.
///
/// # Errors
/// If it is none, as in the plain dialect.
pub fn key_behind<'a>(options: &'a str, limits: &Limits) -> Result<Option<Cow<'a, str>>, BadField> {
    if whole(options).is_err() {
        return Ok(None);
    }
    let [key] = pick(options, ["key"])?;
    key.optional_name(limits.key_bytes)
}

/// Names of the server's own that do not begin with `tidings:`.
const OWN_EVENTS: [&str; 2] = ["userOnline", "userOffline"];

/// Whether a client may publish an event of this name.
///
/// A reserved name would break the connection of every stock client in the room, and one of our own would
/// let a member speak in the server's voice: a stock client is not told of which room an event is.
pub fn is_free_event_name(name: &str, limits: &Limits) -> bool {
    !name.is_empty()
        && name.len() <= limits.event_name_bytes
        && !name.chars().any(char::is_control)
        && !is_reserved(name)
        && !name.starts_with("tidings:")
        && !OWN_EVENTS.contains(&name)
}

/// On Socket.IO the body is whatever argument the client chose to send.
fn whole(object: &str) -> Result<&str, BadField> {
    let starts = object.as_bytes().get(json::skip_space(object.as_bytes(), 0)) == Some(&b'{');
    if starts { Ok(object) } else { Err(BadField { field: "body", problem: "must be an object" }) }
}
