//! What other threads want of a shard, worked off.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use mio::{Interest, Token};
use tidings_core::hub::Audience;
use tidings_core::{ConnKey, Publication};
use tidings_wire::CloseReason;
use tidings_wire::json::write_string;
use tidings_wire::names::Dialect;
use tidings_wire::session::{PlainSession, SocketIo};
use tidings_wire::socketio::{encode, msgpack};
use tidings_wire::websocket::{Decoder, Opcode, write_frame};

use super::ShardLoop;
use super::entry::refusal_data;
use super::expiry::TokenClock;
use super::handled;
use super::inbox::{Admitted, Mail, NewSocket, Speaks};
use super::lane::Job;
use super::link::{Link, Seat, Session, Transport};
use super::socketio::Admission;
use crate::client::{Client, Emission, Waiting};
use crate::failpoint;
use crate::front::hello::Hello;
use crate::hooks::{Caller, Entrance};
use crate::settings::AuthFields;
use crate::shared::Shared;

impl ShardLoop {
    pub(super) fn receive(&mut self, letter: Mail) {
        match letter {
            Mail::Deliver(publication) => self.deliver(&publication),
            Mail::Report(ack) => self.shared.receipts.reported(ack),
            Mail::Again(publication, to_user) => self.send_again(&publication, to_user),
            Mail::Settled(ack) => self.settled(ack),
            Mail::Restore(key, ack, sid, kept) => self.restore(key, ack, sid, kept),
            Mail::Announce(publication, audience) => self.announce(&publication, &audience),
            Mail::Socket(socket) => self.take_socket(*socket),
            Mail::OpenPolling(hello, visit, reply) => self.open_polling(hello, visit, reply),
            Mail::Poll(session, reply) => self.poll_get(session, reply),
            Mail::PollAborted(session) => self.poll_aborted(session),
            Mail::MayPost(session, reply) => drop(reply.send(self.may_post(session))),
            Mail::Posting(session) => self.posting(session),
            Mail::Post(session, body, reply) => self.poll_post(session, &body, reply),
            Mail::BadPost(session, ends) => self.bad_post(session, ends),
            Mail::Whose(session, token, reply) => drop(reply.send(self.whose(session, token))),
            Mail::Fits(session, token) => self.fits(session, token),
            Mail::MayUpgrade(session, reply) => drop(reply.send(self.may_upgrade(session))),
            Mail::Emit(key, emission) => self.emit(key, emission),
            Mail::Asked(key, batch, asking, answer) => self.asked((key, batch), *asking, answer),
            Mail::Paged(key, wanted, read) => self.paged(key, &wanted, read),
            Mail::Lent(key, wanted, read) => self.lent(key, &wanted, read),
            Mail::Answers(key, batch, answers) => self.answers(key, batch, answers, false),
            Mail::LanesDone(lanes) => lanes.into_iter().for_each(|worked| self.worked(worked)),
            Mail::Stored(key, batch, answers) => self.all_answered(key, batch, answers),
            Mail::Resume(resume) => self.seek(*resume),
            Mail::Resumed(found) => self.resumed(found.0, found.1),
            Mail::NotResumed(found) => self.not_resumed(&found.0, found.1),
            Mail::Sought(pid, found) => self.sought(pid, found),
            Mail::Moved(pid, at) => self.set_place(pid, at),
            Mail::Home(pid, parked) => self.come_home(pid, parked.map(|parked| *parked)),
            Mail::Members(room, reply) => drop(reply.send(self.members_of(&room))),
            Mail::Explain(inquiry, reply) => drop(reply.send(self.explained(&inquiry))),
            Mail::Errand(errand) => self.take_errand(errand),
            Mail::Close(room) => self.close_room(&room),
            Mail::Beat(number) => {
                failpoint::reached(&format!("beat_{}", self.shard.index()));
                self.beat = Some(number);
            }
            Mail::Drain(budget_ms) => self.drain(budget_ms),
            Mail::Stop => self.running = false,
        }
    }

    fn deliver(&mut self, publication: &Arc<Publication>) {
        self.shard.take(publication);
        if publication.ack.is_some() {
            self.note_reached();
        }
    }

    fn announce(&mut self, publication: &Publication, audience: &Audience) {
        let org = publication.room.org();
        let hearers = match audience {
            Audience::Everybody => self.links.seated(org),
            Audience::These(namespace, keys) => self.links.still_seated(org, *namespace, keys),
        };
        self.shard.push_to(hearers, publication);
    }

    /// Makes a connection and starts its timer.
    pub(super) fn open(
        &mut self,
        transport: Transport,
        session: Session,
        decoder: Decoder,
        deflate: u8,
        hello: Box<Hello>,
        admitted: Admitted,
    ) -> ConnKey {
        let key = self.shard.open();
        let mut session = session;
        let (engine_only, text_only) = (hello.engine_only, hello.text_only);
        if let Session::SocketIo(session) = &mut session
            && engine_only
        {
            session.joined(0);
        }
        self.links.insert(Link {
            key,
            remote: hello.remote,
            secret: self.entropy.secret(),
            transport,
            decoder,
            deflate,
            text_only,
            at_admin_door: hello.at_admin_door,
            session,
            engine_only,
            seats: Vec::new(),
            org: None,
            mixed: false,
            hello: Some(hello),
            catching_up: Vec::new(),
            lane: None,
            meter: admitted.into(),
            held: None,
            timer_ms: u64::MAX,
            noted: None,
            token: TokenClock::default(),
        });
        self.schedule(key);
        key
    }

    fn take_socket(&mut self, new: NewSocket) {
        let NewSocket { stream, reply, read, deflate, speaks, hello, admitted } = new;
        self.shared.counts[self.shard.index()].coming.fetch_sub(1, Ordering::Relaxed);
        if self.draining {
            return;
        }
        let times = &self.settings.times;
        let session = match speaks {
            Speaks::SocketIo => Session::SocketIo(SocketIo::new(self.now_ms, times)),
            Speaks::Plain => {
                let auth_ms = self.settings.plain_auth_ms;
                Session::Plain(PlainSession::new(self.now_ms, auth_ms, &times.heartbeat))
            }
            Speaks::Upgrade(target) => {
                let by_ms = self.now_ms + UPGRADE_MS;
                Session::Probe { target: target.conn, by_ms, noop_ms: u64::MAX }
            }
            Speaks::Echo | Speaks::TooLate => Session::Echo,
        };
        let window = deflate.map_or(0, |deflate| deflate.window_bits);
        let transport = Transport::Socket(stream);
        let key = self.open(transport, session, Decoder::new(deflate), window, hello, admitted);
        if !self.register(key) {
            return self.gone(key);
        }
        self.shard.reply(key.slot, |out| out.extend_from_slice(&reply));
        if matches!(speaks, Speaks::TooLate) {
            return self.close(key, CloseReason::Protocol);
        }
        if matches!(speaks, Speaks::SocketIo) {
            let mut open = Vec::new();
            self.write_open(key, &[], &mut open);
            self.shard.reply(key.slot, |out| write_frame(out, Opcode::Text, &open));
        }
        if !read.is_empty() {
            self.feed(key, &mut BytesMut::from(read));
        }
    }

    fn register(&mut self, key: ConnKey) -> bool {
        let Some(Link { transport: Transport::Socket(stream), .. }) = self.links.get(key) else {
            return false;
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(stream, Token(key.slot as usize), interest).is_ok()
    }

    /// Does what a handler wants done for one client.
    pub(super) fn emit(&mut self, key: ConnKey, emission: Emission) {
        match emission {
            Emission::Admit { mut admission, auth, rooms } => {
                let fields = AuthFields::parse(auth.as_deref());
                admission.auth = auth.clone();
                admission.rooms = rooms;
                self.admit_or_resume(key, admission, fields);
            }
            Emission::Refuse { namespace, message, data } => {
                self.refuse(key, namespace, &message, data.as_deref());
                // The time to be in a namespace runs again.
                self.schedule(key);
            }
            Emission::Told { ack, sid, name, body } => {
                let seat = self.links.get(key).and_then(|link| link.seat(ack.namespace()));
                if seat.is_some_and(|seat| seat.sid == sid) {
                    self.notice(key, ack, name, &body);
                }
            }
            Emission::Judged(who) => self.judged(key, who),
            Emission::Renewed(ack, who) => self.renewal_judged(key, ack, who),
            Emission::Event { namespace, name, args, attachments, ack } => {
                if self.links.get(key).is_some_and(|link| link.dialect() == Dialect::Plain) {
                    let data = args.first().map_or("null", String::as_str);
                    return self.say_plain(key, |out| plain_event(out, &name, data));
                }
                let id = ack.and_then(|reply| self.await_ack(key, namespace, reply));
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                self.say_with(
                    key,
                    namespace,
                    |out, ns| encode::event(out, ns, id, &name, &args, None, attachments.len() as u32),
                    |out, ns| msgpack::encode::event(out, ns, id, &name, &args, None, &attachments),
                    &attachments,
                );
            }
            Emission::Ack { namespace, id, args, attachments } => {
                self.say_with(
                    key,
                    namespace,
                    |out, ns| encode::ack(out, ns, id, &args, attachments.len() as u32),
                    |out, ns| msgpack::encode::ack(out, ns, id, &args, &attachments),
                    &attachments,
                );
            }
            Emission::Join { namespace, room } => self.join_for_handler(key, namespace, &room),
            Emission::Enter { seat: (namespace, sid), room, answered, reply } => {
                if self.sits(key, namespace, &sid) {
                    self.enter(key, namespace, &room, &answered, reply);
                }
            }
            Emission::Leave { seat: (namespace, sid), room } => {
                if self.sits(key, namespace, &sid) {
                    self.leave_room(key, namespace, &room);
                }
            }
            Emission::Disconnect { namespace } => drop(self.disconnect(key, namespace)),
            Emission::Close(reason) => self.close(key, reason),
            Emission::Drop => self.drop_transport(key),
        }
    }

    pub(super) fn join_for_handler(&mut self, key: ConnKey, namespace: u8, room: &tidings_core::Room) {
        let Some(link) = self.links.get(key) else { return };
        let Some(who) = link.seat(namespace).map(|seat| seat.who.clone()) else { return };
        let form = link.form(namespace);
        let joined =
            self.node.clone().join(&mut self.shard, key.slot, form, &who, room, tidings_core::From::Now);
        match joined.map_err(tidings_core::Refusal::from) {
            Ok(_) => self.has_joined(key, namespace, room, false),
            Err(refusal) => tracing::warn!(%refusal, "a handler's room could not be joined"),
        }
    }

    /// Tells a client that it is no longer in a namespace, whence it does not come back by itself; `false` if it
    /// speaks another protocol or is gone.
    pub(super) fn disconnect(&mut self, key: ConnKey, namespace: u8) -> bool {
        let Some(Link { session: Session::SocketIo(session), .. }) = self.links.get(key) else {
            return false;
        };
        session.left(namespace);
        self.stop_catching_up_in(key, namespace);
        let left = self.node.clone().leave_all(&mut self.shard, key.slot, Some(namespace));
        self.say(key, namespace, encode::disconnect, msgpack::encode::disconnect);
        let Some(link) = self.links.get(key) else { return false };
        if let Some(at) = link.seats.iter().position(|seat| seat.namespace == namespace) {
            let seat = link.seats.swap_remove(at);
            self.tell_left(&seat.who, &left);
            self.is_over(key, &seat);
            self.note_closed(key, &seat, "disconnected", false);
            self.unseated(key, &seat);
        }
        true
    }

    /// Cuts a connection without a word, as a broken network would.
    fn drop_transport(&mut self, key: ConnKey) {
        self.shard.flush(&mut self.links, 0);
        self.gone(key);
    }

    fn await_ack(&mut self, key: ConnKey, namespace: u8, reply: crate::client::AckReply) -> Option<u64> {
        let most = self.settings.limits.outstanding_acks as usize;
        let seat = self.links.get(key)?.seats.iter_mut().find(|seat| seat.namespace == namespace)?;
        let waiting = seat.waiting.get_or_insert_default();
        waiting.retain_open();
        if waiting.len() >= most {
            return None;
        }
        let id = self.shared.receipts.next_ack();
        waiting.insert(id, reply);
        Some(id)
    }

    /// A client answered an event of ours; answers nobody waits for are ignored.
    pub(super) fn answered(
        &mut self,
        key: ConnKey,
        namespace: u8,
        id: u64,
        data: &str,
        attachments: Vec<bytes::Bytes>,
    ) {
        if self.acknowledged(key, namespace, id, (data, &attachments)) {
            return;
        }
        let Some(link) = self.links.get(key) else { return };
        let Some(seat) = link.seats.iter_mut().find(|seat| seat.namespace == namespace) else { return };
        let Some(waiting) = seat.waiting.as_deref_mut() else { return };
        if let Some(reply) = waiting.take(id) {
            let args = tidings_wire::json::elements(data).map(str::to_owned).collect();
            let _ = reply.send((args, attachments));
        }
        if waiting.len() == 0 {
            seat.waiting = None;
        }
    }

    /// Asks the backend and the mounted handler, where there are such, whether a client may join.
    pub(super) fn ask_to_enter(&mut self, key: ConnKey, admission: Admission, auth: Option<&str>) {
        let Some(from) = self.doorstep(key) else { return };
        let hello = self.links.get(key).and_then(|link| link.hello.clone()).unwrap_or_default();
        let (shared, names) = (self.shared.clone(), self.settings.namespaces.clone());
        let (inbox, auth) = (self.inbox.clone(), auth.map(str::to_owned));
        self.shared.front.spawn(async move {
            let name = names.name(admission.namespace);
            let emission = ask(&shared, from, admission, name, &hello, auth).await;
            inbox.push(Mail::Emit(key, emission));
        });
    }

    /// Where a client stands that wants to come in.
    pub(super) fn doorstep(&mut self, key: ConnKey) -> Option<Doorstep> {
        let at = (self.shard.index(), key);
        let link = self.links.get(key)?;
        Some(Doorstep { at, address: link.remote, entrance: link.entrance() })
    }

    /// A client is in: the mounted handler is told.
    pub(super) fn welcomed(&mut self, key: ConnKey, namespace: u8, auth: Option<String>) {
        self.entered(key, namespace);
        if self.is_admin_ui(namespace) {
            return self.admin_ui_entered(key, namespace, auth.as_deref());
        }
        if self.shared.handler.is_none() {
            return;
        }
        let hello = self.links.get(key).and_then(|link| link.hello.clone()).unwrap_or_default();
        if let Some(client) = self.client(key, namespace) {
            self.queue(key, Job::Welcome(Box::new(client), auth, hello));
        }
    }

    /// A client has left a namespace: the mounted handler is told.
    pub(super) fn unseated(&mut self, key: ConnKey, seat: &Seat) {
        self.announce_empty_seat(key, seat);
        self.owes_nothing(key, seat.namespace);
        self.forget_kept(key, seat.namespace);
        if self.is_admin_ui(seat.namespace) {
            return self.shared.admin.ui.left(&seat.sid);
        }
        let Some(handler) = self.shared.handler.clone() else { return };
        let name = self.settings.namespaces.name(seat.namespace).into();
        let at = (self.shard.index(), key);
        let client = Client::new(at, self.inbox.clone(), seat.namespace, name, seat.sid, seat.who.clone());
        self.shared.front.spawn(async move { handler.disconnected(client).await });
    }

    /// A connection is gone, and so is its client in every namespace.
    pub(super) fn disconnected(&mut self, link: &Link) {
        for seat in &link.seats {
            self.unseated(link.key, seat);
        }
    }

    /// Who is in a room on this shard, and since when.
    fn members_of(&mut self, room: &tidings_core::Room) -> Vec<(Arc<tidings_core::Identity>, u64)> {
        let members: Vec<_> = self.shard.members(room).collect();
        let seats = members.into_iter().filter_map(|(key, form)| {
            let since_ms = self.shard.joined_ms(key.slot, room, form.namespace)?;
            let seat = self.links.get(key)?.seat(form.namespace)?;
            Some((seat.who.clone(), since_ms))
        });
        seats.collect()
    }

    /// Closes a part of the connections now and the rest by and by.
    fn drain(&mut self, budget_ms: u64) {
        self.draining = true;
        self.store_sessions();
        let keys = self.links.keys();
        let count = keys.len().max(1) as u64;
        for (at, key) in keys.into_iter().enumerate() {
            let after_ms = NOTICE_MS + budget_ms * at as u64 / count;
            self.tell_leaving(key, after_ms);
            self.leaving.push((self.now_ms + after_ms, key));
        }
        self.leave_by_ms = self.now_ms + NOTICE_MS + budget_ms + OWED_MS;
        // The last to leave stands first, so that those whose time has come are at the end.
        self.leaving.reverse();
    }

    /// Says when a connection will be closed because the server stops.
    fn tell_leaving(&mut self, key: ConnKey, after_ms: u64) {
        let Some(link) = self.links.get(key) else { return };
        if matches!(link.session, Session::Plain(_)) {
            self.say_plain(key, |out| tidings_wire::plain::server::reconnect(out, after_ms));
        } else if let Some(namespace) = link.seats.first().map(|seat| seat.namespace) {
            let body = format!("{{\"afterMs\":{after_ms}}}");
            self.send_event(key, namespace, "tidings:reconnect", body.as_bytes());
        }
    }

    /// Closes the connections whose time to leave has come.
    pub(super) fn let_leave(&mut self) {
        while let Some((at_ms, key)) = self.leaving.last().copied() {
            if at_ms > self.now_ms {
                return;
            }
            self.leaving.pop();
            if self.is_owed_an_answer(key) || self.is_between_polls(key) {
                self.stay_a_little(key);
            } else {
                self.close(key, CloseReason::Draining);
            }
        }
    }

    /// Whether a command of a client is still being worked on, such as a publish that is being stored.
    pub(super) fn is_owed_an_answer(&mut self, key: ConnKey) -> bool {
        let busy = self.links.get(key).is_some_and(|link| link.lane.is_some());
        busy && self.now_ms < self.leave_by_ms
    }

    /// Whether a client over polling is about to ask again; the answer to that will say that it is over.
    fn is_between_polls(&mut self, key: ConnKey) -> bool {
        let last_ms = self.leave_by_ms - OWED_MS;
        let Some(Link { transport: Transport::Polling(polling), .. }) = self.links.get(key) else {
            return false;
        };
        polling.leaves = true;
        polling.waiting.is_none() && self.now_ms < last_ms + POLL_MS
    }

    fn stay_a_little(&mut self, key: ConnKey) {
        let at_ms = self.now_ms + LOOK_AGAIN_MS;
        let place = self.leaving.partition_point(|(other_ms, _)| *other_ms > at_ms);
        self.leaving.insert(place, (at_ms, key));
    }
}

/// Milliseconds between the word that the server leaves and the first close: what was on its way then is answered.
const NOTICE_MS: u64 = 200;
/// A connection that waits for an answer when its time has come stays so much longer at most.
const OWED_MS: u64 = 2_500;
/// One over polling that has not asked again stays so much longer behind the last: it may be gone without a word.
const POLL_MS: u64 = 1_000;
/// And is looked at again so often.
const LOOK_AGAIN_MS: u64 = 20;

/// An event of no room, for a plain client alone.
fn plain_event(out: &mut Vec<u8>, name: &str, data: &str) {
    out.extend_from_slice(b"{\"type\":\"event\",\"event\":");
    write_string(out, name);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.push(b'}');
}

/// Where a client stands that wants to come in.
#[derive(Clone, Copy)]
pub(super) struct Doorstep {
    at: (usize, ConnKey),
    pub(super) address: IpAddr,
    entrance: Entrance,
}

/// Asks the backend, then the mounted handler, whether a client that passed sign-in may join.
pub(super) async fn ask(
    shared: &Shared,
    from: Doorstep,
    admission: Admission,
    namespace: &str,
    hello: &Hello,
    auth: Option<String>,
) -> Emission {
    let who = admission.who.clone();
    let caller =
        Caller { who: &who, connection: Some(from.at), address: from.address, entrance: from.entrance };
    match shared.ask_connect(&caller, namespace).await {
        Ok(()) => {}
        // After CONNECT_ERROR stock clients stay away; after a close they come back.
        Err(refusal) if refusal.code.retryable() => return Emission::Close(CloseReason::Overloaded),
        Err(refusal) => {
            let data = Some(refusal_data(&refusal));
            let (namespace, message) = (admission.namespace, refusal.message.into());
            return Emission::Refuse { namespace, message, data };
        }
    }
    let Some(handler) = &shared.handler else {
        return Emission::Admit { admission, auth, rooms: Vec::new() };
    };
    match handled::asked(handler.as_ref(), namespace, hello, auth.as_deref()).await {
        // As for a refusal that may pass.
        None => Emission::Close(CloseReason::Overloaded),
        Some(Ok(rooms)) => Emission::Admit { admission, auth, rooms },
        Some(Err(refused)) => {
            let (message, data) = (refused.message, refused.data);
            Emission::Refuse { namespace: admission.namespace, message, data }
        }
    }
}

/// How long a WebSocket may take to take a polling session over.
const UPGRADE_MS: u64 = 10_000;

impl Waiting {
    /// Forgets those whose asker is gone.
    fn retain_open(&mut self) {
        self.0.retain(|_, reply| !reply.is_closed());
    }
}
