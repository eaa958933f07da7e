//! What the audit log is told of requests about accounts.

use tidings_core::{Code, Identity, Org, Refusal};
use tidings_store::users::email_key;

use crate::accounts::session::SignedIn;
use crate::audit::{Action, Actor, Entry, Outcome};
use crate::front::Remote;
use crate::shared::Shared;

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

/// Notes something that nobody has to be signed in for.
pub(super) fn note<T>(shared: &Shared, remote: Remote, action: Action, result: &Result<T, Refusal>) {
    shared.audit.note(outcome(action, result).from(remote.0));
}

/// Notes that somebody signed in or could not; what cannot be an address is not repeated.
pub(super) fn note_login(
    shared: &Shared,
    remote: Remote,
    tried: Option<(&Org, &str)>,
    result: &Result<SignedIn, Refusal>,
) {
    let locked = result.as_ref().is_err_and(|refusal| refusal.code == Code::RateLimited);
    let entry = outcome(if locked { Action::Lockout } else { Action::Login }, result).from(remote.0);
    let entry = match (result, tried) {
        (Ok(signed_in), _) => {
            let user = &signed_in.user;
            entry.by(Actor::User(user.id.as_str().into())).of(&Org::new(&user.org))
        }
        (Err(_), Some((org, email))) => entry.of(org).on(email_key(email)),
        (Err(_), None) => entry,
    };
    shared.audit.note(entry);
}

/// Notes what somebody who is signed in has done, or tried, to something.
pub(super) fn note_by<T>(
    shared: &Shared,
    remote: Remote,
    who: &Identity,
    (action, object): (Action, &str),
    after: Option<String>,
    result: &Result<T, Refusal>,
) {
    let object: String = object.chars().take(200).collect();
    let entry = outcome(action, result).by_identity(who).from(remote.0).on(object);
    shared.audit.note(match after {
        Some(after) => entry.with(after),
        None => entry,
    });
}
