//! A request's socket: its first bytes were read already, and its peer has to take what it is sent.

use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A socket that gives the bytes read before once more, and then its own; it breaks when its peer takes
/// nothing for [`STALL_TIME`].
///
/// An answer waits in memory until it is taken, and no other timer runs meanwhile.
pub(super) struct Replay {
    read: Bytes,
    socket: TokioIo<TcpStream>,
    stall_time: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// A peer may take nothing of an answer for so long.
pub(super) const STALL_TIME: Duration = Duration::from_secs(20);

impl Replay {
    pub(super) fn new(read: Bytes, socket: TcpStream, stall_time: Duration) -> Self {
        Self { read, socket: TokioIo::new(socket), stall_time, stalled: None }
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.socket.into_inner()
    }
}

impl Read for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, into);
        }
        let count = self.read.len().min(into.remaining());
        into.put_slice(&self.read[..count]);
        self.read.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl Write for Replay {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.socket).poll_write(cx, bytes) {
            self.stalled = None;
            return Poll::Ready(written);
        }
        let stall_time = self.stall_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall_time)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(Error::from(ErrorKind::TimedOut)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::poll_fn;
    use std::io::Read as _;
    use std::sync::mpsc::{Sender, channel};
    use std::thread;

    use super::*;

    /// What becomes of an answer that is far larger than the buffers of a socket.
    ///
    /// The peer is told by the end of `done` that nothing more comes.
    async fn write(
        stall_time: Duration,
        peer: impl FnOnce(std::net::TcpStream) + Send + 'static,
        done: Sender<()>,
    ) -> Result<()> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut socket = Replay::new(Bytes::new(), TcpStream::from_std(socket).unwrap(), stall_time);
        let peer = thread::spawn(move || peer(client));
        let (answer, mut sent) = (vec![b'x'; 64 << 20], 0);
        let mut written = Ok(());
        while sent < answer.len() && written.is_ok() {
            match poll_fn(|cx| Pin::new(&mut socket).poll_write(cx, &answer[sent..])).await {
                Ok(count) => sent += count,
                Err(error) => written = Err(error),
            }
        }
        drop((socket, done));
        peer.join().unwrap();
        written
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (done, gone) = channel::<()>();
        let waits = move |peer: std::net::TcpStream| {
            // Its socket stays open, and nobody reads from it.
            let _ = gone.recv();
            drop(peer);
        };
        let error = write(Duration::from_millis(50), waits, done).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_its_time_but_goes_on_gets_everything() {
        let reads = |mut peer: std::net::TcpStream| {
            let mut part = vec![0; 256 << 10];
            while peer.read(&mut part).unwrap() > 0 {
                thread::yield_now();
            }
        };
        write(Duration::from_secs(20), reads, channel().0).await.unwrap();
    }
}
