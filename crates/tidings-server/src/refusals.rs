//! What is refused at the doors, noted for the audit log and for the detector of threats.

use std::net::IpAddr;

use axum::http::HeaderValue;
use tidings_core::{Code, Identity, Refusal};

use crate::audit::{Action, Entry, request};
use crate::shared::Shared;
use crate::signin::{ApiKey, Fault, Verdict, now_seconds};

/// The origin of a page is a scheme and a host; what is longer says nothing more.
const ORIGIN_BYTES: usize = 128;

impl Shared {
    /// Judges a token as far as a shard may; a refusal is noted, and one that may be a guess counted for the
    /// address.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn judge(&self, token: &str, address: IpAddr) -> Result<Verdict, Refusal> {
        self.sign_in.examined(token).map_err(|fault| self.token_refused(fault, address))
    }

    /// Judges a token on the front; a refusal is noted, and one that may be a guess counted for the address.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) async fn judge_on_front(&self, token: &str, address: IpAddr) -> Result<Identity, Refusal> {
        let judged = self.sign_in.examined_on_front(token).await;
        judged.map_err(|fault| self.token_refused(fault, address))
    }

    /// Whether somebody who was judged as a request began may still do what it asks for: its body, or the word of the
    /// team's backend, may come long after its head, and a token end or be called back meanwhile.
    ///
    /// # Errors
    /// What the client is told; it is noted as what any such token is told.
    pub(crate) fn still_good(&self, who: &Identity) -> Result<(), Refusal> {
        let revoked = self.sign_in.revoked();
        let is_called_back = if who.is_key { revoked.concerns_key(who) } else { revoked.concerns(who) };
        let has_ended = who.expires_at.is_some_and(|end| end <= now_seconds());
        let fault = match (who.user.is_some(), has_ended, is_called_back) {
            (true, true, _) if !who.is_key => Fault::Expired,
            (true, true, _) | (true, _, true) => Fault::Revoked,
            _ => return Ok(()),
        };
        Err(self.token_refused(fault, request::address()))
    }

    fn token_refused(&self, fault: Fault, address: IpAddr) -> Refusal {
        self.audit.note(Entry::refused(Action::TokenRefused).because(fault.label()).from(address));
        let refusal = self.sign_in.refuse(fault);
        if fault.may_be_a_guess() {
            self.gate.sign_in_failed(address, refusal.code);
        }
        refusal
    }

    /// Whose key it is; one that is nobody's is noted and counted for the address.
    ///
    /// # Errors
    /// What the client is told; `unavailable` if it cannot be looked up now, which is not held against it.
    pub(crate) async fn by_key(&self, key: &str, address: IpAddr) -> Result<Identity, Refusal> {
        let found = match (ApiKey::parse(key), &self.api_keys) {
            (Some(key), Some(keys)) => keys.lookup(&key).await?,
            _ => None,
        };
        found.map(|who| Identity { is_key: true, ..who }).ok_or_else(|| {
            let refusal = Refusal::new(Code::Unauthorized, "the key is not valid");
            self.audit.note(Entry::refused(Action::KeyRefused).because(refusal.code.as_str()).from(address));
            self.gate.sign_in_failed(address, refusal.code);
            refusal
        })
    }

    /// A page asked that may not.
    pub(crate) fn origin_refused(&self, origin: Option<&HeaderValue>, address: IpAddr) {
        let origin = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()));
        let origin: String = origin.unwrap_or_default().chars().take(ORIGIN_BYTES).collect();
        self.audit.note(Entry::refused(Action::OriginRefused).on(origin).from(address));
    }

    /// A session id was shown that does not exist.
    pub(crate) fn session_refused(&self, address: IpAddr) {
        self.audit.note(Entry::refused(Action::SessionRefused).from(address));
    }

    /// A connection is closed since it flooded.
    pub(crate) fn flooded(&self, who: Option<&Identity>, address: IpAddr) {
        let entry = Entry::refused(Action::Flood).from(address);
        // An anonymous client names no organisation of its own.
        let known = who.filter(|who| who.user.is_some());
        self.audit.note(match known {
            Some(who) => entry.by_identity(who),
            None => entry,
        });
    }
}
