//! What a client of the plain protocol says.

use std::sync::Arc;

use tidings_core::frame::write_message;
use tidings_core::{Code, ConnKey, From, Identity, Refusal, Room};
use tidings_wire::plain::{self, ClientMessage, DecodeError};
use tidings_wire::websocket::Opcode;
use tidings_wire::{CloseReason, Violation};

use super::ShardLoop;
use super::command::AckTo;
use super::entry::{Entry, token_of};
use super::link::{Seat, Session};
use super::read::Flow;
use crate::ids::id_text;
use crate::time::iso8601;

impl ShardLoop {
    /// Handles one message of the plain protocol.
    pub(super) fn plain_text(&mut self, key: ConnKey, text: &str) -> Flow {
        let (now_ms, limits) = (self.now_ms, self.settings.limits);
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        let Session::Plain(session) = &mut link.session else { return Flow::On };
        session.heard(now_ms, &self.settings.times.heartbeat);
        let signed_in = session.is_signed_in();
        if link.held.is_some() {
            return self.hold(key, text);
        }
        match plain::decode(text, &limits) {
            Err(DecodeError::Violation(violation)) => return self.violated(key, violation),
            Err(DecodeError::Refused { id, code: _, message }) => {
                let refusal = Refusal::new(Code::BadRequest, &message);
                self.answer_refused(key, AckTo::Plain { id }, "", &refusal);
            }
            Ok(ClientMessage::Auth(_)) if signed_in => {
                let refusal = Refusal::new(Code::Conflict, "already signed in");
                self.answer_refused(key, AckTo::Plain { id: None }, "auth", &refusal);
            }
            Ok(ClientMessage::Auth(auth)) => self.plain_auth(key, auth.token.as_deref()),
            Ok(_) if !signed_in => {
                self.close(key, CloseReason::SignIn);
            }
            Ok(message) => self.plain_message(key, message),
        }
        if self.links.get(key).is_some() { Flow::On } else { Flow::Gone }
    }

    fn plain_message(&mut self, key: ConnKey, message: ClientMessage<'_>) {
        let (id, name, done) = match message {
            ClientMessage::Auth(_) => return,
            ClientMessage::Heartbeat => {
                let dropped = u64::from(self.shard.take_dropped(key.slot));
                return self.say_plain(key, |out| plain::server::heartbeat(out, dropped));
            }
            ClientMessage::Ping { id } => return self.answer(key, AckTo::Plain { id }, |_| {}),
            ClientMessage::Subscribe { id, body } => {
                (id, "subscribe", self.subscribe(key, AckTo::Plain { id }, &body))
            }
            ClientMessage::Unsubscribe { id, body } => {
                (id, "unsubscribe", self.unsubscribe(key, AckTo::Plain { id }, &body.room))
            }
            ClientMessage::Publish { id, body } => {
                (id, "publish", self.publish(key, AckTo::Plain { id }, &body, &[]))
            }
            ClientMessage::History { id, body } => {
                (id, "history", self.history(key, AckTo::Plain { id }, &body))
            }
            ClientMessage::Presence { id, body } => {
                (id, "presence", self.presence(key, AckTo::Plain { id }, &body))
            }
            ClientMessage::Command { id, .. } => {
                (id, "command", Err(Refusal::new(Code::NotFound, "no such command")))
            }
            ClientMessage::Ack { .. } => return,
        };
        if let Err(refusal) = done {
            self.answer_refused(key, AckTo::Plain { id }, name, &refusal);
        }
    }

    fn plain_auth(&mut self, key: ConnKey, token: Option<&str>) {
        let Some(link) = self.links.get(key) else { return };
        let entry = match token_of(link.hello.as_deref(), token) {
            Some(token) => Entry::of(&self.shared.sign_in, token),
            None if self.settings.takes_anonymous => Ok(Entry::Known(self.shared.anonymous.clone())),
            None => Err(Refusal::new(Code::Unauthorized, "a token is needed")),
        };
        match entry {
            Ok(Entry::Known(who)) => self.plain_entered(key, Ok(who)),
            Ok(Entry::Front(token)) => self.check_plain_on_front(key, token),
            Err(refusal) => self.plain_entered(key, Err(refusal)),
        }
    }

    /// Lets a client in, or tells it why not and closes it.
    pub(super) fn plain_entered(&mut self, key: ConnKey, who: Result<Arc<Identity>, Refusal>) {
        let who = match who {
            Ok(who) => who,
            Err(refusal) => {
                self.answer_refused(key, AckTo::Plain { id: None }, "auth", &refusal);
                return self.close(key, CloseReason::SignIn);
            }
        };
        let sid = self.entropy.socket_id();
        let Some(link) = self.links.get(key) else { return };
        link.hello = None;
        let Session::Plain(session) = &mut link.session else { return };
        session.signed_in();
        link.seats = vec![Seat {
            namespace: 0,
            offset: false,
            gaps: true,
            sid,
            pid: None,
            who: who.clone(),
            waiting: None,
        }];
        if let Some(user) = &who.user {
            let (room, form) = (Room::of_user(&who.org, user), link.form(0));
            // A configuration may close the kind `user`; then there is no personal room.
            let _ = self.node.join(&mut self.shard, key.slot, form, &who, &room, From::Now);
        }
        let expires_at = who.expires_at.map(|seconds| iso8601(seconds * 1_000));
        let auth = plain::server::AuthOk {
            user_id: who.user.as_deref(),
            org: who.org.as_str(),
            session_id: id_text(&sid),
            expires_at: expires_at.as_deref(),
        };
        self.say_plain(key, |out| plain::server::auth_ok(out, &auth));
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
