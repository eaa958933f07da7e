//! Persistent subscriptions of this shard's connections: made, taken up again, ended, and how far each was heard.
//!
//! A place is proven by a heartbeat: what stood before a ping has arrived when the pong is back. What came after
//! the last pong may come again when the user is back.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use tidings_core::{Action, Answered, ConnKey, Identity, Position, Refusal, Room, UserKey};
use tidings_store::subscriptions::Subscription;
use tidings_wire::json::write_string;
use tidings_wire::plain::{Since, SubscribeBody};

use super::ShardLoop;
use super::command::{AckTo, Halt, halt};
use super::kept::Kept;
use super::lane::Job;
use crate::asking::{Need, Open};
use crate::ids::SocketId;

/// What this shard's connections have taken up.
#[derive(Default)]
pub(super) struct Persistent {
    /// Connections that asked for what is kept for their users, before they have a seat.
    wanted: HashSet<ConnKey>,
    followed: HashMap<ConnKey, Vec<Followed>>,
    /// Rooms whose subscriptions are kept and which are to be entered, one for each connection.
    keeps: HashMap<ConnKey, Room>,
    /// A subscription is being taken up: nobody asked for it now.
    restoring: bool,
}

/// A room a connection is in for its user.
struct Followed {
    user: UserKey,
    room: Room,
    namespace: u8,
    /// Where it joined.
    joined: Option<Position>,
    /// How far it had been sent when the last ping went out.
    pinged: Option<Position>,
    /// What was written down last.
    noted: Option<Position>,
}

/// A subscription that is taken up, as it waits for its turn.
pub(crate) struct Restore {
    pub(super) sid: SocketId,
    pub(super) ack: AckTo,
    subscription: Subscription,
}

impl ShardLoop {
    /// A connection asks for what is kept for its user.
    pub(super) fn wants_kept(&mut self, key: ConnKey) {
        self.persistent.wanted.insert(key);
    }

    /// A connection has a seat: what is kept for its user is read, if it asked for that.
    pub(super) fn take_up_kept(&mut self, key: ConnKey, ack: AckTo) {
        if self.persistent.wanted.is_empty() || !self.persistent.wanted.remove(&key) {
            return;
        }
        if let Ok(by) = self.by(key, ack) {
            self.queue(key, Job::Restore { by });
        }
    }

    /// What is kept for a user has been read: each subscription waits for its turn.
    pub(super) fn restore(&mut self, key: ConnKey, ack: AckTo, sid: SocketId, kept: Vec<Subscription>) {
        for subscription in kept {
            let restore = Restore { sid, ack, subscription };
            self.queue(key, Job::Later(Box::new(Kept::Restore(Box::new(restore)))));
        }
    }

    /// Takes one subscription up; one that is not allowed any more ends, and the client is told.
    pub(super) fn restore_one(&mut self, key: ConnKey, restore: Restore) {
        let Subscription { room, heard } = &restore.subscription;
        let epoch = heard.map(|heard| heard.epoch.to_string());
        let since = heard.zip(epoch.as_deref()).map(|(heard, epoch)| Since {
            epoch: Cow::Borrowed(epoch),
            offset: heard.offset,
            tag: (heard.tag != 0).then(|| format!("{:08x}", heard.tag).into()),
        });
        let room_name = Cow::Borrowed(room.as_str());
        let (rewind, events, min_lane) = (None, None, None);
        let body = SubscribeBody { room: room_name, since, rewind, events, min_lane, persist: false };
        self.persistent.restoring = true;
        let done = self.subscribe(key, restore.ack, &body);
        self.persistent.restoring = false;
        match done {
            Ok(()) => {}
            Err(Halt::Ask(open)) => self.ask_about(key, Kept::Restore(Box::new(restore)), open),
            Err(Halt::No(refusal)) => self.not_restored(key, &restore, &refusal),
        }
    }

    fn not_restored(&mut self, key: ConnKey, restore: &Restore, refusal: &Refusal) {
        let retryable = refusal.code.retryable();
        let room = &restore.subscription.room;
        let mut body = b"{\"room\":".to_vec();
        write_string(&mut body, room);
        body.extend_from_slice(b",\"reason\":");
        write_string(&mut body, refusal.code.as_str());
        body.extend_from_slice(format!(",\"kept\":{retryable}}}").as_bytes());
        self.notice(key, restore.ack, "left", &body);
        if !retryable && let Ok((who, room)) = self.who_and_room(key, restore.ack, room) {
            self.end_kept(&who, &room);
        }
    }

    /// Whether a command is a subscription that is taken up and not one that was asked for.
    pub(super) fn is_restoring(&self) -> bool {
        self.persistent.restoring
    }

    /// Has a subscription kept before its room is entered; once it is, the command comes by here again.
    pub(super) fn keep_first(
        &mut self,
        key: ConnKey,
        who: &Identity,
        room: &Room,
        answered: &[Answered],
    ) -> Result<(), Halt> {
        if self.persistent.keeps.get(&key) == Some(room) {
            return Ok(());
        }
        self.shared.subscriptions.may_keep(who)?;
        let asker = self.asker(key, who, answered);
        let node = self.node.clone();
        node.admit(asker, room, Action::Subscribe).map_err(|denied| halt(denied, room, answered))?;
        let (event, data) = (String::new(), String::new());
        let (room, answered) = (room.clone(), answered.to_vec());
        Err(Halt::Ask(Open { room, need: Need::Keep, event, data, answered, snapshot: None }))
    }

    /// A subscription is kept: its room is to be entered, whatever else that waits for.
    pub(super) fn kept_begin(&mut self, key: ConnKey, room: Room) {
        self.persistent.keeps.insert(key, room);
    }

    fn follows(&self, key: ConnKey, room: &Room) -> bool {
        let followed = self.persistent.followed.get(&key);
        followed.is_some_and(|followed| followed.iter().any(|one| one.room == *room))
    }

    /// A connection is in a room, or on its way there (`joined` is `None`): if that is kept, it is followed from here.
    pub(super) fn follow_kept(
        &mut self,
        key: ConnKey,
        namespace: u8,
        who: &Identity,
        room: &Room,
        joined: Option<Position>,
    ) {
        let keeps = self.persistent.keeps.get(&key) == Some(room);
        if keeps {
            self.persistent.keeps.remove(&key);
        }
        if !(keeps || self.persistent.restoring) || self.follows(key, room) {
            return;
        }
        let Some(user) = who.user_key() else { return };
        let followed = Followed { user, room: room.clone(), namespace, joined, pinged: None, noted: None };
        self.persistent.followed.entry(key).or_default().push(followed);
    }

    /// One that caught up has come into its room.
    pub(super) fn follow_from(&mut self, key: ConnKey, room: &Room, joined: Option<Position>) {
        let followed = self.persistent.followed.get_mut(&key);
        if let Some(one) = followed.and_then(|all| all.iter_mut().find(|one| one.room == *room)) {
            one.joined = joined;
        }
    }

    /// A connection leaves a room by its own wish; whether that was kept for its user.
    pub(super) fn unfollow(&mut self, key: ConnKey, room: &Room) -> bool {
        self.persistent.keeps.remove(&key);
        let Some(followed) = self.persistent.followed.get_mut(&key) else { return false };
        let before = followed.len();
        followed.retain(|one| one.room != *room);
        followed.len() < before
    }

    fn end_kept(&self, who: &Identity, room: &Room) {
        let Some(user) = who.user_key() else { return };
        let (shared, room) = (self.shared.clone(), room.clone());
        self.shared.front.spawn(async move {
            if let Err(refusal) = shared.subscriptions.end(&user, &room).await {
                tracing::warn!(%refusal, "a subscription that ended is still kept");
            }
        });
    }

    /// A ping goes out: how far each room has been sent.
    pub(super) fn mark_heard(&mut self, key: ConnKey) {
        let Some(followed) = self.persistent.followed.get_mut(&key) else { return };
        for one in followed {
            // Who still catches up is in no room, and has not heard what the others have.
            let is_there = self.shard.is_member(key.slot, &one.room, one.namespace);
            one.pinged = match is_there && self.shard.is_all_sent(key.slot, &one.room) {
                true => later(one.joined, self.shard.last_taken(&one.room)),
                false => None,
            };
        }
    }

    /// The pong is back: what stood before the ping has arrived.
    pub(super) fn proven(&mut self, key: ConnKey) {
        if self.persistent.followed.is_empty() {
            return;
        }
        let Some(followed) = self.persistent.followed.get_mut(&key) else { return };
        for one in followed.iter_mut() {
            let Some(position) = one.pinged.take().filter(|position| one.noted != Some(*position)) else {
                continue;
            };
            one.noted = Some(position);
            self.shared.subscriptions.heard(one.user.clone(), one.room.clone(), position);
        }
    }

    /// A client is gone, or has left a namespace.
    pub(super) fn forget_kept(&mut self, key: ConnKey, namespace: u8) {
        self.persistent.wanted.remove(&key);
        if let Some(followed) = self.persistent.followed.get_mut(&key) {
            followed.retain(|one| one.namespace != namespace);
            if followed.is_empty() {
                self.persistent.followed.remove(&key);
            }
        }
    }

    /// A connection is gone that may never have had a seat.
    pub(super) fn forget_wanted(&mut self, key: ConnKey) {
        self.persistent.wanted.remove(&key);
        self.persistent.keeps.remove(&key);
    }
}

/// The later of two places in a room; the second if the room was lost between them.
fn later(joined: Option<Position>, taken: Option<Position>) -> Option<Position> {
    match (joined, taken) {
        (Some(joined), Some(taken)) if joined.epoch == taken.epoch && joined.offset > taken.offset => {
            Some(joined)
        }
        (joined, None) => joined,
        (_, taken) => taken,
    }
}

impl Restore {
    pub(super) fn bytes(&self) -> usize {
        self.subscription.room.len()
    }
}
