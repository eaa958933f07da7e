//! What the backend answers: strict, so that a typing error is a failure and not a permission.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tidings_core::{Answer, Code, Refusal};

use crate::object::Object;

/// Characters of a message for the client.
const MESSAGE: usize = 200;

/// An answer as it stands on the wire; what is not listed here makes it invalid.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    allow: bool,
    code: Option<String>,
    message: Option<String>,
    cache_seconds: Option<u64>,
    /// Room for what later versions may take; read and dropped.
    #[serde(rename = "data")]
    _data: Option<IgnoredAny>,
}

/// An answer of the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    /// Seconds for which it may be kept.
    pub(crate) cache_seconds: u64,
}

/// The codes a backend may refuse with.
const CODES: [Code; 6] =
    [Code::BadRequest, Code::Forbidden, Code::NotFound, Code::Conflict, Code::TooLarge, Code::RateLimited];

/// Reads an answer; `None` for one that is not exactly as agreed.
pub(super) fn read(body: &[u8]) -> Option<Verdict> {
    let Object(wire): Object<Wire> = serde_json::from_slice(body).ok()?;
    let code = match wire.code.as_deref() {
        None => None,
        Some(code) => Some(*CODES.iter().find(|known| known.as_str() == code)?),
    };
    let cache_seconds = wire.cache_seconds.unwrap_or(0);
    if wire.allow {
        return Some(Verdict { answer: Answer::Allow, cache_seconds });
    }
    let message: Option<String> =
        wire.message.map(|text| text.chars().filter(|c| !c.is_control()).take(MESSAGE).collect());
    let told = (code.is_some() || message.is_some()).then(|| {
        Refusal::new(code.unwrap_or(Code::Forbidden), message.as_deref().unwrap_or("the backend says no"))
    });
    Some(Verdict { answer: Answer::Deny(told), cache_seconds })
}
