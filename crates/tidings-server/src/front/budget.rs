//! What a request costs: one of its address' requests, and a sign-in that may be wrong.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use tidings_core::Refusal;

use super::{ByServer, Front, Refused, refuse, signed_in};
use crate::gate::Budget;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Answers a request, if its address has one left and may sign in.
pub(super) async fn spend<F: Future<Output = Response<Body>>>(
    front: &Front,
    remote: IpAddr,
    request: Request<Incoming>,
    call: impl FnOnce(Request<Incoming>) -> F,
) -> Response<Body> {
    let gate = &front.shared.gate;
    if is_free(&request) {
        return call(request).await;
    }
    let asks_for_an_account = asks_for_an_account(&request);
    if signs_in(&request)
        && let Err(refusal) = gate.may_sign_in(remote)
    {
        return refuse(&refusal);
    }
    let budget = match gate.request(remote) {
        Ok(budget) => budget,
        Err(refusal) => return beyond(front, request, &refusal, call).await,
    };
    let mut response = call(request).await;
    if response.extensions().get::<ByServer>().is_some() {
        gate.give_back_request(remote);
        return response;
    }
    if let Some(Refused(code)) = response.extensions().get::<Refused>().copied()
        && asks_for_an_account
    {
        gate.sign_in_failed(remote, code);
    }
    if let Some(budget) = budget {
        tell(response.headers_mut(), &budget);
    }
    response
}

/// Answers a request beyond what its address has: a server publishes as much as its own budget allows,
/// whoever else is at its address. What it shows is judged for nothing else, and guessed wrong it counts.
async fn beyond<F: Future<Output = Response<Body>>>(
    front: &Front,
    request: Request<Incoming>,
    refusal: &Refusal,
    call: impl FnOnce(Request<Incoming>) -> F,
) -> Response<Body> {
    if !signs_in(&request) || !front.counts_itself(request.uri().path()) {
        return limited(refusal);
    }
    match signed_in(&front.shared, request.headers()).await {
        Ok(who) if who.has_server_scope() => call(request).await,
        Ok(_) | Err(_) => limited(refusal),
    }
}

/// Health checks come as often as a supervisor likes, and cost nothing.
fn is_free(request: &Request<Incoming>) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz")
}

/// Whether a refusal of it may mean that somebody guesses.
fn signs_in(request: &Request<Incoming>) -> bool {
    let headers = request.headers();
    headers.contains_key(header::AUTHORIZATION)
        || headers.contains_key(API_KEY)
        || asks_for_an_account(request)
}

/// Whether it shows a password or a link; tokens and keys are counted where they are judged.
fn asks_for_an_account(request: &Request<Incoming>) -> bool {
    request.method() == Method::POST && request.uri().path().starts_with("/api/auth/")
}

fn limited(refusal: &Refusal) -> Response<Body> {
    let mut response = refuse(refusal);
    let headers = response.headers_mut();
    headers.insert(REMAINING, HeaderValue::from(0));
    if let Some(reset) = headers.get(header::RETRY_AFTER).cloned() {
        headers.insert(RESET, reset);
    }
    response
}

/// Tells what is left of the address' requests, and in how many seconds nothing of it is used up.
fn tell(headers: &mut HeaderMap, budget: &Budget) {
    headers.insert(LIMIT, HeaderValue::from(budget.limit));
    headers.insert(REMAINING, HeaderValue::from(budget.left));
    headers.insert(RESET, HeaderValue::from(budget.full_in.as_millis().div_ceil(1_000) as u64));
}
