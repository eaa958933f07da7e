use super::body::{
    AuthBody, HistoryBody, PresenceBody, PresenceSetBody, PublishBody, RoomBody, SubscribeBody,
};
use super::field::{BadField, Field, pick};
use crate::{Limits, Violation, json};
use std::borrow::Cow;

/// What a client of the plain dialect says.
///
/// `id` is the number the answer will carry; without one the command runs and only a refusal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// Signs in, or says that it is nobody.
    Auth(AuthBody<'a>),
    /// Joins a room.
    Subscribe {
        /// The number of the answer.
        id: Option<u64>,
        /// Which room and how.
        body: SubscribeBody<'a>,
    },
    /// Leaves a room.
    Unsubscribe {
        /// The number of the answer.
        id: Option<u64>,
        /// Which room.
        body: RoomBody<'a>,
    },
    /// Publishes an event.
    Publish {
        /// The number of the answer.
        id: Option<u64>,
        /// What and where.
        body: PublishBody<'a>,
    },
    /// Reads old events.
    History {
        /// The number of the answer.
        id: Option<u64>,
        /// Of which room and from where.
        body: HistoryBody<'a>,
    },
    /// Asks who is there.
    Presence {
        /// The number of the answer.
        id: Option<u64>,
        /// In which room.
        body: PresenceBody<'a>,
    },
    /// Says whether somebody is there, and what others are to see.
    PresenceSet {
        /// The number of the answer.
        id: Option<u64>,
        /// What is set.
        body: PresenceSetBody<'a>,
    },
    /// Asks for a sign of life.
    Ping {
        /// The number of the answer.
        id: Option<u64>,
    },
    /// A command of an app; a generic one is decoded as itself, whichever way it is said.
    Command {
        /// The number of the answer.
        id: Option<u64>,
        /// The app's namespace, `/` if none is named.
        namespace: Cow<'a, str>,
        /// The command's name.
        name: Cow<'a, str>,
        /// The argument as raw JSON, `null` if there is none.
        data: &'a str,
        /// The idempotency key.
        key: Option<Cow<'a, str>>,
    },
    /// A sign of life.
    Heartbeat,
    /// Confirms a tracked event.
    Ack {
        /// The event's message id.
        message_id: Cow<'a, str>,
    },
}

/// Why a message was not understood, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The connection closes: it was no JSON object, or too big, or too deep.
    Violation(Violation),
    /// The client is told and the connection stays.
    Refused {
        /// The number of the refused command, if it could be read.
        id: Option<u64>,
        /// The code of the refusal.
        code: &'static str,
        /// What was wrong, for people.
        message: Cow<'static, str>,
    },
}

/// Reads one text message of a client.
///
/// Fields it does not know are not looked at; a field given as null counts as not given, except `data`.
///
/// # Errors
/// See [`DecodeError`]: what is no object of bounded size and depth closes the connection, an unknown type or
/// a bad, missing, oversized or repeated field is refused as `bad_request`, and a token that is no such as `unauthorized`.
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Result<ClientMessage<'a>, DecodeError> {
    if text.len() > limits.message_bytes {
        return Err(DecodeError::Violation(Violation::too_large("message is too long")));
    }
    json::check(text, limits.json_depth).map_err(DecodeError::Violation)?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(DecodeError::Violation(Violation::protocol("message is no object")));
    }
    let [kind, id] = pick(text, ["type", "id"]).map_err(|bad| refused(None, bad))?;
    let id = id.number().map_err(|bad| refused(None, bad))?;
    read(text, kind, id, limits).map_err(|bad| refused(id, bad))
}

fn read<'a>(
    text: &'a str,
    kind: Field<'a>,
    id: Option<u64>,
    limits: &Limits,
) -> Result<ClientMessage<'a>, BadField> {
    let name = json::string(kind.required()?).ok_or(kind.bad("must be a string"))?;
    if let Some(generic) = generic(&name, text, id, limits)? {
        return Ok(generic);
    }
    Ok(match name.as_ref() {
        "auth" => ClientMessage::Auth(AuthBody::parse(text)?),
        "command" => command(text, id, limits)?,
        "heartbeat" => ClientMessage::Heartbeat,
        "ack" => {
            let [message_id] = pick(text, ["messageId"])?;
            ClientMessage::Ack { message_id: message_id.name(limits.key_bytes)? }
        }
        _ => return Err(kind.bad("is unknown")),
    })
}

/// A generic command, if it is one of that name.
fn generic<'a>(
    name: &str,
    body: &'a str,
    id: Option<u64>,
    limits: &Limits,
) -> Result<Option<ClientMessage<'a>>, BadField> {
    Ok(Some(match name {
        "subscribe" => ClientMessage::Subscribe { id, body: SubscribeBody::parse(body, limits)? },
        "unsubscribe" => ClientMessage::Unsubscribe { id, body: RoomBody::parse(body, limits)? },
        "publish" => ClientMessage::Publish { id, body: PublishBody::parse(body, limits)? },
        "history" => ClientMessage::History { id, body: HistoryBody::parse(body, limits)? },
        "presence" => ClientMessage::Presence { id, body: PresenceBody::parse(body, limits)? },
        "presence:set" => ClientMessage::PresenceSet { id, body: PresenceSetBody::parse(body)? },
        "ping" => ClientMessage::Ping { id },
        _ => return Ok(None),
    }))
}

/// A command of an app; one of `/` that is generic is the same as if it were flat.
fn command<'a>(text: &'a str, id: Option<u64>, limits: &Limits) -> Result<ClientMessage<'a>, BadField> {
    let [ns, name, data, key] = pick(text, ["ns", "name", "data", "key"])?;
    let namespace = ns.optional_name(limits.room_name_bytes)?.unwrap_or(Cow::Borrowed("/"));
    if !namespace.starts_with('/') {
        return Err(ns.bad("must start with a slash"));
    }
    let name = name.name(limits.event_name_bytes)?;
    let beside = key.optional_name(limits.key_bytes)?;
    let body = data.raw().filter(|data| *data != "null").unwrap_or("{}");
    if namespace == "/"
        && let Some(mut generic) = generic(&name, body, id, limits)?
    {
        if let (ClientMessage::Publish { body, .. }, Some(beside)) = (&mut generic, beside)
            && *body.key.get_or_insert_with(|| beside.clone()) != beside
        {
            return Err(key.bad("is another than that of the data"));
        }
        return Ok(generic);
    }
    let key = beside;
    Ok(ClientMessage::Command { id, namespace, name, data: data.raw().unwrap_or("null"), key })
}

fn refused(id: Option<u64>, bad: BadField) -> DecodeError {
    DecodeError::Refused { id, code: bad.code(), message: Cow::Owned(bad.to_string()) }
}
