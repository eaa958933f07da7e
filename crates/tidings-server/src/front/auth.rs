//! `/api/auth`: signing up, in and out.

mod admin;
mod asked;
mod oidc;
mod second_factor;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use serde::Deserialize;
use tidings_core::{Org, Refusal};

use super::body::{Received, at_most, bad, done, signed_in_first, told};
use super::to_the_end::to_the_end;
use crate::accounts::input;
use crate::accounts::register::NewAccount;
use crate::audit::{Action, Actor};
use crate::shared::Shared;
use asked::{Asked, Whose};

/// Bytes of a request's body: the longest password and what stands around it, escaped.
const BODY: usize = 16 * 1_024;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/api/auth/register", post(|asked, body| to_the_end(register(asked, body))))
        .route("/api/auth/setup", post(|asked, body| to_the_end(set_up(asked, body))))
        .route("/api/auth/verify", post(|asked, body| to_the_end(verify(asked, body))))
        .route("/api/auth/login", post(|asked, body| to_the_end(login(asked, body))))
        .route("/api/auth/refresh", post(|asked, body| to_the_end(refresh(asked, body))))
        .route("/api/auth/logout", post(|asked, body| to_the_end(logout(asked, body))))
        .route("/api/auth/password", post(|asked, body| to_the_end(password(asked, body))))
        .route("/api/auth/me", get(me))
        .merge(oidc::routes())
        .merge(second_factor::routes());
    at_most(BODY, routes).with_state(shared)
}

/// `/api/users` and `/api/keys`.
pub(super) fn administration(shared: Arc<Shared>) -> Router {
    let routes = admin::routes().layer(from_fn_with_state(shared.clone(), signed_in_first));
    at_most(BODY, routes).with_state(shared)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    email: Option<String>,
    password: String,
    name: Option<String>,
    org: Option<String>,
    /// Of an invitation.
    token: Option<String>,
}

async fn register(asked: Asked, body: Received) -> Response<Body> {
    let (whose, registered) = apart(register_wanted(&asked, &body).await);
    asked.note_of(Action::Register, whose, &registered);
    done(registered, StatusCode::ACCEPTED)
}

async fn register_wanted(asked: &Asked, body: &Received) -> Result<Whose, Refusal> {
    let (accounts, new): (_, Register) = (asked.accounts()?, asked.read(body)?);
    if let Some(token) = &new.token {
        return accounts.accept(token, &new.password, new.name.as_deref()).await.map(Whose::from);
    }
    let email = new.email.as_deref().ok_or_else(|| bad("email: is missing"))?;
    let (name, org) = (new.name.as_deref(), new.org.as_deref());
    accounts.register(&NewAccount { email, password: &new.password, name, org }).await?;
    Ok(Whose::Address(Org::default(), email.to_owned()))
}

/// Whose account it was about, and what came of it.
fn apart(done: Result<impl Into<Whose>, Refusal>) -> (Option<Whose>, Result<(), Refusal>) {
    match done {
        Ok(whose) => (Some(whose.into()), Ok(())),
        Err(refusal) => (None, Err(refusal)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Of the link that the server printed.
    token: String,
    email: String,
    password: String,
    name: Option<String>,
}

async fn set_up(asked: Asked, body: Received) -> Response<Body> {
    let made = async {
        let (accounts, wanted): (_, Wanted) = (asked.accounts()?, asked.read(&body)?);
        let Wanted { token, email, password, name } = &wanted;
        let new = NewAccount { email, password, name: name.as_deref(), org: None };
        let id = accounts.set_up(token, &new, asked.from()).await?;
        Ok(Whose::User(Org::default(), Actor::User(id.into())))
    };
    let (whose, made) = apart(made.await);
    asked.note_of(Action::Register, whose, &made);
    done(made, StatusCode::CREATED)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verify {
    token: String,
}

async fn verify(asked: Asked, body: Received) -> Response<Body> {
    let verified = async {
        let (accounts, link): (_, Verify) = (asked.accounts()?, asked.read(&body)?);
        accounts.verify(&link.token).await
    };
    let (whose, verified) = apart(verified.await);
    asked.note_of(Action::Verify, whose, &verified);
    done(verified, StatusCode::OK)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    password: String,
    /// Of the second factor, once it is asked for.
    code: Option<String>,
    org: Option<String>,
}

async fn login(asked: Asked, body: Received) -> Response<Body> {
    let tried = asked.accounts().and_then(|accounts| {
        let who: Login = asked.read(&body)?;
        let org = input::org(who.org.as_deref())?;
        input::email(&who.email)?;
        Ok((accounts, who, org))
    });
    let (accounts, who, org) = match tried {
        Ok(tried) => tried,
        Err(refusal) => return super::refuse(&refusal),
    };
    let signed_in = accounts.login(&who.email, &who.password, who.code.as_deref(), &org).await;
    asked.note_login(Some((&org, &who.email)), who.code.is_some(), &signed_in);
    told(signed_in)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
}

async fn refresh(asked: Asked, body: Received) -> Response<Body> {
    let signed_in = async {
        let (accounts, old): (_, Refresh) = (asked.accounts()?, asked.read(&body)?);
        accounts.refresh(&old.refresh_token).await
    };
    told(signed_in.await)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Logout {
    refresh_token: Option<String>,
}

/// What is told of a token or key that signing out would not end: that it was would be believed.
const ENDLESS: &str = "a token without an id (jti) cannot be signed out, and a key is deleted";

/// Ends the sign-in of a refresh token, the access token of the header, or both.
async fn logout(asked: Asked, body: Received) -> Response<Body> {
    let mut whose = None;
    let left = async {
        let accounts = asked.accounts()?;
        let is_empty = body.as_ref().is_ok_and(Bytes::is_empty);
        let old: Logout = if is_empty { Logout::default() } else { asked.read(&body)? };
        let who = asked.who().await;
        whose = who.as_ref().ok().map(Whose::from);
        match (&old.refresh_token, &who) {
            (None, Err(refusal)) => return Err(refusal.clone()),
            (Some(token), _) => whose = accounts.sign_out(token).await?.map(Whose::from).or(whose.take()),
            (None, Ok(_)) => {}
        }
        match who {
            Ok(who) if who.token_id.is_none() && old.refresh_token.is_none() => Err(bad(ENDLESS)),
            Ok(who) => accounts.end_token(&who).await,
            Err(_) => Ok(()),
        }
    };
    let left = left.await;
    asked.note_of(Action::Logout, whose, &left);
    done(left, StatusCode::OK)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Password {
    old_password: Option<String>,
    new_password: Option<String>,
    token: Option<String>,
    email: Option<String>,
    org: Option<String>,
}

/// Changes a password, asks for a link to reset it, or resets it by that link.
async fn password(asked: Asked, body: Received) -> Response<Body> {
    let wanted = asked.accounts().and_then(|accounts| Ok((accounts, asked.read::<Password>(&body)?)));
    let (accounts, wanted) = match wanted {
        Ok(wanted) => wanted,
        Err(refusal) => return super::refuse(&refusal),
    };
    match (&wanted.old_password, &wanted.new_password, &wanted.token, &wanted.email) {
        (Some(old), Some(new), None, None) => {
            let who = asked.who().await;
            let whose = who.as_ref().ok().map(Whose::from);
            let changed = match who {
                Ok(who) => accounts.change_password(&who, old, new).await,
                Err(refusal) => Err(refusal),
            };
            asked.note_of(Action::PasswordChange, whose, &changed);
            told(changed)
        }
        (None, Some(new), Some(token), None) => {
            let (whose, reset) = apart(accounts.reset_password(token, new).await);
            asked.note_of(Action::PasswordChange, whose, &reset);
            done(reset, StatusCode::OK)
        }
        (None, None, None, Some(email)) => {
            let sent = async {
                let org = input::org(wanted.org.as_deref())?;
                accounts.forgot_password(email, &org).await
            };
            done(sent.await, StatusCode::ACCEPTED)
        }
        _ => super::refuse(&bad("either oldPassword and newPassword, token and newPassword, or email")),
    }
}

async fn me(asked: Asked) -> Response<Body> {
    let found = async {
        let accounts = asked.accounts()?;
        let who = asked.who().await?;
        accounts.me(&who).await
    };
    told(found.await.map(|me| serde_json::json!({ "user": me })))
}
