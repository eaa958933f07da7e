//! The generic commands by HTTP, at `/api/commands/root/…`: each is answered as its acknowledgement is, by what the other
//! doors do.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tidings_core::presence::Change;
use tidings_core::{Refusal, Room};
use tidings_wire::plain::{BadField, HistoryBody, PresenceBody, PresenceSetBody};

use super::apps::{data, who};
use super::body::{Received, Unread, bad};
use super::rooms::{HISTORY_DEFAULT, HISTORY_MOST, may_see};
use super::to_the_end::once_begun;
use super::{ByServer, Remote, publish, refuse, respond};
use crate::hooks::Caller;
use crate::presence::{self, seen_user, wanted, write_wishes};
use crate::shard::position;
use crate::shared::Shared;

/// A command of the engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generic {
    Ping,
    Publish,
    History,
    Presence,
    PresenceSet,
    /// One of those that are about a connection.
    OfConnection,
}

impl Generic {
    /// What is said under a name in the namespace `/`, if it is no app's.
    pub(super) fn named(namespace: &str, name: &str) -> Option<Self> {
        match name {
            _ if namespace != "/" => None,
            "ping" => Some(Self::Ping),
            "publish" => Some(Self::Publish),
            "history" => Some(Self::History),
            "presence" => Some(Self::Presence),
            "presence:set" => Some(Self::PresenceSet),
            "subscribe" | "unsubscribe" | "auth" => Some(Self::OfConnection),
            _ => None,
        }
    }

    /// The scope an API key needs for it, if it needs one.
    fn scope(self) -> Option<&'static str> {
        match self {
            Self::Ping | Self::OfConnection => None,
            Self::History | Self::Presence => Some("read"),
            Self::Publish | Self::PresenceSet => Some("publish"),
        }
    }

    /// Whether it comes out of the budget of publishes; the others are requests of their address, as every read is.
    fn is_publish(self) -> bool {
        matches!(self, Self::Publish | Self::PresenceSet)
    }

    /// Answers it.
    pub(super) async fn answer(
        self,
        shared: Arc<Shared>,
        remote: Remote,
        headers: HeaderMap,
        body: Unread,
    ) -> Response<Body> {
        let work = async move {
            let who = match who(&shared, &headers, self.scope()).await {
                Ok(who) => who,
                Err(refusal) => return body.refused(&refusal),
            };
            let body = body.receive().await;
            let done = match shared.still_good(&who) {
                Ok(()) => self.done(&shared, &remote.caller(&who), &headers, &body).await,
                Err(refusal) => Err(refusal),
            };
            let mut response = told(done);
            if who.has_server_scope() && self.is_publish() {
                response.extensions_mut().insert(ByServer);
            }
            response
        };
        // A publish that was stored has receipts to wait for.
        if self == Self::Publish { once_begun(work).await } else { work.await }
    }

    async fn done(
        self,
        shared: &Arc<Shared>,
        caller: &Caller<'_>,
        headers: &HeaderMap,
        body: &Received,
    ) -> Result<Vec<u8>, Refusal> {
        let (data, limits) = (data(shared, headers, body)?, &shared.settings.limits);
        let data = if data.trim().is_empty() { "{}" } else { data };
        let room = |name: &str| {
            let room = Room::new(&caller.who.org, name, limits.room_name_bytes);
            room.map_err(|error| bad(&error.to_string()))
        };
        match self {
            Self::Ping => Ok(b"{\"ok\":true}".to_vec()),
            Self::Publish => publish::by_command(shared, caller, headers, data).await,
            Self::History => {
                let HistoryBody { room: name, since, limit } =
                    HistoryBody::parse(data, limits).map_err(wrong)?;
                shared.gate.may_read_back()?;
                let limit = limit.map_or(HISTORY_DEFAULT, |limit| (limit as usize).min(HISTORY_MOST));
                shared.history(caller, &room(&name)?, since.as_ref().map(position), limit).await
            }
            Self::Presence => {
                let PresenceBody { room: name, page } = PresenceBody::parse(data, limits).map_err(wrong)?;
                let room = room(&name)?;
                may_see(shared, caller, &room).await?;
                Ok(presence::answer(shared, caller.who, &room, page.unwrap_or(0) as usize).await)
            }
            Self::PresenceSet => set(shared, caller, &PresenceSetBody::parse(data).map_err(wrong)?),
            Self::OfConnection => Err(bad("this command needs a connection")),
        }
    }
}

/// Sets what others are to see of a user, which nobody can say of a device here.
fn set(shared: &Arc<Shared>, caller: &Caller<'_>, body: &PresenceSetBody<'_>) -> Result<Vec<u8>, Refusal> {
    let (user, change) = (seen_user(caller.who)?, wanted(body)?);
    if body.active.is_some() {
        return Err(bad("active: this needs a connection"));
    }
    let now_ms = shared.uptime_ms();
    let wishes = if change == Change::default() {
        shared.node.presence().wishes(&user, now_ms)
    } else {
        shared.gate.publish_by_request(caller.who, None, caller.address)?;
        presence::set(shared, (caller.who, &user), change, now_ms)?
    };
    let mut out = b"{\"ok\":true".to_vec();
    write_wishes(&mut out, &wishes, now_ms);
    out.push(b'}');
    Ok(out)
}

fn wrong(bad_field: BadField) -> Refusal {
    bad(&bad_field.to_string())
}

fn told(result: Result<Vec<u8>, Refusal>) -> Response<Body> {
    let body = match result {
        Ok(body) => body,
        Err(refusal) => return refuse(&refusal),
    };
    let mut response = respond(StatusCode::OK, "application/json", body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
