//! A request about accounts: who asks, from where, and what is noted of it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::users::email_key;

use crate::accounts::Accounts;
use crate::accounts::keys::StoredKeys;
use crate::accounts::session::SignedIn;
use crate::audit::{Action, Actor, Entry, Outcome};
use crate::front::body::{self, Received};
use crate::front::{Remote, signed_in};
use crate::object::Object;
use crate::shared::Shared;

/// A request, but for its path, query and body.
pub(super) struct Asked {
    shared: Arc<Shared>,
    remote: Remote,
    pub(super) headers: HeaderMap,
}

impl FromRequestParts<Arc<Shared>> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Self::Rejection> {
        let Extension(remote) = Extension::from_request_parts(parts, shared).await?;
        Ok(Self { shared: shared.clone(), remote, headers: parts.headers.clone() })
    }
}

impl Asked {
    /// The accounts, if there are any here.
    pub(super) fn accounts(&self) -> Result<&Accounts, Refusal> {
        let none = || Refusal::new(Code::NotFound, "this server keeps no accounts");
        self.shared.accounts.as_deref().ok_or_else(none)
    }

    /// The keys of programs, if there are any here.
    pub(super) fn keys(&self) -> Result<&StoredKeys, Refusal> {
        let none = || Refusal::new(Code::NotFound, "this server keeps no keys");
        self.shared.stored_keys.as_deref().ok_or_else(none)
    }

    /// Who asks, by a token or key.
    pub(super) async fn who(&self) -> Result<Identity, Refusal> {
        signed_in(&self.shared, &self.headers).await
    }

    /// What its body says.
    pub(super) fn read<T: DeserializeOwned>(&self, body: &Received) -> Result<T, Refusal> {
        body::read(&self.headers, body).map(|Object(read)| read)
    }

    /// Notes something that nobody has to be signed in for.
    pub(super) fn note<T>(&self, action: Action, result: &Result<T, Refusal>) {
        self.shared.audit.note(outcome(action, result).from(self.remote.0));
    }

    /// Notes that somebody signed in or could not; what cannot be an address is not repeated.
    pub(super) fn note_login(&self, tried: Option<(&Org, &str)>, result: &Result<SignedIn, Refusal>) {
        let locked = result.as_ref().is_err_and(|refusal| refusal.code == Code::RateLimited);
        let entry = outcome(if locked { Action::Lockout } else { Action::Login }, result).from(self.remote.0);
        let entry = match (result, tried) {
            (Ok(signed_in), _) => {
                let user = &signed_in.user;
                entry.by(Actor::User(user.id.as_str().into())).of(&Org::new(&user.org))
            }
            (Err(_), Some((org, email))) => entry.of(org).on(email_key(email)),
            (Err(_), None) => entry,
        };
        self.shared.audit.note(entry);
    }

    /// Notes what somebody who is signed in has done, or tried, to something.
    pub(super) fn note_by<T>(
        &self,
        who: &Identity,
        (action, object): (Action, &str),
        after: Option<String>,
        result: &Result<T, Refusal>,
    ) {
        let object: String = object.chars().take(200).collect();
        let entry = outcome(action, result).by_identity(who).from(self.remote.0).on(object);
        self.shared.audit.note(match after {
            Some(after) => entry.with(after),
            None => entry,
        });
    }
}

/// What came of it, and why not.
fn outcome<T>(action: Action, result: &Result<T, Refusal>) -> Entry {
    match result {
        Ok(_) => Entry::ok(action),
        Err(refusal) => {
            let failed = matches!(refusal.code, Code::Unavailable | Code::StorageFull);
            let outcome = if failed { Outcome::Failed } else { Outcome::Refused };
            Entry::new(action, outcome).because(refusal.code.as_str())
        }
    }
}
