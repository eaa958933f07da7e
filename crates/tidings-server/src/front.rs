//! The front: HTTP, handshakes, and everything that may wait.

mod accept;
mod admin;
mod apps;
mod audit;
mod auth;
pub(crate) mod bearer;
mod body;
mod budget;
mod console;
mod dead_letters;
mod deliveries;
mod direct;
mod etag;
mod explain;
mod framing;
mod generic;
mod headers;
mod health;
pub(crate) mod hello;
mod metrics;
mod named;
mod origin;
mod page;
pub(crate) mod paths;
mod proxies;
mod publish;
mod replay;
mod revocations;
mod rooms;
mod serve;
mod sessions;
mod socketio;
mod to_the_end;
mod upgrade;
mod whereabouts;

pub(crate) use accept::Accepting;
pub(crate) use proxies::Proxies;
pub(crate) use serve::{Door, Purpose};

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tidings_core::{Code, Identity, Refusal};

use crate::accounts::LEAST_SAFE;
use crate::audit::request::{self, RequestIds};
use crate::gate::{Gate, Limit};
use crate::hooks::{Caller, Entrance};
use crate::shared::Shared;
use crate::signin::api_key::MARK;
use origin::Origins;

/// What every listener's requests are answered with.
pub(crate) struct Front {
    pub(crate) shared: Arc<Shared>,
    pub(crate) origins: Origins,
    pub(crate) proxies: Proxies,
    request_ids: RequestIds,
    /// Apps with routes of their own, which are below `/api/` and their name.
    apps: Vec<&'static str>,
    public: Router,
    admin: Router,
    pub(crate) tests: TestDoors,
}

/// Where administrators come in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Administration {
    /// They have a listener of their own; what is theirs does not exist elsewhere.
    pub(crate) apart: bool,
    /// `/metrics` is for operators alone.
    pub(crate) guarded: bool,
}

/// The address a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub(crate) IpAddr);

impl Remote {
    /// Who asks by the HTTP API.
    pub(crate) fn caller(self, who: &Identity) -> Caller<'_> {
        Caller { who, connection: None, address: self.0, entrance: Entrance::Http }
    }
}

/// What only conformance suites need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestDoors {
    /// Raw engine and echo endpoints exist.
    pub(crate) open: bool,
    /// Socket.IO handshakes are answered so much later.
    pub(crate) handshake_delay: Duration,
}

impl Front {
    pub(crate) fn new(
        shared: Arc<Shared>,
        origins: Origins,
        proxies: Proxies,
        administration: Administration,
        tests: TestDoors,
        apps: Vec<(&'static str, Router)>,
    ) -> Arc<Self> {
        let names = apps.iter().map(|(name, _)| *name).collect();
        let clients = for_clients(&shared).merge(apps::routes(&shared, apps));
        let admin = clients.clone().merge(for_administrators(&shared, administration.guarded, &origins));
        let admin = admin.fallback(async |request| nothing_here(&request, "/"));
        let public = if administration.apart { clients } else { admin.clone() };
        let request_ids = RequestIds::default();
        Arc::new(Self { shared, origins, proxies, request_ids, apps: names, public, admin, tests })
    }

    /// Whether what a server asks for there is counted by its own budget ([`ByServer`]).
    fn counts_itself(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix("/api/") else { return false };
        let first = path.split('/').next().unwrap_or_default();
        matches!(first, "publish" | "commands") || self.apps.contains(&first)
    }

    /// What a listener's requests are answered by.
    fn routes(&self, purpose: Purpose) -> &Router {
        match purpose {
            Purpose::Admin => &self.admin,
            Purpose::Public | Purpose::Plain => &self.public,
        }
    }
}

fn for_clients(shared: &Arc<Shared>) -> Router {
    let least = shared.accounts.as_ref().map_or(LEAST_SAFE, |accounts| accounts.rules.password_least);
    let sends_mail = shared.accounts.as_ref().is_none_or(|accounts| accounts.sends_mail);
    Router::new()
        .merge(health::routes(shared.clone()))
        .merge(publish::routes(shared.clone()))
        .merge(auth::routes(shared.clone()))
        .merge(rooms::routes(shared.clone()))
        .merge(whereabouts::routes(shared.clone()))
        .merge(deliveries::routes(shared.clone()))
        .merge(explain::routes(shared.clone()))
        .merge(sessions::own_routes(shared.clone()))
        .merge(page::account(least, sends_mail))
        .fallback(async |request| nothing_here(&request, "/account"))
}

/// What has a listener of its own with `--admin-listen`.
fn for_administrators(shared: &Arc<Shared>, guards_metrics: bool, origins: &Origins) -> Router {
    Router::new()
        .merge(metrics::routes(shared.clone(), guards_metrics, origins.clone()))
        .merge(auth::administration(shared.clone()))
        .merge(sessions::routes(shared.clone()))
        .merge(revocations::routes(shared.clone()))
        .merge(audit::routes(shared.clone()))
        .merge(admin::routes(shared.clone()))
        .merge(dead_letters::routes(shared.clone()))
        .merge(page::host())
}

/// Programs are told in JSON, people by a page with a way on.
fn nothing_here(request: &Request, way: &str) -> Response<Body> {
    let refused = refuse(&Refusal::new(Code::NotFound, "there is nothing at this path"));
    let path = request.uri().path();
    let is_api = path == "/api" || path.starts_with("/api/");
    if is_api || !page::shows_pages(request.headers()) {
        return refused;
    }
    let mut response = page::nothing(way);
    *response.status_mut() = refused.status();
    // It counts as the same refusal.
    response.extensions_mut().extend(refused.into_parts().0.extensions);
    response
}

pub(crate) use origin::Origins as AllowedOrigins;

/// A response with a body and its type.
pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Who asks: by the token of the `Authorization` header, or by an API key there or in `X-API-Key`. What is
/// wrong is noted, and counted for the address of the request that is being answered.
pub(crate) async fn signed_in(shared: &Shared, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let unauthorized = |text| Refusal::new(Code::Unauthorized, text);
    let shown = headers.get("x-api-key").map(|key| key.to_str().unwrap_or_default());
    let bearer = hello::bearer(headers);
    match (shown, bearer) {
        // Which of the two would count is nothing to guess about.
        (Some(_), Some(_)) => Err(unauthorized("a token and a key are too much; one is needed")),
        (Some(key), None) => shared.by_key(key, request::address()).await,
        (None, Some(key)) if key.starts_with(MARK) => shared.by_key(key, request::address()).await,
        (None, Some(token)) => shared.judge_on_front(token, request::address()).await,
        (None, None) => Err(unauthorized("a token is needed")),
    }
}

/// With what an answer refuses, for those who count it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused(pub(crate) Code);

/// An answer to a server's publish, which is counted by what it publishes and not as a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByServer;

/// With which limit of count a handshake is refused; noted once it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limited(pub(crate) Limit);

/// Refuses a handshake for which there is no place.
pub(crate) fn turned_away(limit: Limit) -> Response<Body> {
    let mut response = refuse(&Gate::too_many(limit));
    response.extensions_mut().insert(Limited(limit));
    response
}

/// A refusal as an HTTP answer: its status, and the refusal object as body.
pub(crate) fn refuse(refusal: &Refusal) -> Response<Body> {
    let mut body = Vec::new();
    refusal.open_answer(&mut body);
    if refusal.code == Code::RateLimited {
        body.extend_from_slice(b",\"remaining\":0");
    }
    body.push(b'}');
    let status = StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, "application/json", body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(ms) = refusal.retry_after_ms {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
    }
    response.extensions_mut().insert(Refused(refusal.code));
    response
}

/// A refusal with a status that only HTTP knows.
pub(crate) fn refuse_with(status: StatusCode, refusal: &Refusal) -> Response<Body> {
    let mut response = refuse(refusal);
    *response.status_mut() = status;
    response
}
