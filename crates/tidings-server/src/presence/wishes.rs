//! What users say that others are to see of them.

use tidings_core::presence::Change;
use tidings_core::roster::{Status, Wish, Wishes};
use tidings_core::{Code, Identity, Refusal, UserKey};
use tidings_wire::plain::{PresenceSetBody, WantedStatus};

use crate::shared::wall_ms;

/// Whom others see.
///
/// # Errors
/// [`Code::Forbidden`] for one without a user.
pub(crate) fn seen_user(who: &Identity) -> Result<UserKey, Refusal> {
    who.user_key().ok_or_else(|| Refusal::new(Code::Forbidden, "only users are seen by others"))
}

/// What somebody wants to change of what others see.
///
/// # Errors
/// [`Code::BadRequest`] for a time that is over, or belongs to nothing.
pub(crate) fn wanted(body: &PresenceSetBody<'_>) -> Result<Change, Refusal> {
    let for_ms = match body.until {
        None => None,
        Some(until) => {
            let left = until.checked_sub(wall_ms()).filter(|left| *left > 0);
            Some(left.ok_or_else(|| Refusal::new(Code::BadRequest, "until is over"))?)
        }
    };
    if for_ms.is_some() && body.status.is_none() {
        return Err(Refusal::new(Code::BadRequest, "until belongs to a status"));
    }
    let shown = body.status.map(|status| match status {
        WantedStatus::Online => Some(Wish::Status(Status::Online)),
        WantedStatus::Away => Some(Wish::Status(Status::Away)),
        WantedStatus::Invisible => Some(Wish::Invisible),
        WantedStatus::Auto => None,
    });
    let info = body.info.map(|info| (info != "null").then(|| info.into()));
    Ok(Change { shown, for_ms, info })
}

/// Appends what a user has set, and until when.
pub(crate) fn write_wishes(out: &mut Vec<u8>, wishes: &Wishes, now_ms: u64) {
    let word = match wishes.shown {
        None => "auto",
        Some((Wish::Invisible, _)) => "invisible",
        Some((Wish::Status(status), _)) => status.as_str(),
    };
    out.extend_from_slice(format!(",\"status\":\"{word}\"").as_bytes());
    if let Some((_, until_ms)) = wishes.shown {
        let until_ms = wall_ms().saturating_add(until_ms.saturating_sub(now_ms));
        out.extend_from_slice(format!(",\"until\":{until_ms}").as_bytes());
    }
}
