//! Who a client is, what a room demands, and what a client is told when we say no.

use std::sync::Arc;

use compact_str::CompactString;

use crate::limits::Wait;
use crate::room::{Org, Room};

/// Who a client is, as its token said; shared by everything that acts for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's id; `None` is an anonymous client.
    pub user: Option<CompactString>,
    /// The organisation.
    pub org: Org,
    /// The display name, if the token has one.
    pub name: Option<CompactString>,
    /// The roles.
    pub roles: Box<[CompactString]>,
    /// Whether the e-mail address was verified.
    pub email_verified: bool,
    /// The scopes (`publish` and `admin` make it a server).
    pub scopes: Box<[CompactString]>,
    /// Other claims with a plain value, for rules of the form `claim:NAME=VALUE`.
    pub claims: Box<[(CompactString, CompactString)]>,
    /// When the token ends, in seconds since 1970; `None` for anonymous clients.
    pub expires_at: Option<u64>,
    /// When the token was made, in seconds since 1970, if it says so.
    pub issued_at: Option<u64>,
    /// The token's own id (`jti`), by which it alone can be revoked.
    pub token_id: Option<CompactString>,
    /// An API key was shown; no name makes anybody a key.
    pub is_key: bool,
}

impl Identity {
    /// A client without a token.
    pub fn anonymous() -> Self {
        Self {
            user: None,
            org: Org::default(),
            name: None,
            roles: Box::default(),
            email_verified: false,
            scopes: Box::default(),
            claims: Box::default(),
            expires_at: None,
            issued_at: None,
            token_id: None,
            is_key: false,
        }
    }

    /// Whether it counts as a server: a token with scope `publish` or `admin`, or an administrator.
    pub fn is_server(&self) -> bool {
        self.has_server_scope() || self.is_admin()
    }

    /// Whether its token is a server's by scope; an administrator's role does not make it one.
    pub fn has_server_scope(&self) -> bool {
        self.scopes.iter().any(|s| s == "publish" || s == "admin")
    }

    /// Whether it administers its organisation.
    pub fn is_admin(&self) -> bool {
        self.scopes.iter().any(|s| s == "admin") || self.roles.iter().any(|r| r == "admin")
    }
}

/// Who may do one thing with the rooms of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Everybody, anonymous clients included.
    Anyone,
    /// Every signed-in client of the organisation.
    SignedIn,
    /// Signed in, with a verified e-mail address.
    Verified,
    /// Signed in, with this role.
    Role(CompactString),
    /// Signed in, with this claim at this value.
    Claim(CompactString, CompactString),
    /// The user whose id stands behind the kind: `user:42` belongs to 42.
    Owner,
    /// A token or key of a server (scope `publish`), or an administrator.
    Server,
    /// Whom the team's own backend lets; every client is asked about, servers too.
    Ask,
    /// Whom the app lets whose kind of rooms it is; every client is asked about, servers too. It is
    /// declared by apps and cannot be written in a configuration.
    App,
    /// Nobody.
    Nobody,
}

/// What a rule says of a client without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Yes,
    /// It may not.
    No,
    /// The team's own backend has to say, or the app whose room it is.
    Ask,
}

impl Verdict {
    fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Rule {
    /// Reads a rule as it stands in the configuration.
    ///
    /// # Errors
    /// A sentence that says which words are rules.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "anyone" => Self::Anyone,
            "signed-in" => Self::SignedIn,
            "verified" => Self::Verified,
            "owner" => Self::Owner,
            "server" => Self::Server,
            "ask" => Self::Ask,
            "nobody" => Self::Nobody,
            _ => match (
                text.strip_prefix("role:"),
                text.strip_prefix("claim:").and_then(|c| c.split_once('=')),
            ) {
                (Some(role), _) if !role.is_empty() => Self::Role(role.into()),
                (_, Some((name, value))) if !name.is_empty() => Self::Claim(name.into(), value.into()),
                _ => {
                    return Err(format!(
                        "`{text}` is not a rule; rules are anyone, signed-in, verified, role:NAME, claim:NAME=VALUE, owner, server, ask, nobody"
                    ));
                }
            },
        })
    }

    /// What this rule says of `who` for `room`; across the border of organisations always no,
    /// and nobody is asked.
    pub fn judge(&self, who: &Identity, room: &Room) -> Verdict {
        if who.org != *room.org() {
            return Verdict::No;
        }
        self.judge_owner(who, Some(room.id()))
    }

    /// What this rule says of `who` for something of `who`'s own organisation that belongs to the
    /// user `owner`, if to anybody.
    pub fn judge_owner(&self, who: &Identity, owner: Option<&str>) -> Verdict {
        let signed_in = who.user.is_some();
        Verdict::of(match self {
            Self::Anyone => true,
            Self::SignedIn => signed_in,
            Self::Verified => signed_in && who.email_verified,
            Self::Role(role) => signed_in && who.roles.iter().any(|r| r == role),
            Self::Claim(name, value) => signed_in && who.claims.iter().any(|(n, v)| n == name && v == value),
            Self::Owner => signed_in && who.user.as_deref() == owner,
            Self::Server => who.is_server(),
            Self::Ask | Self::App => return Verdict::Ask,
            Self::Nobody => false,
        })
    }

    /// The rule as it stands in a configuration or in a description.
    pub fn text(&self) -> String {
        match self {
            Self::Anyone => "anyone".into(),
            Self::SignedIn => "signed-in".into(),
            Self::Verified => "verified".into(),
            Self::Role(role) => format!("role:{role}"),
            Self::Claim(name, value) => format!("claim:{name}={value}"),
            Self::Owner => "owner".into(),
            Self::Server => "server".into(),
            Self::Ask => "ask".into(),
            Self::App => "app".into(),
            Self::Nobody => "nobody".into(),
        }
    }

    /// Whether `who` passes this rule for `room` without anybody being asked.
    pub fn admits(&self, who: &Identity, room: &Room) -> bool {
        self.judge(who, room) == Verdict::Yes
    }
}

/// The code of a refusal, as clients see it; one table for sockets and HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is malformed (400).
    BadRequest,
    /// No or no valid sign-in (401).
    Unauthorized,
    /// The token has expired (401).
    TokenExpired,
    /// One may see it but not do this (403).
    Forbidden,
    /// The password is right, and the code of the second factor is missing or wrong (403).
    SecondFactor,
    /// The password is asked for again before this (403).
    PasswordAgain,
    /// There is no such thing, or none one may see (404).
    NotFound,
    /// It contradicts what is there (409).
    Conflict,
    /// It is too big (413).
    TooLarge,
    /// Too much in too short a time (429).
    RateLimited,
    /// Not now (503).
    Unavailable,
    /// The disk is full (507).
    StorageFull,
}

impl Code {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::TokenExpired => "token_expired",
            Self::Forbidden => "forbidden",
            Self::SecondFactor => "second_factor",
            Self::PasswordAgain => "password_again",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized | Self::TokenExpired => 401,
            Self::Forbidden | Self::SecondFactor | Self::PasswordAgain => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::StorageFull)
    }
}

/// What a client is told when we say no: code, sentence, and whether to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// The code to branch on.
    pub code: Code,
    /// A sentence for people; never holds secrets or other tenants' names.
    pub message: CompactString,
    /// When to try again, in milliseconds, where that is known.
    pub retry_after_ms: Option<u32>,
    /// What is left of a budget of an app's own: the name it has in the answer, and how much.
    pub left: Option<(&'static str, u32)>,
}

const KEY_WAS_USED: &str = "this key was used with another event";

impl Refusal {
    /// A refusal with a code and a sentence.
    pub fn new(code: Code, message: &str) -> Self {
        Self { code, message: message.into(), retry_after_ms: None, left: None }
    }

    /// Too much in too short a time: when to try again is known.
    pub fn too_often(message: &str, wait: Wait) -> Self {
        Self { retry_after_ms: Some(wait.ms().max(1)), ..Self::new(Code::RateLimited, message) }
    }

    /// Something that is wrong in itself; the sentence says what.
    pub fn bad_request(message: &str) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// Something that is for others.
    pub fn forbidden(message: &str) -> Self {
        Self::new(Code::Forbidden, message)
    }

    /// Something that does not go with how things are.
    pub fn conflict(message: &str) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// An idempotency key that stands for something else.
    pub fn key_was_used() -> Self {
        Self::new(Code::Conflict, KEY_WAS_USED)
    }

    /// Whether it is [`Refusal::key_was_used`].
    pub fn is_key_was_used(&self) -> bool {
        self.code == Code::Conflict && self.message == KEY_WAS_USED
    }

    /// Something that is not there, or not for whoever asks; `what` is a word for it.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, &format!("there is no such {what}"))
    }

    /// Something that cannot be done now, by no fault of who asks.
    pub fn unavailable(message: &str) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// Whoever asks is nobody, and has to be somebody.
    pub fn needs_sign_in() -> Self {
        Self::new(Code::Unauthorized, "sign-in is needed")
    }

    /// There is no such room, or none this client may see; the two look the same.
    pub fn no_such_room() -> Self {
        Self::new(Code::NotFound, "no such room")
    }

    /// Appends the answer `{"ok":false,"error":…}` without its last brace, so that more members can follow.
    pub fn open_answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"ok\":false,\"error\":");
        self.write_json(out);
        if let Some((name, left)) = self.left {
            out.extend_from_slice(format!(",\"{name}\":{left}").as_bytes());
        }
    }

    /// Appends the refusal object `{"code":…,"message":…,"retryable":…}` of `CONTRACT.md`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let refusal = tidings_wire::plain::server::Refusal {
            code: self.code.as_str(),
            message: &self.message,
            // Who is told when to try again may.
            retryable: self.code.retryable() || self.retry_after_ms.is_some(),
            retry_after_ms: self.retry_after_ms.map(u64::from),
        };
        tidings_wire::plain::server::refusal_error(out, &refusal);
    }
}

/// An identity as it is shared by a connection and everything that acts for it.
pub type SharedIdentity = Arc<Identity>;
