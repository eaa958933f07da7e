//! Who is in one place with which devices: a pure value.
//!
//! A user with several connections is one member with several devices. A connection that is lost stays for
//! the grace, and the next one of the same user takes its place: so a page that is loaded again neither
//! leaves nor joins. Time comes from outside, in milliseconds of one clock that does not jump.

mod changes;
mod member;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;
use hashbrown::{HashMap, HashSet};

pub use changes::{Changes, Gathered};
use member::{HERE, Held, Member};
pub use member::{Seen, Status, Wish, Wishes};

use crate::shard::ConnKey;
use crate::user::UserKey;

/// One connection in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    shard: u16,
    namespace: u8,
    slot: u32,
    generation: u32,
}

impl Device {
    /// The connection `key` of a shard, in a namespace.
    pub fn new(shard: usize, key: ConnKey, namespace: u8) -> Self {
        // There are at most 64 shards.
        Self { shard: shard as u16, namespace, slot: key.slot, generation: key.generation }
    }

    /// The index of its shard.
    pub fn shard(&self) -> usize {
        usize::from(self.shard)
    }

    /// The connection there.
    pub fn key(&self) -> ConnKey {
        ConnKey { slot: self.slot, generation: self.generation }
    }
}

/// How many are in a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections, those without a user included.
    pub connections: usize,
    /// Users.
    pub users: usize,
}

/// A member that others see otherwise than before; what it is now the roster knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The member.
    pub user: UserKey,
    /// What was seen of it; `None`: it was not there, or invisible.
    pub before: Option<Seen>,
}

/// A page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The members, ordered by their ids.
    pub members: Vec<Seen>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// Who is in one place with which devices.
#[derive(Debug, Default)]
pub struct Roster {
    members: BTreeMap<UserKey, Member>,
    /// Whose each device is.
    owners: HashMap<Device, UserKey>,
    /// Connections without a user: they count and are not listed.
    strangers: HashSet<Device>,
    counts: Counts,
    /// When something of whom is over by the clock. Of most nothing ever is, and they are not looked at when
    /// something of others is: thousands may be lost one after the other out of a room of tens of thousands.
    ends: BTreeSet<(u64, UserKey)>,
}

impl Roster {
    /// A roster without anybody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nobody is there, visible or not.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.strangers.is_empty()
    }

    /// How many are there, but for the invisible.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// When something is over by the clock, at the earliest; `u64::MAX`: never.
    pub fn due_ms(&self) -> u64 {
        self.ends.first().map_or(u64::MAX, |(at_ms, _)| *at_ms)
    }

    /// Every device of a user, also of one that is invisible, and whose it is.
    pub fn devices(&self) -> impl Iterator<Item = (Device, &UserKey)> {
        self.owners.iter().map(|(device, user)| (*device, user))
    }

    /// Whose a device is.
    pub fn owner(&self, device: Device) -> Option<&UserKey> {
        self.owners.get(&device)
    }

    /// Whether a user is a member, visible or not.
    pub fn holds(&self, user: &UserKey) -> bool {
        self.members.contains_key(user)
    }

    /// What others see of a user.
    pub fn seen(&self, user: &UserKey) -> Option<Seen> {
        self.members.get(user)?.shown(user)
    }

    /// What a user sees of itself: the same, invisible or not.
    pub fn own(&self, user: &UserKey) -> Option<Seen> {
        Some(self.members.get(user)?.seen(user))
    }

    /// A connection without a user comes.
    pub fn join_unnamed(&mut self, device: Device) {
        self.counts.connections += usize::from(self.strangers.insert(device));
    }

    /// A user comes with a device; a lost one of the same user is taken to be this one.
    ///
    /// `wishes` are what the user has set for itself so far.
    pub fn join(
        &mut self,
        user: &UserKey,
        name: Option<&CompactString>,
        device: Device,
        wishes: &Wishes,
        now_ms: u64,
    ) -> Option<Change> {
        if self.owners.contains_key(&device) {
            return None;
        }
        self.owners.insert(device, user.clone());
        let mut replaced = None;
        let change = self.touch(user, |member| {
            member.name = name.cloned();
            member.wishes = wishes.clone();
            member.seen_ms = now_ms;
            replaced = member.take_lost();
            // Most have one.
            member.devices.reserve_exact(1);
            member.devices.push(Held { device, idle: false, until_ms: HERE });
        });
        if let Some(lost) = replaced {
            self.owners.remove(&lost);
        }
        change
    }

    /// A connection is gone; it stays listed for the grace, if there is one.
    pub fn leave(&mut self, device: Device, grace_ms: u64, now_ms: u64) -> Option<Change> {
        if self.strangers.remove(&device) {
            self.counts.connections -= 1;
            return None;
        }
        let user = self.owners.get(&device)?.clone();
        if grace_ms == 0 {
            self.owners.remove(&device);
            return self.touch(&user, |member| {
                member.seen_ms = now_ms;
                member.devices.retain(|held| held.device != device);
            });
        }
        let until_ms = now_ms.saturating_add(grace_ms);
        self.touch(&user, |member| {
            member.seen_ms = now_ms;
            if let Some(held) = member.held(device) {
                held.until_ms = held.until_ms.min(until_ms);
            }
        })
    }

    /// A device has become idle, or is used again.
    pub fn signal(&mut self, device: Device, idle: bool, now_ms: u64) -> Option<Change> {
        let user = self.owners.get(&device)?.clone();
        self.touch(&user, |member| {
            if !idle {
                member.seen_ms = now_ms;
            }
            if let Some(held) = member.held(device) {
                held.idle = idle;
            }
        })
    }

    /// A user has set something for itself; nothing happens if it is no member.
    pub fn set(&mut self, user: &UserKey, wishes: &Wishes) -> Option<Change> {
        if !self.holds(user) {
            return None;
        }
        self.touch(user, |member| member.wishes = wishes.clone())
    }

    /// Ends what is over by the clock: graces and wishes.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some((_, user)) = self.ends.first().filter(|(at_ms, _)| *at_ms <= now_ms).cloned() {
            let mut gone = Vec::new();
            changes.extend(self.touch(&user, |member| gone = member.expire(now_ms)));
            for device in gone {
                self.owners.remove(&device);
            }
        }
        changes
    }

    /// A page of members as `asker` may see them: itself even if it is invisible.
    pub fn page(&self, asker: Option<&UserKey>, page: usize, size: usize) -> Page {
        let shown = self.members.iter().filter_map(|(user, member)| {
            if Some(user) == asker { Some(member.seen(user)) } else { member.shown(user) }
        });
        let mut members: Vec<Seen> = shown.skip(page.saturating_mul(size)).take(size + 1).collect();
        let more = members.len() > size;
        members.truncate(size);
        Page { members, more }
    }

    /// The counts as `asker` may see them: with itself even if it is invisible.
    pub fn counts_for(&self, asker: Option<&UserKey>) -> Counts {
        let own = asker.and_then(|user| self.members.get(user)).filter(|member| member.is_invisible());
        let devices = own.map_or(0, |member| member.devices.len());
        Counts {
            connections: self.counts.connections + devices,
            users: self.counts.users + usize::from(own.is_some()),
        }
    }

    /// Changes a member, made if it is missing and forgotten if no device is left, and keeps the counts.
    fn touch(&mut self, user: &UserKey, change: impl FnOnce(&mut Member)) -> Option<Change> {
        let before = self.seen(user);
        let member = self.members.entry(user.clone()).or_default();
        let ended = member.due_ms();
        change(member);
        let (after, ends) = match member.devices.is_empty() {
            true => (None, u64::MAX),
            false => (member.shown(user), member.due_ms()),
        };
        if member.devices.is_empty() {
            self.members.remove(user);
        }
        if ended != ends {
            self.ends.remove(&(ended, user.clone()));
            if ends != u64::MAX {
                self.ends.insert((ends, user.clone()));
            }
        }
        let devices = |seen: &Option<Seen>| seen.as_ref().map_or(0, |seen| seen.devices);
        self.counts.connections = self.counts.connections + devices(&after) - devices(&before);
        self.counts.users = self.counts.users + usize::from(after.is_some()) - usize::from(before.is_some());
        let same = match (&before, &after) {
            (Some(before), Some(after)) => before.looks_like(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        (!same).then(|| Change { user: user.clone(), before })
    }
}

/// What a member says of itself besides its status: JSON of at most [`INFO_BYTES`].
pub type Info = Arc<str>;

/// Bytes of a member's info at most.
pub const INFO_BYTES: usize = 1_024;
