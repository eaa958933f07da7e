//! A listener's thread: it accepts, and looks at the first bytes of each socket.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::direct;
use super::serve::{self, Door, HEAD_BYTES};

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);
/// The first one of a socket.
const SOCKETS: usize = 2;

/// Events that are taken at once; a crowd comes in many of them.
const EVENTS: usize = 256;

/// When no socket could be accepted, most likely for want of a descriptor, one may be free so much later.
const PAUSE: Duration = Duration::from_millis(50);

/// A request follows its connection at once; one that takes longer is waited for by the HTTP server, and so are those
/// of whom too many are silent. A crowd connects first and speaks then.
const FIRST_BYTES: Duration = Duration::from_millis(100);
const SILENT: usize = 4_096;

/// A listener at work; it is closed when this is dropped.
pub(crate) struct Accepting {
    stop: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Accepting {
    /// Starts to accept.
    ///
    /// # Errors
    /// The system has no thread or poll for it.
    pub(crate) fn start(mut listener: TcpListener, door: Arc<Door>) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Waker::new(poll.registry(), STOP)?;
        let run = move || accept(poll, &listener, &door);
        let thread = std::thread::Builder::new().name("accept".into()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        let stopped =
            self.stop.wake().is_ok() && self.thread.take().is_some_and(|thread| thread.join().is_ok());
        if !stopped {
            tracing::error!("a listener could not be closed");
        }
    }
}

/// Sockets that could not be accepted: one line in a while tells of all of them.
#[derive(Default)]
struct Failures {
    /// Since the last line.
    times: u64,
    told_at: Option<Instant>,
}

/// A listener that cannot accept says so this often: who fills the descriptors must not fill the disk as well.
const TELL_AGAIN: Duration = Duration::from_secs(10);

impl Failures {
    /// Counts one; how many there were since the last line, if it is time for another.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.times += 1;
        if self.told_at.is_some_and(|told_at| now.duration_since(told_at) < TELL_AGAIN) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}

/// A socket of which nothing has arrived yet.
struct Silent {
    stream: TcpStream,
    remote: IpAddr,
    until: Instant,
}

fn accept(poll: Poll, listener: &TcpListener, door: &Arc<Door>) {
    let mut events = Events::with_capacity(EVENTS);
    let mut welcome =
        Welcome { door, poll, head: vec![0; HEAD_BYTES], silent: BTreeMap::new(), next: SOCKETS };
    let (mut pause, mut failures) = (None, Failures::default());
    loop {
        let wait = pause.or_else(|| welcome.patience());
        match welcome.poll.poll(&mut events, wait) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return tracing::error!(%error, "a listener cannot wait for connections");
            }
            _ => {}
        }
        let mut comes = pause.take().is_some();
        for event in &events {
            match event.token() {
                STOP => return,
                LISTENER => comes = true,
                Token(socket) => welcome.heard(socket),
            }
        }
        if comes && let Err(error) = welcome.accept_all(listener) {
            if let Some(times) = failures.count(Instant::now()) {
                tracing::warn!(%error, times, "connections cannot be accepted");
            }
            pause = Some(PAUSE);
        }
        welcome.give_up();
    }
}

struct Welcome<'a> {
    door: &'a Arc<Door>,
    poll: Poll,
    head: Vec<u8>,
    /// By the number of their token, so that the first one has waited longest.
    silent: BTreeMap<usize, Silent>,
    next: usize,
}

impl Welcome<'_> {
    fn accept_all(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((stream, remote)) => {
                    self.begin(stream, remote.ip());
                    while let Some(wait) = self.door.front.shared.gate.before_accept() {
                        std::thread::sleep(wait);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Who gave up while waiting is no reason not to take the next one.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes a socket in; if nothing has arrived of it, as soon as something has.
    fn begin(&mut self, mut stream: TcpStream, remote: IpAddr) {
        match stream.read(&mut self.head) {
            Ok(0) => {}
            Ok(count) => self.take(stream, remote, count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait_for(stream, remote),
            Err(_) => {}
        }
    }

    fn wait_for(&mut self, mut stream: TcpStream, remote: IpAddr) {
        let token = Token(self.next);
        let full = self.silent.len() >= SILENT;
        if full || self.poll.registry().register(&mut stream, token, Interest::READABLE).is_err() {
            return serve::spawn(self.door, stream, remote, &[]);
        }
        self.next += 1;
        self.silent.insert(token.0, Silent { stream, remote, until: Instant::now() + FIRST_BYTES });
    }

    /// Something has arrived of a socket that was silent.
    fn heard(&mut self, socket: usize) {
        if let Some(silent) = self.silent.remove(&socket) {
            let (stream, remote) = self.forget(silent);
            self.begin(stream, remote);
        }
    }

    /// How long the one that has been silent longest is still waited for.
    fn patience(&self) -> Option<Duration> {
        let (_, silent) = self.silent.first_key_value()?;
        Some(silent.until.saturating_duration_since(Instant::now()))
    }

    /// Hands those who were silent for too long to the HTTP server.
    fn give_up(&mut self) {
        if self.silent.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(first) = self.silent.first_entry().filter(|first| now >= first.get().until) {
            let silent = first.remove();
            let (stream, remote) = self.forget(silent);
            serve::spawn(self.door, stream, remote, &[]);
        }
    }

    /// Whoever has a socket next registers it anew.
    fn forget(&self, Silent { mut stream, remote, .. }: Silent) -> (TcpStream, IpAddr) {
        // It fails only for one that is not registered.
        let _ = self.poll.registry().deregister(&mut stream);
        (stream, remote)
    }

    /// Hands a WebSocket that can be granted at once to its shard, and everything else to the HTTP server.
    fn take(&mut self, stream: TcpStream, remote: IpAddr, count: usize) {
        let read = &self.head[..count];
        if let Some(stream) = direct::take(self.door, stream, remote, read) {
            serve::spawn(self.door, stream, remote, read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_cannot_accept_says_so_every_ten_seconds_and_how_often() {
        let (mut failures, begin) = (Failures::default(), Instant::now());
        let told: Vec<(u32, u64)> = (0..500)
            .filter_map(|turn| failures.count(begin + turn * PAUSE).map(|times| (turn, times)))
            .collect();
        assert_eq!(told, [(0, 1), (200, 200), (400, 200)]);
    }
}
