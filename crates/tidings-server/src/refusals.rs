//! What is refused at the doors, noted for the audit log and for the detector of threats.

use std::net::IpAddr;

use axum::http::HeaderValue;
use tidings_core::{Code, Identity, Refusal};

use crate::audit::{Action, Entry};
use crate::shared::Shared;
use crate::signin::{Fault, Verdict};

/// The origin of a page is a scheme and a host; what is longer says nothing more.
const ORIGIN_BYTES: usize = 128;

impl Shared {
    /// Judges a token as far as a shard may, and notes a refusal.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn judge(&self, token: &str, address: IpAddr) -> Result<Verdict, Refusal> {
        self.sign_in.examined(token).map_err(|fault| self.token_refused(fault, address))
    }

    /// Judges a token on the front, and notes a refusal.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) async fn judge_on_front(&self, token: &str, address: IpAddr) -> Result<Identity, Refusal> {
        let judged = self.sign_in.examined_on_front(token).await;
        judged.map_err(|fault| self.token_refused(fault, address))
    }

    fn token_refused(&self, fault: Fault, address: IpAddr) -> Refusal {
        self.audit.note(Entry::refused(Action::TokenRefused).because(fault.label()).from(address));
        self.sign_in.refuse(fault)
    }

    /// A request to the HTTP API showed a token or a key that is not good.
    pub(crate) fn credentials_refused(&self, code: Code, by_key: bool, address: IpAddr) {
        let action = if by_key { Action::KeyRefused } else { Action::TokenRefused };
        let reason = if code == Code::TokenExpired { Fault::Expired.label() } else { code.as_str() };
        self.audit.note(Entry::refused(action).because(reason).from(address));
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
