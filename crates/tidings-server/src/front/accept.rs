//! A listener's thread: it accepts, and looks at the first bytes of each socket.

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

/// When no socket could be accepted, most likely for want of a descriptor, one may be free so much later.
const PAUSE: Duration = Duration::from_millis(50);

/// A request follows its connection at once; one that takes longer is waited for by the HTTP server, which
/// registers the socket. So many are looked at again, so often and for so long.
const SILENT: usize = 64;
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const FIRST_BYTES: Duration = Duration::from_millis(2);

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
    since: Instant,
}

fn accept(mut poll: Poll, listener: &TcpListener, door: &Arc<Door>) {
    let mut events = Events::with_capacity(2);
    let mut welcome = Welcome { door, head: vec![0; HEAD_BYTES], silent: Vec::new() };
    let (mut pause, mut failures) = (None, Failures::default());
    loop {
        let soon = (!welcome.silent.is_empty()).then_some(LOOK_AGAIN);
        match poll.poll(&mut events, pause.take().or(soon)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return tracing::error!(%error, "a listener cannot wait for connections");
            }
            _ => {}
        }
        if events.iter().any(|event| event.token() == STOP) {
            return;
        }
        if let Err(error) = welcome.accept_all(listener) {
            if let Some(times) = failures.count(Instant::now()) {
                tracing::warn!(%error, times, "connections cannot be accepted");
            }
            pause = Some(PAUSE);
        }
        welcome.look_again();
    }
}

struct Welcome<'a> {
    door: &'a Arc<Door>,
    head: Vec<u8>,
    silent: Vec<Silent>,
}

impl Welcome<'_> {
    fn accept_all(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((stream, remote)) => {
                    self.take(Silent { stream, remote: remote.ip(), since: Instant::now() });
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

    /// Looks once more at those of whom nothing had arrived.
    fn look_again(&mut self) {
        for silent in std::mem::take(&mut self.silent) {
            self.take(silent);
        }
    }

    /// Hands a WebSocket that can be granted at once to its shard, and everything else to the HTTP server.
    fn take(&mut self, mut silent: Silent) {
        let read = match silent.stream.read(&mut self.head) {
            Ok(0) => return,
            Ok(count) => &self.head[..count],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.silent.len() < SILENT && silent.since.elapsed() < FIRST_BYTES {
                    return self.silent.push(silent);
                }
                &[]
            }
            Err(_) => return,
        };
        if let Some(stream) = direct::take(self.door, silent.stream, silent.remote, read) {
            serve::spawn(self.door, stream, silent.remote, read);
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
