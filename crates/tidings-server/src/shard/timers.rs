//! What is due by the clock: heartbeats, slow clients, kept sessions.

use tidings_core::ConnKey;
use tidings_wire::names::Dialect;
use tidings_wire::session::Due;
use tidings_wire::websocket::{Opcode, write_frame};
use tidings_wire::{CloseReason, plain};

use super::ShardLoop;
use super::link::Session;

/// While a client changes over to a WebSocket its open poll is ended this often, as the reference
/// server does; until then messages still reach it.
pub(super) const NOOP_MS: u64 = 100;

/// Slow clients, kept sessions and lingering sockets are looked at this often.
pub(super) const SWEEP_MS: u64 = 500;

impl ShardLoop {
    /// Does what is due.
    pub(super) fn timers(&mut self) {
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(self.now_ms, &mut fired);
        for key in fired.drain(..) {
            self.fire(key);
        }
        self.fired = fired;
        if self.now_ms >= self.sweep_ms {
            self.sweep_ms = self.now_ms + SWEEP_MS;
            self.expire_sessions();
            self.lingering.expire(self.now_ms);
            self.close_laggards();
            if self.shard.attends() {
                self.find_idlers();
            }
        }
        self.let_leave();
    }

    /// Puts a connection on the wheel for the next thing that is due.
    pub(super) fn schedule(&mut self, key: ConnKey) {
        let Some(link) = self.links.get(key) else { return };
        let at_ms = match &link.session {
            Session::SocketIo(session) => session.poll_timeout(),
            Session::Plain(session) => session.poll_timeout(),
            Session::Probe { by_ms, noop_ms, .. } => (*by_ms).min(*noop_ms),
            Session::Ended { by_ms } => *by_ms,
            Session::Echo => return,
        };
        let at_ms = at_ms.min(link.token.at_ms);
        // An entry that stands for an earlier time will find out by itself that it is too early.
        if at_ms < link.timer_ms {
            link.timer_ms = at_ms;
            self.wheel.insert(key, at_ms);
        }
    }

    /// Does what is due for a connection, if its time has come: a request must not be answered for
    /// a session that is over by the clock.
    pub(super) fn fire_if_due(&mut self, key: ConnKey) {
        let due = self.links.get(key).is_some_and(|link| match &link.session {
            Session::SocketIo(session) => session.poll_timeout().min(link.token.at_ms) <= self.now_ms,
            _ => false,
        });
        if due {
            self.fire(key);
        }
    }

    fn fire(&mut self, key: ConnKey) {
        let now_ms = self.now_ms;
        let Some(link) = self.links.get(key) else { return };
        link.timer_ms = u64::MAX;
        if self.tokens_due(key) {
            return;
        }
        let Some(link) = self.links.get(key) else { return };
        let due = match &mut link.session {
            Session::SocketIo(session) => session.handle_timeout(now_ms, &self.settings.times),
            Session::Plain(session) => session.handle_timeout(now_ms, &self.settings.times.heartbeat),
            Session::Probe { by_ms, .. } if now_ms >= *by_ms => Due::Close(CloseReason::Protocol),
            Session::Probe { target, noop_ms, .. } if now_ms >= *noop_ms => {
                *noop_ms = now_ms + NOOP_MS;
                let target = *target;
                self.end_poll(target);
                Due::Nothing
            }
            Session::Ended { by_ms } if now_ms >= *by_ms => return self.ended(key),
            Session::Probe { .. } | Session::Ended { .. } | Session::Echo => Due::Nothing,
        };
        match due {
            Due::Nothing => {}
            Due::Ping => self.ping(key),
            Due::Close(reason) => return self.close(key, reason),
        }
        self.schedule(key);
    }

    fn ping(&mut self, key: ConnKey) {
        self.mark_heard(key);
        let Some(link) = self.links.get(key) else { return };
        if link.dialect() != Dialect::Plain {
            return self.shard.reply(key.slot, |out| write_frame(out, Opcode::Text, b"2"));
        }
        let dropped = self.shard.take_dropped(key.slot);
        self.say_plain(key, |out| plain::server::heartbeat(out, u64::from(dropped)));
        self.shard.reply(key.slot, |out| write_frame(out, Opcode::Ping, b""));
    }

    fn close_laggards(&mut self) {
        for key in self.shard.laggards(self.settings.lag_ms) {
            self.close(key, CloseReason::TooSlow);
        }
    }
}
