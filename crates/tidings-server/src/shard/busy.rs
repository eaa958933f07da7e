//! Who is connected how often, and says how much.

use std::collections::HashMap;

use compact_str::CompactString;
use tidings_core::{ConnKey, UserKey};
use tokio::sync::oneshot;

use super::ShardLoop;
use super::walk::{Walk, door};
use crate::admin::sight::Sight;

/// Users of one shard that are counted; connections of others are left out, and how many these are is told.
pub(crate) const USERS_MOST: usize = 50_000;

/// The connections of a user that are open now.
#[derive(Debug, Clone, Default)]
pub(crate) struct OfUser {
    pub(crate) name: Option<CompactString>,
    pub(crate) connections: u32,
    /// Messages that came by them.
    pub(crate) said: u64,
}

impl OfUser {
    /// Adds those on another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.said += other.said;
        self.name = self.name.take().or_else(|| other.name.clone());
    }
}

/// The users a shard has, and how many connections were left out.
pub(crate) type Found = (HashMap<UserKey, OfUser>, u64);

/// Counts by user.
pub(crate) struct Busy {
    pub(crate) sight: Sight,
    pub(crate) users: HashMap<UserKey, OfUser>,
    pub(crate) left_out: u64,
    pub(crate) reply: oneshot::Sender<Found>,
}

impl Walk for Busy {
    fn visit(&mut self, shard: &mut ShardLoop, key: ConnKey) {
        let Some(link) = shard.links.get(key) else { return };
        if door(link).is_none() {
            return;
        }
        let (said, mut counted) = (u64::from(link.meter.said()), Vec::new());
        for seat in &link.seats {
            let Some(user) = seat.who.user_key().filter(|_| self.sight.sees(&seat.who.org)) else { continue };
            if counted.contains(&user) {
                continue;
            }
            if self.users.len() >= USERS_MOST && !self.users.contains_key(&user) {
                self.left_out += 1;
                continue;
            }
            let row = OfUser { name: seat.who.name.clone(), connections: 1, said };
            self.users.entry(user.clone()).or_default().add(&row);
            counted.push(user);
        }
    }

    fn is_done(&self) -> bool {
        self.reply.is_closed()
    }

    fn end(self: Box<Self>, _next: Option<usize>) {
        // Whoever asked may have given up.
        let _ = self.reply.send((self.users, self.left_out));
    }
}
