//! One entry, as the one who noticed it tells it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use compact_str::CompactString;
use tidings_core::{Identity, Org};
use tidings_store::Digest;
use tidings_store::audit::AuditEntry;

use super::Action;
use crate::accounts::keys;

/// Bytes of one field; what is longer is cut.
pub const FIELD_BYTES: usize = 256;
/// Bytes of the value before and the value after; what is longer is cut.
pub const VALUE_BYTES: usize = 4 * 1_024;
/// What stands behind a field that was cut.
const CUT: char = '…';

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A user, by id.
    User(CompactString),
    /// A program, by the public part of its key or the name of its token.
    Key(CompactString),
    /// Somebody at the machine: a signal, a file.
    Operator,
    /// The same by the name they have there: the command line.
    Shell(CompactString),
    /// The server itself.
    System,
    /// Nobody knows.
    Anonymous,
}

impl Actor {
    /// Who an identity is.
    pub fn of(who: &Identity) -> Self {
        match &who.user {
            Some(user) if who.is_key => Self::Key(user.strip_prefix(keys::USER).unwrap_or(user).into()),
            Some(user) => Self::User(user.clone()),
            None if who.scopes.is_empty() => Self::Anonymous,
            None => Self::Key(who.name.clone().unwrap_or_default()),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Key(_) => "key",
            Self::Operator | Self::Shell(_) => "operator",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::User(id) | Self::Key(id) | Self::Shell(id) => Some(id),
            _ => None,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// It was not allowed.
    Refused,
    /// It was allowed and did not succeed.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Refused, Self::Failed];

    /// The word that stands in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// What happened, by whom, to what and why.
///
/// Never a token, key, password or payload; ids of sessions go through [`session_hash`]. Fields are cut at
/// [`FIELD_BYTES`], and what could begin a line or hide one is escaped when the entry is noted.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(crate) action: Action,
    pub(crate) outcome: Outcome,
    pub(crate) actor: Actor,
    pub(crate) org: Option<Org>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) object: Option<Cow<'static, str>>,
    pub(crate) reason: Option<Cow<'static, str>>,
    request: Option<CompactString>,
    before: Option<String>,
    after: Option<String>,
}

impl Entry {
    /// An entry with nothing but what was done and what came of it; nobody is known to have done it.
    pub const fn new(action: Action, outcome: Outcome) -> Self {
        Self {
            action,
            outcome,
            actor: Actor::Anonymous,
            org: None,
            address: None,
            object: None,
            reason: None,
            request: None,
            before: None,
            after: None,
        }
    }

    /// It was done.
    pub const fn ok(action: Action) -> Self {
        Self::new(action, Outcome::Ok)
    }

    /// It was not allowed.
    pub const fn refused(action: Action) -> Self {
        Self::new(action, Outcome::Refused)
    }

    /// Whether anybody can bring it about as often as they like, so that only some are written: what comes in
    /// floods, and what was refused to people who need not be anybody.
    pub const fn is_sampled(&self) -> bool {
        let of_people = matches!(
            self.action,
            Action::Register
                | Action::Login
                | Action::Lockout
                | Action::PasswordChange
                | Action::Verify
                | Action::FactorOn
                | Action::FactorOff
                | Action::RecoveryRenew
                | Action::Confirm
        );
        self.action.is_sampled() || (of_people && matches!(self.outcome, Outcome::Refused))
    }

    /// Who did it.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Who did it, and in which organisation.
    #[must_use]
    pub fn by_identity(self, who: &Identity) -> Self {
        Self { actor: Actor::of(who), org: Some(who.org.clone()), ..self }
    }

    /// The organisation it concerns, whose administrators may read of it.
    #[must_use]
    pub fn of(self, org: &Org) -> Self {
        Self { org: Some(org.clone()), ..self }
    }

    /// The address it came from, as it was judged.
    #[must_use]
    pub fn from(self, address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), ..self }
    }

    /// What it was done to. Of a refused sign-in: the account, if there is one.
    #[must_use]
    pub fn on(self, object: impl Into<Cow<'static, str>>) -> Self {
        Self { object: Some(object.into()), ..self }
    }

    /// Why it came out as it did; a word that is the same for the same cause.
    #[must_use]
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The request that led to it, and where that came from unless it is known better.
    pub(super) fn asked(self, id: CompactString, address: IpAddr) -> Self {
        let address = self.address.unwrap_or_else(|| address.to_canonical());
        Self { request: Some(id), address: Some(address), ..self }
    }

    /// The value before and after a change.
    #[must_use]
    pub fn changed(self, before: impl Into<String>, after: impl Into<String>) -> Self {
        Self { before: Some(before.into()), after: Some(after.into()), ..self }
    }

    /// The value that came of it.
    #[must_use]
    pub fn with(self, after: impl Into<String>) -> Self {
        Self { after: Some(after.into()), ..self }
    }

    /// It stands for so many of its kind.
    pub(super) fn counted(self, count: u64) -> Self {
        self.with(format!("{{\"count\":{count}}}"))
    }

    /// The entry as it is stored: within bounds, on one line each, and without what looks like a secret.
    pub fn stored(&self, node: &str, at_ms: u64) -> AuditEntry {
        let may = |text: Option<&str>| text.map(|text| clean(text, FIELD_BYTES));
        let value = |text: &Option<String>| text.as_deref().map(|text| clean(text, VALUE_BYTES));
        AuditEntry {
            at_ms,
            node: node.to_owned(),
            version: env!("CARGO_PKG_VERSION").into(),
            request: may(self.request.as_deref()),
            actor_kind: self.actor.kind().into(),
            actor: may(self.actor.id()),
            org: self.org.as_ref().map(|org| org.as_str().to_owned()),
            address: self.address.map(|address| address.to_string()),
            action: self.action.as_str().into(),
            object: may(self.object.as_deref()),
            result: self.outcome.as_str().into(),
            reason: may(self.reason.as_deref()),
            before: value(&self.before),
            after: value(&self.after),
        }
    }
}

/// A session's id as it may stand in the log: enough of its hash to tell sessions apart.
pub fn session_hash(id: &str) -> String {
    format!("session:{}", Digest::of(id.as_bytes()).short())
}

/// A text that stays on its line and within its bounds, and holds no token.
fn clean(text: &str, most: usize) -> String {
    if holds_token(text) {
        return "[redacted]".into();
    }
    let mut out = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        let before = out.len();
        push(&mut out, character);
        if out.len() > most {
            out.truncate(before);
            out.push(CUT);
            break;
        }
    }
    out
}

/// Control characters, line separators and marks that turn the direction of writing are escaped.
fn push(out: &mut String, character: char) {
    let hidden = matches!(character, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}');
    if character.is_control() || hidden {
        // Writing to a text cannot fail.
        let _ = write!(out, "\\u{:04x}", u32::from(character));
    } else {
        out.push(character);
    }
}

/// Whether a text holds a token or a key by its form: a last net, since callers give none.
fn holds_token(text: &str) -> bool {
    let is_key = |word: &str| word.starts_with(crate::signin::api_key::MARK) && word.len() > 40;
    let is_token = |word: &str| word.starts_with("eyJ") && word.matches('.').count() >= 2;
    text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
        .any(|word| is_key(word) || is_token(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(object: &str) -> String {
        let entry = Entry::ok(Action::Login).on(object.to_owned()).stored("n", 1);
        entry.object.unwrap_or_default()
    }

    #[test]
    fn what_could_begin_a_line_or_hide_one_is_escaped() {
        for (text, expected) in [
            ("a\r\n{\"action\":\"login\"}", "a\\u000d\\u000a{\"action\":\"login\"}"),
            ("\u{1b}[31mred", "\\u001b[31mred"),
            ("a\u{2028}b\u{2029}c", "a\\u2028b\\u2029c"),
            ("\u{202e}gpj.exe\0", "\\u202egpj.exe\\u0000"),
            ("żółć 漢字", "żółć 漢字"),
        ] {
            assert_eq!(stored(text), expected);
        }
    }

    #[test]
    fn a_field_is_cut_at_its_bound_and_at_a_character() {
        let long = stored(&"ä".repeat(1_000));
        assert_eq!(long, format!("{}…", "ä".repeat(FIELD_BYTES / 2)));
        let escaped = stored(&"\n".repeat(1_000));
        assert_eq!(escaped, format!("{}…", "\\u000a".repeat(FIELD_BYTES / 6)));
        assert_eq!(stored(&"a".repeat(FIELD_BYTES)), "a".repeat(FIELD_BYTES));
    }

    #[test]
    fn what_looks_like_a_token_or_a_key_is_not_written() {
        let key = format!("tk_0123456789ab_{}", "A".repeat(43));
        for text in ["eyJhbGciOi.eyJzdWIi.c2ln", "token=eyJh.eyJz.c2ln;", key.as_str()] {
            assert_eq!(stored(text), "[redacted]");
        }
        assert_eq!(stored("tk_0123456789ab"), "tk_0123456789ab", "the public part alone names a key");
    }

    #[test]
    fn a_key_is_told_from_a_user() {
        let who = |user: &str, is_key| Identity { user: Some(user.into()), is_key, ..Identity::anonymous() };
        assert_eq!(Actor::of(&who("key:0123456789ab", true)), Actor::Key("0123456789ab".into()));
        assert_eq!(Actor::of(&who("key:0123456789ab", false)), Actor::User("key:0123456789ab".into()));
        assert_eq!(Actor::of(&who("ada", false)), Actor::User("ada".into()));
    }

    #[test]
    fn a_session_is_told_from_others_and_not_named() {
        let hash = session_hash("a session's id");
        assert!(!hash.contains("a session's id") && hash != session_hash("another"), "{hash}");
        assert_eq!(hash.len(), "session:".len() + 16);
    }
}
