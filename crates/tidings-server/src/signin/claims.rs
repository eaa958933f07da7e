//! From verified claims to an identity.

use std::borrow::Cow;

use compact_str::CompactString;
use tidings_core::{Identity, Org};
use tidings_wire::json;

use super::Fault;
use super::strict::{Members, members};
use crate::accounts::keys;
use crate::config::IssuerConfig;

/// Seconds by which the clock of whoever made a token may be ahead.
const LEEWAY_SECONDS: u64 = 30;

/// No token is valid beyond the year 9999; a later end is a mistake or milliseconds.
const LAST_SECOND: u64 = 253_402_300_799;

/// Bytes of a user's id and of an organisation's name.
pub(super) const NAME_BYTES: usize = 200;

/// Bytes of a user's id at most: with it the name of the personal room, `user:ID`, is as long as a room's may be.
pub(super) const USER_BYTES: usize = NAME_BYTES - "user:".len();

/// Bytes of a token's own id.
const TOKEN_ID_BYTES: usize = 128;

/// Claims that have a field of their own and are not kept as others.
const KNOWN: [&str; 15] = [
    "sub",
    "userId",
    "id",
    "org",
    "roles",
    "email_verified",
    "name",
    "exp",
    "nbf",
    "iat",
    "scope",
    "iss",
    "aud",
    "jti",
    "typ",
];

/// Claims by which issuers say what a token is for.
const PURPOSES: [&str; 4] = ["typ", "use", "token_use", "token_type"];

/// The second of a NumericDate, which may have a fraction (RFC 7519 section 2).
fn whole_second(literal: &str) -> Option<u64> {
    match literal.split_once('.') {
        Some((whole, fraction)) => {
            json::unsigned(whole).filter(|_| fraction.bytes().all(|byte| byte.is_ascii_digit()))
        }
        None => json::unsigned(literal),
    }
}

/// The claims of one token.
#[derive(Debug)]
pub(super) struct Claims<'a>(Members<'a>);

/// Which claims mean what; several names are tried in order.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    user: Vec<String>,
    name: String,
    roles: String,
    email_verified: String,
    org: String,
    scope: String,
}

impl Default for Mapping {
    fn default() -> Self {
        Self::new(&IssuerConfig::default())
    }
}

impl Mapping {
    /// The mapping of an issuer; what is not configured has the name that our own tokens use.
    pub(super) fn new(config: &IssuerConfig) -> Self {
        let user = match config.user_claim.as_str() {
            "" => ["sub", "userId", "id"].map(str::to_owned).to_vec(),
            name => vec![name.to_owned()],
        };
        Self {
            user,
            name: config.name_claim.clone(),
            roles: config.roles_claim.clone(),
            email_verified: config.email_verified_claim.clone(),
            org: config.org_claim.clone(),
            scope: config.scope_claim.clone(),
        }
    }
}

impl<'a> Claims<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// As [`members`].
    pub(super) fn read(text: &'a str) -> Result<Self, Fault> {
        members(text).map(Self)
    }

    /// Whom the token says it is from.
    pub(super) fn issuer(&self) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.top("iss") {
            None => Ok(None),
            Some(value) => json::string(value).map(Some).ok_or(Fault::Issuer),
        }
    }

    /// Whether the token is for one of `ours`; a token that names nobody is not.
    pub(super) fn is_for(&self, ours: &[String]) -> bool {
        let fits = |value: &str| json::string(value).is_some_and(|name| ours.iter().any(|one| *one == name));
        match self.top("aud") {
            Some(value) if value.starts_with('[') => json::elements(value).any(fits),
            Some(value) => fits(value),
            None => false,
        }
    }

    /// Checks end, beginning and making; answers the end and when it was made.
    pub(super) fn times(&self, now: u64) -> Result<(u64, Option<u64>), Fault> {
        let second = |name| match self.top(name) {
            None => Ok(None),
            Some(value) => match whole_second(value) {
                Some(second) if second <= LAST_SECOND => Ok(Some(second)),
                _ => Err(Fault::Claims),
            },
        };
        let ends = second("exp")?.ok_or(Fault::Claims)?;
        let (begins, made) = (second("nbf")?, second("iat")?);
        // No leeway: whoever comes with a token that is over is told so, and gets a fresh one.
        if ends <= now {
            return Err(Fault::Expired);
        }
        if begins.max(made).is_some_and(|second| second > now + LEEWAY_SECONDS) {
            return Err(Fault::NotYet);
        }
        Ok((ends, made))
    }

    /// Checks that it was made for access.
    ///
    /// `typ` is ours and Keycloak's, `token_use` Cognito's, `token_type` that of some frameworks;
    /// `type` means many things, but `refresh` there means only one.
    pub(super) fn purpose(&self) -> Result<(), Fault> {
        for name in PURPOSES {
            let Some(value) = self.top(name) else { continue };
            let purpose = json::string(value).ok_or(Fault::Purpose)?.to_ascii_lowercase();
            if !matches!(purpose.as_str(), "access" | "at+jwt" | "jwt" | "bearer") {
                return Err(Fault::Purpose);
            }
        }
        match self.top("type").and_then(json::string) {
            Some(kind) if kind.eq_ignore_ascii_case("refresh") => Err(Fault::Purpose),
            _ => Ok(()),
        }
    }

    /// Who it is; with `fixed`, the issuer speaks for that organisation alone.
    pub(super) fn identity(&self, map: &Mapping, fixed: Option<&Org>, now: u64) -> Result<Identity, Fault> {
        let (ends, made) = self.times(now)?;
        self.purpose()?;
        let rest = self.0.iter().filter(|(name, _)| !KNOWN.contains(&name.as_ref()));
        Ok(Identity {
            user: Some(self.user(map)?),
            org: self.org(map, fixed)?,
            name: self.text(&map.name).map(Into::into),
            roles: self.words(&map.roles, false),
            email_verified: self.at(&map.email_verified) == Some("true"),
            scopes: self.words(&map.scope, true),
            claims: rest.filter_map(|(name, value)| Some((name.as_ref().into(), plain(value)?))).collect(),
            expires_at: Some(ends),
            issued_at: made,
            token_id: self.token_id()?,
            is_key: false,
        })
    }

    /// The first of the mapped claims that is there decides; a bad one is not passed over.
    fn user(&self, map: &Mapping) -> Result<CompactString, Fault> {
        let value = map.user.iter().find_map(|name| self.at(name)).ok_or(Fault::User)?;
        // Keys are called so, in rules and in the audit log; whoever signs tokens makes none of them.
        id(value, USER_BYTES).filter(|user| !user.starts_with(keys::USER)).ok_or(Fault::User)
    }

    fn org(&self, map: &Mapping, fixed: Option<&Org>) -> Result<Org, Fault> {
        let said = match self.at(&map.org) {
            None => None,
            Some(value) => {
                let name = json::string(value).filter(|name| is_name(name, NAME_BYTES));
                Some(Org::new(&name.ok_or(Fault::Organisation)?))
            }
        };
        match (fixed, said) {
            (Some(fixed), Some(said)) if *fixed != said => Err(Fault::Organisation),
            (Some(fixed), _) => Ok(fixed.clone()),
            (None, said) => Ok(said.unwrap_or_default()),
        }
    }

    /// A token whose id cannot be kept could not be called back.
    fn token_id(&self) -> Result<Option<CompactString>, Fault> {
        self.top("jti").map(|value| id(value, TOKEN_ID_BYTES).ok_or(Fault::Claims)).transpose()
    }

    /// Texts of a list, or, where issuers write them so, the words of one text.
    fn words(&self, path: &str, split: bool) -> Box<[CompactString]> {
        match self.at(path) {
            Some(value) if value.starts_with('[') => {
                json::elements(value).filter_map(json::string).map(CompactString::from).collect()
            }
            Some(value) if split => {
                let text = json::string(value).unwrap_or_default();
                text.split_ascii_whitespace().map(CompactString::from).collect()
            }
            _ => Box::default(),
        }
    }

    pub(super) fn text(&self, path: &str) -> Option<Cow<'a, str>> {
        self.at(path).and_then(json::string).filter(|text| !text.is_empty())
    }

    /// A claim by its name, which may hold dots itself, else by a path of names with dots between.
    fn at(&self, path: &str) -> Option<&'a str> {
        if path.is_empty() {
            return None;
        }
        if let Some(value) = self.top(path) {
            return Some(value);
        }
        let mut parts = path.split('.');
        let first = self.top(parts.next()?)?;
        let mut depth = 0;
        let found = parts.try_fold(first, |value, part| {
            depth += 1;
            member(value, part)
        })?;
        (depth > 0 && found != "null").then_some(found)
    }

    /// A claim at the top; one that is `null` is not there.
    pub(super) fn top(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).filter(|value| *value != "null")
    }
}

fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    json::members(object).find(|(key, _)| json::string(key).is_some_and(|key| key == name)).map(|(_, v)| v)
}

/// A text, or a whole number as some backends write their ids.
fn id(value: &str, most: usize) -> Option<CompactString> {
    match json::string(value) {
        Some(text) => is_name(&text, most).then(|| text.into()),
        None => json::unsigned(value).map(|_| value.into()),
    }
}

fn is_name(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn plain(value: &str) -> Option<CompactString> {
    match value.as_bytes().first()? {
        b'"' => json::string(value).map(Into::into),
        b'{' | b'[' | b'n' => None,
        _ => Some(value.into()),
    }
}
