//! Long polling: a virtual connection whose bytes leave when a GET waits.

use bytes::Bytes;
use mio::{Interest, Token};
use tidings_core::ConnKey;
use tidings_store::Digest;
use tidings_wire::CloseReason;
use tidings_wire::engineio::{self, HandshakeError, PayloadWriter};
use tidings_wire::session::SocketIo;
use tidings_wire::websocket::Decoder;
use tokio::sync::oneshot;

use super::ShardLoop;
use super::inbox::{Admitted, UpgradeAnswer};
use super::link::{Link, Session, Transport};
use super::read::Flow;
use super::timers::NOOP_MS;
use crate::front::bearer::Seated;
use crate::front::hello::Hello;
use crate::gate::Visit;
use crate::ids::SessionKey;

/// A polling session's transport.
#[derive(Default)]
pub(super) struct Polling {
    /// The GET that waits.
    pub(super) waiting: Option<oneshot::Sender<PollAnswer>>,
    /// A POST is on its way.
    posting: bool,
    /// A WebSocket has probed and is about to take over.
    pub(super) upgrading: bool,
    /// The token that its requests showed last, if that needs no second look.
    fits: Option<Digest>,
    /// The server stops, and its time to leave has come.
    pub(super) leaves: bool,
    /// What is answered next is the last, and says so.
    pub(super) ends: bool,
}

/// What a polling request is answered.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    /// 200 with packets.
    Packets(Vec<u8>),
    /// 200 `ok`, to a POST.
    Taken,
    /// An Engine.IO error.
    Refused(HandshakeError),
    /// 400 with an empty body, the session being over.
    Over,
}

impl PollAnswer {
    /// Whole WebSocket frames of ours, as one polling payload; with a close packet behind them if that is the last.
    pub(super) fn packets(frames: &[u8], ends: bool) -> Self {
        let mut payload = PayloadWriter::new();
        for (opcode, body) in Frames(frames) {
            match opcode {
                1 => payload.push_text(body),
                2 => payload.push_binary(body),
                _ => {}
            }
        }
        if ends {
            payload.push_text(b"1");
        }
        Self::Packets(payload.into_body())
    }

    /// A close packet.
    pub(super) fn close() -> Self {
        Self::Packets(b"1".to_vec())
    }

    /// A noop, which ends the request and says nothing.
    pub(super) fn noop() -> Self {
        Self::Packets(b"6".to_vec())
    }
}

/// The frames a server wrote itself: final, unmasked, uncompressed.
struct Frames<'a>(&'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [first, second, rest @ ..] = self.0 else { return None };
        let (length, rest) = match second {
            126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), &rest[2..]),
            127 => (u64::from_be_bytes(*rest.first_chunk()?), &rest[8..]),
            short => (u64::from(*short), rest),
        };
        let (body, rest) = rest.split_at_checked(length as usize)?;
        self.0 = rest;
        Some((first & 15, body))
    }
}

impl ShardLoop {
    /// Opens a polling session.
    pub(super) fn open_polling(
        &mut self,
        hello: Box<Hello>,
        visit: Option<Box<Visit>>,
        reply: oneshot::Sender<PollAnswer>,
    ) {
        if self.draining {
            // The client is told by the closed request; it comes back elsewhere.
            return drop(reply);
        }
        let polling = Box::new(Polling::default());
        let session = Session::SocketIo(SocketIo::new(self.now_ms, &self.settings.times));
        let transport = Transport::Polling(polling);
        let key = self.open(transport, session, Decoder::default(), 0, hello, Admitted::Visit(visit));
        let mut open = Vec::new();
        self.write_open(key, &["websocket"], &mut open);
        let _ = reply.send(PollAnswer::Packets(open));
    }

    /// Writes the open packet of a session.
    pub(super) fn write_open(&mut self, key: ConnKey, upgrades: &[&str], out: &mut Vec<u8>) {
        let Some(link) = self.links.get(key) else { return };
        let sid = SessionKey { shard: self.shard.index(), conn: key, secret: link.secret }.to_text();
        let beat = self.settings.times.heartbeat;
        engineio::Open {
            sid: &sid,
            upgrades,
            ping_interval_ms: beat.interval_ms,
            ping_timeout_ms: beat.timeout_ms,
            max_payload: self.settings.limits.message_bytes as u64,
        }
        .write(out);
    }

    /// A GET asks for packets.
    pub(super) fn poll_get(&mut self, session: SessionKey, reply: oneshot::Sender<PollAnswer>) {
        let key = session.conn;
        self.fire_if_due(key);
        let polling = match self.polling(session) {
            Ok(polling) => polling,
            Err(error) => return drop(reply.send(PollAnswer::Refused(error))),
        };
        if let Some(first) = polling.waiting.take() {
            // One GET at a time: both end, and the session with them.
            let _ = first.send(PollAnswer::close());
            let _ = reply.send(PollAnswer::Over);
            return self.gone(key);
        }
        polling.waiting = Some(reply);
        if let Some(Link { session: Session::Ended { .. }, .. }) = self.links.get(key) {
            self.end_poll(key);
            return self.ended(key);
        }
        if self.leaves(key) {
            return self.close(key, CloseReason::Draining);
        }
        self.shard.writable(key.slot);
    }

    /// Whether the server was about to close a session when its client asks again.
    fn leaves(&mut self, key: ConnKey) -> bool {
        let link = self.links.get(key).map(|link| &link.transport);
        matches!(link, Some(Transport::Polling(polling)) if polling.leaves) && !self.is_owed_an_answer(key)
    }

    /// The client gave its GET up; by the protocol that ends the session.
    pub(super) fn poll_aborted(&mut self, session: SessionKey) {
        if let Ok(polling) = self.polling(session)
            && polling.waiting.as_ref().is_some_and(oneshot::Sender::is_closed)
        {
            polling.waiting = None;
            self.gone(session.conn);
        }
    }

    /// Bytes that a POST may have.
    pub(super) fn may_post(&mut self, session: SessionKey) -> Result<usize, HandshakeError> {
        self.polling(session)?;
        Ok(self.limits_of(session.conn).message_bytes)
    }

    /// A POST has begun; one at a time, or the session ends.
    pub(super) fn posting(&mut self, session: SessionKey) {
        match self.polling(session) {
            Ok(polling) if polling.posting => self.gone(session.conn),
            Ok(polling) => polling.posting = true,
            Err(_) => {}
        }
    }

    /// A POST brings packets.
    pub(super) fn poll_post(
        &mut self,
        session: SessionKey,
        body: &Bytes,
        reply: oneshot::Sender<PollAnswer>,
    ) {
        let key = session.conn;
        self.fire_if_due(key);
        let draining = self.draining;
        match self.polling(session) {
            Ok(polling) => polling.posting = false,
            // Its client was told that it is over, or is being told: a refusal that overtakes the word would be an error.
            Err(HandshakeError::UnknownSid) if draining => return drop(reply.send(PollAnswer::Taken)),
            Err(error) => return drop(reply.send(PollAnswer::Refused(error))),
        }
        let limits = self.settings.limits;
        let Ok(text) = std::str::from_utf8(body) else {
            self.gone(key);
            return drop(reply.send(PollAnswer::Over));
        };
        for packet in engineio::decode_payload(text, &limits) {
            let flow = match packet {
                _ if matches!(self.meter(key), Flow::Gone) => Flow::Gone,
                Ok(engineio::Packet::Close) => {
                    // It is taken, and then it is over.
                    let _ = reply.send(PollAnswer::Taken);
                    self.engine_packet(key, engineio::Packet::Close);
                    return;
                }
                Ok(packet) => self.engine_packet(key, packet),
                Err(violation) => self.violated(key, violation),
            };
            if matches!(flow, Flow::Gone) {
                return drop(reply.send(PollAnswer::Over));
            }
        }
        self.schedule(key);
        let _ = reply.send(PollAnswer::Taken);
    }

    /// A POST was refused before it was read.
    pub(super) fn bad_post(&mut self, session: SessionKey, ends: bool) {
        match self.polling(session) {
            Ok(_) if ends => self.gone(session.conn),
            Ok(polling) => polling.posting = false,
            Err(_) => {}
        }
    }

    /// Who has signed in on a session, unless this token is known to fit or there is nobody to compare with.
    pub(super) fn whose(&mut self, session: SessionKey, token: Digest) -> Seated {
        if !matches!(self.polling(session), Ok(polling) if polling.fits != Some(token)) {
            return Seated::new();
        }
        let Some(link) = self.links.get(session.conn) else { return Seated::new() };
        let seated = link.seats.iter().map(|seat| &seat.who);
        seated.filter(|who| who.user.is_some()).cloned().collect()
    }

    /// A token was compared with who has signed in, and nothing stands against it.
    pub(super) fn fits(&mut self, session: SessionKey, token: Digest) {
        if let Ok(polling) = self.polling(session) {
            polling.fits = Some(token);
        }
    }

    /// Whether a WebSocket may take a session over.
    pub(super) fn may_upgrade(&mut self, session: SessionKey) -> UpgradeAnswer {
        match self.polling(session) {
            Ok(polling) if !polling.upgrading => UpgradeAnswer::Yes,
            Ok(_) | Err(HandshakeError::BadRequest) => UpgradeAnswer::NotPolling,
            Err(_) => UpgradeAnswer::UnknownSid,
        }
    }

    /// A WebSocket has probed: polls are ended from now on, so that the client can change over.
    pub(super) fn probed(&mut self, probe: ConnKey, target: ConnKey) {
        if let Some(Link { transport: Transport::Polling(polling), .. }) = self.links.get(target) {
            polling.upgrading = true;
        }
        let at_ms = self.now_ms + NOOP_MS;
        if let Some(Link { session: Session::Probe { noop_ms, .. }, .. }) = self.links.get(probe) {
            *noop_ms = at_ms;
        }
        self.schedule(probe);
    }

    /// Ends the open poll of a session, unless there is something to answer it with.
    pub(super) fn end_poll(&mut self, key: ConnKey) {
        if self.shard.waiting(key.slot) > 0 {
            return;
        }
        if let Some(Link { transport: Transport::Polling(polling), .. }) = self.links.get(key)
            && let Some(waiting) = polling.waiting.take()
        {
            let _ = waiting.send(PollAnswer::noop());
        }
    }

    /// A probing WebSocket ended before it took over.
    pub(super) fn probe_failed(&mut self, target: ConnKey) {
        if let Some(Link { transport: Transport::Polling(polling), .. }) = self.links.get(target) {
            polling.upgrading = false;
        }
    }

    /// A WebSocket takes a polling session over.
    pub(super) fn upgrade(&mut self, probe: ConnKey, target: ConnKey) -> Flow {
        // What was said to the probe itself is out already: the client has waited for it.
        self.shard.flush(&mut self.links, 0);
        let fits = matches!(
            self.links.get(target),
            Some(Link { transport: Transport::Polling(polling), .. }) if polling.upgrading
        );
        if !fits {
            self.close(probe, CloseReason::Protocol);
            return Flow::Gone;
        }
        let Some(socket) = self.links.remove(probe) else { return Flow::Gone };
        self.shard.close(probe);
        let Transport::Socket(mut stream) = socket.transport else { return Flow::Gone };
        let token = Token(target.slot as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().reregister(&mut stream, token, interest).is_err() {
            self.gone(target);
            return Flow::Gone;
        }
        let Some(link) = self.links.get(target) else { return Flow::Gone };
        link.deflate = socket.deflate;
        let old = std::mem::replace(&mut link.transport, Transport::Socket(stream));
        if let Transport::Polling(polling) = old
            && let Some(waiting) = polling.waiting
        {
            let _ = waiting.send(PollAnswer::noop());
        }
        self.shard.writable(target.slot);
        Flow::As(target)
    }

    /// The polling transport of a session, if the key is right.
    fn polling(&mut self, session: SessionKey) -> Result<&mut Polling, HandshakeError> {
        let link = self.links.get(session.conn).filter(|link| link.secret == session.secret);
        match link.map(|link| (&mut link.transport, &link.session)) {
            Some((Transport::Polling(polling), _)) => Ok(polling),
            Some((Transport::Socket(_), Session::SocketIo(_))) => Err(HandshakeError::BadRequest),
            _ => Err(HandshakeError::UnknownSid),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_wire::websocket::{Opcode, write_frame};

    use super::*;

    #[test]
    fn frames_become_one_payload_in_order() {
        let mut frames = Vec::new();
        write_frame(&mut frames, Opcode::Text, b"42[\"a\"]");
        write_frame(&mut frames, Opcode::Binary, &[1, 2, 3, 4]);
        write_frame(&mut frames, Opcode::Ping, b"");
        let long = vec![b'x'; 70_000];
        write_frame(&mut frames, Opcode::Text, &long);
        let PollAnswer::Packets(body) = PollAnswer::packets(&frames, false) else { panic!("no packets") };
        let text = String::from_utf8(body).unwrap();
        let parts: Vec<&str> = text.split('\u{1e}').collect();
        assert_eq!(&parts[..2], ["42[\"a\"]", "bAQIDBA=="]);
        assert_eq!(parts[2].len(), 70_000);
        let PollAnswer::Packets(last) = PollAnswer::packets(&frames, true) else { panic!("no packets") };
        assert_eq!(String::from_utf8(last).unwrap(), format!("{text}\u{1e}1"));
    }
}
