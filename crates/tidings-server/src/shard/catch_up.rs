//! What somebody missed beyond memory, from the log: page by page, as the connection takes it.
//!
//! Whoever catches up is not in the room yet, so nothing live can come before what it missed. Once memory
//! reaches back to where it is, it joins as anybody does who comes back with a position.

use std::sync::Arc;

use tidings_app::registry::Snapshot;
use tidings_core::frame::Form;
use tidings_core::node::From;
use tidings_core::shard::{Filter, InLog};
use tidings_core::{Action, ConnKey, Denied, Epoch, Joined, Position, Publication, Refusal, Room};
use tidings_wire::CloseReason;

use super::ShardLoop;
use super::command::{AckTo, Halt, halt};
use super::inbox::Mail;
use super::renewal::FORBIDDEN;
use super::written::{write_joined, write_snapshot};
use crate::asking::Need;

/// The next page is made once less than this waits for the connection, of what it missed.
const OWED_BYTES: usize = 256 << 10;

/// A client that reads a room from the log until memory reaches back to where it is.
#[derive(Debug, Clone)]
pub(crate) struct CatchUp {
    /// The room.
    pub(super) room: Room,
    /// The namespace through which it hears the room.
    pub(super) ack: AckTo,
    /// The last position it has.
    pub(super) after: Position,
    /// Which events it wants; `None`: all.
    pub(super) filter: Option<Filter>,
    /// The version of the presence it was answered, if it may see any.
    pub(super) presence: Option<u64>,
    /// The front reads for it.
    reading: bool,
    /// What it has read, and is not sent yet.
    page: Vec<Arc<Publication>>,
}

impl CatchUp {
    /// Goes on behind a position; `ack` says to whom it speaks.
    pub(super) fn new(room: Room, ack: AckTo, after: Position, filter: Option<Filter>) -> Self {
        Self { room, ack, after, filter, presence: None, reading: false, page: Vec::new() }
    }
}

impl CatchUp {
    /// What it needs of the log.
    fn wanted(&self) -> InLog {
        let Position { epoch, offset, .. } = self.after;
        InLog { room: self.room.clone(), namespace: self.ack.namespace(), epoch, after: offset }
    }
}

impl ShardLoop {
    /// Subscribes a client that has missed more than memory keeps: it is told at once, and gets what it missed
    /// by and by. `false`: the log does not help it.
    ///
    /// # Errors
    /// As a subscription; the first page has to be read before it is known what the client may have.
    pub(super) fn subscribe_behind(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        room: &Room,
        since: Position,
        filter: Option<Filter>,
        (answered, snapshot): (&[tidings_core::Answered], Option<&Snapshot>),
    ) -> Result<bool, Halt> {
        let Some(trimmed) = self.node.behind(room, since) else { return Ok(false) };
        let Some(who) = self.who_of(key, ack.namespace()) else { return Ok(false) };
        let asker = self.asker(key, &who, answered);
        self.node.admit(asker, room, Action::Subscribe).map_err(|denied| halt(denied, room, answered))?;
        let may_read = match self.node.admit(asker, room, Action::History) {
            Err(Denied::Ask(action)) => return Err(halt(Denied::Ask(action), room, answered)),
            judged => judged.is_ok(),
        };
        // The page with the message it names shows that it was there.
        let proof = since.offset.saturating_sub(1).max(trimmed);
        let Some(page) = self.shared.page_at_hand(room, since.epoch, proof) else {
            return Err(Halt::open(room, Need::Page(since.epoch, proof), answered));
        };
        let named = page.iter().find(|event| offset_of(event) == since.offset);
        let named = named.and_then(|event| event.position).map(|position| position.tag);
        let fits = named.is_none_or(|tag| since.tag == 0 || since.tag == tag);
        if !fits || (!may_read && named != Some(since.tag)) {
            return Ok(false);
        }
        let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) else { return Ok(false) };
        let whole = since.offset >= trimmed;
        let roll = self.node.roll_for(asker, room);
        let joined = Joined { top: Some(top), missed: Vec::new(), recovered: Some(whole), roll };
        let mut seen = Vec::new();
        let presence = self.write_presence_ahead(&mut seen, &who, room, roll);
        self.answer(key, ack, |out| {
            write_joined(out, room.name(), &joined);
            out.extend_from_slice(&seen);
            write_snapshot(out, snapshot);
        });
        let catch_up = CatchUp { presence, ..CatchUp::new(room.clone(), ack, since, filter) };
        self.begin_catch_up(key, catch_up);
        self.follow_kept(key, ack.namespace(), &who, room, None);
        Ok(true)
    }

    /// From where a subscription hears a room in which its client catches up already: it is promised what it has not been
    /// sent, whatever is asked for besides.
    pub(super) fn begins_behind(&mut self, key: ConnKey, namespace: u8, room: &Room, from: From) -> From {
        let Some(after) = self.catching_up_in(key, namespace, room).map(|one| one.after) else { return from };
        let top = self.node.hub().find(room).and_then(|entry| entry.top());
        let Some(top) = top.filter(|top| top.epoch == after.epoch) else { return from };
        match from {
            From::Position(since)
                if since.epoch == after.epoch && (after.offset..=top.offset).contains(&since.offset) =>
            {
                From::Position(after)
            }
            From::Newest(count) => match self.node.reaches(room, after) {
                Some(true) => From::Newest(count.max(top.offset.saturating_sub(after.offset) as usize)),
                // All that memory has is behind it.
                _ => From::Position(after),
            },
            _ => from,
        }
    }

    /// Has a client that catches up in a room go on with other wishes; `false` if it does not catch up.
    ///
    /// # Errors
    /// As a subscription.
    pub(super) fn goes_on_catching_up(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        asker: tidings_core::Asker<'_>,
        room: &Room,
        filter: Option<Filter>,
    ) -> Result<bool, Halt> {
        let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) else { return Ok(false) };
        let node = self.node.clone();
        let Some(one) = self.catching_up_in(key, ack.namespace(), room) else { return Ok(false) };
        node.admit(asker, room, Action::Subscribe).map_err(|denied| halt(denied, room, asker.answered))?;
        (one.filter, one.ack) = (filter, ack);
        let roll = node.roll_for(asker, room);
        let joined = Joined { top: Some(top), missed: Vec::new(), recovered: None, roll };
        let mut seen = Vec::new();
        let presence = self.write_presence_ahead(&mut seen, asker.who, room, roll);
        if let Some(one) = self.catching_up_in(key, ack.namespace(), room) {
            one.presence = presence;
        }
        self.follow_kept(key, ack.namespace(), asker.who, room, None);
        self.answer(key, ack, |out| {
            write_joined(out, room.name(), &joined);
            out.extend_from_slice(&seen);
        });
        Ok(true)
    }

    /// From where a subscription hears a room whose newest it wants more of than memory has: from the log, as one who
    /// has heard what came before them.
    pub(super) fn rewinds_behind(&self, room: &Room, from: From) -> From {
        let From::Newest(count) = from else { return from };
        let Some(top) = self.node.hub().find(room).and_then(|entry| entry.top()) else { return from };
        let Some(trimmed) = self.node.behind(room, Position::start(top.epoch)) else { return from };
        let offset = top.offset.saturating_sub(count as u64).max(trimmed);
        let since = Position { offset, ..Position::start(top.epoch) };
        if self.node.behind(room, since).is_some() { From::Position(since) } else { from }
    }

    fn catching_up_in(&mut self, key: ConnKey, namespace: u8, room: &Room) -> Option<&mut CatchUp> {
        let all = &mut self.links.get(key)?.catching_up;
        all.iter_mut().find(|one| one.room == *room && one.ack.namespace() == namespace)
    }

    /// Whether a connection is in as many rooms as it may be, and not in this one. The personal room it did not ask
    /// for does not count.
    pub(super) fn has_all_rooms(&mut self, key: ConnKey, namespace: u8, room: &Room) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        let rooms = self.shard.rooms_of(key.slot) + link.catching_up.len();
        let of_this = |one: &CatchUp| one.room == *room && one.ack.namespace() == namespace;
        if rooms < self.settings.rooms_per_connection
            || link.catching_up.iter().any(of_this)
            || self.shard.is_member(key.slot, room, namespace)
        {
            return false;
        }
        let own = link.seats.iter().filter_map(|seat| Some((seat.namespace, seat.who.user_key()?.room())));
        let own = own.filter(|(namespace, room)| self.shard.is_member(key.slot, room, *namespace));
        rooms - own.count() >= self.settings.rooms_per_connection
    }

    /// Has a client catch up from the log. A member goes back: it comes into the room again behind what it missed.
    pub(super) fn begin_catch_up(&mut self, key: ConnKey, catch_up: CatchUp) {
        self.stop_catching_up(key, &catch_up.room, catch_up.ack.namespace());
        self.leave_room(key, catch_up.ack.namespace(), &catch_up.room);
        let Some(link) = self.links.get(key) else { return };
        let namespace = catch_up.ack.namespace();
        link.catching_up.push(catch_up);
        self.is_behind(key, namespace);
        if !self.catching_up.contains(&key) {
            self.catching_up.push(key);
        }
    }

    /// Has a client no longer catch up in a room; whether it did.
    pub(super) fn stop_catching_up(&mut self, key: ConnKey, room: &Room, namespace: u8) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        let before = link.catching_up.len();
        link.catching_up.retain(|one| one.room != *room || one.ack.namespace() != namespace);
        link.catching_up.len() < before
    }

    /// A client has left a namespace: nothing more comes of what it missed there.
    pub(super) fn stop_catching_up_in(&mut self, key: ConnKey, namespace: u8) {
        if let Some(link) = self.links.get(key) {
            link.catching_up.retain(|one| one.ack.namespace() != namespace);
        }
    }

    /// Whether somebody who catches up takes more than it has been sent: with what went out behind the last page nothing else
    /// says so.
    pub(super) fn has_pages_to_send(&mut self) -> bool {
        let (links, shard) = (&mut self.links, &self.shard);
        self.catching_up.iter().any(|key| {
            let waits = links.get(*key).is_some_and(|link| link.catching_up.iter().any(|one| !one.reading));
            waits && shard.owed(key.slot) < OWED_BYTES
        })
    }

    /// Goes on with everybody who catches up and takes what it is sent.
    pub(super) fn read_on(&mut self) {
        if self.catching_up.is_empty() {
            return;
        }
        let mut left = std::mem::take(&mut self.catching_up);
        left.retain(|key| self.next_pages(*key));
        self.catching_up.append(&mut left);
    }

    /// The front has read a page, or could not: then the client comes again, and nothing is lost.
    pub(super) fn paged(
        &mut self,
        key: ConnKey,
        wanted: &InLog,
        read: Result<Vec<Arc<Publication>>, Refusal>,
    ) {
        let Some(link) = self.links.get(key) else { return };
        // It may have left the room meanwhile.
        let Some(one) = link.catching_up.iter_mut().find(|one| one.wanted() == *wanted) else { return };
        match read {
            Ok(page) => (one.reading, one.page) = (false, page),
            Err(_) => self.close(key, CloseReason::Overloaded),
        }
    }

    /// Sends a connection what comes next in each of its rooms; whether there is more to come.
    fn next_pages(&mut self, key: ConnKey) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        let mut waiting = std::mem::take(&mut link.catching_up);
        let mut left = Vec::with_capacity(waiting.len());
        for mut one in waiting.drain(..) {
            let may_go_on = !one.reading && self.shard.owed(key.slot) < OWED_BYTES;
            if !may_go_on || self.next_page(key, &mut one) {
                left.push(one);
            }
        }
        let Some(link) = self.links.get(key) else { return false };
        link.catching_up = left;
        !link.catching_up.is_empty()
    }

    /// Sends one page, or joins the room once memory has the rest; whether there is more to come.
    fn next_page(&mut self, key: ConnKey, one: &mut CatchUp) -> bool {
        match self.node.reaches(&one.room, one.after) {
            Some(true) => return self.caught_up(key, one),
            Some(false) => {}
            None => return self.read_for(key, one, true),
        }
        let Some(who) = self.who_of(key, one.ack.namespace()) else { return false };
        if self.node.admit(self.asker(key, &who, &[]), &one.room, Action::Subscribe).is_err() {
            self.send_out(key, one.ack.namespace(), &one.room, FORBIDDEN);
            return false;
        }
        let at_hand = match std::mem::take(&mut one.page) {
            read if !read.is_empty() => Some(read),
            _ => self.shared.page_at_hand(&one.room, one.after.epoch, one.after.offset),
        };
        let Some(page) = at_hand else { return self.read_for(key, one, false) };
        self.send_page(key, one, &page);
        true
    }

    fn send_page(&mut self, key: ConnKey, one: &mut CatchUp, page: &[Arc<Publication>]) {
        let Some(link) = self.links.get(key) else { return };
        // The single offset of a stock client is for what comes live.
        let form = Form { offset: false, ..link.form(one.ack.namespace()) };
        let namespace = one.ack.namespace();
        self.shard.note_replayed(key, &one.room, namespace, page);
        for event in page {
            let Some(position) = event.position else { continue };
            if position.offset > one.after.offset + 1 {
                self.tell_hole(
                    key,
                    one.ack,
                    &one.room,
                    "trimmed",
                    (one.after.offset + 1, position.offset - 1),
                );
            }
            one.after = position;
            if event.is_damaged() {
                self.tell_hole(key, one.ack, &one.room, "corrupt", (position.offset, position.offset));
            } else if one.filter.as_ref().is_none_or(|filter| filter.passes(event)) {
                self.shard.replay(key.slot, event, form);
            }
        }
    }

    /// Has the front read what is not at hand.
    fn read_for(&mut self, key: ConnKey, one: &mut CatchUp, whole_room: bool) -> bool {
        one.reading = true;
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        let wanted = one.wanted();
        self.shared.front.spawn(async move {
            let read = match whole_room {
                true => shared.load(&wanted.room).await.map(|()| Vec::new()),
                false => shared.read_behind(&wanted.room, wanted.epoch, wanted.after).await,
            };
            inbox.push(Mail::Paged(key, wanted, read));
        });
        true
    }

    /// Joins the room behind the last page. What is missed by now is in memory.
    fn caught_up(&mut self, key: ConnKey, one: &mut CatchUp) -> bool {
        let CatchUp { room, ack, after, .. } = one;
        let (room, ack, after) = (room.clone(), *ack, *after);
        let Some(who) = self.who_of(key, ack.namespace()) else { return false };
        let Some(link) = self.links.get(key) else { return false };
        let form = link.form(ack.namespace());
        let asker = self.asker(key, &who, &[]);
        let from = From::Position(after);
        let joined = self.node.clone().join(&mut self.shard, key.slot, form, asker, &room, from);
        match joined {
            Err(Denied::Load) => return self.read_for(key, one, true),
            Err(_) => self.send_out(key, ack.namespace(), &room, FORBIDDEN),
            Ok(mut joined) => {
                let chooses = one.filter.is_some();
                if let Some(known) = one.presence.filter(|_| joined.roll.is_on()) {
                    let to = (key.slot, form, one.filter.as_ref());
                    self.tell_presence_since(to, &who, &room, known);
                }
                if let Some(filter) = one.filter.take() {
                    joined.missed.retain(|missed| missed.is_damaged() || filter.passes(missed));
                    self.shard.set_filter(key.slot, &room, form.namespace, filter);
                }
                self.has_joined(key, ack.namespace(), &room, chooses);
                self.follow_from(key, &room, joined.top);
                self.after_join(key, ack, &room, &joined, from);
            }
        }
        false
    }
}

impl crate::shared::Shared {
    /// Reads a page, which is then at hand for others as well; where the log does not keep what followed any more,
    /// it begins later.
    ///
    /// # Errors
    /// The log cannot be read now, or the room is not the one it was.
    pub(crate) async fn read_behind(
        &self,
        room: &Room,
        epoch: Epoch,
        after: u64,
    ) -> Result<Vec<Arc<Publication>>, Refusal> {
        let page = self.page(room, epoch, after).await?;
        match page.is_empty() {
            // What memory does not have the log has; nothing of it is there if the room was forgotten meanwhile.
            true => Err(Refusal::new(tidings_core::Code::Unavailable, "the room has changed")),
            false => Ok(page),
        }
    }
}

fn offset_of(event: &Publication) -> u64 {
    event.position.map_or(0, |position| position.offset)
}
