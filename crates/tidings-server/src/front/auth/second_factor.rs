//! `/api/auth/second-factor` and `/api/auth/confirm`: codes beside the password, and giving both again.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_core::{Identity, Refusal};

use super::asked::Asked;
use crate::accounts::Accounts;
use crate::audit::Action;
use crate::front::body::{Received, done, told};
use crate::front::to_the_end::to_the_end;
use crate::shared::Shared;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/auth/second-factor", post(|asked, body| to_the_end(begin(asked, body))))
        .route("/api/auth/second-factor/on", post(|asked, body| to_the_end(turn_on(asked, body))))
        .route("/api/auth/second-factor/off", post(|asked, body| to_the_end(turn_off(asked, body))))
        .route("/api/auth/second-factor/codes", post(|asked, body| to_the_end(codes(asked, body))))
        .route("/api/auth/confirm", post(|asked, body| to_the_end(confirm(asked, body))))
}

/// What its owner proves who they are with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    password: String,
    code: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// Shows the secret; nothing is turned on by that, so nothing is noted but a wrong password.
async fn begin(asked: Asked, body: Received) -> Response<Body> {
    let begun = async {
        let (accounts, who) = signed_in(&asked).await?;
        let Password { password } = asked.read(&body)?;
        let begun = accounts.begin_second_factor(&who, &password).await;
        if begun.is_err() {
            asked.note_own(&who, Action::FactorOn, true, &begun);
        }
        begun
    };
    told(begun.await.map(|begun| with_ok(&begun)))
}

async fn turn_on(asked: Asked, body: Received) -> Response<Body> {
    let turned = async {
        let (accounts, who) = signed_in(&asked).await?;
        let Code { code } = asked.read(&body)?;
        let turned = accounts.turn_on_second_factor(&who, &code).await;
        asked.note_own(&who, Action::FactorOn, true, &turned);
        turned
    };
    told(turned.await.map(|codes| json!({ "ok": true, "recoveryCodes": codes })))
}

async fn turn_off(asked: Asked, body: Received) -> Response<Body> {
    let turned = async {
        let (accounts, who) = signed_in(&asked).await?;
        let Proof { password, code } = asked.read(&body)?;
        let turned = accounts.turn_off_second_factor(&who, &password, code.as_deref()).await;
        asked.note_own(&who, Action::FactorOff, code.is_some(), &turned);
        turned
    };
    done(turned.await, StatusCode::OK)
}

async fn codes(asked: Asked, body: Received) -> Response<Body> {
    let made = async {
        let (accounts, who) = signed_in(&asked).await?;
        let Proof { password, code } = asked.read(&body)?;
        let made = accounts.new_recovery_codes(&who, &password, code.as_deref()).await;
        asked.note_own(&who, Action::RecoveryRenew, code.is_some(), &made);
        made
    };
    told(made.await.map(|codes| json!({ "ok": true, "recoveryCodes": codes })))
}

async fn confirm(asked: Asked, body: Received) -> Response<Body> {
    let confirmed = async {
        let (accounts, who) = signed_in(&asked).await?;
        let Proof { password, code } = asked.read(&body)?;
        let confirmed = accounts.confirm(&who, &password, code.as_deref()).await;
        asked.note_own(&who, Action::Confirm, code.is_some(), &confirmed);
        confirmed
    };
    told(confirmed.await.map(|seconds| json!({ "ok": true, "seconds": seconds })))
}

async fn signed_in(asked: &Asked) -> Result<(&Accounts, Identity), Refusal> {
    Ok((asked.accounts()?, asked.who().await?))
}

fn with_ok(begun: &impl serde::Serialize) -> Value {
    let mut answer = json!({ "ok": true });
    if let (Value::Object(answer), Ok(Value::Object(shown))) = (&mut answer, serde_json::to_value(begun)) {
        answer.extend(shown);
    }
    answer
}
