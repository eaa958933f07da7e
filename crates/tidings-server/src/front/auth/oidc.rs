//! `/api/auth/oidc`: to a provider and back; `/api/auth/providers`: which there are.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use tidings_core::{Code, Refusal};
use tidings_wire::engineio::Query;

use super::asked::Asked;
use crate::accounts::Accounts;
use crate::accounts::oidc::{
    COOKIE_TIME, Ended, FLOW_TIME, Failed, cookie_name, no_provider, with_parameters,
};
use crate::front::body::{Received, bad, told};
use crate::front::named::Named;
use crate::front::to_the_end::to_the_end;
use crate::front::{etag, page, refuse, respond};
use crate::shared::Shared;

/// The path the cookie is for.
const PATH: &str = "/api/auth/oidc";

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/auth/providers", get(providers).layer(from_fn(etag::tagged)))
        .route("/api/auth/oidc/{name}/start", get(start))
        .route("/api/auth/oidc/{name}/callback", get(|a, name, q| to_the_end(callback(a, name, q))))
        .route("/api/auth/oidc/exchange", post(|asked, body| to_the_end(exchange(asked, body))))
}

/// None where there are no accounts, so that a page asks on every server without being refused; and at the listener of
/// administrators none, since providers send people back to the other.
async fn providers(asked: Asked) -> Response<Body> {
    let accounts = asked.accounts().ok().filter(|_| !asked.is_at_admin_door());
    let providers = accounts.map(Accounts::providers).unwrap_or_default();
    let body = json!({ "ok": true, "providers": providers }).to_string();
    respond(StatusCode::OK, "application/json", body)
}

/// One parameter of a query; one that stands twice is none, for nobody knows which is meant.
fn parameter(query: &Query<'_>, wanted: &str) -> Option<String> {
    let mut found = query.pairs().filter(|(name, _)| name == wanted);
    let first = found.next().map(|(_, value)| value.into_owned());
    if found.next().is_some() { None } else { first }
}

async fn start(asked: Asked, name: Named, RawQuery(query): RawQuery) -> Response<Body> {
    let begun = async {
        let accounts = asked.accounts()?;
        let name = name.known(no_provider)?;
        let query = Query::parse(query.as_deref().unwrap_or("")).map_err(|_| bad("too many parameters"))?;
        let begun = accounts.begin_elsewhere(&name, parameter(&query, "returnTo")).await?;
        let cookie = cookie(&begun.cookie_name, &begun.cookie, FLOW_TIME.as_secs(), accounts.rules.secure);
        Ok::<_, Failed>((begun.location, cookie))
    };
    match begun.await {
        Ok((location, cookie)) => redirect(&location, &[cookie]),
        Err(failed) => failure(&asked.headers, failed, &[]),
    }
}

/// Where people go on whose sign-in nobody knows any more: they took too long, or came back a second time.
const ACCOUNT: &str = "/account";

/// Tells the page that waits for it with which code it failed; where none does, people by a page and programs at once.
fn failure(headers: &HeaderMap, failed: Failed, cookies: &[String]) -> Response<Body> {
    let known = failed.return_to.or_else(|| page::shows_pages(headers).then(|| ACCOUNT.to_owned()));
    let Some(page) = known else { return refuse(&failed.refusal) };
    redirect(&with_parameters(&page, &[("error", failed.refusal.code.as_str())]), cookies)
}

/// Lax, since the browser comes back from another site; for this path and no script.
fn cookie(name: &str, value: &str, seconds: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

fn redirect(location: &str, cookies: &[String]) -> Response<Body> {
    let cookies: Result<Vec<_>, _> = cookies.iter().map(|cookie| HeaderValue::from_str(cookie)).collect();
    let (Ok(location), Ok(cookies)) = (HeaderValue::from_str(location), cookies) else {
        return refuse(&Refusal::new(Code::Unavailable, "the provider names an address that cannot be one"));
    };
    let mut response = respond(StatusCode::FOUND, "text/plain", "");
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn brought<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

async fn callback(asked: Asked, name: Named, RawQuery(query): RawQuery) -> Response<Body> {
    let asked_of = asked.accounts().and_then(|accounts| Ok((accounts, name.known(no_provider)?)));
    let (accounts, name) = match asked_of {
        Ok(asked_of) => asked_of,
        Err(refusal) => return refuse(&refusal),
    };
    let Ok(query) = Query::parse(query.as_deref().unwrap_or("")) else {
        return refuse(&bad("too many parameters"));
    };
    let state = parameter(&query, "state").unwrap_or_default();
    let (code, error) = (parameter(&query, "code"), parameter(&query, "error"));
    let code = match (&code, &error) {
        (Some(code), None) => Ok(code.as_str()),
        (_, error) => Err(error.as_deref().unwrap_or("no code")),
    };
    let of_flow = cookie_name(&state);
    let over = cookie(&of_flow, "", 0, accounts.rules.secure);
    match accounts.finish(&name, &state, code, brought(&asked.headers, &of_flow)).await {
        Ok(Ended::Return { page, cookie: of_code }) => {
            let secure = accounts.rules.secure;
            let of_code = of_code.map(|(name, value)| cookie(&name, &value, COOKIE_TIME.as_secs(), secure));
            let cookies: Vec<String> = [Some(over), of_code].into_iter().flatten().collect();
            redirect(&page, &cookies)
        }
        Ok(Ended::SignedIn(signed_in)) => {
            let signed_in = Ok(*signed_in);
            asked.note_login(None, false, &signed_in);
            let mut response = told(signed_in);
            if let Ok(over) = HeaderValue::from_str(&over) {
                response.headers_mut().insert(header::SET_COOKIE, over);
            }
            response
        }
        Err(failed) => {
            asked.note_login(None, false, &Err(failed.refusal.clone()));
            failure(&asked.headers, failed, &[over])
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exchange {
    code: String,
    /// Of the second factor, once it is asked for.
    second_code: Option<String>,
}

async fn exchange(asked: Asked, body: Received) -> Response<Body> {
    let mut has_code = false;
    let signed_in = async {
        let (accounts, wanted): (_, Exchange) = (asked.accounts()?, asked.read(&body)?);
        let (cookie, second) = (brought(&asked.headers, &cookie_name(&wanted.code)), &wanted.second_code);
        has_code = second.is_some();
        accounts.exchange(&wanted.code, cookie, second.as_deref()).await
    };
    let signed_in = signed_in.await;
    asked.note_login(None, has_code, &signed_in);
    told(signed_in)
}
