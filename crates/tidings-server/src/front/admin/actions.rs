//! What administrators do: send clients out of rooms and end connections. Each is noted.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_core::{Code, Identity, Org, Refusal};

use super::{TEXT, administrator, room_of};
use crate::admin::ask::act;
use crate::admin::sight::Sight;
use crate::audit::{Action, Entry, Outcome};
use crate::front::body::{Received, bad, read, received, told};
use crate::front::{Remote, signed_in};
use crate::ids::SocketId;
use crate::live::Live;
use crate::object::Object;
use crate::shard::sent_out::{Deed, Whom, Whose};
use crate::shared::Shared;

/// A part of a path, percent-decoded.
type Named = Result<Path<String>, PathRejection>;

/// What a body says; each action takes a part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    user_id: Option<String>,
    socket_id: Option<String>,
    org: Option<String>,
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
    async fn begin(
        shared: Arc<Shared>,
        remote: Remote,
        headers: &HeaderMap,
        body: &Received,
        action: Action,
    ) -> Result<Self, Refusal> {
        let (who, sight) = match administrator(&shared, headers).await {
            Ok(found) => found,
            Err(refusal) => {
                // Somebody it is who may not; of a token that is wrong everything is said already.
                if refusal.code != Code::Unauthorized
                    && let Ok(who) = signed_in(&shared, headers).await
                {
                    let entry = Entry::refused(action).by_identity(&who).from(remote.0);
                    shared.audit.note(entry.because(refusal.code.as_str()));
                }
                return Err(refusal);
            }
        };
        let wanted = wanted(headers, body)?;
        let org = organisation(&who, sight, wanted.org.as_deref())?;
        Ok(Self { shared, remote, action, who, org, wanted })
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
    read(headers, body).map(|Object(wanted)| wanted)
}

fn organisation(who: &Identity, sight: Sight, named: Option<&str>) -> Result<Org, Refusal> {
    if named.is_some_and(|org| org.is_empty() || org.len() > TEXT) {
        return Err(bad("org: is empty or too long"));
    }
    sight.acts_in(who, named)
}

/// `POST /api/admin/rooms/{room}/kick`
pub(super) async fn kick(
    State(shared): State<Arc<Shared>>,
    room: Named,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let kicked = async {
        let acting = Acting::begin(shared, remote, &headers, &body, Action::RoomKick).await?;
        let room = room_of(&acting.shared, &acting.org, &named(room, "the room's name is not UTF-8")?)?;
        let wanted = &acting.wanted;
        let whom = match (&wanted.user_id, &wanted.socket_id) {
            (Some(user), None) => Whom::User(id(user, "userId: is empty or too long")?.into()),
            (None, Some(socket)) => Whom::Socket(socket_id(socket)?),
            _ => return Err(bad("exactly one of userId and socketId is needed")),
        };
        let whose = Whose { org: acting.org.clone(), namespace: None, whom };
        let left = act(&acting.shared, &whose, &Deed::Leave(room.clone())).await;
        let one = wanted.user_id.as_deref().map(|user| format!("user {user}"));
        acting.note(&format!("{} from {}", one.as_deref().unwrap_or("a socket"), room.name()), &left);
        match left? {
            0 => Err(Refusal::new(Code::NotFound, "nobody of that kind is in such a room")),
            left => Ok(json!({ "ok": true, "left": left })),
        }
    };
    told(kicked.await)
}

/// `POST /api/admin/sockets/{id}/disconnect`
pub(super) async fn disconnect_socket(
    State(shared): State<Arc<Shared>>,
    socket: Named,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let ended = async {
        let acting = Acting::begin(shared, remote, &headers, &body, Action::Disconnect).await?;
        nobody_named(&acting.wanted)?;
        let whom = Whom::Socket(socket_id(&named(socket, "the socket's id is not UTF-8")?)?);
        let whose = Whose { org: acting.org.clone(), namespace: None, whom };
        let ended = act(&acting.shared, &whose, &Deed::Close).await;
        acting.note("a socket", &ended);
        match ended? {
            0 => Err(Refusal::new(Code::NotFound, "there is no such socket")),
            ended => Ok(disconnected(ended)),
        }
    };
    told(ended.await)
}

/// `POST /api/admin/users/{id}/disconnect`
pub(super) async fn disconnect_user(
    State(shared): State<Arc<Shared>>,
    user: Named,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Received,
) -> Response<Body> {
    let ended = async {
        let acting = Acting::begin(shared, remote, &headers, &body, Action::Disconnect).await?;
        nobody_named(&acting.wanted)?;
        let user = named(user, "the user's id is not UTF-8")?;
        let user = id(&user, "the user's id is empty or too long")?;
        let ended = Live::new(acting.shared.clone()).kick(&acting.org, user).await;
        acting.note(&format!("user {user}"), &ended);
        Ok(disconnected(ended?))
    };
    told(ended.await)
}

fn disconnected(count: usize) -> Value {
    json!({ "ok": true, "disconnected": count })
}

/// The path says whom.
fn nobody_named(wanted: &Wanted) -> Result<(), Refusal> {
    match (&wanted.user_id, &wanted.socket_id) {
        (None, None) => Ok(()),
        _ => Err(bad("the path says whose connection ends; the body may name an org")),
    }
}

fn named(part: Named, wrong: &str) -> Result<String, Refusal> {
    part.map(|Path(part)| part).map_err(|_| bad(wrong))
}

fn id<'a>(text: &'a str, wrong: &str) -> Result<&'a str, Refusal> {
    if text.is_empty() || text.len() > TEXT { Err(bad(wrong)) } else { Ok(text) }
}

fn socket_id(text: &str) -> Result<SocketId, Refusal> {
    text.as_bytes().try_into().map_err(|_| bad("this is no id of a socket"))
}
