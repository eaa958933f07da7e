//! What a client of the plain protocol says.

use std::sync::Arc;

use tidings_core::frame::write_message;
use tidings_core::{Code, ConnKey, From, Identity, Refusal, Room};
use tidings_wire::plain::{self, ClientMessage, DecodeError};
use tidings_wire::websocket::Opcode;
use tidings_wire::{CloseReason, Violation};

use super::ShardLoop;
use super::comeback;
use super::command::{AckTo, Halt};
use super::entry::{Entry, token_of};
use super::expiry::warn_at_ms;
use super::kept::{Asking, Kept};
use super::lane::Job;
use super::link::{Seat, Session};
use super::read::Flow;
use crate::apps::no_such_command;
use crate::asking::Open;
use crate::ids::{SocketId, id_text};
use crate::time::iso8601;

impl ShardLoop {
    /// Handles one message of the plain protocol.
    pub(super) fn plain_text(&mut self, key: ConnKey, text: &str) -> Flow {
        let now_ms = self.now_ms;
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        let Session::Plain(session) = &mut link.session else { return Flow::On };
        session.heard(now_ms, &self.settings.times.heartbeat);
        let signed_in = session.is_signed_in();
        if link.held.is_some() {
            return self.hold(key, text);
        }
        if signed_in {
            self.plain_said(key, text);
        } else {
            return self.plain_first(key, text);
        }
        if self.links.get(key).is_some() { Flow::On } else { Flow::Gone }
    }

    /// What a client says before it has signed in.
    fn plain_first(&mut self, key: ConnKey, text: &str) -> Flow {
        match plain::decode(text, &self.settings.limits) {
            Err(DecodeError::Violation(violation)) => return self.violated(key, violation),
            Err(DecodeError::Refused { code, message, .. }) if is_bad_token(code) => {
                self.plain_entered(key, Err(Refusal::new(Code::Unauthorized, &message)));
            }
            Err(DecodeError::Refused { id, code, message }) => self.plain_refused(key, id, code, &message),
            Ok(ClientMessage::Auth(auth)) => {
                if auth.persistent == Some(true) {
                    self.wants_kept(key);
                }
                self.plain_auth(key, auth.token.as_deref());
            }
            Ok(_) => self.close(key, CloseReason::SignIn),
        }
        if self.links.get(key).is_some() { Flow::On } else { Flow::Gone }
    }

    /// What a client that has signed in says, now or after it waited.
    pub(super) fn plain_said(&mut self, key: ConnKey, text: &str) {
        match plain::decode(text, &self.settings.limits) {
            Err(DecodeError::Violation(violation)) => {
                self.violated(key, violation);
            }
            Err(DecodeError::Refused { id, code, message }) => self.plain_refused(key, id, code, &message),
            Ok(ClientMessage::Auth(auth)) => {
                self.renew(key, AckTo::Plain { id: None }, auth.token.as_deref());
            }
            Ok(message) if self.flooding().is_some() => {
                if let Some(refusal) = self.flooding().filter(|_| is_answered(&message)) {
                    let ack = AckTo::Plain { id: message_id(&message) };
                    self.answer_refused(key, ack, "", &refusal);
                }
            }
            Ok(message) if self.must_wait(key) && waits(&message) => {
                let id = message_id(&message);
                self.queue(key, Job::Later(Box::new(Kept::Plain { id, text: text.to_owned() })));
            }
            Ok(message) => {
                let id = message_id(&message);
                if let Some(open) = self.plain_message(key, message) {
                    self.ask_about(key, Kept::Plain { id, text: text.to_owned() }, open);
                }
            }
        }
    }

    fn plain_refused(&mut self, key: ConnKey, id: Option<u64>, code: &str, message: &str) {
        let code = if is_bad_token(code) { Code::Unauthorized } else { Code::BadRequest };
        let refusal = Refusal::new(code, message);
        self.answer_refused(key, AckTo::Plain { id }, "", &refusal);
    }

    /// Does what a message wants; what is open if the backend has to be asked first.
    fn plain_message(&mut self, key: ConnKey, message: ClientMessage<'_>) -> Option<Open> {
        if self.shard.attends() && waits(&message) {
            self.somebody_said(key);
        }
        let (id, name, done) = match message {
            ClientMessage::Auth(_) => return None,
            ClientMessage::Heartbeat => {
                let dropped = u64::from(self.shard.take_dropped(key.slot));
                self.say_plain(key, |out| plain::server::heartbeat(out, dropped));
                return None;
            }
            ClientMessage::Ping { id } => {
                self.answer(key, AckTo::Plain { id }, |_| {});
                return None;
            }
            ClientMessage::Subscribe { id, body } => {
                (id, "subscribe", self.subscribe(key, AckTo::Plain { id }, &body))
            }
            ClientMessage::Unsubscribe { id, body } => {
                (id, "unsubscribe", self.unsubscribe(key, AckTo::Plain { id }, &body))
            }
            ClientMessage::Publish { id, body } => {
                (id, "publish", self.publish(key, AckTo::Plain { id }, &body, &[]))
            }
            ClientMessage::History { id, body } => {
                (id, "history", self.history(key, AckTo::Plain { id }, &body).map_err(Halt::No))
            }
            ClientMessage::Presence { id, body } => {
                (id, "presence", self.presence(key, AckTo::Plain { id }, &body).map_err(Halt::No))
            }
            ClientMessage::PresenceSet { id, body } => {
                let set = self.presence_set(key, AckTo::Plain { id }, &body);
                (id, "presence:set", set.map_err(Halt::No))
            }
            ClientMessage::Command { id, namespace, name, data, key: idempotency } => {
                let (ack, data) = (AckTo::Plain { id }, (data, Ok(idempotency.map(|key| key.into_owned()))));
                if self.app_command(key, ack, &namespace, &name, data) {
                    return None;
                }
                (id, "command", Err(no_such_command().into()))
            }
            ClientMessage::Ack { message_id } => {
                self.acknowledged_by_id(key, &message_id);
                return None;
            }
        };
        match done {
            Ok(()) => None,
            Err(Halt::No(refusal)) => {
                self.answer_refused(key, AckTo::Plain { id }, name, &refusal);
                None
            }
            Err(Halt::Ask(open)) => Some(open),
        }
    }

    fn plain_auth(&mut self, key: ConnKey, token: Option<&str>) {
        let Some(link) = self.links.get(key) else { return };
        let entry = match token_of(link.hello.as_deref(), token) {
            Ok(Some(token)) => Entry::of(&self.shared, link.remote, token),
            Ok(None) if self.settings.takes_anonymous => Ok(Entry::Known(self.shared.anonymous.clone())),
            Ok(None) => Err(Refusal::new(Code::Unauthorized, "a token is needed")),
            Err(refusal) => Err(refusal),
        };
        match entry {
            Ok(Entry::Known(who)) => self.plain_entered(key, Ok(who)),
            Ok(Entry::Front(token)) => self.check_plain_on_front(key, token),
            Err(refusal) => self.plain_entered(key, Err(refusal)),
        }
    }

    /// Lets a client in, or tells it why not and closes it.
    pub(super) fn plain_entered(&mut self, key: ConnKey, who: Result<Arc<Identity>, Refusal>) {
        let who = match who.and_then(|who| self.still_good(&who).map(|()| who)) {
            Ok(who) => who,
            Err(refusal) => return self.plain_turned_away(key, &refusal),
        };
        let Some(link) = self.links.get(key) else { return };
        link.hello = None;
        let Session::Plain(session) = &mut link.session else { return };
        session.signed_in();
        if self.shared.asks_connect() {
            // It has said what it had to say; what it says next waits until the backend has, too.
            return self.queue(
                key,
                Job::Ask(Box::new(Asking { kept: Kept::SignIn, who, open: None, stored: None })),
            );
        }
        self.plain_welcome(key, who);
    }

    /// The backend has said whether a client may come in.
    pub(super) fn plain_judged(&mut self, key: ConnKey, who: Arc<Identity>, refusal: Option<Refusal>) {
        // The token may have ended or been called back while the backend was asked.
        if let Err(refusal) = self.still_good(&who) {
            self.answer_refused(key, AckTo::Plain { id: None }, "auth", &refusal);
            return self.close(key, CloseReason::SignIn);
        }
        let Some(refusal) = refusal else { return self.plain_welcome(key, who) };
        self.answer_refused(key, AckTo::Plain { id: None }, "auth", &refusal);
        let later = refusal.code.retryable();
        self.close(key, if later { CloseReason::Overloaded } else { CloseReason::Revoked });
    }

    fn plain_welcome(&mut self, key: ConnKey, who: Arc<Identity>) {
        let standing = match self.stand(key, &who) {
            Ok(standing) => standing,
            Err(refusal) => return self.plain_turned_away(key, &refusal),
        };
        let sid = self.entropy.socket_id();
        let Some(link) = self.links.get(key) else { return };
        link.org = Some(who.org.clone());
        link.seats = vec![Seat {
            namespace: 0,
            offset: false,
            place: false,
            gaps: true,
            sid,
            pid: None,
            who: who.clone(),
            standing,
            warn_at_ms: warn_at_ms(&who),
            waiting: None,
            client: None,
            kept: comeback::Kept::default(),
        }];
        if let Some(user) = &who.user {
            let (room, form) = (Room::of_user(&who.org, user), link.form(0));
            // A configuration may close the kind `user`; then there is no personal room.
            let _ = self.node.join(&mut self.shard, key.slot, form, &who, &room, From::Now);
        }
        self.say_signed_in(key, &who, &sid);
        self.watch_tokens(key);
        self.note_begin(key, None);
        self.announce_seat(key, 0);
        self.entered(key, 0);
        self.take_up_kept(key, AckTo::Plain { id: None });
    }

    /// Tells a client who it is now, and until when.
    pub(super) fn say_signed_in(&mut self, key: ConnKey, who: &Identity, sid: &SocketId) {
        let expires_at = who.expires_at.map(|seconds| iso8601(seconds.saturating_mul(1_000)));
        let auth = plain::server::AuthOk {
            user_id: who.user.as_deref(),
            org: who.org.as_str(),
            session_id: id_text(sid),
            expires_at: expires_at.as_deref(),
        };
        self.say_plain(key, |out| plain::server::auth_ok(out, &auth));
    }

    /// Refuses a sign-in and closes, as the refusal says when to come back.
    fn plain_turned_away(&mut self, key: ConnKey, refusal: &Refusal) {
        self.answer_refused(key, AckTo::Plain { id: None }, "auth", refusal);
        let reason = match refusal.code {
            Code::RateLimited => CloseReason::Flooding,
            Code::Unavailable => CloseReason::Overloaded,
            _ => CloseReason::SignIn,
        };
        self.close(key, reason);
    }

    /// Sends one message of the plain protocol.
    pub(super) fn say_plain(&mut self, key: ConnKey, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(link) = self.links.get(key) else { return };
        let deflate = link.deflate;
        self.packet.clear();
        write(&mut self.packet);
        let packet = &self.packet;
        self.shard.reply(key.slot, |out| write_message(out, Opcode::Text, packet, deflate));
    }

    /// A WebSocket that is to take a polling session over says its first words.
    pub(super) fn probe_text(&mut self, key: ConnKey, target: ConnKey, text: &str) -> Flow {
        match text {
            "2probe" => {
                self.shard.reply(key.slot, |out| {
                    tidings_wire::websocket::write_frame(out, Opcode::Text, b"3probe");
                });
                self.probed(key, target);
                Flow::On
            }
            "5" => self.upgrade(key, target),
            _ => self.violated(key, Violation::protocol("a probe must come first")),
        }
    }
}

/// Whether a message was refused for its token.
fn is_bad_token(code: &str) -> bool {
    code == Code::Unauthorized.as_str()
}

/// Whether a message gets an answer, by which it can be refused.
fn is_answered(message: &ClientMessage<'_>) -> bool {
    use ClientMessage::{Ack, Auth, Heartbeat};
    !matches!(message, Ack { .. } | Auth(_) | Heartbeat)
}

/// Whether a message has its place in the order of its client's commands.
fn waits(message: &ClientMessage<'_>) -> bool {
    use ClientMessage::{Ack, Heartbeat, Ping};
    !matches!(message, Ack { .. } | Heartbeat | Ping { .. })
}

/// The id its client gave a message.
fn message_id(message: &ClientMessage<'_>) -> Option<u64> {
    match message {
        ClientMessage::Ping { id }
        | ClientMessage::Subscribe { id, .. }
        | ClientMessage::Unsubscribe { id, .. }
        | ClientMessage::Publish { id, .. }
        | ClientMessage::History { id, .. }
        | ClientMessage::Presence { id, .. }
        | ClientMessage::PresenceSet { id, .. }
        | ClientMessage::Command { id, .. } => *id,
        ClientMessage::Auth(_) | ClientMessage::Heartbeat | ClientMessage::Ack { .. } => None,
    }
}
