//! Subscriptions: who may enter a room, from where on, and what is told then.

use tidings_core::frame::Form;
use tidings_core::kinds::Action;
use tidings_core::node::From;
use tidings_core::shard::Filter;
use tidings_core::{Code, ConnKey, Denied, Joined, Position, Refusal, Room};
use tidings_wire::json::write_string;
use tidings_wire::plain::{self, SubscribeBody};

use super::ShardLoop;
use super::command::{AckTo, Halt, halt, position};
use super::written::{write_joined, write_position, write_snapshot};
use crate::asking::Need;

/// Bytes of what was missed that may be on their way to a connection when it asks for more, and
/// when it may ask again. No queue limit counts them: one room's past has to fit.
const OWED_BYTES: usize = 8 << 20;
const OWED_RETRY_MS: u32 = 1_000;

impl ShardLoop {
    pub(super) fn subscribe(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &SubscribeBody<'_>,
    ) -> Result<(), Halt> {
        let (who, room) = self.who_and_room(key, ack, &body.room)?;
        let answered = self.answered_for(key);
        if !self.is_counted(key) && !self.is_restoring() {
            // One that waited was counted before; one that is taken up nobody asked for.
            self.take_join(key)?;
            self.may_make(key, &who, &room)?;
        }
        if self.has_all_rooms(key, ack.namespace(), &room) {
            return Err(Refusal::new(Code::BadRequest, "this connection is in too many rooms").into());
        }
        if body.rewind.is_some() || body.since.is_some() {
            self.has_room_for_more_past(key)?;
        }
        let asker = self.asker(key, &who, &answered);
        // What was said before one came is history, whatever the command is called. Who may not read it may still go on
        // behind an event it can name.
        match self.node.admit(asker, &room, Action::History) {
            Err(denied) if body.rewind.is_some() => return Err(halt(denied, &room, &answered)),
            Err(denied @ Denied::Ask(_)) if body.since.is_some() => {
                return Err(halt(denied, &room, &answered));
            }
            _ => {}
        }
        // Whether it may see the others is asked before it joins: there is no later.
        if (self.shared.hooks.is_some() || !self.shared.apps.is_empty())
            && self.shows_members(&room)
            && let Err(denied @ Denied::Ask(_)) = self.node.admit(asker, &room, Action::Presence)
        {
            return Err(halt(denied, &room, &answered).keeping(self.snapshot.take()));
        }
        self.wants_snapshot(key, &who, &room, &answered)?;
        let snapshot = self.snapshot.take();
        if body.persist {
            let kept = self.keep_first(key, &who, &room, &answered);
            kept.map_err(|halt| halt.keeping(snapshot.clone()))?;
        }
        let from = match (&body.since, body.rewind, &snapshot) {
            (Some(since), ..) => From::Position(position(since)),
            (None, Some(count), _) => From::Newest(count as usize),
            (None, None, Some(snapshot)) => From::Moment(snapshot.moment),
            (None, None, None) => From::Now,
        };
        let from = self.begins_behind(key, ack.namespace(), &room, from);
        let from = self.rewinds_behind(&room, from);
        if self.has_to_be_stored(key, ack.namespace(), asker, &room) {
            let behind = matches!(from, From::Position(since) if self.node.behind(&room, since).is_some());
            let need = if behind { Need::StoredBehind } else { Need::StoredWith };
            return Err(Halt::open(&room, need, &answered).keeping(snapshot));
        }
        if matches!(from, From::Now) && self.goes_on_catching_up(key, ack, asker, &room, filter(body))? {
            return Ok(());
        }
        // Who was told everything it missed knows how the room stands; who goes back has missed nothing of it.
        let shown = snapshot.as_deref().filter(|_| body.since.is_none());
        if let From::Position(since) = from
            && self.subscribe_behind(key, ack, &room, since, filter(body), (&answered, shown))?
        {
            return Ok(());
        }
        let Some(link) = self.links.get(key) else { return Ok(()) };
        let form = link.form(ack.namespace());
        let (node, again) = (self.node.clone(), self.shard.is_member(key.slot, &room, form.namespace));
        let joined = node.join(&mut self.shard, key.slot, form, asker, &room, from);
        let mut joined = joined.map_err(|denied| halt(denied, &room, &answered).keeping(snapshot.clone()))?;
        self.stop_catching_up(key, &room, ack.namespace());
        self.follow_kept(key, form.namespace, &who, &room, joined.top);
        let filter = filter(body);
        let chooses = filter.is_some();
        if let Some(filter) = &filter {
            joined.missed.retain(|missed| missed.is_damaged() || filter.passes(missed));
        }
        // The newest subscription decides, also that nothing is kept away any more.
        if chooses || again {
            self.shard.set_filter(key.slot, &room, form.namespace, filter.unwrap_or_default());
        }
        self.has_joined(key, ack.namespace(), &room, chooses);
        let mut seen = Vec::new();
        if joined.roll.is_on() {
            self.write_presence(&mut seen, &who, &room);
        }
        // Who was told everything it missed knows how the room stands.
        let snapshot = snapshot.filter(|_| body.since.is_none() || joined.recovered != Some(true));
        self.answer(key, ack, |out| {
            write_joined(out, &body.room, &joined);
            out.extend_from_slice(&seen);
            write_snapshot(out, snapshot.as_deref());
        });
        self.after_join(key, ack, &room, &joined, from);
        Ok(())
    }

    /// Whether a connection may be sent what it missed in one more room.
    ///
    /// # Errors
    /// [`Code::RateLimited`] while too much of what it missed in others is on its way,
    /// [`Code::Unavailable`] without memory for more.
    fn has_room_for_more_past(&self, key: ConnKey) -> Result<(), Refusal> {
        self.shared.gate.may_read_back()?;
        if self.shard.owed(key.slot) <= OWED_BYTES {
            return Ok(());
        }
        let message = "what was missed in other rooms is still on its way";
        Err(Refusal { retry_after_ms: Some(OWED_RETRY_MS), ..Refusal::new(Code::RateLimited, message) })
    }

    /// Sends what a newcomer missed, then says that it is up to date.
    pub(super) fn after_join(&mut self, key: ConnKey, ack: AckTo, room: &Room, joined: &Joined, from: From) {
        let Some(link) = self.links.get(key) else { return };
        let (form, gaps) = (link.form(ack.namespace()), self.tells_gaps(key, ack));
        if joined.recovered == Some(false) && gaps {
            self.tell_gap(key, ack, room, joined, from);
        }
        // A stock client's single offset is for what comes live; one room's past must not move it.
        let form = Form { offset: false, ..form };
        self.shard.note_replayed(key, room, ack.namespace(), &joined.missed);
        for missed in &joined.missed {
            match missed.position.filter(|_| missed.is_damaged()) {
                Some(at) => self.tell_hole(key, ack, room, "corrupt", (at.offset, at.offset)),
                None => self.shard.replay(key.slot, missed, form),
            }
        }
        if let Some(top) = joined.top.filter(|_| joined.recovered.is_some()) {
            self.tell_resumed(key, ack, room, top);
        }
    }

    fn tell_resumed(&mut self, key: ConnKey, ack: AckTo, room: &Room, top: Position) {
        let epoch = top.epoch.to_string();
        match ack {
            AckTo::Plain { .. } => {
                self.say_plain(key, |out| plain::server::resumed(out, room.name(), &epoch, top.offset));
            }
            AckTo::SocketIo { namespace, .. } => {
                let mut body = b"{\"room\":".to_vec();
                write_string(&mut body, room.name());
                write_position(&mut body, top, false);
                body.push(b'}');
                self.send_event(key, namespace, "tidings:resumed", &body);
            }
        }
    }
}

/// What a subscription asks for, if not for everything.
fn filter(body: &SubscribeBody<'_>) -> Option<Filter> {
    let events = body.events.as_ref().map(|names| names.iter().map(|name| name.as_ref().into()).collect());
    (events.is_some() || body.min_lane.is_some()).then_some(Filter {
        events,
        min_lane: body.min_lane,
        ..Filter::default()
    })
}
