//! The engine's own commands, the same on every door.

use bytes::Bytes;
use tidings_app::registry::Snapshot;
use tidings_core::{
    Answered, Code, ConnKey, Denied, Epoch, Identity, Payload, Position, Publish, Refusal, Room,
};
use tidings_wire::Limits;
use tidings_wire::json::{self, write_string};
use tidings_wire::plain::{self, BadField, HistoryBody, PublishBody, SubscribeBody};
use tidings_wire::socketio::{encode, msgpack};

use super::ShardLoop;
use super::lane::Job;
use super::written::{write_published, write_remaining};
use crate::asking::{Need, Open};
use crate::durable::Said;
use crate::shared::wall_ms;

/// Where an answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AckTo {
    /// To a Socket.IO client: the acknowledgement it asked for, if it did.
    SocketIo { namespace: u8, id: Option<u64> },
    /// To a plain client: the message with its id.
    Plain { id: Option<u64> },
}

impl AckTo {
    pub(crate) fn namespace(self) -> u8 {
        match self {
            Self::SocketIo { namespace, .. } => namespace,
            Self::Plain { .. } => 0,
        }
    }

    /// Whether nobody waits for an answer.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::SocketIo { id: None, .. })
    }
}

/// What became of a command.
pub(super) enum Ran {
    /// It was answered, or waits in its lane.
    Done,
    /// It is none of the engine's.
    Foreign,
    /// The backend has to be asked first.
    Asks(Open),
}

/// Why a command is not done.
pub(super) enum Halt {
    No(Refusal),
    Ask(Open),
}

impl Halt {
    pub(super) fn open(room: &Room, need: Need, answered: &[Answered]) -> Self {
        let (event, data) = (String::new(), String::new());
        let (room, answered) = (room.clone(), answered.to_vec());
        Self::Ask(Open { room, need, event, data, answered, snapshot: None })
    }

    /// The room's app has to say first how the room stands.
    pub(super) fn snapshot(room: &Room, answered: &[Answered]) -> Self {
        Self::open(room, Need::Snapshot, answered)
    }

    /// The same, with what an app has said already.
    pub(super) fn keeping(self, snapshot: Option<Box<Snapshot>>) -> Self {
        match self {
            Self::Ask(open) => Self::Ask(Open { snapshot, ..open }),
            no @ Self::No(_) => no,
        }
    }
}

impl std::convert::From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::No(refusal)
    }
}

impl ShardLoop {
    /// Runs a command of the engine.
    pub(super) fn engine_command(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        name: &str,
        mut args: json::Elements<'_>,
        attachments: &[Bytes],
    ) -> Ran {
        if name == "ping" {
            self.send_answer(key, ack, "{\"ok\":true}");
            return Ran::Done;
        }
        if self.shared.handler_only {
            return Ran::Foreign;
        }
        let limits = self.settings.limits;
        let body = args.next().unwrap_or("{}");
        let done = match name {
            "publish" => keyed(body, args.next(), &limits)
                .and_then(|publish| self.publish(key, ack, &publish, attachments)),
            "subscribe" => match SubscribeBody::parse(body, &limits) {
                Ok(subscribe) => self.subscribe(key, ack, &subscribe),
                Err(bad) => Err(refused(bad)),
            },
            "unsubscribe" => match plain::RoomBody::parse(body, &limits) {
                Ok(room) => self.unsubscribe(key, ack, &room),
                Err(bad) => Err(refused(bad)),
            },
            "history" => match HistoryBody::parse(body, &limits) {
                Ok(history) => self.history(key, ack, &history).map_err(Halt::No),
                Err(bad) => Err(refused(bad)),
            },
            "presence:set" => match plain::PresenceSetBody::parse(body) {
                Ok(set) => self.presence_set(key, ack, &set).map_err(Halt::No),
                Err(bad) => Err(refused(bad)),
            },
            "presence" => match plain::PresenceBody::parse(body, &limits) {
                Ok(presence) => self.presence(key, ack, &presence).map_err(Halt::No),
                Err(bad) => Err(refused(bad)),
            },
            _ => return Ran::Foreign,
        };
        match done {
            Ok(()) => {}
            Err(Halt::No(refusal)) => self.answer_refused(key, ack, name, &refusal),
            Err(Halt::Ask(open)) => return Ran::Asks(open),
        }
        Ran::Done
    }

    pub(super) fn publish(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &PublishBody<'_>,
        attachments: &[Bytes],
    ) -> Result<(), Halt> {
        if let Some(wish) = body.receipt {
            return self.publish_tracked(key, ack, body, attachments, wish);
        }
        let (who, room) = self.who_and_room(key, ack, &body.room)?;
        let answered = self.answered_for(key);
        let remaining = self.take_publish(key, ack, &who, Some(&room), self.is_counted(key))?;
        if !self.is_counted(key) && !body.volatile {
            self.may_make(key, &who, &room)?;
        }
        let what = Publish {
            room: room.clone(),
            event: &body.event,
            payload: Payload {
                json: Bytes::copy_from_slice(body.data.as_bytes()),
                attachments: attachments.into(),
            },
            lane: body.lane,
            volatile: body.volatile,
            key: body.key.as_deref(),
            batch: None,
            skip: body.except_self.then_some((self.shard.index(), key)),
            slot: body.slot.as_deref(),
            ack: None,
        };
        let node = self.node.clone();
        let asker = self.asker(key, &who, &answered);
        let published = match node.publish_as(asker, what, Some(&mut self.shard), wall_ms()) {
            Ok(published) => published,
            Err(Denied::Ask(action)) if body.volatile || !node.is_durable(&room) => {
                let (event, data) = (body.event.to_string(), body.data.to_string());
                let (need, snapshot) = (Need::Answer(action), None);
                return Err(Halt::Ask(Open { room, need, event, data, answered, snapshot }));
            }
            // It has to be stored, and may have to be asked about: the front does both.
            Err(Denied::Load | Denied::Log | Denied::Ask(_)) => {
                let (by, said) = (self.by(key, ack)?, Box::new(self.said(key, room, body, attachments)));
                self.queue(key, Job::Publish { by, said, remaining, terms: None });
                return Ok(());
            }
            Err(denied) => return Err(Refusal::from(denied).into()),
        };
        if !matches!(ack, AckTo::SocketIo { id: None, .. }) {
            self.answer(key, ack, |out| {
                write_published(out, &body.room, &published);
                write_remaining(out, remaining);
            });
        }
        Ok(())
    }

    pub(super) fn said(
        &self,
        key: ConnKey,
        room: Room,
        body: &PublishBody<'_>,
        attachments: &[Bytes],
    ) -> Said {
        let json = Bytes::copy_from_slice(body.data.as_bytes());
        Said {
            room,
            event: body.event.as_ref().into(),
            payload: Payload { json, attachments: attachments.into() },
            lane: body.lane,
            key: body.key.as_deref().map(Into::into),
            skip: body.except_self.then_some((self.shard.index(), key)),
            batch: None,
            ack: None,
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &plain::RoomBody<'_>,
    ) -> Result<(), Halt> {
        let (_, room) = self.who_and_room(key, ack, &body.room)?;
        let stopped = self.stop_catching_up(key, &room, ack.namespace());
        let left = self.leave_room(key, ack.namespace(), &room) || stopped;
        if left && self.is_stored(key, ack.namespace()) {
            return Err(Halt::open(&room, Need::StoredWithout, &[]));
        }
        if self.unfollow(key, &room) || body.persist {
            let by = self.by(key, ack)?;
            self.queue(key, Job::EndKept { by, room });
            return Ok(());
        }
        self.answer(key, ack, |_| {});
        Ok(())
    }

    pub(super) fn history(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &HistoryBody<'_>,
    ) -> Result<(), Refusal> {
        let (_, room) = self.who_and_room(key, ack, &body.room)?;
        self.shared.gate.may_read_back()?;
        let by = self.by(key, ack)?;
        let since = body.since.as_ref().map(position);
        let limit = body.limit.map_or(HISTORY_DEFAULT, |limit| (limit as usize).min(HISTORY_MOST));
        self.queue(key, Job::History { by, room, since, limit });
        Ok(())
    }

    pub(super) fn presence(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &plain::PresenceBody<'_>,
    ) -> Result<(), Refusal> {
        let (_, room) = self.who_and_room(key, ack, &body.room)?;
        let by = self.by(key, ack)?;
        self.queue(key, Job::Presence { by, room, page: body.page.unwrap_or(0) as usize });
        Ok(())
    }

    /// Answers a command with `{"ok":true` and the members `write` adds.
    pub(super) fn answer(&mut self, key: ConnKey, ack: AckTo, write: impl FnOnce(&mut Vec<u8>)) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.extend_from_slice(b"{\"ok\":true");
        write(&mut body);
        body.push(b'}');
        self.send_answer(key, ack, text(&body));
        self.body = body;
    }

    /// Refuses a command: in the acknowledgement, or as an event where none was asked for.
    pub(super) fn answer_refused(&mut self, key: ConnKey, ack: AckTo, command: &str, refusal: &Refusal) {
        self.note_refused(key, command, refusal);
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        if let AckTo::SocketIo { namespace, id: None } = ack {
            body.extend_from_slice(b"{\"command\":");
            write_string(&mut body, command);
            body.extend_from_slice(b",\"error\":");
            refusal.write_json(&mut body);
            body.push(b'}');
            self.send_event(key, namespace, "tidings:error", &body);
        } else {
            refusal.open_answer(&mut body);
            if refusal.code == Code::RateLimited {
                write_remaining(&mut body, Some(0));
            }
            body.push(b'}');
            self.send_answer(key, ack, text(&body));
        }
        self.body = body;
    }

    /// Sends a finished answer, a JSON object.
    pub(super) fn send_answer(&mut self, key: ConnKey, ack: AckTo, body: &str) {
        if self.is_restoring() {
            return self.notice(key, ack, "subscribed", body.as_bytes());
        }
        match ack {
            AckTo::SocketIo { id: None, .. } => {}
            AckTo::SocketIo { namespace, id: Some(id) } => {
                self.say(
                    key,
                    namespace,
                    |out, name| encode::ack(out, name, id, &[body], 0),
                    |out, name| msgpack::encode::ack(out, name, id, &[body], &[]),
                );
            }
            AckTo::Plain { id } => self.say_plain(key, |out| plain::server::ack(out, id, body)),
        }
    }

    /// Sends an event of the engine itself to one client.
    pub(super) fn send_event(&mut self, key: ConnKey, namespace: u8, event: &str, data: &[u8]) {
        let data = text(data);
        self.say(
            key,
            namespace,
            |out, name| encode::event(out, name, None, event, &[data], None, 0),
            |out, name| msgpack::encode::event(out, name, None, event, &[data], None, &[]),
        );
    }

    /// Tells a client something of the engine's own: `tidings:NAME`, or the plain message of that type.
    pub(super) fn notice(&mut self, key: ConnKey, ack: AckTo, name: &str, body: &[u8]) {
        match ack {
            AckTo::Plain { .. } => {
                let body = text(body);
                self.say_plain(key, |out| plain::server::notice(out, name, body));
            }
            AckTo::SocketIo { namespace, .. } => {
                self.send_event(key, namespace, &format!("tidings:{name}"), body);
            }
        }
    }

    /// Who sits in a namespace.
    pub(super) fn who_of(&mut self, key: ConnKey, namespace: u8) -> Option<std::sync::Arc<Identity>> {
        self.links.get(key)?.seat(namespace).map(|seat| seat.who.clone())
    }

    pub(super) fn who_and_room(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        room: &str,
    ) -> Result<(std::sync::Arc<Identity>, Room), Refusal> {
        let most = self.settings.limits.room_name_bytes;
        let seat = self.links.get(key).and_then(|link| link.seat(ack.namespace()));
        let who = seat.map(|seat| seat.who.clone());
        let who = who.ok_or_else(|| Refusal::new(Code::Unauthorized, "sign in first"))?;
        let room = Room::new(&who.org, room, most)
            .map_err(|bad| Refusal::new(Code::BadRequest, &bad.to_string()))?;
        Ok((who, room))
    }
}

/// Events a history answer holds where the client names no limit, and at most.
const HISTORY_DEFAULT: usize = 100;
const HISTORY_MOST: usize = 1_000;

/// What we wrote ourselves, as text.
pub(super) fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).unwrap_or("{}")
}

/// A publish with its key, which may stand behind it as behind a command of an app.
fn keyed<'a>(body: &'a str, behind: Option<&'a str>, limits: &Limits) -> Result<PublishBody<'a>, Halt> {
    let mut publish = PublishBody::parse(body, limits).map_err(refused)?;
    let behind = behind.map_or(Ok(None), |options| plain::key_behind(options, limits)).map_err(refused)?;
    if let Some(key) = behind
        && *publish.key.get_or_insert_with(|| key.clone()) != key
    {
        return Err(Refusal::bad_request("key: is another than that of the data").into());
    }
    Ok(publish)
}

fn refused(bad: BadField) -> Halt {
    Refusal::new(Code::BadRequest, &bad.to_string()).into()
}

/// What is open of a subscription, or why it is refused.
pub(super) fn halt(denied: Denied, room: &Room, answered: &[Answered]) -> Halt {
    let need = match denied {
        Denied::Ask(action) => Need::Answer(action),
        Denied::Load => Need::History,
        denied => return Refusal::from(denied).into(),
    };
    Halt::open(room, need, answered)
}

/// Where a client says that it stands.
pub(crate) fn position(since: &plain::Since<'_>) -> Position {
    // An epoch or a tag that cannot be ours matches none, which is told as a gap.
    let epoch = Epoch::parse(&since.epoch).unwrap_or(Epoch(0));
    match since.tag.as_deref().map(|tag| u32::from_str_radix(tag, 16)) {
        None => Position { epoch, offset: since.offset, tag: 0 },
        Some(Ok(tag)) => Position { epoch, offset: since.offset, tag },
        Some(Err(_)) => Position { epoch: Epoch(0), offset: since.offset, tag: 0 },
    }
}
