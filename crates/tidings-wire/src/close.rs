//! Why the server hangs up: one table of codes and sentences.

use std::fmt;

/// Why the server ends a connection: code, sentence, and whether the client should come back.
///
/// The codes are those of `CONTRACT.md`; 1000 to 1015 are from RFC 6455 section 7.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed first; answered with 1000 and no sentence.
    Normal,
    /// A frame or packet broke the protocol (1002).
    Protocol,
    /// Text was not UTF-8 (1007).
    InvalidUtf8,
    /// A message was well formed but its structure is refused: depth, fragments, attachments (1008).
    Structure,
    /// A message or frame was too big (1009).
    TooLarge,
    /// The server is draining (1012): come back, to another node or to the next process.
    Draining,
    /// An administrator or a server ended the connection (1012): come back.
    Disconnected,
    /// The server is overloaded (1013): come back later.
    Overloaded,
    /// The client does not read fast enough (4008): come back and resume.
    TooSlow,
    /// Sign-in is missing, bad or expired (4401): come back with a fresh token.
    SignIn,
    /// The rights were revoked (4403): do not come back.
    Revoked,
    /// A newer connection took the session over (4409): do not come back.
    Replaced,
    /// The client floods (4429): come back later.
    Flooding,
    /// The client stopped answering pings; nothing can be sent any more.
    PingTimeout,
}

impl CloseReason {
    /// Every reason, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::Normal,
        Self::Protocol,
        Self::InvalidUtf8,
        Self::Structure,
        Self::TooLarge,
        Self::Draining,
        Self::Disconnected,
        Self::Overloaded,
        Self::TooSlow,
        Self::SignIn,
        Self::Revoked,
        Self::Replaced,
        Self::Flooding,
        Self::PingTimeout,
    ];

    /// The WebSocket close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::InvalidUtf8 => 1007,
            Self::Structure => 1008,
            Self::TooLarge => 1009,
            Self::Draining | Self::Disconnected => 1012,
            Self::Overloaded => 1013,
            Self::TooSlow => 4008,
            Self::SignIn => 4401,
            Self::Revoked => 4403,
            Self::Replaced => 4409,
            Self::Flooding => 4429,
            // Never on the wire: the peer is gone. 1006 is what its own side would report.
            Self::PingTimeout => 1006,
        }
    }

    /// One sentence for the close frame and the log.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "protocol error",
            Self::InvalidUtf8 => "text is not valid UTF-8",
            Self::Structure => "message structure refused",
            Self::TooLarge => "message too large",
            Self::Draining => "server is draining",
            Self::Disconnected => "disconnected by the server's operators",
            Self::Overloaded => "server is overloaded",
            Self::TooSlow => "client is too slow",
            Self::SignIn => "sign-in missing, invalid or expired",
            Self::Revoked => "access revoked",
            Self::Replaced => "replaced by a newer connection",
            Self::Flooding => "too many messages",
            Self::PingTimeout => "no answer to ping",
        }
    }

    /// Whether a client of ours should come back by itself.
    pub const fn come_back(self) -> bool {
        matches!(
            self,
            Self::Draining
                | Self::Disconnected
                | Self::Overloaded
                | Self::TooSlow
                | Self::SignIn
                | Self::Flooding
                | Self::PingTimeout
        )
    }

    /// A short word for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Protocol => "protocol",
            Self::InvalidUtf8 => "utf8",
            Self::Structure => "structure",
            Self::TooLarge => "too_large",
            Self::Draining => "draining",
            Self::Disconnected => "disconnected",
            Self::Overloaded => "overloaded",
            Self::TooSlow => "too_slow",
            Self::SignIn => "sign_in",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Flooding => "flooding",
            Self::PingTimeout => "ping_timeout",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// What a peer did wrong on the wire: the reason to hang up and the detail for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// What the close frame says.
    pub reason: CloseReason,
    /// What exactly was wrong; never contains the peer's bytes.
    pub detail: &'static str,
}

impl Violation {
    /// A broken protocol rule (1002).
    pub const fn protocol(detail: &'static str) -> Self {
        Self { reason: CloseReason::Protocol, detail }
    }

    /// Text that is not UTF-8 (1007).
    pub const fn utf8(detail: &'static str) -> Self {
        Self { reason: CloseReason::InvalidUtf8, detail }
    }

    /// A structure the limits refuse (1008).
    pub const fn structure(detail: &'static str) -> Self {
        Self { reason: CloseReason::Structure, detail }
    }

    /// A size the limits refuse (1009).
    pub const fn too_large(detail: &'static str) -> Self {
        Self { reason: CloseReason::TooLarge, detail }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for Violation {}
