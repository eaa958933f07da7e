//! Commands that wait for the team's backend, and what their client said behind them.
//!
//! They are kept as they were said. Once the backend has answered, the same command runs again with
//! the answer beside it; so there is one way to carry a command out, asked about or not.

use std::sync::Arc;

use bytes::Bytes;
use tidings_core::{Answered, Asker, ConnKey, Identity, Refusal};
use tidings_wire::socketio;

use super::ShardLoop;
use super::command::AckTo;
use super::lane::{Job, Lane};
use super::persistent::Restore;
use crate::asking::{Need, Open};
use crate::comeback::Storing;
use crate::ids::SocketId;

/// A command whose client waits for the backend.
pub(crate) struct Asking {
    pub(crate) kept: Kept,
    pub(crate) who: Arc<Identity>,
    /// What is asked; `None`: whether the client may come in.
    pub(crate) open: Option<Open>,
    /// What tells that the session is stored as it is to be.
    pub(crate) stored: Option<Storing>,
}

/// A command as its client said it, to be carried out later.
pub(crate) enum Kept {
    /// An event of a Socket.IO client, and the seat it said it from.
    SocketIo { sid: SocketId, namespace: u8, id: Option<u64>, data: String, attachments: Vec<Bytes> },
    /// A message of a plain client.
    Plain { id: Option<u64>, text: String },
    /// A subscription that is taken up again.
    Restore(Box<Restore>),
    /// A plain client's sign-in, its token verified.
    SignIn,
}

/// A command that is being carried out after it waited.
pub(super) struct CarriedOut {
    /// Whose it is.
    key: ConnKey,
    /// What was answered for it.
    answered: Vec<Answered>,
    /// It was carried out before, up to what it had to wait for.
    again: bool,
}

impl Kept {
    pub(super) fn ack(&self) -> AckTo {
        match self {
            Self::SocketIo { namespace, id, .. } => AckTo::SocketIo { namespace: *namespace, id: *id },
            Self::Plain { id, .. } => AckTo::Plain { id: *id },
            Self::Restore(restore) => restore.ack,
            Self::SignIn => AckTo::Plain { id: None },
        }
    }

    /// The command's name, for a refusal that nobody asked to be acknowledged.
    pub(super) fn name(&self) -> String {
        match self {
            Self::SocketIo { data, .. } => {
                socketio::event(data).map(|event| event.name.to_string()).unwrap_or_default()
            }
            Self::Plain { .. } => String::new(),
            Self::Restore(_) => "subscribe".into(),
            Self::SignIn => "auth".into(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::SocketIo { data, attachments, .. } => {
                data.len() + attachments.iter().map(Bytes::len).sum::<usize>()
            }
            Self::Plain { text, .. } => text.len(),
            Self::Restore(restore) => restore.bytes(),
            Self::SignIn => 0,
        }
    }
}

impl ShardLoop {
    /// Whether what a connection says now has to wait for what it said before.
    pub(super) fn must_wait(&mut self, key: ConnKey) -> bool {
        let waits_for_none =
            self.shared.hooks.is_none() && self.shared.log.is_none() && self.shared.apps.is_empty();
        if waits_for_none || self.is_carried_out(key) {
            return false;
        }
        let lane = self.links.get(key).and_then(|link| link.lane.as_deref());
        lane.is_some_and(Lane::keeps)
    }

    /// Asks the backend about a command.
    pub(super) fn ask_about(&mut self, key: ConnKey, kept: Kept, open: Open) {
        let seat = self.links.get(key).and_then(|link| link.seat(kept.ack().namespace()));
        let Some(who) = seat.map(|seat| seat.who.clone()) else { return };
        let stored = match self.store_for(key, kept.ack().namespace(), &open) {
            Ok(stored) => stored,
            Err(_) if open.need == Need::StoredWithout => {
                self.rooms_changed(key, kept.ack().namespace());
                None
            }
            Err(refusal) => return self.answer_refused(key, kept.ack(), &kept.name(), &refusal),
        };
        self.queue(key, Job::Ask(Box::new(Asking { kept, who, open: Some(open), stored })));
    }

    /// The backend has answered, or has not: the command is carried out, or refused.
    pub(super) fn asked(
        &mut self,
        (key, batch): (ConnKey, u64),
        asking: Asking,
        answer: Result<Option<Answered>, Refusal>,
    ) {
        let Some(link) = self.links.get(key) else { return };
        if let Some(lane) = link.lane.as_deref_mut() {
            lane.came_back(batch, &asking.kept);
        }
        let Asking { kept, who, open, .. } = asking;
        match (kept, answer) {
            (Kept::SignIn, answer) => self.plain_judged(key, who, answer.err()),
            (kept, Ok(answered)) => {
                if self.still_sits(key, &kept) {
                    self.now_stored(key, kept.ack().namespace(), open.as_ref());
                }
                let (mut known, mut snapshot) = (Vec::new(), None);
                if let Some(open) = open {
                    if open.need == Need::Keep {
                        self.kept_begin(key, open.room);
                    }
                    (known, snapshot) = (open.answered, open.snapshot);
                }
                known.extend(answered);
                self.snapshot = snapshot;
                self.carry_out(key, kept, Some(known));
                self.snapshot = None;
            }
            (kept, Err(_)) if !self.still_sits(key, &kept) => {}
            (kept, Err(refusal)) => {
                self.not_stored(key, kept.ack().namespace(), open.as_ref());
                self.answer_refused(key, kept.ack(), &kept.name(), &refusal);
            }
        }
        self.laned.push(key);
    }

    /// Carries out a command that has waited: for others, or for what was answered for it.
    ///
    /// Somebody else may sit in the namespace by now: what its predecessor said is not done.
    pub(super) fn carry_out(&mut self, key: ConnKey, kept: Kept, answered: Option<Vec<Answered>>) {
        if !self.still_sits(key, &kept) {
            return;
        }
        // It was counted when it was said.
        self.over = None;
        let again = answered.is_some();
        self.carried = Some(CarriedOut { key, answered: answered.unwrap_or_default(), again });
        match kept {
            Kept::SocketIo { namespace, id, data, attachments, .. } => {
                if let Some(event) = socketio::event(&data) {
                    self.event(key, namespace, id, (&data, event), attachments);
                }
            }
            Kept::Plain { text, .. } => self.plain_said(key, &text),
            Kept::Restore(restore) => self.restore_one(key, *restore),
            Kept::SignIn => {}
        }
        self.carried = None;
    }

    fn still_sits(&mut self, key: ConnKey, kept: &Kept) -> bool {
        match kept {
            Kept::SocketIo { sid, namespace, .. } => self.sits(key, *namespace, sid),
            Kept::Restore(restore) => self.sits(key, restore.ack.namespace(), &restore.sid),
            Kept::Plain { .. } | Kept::SignIn => true,
        }
    }

    /// Whether the seat in a namespace is still this one.
    pub(super) fn sits(&mut self, key: ConnKey, namespace: u8, sid: &SocketId) -> bool {
        self.links.get(key).and_then(|link| link.seat(namespace)).is_some_and(|seat| seat.sid == *sid)
    }

    /// What was answered for the command that is being carried out.
    pub(super) fn answered_for(&self, key: ConnKey) -> Vec<Answered> {
        let carried = self.carried.as_ref().filter(|carried| carried.key == key);
        carried.map(|carried| carried.answered.clone()).unwrap_or_default()
    }

    /// Whether a command of this connection is being carried out that has waited.
    pub(super) fn is_carried_out(&self, key: ConnKey) -> bool {
        self.carried.as_ref().is_some_and(|carried| carried.key == key)
    }

    /// Whether that was carried out before, so that what it takes of its limits was taken.
    pub(super) fn is_counted(&self, key: ConnKey) -> bool {
        self.carried.as_ref().is_some_and(|carried| carried.key == key && carried.again)
    }

    /// A client as the core judges it.
    pub(super) fn asker<'a>(&self, key: ConnKey, who: &'a Identity, answered: &'a [Answered]) -> Asker<'a> {
        Asker { who, connection: Some((self.shard.index(), key)), answered, now_ms: Some(self.now_ms) }
    }
}
