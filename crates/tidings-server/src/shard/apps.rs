//! What clients say to apps, and how a room of an app is joined.

use std::sync::Arc;

use tidings_core::shard::Left;
use tidings_core::{Action, Answered, Code, ConnKey, Denied, From, Identity, Refusal, Room};
use tidings_wire::{Limits, plain};

use super::ShardLoop;
use super::command::{AckTo, Halt, halt};
use super::lane::Job;
use crate::apps::{Connection, Entering, SaidCommand};

impl ShardLoop {
    /// Puts a command of an app in line; `false` if no app has it.
    pub(super) fn app_command(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        namespace: &str,
        name: &str,
        (data, idempotency): (&str, Result<Option<String>, Refusal>),
    ) -> bool {
        let shared = self.shared.clone();
        let Some(place) = shared.apps.find(namespace, name) else { return false };
        let costs = (shared.apps.rate(place.requires), place.requires.counts);
        let queued = self.by(key, ack).and_then(|by| {
            let idempotency = idempotency?;
            let remaining = self.take_command(key, ack, by.who(), costs)?;
            let said = SaidCommand {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                data: data.to_owned(),
                key: idempotency,
                remaining,
            };
            Ok((by, said))
        });
        match (queued, self.client(key, ack.namespace())) {
            (Ok((by, said)), Some(client)) => {
                self.queue(key, Job::Command { by, said: Box::new(said), client: Box::new(client) });
            }
            (Err(refusal), _) => self.answer_refused(key, ack, name, &refusal),
            (Ok(_), None) => {}
        }
        true
    }

    /// Whether the snapshot of an app's room has to be made before somebody joins; it is asked for then.
    ///
    /// # Errors
    /// The room's rules, and what has to be asked.
    pub(super) fn wants_snapshot(
        &mut self,
        key: ConnKey,
        who: &Identity,
        room: &Room,
        answered: &[Answered],
    ) -> Result<(), Halt> {
        if !self.shared.apps.owns(room.kind()) || self.snapshot.is_some() {
            return Ok(());
        }
        let asker = self.asker(key, who, answered);
        // Of a room that one may not hear nothing is told.
        self.node.admit(asker, room, Action::Subscribe).map_err(|denied| halt(denied, room, answered))?;
        Err(Halt::snapshot(room, answered))
    }

    /// Takes a client into a room for its app.
    pub(super) fn enter(
        &mut self,
        key: ConnKey,
        namespace: u8,
        room: &Room,
        answered: &[Answered],
        reply: Entering,
    ) {
        let Some(link) = self.links.get(key) else { return };
        let Some(who) = link.seat(namespace).map(|seat| seat.who.clone()) else { return };
        let form = link.form(namespace);
        let entered = if self.has_all_rooms(key, namespace, room) {
            let message = "this connection is in too many rooms";
            Err(Denied::No(Refusal::new(Code::BadRequest, message)))
        } else {
            let asker = self.asker(key, &who, answered);
            let node = self.node.clone();
            node.join(&mut self.shard, key.slot, form, asker, room, From::Now).map(drop)
        };
        if entered.is_ok() {
            self.has_joined(key, namespace, room, false);
        }
        // Whoever asked may have given up.
        let _ = reply.send(entered);
    }

    /// Takes a client out of a room for its app, or because it wants to; its app is told.
    pub(super) fn leave_room(&mut self, key: ConnKey, namespace: u8, room: &Room) -> bool {
        let left = self.node.clone().leave(&mut self.shard, key.slot, room, namespace);
        let seat = self.links.get(key).and_then(|link| link.seat(namespace));
        if let (true, true, Some(seat)) = (left, self.shared.apps.owns(room.kind()), seat) {
            self.shared.tell_left(&seat.who.clone(), vec![room.clone()]);
        }
        left
    }

    /// Tells apps which of their rooms somebody is not in any more.
    pub(super) fn tell_left(&self, who: &Arc<Identity>, left: &[Left]) {
        if self.shared.apps.is_empty() {
            return;
        }
        let rooms =
            left.iter().map(|left| &left.entry.room).filter(|room| self.shared.apps.owns(room.kind()));
        self.shared.tell_left(who, rooms.cloned().collect());
    }

    /// A client has entered a namespace: it is taken into its own rooms, and apps are told that want to know.
    pub(super) fn entered(&mut self, key: ConnKey, namespace: u8) {
        let shared = self.shared.clone();
        if shared.apps.is_empty() {
            return;
        }
        let name = self.settings.namespaces.name(namespace).to_owned();
        let personal: Vec<&str> = shared.apps.personal(&name).collect();
        let welcomes = shared.apps.welcomes(&name);
        if personal.is_empty() && !welcomes {
            return;
        }
        let (Some(client), Some(link)) = (self.client(key, namespace), self.links.get(key)) else { return };
        let (address, entrance) = (link.remote, link.entrance());
        let user = client.who().user.clone();
        let most = self.settings.limits.room_name_bytes;
        let room =
            |kind: &&str| Room::new(&client.who().org, &format!("{kind}:{}", user.as_deref()?), most).ok();
        let rooms = personal.iter().filter_map(room).collect();
        let connection = Connection::new(client, shared, address, entrance);
        self.queue(key, Job::Entered { connection: Box::new(connection), rooms, welcomes });
    }
}

/// The idempotency key of a Socket.IO command: the member `key` of an object behind the data.
///
/// # Errors
/// [`Code::BadRequest`] if it is no key: a client that believes its command is done once must not be wrong.
pub(super) fn key_of(options: Option<&str>, limits: &Limits) -> Result<Option<String>, Refusal> {
    let key = options.map_or(Ok(None), |options| plain::key_behind(options, limits));
    let key = key.map_err(|bad| Refusal::new(Code::BadRequest, &bad.to_string()))?;
    Ok(key.map(|key| key.into_owned()))
}
