//! `/api/admin`: what administrators see of the running server, and do to what is connected to it.

mod actions;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use serde_json::Value;
use tidings_core::{Identity, Org, Refusal, Room, UserKey};
use tidings_wire::engineio::Query;

use super::body::{at_most, bad, signed_in_first, told};
use super::signed_in;
use super::to_the_end::to_the_end;
use crate::admin::lists::{self, PAGE_DEFAULT, PAGE_MOST, RoomsWanted, UsersWanted, parse_place};
use crate::admin::overview;
use crate::admin::sight::{Sight, sees_figures};
use crate::admin::usage;
use crate::shard::listed::SocketsWanted;
use crate::shared::Shared;

/// Rooms of a client that are named; of the others the number is told.
const NAMES: usize = 20;

/// Bytes of a request.
const BODY: usize = 4_096;

/// Bytes of an id, of an organisation's name and of what is searched for.
const TEXT: usize = 200;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/api/admin/overview", get(overview))
        .route("/api/admin/usage", get(usage))
        .route("/api/admin/rooms", get(rooms))
        .route("/api/admin/rooms/{room}/kick", post(|name, asked| to_the_end(actions::kick(name, asked))))
        .route("/api/admin/sockets", get(sockets))
        .route(
            "/api/admin/sockets/{id}/disconnect",
            post(|name, asked| to_the_end(actions::disconnect_socket(name, asked))),
        )
        .route("/api/admin/users", get(users))
        .route(
            "/api/admin/users/{id}/disconnect",
            post(|name, asked| to_the_end(actions::disconnect_user(name, asked))),
        )
        .layer(from_fn_with_state(shared.clone(), signed_in_first));
    at_most(BODY, routes).with_state(shared)
}

/// An administrator, and what it sees.
async fn administrator(shared: &Shared, headers: &HeaderMap) -> Result<(Identity, Sight), Refusal> {
    let who = signed_in(shared, headers).await?;
    let sight = Sight::of(&who)?;
    Ok((who, sight))
}

async fn overview(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response<Body> {
    let asked = async {
        let (who, _) = administrator(&shared, &headers).await?;
        if sees_figures(&who) {
            return overview::of_server(&shared, &shared.admin).await;
        }
        overview::of_organisation(&shared, &shared.admin, &who.org).await
    };
    told(asked.await)
}

/// `?org=`
async fn usage(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let asked = async {
        let (who, sight) = administrator(&shared, &headers).await?;
        let asked = Asked::read(query.as_deref().unwrap_or(""))?;
        let org = asked.text("org")?;
        // Of one organisation nothing is told that counts what others do.
        let figures = org.is_none() && sees_figures(&who);
        usage::answer(&shared, &sight.narrowed(org)?, figures).await
    };
    told(asked.await)
}

/// `?limit=&after=&q=&kind=&org=`
async fn rooms(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    told(list_rooms(&shared, &headers, query.as_deref().unwrap_or("")).await)
}

async fn list_rooms(shared: &Shared, headers: &HeaderMap, query: &str) -> Result<Value, Refusal> {
    let (_, sight) = administrator(shared, headers).await?;
    let asked = Asked::read(query)?;
    let wanted = RoomsWanted {
        sight: sight.narrowed(asked.text("org")?)?,
        part: asked.text("q")?.unwrap_or_default().to_lowercase(),
        kind: asked.text("kind")?.map(str::to_owned),
        after: asked.place()?,
        limit: asked.limit()?,
    };
    lists::rooms(shared, &wanted).await
}

/// `?limit=&after=&user=&room=&namespace=&org=`
async fn sockets(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    told(list_sockets(&shared, &headers, query.as_deref().unwrap_or("")).await)
}

async fn list_sockets(shared: &Shared, headers: &HeaderMap, query: &str) -> Result<Value, Refusal> {
    let (who, sight) = administrator(shared, headers).await?;
    let asked = Asked::read(query)?;
    let sight = sight.narrowed(asked.text("org")?)?;
    let room = match asked.value("room") {
        // A room is of one organisation: of several the asker's own is meant.
        Some(name) => Some(room_of(shared, &sight.clone().acts_in(&who, None)?, name)?),
        None => None,
    };
    let namespace = asked.text("namespace")?.map(|name| {
        let index = shared.settings.namespaces.iter().position(|known| known == name);
        index
            .and_then(|index| u8::try_from(index).ok())
            .ok_or_else(|| bad("namespace: there is none of this name"))
    });
    let (shard, from) = asked.cursor()?;
    let wanted = SocketsWanted {
        sight,
        user: asked.text("user")?.map(Into::into),
        room,
        namespace: namespace.transpose()?,
        limit: asked.limit()?,
        names: NAMES,
        from,
    };
    lists::sockets(shared, &wanted, shard).await
}

/// `?limit=&after=&q=&org=`
async fn users(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    told(list_users(&shared, &headers, query.as_deref().unwrap_or("")).await)
}

async fn list_users(shared: &Shared, headers: &HeaderMap, query: &str) -> Result<Value, Refusal> {
    let (_, sight) = administrator(shared, headers).await?;
    let asked = Asked::read(query)?;
    let wanted = UsersWanted {
        sight: sight.narrowed(asked.text("org")?)?,
        part: asked.text("q")?.unwrap_or_default().to_lowercase(),
        after: asked.place()?.map(|(org, user)| UserKey::new(&Org::new(&org), &user)),
        limit: asked.limit()?,
    };
    lists::users(shared, &wanted).await
}

fn room_of(shared: &Shared, org: &Org, name: &str) -> Result<Room, Refusal> {
    let most = shared.settings.limits.room_name_bytes;
    Room::new(org, name, most).map_err(|error| bad(&format!("room: {error}")))
}

/// What the query of a list asks for.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn read(query: &str) -> Result<Self, Refusal> {
        let query = Query::parse(query).map_err(|_| bad("too many parameters"))?;
        Ok(Self(query.pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()))
    }

    fn value(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// A text that is not too long to be looked for; an empty one is none.
    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.value(name).filter(|text| !text.is_empty()) {
            Some(text) if text.len() > TEXT => Err(bad(&format!("{name}: is too long"))),
            text => Ok(text),
        }
    }

    fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.value("limit") else { return Ok(PAGE_DEFAULT) };
        let wrong = || bad(&format!("limit: is no number from 1 to {PAGE_MOST}"));
        text.parse().ok().filter(|limit| (1..=PAGE_MOST).contains(limit)).ok_or_else(wrong)
    }

    /// Behind which organisation and name to go on.
    fn place(&self) -> Result<Option<(String, String)>, Refusal> {
        let Some(text) = self.value("after").filter(|text| !text.is_empty()) else { return Ok(None) };
        parse_place(text).map(Some).ok_or_else(|| bad("after: is not what a page before said"))
    }

    /// At which shard and slot to go on.
    fn cursor(&self) -> Result<(usize, usize), Refusal> {
        let Some(text) = self.value("after").filter(|text| !text.is_empty()) else { return Ok((0, 0)) };
        let parts = text.split_once('.').and_then(|(shard, slot)| {
            let slot: u32 = slot.parse().ok()?;
            Some((shard.parse::<u8>().ok()?.into(), slot as usize))
        });
        parts.ok_or_else(|| bad("after: is not what a page before said"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_no_place_no_number_and_too_long_is_refused() {
        let asked = |query: &str| Asked::read(query).unwrap();
        assert_eq!(asked("").limit().unwrap(), PAGE_DEFAULT);
        assert_eq!(asked("limit=100").limit().unwrap(), 100);
        for wrong in ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1e2"] {
            assert!(asked(wrong).limit().is_err(), "{wrong}");
        }
        assert_eq!(asked("after=").cursor().unwrap(), (0, 0));
        assert_eq!(asked("after=3.70000").cursor().unwrap(), (3, 70_000));
        for wrong in ["3", "3.", ".1", "-1.0", "300.1", "0.5000000000", "0.1.2", "a.b"] {
            assert!(asked(&format!("after={wrong}")).cursor().is_err(), "{wrong}");
        }
        let place = asked("after=%5B%22acme%22%2C%22lobby%3A1%22%5D").place().unwrap();
        assert_eq!(place, Some(("acme".into(), "lobby:1".into())));
        for wrong in ["x", "[1,2]", "[\"a\"]", "[\"a\",\"b\",\"c\"]", "{}"] {
            assert!(asked(&format!("after={wrong}")).place().is_err(), "{wrong}");
        }
        assert!(asked(&format!("q={}", "x".repeat(TEXT + 1))).text("q").is_err());
        assert_eq!(asked("q=").text("q").unwrap(), None);
    }
}
