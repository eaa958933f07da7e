//! A WebSocket that costs little: hundreds of them share one thread with what they measure beside them.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use serde::Deserialize;
use tidings_testkit::frames::{FromServer, write_masked};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What every message begins with; the rest is read by those it is for.
#[derive(Debug, Deserialize)]
pub(crate) struct Said<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) id: Option<u64>,
    pub(crate) room: Option<&'a str>,
    pub(crate) event: Option<&'a str>,
    pub(crate) epoch: Option<&'a str>,
    pub(crate) offset: Option<u64>,
    pub(crate) tag: Option<&'a str>,
}

/// A connection to the door of the plain protocol.
pub(crate) struct Line {
    stream: TcpStream,
    read: Vec<u8>,
    /// Up to where it was understood.
    at: usize,
    next: u64,
}

impl Line {
    /// Connects and signs in.
    pub(crate) async fn open(addr: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut line = Self { stream, read: Vec::with_capacity(16 << 10), at: 0, next: 1 };
        let upgrade = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        line.stream.write_all(upgrade.as_bytes()).await?;
        line.switched().await?;
        line.say(1, &format!("{{\"type\":\"auth\",\"token\":\"{token}\"}}")).await?;
        loop {
            match line.pop() {
                Some((1, text)) if line.text(&text).starts_with("{\"type\":\"auth:ok\"") => return Ok(line),
                Some((opcode, text)) => {
                    return Err(io::Error::other(format!("{opcode} {}", line.text(&text))));
                }
                None => line.more().await?,
            }
        }
    }

    async fn switched(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let switched = self.read.starts_with(b"HTTP/1.1 101");
                self.at = end + 4;
                return if switched { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) };
            }
            self.more().await?;
        }
    }

    async fn say(&mut self, opcode: u8, text: &str) -> io::Result<()> {
        let mut frame = Vec::with_capacity(text.len() + 14);
        write_masked(&mut frame, 0x80, opcode, text.as_bytes(), [1, 2, 3, 4]);
        self.stream.write_all(&frame).await
    }

    /// Says a command, which is a JSON object that is not begun; its id.
    pub(crate) async fn command(&mut self, rest: &str) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        self.say(1, &format!("{{\"id\":{id},{rest}")).await.map(|()| id)
    }

    /// Waits for more; may be given up and asked for again.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        self.read.drain(..std::mem::take(&mut self.at));
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next frame that is there: its opcode, and where its text is.
    pub(crate) fn pop(&mut self) -> Option<(u8, Range<usize>)> {
        let FromServer { first, payload } = FromServer::parse(&self.read[self.at..])?;
        let text = self.at + payload.start..self.at + payload.end;
        self.at = text.end;
        Some((first & 15, text))
    }

    /// The text of a frame, until more is waited for.
    pub(crate) fn text(&self, at: &Range<usize>) -> &str {
        std::str::from_utf8(&self.read[at.clone()]).unwrap()
    }

    /// Answers a ping.
    pub(crate) async fn pong(&mut self, at: Range<usize>) -> io::Result<()> {
        let text = self.text(&at).to_owned();
        self.say(10, &text).await
    }
}
