//! The only place where hub, history and rights meet: join, leave, publish.

mod attendance;
mod carried;
mod diffed;
mod from;
mod logged;
mod paced;
mod publish;
mod recorded;
mod tracked;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::access::{Code, Identity, Refusal};
use crate::answers::{Answer, Answered, Answers, Subject};
use crate::frame::Form;
use crate::hub::{Entry, Full, Hub, Numbers};
use crate::kinds::{Action, Asker, Denied, Kinds, Replaced, decide};
use crate::lane::Lane;
use crate::lock;
use crate::presence::Presence;
use crate::publication::{Epoch, Mark, MessageId, Payload, Position, Publication};
use crate::recent::{KeyRecord, Read, Recent};
use crate::recorder::Recorder;
use crate::room::{Keep, Org, Room, RoomSpec};
use crate::shard::{Left, Shard};
use crate::shuffle::Shuffle;

use carried::Before;
pub use carried::{Bodies, Carried};
use diffed::Saying;
use from::moved_on;
pub use from::{From, Heard, Joined};
use paced::Valves;
use publish::timed;
pub use publish::{Publish, Published};

/// One node: every join, leave and publish goes through here.
pub struct Node {
    hub: Hub,
    /// Swapped as a whole when the configuration is read again.
    kinds: RwLock<Arc<Kinds>>,
    /// Drawn at random at each start; marks message ids and resume offsets.
    id: u64,
    /// Messages and epochs are counted over all organisations; what is shown of the counts tells
    /// none of them what the others do.
    messages: AtomicU64,
    message_order: Shuffle,
    epochs: AtomicU64,
    epoch_order: Shuffle,
    /// Of what volatile events are about, and of what only this process compares.
    hasher: foldhash::fast::RandomState,
    /// Of the bodies of keyed publishes; drawn with the first one, unless the process before has handed it on.
    bodies: OnceLock<Bodies>,
    /// The processes whose memory this one went on with.
    before: OnceLock<Before>,
    /// What is in memory was handed on; nothing more is recorded there.
    closed: AtomicBool,
    /// What the team's backend has said, as long as it allowed.
    answers: Mutex<Answers>,
    presence: Presence,
    /// What happened lately; `None`: nothing is noted.
    recorder: Option<Recorder>,
    /// What waits for the pace of its room.
    valves: Valves,
    /// Told of each room whose first event is kept in memory alone.
    first_heard: OnceLock<FirstHeard>,
}

type FirstHeard = Box<dyn Fn(&Room) + Send + Sync>;

/// Answers of the backend a node keeps at most; beyond that the oldest are asked for again.
const ANSWERS: usize = 100_000;

impl Node {
    /// A node over the given hub and kinds; `id` is drawn at random by the caller.
    pub fn new(hub: Hub, kinds: Kinds, id: u64) -> Self {
        Self {
            hub,
            kinds: RwLock::new(Arc::new(kinds)),
            id,
            messages: AtomicU64::new(1),
            message_order: Shuffle::default(),
            epochs: AtomicU64::new(1),
            epoch_order: Shuffle::default(),
            hasher: foldhash::fast::RandomState::default(),
            bodies: OnceLock::new(),
            before: OnceLock::new(),
            closed: AtomicBool::new(false),
            answers: Mutex::new(Answers::new(ANSWERS)),
            presence: Presence::default(),
            recorder: None,
            valves: Valves::default(),
            first_heard: OnceLock::new(),
        }
    }

    /// The number drawn at this start.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The handle to all shards.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The declared kinds of rooms, as they are now.
    pub fn kinds(&self) -> Arc<Kinds> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other kinds in the place of the declared ones.
    ///
    /// From now on rights are judged by them. Who is in a room already stays there until somebody asks
    /// [`Node::admit`] for it again.
    pub fn replace_kinds(&self, kinds: Kinds) -> Replaced {
        let mut held = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let (kinds, replaced) = kinds.in_place_of(&held);
        *held = Arc::new(kinds);
        replaced
    }

    fn spec(&self, room: &Room) -> Result<Arc<RoomSpec>, Refusal> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).spec(room).cloned()
    }

    /// Decides whether `who` may do `action` in `room`: the rules, and what the backend has said.
    ///
    /// # Errors
    /// As [`decide`].
    pub fn admit<'a>(
        &self,
        who: impl Into<Asker<'a>>,
        room: &Room,
        action: Action,
    ) -> Result<Arc<RoomSpec>, Denied> {
        self.admit_event(&who.into(), room, action, "")
    }

    /// The same for one event: what may be published can depend on its name.
    fn admit_event(
        &self,
        asker: &Asker<'_>,
        room: &Room,
        action: Action,
        event: &str,
    ) -> Result<Arc<RoomSpec>, Denied> {
        let spec = self.spec(room)?;
        decide(&spec, asker.who, room, action, |action| self.answer(asker, room, action, event))?;
        Ok(spec)
    }

    /// What the backend said for this very command, else what is kept of it.
    fn answer(&self, asker: &Asker<'_>, room: &Room, action: Action, event: &str) -> Option<Answer> {
        let fetched = asker.answered.iter().find(|said| said.action == action && said.room == *room);
        if let Some(said) = fetched {
            return Some(said.answer.clone());
        }
        let now_ms = asker.now_ms?;
        let subject = Subject::of(asker.who, asker.connection)?;
        let event = if action == Action::Publish { event } else { "" };
        lock(&self.answers).get(asker.who, &subject, (room, action, event), now_ms).cloned()
    }

    /// Keeps an answer of the backend until `until_ms`; `asked_at` is what [`Node::rights_changes`]
    /// said when it was asked.
    pub fn keep_answer(
        &self,
        asker: &Asker<'_>,
        event: &str,
        answered: Answered,
        until_ms: u64,
        asked_at: u64,
    ) {
        let Some(subject) = Subject::of(asker.who, asker.connection) else { return };
        let event = if answered.action == Action::Publish { event } else { "" };
        lock(&self.answers).put(asker.who, subject, event, answered, until_ms, asked_at);
    }

    /// Forgets what the backend said of a user: its rights have changed.
    pub fn forget(&self, org: &Org, user: &str) {
        lock(&self.answers).forget(org, user);
    }

    /// How often rights have changed; see [`Node::keep_answer`].
    pub fn rights_changes(&self) -> u64 {
        lock(&self.answers).changes()
    }

    /// How many answers of the backend are kept.
    pub fn answers_kept(&self) -> usize {
        lock(&self.answers).len()
    }

    /// Takes a connection of `shard` into a room, and reads what it missed.
    ///
    /// Order matters: it is registered and the history read while nothing can be appended; what
    /// is then on its way to the shard and was read already is not delivered twice.
    ///
    /// # Errors
    /// The room's rules; [`Code::Unavailable`] if the room is full or one too many.
    pub fn join<'a>(
        &self,
        shard: &mut Shard,
        slot: u32,
        form: Form,
        who: impl Into<Asker<'a>>,
        room: &Room,
        from: From,
    ) -> Result<Joined, Denied> {
        let sequence = self.hub.sequence(room.org());
        let sequence = lock(&sequence);
        self.join_at(sequence.mark(), shard, slot, form, &who.into(), room, from)
    }

    /// Takes a connection into all rooms of a session it takes up again.
    ///
    /// All at one point of the organisation's sequence: with one room after the other, an event
    /// recorded in between could reach the client behind a later one, and its single offset would
    /// skip it should the connection break just then.
    pub fn rejoin<'a>(
        &self,
        shard: &mut Shard,
        slot: u32,
        form: Form,
        who: impl Into<Asker<'a>>,
        rooms: &[(Room, From)],
    ) -> Vec<Result<Joined, Denied>> {
        let asker = who.into();
        let sequence = self.hub.sequence(&asker.who.org);
        let sequence = lock(&sequence);
        let join = |(room, from): &(Room, From)| {
            self.join_at(sequence.mark(), shard, slot, form, &asker, room, *from)
        };
        rooms.iter().map(join).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "who joins what, from where, and the point in time")]
    fn join_at(
        &self,
        now: Mark,
        shard: &mut Shard,
        slot: u32,
        form: Form,
        asker: &Asker<'_>,
        room: &Room,
        from: From,
    ) -> Result<Joined, Denied> {
        let spec = self.admit_event(asker, room, Action::Subscribe, "")?;
        if shard.is_member(slot, room, form.namespace)
            && let Some(entry) = shard.entry(room).cloned()
        {
            return Ok(self.join_again(shard, slot, form.namespace, asker, &entry, from)?);
        }
        let entry = match self.hub.enter(room, &spec, shard.index(), || self.epoch()) {
            Err(Full::Unread) => return Err(Denied::Load),
            entered => entered.map_err(full)?,
        };
        let read = self.read_from(asker, &entry, from);
        let since = match from {
            From::Sequence { since, heard: Heard::To(heard) | Heard::Then(heard, _) } => since.max(heard),
            From::Sequence { since, heard: Heard::Flushed(_) } => since,
            _ => now,
        };
        // What is handed over from now on begins with what is whole; what is on its way does not.
        entry.want_whole();
        let read_to = read.as_ref().map_or_else(|| entry.said_to(), |read| Some(read.top.offset));
        shard.join(slot, &entry, form, since, read_to);
        if let (From::Moment(Some(_)), Some(false)) = (from, read.as_ref().map(|read| read.complete)) {
            self.leave(shard, slot, room, form.namespace);
            return Err(moved_on().into());
        }
        let mut roll = entry.spec.roll;
        if roll.is_on() {
            roll = self.attend(shard, slot, &entry, form.namespace, asker);
        }
        let recovered = match from {
            From::Now | From::Moment(_) => None,
            _ => Some(read.as_ref().is_some_and(|read| read.complete)),
        };
        Ok(match read {
            Some(read) => {
                let top = match from {
                    // Where the newcomer stands is where its snapshot does; what it missed is on its way.
                    From::Moment(moment) => moment.unwrap_or(Position::start(read.top.epoch)),
                    _ => read.top,
                };
                Joined { top: Some(top), missed: read.events, recovered, roll }
            }
            None => Joined { top: None, missed: Vec::new(), recovered, roll },
        })
    }

    /// Takes a connection out of a room; whether it was in it.
    pub fn leave(&self, shard: &mut Shard, slot: u32, room: &Room, namespace: u8) -> bool {
        let left = shard.leave(slot, room, namespace);
        left.iter().for_each(|left| self.left(shard, slot, left, false));
        left.is_some()
    }

    /// Takes a connection out of all rooms it is in through `namespace` (all: `None`).
    pub fn leave_all(&self, shard: &mut Shard, slot: u32, namespace: Option<u8>) -> Vec<Left> {
        let left = shard.leave_all(slot, namespace);
        left.iter().for_each(|left| self.left(shard, slot, left, true));
        left
    }

    /// Publishes for a client, if the room's rules let it.
    ///
    /// # Errors
    /// The room's rules; [`Code::TooLarge`] and [`Code::Conflict`] as [`Node::publish`]; [`Denied::Log`] for what
    /// is allowed and has to be stored first, [`Denied::Load`] if the room is not read yet.
    pub fn publish_as<'a>(
        &self,
        who: impl Into<Asker<'a>>,
        what: Publish<'_>,
        here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Denied> {
        let spec = self.admit_event(&who.into(), &what.room, Action::Publish, what.event)?;
        if spec.keep.is_durable() && !what.volatile {
            return Err(self.for_the_log(&spec, &what));
        }
        Ok(self.publish_in(&spec, what, here, now_ms)?)
    }

    /// Publishes to a room; a call from a shard's own thread passes it as `here`.
    ///
    /// Volatile events go out at once. Recorded ones are numbered, kept and handed over under the
    /// organisation's lock, to the own shard as well, so that all members see one order.
    ///
    /// # Errors
    /// [`Code::NotFound`] for an undeclared kind, [`Code::TooLarge`] for more data than the kind
    /// takes, [`Code::Conflict`] for a key that was used with another event,
    /// [`Code::Unavailable`] if the room would be one too many for its organisation.
    pub fn publish(
        &self,
        what: Publish<'_>,
        here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        let spec = self.spec(&what.room)?;
        self.publish_in(&spec, what, here, now_ms)
    }

    /// Publishes to everybody of an organisation, whatever rooms they are in; volatile.
    ///
    /// # Errors
    /// [`Code::Forbidden`] for one who is no server; another's organisation does not exist.
    pub fn announce(
        &self,
        who: &Identity,
        org: &Org,
        event: &str,
        payload: Payload,
        lane: Option<Lane>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        if who.org != *org {
            return Err(Refusal::new(Code::NotFound, "no such organisation"));
        }
        if !who.is_server() {
            return Err(Refusal::new(Code::Forbidden, "only servers speak to everybody"));
        }
        let id = self.message_id();
        let publication = Publication {
            lane: lane.unwrap_or(Lane::Normal),
            ..Publication::new(Room::of_everybody(org), event, payload, id, now_ms)
        };
        self.hand_to_everybody(&Arc::new(publication));
        Ok(Published::now(id, None))
    }

    /// The events of a room's history, for one who may read them.
    ///
    /// # Errors
    /// The room's rules.
    pub fn history<'a>(
        &self,
        who: impl Into<Asker<'a>>,
        room: &Room,
        since: Option<Position>,
        limit: usize,
    ) -> Result<Option<Read>, Denied> {
        self.admit(who, room, Action::History)?;
        if self.wants_loading(room) {
            return Err(Denied::Load);
        }
        let entry = self.hub.find(room);
        Ok(entry.and_then(|entry| {
            let recent = entry.history()?;
            Some(match since {
                Some(since) => recent.after(since, limit),
                None => recent.newest(limit),
            })
        }))
    }

    /// Forgets rooms nobody needs; returns how many are left.
    pub fn sweep(&self, now_ms: u64) -> usize {
        self.hub.sweep(now_ms)
    }

    fn publish_in(
        &self,
        spec: &Arc<RoomSpec>,
        what: Publish<'_>,
        here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        refuse_large(spec, &what)?;
        // What the engine itself says of a room is complete only if all of it is heard.
        let paced = !spec.keep.is_durable() && !what.event.starts_with("tidings:");
        match spec.pacing {
            Some(pacing) if paced => self.publish_paced(pacing, spec, what, here, now_ms),
            _ => self.publish_now(spec, what, None, here, now_ms),
        }
    }

    /// Publishes what no valve holds back; `released` is the id of an event that one did.
    fn publish_now(
        &self,
        spec: &Arc<RoomSpec>,
        what: Publish<'_>,
        released: Option<MessageId>,
        here: Option<&mut Shard>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        match spec.keep {
            Keep::Recent { .. } if !what.volatile => return self.record(spec, what, released, now_ms),
            Keep::Durable { .. } if !what.volatile => {
                return Err(Refusal::new(Code::Unavailable, "this has to be stored first"));
            }
            _ => {}
        }
        let id = released.unwrap_or_else(|| self.message_id());
        let Some(entry) = self.hub.find(&what.room) else {
            return Ok(self.unheard(spec, &what, id, now_ms));
        };
        let saying = Saying::new(&entry, &what);
        let publication = self.publication(spec, what, id, None, Mark::default(), now_ms);
        if let Some(saying) = saying {
            return Ok(self.publish_diffed(&entry, saying, publication));
        }
        let publication = Arc::new(publication);
        let handed = self.hand_over(&entry, &publication, here.as_ref().map(|shard| shard.index()), false);
        if let Some(shard) = here.filter(|shard| handed.shards & (1 << shard.index()) != 0) {
            shard.take(&publication);
        }
        Ok(Published::now(id, None))
    }

    fn record(
        &self,
        spec: &Arc<RoomSpec>,
        what: Publish<'_>,
        released: Option<MessageId>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        let sequence = self.hub.sequence(what.room.org());
        let mut sequence = lock(&sequence);
        self.refuse_late()?;
        loop {
            let entry = self.hub.entry(&what.room, spec, || self.epoch()).map_err(full)?;
            let Some(recent) = entry.history() else { return Err(Refusal::no_such_room()) };
            // The hub may have forgotten the room between look-up and lock: then nobody would
            // ever read what is appended here.
            if !recent.is_retired() {
                return self.append(&entry, recent, &mut sequence, what, released, now_ms);
            }
        }
    }

    /// Numbers, keeps and hands over a recorded event, unless its key is known.
    fn append(
        &self,
        entry: &Entry,
        mut recent: MutexGuard<'_, Recent>,
        numbers: &mut Numbers,
        what: Publish<'_>,
        released: Option<MessageId>,
        now_ms: u64,
    ) -> Result<Published, Refusal> {
        recent.expire(now_ms);
        // The key of one that was held back was looked at when it came.
        let body = what.key.filter(|_| released.is_none()).map(|_| self.bodies().of(&what));
        if let Some(known) = self.known(&recent, &what, body)? {
            self.note_duplicate(known.id);
            return Ok(known);
        }
        let id = released.unwrap_or_else(|| self.message_id());
        let position = Some(recent.next(id));
        let mark = numbers.count(None);
        let key = what.key;
        let mut saying = Saying::new(entry, &what);
        let mut publication = self.publication(&entry.spec, what, id, position, mark, now_ms);
        if let Some(saying) = &mut saying {
            saying.take_in(entry, &mut publication);
        }
        let publication = Arc::new(publication);
        recent.append(publication.clone());
        if let (Some(key), Some(body)) = (key, body) {
            recent.remember(key, KeyRecord { body, id, position, at_ms: now_ms });
        } else if let (Some(key), Some(position)) = (key, position) {
            recent.place(key, position);
        }
        drop(recent);
        if position.is_some_and(|position| position.offset == 1)
            && let Some(first_heard) = self.first_heard.get()
        {
            first_heard(&entry.room);
        }
        if self.hand_over(entry, &publication, None, false).refused != 0 {
            entry.want_whole();
        }
        Ok(Published::now(id, position))
    }

    /// What the first publish with the same key became.
    ///
    /// # Errors
    /// [`Code::Conflict`] if that was another event.
    fn known(
        &self,
        recent: &Recent,
        what: &Publish<'_>,
        body: Option<u64>,
    ) -> Result<Option<Published>, Refusal> {
        let Some(body) = body else { return Ok(None) };
        match what.key.and_then(|key| recent.key(key)) {
            None => Ok(None),
            Some(known) if known.body == body || known.body == self.bodies().written(what) => {
                Ok(Some(Published { duplicate: true, ..Published::now(known.id, known.position) }))
            }
            Some(_) => Err(Refusal::key_was_used()),
        }
    }

    fn publication(
        &self,
        spec: &RoomSpec,
        what: Publish<'_>,
        id: MessageId,
        position: Option<Position>,
        mark: Mark,
        at_ms: u64,
    ) -> Publication {
        let volatile_slot = what.slot.filter(|_| position.is_none());
        let subject = volatile_slot.map_or(0, |slot| self.hasher.hash_one((what.event, slot)) | 1);
        Publication {
            subject,
            room: what.room,
            event: what.event.into(),
            payload: what.payload,
            lane: what.lane.unwrap_or(spec.lane),
            skip: what.skip,
            id,
            position,
            sequence: mark.memory,
            durable: mark.durable,
            at_ms,
            ack: what.ack,
            part: None,
            said: 0,
            timed: timed(id),
        }
    }

    fn message_id(&self) -> MessageId {
        let number = self.message_order.place(self.messages.fetch_add(1, Ordering::Relaxed));
        MessageId { node: self.id, number }
    }

    fn epoch(&self) -> Epoch {
        Epoch(self.epoch_order.place(self.epochs.fetch_add(1, Ordering::Relaxed)))
    }
}

fn refuse_large(spec: &RoomSpec, what: &Publish<'_>) -> Result<(), Refusal> {
    match spec.message_bytes {
        Some(most) if what.payload.json.len() > most => {
            Err(Refusal::new(Code::TooLarge, "more data than this kind of room takes"))
        }
        _ => Ok(()),
    }
}

fn full(full: Full) -> Refusal {
    Refusal::new(Code::Unavailable, &full.to_string())
}
