//! A client of the plain JSON protocol.

use super::{Beat, Due, Heartbeat, HeartbeatTimes};
use crate::CloseReason;

/// A plain client's protocol state: signed in or not, and alive or not.
///
/// The server sends a heartbeat message and a WebSocket ping together; whatever the client sends,
/// the pong its library answers by itself included, shows that it is alive.
#[derive(Debug)]
pub struct PlainSession {
    heartbeat: Heartbeat,
    /// When the client has to have signed in; `u64::MAX` once it has.
    auth_by_ms: u64,
}

impl PlainSession {
    /// A session whose upgrade ended at `now_ms`; `auth_ms` is the time to sign in.
    pub fn new(now_ms: u64, auth_ms: u64, times: &HeartbeatTimes) -> Self {
        Self { heartbeat: Heartbeat::new(now_ms, times), auth_by_ms: now_ms + auth_ms }
    }

    /// Whether the client has signed in, anonymously or not.
    pub fn is_signed_in(&self) -> bool {
        self.auth_by_ms == u64::MAX
    }

    /// Says that the client has signed in.
    pub fn signed_in(&mut self) {
        self.auth_by_ms = u64::MAX;
    }

    /// Notes that something was heard.
    pub fn heard(&mut self, now_ms: u64, times: &HeartbeatTimes) {
        self.heartbeat.answered(now_ms, times);
    }

    /// When [`PlainSession::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> u64 {
        self.heartbeat.poll_timeout().min(self.auth_by_ms)
    }

    /// Says what is due at `now_ms`.
    pub fn handle_timeout(&mut self, now_ms: u64, times: &HeartbeatTimes) -> Due {
        if now_ms >= self.auth_by_ms {
            return Due::Close(CloseReason::SignIn);
        }
        match self.heartbeat.handle_timeout(now_ms, times) {
            Beat::Rest => Due::Nothing,
            Beat::Ping => Due::Ping,
            Beat::Dead => Due::Close(CloseReason::PingTimeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: HeartbeatTimes = HeartbeatTimes { interval_ms: 25_000, timeout_ms: 20_000 };

    #[test]
    fn a_client_that_does_not_sign_in_is_closed_with_4401() {
        let mut session = PlainSession::new(0, 5_000, &TIMES);
        assert_eq!(session.poll_timeout(), 5_000);
        assert_eq!(session.handle_timeout(5_000, &TIMES), Due::Close(CloseReason::SignIn));
    }

    #[test]
    fn a_signed_in_client_is_pinged_and_then_closed() {
        let mut session = PlainSession::new(0, 5_000, &TIMES);
        session.signed_in();
        assert_eq!(session.handle_timeout(25_000, &TIMES), Due::Ping);
        assert_eq!(session.handle_timeout(45_000, &TIMES), Due::Close(CloseReason::PingTimeout));
    }
}
