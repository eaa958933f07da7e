//! Whether the token a polling request shows is of the user its session is of.
//!
//! A session is known by its id alone, and a request need not show a token. One that shows a good token of
//! somebody else was not made by the session's client, or by one that has changed hands: it is refused. A
//! token that is not good says nothing, as if it were not there: clients repeat the header of their handshake
//! long after that token is over, and others carry tokens for a proxy in front.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use tidings_core::{Code, Identity};
use tidings_store::Digest;
use tidings_wire::engineio::HandshakeError;
use tokio::sync::oneshot;

use super::hello;
use crate::audit::{Action, Entry};
use crate::ids::SessionKey;
use crate::shard::inbox::Mail;
use crate::shared::Shared;
use crate::signin::Fault;

/// Refuses a request for a session that shows a good token of somebody else; the session lives on.
///
/// A token is judged once for each session, and not before somebody has signed in there.
///
/// # Errors
/// [`HandshakeError::FORBIDDEN`]
pub(super) async fn fits(
    shared: &Shared,
    session: SessionKey,
    headers: &HeaderMap,
    remote: IpAddr,
) -> Result<(), HandshakeError> {
    let Some(token) = hello::bearer(headers) else { return Ok(()) };
    let (digest, inbox) = (Digest::of(token.as_bytes()), &shared.inboxes[session.shard]);
    let (reply, answer) = oneshot::channel();
    inbox.push(Mail::Whose(session, digest, reply));
    let seated = answer.await.unwrap_or_default();
    if seated.is_empty() {
        return Ok(());
    }
    if let Some(who) = shown(shared, token, remote).await
        && !seated.iter().any(|seat| seat.org == who.org && seat.user == who.user)
    {
        let entry = Entry::refused(Action::SessionRefused).because("another user").by_identity(&who);
        shared.audit.note(entry.from(remote));
        return Err(HandshakeError::FORBIDDEN);
    }
    inbox.push(Mail::Fits(session, digest));
    Ok(())
}

/// Who shows a token, if it is good by the keys that are held now.
async fn shown(shared: &Shared, token: &str, remote: IpAddr) -> Option<Identity> {
    // Who is kept from signing in gets no signature checked; nothing is won by that, since the header may be
    // left out as well.
    shared.gate.may_sign_in(remote).ok()?;
    match shared.sign_in.examined_as_held(token).await {
        Ok(who) => Some(who),
        // Tokens for others are everyday; one in the name of a public key that did not sign it is not.
        Err((Fault::Signature, true)) => {
            shared.gate.sign_in_failed(remote, Code::Unauthorized);
            None
        }
        Err(_) => None,
    }
}

/// Users of a session, without those nobody signed in as.
pub(crate) type Seated = Vec<Arc<Identity>>;
