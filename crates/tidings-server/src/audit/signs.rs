//! What an entry is a sign of, and a threat as an entry.

use super::{Action, Actor, Entry, Outcome};
use crate::threats::{Hit, Kind, Threat};

/// Reasons of refused tokens that honest clients give every day.
const HONEST: [&str; 4] = ["expired", "not_yet", "busy", "revoked"];

/// What an entry is a sign of, if it is one.
pub(super) fn hit(entry: &Entry) -> Option<Hit<'_>> {
    let honest = || entry.reason.as_deref().is_some_and(|reason| HONEST.contains(&reason));
    let kind = match entry.action {
        Action::Login
        | Action::PasswordChange
        | Action::FactorOn
        | Action::FactorOff
        | Action::RecoveryRenew
        | Action::Confirm
            if entry.outcome == Outcome::Refused =>
        {
            Kind::LoginStorm
        }
        Action::RefreshReuse => Kind::TokenReuse,
        Action::OriginRefused => Kind::OriginRefused,
        Action::Flood => Kind::Flood,
        Action::TokenRefused if !honest() => Kind::TokenProbing,
        Action::KeyRefused => Kind::TokenProbing,
        Action::SessionRefused => Kind::SessionGuessing,
        _ => return None,
    };
    let actor = match &entry.actor {
        Actor::User(id) | Actor::Key(id) => Some(id.as_str()),
        _ => None,
    };
    let account = entry.object.as_deref().or(actor);
    Some(Hit { kind, address: entry.address, org: entry.org.as_ref(), account })
}

/// A threat as an entry, of the organisation it concerns or of none.
pub(super) fn entry(threat: &Threat) -> Entry {
    let source = &threat.source;
    let entry = Entry::new(Action::Threat, Outcome::Ok)
        .by(Actor::System)
        .on(format!("{} {}", source.kind(), source.id()))
        .because(threat.kind.as_str())
        .with(format!("{{\"level\":\"{}\",\"count\":{}}}", threat.level.as_str(), threat.count));
    match source.org() {
        Some(org) => entry.of(org),
        None => entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_client_whose_token_is_over_is_no_sign() {
        let refused = |reason| hit(&Entry::refused(Action::TokenRefused).because(reason)).map(|hit| hit.kind);
        assert_eq!(refused("signature"), Some(Kind::TokenProbing));
        assert_eq!(refused("expired"), None);
        assert!(hit(&Entry::ok(Action::Login)).is_none());
        assert!(hit(&Entry::refused(Action::Login)).is_some());
    }
}
