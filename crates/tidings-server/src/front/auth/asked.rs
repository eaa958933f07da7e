//! A request about accounts: who asks, from where, and what is noted of it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::links::UsedLink;
use tidings_store::refresh::Family;
use tidings_store::users::email_key;

use crate::accounts::Accounts;
use crate::accounts::keys::{KeyView, StoredKeys};
use crate::accounts::session::SignedIn;
use crate::audit::{Action, Actor, Entry, Outcome};
use crate::front::body::{self, Received};
use crate::front::{Purpose, Remote, signed_in};
use crate::shared::Shared;
use crate::signin::revoked::Revoked;

/// A request, but for its path, query and body.
pub(super) struct Asked {
    shared: Arc<Shared>,
    remote: Remote,
    purpose: Option<Purpose>,
    pub(super) headers: HeaderMap,
}

impl FromRequestParts<Arc<Shared>> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Self::Rejection> {
        let Extension(remote) = Extension::from_request_parts(parts, shared).await?;
        let purpose = parts.extensions.get().copied();
        Ok(Self { shared: shared.clone(), remote, purpose, headers: parts.headers.clone() })
    }
}

impl Asked {
    /// The accounts, if there are any here.
    pub(super) fn accounts(&self) -> Result<&Accounts, Refusal> {
        let none = || Refusal::new(Code::NotFound, "this server keeps no accounts");
        self.shared.accounts.as_deref().ok_or_else(none)
    }

    /// It came in at the listener that administrators have for themselves.
    pub(super) fn is_at_admin_door(&self) -> bool {
        self.purpose == Some(Purpose::Admin)
    }

    /// The address it came from.
    pub(super) fn from(&self) -> IpAddr {
        self.remote.0
    }

    /// The keys of programs, if there are any here.
    pub(super) fn keys(&self) -> Result<&StoredKeys, Refusal> {
        let none = || Refusal::new(Code::NotFound, "this server keeps no keys");
        self.shared.stored_keys.as_deref().ok_or_else(none)
    }

    /// The tokens that were called back.
    pub(super) fn called_back(&self) -> &Revoked {
        self.shared.sign_in.revoked()
    }

    /// Who asks, by a token or key.
    pub(super) async fn who(&self) -> Result<Identity, Refusal> {
        signed_in(&self.shared, &self.headers).await
    }

    /// What its body says.
    pub(super) fn read<T: DeserializeOwned>(&self, body: &Received) -> Result<T, Refusal> {
        body::read(&self.headers, body)
    }

    /// Notes something that nobody has to be signed in for, with whose account it was about if that is known.
    pub(super) fn note_of<T>(&self, action: Action, whose: Option<Whose>, result: &Result<T, Refusal>) {
        let entry = outcome(action, result).from(self.remote.0);
        self.shared.audit.note(match whose {
            Some(Whose::User(org, actor)) => entry.by(actor).of(&org),
            Some(Whose::Address(org, email)) => entry.of(&org).on(email_key(&email)),
            None => entry,
        });
    }

    /// Notes that somebody signed in or could not; what cannot be an address is not repeated.
    pub(super) fn note_login(
        &self,
        tried: Option<(&Org, &str)>,
        has_code: bool,
        result: &Result<SignedIn, Refusal>,
    ) {
        let locked = result.as_ref().is_err_and(|refusal| refusal.code == Code::RateLimited);
        let entry = match (locked, is_asked_for(has_code, result)) {
            (true, _) => outcome(Action::Lockout, result),
            (_, true) => Entry::ok(Action::FactorAsked),
            _ => outcome(Action::Login, result),
        };
        let entry = entry.from(self.remote.0);
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

    /// Notes what somebody did with their own account who gave the password, or the code, again.
    pub(super) fn note_own<T>(
        &self,
        who: &Identity,
        action: Action,
        has_code: bool,
        result: &Result<T, Refusal>,
    ) {
        let entry = match is_asked_for(has_code, result) {
            true => Entry::ok(Action::FactorAsked),
            false => outcome(action, result),
        };
        self.shared.audit.note(entry.by_identity(who).from(self.remote.0));
    }

    /// Notes that a key was made, by its public part and with the name people call it by, or could not be.
    pub(super) fn note_key<T>(
        &self,
        who: &Identity,
        (name, scopes): (&str, &[String]),
        result: &Result<(T, KeyView), Refusal>,
    ) {
        let entry = outcome(Action::KeyCreate, result).by_identity(who).from(self.remote.0);
        let entry = entry.with(scopes.join(" "));
        self.shared.audit.note(match result {
            Ok((_, made)) => entry.on(made.prefix.clone()).because(name.to_owned()),
            Err(_) => entry,
        });
    }
}

/// Whose account a request was about.
pub(super) enum Whose {
    /// Somebody's, who showed so.
    User(Org, Actor),
    /// That of an address, which nobody has proved.
    Address(Org, String),
}

impl From<&Identity> for Whose {
    fn from(who: &Identity) -> Self {
        Self::User(who.org.clone(), Actor::of(who))
    }
}

impl From<UsedLink> for Whose {
    fn from(link: UsedLink) -> Self {
        Self::User(link.org, Actor::User(link.user.into()))
    }
}

impl From<Family> for Whose {
    fn from(family: Family) -> Self {
        Self::User(family.org, Actor::User(family.user.into()))
    }
}

/// Whether all was right, and the code of the second factor is what comes next.
fn is_asked_for<T>(has_code: bool, result: &Result<T, Refusal>) -> bool {
    !has_code && result.as_ref().is_err_and(|refusal| refusal.code == Code::SecondFactor)
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
