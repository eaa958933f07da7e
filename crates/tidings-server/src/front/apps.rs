//! What apps have by HTTP: a door for every command, their own routes, and what is said of them.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tidings_app::Counts;
use tidings_app::describe::{asyncapi, manifests, openapi};
use tidings_core::{Identity, Refusal};
use tidings_wire::json;

use super::body::{Received, Unread, at_most, bad, idempotency, received};
use super::generic::Generic;
use super::{ByServer, Remote, etag, paths, refuse, respond, signed_in};
use crate::accounts::keys;
use crate::apps::{SaidCommand, no_such_command, refused_as};
use crate::audit::request;
use crate::shared::Shared;

pub(super) fn routes(shared: &Arc<Shared>, own: Vec<(&'static str, Router)>) -> Router {
    let most = shared.settings.limits.message_bytes;
    let doors = Router::new().route("/api/commands/{namespace}/{name}", post(command));
    let doors = at_most(most, doors).with_state(shared.clone());
    let own = own.into_iter().fold(Router::new(), |all, (name, routes)| {
        all.nest(&format!("/api/{name}"), routes.layer(from_fn_with_state(shared.clone(), with_caller)))
    });
    let said = shared.apps.description();
    let version = env!("CARGO_PKG_VERSION");
    let mut told = Router::new().route("/api/apps", get(apps)).with_state(shared.clone());
    let documents = [
        ("/api/openapi.json", openapi(said, version, &paths::paths())),
        ("/api/asyncapi.json", asyncapi(said, version)),
    ];
    for (path, document) in documents {
        let body = Bytes::from(document.to_string());
        told =
            told.route(path, get(move || async move { respond(StatusCode::OK, "application/json", body) }));
    }
    doors.merge(own).merge(told.layer(from_fn(etag::tagged)))
}

/// `GET /api/apps`: what is offered, by the kinds of rooms as they are now.
async fn apps(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let manifests = manifests(shared.apps.description(), &shared.node.kinds());
    respond(StatusCode::OK, "application/json", Bytes::from(manifests.to_string()))
}

/// `POST /api/commands/{namespace}/{name}`: the data is the body, the answer what sockets are acknowledged with.
async fn command(
    State(shared): State<Arc<Shared>>,
    place: Result<Path<(String, String)>, PathRejection>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Unread,
) -> Response<Body> {
    let place = place.map(|Path((namespace, name))| {
        (if namespace == "root" { "/".to_owned() } else { format!("/{namespace}") }, name)
    });
    if let Ok((namespace, name)) = &place
        && let Some(generic) = Generic::named(namespace, name)
    {
        return generic.answer(shared, remote, headers, body).await;
    }
    let who = match who(&shared, &headers, Some("publish")).await {
        Ok(who) => who,
        Err(refusal) => return body.refused(&refusal),
    };
    let is_server = who.has_server_scope();
    let body = body.receive().await;
    let said = shared.still_good(&who).and_then(|()| said(&shared, &who, place, &headers, &body));
    // What no budget of the server's own has counted is a request of its address.
    let counted = said.as_ref().map_or(true, |said| said.remaining.is_some());
    let mut response = match said {
        Ok(said) => done(&shared, said, who).await,
        Err(refusal) => refuse(&refusal),
    };
    if is_server && counted {
        response.extensions_mut().insert(ByServer);
    }
    response
}

async fn done(shared: &Shared, said: SaidCommand, who: Identity) -> Response<Body> {
    match shared.app_command(&said, tidings_app::Caller::new(Arc::new(who))).await {
        Ok(body) => {
            let mut response = respond(StatusCode::OK, "application/json", body);
            let unkept = axum::http::HeaderValue::from_static("no-store");
            response.headers_mut().insert(header::CACHE_CONTROL, unkept);
            response
        }
        Err(refusal) => {
            let place = shared.apps.find(&said.namespace, &said.name);
            let mut response = refuse(&refusal);
            if let Some(body) = place.and_then(|place| refused_as(place, &refusal)) {
                *response.body_mut() = Body::from(body);
            }
            response
        }
    }
}

/// Who says it: by token or key, which may need a scope, or nobody in particular where the plain protocol takes such, too.
pub(super) async fn who(
    shared: &Shared,
    headers: &HeaderMap,
    scope: Option<&str>,
) -> Result<Identity, Refusal> {
    let shows = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    if !shows && shared.settings.takes_anonymous {
        return Ok(Identity::anonymous());
    }
    let who = signed_in(shared, headers).await?;
    scope.map_or(Ok(()), |scope| keys::allows(&who, scope))?;
    Ok(who)
}

/// The data of a command as it was sent, checked.
pub(super) fn data<'a>(shared: &Shared, headers: &HeaderMap, body: &'a Received) -> Result<&'a str, Refusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(bad("an encoded body is not taken"));
    }
    let data = std::str::from_utf8(received(body)?).map_err(|_| bad("the body is not UTF-8"))?;
    if !data.trim().is_empty() {
        json::check(data, shared.settings.limits.json_depth).map_err(|violation| bad(violation.detail))?;
    }
    Ok(data)
}

/// What was said, once it is counted.
fn said(
    shared: &Shared,
    who: &Identity,
    place: Result<(String, String), PathRejection>,
    headers: &HeaderMap,
    body: &Received,
) -> Result<SaidCommand, Refusal> {
    let (namespace, name) = place.map_err(|_| bad("the path is not UTF-8"))?;
    let data = data(shared, headers, body)?;
    let key = idempotency(headers)?.map(str::to_owned);
    let found = shared.apps.find(&namespace, &name).ok_or_else(no_such_command)?;
    let own = shared.apps.rate(found.requires);
    let remaining = match found.requires.counts {
        // It is one of the requests of its address, as every read is.
        Counts::Subscription | Counts::Message if own.is_none() => None,
        _ => shared.gate.publish_by_request(who, own, request::address())?,
    };
    Ok(SaidCommand { namespace, name, data: data.to_owned(), key, remaining })
}

/// Lets an app's own routes know who asks: a [`tidings_app::Caller`] among the request's extensions. One that
/// shows nothing is anonymous; a token that is wrong is refused.
async fn with_caller(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response<Body> {
    let headers = request.headers();
    let shows = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    let who = if shows { signed_in(&shared, headers).await } else { Ok(Identity::anonymous()) };
    let who = match who.and_then(|who| allowed(&shared, &who, &request).map(|()| who)) {
        Ok(who) => who,
        Err(refusal) => return refuse(&refusal),
    };
    let (is_server, who, ended) = (who.has_server_scope(), Arc::new(who), Arc::new(OnceLock::new()));
    request.extensions_mut().insert(tidings_app::Caller::new(who.clone()));
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let (shared, refusal) = (shared.clone(), ended.clone());
    let request = request.map(|body| Body::new(Judged { body, shared, who, refusal }));
    let mut response = etag::tag(&method, &headers, next.run(request).await).await;
    // The app was told that its body did not arrive; its client is told why.
    if let Some(refusal) = ended.get() {
        response = refuse(refusal);
    }
    if is_server {
        response.extensions_mut().insert(ByServer);
    }
    response
}

/// A body that does not arrive once who sends it may not any more: an app reads it, and acts, after that was judged.
struct Judged {
    body: Body,
    shared: Arc<Shared>,
    who: Arc<Identity>,
    refusal: Arc<OnceLock<Refusal>>,
}

impl HttpBody for Judged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready()
            && let Err(refusal) = self.shared.still_good(&self.who)
        {
            let why = axum::Error::new(refusal.message.to_string());
            // The first is as true as those that follow.
            let _ = self.refusal.set(refusal);
            return Poll::Ready(Some(Err(why)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A key reads with the scope for that, and does everything else with the one to publish. What a server asks
/// for is none of its address' requests, but one of its own publishes.
fn allowed(shared: &Shared, who: &Identity, request: &Request) -> Result<(), Refusal> {
    keys::allows(who, if request.method().is_safe() { "read" } else { "publish" })?;
    if who.has_server_scope() {
        shared.gate.publish_by_request(who, None, request::address())?;
    }
    Ok(())
}
