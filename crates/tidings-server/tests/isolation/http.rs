//! HTTP over one connection that is kept.

use std::net::SocketAddr;

use crate::common::Wire;

/// A client that keeps its connection as long as the server does.
pub(crate) struct Http {
    addr: SocketAddr,
    wire: Option<Wire>,
}

/// An answer, with every byte of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The values of a header, in the order they came.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Everything but what says when, and to which request: the same answer twice is the same text.
    pub(crate) fn without_date(&self) -> String {
        let told_apart = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("date:") && !line.starts_with("x-request-id:")
        };
        let lines = self.head.lines().filter(told_apart);
        lines.chain([self.body.as_str()]).collect::<Vec<_>>().join("\n")
    }
}

impl Http {
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self { addr, wire: None }
    }

    /// Sends a request with these header lines and reads the whole answer.
    pub(crate) fn ask(&mut self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let wire = self.wire.get_or_insert_with(|| Wire::connect(self.addr));
        let host =
            if headers.contains("Host: ") { String::new() } else { format!("Host: {}\r\n", self.addr) };
        let length = body.len();
        let request =
            format!("{method} {target} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\r\n{body}");
        wire.send(request.as_bytes());
        let head = wire.head();
        let answer = Answer { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let closes = answer.header("connection") == Some("close");
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        let body = match length {
            Some(length) => wire.exactly(length),
            None if answer.status == 204 || answer.status == 101 => String::new(),
            None => wire.rest(),
        };
        if closes || answer.status == 101 {
            self.wire = None;
        }
        Answer { body, ..answer }
    }

    pub(crate) fn as_bearer(&mut self, method: &str, target: &str, token: &str, body: &str) -> Answer {
        self.ask(method, target, &format!("Authorization: Bearer {token}\r\n"), body)
    }
}

/// Text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let write = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(write).collect()
}
