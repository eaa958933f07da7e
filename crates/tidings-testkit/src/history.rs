//! A checker of histories: whether what many clients heard can be what the server acknowledged.
//!
//! It is told what was published, acknowledged and heard, each client's part in the client's own order, and
//! knows then what was lost, repeated, swapped or kept quiet about. It holds one place and the spans that
//! were heard for each subscription, not each delivery, so that ten thousand clients fit into memory.
//!
//! A publish is told before it is sent: one that was never answered may have been stored or not. Every
//! message carries a number of its publisher's own ([`Id`]), by which two copies of it are known as such.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

mod subscription;
#[cfg(test)]
mod tests;

use subscription::{Span, Subscription};

/// A publisher's own number of a message, unique in the whole history; carried in its data.
pub type Id = u64;

/// Faults that are told one by one; more are counted.
const TOLD: usize = 1_000;

/// A place in a room: offsets count 1, 2, 3 … within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// The room's epoch.
    pub epoch: u64,
    /// The message's offset; 0 is before the first.
    pub offset: u64,
}

/// A room of this history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoomId(usize);

/// A client of this history; the same over all its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId(usize);

/// Something that must not have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say where it happened")]
pub enum Fault {
    /// Two messages stand at one place.
    SplitSlot { room: RoomId, at: At, first: Id, second: Id },
    /// One message stands at two places.
    StoredTwice { room: RoomId, id: Id, first: At, second: At },
    /// One key was acknowledged with two places.
    KeyTwice { room: RoomId, key: String, first: At, second: At },
    /// A client heard what belongs to another organisation.
    CrossTenant { client: ClientId, room: RoomId, id: Id },
    /// A client heard in one room what was published in another.
    WrongRoom { client: ClientId, room: RoomId, id: Id },
    /// A client heard what nobody published.
    Phantom { client: ClientId, room: RoomId, id: Id },
    /// A client heard something in a room without having subscribed.
    Unasked { client: ClientId, room: RoomId, id: Id },
    /// A client heard a message twice.
    Duplicate { client: ClientId, room: RoomId, id: Id },
    /// A client heard an older message after a newer one.
    Reordered { client: ClientId, room: RoomId, behind: u64, offset: u64 },
    /// Offsets were left out and the client was not told.
    SilentGap { client: ClientId, room: RoomId, behind: u64, offset: u64 },
    /// The epoch changed and the client was not told.
    SilentEpoch { client: ClientId, room: RoomId, from: u64, to: u64 },
    /// A client is not where the room is, though nothing is under way any more.
    Stuck { client: ClientId, room: RoomId, at: At, end: At },
    /// Nobody said where the room was at the end.
    NoEnd { client: ClientId, room: RoomId },
    /// An acknowledged message never came, and no gap was told that covers it.
    Lost { client: ClientId, room: RoomId, at: At, id: Id },
    /// So little happened that nothing is proved.
    TooLittle { acked: usize, delivered: u64 },
    /// Gaps were told where there must be none.
    Gaps { messages: u64 },
}

/// What has to have happened for a history to prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Messages that were acknowledged.
    pub acked: usize,
    /// Messages that were heard, over all clients; at least one, whatever is demanded.
    pub delivered: u64,
    /// Whether gaps may have been told.
    pub gaps: bool,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The first faults that were found.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub fault_count: usize,
    /// Clients.
    pub clients: usize,
    /// Messages that were acknowledged.
    pub acked: usize,
    /// Messages that were heard, over all clients.
    pub delivered: u64,
    /// Subscriptions that were taken up again without a gap.
    pub resumed: u64,
    /// Messages within gaps that were told.
    pub gap_messages: u64,
}

impl Verdict {
    /// Whether there is no fault.
    pub fn holds(&self) -> bool {
        self.fault_count == 0
    }

    /// How many of the told faults are of a kind.
    pub fn count(&self, kind: impl Fn(&Fault) -> bool) -> usize {
        self.faults.iter().filter(|fault| kind(fault)).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault_count, clients, acked, delivered, resumed, gap_messages, .. } = self;
        write!(f, "{fault_count} faults; {clients} clients, {acked} acked, {delivered} delivered, ")?;
        write!(f, "{resumed} resumed, {gap_messages} in declared gaps")?;
        self.faults.iter().take(20).try_for_each(|fault| write!(f, "\n{fault:?}"))
    }
}

#[derive(Debug)]
struct RoomStory {
    tenant: String,
    /// What stands where, by whoever said so first.
    slots: HashMap<At, Id>,
    acked: BTreeMap<At, Id>,
    keys: HashMap<String, At>,
    volatile: bool,
}

/// What happened, and what of it must not have.
#[derive(Debug, Default)]
pub struct History {
    names: HashMap<(String, String), RoomId>,
    rooms: Vec<RoomStory>,
    /// The organisation of each client.
    clients: Vec<String>,
    published: HashMap<Id, RoomId>,
    places: HashMap<Id, At>,
    subscriptions: HashMap<(ClientId, RoomId), Subscription>,
    faults: Vec<Fault>,
    fault_count: usize,
    delivered: u64,
    resumed: u64,
}

impl History {
    /// A history in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client of an organisation.
    pub fn client(&mut self, tenant: &str) -> ClientId {
        self.clients.push(tenant.to_owned());
        ClientId(self.clients.len() - 1)
    }

    /// The room of an organisation with a name.
    pub fn room(&mut self, tenant: &str, name: &str) -> RoomId {
        let next = RoomId(self.rooms.len());
        let room = *self.names.entry((tenant.to_owned(), name.to_owned())).or_insert(next);
        if room == next {
            let (slots, keys) = (HashMap::new(), HashMap::new());
            let tenant = tenant.to_owned();
            self.rooms.push(RoomStory { tenant, slots, acked: BTreeMap::new(), keys, volatile: false });
        }
        room
    }

    /// Nothing is promised about order and loss in this room; organisations and ghosts are still looked at.
    pub fn volatile(&mut self, room: RoomId) {
        self.rooms[room.0].volatile = true;
    }

    /// A message is about to be published.
    pub fn publishing(&mut self, room: RoomId, id: Id) {
        self.published.insert(id, room);
    }

    /// A publish was acknowledged.
    pub fn acked(&mut self, room: RoomId, id: Id, key: Option<&str>, at: At) {
        self.claim(room, id, at);
        let story = &mut self.rooms[room.0];
        story.acked.insert(at, id);
        let Some(key) = key else { return };
        let first = *story.keys.entry(key.to_owned()).or_insert(at);
        if first != at {
            self.fault(Fault::KeyTwice { room, key: key.to_owned(), first, second: at });
        }
    }

    /// A client has subscribed and hears everything behind a place.
    pub fn subscribed(&mut self, client: ClientId, room: RoomId, at: At) {
        self.subscriptions.entry((client, room)).or_insert_with(|| Subscription::new(at)).at = at;
    }

    /// A client has taken up its subscription where it was.
    pub fn resumed(&mut self, _client: ClientId, _room: RoomId) {
        self.resumed += 1;
    }

    /// A client was told that it goes on at a place, without what came before it (`recovered: false`).
    pub fn restarted(&mut self, client: ClientId, room: RoomId, at: At) {
        let Some(subscription) = self.subscriptions.get_mut(&(client, room)) else {
            return self.subscribed(client, room, at);
        };
        let same = subscription.at.epoch == at.epoch;
        let from = if same { subscription.at.offset + 1 } else { 1 };
        subscription.declare(Span { epoch: at.epoch, from, to: at.offset });
    }

    /// A client was told of a gap: offsets `from..=to` do not come, and it goes on behind them.
    pub fn gap(&mut self, client: ClientId, room: RoomId, epoch: u64, from: u64, to: u64) {
        if let Some(subscription) = self.subscriptions.get_mut(&(client, room)) {
            subscription.declare(Span { epoch, from, to });
        }
    }

    /// A client has heard a message; `at` is `None` where messages have no place.
    pub fn received(&mut self, client: ClientId, room: RoomId, id: Id, at: Option<At>) {
        self.delivered += 1;
        self.judge_origin(client, room, id);
        let Some(at) = at.filter(|_| !self.rooms[room.0].volatile) else { return };
        self.claim(room, id, at);
        let Some(subscription) = self.subscriptions.get_mut(&(client, room)) else {
            return self.fault(Fault::Unasked { client, room, id });
        };
        let before = subscription.at;
        let found = if subscription.has(at) {
            Fault::Duplicate { client, room, id }
        } else if at.epoch != before.epoch {
            Fault::SilentEpoch { client, room, from: before.epoch, to: at.epoch }
        } else if at.offset <= before.offset {
            Fault::Reordered { client, room, behind: before.offset, offset: at.offset }
        } else if at.offset > before.offset + 1 {
            Fault::SilentGap { client, room, behind: before.offset, offset: at.offset }
        } else {
            return subscription.hear(at);
        };
        subscription.hear(at);
        self.fault(found);
    }

    /// Where a room stood once nothing was under way any more, as the server says.
    pub fn ended(&mut self, client: ClientId, room: RoomId, at: At) {
        if let Some(subscription) = self.subscriptions.get_mut(&(client, room)) {
            subscription.end = Some(at);
        }
    }

    /// The same for everybody who has subscribed to it.
    pub fn ended_for_all(&mut self, room: RoomId, at: At) {
        let of_the_room = self.subscriptions.iter_mut().filter(|((_, of), _)| *of == room);
        of_the_room.for_each(|(_, subscription)| subscription.end = Some(at));
    }

    /// Where a message stands, if anybody has said so.
    pub fn place_of(&self, id: Id) -> Option<At> {
        self.places.get(&id).copied()
    }

    /// Where a client is in a room.
    pub fn at(&self, client: ClientId, room: RoomId) -> Option<At> {
        self.subscriptions.get(&(client, room)).map(|subscription| subscription.at)
    }

    /// How many messages were acknowledged.
    pub fn acked_count(&self) -> usize {
        self.rooms.iter().map(|room| room.acked.len()).sum()
    }

    /// The highest place in a room that a publisher was told.
    pub fn top_acked(&self, room: RoomId) -> Option<At> {
        self.rooms[room.0].acked.last_key_value().map(|(at, _)| *at)
    }

    /// Judges all of it.
    pub fn verdict(mut self, demand: &Demand) -> Verdict {
        let subscriptions = std::mem::take(&mut self.subscriptions);
        for ((client, room), subscription) in &subscriptions {
            self.judge_end(*client, *room, subscription);
            self.judge_losses(*client, *room, subscription);
        }
        let acked = self.acked_count();
        if acked < demand.acked || self.delivered < demand.delivered.max(1) {
            self.fault(Fault::TooLittle { acked, delivered: self.delivered });
        }
        let gap_messages = subscriptions.values().map(Subscription::declared).sum();
        if gap_messages > 0 && !demand.gaps {
            self.fault(Fault::Gaps { messages: gap_messages });
        }
        Verdict {
            faults: self.faults,
            fault_count: self.fault_count,
            clients: self.clients.len(),
            acked,
            delivered: self.delivered,
            resumed: self.resumed,
            gap_messages,
        }
    }

    fn judge_origin(&mut self, client: ClientId, room: RoomId, id: Id) {
        let tenant = |room: RoomId| &self.rooms[room.0].tenant;
        let home = &self.clients[client.0];
        let fault = match self.published.get(&id) {
            _ if tenant(room) != home => Fault::CrossTenant { client, room, id },
            None => Fault::Phantom { client, room, id },
            Some(origin) if tenant(*origin) != home => Fault::CrossTenant { client, room, id },
            Some(origin) if *origin != room => Fault::WrongRoom { client, room, id },
            Some(_) => return,
        };
        self.fault(fault);
    }

    /// One message for each place and one place for each message.
    fn claim(&mut self, room: RoomId, id: Id, at: At) {
        let first = *self.rooms[room.0].slots.entry(at).or_insert(id);
        if first != id {
            self.fault(Fault::SplitSlot { room, at, first, second: id });
        }
        let first = *self.places.entry(id).or_insert(at);
        if first != at {
            self.fault(Fault::StoredTwice { room, id, first, second: at });
        }
    }

    fn judge_end(&mut self, client: ClientId, room: RoomId, subscription: &Subscription) {
        match subscription.end {
            _ if self.rooms[room.0].volatile => {}
            None => self.fault(Fault::NoEnd { client, room }),
            Some(end) if end != subscription.at => {
                self.fault(Fault::Stuck { client, room, at: subscription.at, end });
            }
            Some(_) => {}
        }
    }

    fn judge_losses(&mut self, client: ClientId, room: RoomId, subscription: &Subscription) {
        if self.rooms[room.0].volatile {
            return;
        }
        let missed = self.rooms[room.0].acked.iter().filter(|(at, _)| !subscription.accounts_for(**at));
        let lost: Vec<_> = missed.map(|(at, id)| Fault::Lost { client, room, at: *at, id: *id }).collect();
        lost.into_iter().for_each(|fault| self.fault(fault));
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }
}
