//! What the backend is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::value::RawValue;
use tidings_core::{Action, ConnKey, Identity, Room};

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Come in.
    Connect,
    /// Do something with a room.
    Room(Action),
}

impl Purpose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Room(action) => action.as_str(),
        }
    }
}

/// By which door it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Entrance {
    /// Socket.IO.
    SocketIo,
    /// The plain protocol.
    Plain,
    /// The HTTP API.
    Http,
}

/// Who asks for something, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) who: &'a Identity,
    /// Its connection, if it has one.
    pub(crate) connection: Option<(usize, ConnKey)>,
    /// The address it came from.
    pub(crate) address: IpAddr,
    pub(crate) entrance: Entrance,
}

/// What is told of an event that is about to be published.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Draft<'a> {
    /// Its name; empty where nothing is published.
    pub(crate) event: &'a str,
    /// Its data as JSON.
    pub(crate) data: &'a str,
}

/// A question, as its JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    action: &'static str,
    org: &'a str,
    user: Option<&'a str>,
    name: Option<&'a str>,
    roles: Vec<&'a str>,
    scopes: Vec<&'a str>,
    email_verified: bool,
    claims: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    connection: Connection<'a>,
}

#[derive(Serialize)]
struct Connection<'a> {
    address: IpAddr,
    door: Entrance,
    /// Tells the connections of clients without a token apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// Writes a question; tokens are never part of it, data only if `draft` has it.
pub(super) fn write(
    purpose: Purpose,
    caller: &Caller<'_>,
    namespace: Option<&str>,
    room: Option<&Room>,
    draft: Draft<'_>,
) -> Result<String, serde_json::Error> {
    let who = caller.who;
    // A client without a token is told from others, or equal questions of two would be one.
    let id = match (&who.user, caller.connection) {
        (None, Some((shard, key))) => Some(format!("{shard}-{}-{}", key.slot, key.generation)),
        _ => None,
    };
    serde_json::to_string(&Question {
        action: purpose.as_str(),
        org: who.org.as_str(),
        user: who.user.as_deref(),
        name: who.name.as_deref(),
        roles: who.roles.iter().map(AsRef::as_ref).collect(),
        scopes: who.scopes.iter().map(AsRef::as_ref).collect(),
        email_verified: who.email_verified,
        claims: who.claims.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        namespace,
        room: room.map(Room::name),
        kind: room.map(Room::kind),
        event: Some(draft.event).filter(|event| !event.is_empty()),
        data: Some(draft.data).filter(|data| !data.is_empty()).map(serde_json::from_str).transpose()?,
        connection: Connection { address: caller.address, door: caller.entrance, id: id.as_deref() },
    })
}
