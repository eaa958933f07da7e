//! How connections end.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Token};
use slab::Slab;
use tidings_core::ConnKey;
use tidings_wire::CloseReason;
use tidings_wire::websocket::write_close;

use super::link::{Link, Session, Transport};
use super::polling::PollAnswer;
use super::{LINGERING, ShardLoop};

/// How long a closed socket is kept, so that the close frame is not lost to a reset.
const LINGER_MS: u64 = 2_000;

/// The same for a client that was too slow: it has to read on before it can see why.
const SLOW_LINGER_MS: u64 = 10_000;

/// Sockets that were closed by us, waiting for the peer to close as well.
#[derive(Default)]
pub(super) struct Lingering {
    sockets: Slab<Leaving>,
}

struct Leaving {
    stream: TcpStream,
    /// What is still to be written: the end of a message, and the close frame.
    rest: Vec<u8>,
    until_ms: u64,
}

impl Leaving {
    /// Writes what is left and throws away what the peer still says; `false` when it is over.
    fn go_on(&mut self) -> bool {
        if !self.rest.is_empty() {
            match self.stream.write(&self.rest) {
                Ok(count) => drop(self.rest.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            if self.rest.is_empty() && self.stream.shutdown(std::net::Shutdown::Write).is_err() {
                return false;
            }
        }
        let mut waste = [0; 4_096];
        for _ in 0..16 {
            match self.stream.read(&mut waste) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        // The peer floods a socket that is closed.
        false
    }
}

impl Lingering {
    /// Goes on with a socket that has become readable or writable.
    pub(super) fn ready(&mut self, at: usize) {
        if self.sockets.get_mut(at).is_some_and(|leaving| !leaving.go_on()) {
            self.sockets.remove(at);
        }
    }

    /// Whether no socket lingers.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Drops sockets whose peer does not close.
    pub(super) fn expire(&mut self, now_ms: u64) {
        if !self.sockets.is_empty() {
            self.sockets.retain(|_, leaving| leaving.until_ms > now_ms);
        }
    }
}

impl ShardLoop {
    /// Closes a connection and says why; its session may be resumed if the reason allows it.
    ///
    /// What was said before goes out before the close frame as far as the socket takes it; of the
    /// rest only the message that has begun is finished.
    pub(super) fn close(&mut self, key: ConnKey, reason: CloseReason) {
        let Some(link) = self.links.get(key) else { return };
        if let Transport::Polling(polling) = &mut link.transport {
            polling.ends = true;
        }
        self.shard.hurry(key);
        self.shard.flush(&mut self.links, 0);
        let mut rest = self.shard.unfinished(key.slot).to_vec();
        write_close(&mut rest, reason.code(), reason.sentence());
        let resumable = !matches!(reason, CloseReason::Revoked | CloseReason::Replaced);
        let Some(link) = self.forget(key, resumable, reason.label()) else { return };
        self.shared.closed(reason);
        if reason == CloseReason::Flooding {
            self.shared.flooded(link.seats.first().map(|seat| seat.who.as_ref()), link.remote);
        }
        tracing::debug!(
            slot = key.slot,
            org = link.first().map(|who| who.org.as_str()),
            user = link.first().and_then(|who| who.user.as_deref()),
            reason = reason.label(),
            "closed"
        );
        if let Transport::Socket(stream) = link.transport
            && reason != CloseReason::PingTimeout
        {
            self.linger(stream, rest, reason);
        }
    }

    /// Notes that a peer is gone.
    pub(super) fn gone(&mut self, key: ConnKey) {
        self.forget(key, true, "lost");
    }

    /// Ends a connection whose client said that it is over: nothing is kept.
    pub(super) fn ended(&mut self, key: ConnKey) {
        self.forget(key, false, "left");
    }

    /// Takes a connection out of everything.
    fn forget(&mut self, key: ConnKey, resumable: bool, cause: &'static str) -> Option<Link> {
        let mut link = self.links.remove(key)?;
        self.note_end(&link, cause);
        let is_dead = cause == CloseReason::PingTimeout.label();
        let attended = if is_dead { self.shard.attended(key.slot) } else { Vec::new() };
        if let Session::Probe { target, .. } = link.session {
            self.probe_failed(target);
        }
        self.park(&mut link, resumable);
        let left = self.node.leave_all(&mut self.shard, key.slot, None);
        if let Some(seat) = link.seats.first() {
            self.tell_left(&seat.who, &left);
        }
        for seat in &link.seats {
            self.note_closed(key, seat, cause, resumable && seat.pid.is_some());
        }
        self.is_dead(key, attended);
        self.shard.close(key);
        self.disconnected(&link);
        self.forget_wanted(key);
        if let Some(lane) = link.lane.take() {
            self.follow_unheard(*lane);
        }
        if let Transport::Polling(polling) = &mut link.transport
            && let Some(waiting) = polling.waiting.take()
        {
            // A request that was given up is not answered.
            let _ = waiting.send(PollAnswer::close());
        }
        Some(link)
    }

    fn linger(&mut self, mut stream: TcpStream, rest: Vec<u8>, reason: CloseReason) {
        let slow = reason == CloseReason::TooSlow;
        let until_ms = self.now_ms + if slow { SLOW_LINGER_MS } else { LINGER_MS };
        let entry = self.lingering.sockets.vacant_entry();
        let (at, token) = (entry.key(), Token(LINGERING + entry.key()));
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().reregister(&mut stream, token, interest).is_ok() {
            entry.insert(Leaving { stream, rest, until_ms });
            self.lingering.ready(at);
        }
    }
}
