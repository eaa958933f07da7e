use crate::json::write_string;
use std::borrow::Cow;
use std::fmt;

/// Why a handshake or a polling request is refused: the codes 0 to 5 of the Node reference server.
///
/// Clients and load balancers match on code and message, so both are exactly Node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeError {
    /// 0: the `transport` parameter is missing or names no transport of ours.
    TransportUnknown,
    /// 1: there is no session of this `sid`.
    UnknownSid,
    /// 2: a session is opened by GET and by nothing else.
    BadHandshakeMethod,
    /// 3: the transport does not fit the request or the session, or the Origin is malformed.
    BadRequest,
    /// 4: the server does not want this client, for the reason it gives.
    Forbidden(Cow<'static, str>),
    /// 5: `EIO` is missing or not 4.
    UnsupportedVersion,
}

impl HandshakeError {
    /// A refusal of code 4 that gives no reason.
    pub const FORBIDDEN: Self = Self::Forbidden(Cow::Borrowed("Forbidden"));

    /// The number in the body.
    pub fn code(&self) -> u8 {
        match self {
            Self::TransportUnknown => 0,
            Self::UnknownSid => 1,
            Self::BadHandshakeMethod => 2,
            Self::BadRequest => 3,
            Self::Forbidden(_) => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    /// The message in the body; for a refused WebSocket upgrade it is the whole body.
    pub fn message(&self) -> &str {
        match self {
            Self::TransportUnknown => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden(reason) => reason,
            Self::UnsupportedVersion => "Unsupported protocol version",
        }
    }

    /// The HTTP status of a refused polling request.
    pub fn status(&self) -> u16 {
        match self {
            Self::Forbidden(_) => 403,
            _ => 400,
        }
    }

    /// The JSON body of a refused polling request.
    pub fn body(&self) -> Vec<u8> {
        let mut body = format!("{{\"code\":{},\"message\":", self.code()).into_bytes();
        write_string(&mut body, self.message());
        body.push(b'}');
        body
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for HandshakeError {}
