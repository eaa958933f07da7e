//! Which tokens were called back before their end.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use compact_str::CompactString;
use tidings_core::{Identity, Org};

/// Revocations that are in force at once. Beyond that a new one is refused ([`Full`]): dropping an
/// old one would silently let somebody in again.
///
/// Of the places that are left an organisation gets one only while it holds fewer than that many: alone it has
/// half of all, and it always leaves places to the others.
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

/// Why tokens were called back, which decides how their bearers' connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// They are not to be believed at all: connections end with 4403, and no session is resumed.
    Revoked,
    /// Their bearer's rights have changed: connections end with 4401, to come back with a newer token.
    Rights,
}

/// There is no place for another revocation, or the organisation has its share; the caller has to refuse and
/// report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many revocations are in force; no other can be added")]
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
    /// By id; until when.
    tokens: HashMap<(Org, CompactString), u64>,
    users: HashMap<(Org, CompactString), Cut>,
    orgs: HashMap<Org, Cut>,
    /// How many of these each organisation holds.
    held: HashMap<Org, usize>,
}

/// Tokens made before these seconds are refused, until `until`; a bound for each reason, so that a change of
/// rights takes nothing back of a revocation before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cut {
    revoked: Option<u64>,
    rights: Option<u64>,
    until: u64,
}

impl Cut {
    fn new(before: u64, why: Why, until: u64) -> Self {
        match why {
            Why::Revoked => Self { revoked: Some(before), rights: None, until },
            Why::Rights => Self { revoked: None, rights: Some(before), until },
        }
    }

    /// Widens it, never narrows it; whether it concerns more tokens now, or harder.
    fn widen(&mut self, new: Self) -> bool {
        let was = *self;
        self.revoked = self.revoked.max(new.revoked);
        // What is revoked anyway is not concerned by rights.
        self.rights = self.rights.max(new.rights).filter(|rights| Some(*rights) > self.revoked);
        self.until = self.until.max(new.until);
        (was.revoked, was.rights) != (self.revoked, self.rights)
    }

    /// The second from which on tokens are good.
    fn good_from(&self) -> u64 {
        self.revoked.max(self.rights).unwrap_or(0)
    }

    /// Why a token made at a second is refused, if it is; one that does not say when it was made is as old as any.
    fn why(&self, made: Option<u64>) -> Option<Why> {
        let concerns =
            |before: Option<u64>| before.is_some_and(|before| made.is_none_or(|made| made < before));
        match (concerns(self.revoked), concerns(self.rights)) {
            (true, _) => Some(Why::Revoked),
            (false, true) => Some(Why::Rights),
            (false, false) => None,
        }
    }
}

impl Revoked {
    /// Adds a revocation that holds until `until`, in seconds since 1970.
    ///
    /// One that is there already is widened, never narrowed.
    ///
    /// # Errors
    /// [`Full`] if there is no place, after those that are over were removed.
    pub fn add(&self, what: Revocation, until: u64, now: u64) -> Result<(), Full> {
        self.admit(&what, now)?;
        self.add_because(what, Why::Revoked, until, now).map(drop)
    }

    /// Whether there is a place for a new revocation, as to this organisation's share.
    ///
    /// # Errors
    /// As [`Revoked::add`].
    pub fn admit(&self, what: &Revocation, now: u64) -> Result<(), Full> {
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let has_place = |entries: &Entries| {
            let of_org = entries.held.get(what.org()).copied().unwrap_or(0);
            entries.has(what) || of_org < REVOCATIONS.saturating_sub(entries.len())
        };
        if has_place(&entries) {
            return Ok(());
        }
        entries.remove_ended(now);
        self.held.store(entries.len(), Ordering::Release);
        if has_place(&entries) { Ok(()) } else { Err(Full) }
    }

    /// Adds one for a reason, whatever the organisation's share: it was admitted, here or by another node.
    /// Answers whether that called anything back that was not.
    ///
    /// # Errors
    /// [`Full`] if there is no place at all, after those that are over were removed.
    pub fn add_because(&self, what: Revocation, why: Why, until: u64, now: u64) -> Result<bool, Full> {
        if until <= now {
            return Ok(false);
        }
        let mut entries = self.entries.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if entries.len() >= REVOCATIONS && !entries.has(&what) {
            entries.remove_ended(now);
            if entries.len() >= REVOCATIONS {
                self.held.store(entries.len(), Ordering::Release);
                return Err(Full);
            }
        }
        let widened = entries.add(what, why, until);
        self.held.store(entries.len(), Ordering::Release);
        Ok(widened)
    }

    /// Whether a token was called back.
    pub fn concerns(&self, who: &Identity) -> bool {
        self.why(who).is_some()
    }

    /// Why a token was called back, if it was.
    pub fn why(&self, who: &Identity) -> Option<Why> {
        if self.held.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner).why(who)
    }

    /// Whether a key of a program was called back, by its own name: what is said of everybody's tokens is said of no key.
    pub fn concerns_key(&self, who: &Identity) -> bool {
        let Some(user) = who.user.clone().filter(|_| self.held.load(Ordering::Acquire) > 0) else {
            return false;
        };
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        entries.users.get(&(who.org.clone(), user)).and_then(|cut| cut.why(who.issued_at)).is_some()
    }

    /// The second from which on tokens of a user are good, 0 if all are: who issues one just after a
    /// revocation dates it so.
    pub fn good_from(&self, org: &Org, user: &str) -> u64 {
        if self.held.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let entries = self.entries.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let by_org = entries.orgs.get(org).map_or(0, Cut::good_from);
        let by_user = entries.users.get(&(org.clone(), user.into())).map_or(0, Cut::good_from);
        by_org.max(by_user)
    }

    /// The first second that is after every token a user may have by now: after the running one, and after the one
    /// behind the last revocation, at which a token made since is dated.
    pub fn after_tokens(&self, org: &Org, user: &str, now: u64) -> u64 {
        let good_from = self.good_from(org, user);
        if good_from > now { good_from + 1 } else { now + 1 }
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

impl Revocation {
    /// Whose tokens.
    fn org(&self) -> &Org {
        match self {
            Self::Token { org, .. } | Self::User { org, .. } | Self::Org { org, .. } => org,
        }
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

    fn add(&mut self, what: Revocation, why: Why, until: u64) -> bool {
        if !self.has(&what) {
            *self.held.entry(what.org().clone()).or_default() += 1;
        }
        match what {
            Revocation::Token { org, id } => {
                let end = self.tokens.entry((org, id)).or_default();
                let is_new = *end == 0;
                *end = until.max(*end);
                is_new
            }
            Revocation::User { org, user, before } => {
                self.users.entry((org, user)).or_default().widen(Cut::new(before, why, until))
            }
            Revocation::Org { org, before } => {
                self.orgs.entry(org).or_default().widen(Cut::new(before, why, until))
            }
        }
    }

    /// Of several reasons the harder one.
    fn why(&self, who: &Identity) -> Option<Why> {
        let of = |name: &Option<CompactString>| name.clone().map(|name| (who.org.clone(), name));
        if !self.tokens.is_empty() && of(&who.token_id).is_some_and(|key| self.tokens.contains_key(&key)) {
            return Some(Why::Revoked);
        }
        let why = |cut: &Cut| cut.why(who.issued_at);
        let by_org = self.orgs.get(&who.org).and_then(why);
        if by_org == Some(Why::Revoked) || self.users.is_empty() {
            return by_org;
        }
        of(&who.user).and_then(|key| self.users.get(&key)).and_then(why).or(by_org)
    }

    fn remove_ended(&mut self, now: u64) {
        self.tokens.retain(|_, until| *until > now);
        self.users.retain(|_, cut| cut.until > now);
        self.orgs.retain(|_, cut| cut.until > now);
        self.held.clear();
        let of_pairs = self.tokens.keys().chain(self.users.keys()).map(|(org, _)| org);
        for org in of_pairs.chain(self.orgs.keys()) {
            *self.held.entry(org.clone()).or_default() += 1;
        }
    }
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
    fn a_key_is_called_back_by_its_own_name_alone() {
        let revoked = Revoked::default();
        let org = Org::new("a");
        assert!(!revoked.concerns_key(&who("a", "key:1", "", Some(5))));
        revoked.add(Revocation::Org { org: org.clone(), before: 50 }, 100, 10).unwrap();
        assert!(!revoked.concerns_key(&who("a", "key:1", "", Some(5))), "what everybody's tokens are");
        revoked.add(Revocation::User { org, user: "key:1".into(), before: 50 }, 100, 10).unwrap();
        assert!(revoked.concerns_key(&who("a", "key:1", "", Some(5))));
        assert!(!revoked.concerns_key(&who("a", "key:2", "", Some(5))));
        assert!(!revoked.concerns_key(&who("b", "key:1", "", Some(5))));
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
    fn changed_rights_are_told_apart_from_a_revocation_which_is_harder() {
        let revoked = Revoked::default();
        let user = |before| Revocation::User { org: Org::new("a"), user: "u".into(), before };
        assert_eq!(revoked.add_because(user(50), Why::Rights, 100, 10), Ok(true));
        assert_eq!(revoked.add_because(user(50), Why::Rights, 100, 10), Ok(false));
        assert_eq!(revoked.why(&who("a", "u", "1", Some(49))), Some(Why::Rights));
        assert_eq!((revoked.good_from(&Org::new("a"), "u"), revoked.good_from(&Org::new("b"), "u")), (50, 0));
        assert_eq!(revoked.add_because(user(50), Why::Revoked, 100, 10), Ok(true));
        assert_eq!(revoked.why(&who("a", "u", "1", Some(49))), Some(Why::Revoked));
        assert_eq!(revoked.why(&who("a", "u", "1", Some(50))), None);
    }

    #[test]
    fn a_later_change_of_rights_takes_nothing_back_of_a_revocation() {
        let revoked = Revoked::default();
        let user = |before| Revocation::User { org: Org::new("a"), user: "u".into(), before };
        let why = |made| revoked.why(&who("a", "u", "1", made));
        assert_eq!(revoked.add_because(user(50), Why::Revoked, 100, 10), Ok(true));
        assert_eq!(revoked.add_because(user(60), Why::Rights, 100, 10), Ok(true));
        let found = [None, Some(49), Some(50), Some(59), Some(60)].map(why);
        let (hard, soft) = (Some(Why::Revoked), Some(Why::Rights));
        assert_eq!(found, [hard, hard, soft, soft, None]);
        assert_eq!(revoked.add_because(user(55), Why::Rights, 100, 10), Ok(false), "it was known");
        assert_eq!(revoked.add_because(user(55), Why::Revoked, 100, 10), Ok(true));
        assert_eq!([Some(54), Some(55), Some(60)].map(why), [hard, soft, None]);
        assert_eq!(revoked.add_because(user(70), Why::Revoked, 100, 10), Ok(true));
        assert_eq!([Some(69), Some(70)].map(why), [hard, None]);
        assert_eq!(revoked.add_because(user(70), Why::Rights, 100, 10), Ok(false), "nothing is softer by it");
    }

    #[test]
    fn a_full_set_refuses_and_drops_nobody_before_its_end() {
        let revoked = Revoked::default();
        let token = |at: usize| Revocation::Token { org: Org::new(&at.to_string()), id: "t".into() };
        (0..REVOCATIONS).for_each(|at| revoked.add(token(at), 100, 10).unwrap());
        assert_eq!(revoked.add(token(REVOCATIONS), 500, 99), Err(Full));
        assert_eq!(revoked.add_because(token(REVOCATIONS), Why::Revoked, 500, 99), Err(Full));
        assert!(revoked.concerns(&who("0", "u", "t", None)));
        assert_eq!(revoked.add(token(0), 200, 99), Ok(()), "it has its place already");
        assert_eq!(revoked.add(token(REVOCATIONS), 500, 100), Ok(()), "all others are over");
        assert_eq!(revoked.len(), 2);
    }

    #[test]
    fn one_organisation_leaves_half_of_all_places_to_the_others() {
        let revoked = Revoked::default();
        let token = |org: &str, at: usize| {
            let (org, id) = (Org::new(org), at.to_string().into());
            Revocation::Token { org, id }
        };
        let greedy = (0..REVOCATIONS).take_while(|at| revoked.add(token("greedy", *at), 100, 10).is_ok());
        assert_eq!(greedy.count(), REVOCATIONS / 2);
        assert_eq!(revoked.add(token("greedy", 0), 100, 10), Ok(()), "it is there already");
        let other = (0..REVOCATIONS).take_while(|at| revoked.add(token("other", *at), 200, 10).is_ok());
        assert_eq!(other.count(), REVOCATIONS / 4);
        // What a store tells was admitted where it was made.
        assert_eq!(revoked.add_because(token("greedy", REVOCATIONS), Why::Revoked, 100, 10), Ok(true));
        assert_eq!(revoked.add(token("greedy", 0), 300, 100), Ok(()), "its own are over");
        assert_eq!(revoked.add(token("other", REVOCATIONS), 300, 200), Ok(()));
        assert_eq!(revoked.len(), 2);
    }

    #[test]
    fn what_is_called_back_in_a_second_takes_in_what_was_dated_behind_it() {
        let revoked = Revoked::default();
        let org = Org::new("a");
        assert_eq!(revoked.after_tokens(&org, "u", 50), 51);
        let user = Revocation::User { org: org.clone(), user: "u".into(), before: 51 };
        revoked.add_because(user, Why::Rights, 100, 50).unwrap();
        assert_eq!((revoked.after_tokens(&org, "u", 50), revoked.after_tokens(&org, "u", 51)), (52, 52));
        assert_eq!((revoked.after_tokens(&org, "v", 50), revoked.after_tokens(&org, "u", 60)), (51, 61));
    }
}
