//! One connection to the server under test.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;
use memchr::memmem;
use mio::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

use super::clock::Clock;
use super::dialect::{PONG, Position, Proto, SUBSCRIBE_ID, Said};
use super::frames::{Frames, Opcode, pong_frame, text_frame};
use crate::client::target::Credential;

/// The sample key of RFC 6455 section 1.3 and the answer it has to get.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// The longest answer to the upgrade.
const MOST_HEAD: usize = 16 * 1024;
/// The most that may wait to be sent: a server that stops reading ends the line, not our memory.
const MOST_OUT: usize = 16 << 20;

/// What all lines have in common.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) proto: Proto,
    pub(crate) address: SocketAddr,
    /// The path before the protocol's own.
    pub(crate) prefix: String,
    /// Every line is a user of its own where tokens are made here.
    pub(crate) credential: Credential,
    /// Client addresses: 127.0.0.2 and up, so that ports do not run out.
    pub(crate) sources: u8,
    /// Rooms; subscriber i is in room i modulo this.
    pub(crate) rooms: u32,
    /// The kind of the rooms.
    pub(crate) kind: String,
    /// The largest segment that is accepted, in bytes, if not the system's. The kernel's send
    /// buffers are sized by it (tcp(7), `TCP_MAXSEG`).
    pub(crate) segment: Option<u32>,
    pub(crate) clock: Clock,
}

impl Place {
    /// The name of a room.
    pub(crate) fn room(&self, number: u32) -> String {
        format!("{}:r{number:05}", self.kind)
    }

    fn upgrade(&self) -> String {
        format!(
            "GET {}{} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n",
            self.prefix,
            self.proto.path(),
            self.address
        )
    }

    fn sign_in(&self, index: usize) -> Result<Vec<u8>> {
        let token = match &self.credential {
            Credential::Minted { grant, signer } => {
                let mut grant = grant.clone();
                grant.user = format!("bench-{index:05}");
                Some(signer.sign(&grant).map_err(anyhow::Error::msg)?)
            }
            other => other.token()?,
        };
        Ok(text_frame(&self.proto.sign_in(token.as_deref())))
    }

    /// Starts to connect without waiting.
    fn dial(&self, index: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(segment) = self.segment {
            socket.set_tcp_mss(segment)?;
        }
        if let (IpAddr::V4(_), 1..) = (self.address.ip(), self.sources) {
            let last = 2 + u8::try_from(index % usize::from(self.sources)).unwrap_or_default();
            socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into())?;
        }
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                Err(error)
            }
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}

/// What a scenario does with what it hears; lines are known by their index.
pub(crate) trait Listener {
    /// The server's answer to the line's subscription, which is granted.
    fn subscribed(&mut self, _index: usize, _answer: &[u8]) {}
    /// The line is signed in, and subscribed if it was to.
    fn live(&mut self, _line: &mut Line, _index: usize, _now: u64) {}
    /// An event of a room.
    fn event(&mut self, _index: usize, _message: &[u8], _now: u64) {}
    /// The answer to a request; what the line is given to queue leaves in one write.
    fn ack(&mut self, _line: &mut Line, _index: usize, _id: u32, _ok: bool, _message: &[u8], _now: u64) {}
    /// The server said no to something that has no ack.
    fn refused(&mut self, _message: &[u8]) {}
}

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not connected.
    Idle,
    /// Waits for the answer to the upgrade.
    Upgrade,
    /// Waits to be signed in.
    SignIn,
    /// Waits to be subscribed.
    Subscribe,
    /// Takes part.
    Live,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: Option<TcpStream>,
    stage: Stage,
    subscribes: bool,
    frames: Frames,
    head: Vec<u8>,
    out: Vec<u8>,
    /// Where it left off in its room, if it comes back.
    pub(crate) since: Option<Position>,
    /// When the current connection was begun.
    pub(crate) dialled_at: u64,
    /// Bytes received.
    pub(crate) received: u64,
    /// Why the last connection ended.
    pub(crate) reason: Option<String>,
    /// The code with which the server closed it.
    pub(crate) code: Option<u16>,
}

impl Line {
    /// A line that subscribes to its room, or only signs in.
    pub(crate) fn new(subscribes: bool) -> Self {
        Self {
            stream: None,
            stage: Stage::Idle,
            subscribes,
            frames: Frames::default(),
            head: Vec::new(),
            out: Vec::new(),
            since: None,
            dialled_at: 0,
            received: 0,
            reason: None,
            code: None,
        }
    }

    /// Where it stands.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// Begins to connect.
    pub(crate) fn dial(&mut self, place: &Place, index: usize) {
        self.dialled_at = place.clock.now();
        self.reason = None;
        self.code = None;
        self.frames = Frames::default();
        self.head.clear();
        self.out = place.upgrade().into_bytes();
        match place.dial(index) {
            Ok(stream) => {
                self.stream = Some(stream);
                self.stage = Stage::Upgrade;
            }
            Err(error) => self.close(format!("cannot connect: {error}")),
        }
    }

    /// The socket, to be registered.
    pub(crate) fn stream(&mut self) -> Option<&mut TcpStream> {
        self.stream.as_mut()
    }

    /// Ends the connection on our side.
    pub(crate) fn close(&mut self, reason: String) {
        self.stream = None;
        self.stage = Stage::Idle;
        self.out = Vec::new();
        self.reason.get_or_insert(reason);
    }

    /// Ends it with a reset, as a network that breaks does: without a goodbye and without TIME_WAIT.
    pub(crate) fn kill(&mut self) {
        if let Some(stream) = &self.stream {
            // A socket that cannot be reset is closed by the drop below.
            SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)).ok();
        }
        self.close("killed".into());
    }

    /// Adds bytes to what is sent by the next [`Line::flush`].
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        if self.stream.is_none() {
            return;
        }
        if self.out.len() + bytes.len() > MOST_OUT {
            self.close("the server stopped reading".into());
            return;
        }
        self.out.extend_from_slice(bytes);
    }

    /// Sends what is queued, as much as the socket takes.
    pub(crate) fn flush(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut sent = 0;
        let failed = loop {
            match stream.write(self.out.get(sent..).unwrap_or_default()) {
                _ if sent == self.out.len() => break None,
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Before the connection stands the error is ENOTCONN; the socket tells when it does.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break None;
                }
                Err(error) => break Some(error),
            }
        };
        if let Some(error) = failed {
            self.close(format!("cannot send: {error}"));
        } else if sent == self.out.len() && sent > 4096 {
            self.out = Vec::new();
        } else {
            self.out.drain(..sent);
        }
    }

    /// Reads all there is, answers, and tells the listener.
    pub(crate) fn read(
        &mut self,
        place: &Place,
        index: usize,
        buffer: &mut [u8],
        listener: &mut impl Listener,
    ) {
        while let Some(stream) = &mut self.stream {
            let count = match stream.read(buffer) {
                Ok(0) => return self.close("the server hung up".into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(error) => return self.close(format!("cannot receive: {error}")),
            };
            self.received += count as u64;
            let bytes = buffer.get(..count).unwrap_or_default();
            if self.stage == Stage::Upgrade {
                let rest = self.upgraded(place, index, bytes);
                self.take(place, index, &rest, listener);
            } else {
                self.take(place, index, bytes, listener);
            }
            // A short read has emptied the socket; what comes later raises a new edge (epoll(7)).
            if count < buffer.len() {
                break;
            }
        }
        self.flush();
    }

    /// Reads the answer to the upgrade; what stands behind it comes back.
    fn upgraded(&mut self, place: &Place, index: usize, bytes: &[u8]) -> Vec<u8> {
        self.head.extend_from_slice(bytes);
        let Some(end) = memmem::find(&self.head, b"\r\n\r\n") else {
            if self.head.len() > MOST_HEAD {
                self.close("the answer to the upgrade is too long".into());
            }
            return Vec::new();
        };
        let mut head = std::mem::take(&mut self.head);
        let rest = head.split_off(end + 4);
        if !head.starts_with(b"HTTP/1.1 101") || memmem::find(&head, ACCEPT).is_none() {
            let first =
                String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default()).into();
            self.close(first);
            return Vec::new();
        }
        self.stage = Stage::SignIn;
        if place.proto.client_opens() {
            self.sign_in(place, index);
        }
        rest
    }

    fn sign_in(&mut self, place: &Place, index: usize) {
        match place.sign_in(index) {
            Ok(frame) => self.queue(&frame),
            Err(error) => self.close(format!("no token: {error:#}")),
        }
    }

    fn take(&mut self, place: &Place, index: usize, bytes: &[u8], listener: &mut impl Listener) {
        let now = place.clock.now();
        let mut frames = std::mem::take(&mut self.frames);
        let fed = frames.feed(bytes, |opcode, payload| match opcode {
            Opcode::Text => self.message(place, index, payload, now, listener),
            Opcode::Ping => self.queue(&pong_frame(payload)),
            Opcode::Close => {
                self.code = payload.first_chunk().copied().map(u16::from_be_bytes);
                self.close(closed(payload));
            }
            Opcode::Binary | Opcode::Pong => {}
        });
        self.frames = frames;
        if let Err(bad) = fed {
            self.close(bad.to_string());
        }
    }

    fn message(
        &mut self,
        place: &Place,
        index: usize,
        message: &[u8],
        now: u64,
        listener: &mut impl Listener,
    ) {
        let pending = matches!(self.stage, Stage::SignIn | Stage::Subscribe);
        match place.proto.classify(message) {
            Said::Event => listener.event(index, message, now),
            Said::Ack { id: SUBSCRIBE_ID, ok } if self.stage == Stage::Subscribe => {
                if ok {
                    listener.subscribed(index, message);
                    self.go_live(index, now, listener);
                } else {
                    self.close(refusal(message));
                }
            }
            Said::Ack { id, ok } => listener.ack(self, index, id, ok, message, now),
            Said::Ping => self.queue(&text_frame(PONG)),
            Said::Open => self.sign_in(place, index),
            Said::Ready if self.stage == Stage::SignIn => self.ready(place, index, now, listener),
            Said::Refused(words) if pending => self.close(refusal(words)),
            Said::Refused(words) => listener.refused(words),
            Said::Ready | Said::Other => {}
        }
    }

    fn ready(&mut self, place: &Place, index: usize, now: u64, listener: &mut impl Listener) {
        if !self.subscribes {
            return self.go_live(index, now, listener);
        }
        self.stage = Stage::Subscribe;
        let room = u32::try_from(index).unwrap_or_default() % place.rooms.max(1);
        self.queue(&text_frame(&place.proto.subscribe(&place.room(room), self.since.as_ref())));
    }

    fn go_live(&mut self, index: usize, now: u64, listener: &mut impl Listener) {
        self.stage = Stage::Live;
        listener.live(self, index, now);
    }
}

/// The server's words, cut to a line.
pub(crate) fn refusal(message: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(message).chars().filter(|c| !c.is_control()).take(300).collect();
    format!("refused: {text}")
}

fn closed(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            format!("closed by the server ({code} {})", refusal(reason).trim_start_matches("refused: "))
        }
        _ => "closed by the server".into(),
    }
}
