//! Who may open the Admin UI: administrators, by password, by a token or key, or by a sign-in before.

use std::net::IpAddr;

use serde::Deserialize;
use tidings_core::{Code, Identity, Org, Refusal, lock};

use super::super::sight::Sight;
use crate::accounts::input;
use crate::audit::{Action, Actor, Entry};
use crate::ids::random_hex;
use crate::shared::Shared;
use crate::signin::api_key::MARK;

/// The name that says that the password is a token or an API key.
const BY_TOKEN: &str = "token";

/// Bytes of each field.
const FIELD: usize = 8 * 1_024;

/// What the page sends: a name and a password, or the id of a sign-in before.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Auth {
    username: String,
    password: String,
    session_id: String,
    /// Of clients that are no Admin UI.
    token: String,
}

/// By what somebody can be asked for again.
pub(super) enum Credential {
    /// A refresh token, which is another one after each use.
    Refresh(String),
    /// A token or an API key.
    Token(String),
}

/// One who has signed in.
pub(crate) struct SignedIn {
    pub(crate) who: Identity,
    /// What the page keeps, if it is new.
    pub(crate) session: Option<String>,
}

/// Lets an administrator in. What is wrong with one who is not is told to nobody but the audit log.
///
/// # Errors
/// `unauthorized`, as "invalid credentials": the page asks for a password again then; `rate_limited` after
/// too many of them, and `unavailable`.
pub(crate) async fn enter(shared: &Shared, from: IpAddr, auth: Option<&str>) -> Result<SignedIn, Refusal> {
    shared.gate.may_sign_in(from)?;
    shared.admin.ui.has_room()?;
    let auth: Auth = auth.and_then(|auth| serde_json::from_str(auth).ok()).unwrap_or_default();
    if [&auth.username, &auth.password, &auth.session_id, &auth.token].iter().any(|text| text.len() > FIELD) {
        return Err(invalid());
    }
    let entered = match auth.session_id.is_empty() {
        false => again(shared, from, &auth.session_id).await.map(|who| SignedIn { who, session: None }),
        true => anew(shared, from, &auth).await,
    };
    match entered {
        Ok(entered) => Ok(entered),
        Err(refusal) if refusal.code.retryable() => Err(refusal),
        Err(refusal) => {
            let entry = Entry::refused(Action::Login).from(from).on("admin ui");
            shared.audit.note(entry.because(refusal.code.as_str()));
            Err(invalid())
        }
    }
}

/// What the page knows: only with exactly these words it asks for a password again.
fn invalid() -> Refusal {
    Refusal::new(Code::Unauthorized, "invalid credentials")
}

async fn anew(shared: &Shared, from: IpAddr, auth: &Auth) -> Result<SignedIn, Refusal> {
    let (who, credential) = if !auth.token.is_empty() {
        (by_token(shared, from, &auth.token).await?, Credential::Token(auth.token.clone()))
    } else if auth.username == BY_TOKEN {
        (by_token(shared, from, &auth.password).await?, Credential::Token(auth.password.clone()))
    } else {
        by_password(shared, from, auth).await?
    };
    if let Err(refusal) = Sight::of(&who) {
        if let (Credential::Refresh(token), Some(accounts)) = (&credential, &shared.accounts) {
            // Nobody will use what was begun for it.
            accounts.sign_out(token).await?;
        }
        return Err(refusal);
    }
    let id = random_hex().map_err(|_| Refusal::new(Code::Unavailable, "there is no randomness"))?;
    lock(&shared.admin.ui.sessions).add(id.clone(), credential);
    let actor = Entry::ok(Action::Login).by_identity(&who).from(from).on("admin ui");
    shared.audit.note(actor);
    Ok(SignedIn { who, session: Some(id) })
}

/// `ADDRESS`, or `ORGANISATION ADDRESS`: an address has no space in it. The page has no field for the code of a second
/// factor, so that is the last word, and has no `@` in it.
async fn by_password(shared: &Shared, from: IpAddr, auth: &Auth) -> Result<(Identity, Credential), Refusal> {
    let accounts = shared.accounts.as_ref().ok_or_else(invalid)?;
    let name = auth.username.trim();
    let (name, code) = match name.rsplit_once(' ') {
        Some((name, code)) if !code.contains('@') => (name.trim(), Some(code)),
        _ => (name, None),
    };
    let (org, email) = match name.rsplit_once(' ') {
        Some((org, email)) => (input::org(Some(org.trim()))?, email),
        None => (Org::default(), name),
    };
    let signed_in = match accounts.login(email, &auth.password, code, &org).await {
        Ok(signed_in) => signed_in,
        Err(refusal) => {
            let entry = Entry::refused(Action::Login).of(&org).from(from);
            shared.audit.note(entry.because(refusal.code.as_str()).by(Actor::Anonymous));
            shared.gate.sign_in_failed(from, refusal.code);
            return Err(refusal);
        }
    };
    let who = shared.sign_in.verify_on_front(&signed_in.access_token).await?;
    Ok((who, Credential::Refresh(signed_in.refresh_token)))
}

async fn by_token(shared: &Shared, from: IpAddr, token: &str) -> Result<Identity, Refusal> {
    if token.starts_with(MARK) {
        return shared.by_key(token, from).await;
    }
    shared.judge_on_front(token, from).await
}

/// One who signed in before: as the store, or the issuer of the token, knows it now.
async fn again(shared: &Shared, from: IpAddr, id: &str) -> Result<Identity, Refusal> {
    let known = lock(&shared.admin.ui.sessions).by_id.get(id).cloned().ok_or_else(invalid)?;
    // Two tabs come back at once: each has to use the refresh token that the other one's use has made.
    let mut credential = known.lock().await;
    let who = match &mut *credential {
        Credential::Token(token) => by_token(shared, from, token).await?,
        Credential::Refresh(token) => {
            let accounts = shared.accounts.as_ref().ok_or_else(invalid)?;
            let signed_in = accounts.refresh(token).await?;
            *token = signed_in.refresh_token;
            shared.sign_in.verify_on_front(&signed_in.access_token).await?
        }
    };
    Sight::of(&who)?;
    Ok(who)
}
