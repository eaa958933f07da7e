//! What administrators do: send clients out of rooms and end connections. Each is noted.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::ExtensionRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Response};
use axum::{Extension, RequestExt as _};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_core::{Code, Identity, Org, Refusal};

use super::{TEXT, administrator, room_of};
use crate::admin::ask::act;
use crate::admin::sight::Sight;
use crate::audit::{Action, Entry, Outcome};
use crate::front::body::{Received, bad, read, received, told};
use crate::front::named::Named;
use crate::front::{Remote, signed_in};
use crate::ids::SocketId;
use crate::live::Live;
use crate::shard::sent_out::{Deed, Whom, Whose};
use crate::shared::Shared;

/// What a body says; each action takes a part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    user_id: Option<String>,
    socket_id: Option<String>,
    org: Option<String>,
}

/// What was asked, and from where.
pub(super) struct Asked {
    shared: Arc<Shared>,
    remote: Remote,
    headers: HeaderMap,
    body: Received,
}

impl FromRequest<Arc<Shared>> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request(mut request: Request, shared: &Arc<Shared>) -> Result<Self, ExtensionRejection> {
        let Extension(remote) = request.extract_parts().await?;
        let headers = request.headers().clone();
        let body = Bytes::from_request(request, shared).await;
        Ok(Self { shared: shared.clone(), remote, headers, body })
    }
}

/// An action under way: who acts, and on what.
struct Acting {
    shared: Arc<Shared>,
    remote: Remote,
    action: Action,
    who: Identity,
    org: Org,
    wanted: Wanted,
}

impl Acting {
    /// Lets administrators through; of others it is noted that they tried.
    async fn begin(asked: Asked, action: Action) -> Result<Self, Refusal> {
        let Asked { shared, remote, headers, body } = asked;
        let (who, sight) = match administrator(&shared, &headers).await {
            Ok(found) => found,
            Err(refusal) => {
                // Somebody it is who may not; of a token that is wrong everything is said already.
                if refusal.code != Code::Unauthorized
                    && let Ok(who) = signed_in(&shared, &headers).await
                {
                    let entry = Entry::refused(action).by_identity(&who).from(remote.0);
                    shared.audit.note(entry.because(refusal.code.as_str()));
                }
                return Err(refusal);
            }
        };
        let wanted = wanted(&headers, &body)?;
        let org = organisation(&who, sight, wanted.org.as_deref())?;
        Ok(Self { shared, remote, action, who, org, wanted })
    }

    /// The same where the path says whom.
    async fn begin_on_path(asked: Asked, action: Action) -> Result<Self, Refusal> {
        let acting = Self::begin(asked, action).await?;
        match (&acting.wanted.user_id, &acting.wanted.socket_id) {
            (None, None) => Ok(acting),
            _ => Err(bad("the path says whose connection ends; the body may name an org")),
        }
    }

    /// Does something to clients of the organisation, and notes it; how many they were.
    async fn act(&self, whom: Whom, deed: &Deed, object: &str) -> Result<usize, Refusal> {
        let whose = Whose { org: self.org.clone(), namespace: None, whom };
        let done = act(&self.shared, &whose, deed).await;
        self.note(object, &done);
        done
    }

    /// Notes what came of it, where the organisation's administrators read of it.
    fn note<T>(&self, object: &str, result: &Result<usize, T>) {
        let outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Failed };
        let object: String = object.chars().take(TEXT).collect();
        let entry = Entry::new(self.action, outcome).by_identity(&self.who).from(self.remote.0);
        let count = result.as_ref().map_or(0, |count| *count);
        self.shared.audit.note(entry.of(&self.org).on(object).with(format!("{{\"connections\":{count}}}")));
    }
}

fn wanted(headers: &HeaderMap, body: &Received) -> Result<Wanted, Refusal> {
    if received(body)?.is_empty() {
        return Ok(Wanted::default());
    }
    read(headers, body)
}

fn organisation(who: &Identity, sight: Sight, named: Option<&str>) -> Result<Org, Refusal> {
    if named.is_some_and(|org| org.is_empty() || org.len() > TEXT) {
        return Err(bad("org: is empty or too long"));
    }
    sight.acts_in(who, named)
}

/// `POST /api/admin/rooms/{room}/kick`
pub(super) async fn kick(room: Named, asked: Asked) -> Response<Body> {
    told(kicked(room, asked).await)
}

async fn kicked(room: Named, asked: Asked) -> Result<Value, Refusal> {
    let acting = Acting::begin(asked, Action::RoomKick).await?;
    let room = room_of(&acting.shared, &acting.org, &room.known(|| bad("the room's name is not UTF-8"))?)?;
    let (whom, one) = match (&acting.wanted.user_id, &acting.wanted.socket_id) {
        (Some(user), None) => {
            (Whom::User(id(user, "userId: is empty or too long")?.into()), format!("user {user}"))
        }
        (None, Some(socket)) => (Whom::Socket(socket_id(socket)?), "a socket".into()),
        _ => return Err(bad("exactly one of userId and socketId is needed")),
    };
    let object = format!("{one} from {}", room.name());
    match acting.act(whom, &Deed::Leave(room), &object).await? {
        0 => Err(Refusal::new(Code::NotFound, "nobody of that kind is in such a room")),
        left => Ok(json!({ "ok": true, "left": left })),
    }
}

/// `POST /api/admin/sockets/{id}/disconnect`
pub(super) async fn disconnect_socket(socket: Named, asked: Asked) -> Response<Body> {
    told(socket_ended(socket, asked).await)
}

async fn socket_ended(socket: Named, asked: Asked) -> Result<Value, Refusal> {
    let acting = Acting::begin_on_path(asked, Action::Disconnect).await?;
    let whom = Whom::Socket(socket_id(&socket.known(|| bad("the socket's id is not UTF-8"))?)?);
    match acting.act(whom, &Deed::Close, "a socket").await? {
        0 => Err(Refusal::new(Code::NotFound, "there is no such socket")),
        ended => Ok(disconnected(ended)),
    }
}

/// `POST /api/admin/users/{id}/disconnect`
pub(super) async fn disconnect_user(user: Named, asked: Asked) -> Response<Body> {
    told(user_ended(user, asked).await)
}

async fn user_ended(user: Named, asked: Asked) -> Result<Value, Refusal> {
    let acting = Acting::begin_on_path(asked, Action::Disconnect).await?;
    let user = user.known(|| bad("the user's id is not UTF-8"))?;
    let user = id(&user, "the user's id is empty or too long")?;
    let ended = Live::new(acting.shared.clone()).kick(&acting.org, user).await;
    acting.note(&format!("user {user}"), &ended);
    Ok(disconnected(ended?))
}

fn disconnected(count: usize) -> Value {
    json!({ "ok": true, "disconnected": count })
}

fn id<'a>(text: &'a str, wrong: &str) -> Result<&'a str, Refusal> {
    if text.is_empty() || text.len() > TEXT { Err(bad(wrong)) } else { Ok(text) }
}

fn socket_id(text: &str) -> Result<SocketId, Refusal> {
    text.as_bytes().try_into().map_err(|_| bad("this is no id of a socket"))
}
