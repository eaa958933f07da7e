//! How connections end.

use std::io::{ErrorKind, Read};

use mio::net::TcpStream;
use mio::{Interest, Token};
use slab::Slab;
use tidings_core::{ConnKey, Sink};
use tidings_wire::CloseReason;
use tidings_wire::websocket::write_close;

use super::link::{Link, Session, Transport};
use super::polling::PollAnswer;
use super::{LINGERING, ShardLoop};

/// How long a closed socket is read on, so that the close frame is not lost to a reset.
const LINGER_MS: u64 = 2_000;

/// Sockets that were closed by us, waiting for the peer to close as well.
#[derive(Default)]
pub(super) struct Lingering {
    /// Each with the time when it is dropped.
    sockets: Slab<(TcpStream, u64)>,
}

impl Lingering {
    /// Throws away what a peer still says; lets the socket go when it has closed.
    pub(super) fn ready(&mut self, at: usize) {
        let Some((stream, _)) = self.sockets.get_mut(at) else { return };
        let mut waste = [0; 4_096];
        for _ in 0..16 {
            match stream.read(&mut waste) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // The peer has closed, or floods a socket that is closed: either way it is over.
        self.sockets.remove(at);
    }

    /// Whether no socket lingers.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Drops sockets whose peer does not close.
    pub(super) fn expire(&mut self, now_ms: u64) {
        if !self.sockets.is_empty() {
            self.sockets.retain(|_, (_, until)| *until > now_ms);
        }
    }
}

impl ShardLoop {
    /// Closes a connection and says why; its session may be resumed if the reason allows it.
    pub(super) fn close(&mut self, key: ConnKey, reason: CloseReason) {
        if self.links.get(key).is_none() {
            return;
        }
        // What was said before the close goes out before it, as far as the socket takes it.
        self.shard.flush(&mut self.links, 0);
        let waiting = self.shard.waiting(key.slot);
        if reason != CloseReason::PingTimeout && waiting == 0 {
            let mut frame = Vec::new();
            write_close(&mut frame, reason.code(), reason.sentence());
            self.say_goodbye(key, &frame);
        }
        let resumable = !matches!(reason, CloseReason::Revoked | CloseReason::Replaced);
        let Some(link) = self.forget(key, resumable) else { return };
        self.shared.closed(reason);
        tracing::debug!(slot = key.slot, user = link.user().map(|u| u.as_str()), reason = reason.label(), "closed");
        if let Transport::Socket(stream) = link.transport {
            self.linger(stream);
        }
    }

    /// Notes that a peer is gone.
    pub(super) fn gone(&mut self, key: ConnKey) {
        self.forget(key, true);
    }

    /// Ends a connection whose client said that it is over: nothing is kept.
    pub(super) fn ended(&mut self, key: ConnKey) {
        self.forget(key, false);
    }

    fn say_goodbye(&mut self, key: ConnKey, frame: &[u8]) {
        let Some(link) = self.links.get(key) else { return };
        match &mut link.transport {
            Transport::Socket(_) => {
                // The peer closes or not; there is nobody left to tell.
                let _ = self.links.send(key.slot, frame);
            }
            Transport::Polling(polling) => {
                if let Some(waiting) = polling.waiting.take() {
                    let _ = waiting.send(PollAnswer::close());
                }
            }
        }
    }

    /// Takes a connection out of everything.
    fn forget(&mut self, key: ConnKey, resumable: bool) -> Option<Link> {
        let mut link = self.links.remove(key)?;
        if let Session::Probe { target, .. } = link.session {
            self.probe_failed(target);
        }
        self.park(&mut link, resumable);
        self.node.leave_all(&mut self.shard, key.slot, None);
        self.shard.close(key);
        self.disconnected(&link);
        if let Transport::Polling(polling) = &mut link.transport
            && let Some(waiting) = polling.waiting.take()
        {
            // A request that was given up is not answered.
            let _ = waiting.send(PollAnswer::Over);
        }
        Some(link)
    }

    fn linger(&mut self, mut stream: TcpStream) {
        if stream.shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        let until = self.now_ms + LINGER_MS;
        let entry = self.lingering.sockets.vacant_entry();
        let token = Token(LINGERING + entry.key());
        if self.poll.registry().reregister(&mut stream, token, Interest::READABLE).is_ok() {
            let at = entry.key();
            entry.insert((stream, until));
            self.lingering.ready(at);
        }
    }
}
