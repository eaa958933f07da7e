//! A listener's thread: it accepts, and looks at the first bytes of each socket.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::direct;
use super::serve::{self, Door, HEAD_BYTES};

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);

/// When no socket could be accepted, most likely for want of a descriptor, one may be free so much later.
const PAUSE: Duration = Duration::from_millis(50);

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

fn accept(mut poll: Poll, listener: &TcpListener, door: &Arc<Door>) {
    let mut events = Events::with_capacity(2);
    let mut head = vec![0; HEAD_BYTES];
    let mut pause = None;
    loop {
        match poll.poll(&mut events, pause.take()) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                return tracing::error!(%error, "a listener cannot wait for connections");
            }
            _ => {}
        }
        if events.iter().any(|event| event.token() == STOP) {
            return;
        }
        if let Err(error) = accept_all(listener, door, &mut head) {
            tracing::warn!(%error, "a connection could not be accepted");
            pause = Some(PAUSE);
        }
    }
}

fn accept_all(listener: &TcpListener, door: &Arc<Door>, head: &mut [u8]) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, remote)) => {
                welcome(door, stream, remote.ip(), head);
                while let Some(wait) = door.front.shared.gate.before_accept() {
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

/// Hands a WebSocket that can be granted at once to its shard, and everything else to the HTTP server.
fn welcome(door: &Arc<Door>, mut stream: TcpStream, remote: std::net::IpAddr, head: &mut [u8]) {
    let read = match stream.read(head) {
        Ok(0) => return,
        Ok(count) => &head[..count],
        Err(error) if error.kind() == ErrorKind::WouldBlock => &[],
        Err(_) => return,
    };
    if let Some(stream) = direct::take(door, stream, remote, read) {
        serve::spawn(door, stream, remote, read);
    }
}
