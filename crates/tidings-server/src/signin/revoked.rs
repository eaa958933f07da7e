//! Which tokens were called back before their end.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use compact_str::CompactString;
use tidings_core::{Identity, Org};

/// Revocations that are in force at once. Beyond that a new one is refused ([`Full`]): dropping an
/// old one would silently let somebody in again.
pub const REVOCATIONS: usize = 100_000;

/// What is called back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Revocation {
    /// One token, by its id (`jti`) and organisation.
    Token {
        /// The organisation of its bearer.
        org: Org,
        /// Its id.
        id: CompactString,
    },
    /// Every token of a user made before a second; also those that do not say when they were made.
    User {
        /// The user's organisation.
        org: Org,
        /// The user.
        user: CompactString,
        /// Seconds since 1970; a token made in that second is good.
        before: u64,
    },
    /// Every token of an organisation made before a second.
    Org {
        /// The organisation.
        org: Org,
        /// Seconds since 1970; a token made in that second is good.
        before: u64,
    },
}

/// There is no place for another revocation; the caller has to refuse and report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{REVOCATIONS} revocations are in force; no other can be added")]
pub struct Full;

/// The revocations in force, each until the last token it concerns has ended by itself.
#[derive(Debug, Default)]
pub struct Revoked {
    /// Entries held, so that asking costs one read while there are none.
    held: AtomicUsize,
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    tokens: HashMap<(Org, CompactString), u64>,
    users: HashMap<(Org, CompactString), Cut>,
    orgs: HashMap<Org, Cut>,
}

/// Tokens made before `before` are refused, until `until`.
#[derive(Debug, Clone, Copy)]
struct Cut {
    before: u64,
    until: u64,
}

impl Revoked {
    /// Adds a revocation that holds until `until`, in seconds since 1970.
    ///
    /// One that is there already is widened, never narrowed.
    ///
    /// # Errors
    /// [`Full`] if there is no place, after those that are over were removed.
    pub fn add(&self, what: Revocation, until: u64, now: u64) -> Result<(), Full> {
        if until <= now {
            return Ok(());
        }
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.len() >= REVOCATIONS && !entries.has(&what) {
            entries.remove_ended(now);
            if entries.len() >= REVOCATIONS {
                self.held.store(entries.len(), Ordering::Release);
                return Err(Full);
            }
        }
        entries.add(what, until);
        self.held.store(entries.len(), Ordering::Release);
        Ok(())
    }

    /// Adds many, as a store does at start.
    ///
    /// # Errors
    /// [`Full`]; those that had a place are in force.
    pub fn load(&self, all: impl IntoIterator<Item = (Revocation, u64)>, now: u64) -> Result<(), Full> {
        all.into_iter().try_for_each(|(what, until)| self.add(what, until, now))
    }

    /// Whether a token was called back.
    pub fn concerns(&self, who: &Identity) -> bool {
        if self.held.load(Ordering::Acquire) == 0 {
            return false;
        }
        self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner).concerns(who)
    }

    /// Removes what is over; answers how many are left.
    pub fn remove_ended(&self, now: u64) -> usize {
        if self.held.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.remove_ended(now);
        self.held.store(entries.len(), Ordering::Release);
        entries.len()
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Entries {
    fn len(&self) -> usize {
        self.tokens.len() + self.users.len() + self.orgs.len()
    }

    fn has(&self, what: &Revocation) -> bool {
        match what {
            Revocation::Token { org, id } => self.tokens.contains_key(&(org.clone(), id.clone())),
            Revocation::User { org, user, .. } => self.users.contains_key(&(org.clone(), user.clone())),
            Revocation::Org { org, .. } => self.orgs.contains_key(org),
        }
    }

    fn add(&mut self, what: Revocation, until: u64) {
        match what {
            Revocation::Token { org, id } => {
                let end = self.tokens.entry((org, id)).or_default();
                *end = until.max(*end);
            }
            Revocation::User { org, user, before } => {
                widen(self.users.entry((org, user)).or_insert(Cut { before, until }), before, until);
            }
            Revocation::Org { org, before } => {
                widen(self.orgs.entry(org).or_insert(Cut { before, until }), before, until);
            }
        }
    }

    fn concerns(&self, who: &Identity) -> bool {
        let cuts = |cut: &Cut| who.issued_at.is_none_or(|made| made < cut.before);
        let by_org = || self.orgs.get(&who.org).is_some_and(cuts);
        let of = |name: &Option<CompactString>| name.clone().map(|name| (who.org.clone(), name));
        let by_user =
            || !self.users.is_empty() && of(&who.user).and_then(|key| self.users.get(&key)).is_some_and(cuts);
        let by_id =
            || !self.tokens.is_empty() && of(&who.token_id).is_some_and(|key| self.tokens.contains_key(&key));
        by_org() || by_user() || by_id()
    }

    fn remove_ended(&mut self, now: u64) {
        self.tokens.retain(|_, until| *until > now);
        self.users.retain(|_, cut| cut.until > now);
        self.orgs.retain(|_, cut| cut.until > now);
    }
}

fn widen(cut: &mut Cut, before: u64, until: u64) {
    *cut = Cut { before: before.max(cut.before), until: until.max(cut.until) };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn who(org: &str, user: &str, id: &str, made: Option<u64>) -> Identity {
        Identity {
            org: Org::new(org),
            user: Some(user.into()),
            token_id: Some(id.into()),
            issued_at: made,
            ..Identity::anonymous()
        }
    }

    #[test]
    fn a_token_is_called_back_by_its_id_in_its_own_organisation() {
        let revoked = Revoked::default();
        assert!(!revoked.concerns(&who("a", "u", "1", Some(5))));
        revoked.add(Revocation::Token { org: Org::new("a"), id: "1".into() }, 100, 10).unwrap();
        assert!(revoked.concerns(&who("a", "u", "1", Some(5))));
        assert!(!revoked.concerns(&who("a", "u", "2", Some(5))));
        assert!(!revoked.concerns(&who("b", "u", "1", Some(5))));
    }

    #[test]
    fn what_was_made_before_a_second_or_at_none_is_called_back() {
        let revoked = Revoked::default();
        let org = Org::new("a");
        revoked.add(Revocation::User { org: org.clone(), user: "u".into(), before: 50 }, 100, 10).unwrap();
        assert!(revoked.concerns(&who("a", "u", "1", Some(49))));
        assert!(revoked.concerns(&who("a", "u", "1", None)));
        assert!(!revoked.concerns(&who("a", "u", "1", Some(50))));
        assert!(!revoked.concerns(&who("a", "v", "1", Some(1))));
        revoked.add(Revocation::Org { org, before: 40 }, 100, 10).unwrap();
        assert!(revoked.concerns(&who("a", "v", "1", Some(1))));
        assert!(!revoked.concerns(&who("b", "v", "1", Some(1))));
    }

    #[test]
    fn a_second_revocation_widens_the_first() {
        let revoked = Revoked::default();
        let user = |before| Revocation::User { org: Org::new("a"), user: "u".into(), before };
        revoked.add(user(50), 100, 10).unwrap();
        revoked.add(user(20), 30, 10).unwrap();
        assert!(revoked.concerns(&who("a", "u", "1", Some(49))));
        assert_eq!((revoked.remove_ended(99), revoked.remove_ended(100)), (1, 0));
        assert!(!revoked.concerns(&who("a", "u", "1", Some(49))));
    }

    #[test]
    fn a_full_set_refuses_and_drops_nobody_before_its_end() {
        let revoked = Revoked::default();
        let token = |at: usize| Revocation::Token { org: Org::new("a"), id: at.to_string().into() };
        revoked.load((0..REVOCATIONS).map(|at| (token(at), 100)), 10).unwrap();
        assert_eq!(revoked.add(token(REVOCATIONS), 500, 99), Err(Full));
        assert!(revoked.concerns(&who("a", "u", "0", None)));
        assert_eq!(revoked.add(token(0), 200, 99), Ok(()), "it has its place already");
        assert_eq!(revoked.add(token(REVOCATIONS), 500, 100), Ok(()), "all others are over");
        assert_eq!(revoked.len(), 2);
    }
}
