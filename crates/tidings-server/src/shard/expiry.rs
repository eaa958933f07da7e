//! Tokens end: clients are told before, and closed if they did not renew.
//!
//! A token's end is wall-clock time and the wheel's is not, so what is due is asked of the wall clock
//! whenever a connection's timer fires; a clock that is set is noticed with the next heartbeat at the
//! latest.

use tidings_core::{Code, ConnKey, Identity, Refusal};
use tidings_wire::json::write_string;
use tidings_wire::names::Dialect;
use tidings_wire::{CloseReason, plain};

use super::ShardLoop;
use crate::shared::wall_ms;
use crate::signin::Fault;
use crate::time::iso8601;

/// So long before its token ends a client is told; with less left than twice that, half of it before.
const WARN_MS: u64 = 60_000;

/// Whatever has to be closed is closed so long after its token's end at the latest: a second less than
/// is promised, for a turn that takes its time.
const LAST_MS: u64 = 29_000;

/// Connections whose tokens end together are closed so far apart, or closer if there are many.
const APART_US: u64 = 2_000;

/// What is due for the tokens of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenClock {
    /// When something is due, in the shard's milliseconds.
    pub(super) at_ms: u64,
    /// It has its time to be closed.
    leaving: bool,
    /// The front judges a token by which it renews.
    pub(super) renewing: bool,
}

impl Default for TokenClock {
    fn default() -> Self {
        Self { at_ms: u64::MAX, leaving: false, renewing: false }
    }
}

/// When somebody who signs in now is told that the token ends, in milliseconds since 1970.
pub(super) fn warn_at_ms(who: &Identity) -> u64 {
    let Some(ends_ms) = ends_ms(who) else { return u64::MAX };
    let left = ends_ms.saturating_sub(wall_ms());
    ends_ms - WARN_MS.min(left / 2)
}

fn ends_ms(who: &Identity) -> Option<u64> {
    who.expires_at.map(|seconds| seconds.saturating_mul(1_000))
}

impl ShardLoop {
    /// Whether somebody whose token was good when it was judged may come in now.
    ///
    /// Sign-in takes tokens for some time after their end, since clocks differ; connections end with
    /// theirs, and one that would be closed at once is not opened.
    ///
    /// # Errors
    /// What the client is told.
    pub(super) fn still_good(&self, who: &Identity) -> Result<(), Refusal> {
        if self.shared.sign_in.revoked().concerns(who) {
            return Err(Fault::Revoked.refusal());
        }
        match ends_ms(who) {
            Some(ends_ms) if self.closes_ms(ends_ms) <= wall_ms() => {
                Err(Refusal::new(Code::TokenExpired, "the token has expired"))
            }
            _ => Ok(()),
        }
    }

    fn closes_ms(&self, ends_ms: u64) -> u64 {
        ends_ms.saturating_add(self.settings.expiry_grace_ms)
    }

    /// Puts a connection on the wheel for what is due next for its tokens.
    pub(super) fn watch_tokens(&mut self, key: ConnKey) {
        let (now_ms, grace_ms) = (self.now_ms, self.settings.expiry_grace_ms);
        let Some(link) = self.links.get(key) else { return };
        let due = link
            .seats
            .iter()
            .filter_map(|seat| Some(ends_ms(&seat.who)?.saturating_add(grace_ms).min(seat.warn_at_ms)));
        let due = due.min().map_or(u64::MAX, |due| now_ms.saturating_add(due.saturating_sub(wall_ms())));
        link.token.at_ms = due;
        link.token.leaving = false;
        self.schedule(key);
    }

    /// Does what is due for a connection's tokens; whether it was closed.
    pub(super) fn tokens_due(&mut self, key: ConnKey) -> bool {
        let Some(link) = self.links.get(key) else { return true };
        if link.token.at_ms == u64::MAX {
            return false;
        }
        let wall_ms = wall_ms();
        let first = link.seats.iter().filter_map(|seat| ends_ms(&seat.who)).min();
        if let Some(ends_ms) = first.filter(|ends_ms| self.closes_ms(*ends_ms) <= wall_ms) {
            return self.close_expired(key, ends_ms, wall_ms);
        }
        self.warn(key, wall_ms);
        self.watch_tokens(key);
        false
    }

    /// Closes a connection whose token is over, or gives it its time to be closed: many that end
    /// together would all come back together.
    fn close_expired(&mut self, key: ConnKey, ends_ms: u64, wall_ms: u64) -> bool {
        let Some(link) = self.links.get(key) else { return true };
        if link.token.leaving && link.token.at_ms > self.now_ms {
            return false;
        }
        let at_ms = if link.token.leaving { self.now_ms } else { self.next_expiry_ms(ends_ms, wall_ms) };
        if at_ms <= self.now_ms {
            self.close(key, CloseReason::SignIn);
            return true;
        }
        if let Some(link) = self.links.get(key) {
            (link.token.at_ms, link.token.leaving) = (at_ms, true);
        }
        false
    }

    /// When the next connection is closed for its token, in the shard's milliseconds.
    fn next_expiry_ms(&mut self, ends_ms: u64, wall_ms: u64) -> u64 {
        let window_us = LAST_MS.saturating_sub(self.settings.expiry_grace_ms) * 1_000;
        let apart_us = APART_US.min(window_us / self.shard.len().max(1) as u64);
        let at_us = self.expiry_free_us.max(self.now_ms * 1_000);
        self.expiry_free_us = at_us + apart_us;
        let last_ms = self.now_ms + (ends_ms + LAST_MS).saturating_sub(wall_ms);
        (at_us / 1_000).min(last_ms)
    }

    /// Tells a client of every token of its own that ends soon.
    fn warn(&mut self, key: ConnKey, wall_ms: u64) {
        let Some(link) = self.links.get(key) else { return };
        let mut soon = Vec::new();
        for seat in link.seats.iter_mut().filter(|seat| seat.warn_at_ms <= wall_ms) {
            seat.warn_at_ms = u64::MAX;
            soon.extend(ends_ms(&seat.who).map(|ends_ms| (seat.namespace, iso8601(ends_ms))));
        }
        let is_plain = link.dialect() == Dialect::Plain;
        for (namespace, expires_at) in soon {
            if is_plain {
                self.say_plain(key, |out| plain::server::token(out, &expires_at));
            } else {
                let mut body = b"{\"expiresAt\":".to_vec();
                write_string(&mut body, &expires_at);
                body.push(b'}');
                self.send_event(key, namespace, "tidings:token", &body);
            }
        }
    }
}
