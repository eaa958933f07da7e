use super::refusal::HandshakeError;
use std::borrow::Cow;

/// The most parameters a query may have; a longer one is a bad request.
pub const MAX_PAIRS: usize = 64;

/// How Engine.IO packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Long polling over HTTP.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    /// The value of the `transport` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// The query of an Engine.IO request, decoded.
///
/// Of a parameter that comes twice the first one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `transport`: `polling` or `websocket`; see [`Query::transport`].
    pub transport: Option<Cow<'a, str>>,
    /// `EIO`: the protocol's version; see [`Query::version`].
    pub eio: Option<Cow<'a, str>>,
    /// `sid`: the session, after the handshake.
    pub sid: Option<Cow<'a, str>>,
    /// `b64`: the client cannot take binary.
    pub b64: bool,
    /// `t`: against caches; its form tells python-engineio from the JS clients.
    pub t: Option<Cow<'a, str>>,
    /// `j`: the number of a JSONP callback, which only Engine.IO v3 clients send.
    pub j: Option<Cow<'a, str>>,
    raw: &'a str,
}

impl<'a> Query<'a> {
    /// Reads a query without its question mark.
    ///
    /// `+` is a space; a broken percent sequence stands for itself and bytes that are not UTF-8 for U+FFFD, as
    /// in Node.
    ///
    /// # Errors
    /// [`HandshakeError::BadRequest`] if there are more than [`MAX_PAIRS`] parameters.
    pub fn parse(query: &'a str) -> Result<Self, HandshakeError> {
        if memchr::memchr_iter(b'&', query.as_bytes()).count() >= MAX_PAIRS {
            return Err(HandshakeError::BadRequest);
        }
        let mut found = Self { raw: query, ..Self::default() };
        let mut b64 = None;
        for (name, value) in found.pairs() {
            let slot = match name.as_ref() {
                "transport" => &mut found.transport,
                "EIO" => &mut found.eio,
                "sid" => &mut found.sid,
                "b64" => &mut b64,
                "t" => &mut found.t,
                "j" => &mut found.j,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        // Node's server takes any value that is not empty, even `0`.
        found.b64 = b64.is_some_and(|value| !value.is_empty());
        Ok(found)
    }

    /// The transport the client asks for.
    ///
    /// # Errors
    /// [`HandshakeError::TransportUnknown`] if there is none or it is none of ours.
    pub fn transport(&self) -> Result<Transport, HandshakeError> {
        match self.transport.as_deref() {
            Some("polling") => Ok(Transport::Polling),
            Some("websocket") => Ok(Transport::WebSocket),
            _ => Err(HandshakeError::TransportUnknown),
        }
    }

    /// Checks that the client speaks Engine.IO v4.
    ///
    /// # Errors
    /// [`HandshakeError::UnsupportedVersion`] if it does not.
    pub fn version(&self) -> Result<(), HandshakeError> {
        if self.eio.as_deref() == Some("4") { Ok(()) } else { Err(HandshakeError::UnsupportedVersion) }
    }

    /// Whether the client is python-engineio, by its `t` parameter: a Unix time with a fraction.
    pub fn is_python(&self) -> bool {
        let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let time = self.t.as_deref().and_then(|t| t.split_once('.'));
        time.is_some_and(|(seconds, fraction)| number(seconds) && number(fraction))
    }

    /// Every parameter in its order, the application's own included.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs { rest: self.raw }
    }
}

/// The decoded parameters of a query; see [`Query::pairs`].
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = self.rest.split_once('&').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                return Some((percent_decode(name), percent_decode(value)));
            }
        }
        None
    }
}

fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, hex_pair(after)) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    Cow::Owned(
        String::from_utf8(bytes).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned()),
    )
}

fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}
