//! What a Socket.IO client says, and what that leads to.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::frame::{write_binary, write_message};
use tidings_core::{Code, ConnKey, From, Identity, Refusal, Room};
use tidings_wire::names::Dialect;
use tidings_wire::session::{Barred, Heard};
use tidings_wire::socketio::{self, encode, msgpack};
use tidings_wire::websocket::Opcode;

use super::apps::key_of;
use super::command::{AckTo, Ran};
use super::entry::{Entry, refusal_data, token_of};
use super::expiry::warn_at_ms;
use super::kept::Kept;
use super::lane::Job;
use super::link::{Link, Seat, Session, Transport};
use super::read::Flow;
use super::recovery::{Earlier, Resume};
use super::{ShardLoop, comeback};
use crate::client::{Call, Client};
use crate::config::NamespaceAuth;
use crate::gate::Standing;
use crate::ids::{SessionKey, id_text};
use crate::settings::AuthFields;

/// A client that passed sign-in for a namespace and is about to be let in.
pub(crate) struct Admission {
    pub(crate) namespace: u8,
    pub(crate) who: Arc<Identity>,
    pub(crate) offset: bool,
    pub(crate) place: bool,
    pub(crate) gaps: bool,
    /// The auth payload, for a mounted handler.
    pub(crate) auth: Option<String>,
    /// The rooms it is in from the first moment.
    pub(crate) rooms: Vec<Room>,
    /// Its place, once it has one.
    pub(crate) standing: Option<Arc<Standing>>,
}

/// What a client asked for, while nobody has said yet who it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) namespace: u8,
    offset: bool,
    place: bool,
    gaps: bool,
}

impl Request {
    /// The same, now that it is known who asks.
    pub(super) fn admission(self, who: Arc<Identity>) -> Admission {
        let Self { namespace, offset, place, gaps } = self;
        Admission { namespace, who, offset, place, gaps, auth: None, rooms: Vec::new(), standing: None }
    }
}

/// How long an ended session waits for the poll that tells its client.
const LAST_POLL_MS: u64 = 1_000;

impl ShardLoop {
    /// Acts on what a client said.
    pub(super) fn socket_io(&mut self, key: ConnKey, heard: Heard<'_>) -> Flow {
        match heard {
            Heard::Nothing => {}
            Heard::Connect { namespace: Ok(namespace), auth } => {
                self.connect(key, namespace, auth.as_deref());
            }
            Heard::Connect { namespace: Err(Barred::TooMany(namespace)), .. } => {
                let refusal = Refusal::new(Code::BadRequest, "this connection is in too many namespaces");
                self.refuse_connect(key, namespace, &refusal);
            }
            Heard::Connect { namespace: Err(Barred::Unknown(name)), .. } => {
                self.say(
                    key,
                    0,
                    |out, _| encode::connect_error(out, &name, "Invalid namespace", None),
                    |out, _| msgpack::encode::connect_error(out, &name, "Invalid namespace", None),
                );
            }
            Heard::Disconnect { namespace } => self.left_namespace(key, namespace),
            Heard::Event { namespace, id, data, event, attachments } => {
                if let Some(event) = event.or_else(|| socketio::event(&data)) {
                    self.event(key, namespace, id, (&data, event), attachments);
                }
            }
            Heard::Ack { namespace, id, data, attachments } => {
                self.answered(key, namespace, id, &data, attachments);
            }
            Heard::Close => {
                self.ended_by_client(key);
                return Flow::Gone;
            }
        }
        if self.links.get(key).is_some() { Flow::On } else { Flow::Gone }
    }

    /// Sends one packet of a namespace, written in the dialect the client speaks.
    ///
    /// The writers get the namespace's name.
    pub(super) fn say(
        &mut self,
        key: ConnKey,
        namespace: u8,
        json: impl FnOnce(&mut Vec<u8>, &str),
        msgpack: impl FnOnce(&mut Vec<u8>, &str),
    ) {
        self.say_with(key, namespace, json, msgpack, &[]);
    }

    /// The same, with the attachments that follow in the JSON dialect.
    pub(super) fn say_with(
        &mut self,
        key: ConnKey,
        namespace: u8,
        json: impl FnOnce(&mut Vec<u8>, &str),
        msgpack: impl FnOnce(&mut Vec<u8>, &str),
        attachments: &[Bytes],
    ) {
        let Some(link) = self.links.get(key) else { return };
        let (deflate, text_only) = (link.deflate, link.text_only);
        self.packet.clear();
        let (packet, name) = (&mut self.packet, self.settings.namespaces.name(namespace));
        if link.dialect() == Dialect::Msgpack {
            msgpack(packet, name);
            self.shard.reply(key.slot, |out| write_binary(out, packet, deflate, text_only));
            return;
        }
        json(packet, name);
        self.shard.reply(key.slot, |out| {
            write_message(out, Opcode::Text, packet, deflate);
            for attachment in attachments {
                write_binary(out, attachment, deflate, text_only);
            }
        });
    }

    fn connect(&mut self, key: ConnKey, namespace: u8, auth: Option<&str>) {
        if self.is_admin_ui(namespace) {
            return self.admin_ui_knocks(key, namespace, auth);
        }
        let fields = AuthFields::parse(auth);
        if fields.persistent && namespace == 0 {
            self.wants_kept(key);
        }
        match self.sign_in(key, namespace, &fields) {
            Ok((request, Entry::Known(who))) => {
                let admission = request.admission(who);
                if self.shared.handler.is_some() || self.shared.asks_connect() {
                    return self.ask_to_enter(key, admission, auth);
                }
                self.admit_or_resume(key, admission, fields);
            }
            Ok((request, Entry::Front(token))) => self.check_on_front(key, request, token, auth),
            Err(refusal) => self.refuse_connect(key, namespace, &refusal),
        }
    }

    /// Decides who a client is in a namespace: token from query, then payload, then header.
    fn sign_in(
        &mut self,
        key: ConnKey,
        namespace: u8,
        fields: &AuthFields<'_>,
    ) -> Result<(Request, Entry), Refusal> {
        let settings = self.settings.clone();
        let link = self.links.get(key).ok_or_else(Refusal::no_such_room)?;
        let hello = link.hello.as_deref();
        let python = hello.is_some_and(|hello| hello.python);
        let offset = settings.gives_offsets(python, fields.recovery);
        let request = Request { namespace, offset, place: fields.positions, gaps: fields.gaps };
        // Where a handler signs everybody in, what is shown is for it.
        let token = match fields.wrong {
            _ if self.shared.handler_only => None,
            Some(wrong) => return Err(Refusal::new(tidings_core::Code::Unauthorized, wrong)),
            None => token_of(hello, fields.token.as_deref())?,
        };
        let entry = match token {
            Some(token) => Entry::of(&self.shared, link.remote, token)?,
            None if settings.namespace_auth(namespace) == NamespaceAuth::Optional => {
                Entry::Known(self.shared.anonymous.clone())
            }
            None => {
                let code = tidings_core::Code::Unauthorized;
                return Err(Refusal::new(code, "sign-in is needed"));
            }
        };
        Ok((request, entry))
    }

    /// Lets a client in, with the session it wants to resume if that can be had.
    pub(super) fn admit_or_resume(&mut self, key: ConnKey, admission: Admission, fields: AuthFields<'_>) {
        // Who is about to be refused takes no session.
        let may = self.still_good(&admission.who).is_ok();
        let wanted = fields.pid.as_deref().filter(|_| may).and_then(SessionKey::parse);
        match wanted.filter(|_| admission.offset) {
            Some(pid) => {
                let offset = fields.offset.map(Cow::into_owned);
                let asker = (self.shard.index(), key);
                self.seek(Resume {
                    pid,
                    at: (pid.home(self.node.hub().shards()), pid.conn),
                    asker,
                    offset,
                    admission,
                    answered: None,
                    loaded: false,
                    earlier: Earlier::default(),
                });
            }
            None => self.admit(key, admission),
        }
    }

    /// Lets a client in with a fresh session.
    pub(super) fn admit(&mut self, key: ConnKey, mut admission: Admission) {
        if let Err(refusal) = self.still_good(&admission.who) {
            return self.refuse_connect(key, admission.namespace, &refusal);
        }
        if admission.standing.is_none() {
            match self.stand(key, &admission.who) {
                Ok(standing) => admission.standing = standing,
                Err(refusal) => return self.refuse_connect(key, admission.namespace, &refusal),
            }
        }
        let (auth, rooms) = (admission.auth.take(), std::mem::take(&mut admission.rooms));
        let sid = self.entropy.socket_id();
        let private = admission.offset.then(|| self.session_key(key));
        let namespace = admission.namespace;
        let personal = admission.who.user.clone().filter(|_| namespace == 0);
        let room = personal.map(|user| Room::of_user(&admission.who.org, &user));
        if !self.seat(key, admission, sid, private) {
            return;
        }
        if let Some(room) = room {
            self.join_personal(key, &room);
        }
        for room in rooms {
            self.join_for_handler(key, namespace, &room);
        }
        self.welcomed(key, namespace, auth);
    }

    /// Gives a client its seat and tells it so; `false` if it is gone.
    pub(super) fn seat(
        &mut self,
        key: ConnKey,
        admission: Admission,
        sid: [u8; 20],
        pid: Option<SessionKey>,
    ) -> bool {
        let Some(link) = self.links.get(key) else { return false };
        let Session::SocketIo(session) = &mut link.session else { return false };
        let Admission { namespace, who, offset, place, gaps, standing, .. } = admission;
        session.joined(namespace);
        link.mixed |= *link.org.get_or_insert_with(|| who.org.clone()) != who.org;
        if link.seats.is_empty() {
            link.seats.reserve_exact(1);
        }
        let warn_at_ms = warn_at_ms(&who);
        let (waiting, client, kept) = (None, None, comeback::Kept::default());
        link.seats.push(Seat {
            namespace,
            offset,
            place,
            gaps,
            sid,
            pid,
            who,
            standing,
            warn_at_ms,
            waiting,
            client,
            kept,
        });
        if !self.settings.keeps_hello && link.hello.as_ref().is_some_and(|hello| !hello.has_tokens()) {
            link.hello = None;
        }
        let (sid, taken_up, pid) = (id_text(&sid), pid, pid.map(SessionKey::to_text));
        self.say(
            key,
            namespace,
            |out, name| encode::connect(out, name, sid, pid.as_deref()),
            |out, name| msgpack::encode::connect(out, name, sid, pid.as_deref()),
        );
        self.watch_tokens(key);
        self.note_begin(key, taken_up);
        self.announce_seat(key, namespace);
        if namespace == 0 {
            self.take_up_kept(key, AckTo::SocketIo { namespace, id: None });
        }
        true
    }

    /// Refuses somebody a namespace, with the code and when to try again.
    pub(super) fn refuse_connect(&mut self, key: ConnKey, namespace: u8, refusal: &Refusal) {
        self.refuse(key, namespace, &refusal.message, Some(&refusal_data(refusal)));
    }

    /// Refuses a namespace; the connection stays.
    pub(super) fn refuse(&mut self, key: ConnKey, namespace: u8, message: &str, data: Option<&str>) {
        if let Some(Link { session: Session::SocketIo(session), .. }) = self.links.get(key) {
            session.refused(namespace);
        }
        self.say(
            key,
            namespace,
            |out, name| encode::connect_error(out, name, message, data),
            |out, name| msgpack::encode::connect_error(out, name, message, data),
        );
    }

    fn session_key(&mut self, conn: ConnKey) -> SessionKey {
        SessionKey { shard: self.shard.index(), conn, secret: self.entropy.secret() }
    }

    fn join_personal(&mut self, key: ConnKey, room: &Room) {
        let Some(link) = self.links.get(key) else { return };
        let (form, who) = (link.form(0), link.seats[0].who.clone());
        // A configuration may close the kind `user`; then there is no personal room.
        let _ = self.node.join(&mut self.shard, key.slot, form, &who, room, From::Now);
    }

    fn left_namespace(&mut self, key: ConnKey, namespace: u8) {
        self.stop_catching_up_in(key, namespace);
        let left = self.node.leave_all(&mut self.shard, key.slot, Some(namespace));
        let Some(link) = self.links.get(key) else { return };
        let Some(at) = link.seats.iter().position(|seat| seat.namespace == namespace) else { return };
        let seat = link.seats.swap_remove(at);
        self.tell_left(&seat.who, &left);
        self.is_over(key, &seat);
        self.note_closed(key, &seat, "left", false);
        self.unseated(key, &seat);
    }

    /// A client closes its transport; its open poll is answered with a noop, as the reference does.
    ///
    /// Who leaves for good has left its namespaces before it: whoever is still in one may take the session up again, as
    /// if the connection had broken. The poll may still be on its way, on another connection: then the link is kept for
    /// it a moment longer, without anybody in it.
    fn ended_by_client(&mut self, key: ConnKey) {
        let by_ms = self.now_ms + LAST_POLL_MS;
        let Some(link) = self.links.get(key) else { return };
        match &link.transport {
            Transport::Polling(polling) if polling.waiting.is_none() => {
                link.session = Session::Ended { by_ms };
                let seats = self.park_seats(key);
                let left = self.node.leave_all(&mut self.shard, key.slot, None);
                if let Some(seat) = seats.first() {
                    self.tell_left(&seat.who, &left);
                }
                for seat in seats {
                    self.note_closed(key, &seat, "lost", seat.pid.is_some());
                    self.unseated(key, &seat);
                }
                self.schedule(key);
            }
            _ => {
                let left = link.seats.is_empty();
                self.end_poll(key);
                if left { self.ended(key) } else { self.gone(key) }
            }
        }
    }

    /// Acts on an event, which comes as it was said and as it was read.
    pub(super) fn event(
        &mut self,
        key: ConnKey,
        namespace: u8,
        id: Option<u64>,
        (data, event): (&str, socketio::Event<'_>),
        attachments: Vec<Bytes>,
    ) {
        let ack = AckTo::SocketIo { namespace, id };
        if let Some(refusal) = self.flooding() {
            return self.answer_refused(key, ack, &event.name, &refusal);
        }
        if self.is_admin_ui(namespace) {
            return self.admin_ui_said(key, ack, &event.name, event.args.map(str::to_owned).collect());
        }
        if self.must_wait(key) && event.name != "ping" {
            let Some(kept) = self.keep(key, ack, data, attachments) else { return };
            return self.queue(key, Job::Later(Box::new(kept)));
        }
        if self.shard.attends() && event.name != "ping" {
            self.somebody_said(key);
        }
        let mut args = event.args;
        if event.name == "auth" && !self.shared.handler_only {
            return self.renew_by_command(key, ack, args.next().unwrap_or("{}"));
        }
        if namespace == 0 {
            match self.engine_command(key, ack, &event.name, args, &attachments) {
                Ran::Done => return,
                Ran::Foreign => {}
                Ran::Asks(open) => {
                    let Some(kept) = self.keep(key, ack, data, attachments) else { return };
                    return self.ask_about(key, kept, open);
                }
            }
        }
        if !self.shared.handler_only {
            let mut said = args;
            let settings = self.settings.clone();
            let data = (said.next().unwrap_or("{}"), key_of(said.next(), &settings.limits));
            if self.app_command(key, ack, settings.namespaces.name(namespace), &event.name, data) {
                return;
            }
        }
        let Some(client) = self.client(key, namespace) else { return };
        if self.shared.handler.is_none() {
            let message = "no such command";
            let refusal = Refusal::new(tidings_core::Code::NotFound, message);
            return self.answer_refused(key, ack, &event.name, &refusal);
        }
        if let Err(refusal) = self.take_publish(key, ack, client.who(), None, false) {
            return self.answer_refused(key, ack, &event.name, &refusal);
        }
        let call = Call {
            client,
            id,
            name: event.name.as_ref().into(),
            args: args.map(str::to_owned).collect(),
            attachments,
        };
        self.queue(key, Job::Handle(call));
    }

    /// An event as it was said, to be carried out later.
    fn keep(&mut self, key: ConnKey, ack: AckTo, data: &str, attachments: Vec<Bytes>) -> Option<Kept> {
        let AckTo::SocketIo { namespace, id } = ack else { return None };
        let sid = self.links.get(key)?.seat(namespace)?.sid;
        Some(Kept::SocketIo { sid, namespace, id, data: data.to_owned(), attachments })
    }

    /// A handle to a client in one namespace, for handlers on the front.
    pub(super) fn client(&mut self, key: ConnKey, namespace: u8) -> Option<Client> {
        let at = (self.shard.index(), key);
        let seat = self.links.get(key)?.seat_mut(namespace)?;
        if let Some(client) = &seat.client {
            return Some(client.clone());
        }
        let (inbox, name) = (self.inbox.clone(), self.settings.namespaces.name(namespace).into());
        let client = Client::new(at, inbox, namespace, name, seat.sid, seat.who.clone());
        // Who has no handler to talk to says nothing that often.
        if self.shared.handler.is_some() {
            seat.client = Some(client.clone());
        }
        Some(client)
    }
}
