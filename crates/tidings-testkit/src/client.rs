//! A client of the plain protocol, without the server's own codec.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::described::check_answer;
use crate::frames::{FromServer, write_masked};

mod follower;

pub use follower::Follower;

/// The longest a client waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the plain protocol.
#[derive(Debug)]
pub struct PlainClient {
    stream: TcpStream,
    read: Vec<u8>,
    next: u64,
    /// What came while an answer was waited for.
    kept: VecDeque<Heard>,
}

/// A place in a room as the server writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// 16 hexadecimal digits.
    pub epoch: String,
    /// 1, 2, 3 …; 0 before the first.
    pub offset: u64,
    /// A mark of the message there, once one was heard.
    pub tag: Option<String>,
}

impl Position {
    /// What `subscribe` takes as `since`.
    pub fn since(&self) -> Value {
        match &self.tag {
            Some(tag) => json!({"epoch": self.epoch, "offset": self.offset, "tag": tag}),
            None => json!({"epoch": self.epoch, "offset": self.offset}),
        }
    }

    /// The position in a message or answer, if there is one.
    pub fn of(body: &Value) -> Option<Self> {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Some(Self { epoch: text("epoch")?, offset: body["offset"].as_u64()?, tag: text("tag") })
    }

    /// The same for a history.
    ///
    /// # Panics
    /// If the epoch is no number in hexadecimal.
    pub fn at(&self) -> crate::history::At {
        let epoch = u64::from_str_radix(&self.epoch, 16);
        let epoch = epoch.unwrap_or_else(|error| panic!("the epoch {}: {error}", self.epoch));
        crate::history::At { epoch, offset: self.offset }
    }
}

/// What a server said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The answer to a command.
    Ack {
        /// Whose.
        id: u64,
        /// All of it.
        body: Value,
    },
    /// An event of a room.
    Event {
        /// The room.
        room: String,
        /// Where it stands, if the room keeps events.
        position: Option<Position>,
        /// All of it.
        body: Value,
    },
    /// A gap, resumed, a heartbeat, a notice: by its `type`.
    Other(Value),
    /// The server closed, with this code; `None`: the connection was cut.
    Closed(Option<u16>),
}

impl Heard {
    /// Whether it is a message of this type that is neither answer nor event.
    pub fn is(&self, kind: &str) -> bool {
        matches!(self, Self::Other(body) if body["type"] == kind)
    }
}

impl PlainClient {
    /// Opens a WebSocket at `/ws`.
    ///
    /// # Errors
    /// If the server refuses, or is not there.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        Self::upgrade(TcpStream::connect(addr).await?).await
    }

    /// The same where the kernel takes in only about so many bytes that are not read yet.
    ///
    /// # Errors
    /// If the server refuses, or is not there.
    pub async fn connect_narrow(addr: SocketAddr, bytes: u32) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(bytes)?;
        Self::upgrade(socket.connect(addr).await?).await
    }

    async fn upgrade(mut stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let upgrade = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await?;
        let mut client = Self { stream, read: Vec::new(), next: 1, kept: VecDeque::new() };
        let head = client.head().await?;
        if head.starts_with("HTTP/1.1 101") { Ok(client) } else { Err(io::Error::other(head)) }
    }

    /// The same, signed in with a token, or as nobody.
    ///
    /// # Errors
    /// If the server refuses, or is not there.
    pub async fn sign_in(addr: SocketAddr, token: Option<&str>) -> io::Result<Self> {
        Self::connect(addr).await?.signed_in(token).await
    }

    /// The same as [`PlainClient::connect_narrow`].
    ///
    /// # Errors
    /// If the server refuses, or is not there.
    pub async fn sign_in_narrow(addr: SocketAddr, token: Option<&str>, bytes: u32) -> io::Result<Self> {
        Self::connect_narrow(addr, bytes).await?.signed_in(token).await
    }

    async fn signed_in(mut self, token: Option<&str>) -> io::Result<Self> {
        let client = &mut self;
        client
            .say(&token.map_or(json!({"type": "auth"}), |token| json!({"type": "auth", "token": token})))
            .await?;
        match client.hear().await? {
            heard if heard.is("auth:ok") => Ok(self),
            other => Err(io::Error::other(format!("not let in: {other:?}"))),
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn say(&mut self, message: &Value) -> io::Result<()> {
        let mut frame = Vec::new();
        write_masked(&mut frame, 0x80, 1, message.to_string().as_bytes(), [1, 2, 3, 4]);
        self.stream.write_all(&frame).await
    }

    /// Says a command under the next id, which is returned.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn command(&mut self, mut body: Value) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        body["id"] = id.into();
        self.say(&body).await.map(|()| id)
    }

    /// Says a command and waits for its answer; what comes before it is heard afterwards.
    ///
    /// # Errors
    /// If the connection ends first, or nothing comes for [`PATIENCE`].
    pub async fn ask(&mut self, body: Value) -> io::Result<Value> {
        let asked = self.command(body).await?;
        loop {
            match in_time(self.read_heard()).await? {
                Heard::Ack { id, body } if id == asked => return Ok(body),
                Heard::Closed(code) => return Err(io::Error::other(format!("closed: {code:?}"))),
                before => self.kept.push_back(before),
            }
        }
    }

    /// Publishes under the next id, which is returned, without waiting.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn publish(&mut self, room: &str, data: Value, key: Option<&str>) -> io::Result<u64> {
        self.command(publishing(room, data, key)).await
    }

    /// The next message.
    ///
    /// # Errors
    /// If nothing comes for [`PATIENCE`]. The end of the connection is a [`Heard::Closed`].
    pub async fn hear(&mut self) -> io::Result<Heard> {
        in_time(self.next_heard()).await
    }

    /// The next message as it came, for clients so many that understanding all of it takes too long.
    ///
    /// # Errors
    /// If nothing comes for [`PATIENCE`], or the connection ends.
    pub async fn hear_text(&mut self) -> io::Result<String> {
        match timeout(PATIENCE, self.next_text()).await? {
            Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Err(code) => Err(io::Error::other(format!("closed: {code:?}"))),
        }
    }

    /// The next message, however late; may be given up and asked for again.
    pub async fn next_heard(&mut self) -> Heard {
        match self.kept.pop_front() {
            Some(kept) => kept,
            None => self.read_heard().await,
        }
    }

    async fn read_heard(&mut self) -> Heard {
        match self.next_text().await {
            Ok(text) => understood(&text),
            Err(code) => Heard::Closed(code),
        }
    }

    /// The next text, or how the connection ended.
    async fn next_text(&mut self) -> Result<Vec<u8>, Option<u16>> {
        loop {
            if let Some(FromServer { first, payload }) = FromServer::parse(&self.read) {
                let body = self.read[payload.clone()].to_vec();
                self.read.drain(..payload.end);
                match first & 15 {
                    1 => return Ok(body),
                    8 => return Err(body.first_chunk().map(|code| u16::from_be_bytes(*code))),
                    9 => self.pong(&body).await,
                    _ => {}
                }
            } else if !matches!(self.stream.read_buf(&mut self.read).await, Ok(count) if count > 0) {
                return Err(None);
            }
        }
    }

    async fn pong(&mut self, body: &[u8]) {
        let mut frame = Vec::new();
        write_masked(&mut frame, 0x80, 10, body, [0; 4]);
        // Whoever cannot be answered is found gone by the next read.
        self.stream.write_all(&frame).await.ok();
    }

    async fn head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// What comes within [`PATIENCE`].
async fn in_time(hearing: impl Future<Output = Heard>) -> io::Result<Heard> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("nothing for {PATIENCE:?}"));
    timeout(PATIENCE, hearing).await.map_err(late)
}

/// The message that publishes in a room under the event name `said`.
pub fn publishing(room: &str, data: Value, key: Option<&str>) -> Value {
    let mut body = json!({"type": "publish", "room": room, "event": "said", "data": data});
    if let Some(key) = key {
        body["key"] = key.into();
    }
    body
}

/// # Panics
/// If it is no JSON: a server says nothing else.
fn understood(text: &[u8]) -> Heard {
    let body: Value = serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)));
    match body["type"].as_str() {
        Some("ack") if body["id"].is_u64() => Heard::Ack { id: body["id"].as_u64().unwrap_or(0), body },
        Some("event") => Heard::Event {
            room: body["room"].as_str().unwrap_or_default().to_owned(),
            position: Position::of(&body),
            body,
        },
        _ => Heard::Other(body),
    }
}

/// One HTTP request on a connection of its own: the status and the body of the answer.
///
/// # Errors
/// If the server is not there, or does not answer within [`PATIENCE`].
///
/// # Panics
/// As [`check_answer`], here and below.
pub async fn http(addr: SocketAddr, request: &str, headers: &str, body: &str) -> io::Result<(u16, String)> {
    http_whole(addr, request, headers, body).await.map(|(status, _, body)| (status, body))
}

/// The same with the answer's head between them.
///
/// # Errors
/// As [`http`].
pub async fn http_whole(
    addr: SocketAddr,
    request: &str,
    headers: &str,
    body: &str,
) -> io::Result<(u16, String, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await?;
        let head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}");
        let length = body.len();
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer: io::Result<String> = timeout(PATIENCE, exchange).await?;
    let answer = answer?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    if let Some((method, path)) = request.split_once(' ') {
        check_answer(method, path, head);
    }
    status
        .map(|status| (status, head.to_owned(), body.to_owned()))
        .ok_or_else(|| io::Error::other(answer.clone()))
}
