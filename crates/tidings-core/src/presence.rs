//! Who is where on this node: the rosters of all rooms whose kind keeps one, and of everybody by namespace.
//!
//! Shards say who comes and goes, here it is gathered, and one task asks what is to be told
//! ([`Presence::look`]). No lock is held over a delivery. Where two are held, a user's comes before a room's,
//! and the agenda's last. Times are milliseconds of the clock that shards have their time from.

mod agenda;
mod crowd;
mod people;
mod place;

use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::access::Identity;
use crate::lock;
use crate::room::{Org, Roll, Room};
use crate::roster::{Changes, Counts, Device, Page};
use crate::user::UserKey;

use agenda::{Agenda, Due, Spot};
use crowd::Crowds;
use people::People;
pub use people::{Change, WISH_MOST_MS, WISH_MS};
use place::Place;

/// The event by which members of a room are told who came and went.
pub const EVENT: &str = "tidings:presence";

/// Changes are gathered for so long at least before they are told.
pub const BATCH_MS: u64 = 250;

/// A room's changes are told so seldom that they cost it no more sends than these in a second: as many
/// come in a second as there is time for, so that what they cost grows as their number does.
pub const SENDS_PER_SECOND: usize = 20_000;

/// Members one event or one page is about at most.
pub const PAGE: usize = 1_000;

/// Users whose last time is kept until it is stored; those beyond are not, and are counted.
const SEEN_MOST: usize = 100_000;

/// The directory of rooms is cut in so many parts, so that shards seldom meet at one lock.
const PARTS: usize = 64;

/// What is set for all places.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A lost connection stays listed for so long.
    pub grace_ms: u64,
    /// A client that says nothing for so long is away; 0: never.
    pub idle_ms: u64,
    /// Who comes and goes is told to everybody of an organisation's namespace up to so many connections.
    pub announce_up_to: usize,
    /// Whether it is kept when users were last there, for somebody who stores it.
    pub keeps_seen: bool,
}

impl Default for Times {
    fn default() -> Self {
        Self { grace_ms: 5_000, idle_ms: 300_000, announce_up_to: 0, keeps_seen: false }
    }
}

/// What one room's members are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomNews {
    /// The room.
    pub room: Room,
    /// Counts up by one with each event, so that a client sees that it missed one.
    pub version: u64,
    /// How many there are.
    pub counts: Counts,
    /// Who came, went or changed; `None` where only the counts are told.
    pub changes: Option<Changes>,
    /// Members were left out of earlier events: who keeps a list reads it again.
    pub reread: bool,
}

/// What there is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// To a room.
    Room(RoomNews),
    /// To everybody of an organisation's namespace.
    Everybody {
        /// The organisation.
        org: Org,
        /// The namespace, by its index.
        namespace: u8,
        /// Whose first connection came.
        online: Vec<UserKey>,
        /// Whose last connection went.
        offline: Vec<UserKey>,
        /// Whom to tell: every connection of a user.
        hearers: Vec<(Device, UserKey)>,
    },
    /// To apps: a user wished to be seen by nobody, for a time that is over.
    Shown(UserKey),
}

/// Who is in a room, as one asker may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// How many there are.
    pub counts: Counts,
    /// The version of the last event.
    pub version: u64,
    /// A page of members; `None` where only counts are shown.
    pub page: Option<Page>,
}

/// Who is where on this node.
pub struct Presence {
    times: Times,
    places: Box<[Mutex<HashMap<Room, Place>>]>,
    hasher: foldhash::fast::RandomState,
    people: People,
    crowds: Crowds,
    agenda: Agenda,
    seen: Mutex<HashMap<UserKey, u64>>,
    /// Last times that found no place.
    pub seen_lost: AtomicU64,
}

impl Default for Presence {
    fn default() -> Self {
        Self::new(Times::default())
    }
}

impl Presence {
    /// Nobody is anywhere.
    pub fn new(times: Times) -> Self {
        Self {
            times,
            places: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            people: People::default(),
            crowds: Crowds::default(),
            agenda: Agenda::default(),
            seen: Mutex::default(),
            seen_lost: AtomicU64::new(0),
        }
    }

    /// What is set for all places.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Calls `wake` whenever something is due earlier than it was; once for all.
    pub fn on_alarm(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.agenda.on_alarm(Box::new(wake));
    }

    /// Somebody has come into a room that keeps a roster.
    pub fn join(&self, who: &Identity, room: &Room, roll: Roll, device: Device, now_ms: u64) {
        let Some(user) = who.user_key() else {
            return self.at(room, roll, now_ms, |place| place.roster.join_unnamed(device));
        };
        self.people.with(&user, |person| {
            person.wishes.expire(now_ms);
            if !person.wishes.is_invisible() {
                self.note_seen(&user, now_ms);
            }
            person.rooms.insert(room.clone());
            self.at(room, roll, now_ms, |place| {
                let change = place.roster.join(&user, who.name.as_ref(), device, &person.wishes, now_ms);
                place.note(change);
            });
        });
    }

    /// A connection is out of a room: by its own wish at once, or lost, which others see after the grace.
    pub fn leave(&self, room: &Room, device: Device, lost: bool, now_ms: u64) {
        let grace_ms = if lost { self.times.grace_ms } else { 0 };
        self.at(room, Roll::Off, now_ms, |place| {
            // When the invisible were there is nobody's business.
            if let Some(user) = place.roster.owner(device).filter(|user| place.roster.seen(user).is_some()) {
                self.note_seen(user, now_ms);
            }
            let change = place.roster.leave(device, grace_ms, now_ms);
            place.note(change);
        });
    }

    /// A connection has become idle, or is used again.
    pub fn signal(&self, room: &Room, device: Device, idle: bool, now_ms: u64) {
        self.at(room, Roll::Off, now_ms, |place| {
            let change = place.roster.signal(device, idle, now_ms);
            place.note(change);
        });
    }

    /// Who is in a room; `None` if it keeps no roster, or nobody was ever there.
    pub fn view(&self, room: &Room, asker: Option<&UserKey>, page: usize) -> Option<View> {
        let mut part = lock(self.part(room));
        Some(part.get_mut(room)?.view(asker, page))
    }

    /// The same for a newcomer: with members where all of them fit into its room's full list.
    pub fn view_of_newcomer(&self, room: &Room, asker: Option<&UserKey>) -> Option<View> {
        let mut part = lock(self.part(room));
        Some(part.get_mut(room)?.view_of_newcomer(asker))
    }

    /// When there is something to look at; `u64::MAX`: never.
    pub fn next_ms(&self) -> u64 {
        self.agenda.next_ms()
    }

    /// What there is to tell by now.
    pub fn look(&self, now_ms: u64) -> Vec<News> {
        let mut news = Vec::new();
        while let Some((spot, due)) = self.agenda.take(now_ms) {
            match due {
                Due::Room(room) => news.extend(self.look_at(&room, spot, now_ms).map(News::Room)),
                Due::Crowd(org, namespace) => {
                    news.extend(self.crowds.look((&org, namespace), spot, now_ms, &self.agenda));
                }
                Due::User(user) => {
                    let is_shown = self.people.is_shown(&user, spot, now_ms, &self.agenda);
                    news.extend(is_shown.then_some(News::Shown(user)));
                }
            }
        }
        news
    }

    /// Forgets what nobody needs.
    pub fn sweep(&self, now_ms: u64) {
        self.people.sweep(now_ms, |user, room| {
            lock(self.part(room)).get(room).is_some_and(|place| place.roster.holds(user))
        });
    }

    /// When users were last there, as far as it was noted since it was last taken.
    pub fn take_seen(&self) -> Vec<(UserKey, u64)> {
        std::mem::take(&mut *lock(&self.seen)).into_iter().collect()
    }

    /// How many rooms keep a roster now, and how many connections are in them.
    pub fn figures(&self) -> (usize, usize) {
        let parts = self.places.iter().map(|part| {
            let part = lock(part);
            let connections = part.values().map(|place| place.roster.counts().connections).sum();
            (part.len(), connections)
        });
        parts.fold((0, 0), |sum, (rooms, connections): (_, usize)| (sum.0 + rooms, sum.1 + connections))
    }

    /// Does something in a room's place, made for `roll` if there is none, and sees to it that it is told.
    fn at(&self, room: &Room, roll: Roll, now_ms: u64, act: impl FnOnce(&mut Place)) {
        let mut part = lock(self.part(room));
        let place = match part.entry(room.clone()) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(vacant) if roll.is_on() => vacant.insert(Place::new(roll, now_ms)),
            Entry::Vacant(_) => return,
        };
        act(place);
        if self.sort(place, room, now_ms) {
            part.remove(room);
        }
    }

    fn look_at(&self, room: &Room, spot: Spot, now_ms: u64) -> Option<RoomNews> {
        let mut part = lock(self.part(room));
        // It may have been wanted earlier while it was taken out of the agenda: then it stands there again.
        let place = part.get_mut(room).filter(|place| place.spot == Some(spot))?;
        place.spot = None;
        let news = place.look(room, now_ms);
        if self.sort(place, room, now_ms) {
            part.remove(room);
        }
        news
    }

    /// Puts a place where it belongs in the agenda; `true` if nobody is there and nothing waits.
    fn sort(&self, place: &mut Place, room: &Room, now_ms: u64) -> bool {
        let wanted_ms = place.wanted_ms(now_ms);
        self.agenda.sort(&mut place.spot, wanted_ms, || Due::Room(room.clone()));
        place.spot.is_none() && place.roster.is_empty()
    }

    fn note_seen(&self, user: &UserKey, at_ms: u64) {
        if !self.times.keeps_seen {
            return;
        }
        let mut seen = lock(&self.seen);
        if seen.len() >= SEEN_MOST && !seen.contains_key(user) {
            self.seen_lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let known = seen.entry(user.clone()).or_default();
        *known = at_ms.max(*known);
    }

    fn part(&self, room: &Room) -> &Mutex<HashMap<Room, Place>> {
        &self.places[self.hasher.hash_one(room) as usize % PARTS]
    }
}

/// How long changes of so many connections are gathered.
fn interval_ms(connections: usize) -> u64 {
    BATCH_MS.max((connections * 1_000 / SENDS_PER_SECOND) as u64)
}
