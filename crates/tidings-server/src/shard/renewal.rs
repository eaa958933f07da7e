//! A client renews its sign-in in place, and leaves the rooms it may no longer hear.

use std::sync::Arc;

use tidings_core::kinds::Action;
use tidings_core::{Code, ConnKey, Identity, Refusal, Room};
use tidings_wire::json::write_string;
use tidings_wire::names::Dialect;
use tidings_wire::plain::{self, AuthBody};

use super::ShardLoop;
use super::command::AckTo;
use super::entry::Entry;
use super::expiry::warn_at_ms;
use super::inbox::Mail;
use crate::client::Emission;
use crate::time::iso8601;

impl ShardLoop {
    /// Runs the command `auth {token}` of a Socket.IO client, in whatever namespace it was said.
    pub(super) fn renew_by_command(&mut self, key: ConnKey, ack: AckTo, body: &str) {
        match AuthBody::parse(body) {
            Ok(body) => self.renew(key, ack, body.token.as_deref()),
            Err(bad) => {
                let is_token = bad.code() == Code::Unauthorized.as_str();
                let code = if is_token { Code::Unauthorized } else { Code::BadRequest };
                let refusal = Refusal::new(code, &bad.to_string());
                self.answer_refused(key, ack, "auth", &refusal);
            }
        }
    }

    /// Renews a client's sign-in by a newer token; only what was said counts, not the handshake.
    pub(super) fn renew(&mut self, key: ConnKey, ack: AckTo, token: Option<&str>) {
        let Some(link) = self.links.get(key) else { return };
        let refused = match token {
            _ if link.token.renewing => Refusal::new(Code::Conflict, "a token is being judged already"),
            None => Refusal::new(Code::BadRequest, "token: is needed to renew a sign-in"),
            Some(token) => match Entry::of(&self.shared, link.remote, token) {
                Ok(Entry::Known(who)) => return self.renewed(key, ack, Ok(who)),
                Ok(Entry::Front(token)) => return self.renew_on_front(key, ack, token),
                Err(refusal) => refusal,
            },
        };
        self.renewed(key, ack, Err(refused));
    }

    /// Lets the front judge the token; who the client is stays what it was meanwhile.
    fn renew_on_front(&mut self, key: ConnKey, ack: AckTo, token: String) {
        let Some(link) = self.links.get(key) else { return };
        link.token.renewing = true;
        let remote = link.remote;
        let (shared, inbox) = (self.shared.clone(), self.inbox.clone());
        self.shared.front.spawn(async move {
            let who = shared.judge_on_front(&token, remote).await.map(Arc::new);
            inbox.push(Mail::Emit(key, Emission::Renewed(ack, who)));
        });
    }

    /// The front has judged the token.
    pub(super) fn renewal_judged(&mut self, key: ConnKey, ack: AckTo, who: Result<Arc<Identity>, Refusal>) {
        let Some(link) = self.links.get(key) else { return };
        link.token.renewing = false;
        self.renewed(key, ack, who);
    }

    /// Puts the newer identity in the place of the older one, or refuses and changes nothing.
    fn renewed(&mut self, key: ConnKey, ack: AckTo, who: Result<Arc<Identity>, Refusal>) {
        let namespace = ack.namespace();
        let who = who.and_then(|who| {
            self.still_good(&who)?;
            self.is_the_same(key, namespace, &who)?;
            Ok(who)
        });
        let who = match who {
            Ok(who) => who,
            Err(refusal) => return self.answer_refused(key, ack, "auth", &refusal),
        };
        let Some(link) = self.links.get(key) else { return };
        let Some(seat) = link.seats.iter_mut().find(|seat| seat.namespace == namespace) else { return };
        let was = std::mem::replace(&mut seat.who, who.clone());
        (seat.warn_at_ms, seat.client) = (warn_at_ms(&who), None);
        let sid = seat.sid;
        match ack {
            AckTo::Plain { .. } => self.say_signed_in(key, &who, &sid),
            AckTo::SocketIo { .. } => self.answer(key, ack, |out| write_expiry(out, &who)),
        }
        if !may_the_same(&was, &who) {
            self.recheck_rooms(key, namespace, |_| true);
        }
        self.rooms_changed(key, namespace);
        self.watch_tokens(key);
        self.note_seen(key);
    }

    /// Refuses a token of somebody else.
    fn is_the_same(&mut self, key: ConnKey, namespace: u8, who: &Identity) -> Result<(), Refusal> {
        let seat = self.links.get(key).and_then(|link| link.seat(namespace));
        let was =
            seat.map(|seat| &seat.who).ok_or_else(|| Refusal::new(Code::Unauthorized, "sign in first"))?;
        if was.user.is_some() && was.user == who.user && was.org == who.org {
            return Ok(());
        }
        Err(Refusal::new(Code::Forbidden, "the token is somebody else's; open another connection"))
    }

    /// Takes a client out of those rooms of a namespace that it may no longer hear, and tells it.
    ///
    /// Where the backend decides, what it said before is not about these rules or rights: without a kept
    /// answer the client leaves, and the backend is asked when it subscribes again.
    pub(super) fn recheck_rooms(&mut self, key: ConnKey, namespace: u8, which: impl Fn(&Room) -> bool) {
        let Some(who) =
            self.links.get(key).and_then(|link| link.seat(namespace)).map(|seat| seat.who.clone())
        else {
            return;
        };
        for room in self.shard.room_names(key.slot, namespace) {
            let asker = self.asker(key, &who, &[]);
            if which(&room) && self.node.admit(asker, &room, Action::Subscribe).is_err() {
                self.send_out(key, namespace, &room, FORBIDDEN);
            } else if which(&room) {
                let asker = self.asker(key, &who, &[]);
                self.node.look_again(&mut self.shard, key.slot, asker, &room, namespace);
            }
        }
    }

    /// Takes a client out of a room; nothing of the room comes after the notice.
    ///
    /// Recorded events that wait stand before it; what is volatile could be behind and is dropped.
    pub(super) fn send_out(&mut self, key: ConnKey, namespace: u8, room: &Room, reason: &str) {
        self.leave_room(key, namespace, room);
        self.rooms_changed(key, namespace);
        self.shard.drop_volatile(key.slot);
        self.tell_out(key, namespace, room, reason);
    }

    /// Tells a client that it is not in a room any more.
    pub(super) fn tell_out(&mut self, key: ConnKey, namespace: u8, room: &Room, reason: &str) {
        let Some(link) = self.links.get(key) else { return };
        if link.dialect() == Dialect::Plain {
            return self.say_plain(key, |out| plain::server::left(out, room.name(), reason));
        }
        let mut body = b"{\"room\":".to_vec();
        write_string(&mut body, room.name());
        body.extend_from_slice(b",\"reason\":");
        write_string(&mut body, reason);
        body.push(b'}');
        self.send_event(key, namespace, "tidings:left", &body);
    }

    /// Takes everybody out of a room: its app has closed it.
    pub(super) fn close_room(&mut self, room: &Room) {
        let members: Vec<_> = self.shard.members(room).map(|(key, form)| (key, form.namespace)).collect();
        for (key, namespace) in members {
            self.send_out(key, namespace, room, CLOSED);
        }
    }
}

/// Whether two tokens give the same rights; which token it is and until when does not matter.
fn may_the_same(was: &Identity, now: &Identity) -> bool {
    let Identity { expires_at, issued_at, ref token_id, .. } = *was;
    *was == Identity { expires_at, issued_at, token_id: token_id.clone(), ..now.clone() }
}

/// Why a client was taken out of a room.
pub(super) const FORBIDDEN: &str = "forbidden";
/// See [`FORBIDDEN`].
const CLOSED: &str = "closed";
/// See [`FORBIDDEN`]: others have taken the last place while its connection was broken.
pub(super) const FULL: &str = "full";

fn write_expiry(out: &mut Vec<u8>, who: &Identity) {
    if let Some(seconds) = who.expires_at {
        out.extend_from_slice(b",\"expiresAt\":");
        write_string(out, &iso8601(seconds.saturating_mul(1_000)));
    }
}
