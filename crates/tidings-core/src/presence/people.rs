//! What users have set for themselves, and where they are.

use std::hash::BuildHasher;
use std::sync::Mutex;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use super::agenda::{Agenda, Due, Spot};
use super::{PARTS, Presence};
use crate::access::{Code, Refusal};
use crate::lock;
use crate::room::{Org, Roll, Room};
use crate::roster::{Info, Seen, Wish, Wishes};
use crate::user::UserKey;

/// What a user sets holds for a day, if it does not say until when.
pub const WISH_MS: u64 = 24 * 3_600_000;

/// What a user sets holds for thirty days at most.
pub const WISH_MOST_MS: u64 = 30 * WISH_MS;

/// Users of whom something is known at most: who is in a room always is; beyond that nobody else can set anything. An
/// organisation leaves as many to the others as it holds, since what is set is kept for a month.
const PEOPLE_MOST: usize = 1_000_000;

/// One user.
#[derive(Default)]
pub(super) struct Person {
    pub(super) wishes: Wishes,
    /// Where it is; rooms it has left stay until the next sweep.
    pub(super) rooms: HashSet<Room>,
    /// Where it stands in the agenda: as long as it wishes to be seen by nobody, or did until just now.
    spot: Option<Spot>,
}

impl Person {
    /// Puts it into the agenda for the end of its wish to be seen by nobody, or takes it out.
    fn sort(&mut self, user: &UserKey, agenda: &Agenda) {
        let until_ms = if self.wishes.is_invisible() { self.wishes.over_ms() } else { u64::MAX };
        agenda.sort(&mut self.spot, until_ms, || Due::User(user.clone()));
    }
}

pub(super) struct People {
    parts: Parts,
    hasher: foldhash::fast::RandomState,
    most: usize,
    /// Locked behind a user's, and nothing behind it.
    counts: Mutex<Counts>,
}

/// How many there are, of all organisations and of each.
#[derive(Default)]
struct Counts {
    all: usize,
    by_org: HashMap<Org, usize>,
}

impl Default for People {
    fn default() -> Self {
        let (parts, hasher, counts) = Default::default();
        Self { parts, hasher, most: PEOPLE_MOST, counts }
    }
}

struct Parts(Box<[Mutex<HashMap<UserKey, Person>>]>);

impl Default for Parts {
    fn default() -> Self {
        Self((0..PARTS).map(|_| Mutex::default()).collect())
    }
}

impl People {
    /// Does something with a user, who is made if nothing is known of it, under its lock.
    pub(super) fn with<T>(&self, user: &UserKey, act: impl FnOnce(&mut Person) -> T) -> T {
        let mut part = lock(&self.parts.0[self.hasher.hash_one(user) as usize % PARTS]);
        act(match part.entry(user.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                lock(&self.counts).note(user.org());
                place.insert(Person::default())
            }
        })
    }

    /// The rooms in which a user is or was.
    fn rooms(&self, user: &UserKey) -> Vec<Room> {
        let part = lock(&self.parts.0[self.hasher.hash_one(user) as usize % PARTS]);
        part.get(user).map(|person| person.rooms.iter().cloned().collect()).unwrap_or_default()
    }

    /// What a user has set for itself.
    pub(super) fn wishes(&self, user: &UserKey, now_ms: u64) -> Wishes {
        let part = lock(&self.parts.0[self.hasher.hash_one(user) as usize % PARTS]);
        let mut wishes = part.get(user).map(|person| person.wishes.clone()).unwrap_or_default();
        wishes.expire(now_ms);
        wishes
    }

    /// Whether a user that stood at `spot` of the agenda is seen again, its wish being over.
    pub(super) fn is_shown(&self, user: &UserKey, spot: Spot, now_ms: u64, agenda: &Agenda) -> bool {
        let mut part = lock(&self.parts.0[self.hasher.hash_one(user) as usize % PARTS]);
        let Some(person) = part.get_mut(user).filter(|person| person.spot == Some(spot)) else {
            return false;
        };
        person.spot = None;
        person.wishes.expire(now_ms);
        person.sort(user, agenda);
        !person.wishes.is_invisible()
    }

    /// Whether nothing is known of a user, and its organisation has as many as it may have.
    fn has_no_place_for(&self, user: &UserKey) -> bool {
        let part = lock(&self.parts.0[self.hasher.hash_one(user) as usize % PARTS]);
        !part.contains_key(user) && {
            let counts = lock(&self.counts);
            counts.all + counts.by_org.get(user.org()).copied().unwrap_or_default() >= self.most
        }
    }

    /// Forgets rooms in which a user is not any more, and users of whom nothing is left.
    pub(super) fn sweep(&self, now_ms: u64, is_there: impl Fn(&UserKey, &Room) -> bool) {
        for part in &self.parts.0 {
            let mut part = lock(part);
            let mut gone: HashMap<Org, usize> = HashMap::new();
            part.retain(|user, person| {
                person.wishes.expire(now_ms);
                person.rooms.retain(|room| is_there(user, room));
                // Who stands in the agenda is looked at before it is forgotten.
                let stays =
                    !person.rooms.is_empty() || person.wishes.shown.is_some() || person.spot.is_some();
                if !stays {
                    *gone.entry(user.org().clone()).or_default() += 1;
                }
                stays
            });
            lock(&self.counts).forget(gone);
            let left = part.len();
            part.shrink_to(left * 2);
        }
    }
}

impl Counts {
    fn note(&mut self, org: &Org) {
        self.all += 1;
        *self.by_org.entry(org.clone()).or_default() += 1;
    }

    fn forget(&mut self, gone: HashMap<Org, usize>) {
        for (org, gone) in gone {
            self.all -= gone;
            if let Entry::Occupied(mut left) = self.by_org.entry(org) {
                *left.get_mut() -= gone;
                if *left.get() == 0 {
                    left.remove();
                }
            }
        }
    }
}

/// What a user wants to set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What others are to see; `Some(None)`: what the server decides.
    pub shown: Option<Option<Wish>>,
    /// For how many milliseconds.
    pub for_ms: Option<u64>,
    /// What it says of itself, JSON; `Some(None)`: nothing any more.
    pub info: Option<Option<Info>>,
}

impl Change {
    fn make(self, wishes: &mut Wishes, now_ms: u64) {
        if let Some(shown) = self.shown {
            let for_ms = self.for_ms.unwrap_or(WISH_MS).min(WISH_MOST_MS);
            wishes.shown = shown.map(|wish| (wish, now_ms.saturating_add(for_ms)));
        }
        if let Some(info) = self.info {
            wishes.info = info;
        }
    }
}

impl Presence {
    /// A user sets something for itself, in every place it is in or comes to; what is set now.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too many users have set something.
    pub fn set(&self, user: &UserKey, change: Change, now_ms: u64) -> Result<Wishes, Refusal> {
        if self.people.has_no_place_for(user) {
            return Err(Refusal::new(Code::Unavailable, "too many users have set something"));
        }
        self.people.with(user, |person| {
            person.wishes.expire(now_ms);
            change.make(&mut person.wishes, now_ms);
            for room in &person.rooms {
                self.at(room, Roll::Off, now_ms, |place| {
                    let change = place.roster.set(user, &person.wishes);
                    place.note(change);
                });
            }
            self.crowds.set(user, &person.wishes, now_ms, &self.agenda);
            person.sort(user, &self.agenda);
            Ok(person.wishes.clone())
        })
    }

    /// What is seen of a user, best of all places it is in; `own`: as it sees itself.
    ///
    /// In rooms that keep a roster and, while users are announced, anywhere.
    pub fn of_user(&self, user: &UserKey, own: bool) -> Option<Seen> {
        let mut found = self.crowds.seen(user, own);
        for room in self.people.rooms(user) {
            let part = lock(self.part(&room));
            let roster = part.get(&room).map(|place| &place.roster);
            let seen = roster.and_then(|roster| if own { roster.own(user) } else { roster.seen(user) });
            found = seen.into_iter().chain(found.take()).reduce(Seen::and);
        }
        found
    }

    /// What a user has set for itself.
    pub fn wishes(&self, user: &UserKey, now_ms: u64) -> Wishes {
        self.people.wishes(user, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_leaves_as_many_users_to_the_others_as_it_holds() {
        let (one, other) = (Org::new("one"), Org::new("other"));
        let people = People { most: 100, ..People::default() };
        let wish = |user: &UserKey| {
            people.with(user, |person| person.wishes.shown = Some((Wish::Invisible, 1_000)));
        };
        let fill = |org: &Org| {
            let all = (0..).map(|id: usize| UserKey::new(org, &id.to_string()));
            let let_in = all.take_while(|user| !people.has_no_place_for(user));
            let_in.inspect(wish).count()
        };
        assert_eq!(fill(&one), 50);
        assert_eq!(fill(&other), 25, "and this one leaves as many as it holds");
        assert!(!people.has_no_place_for(&UserKey::new(&one, "0")), "who is known sets something else");
        people.sweep(1_000, |_, _| false);
        assert!(lock(&people.counts).all == 0 && lock(&people.counts).by_org.is_empty());
        assert_eq!(fill(&other), 50, "what is over makes room");
    }
}
