//! Acknowledgements that this shard's clients owe for tracked messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use tidings_core::frame::Form;
use tidings_core::shard::Reached;
use tidings_core::{ConnKey, MessageId, Publication};
use tidings_wire::json;
use tidings_wire::socketio::inline_attachments;

use super::ShardLoop;
use crate::client::Waiting;
use crate::receipts::{Recipient, Spot, State};

/// What clients owe; a connection owes at most `limits.outstanding_acks`.
#[derive(Default)]
pub(super) struct Owing {
    by_conn: HashMap<ConnKey, Vec<Owed>>,
    by_ack: HashMap<u64, Vec<(ConnKey, u8)>>,
    /// Messages that may not have been handed to their sockets yet.
    unsent: Vec<(u64, ConnKey, u8)>,
    /// When these were looked at last.
    looked_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Owed {
    ack: u64,
    id: MessageId,
    namespace: u8,
}

impl Owing {
    fn count(&self, key: ConnKey) -> usize {
        self.by_conn.get(&key).map_or(0, Vec::len)
    }

    fn has(&self, ack: u64, at: (ConnKey, u8)) -> bool {
        self.by_ack.get(&ack).is_some_and(|who| who.contains(&at))
    }

    fn add(&mut self, key: ConnKey, owed: Owed) {
        self.by_conn.entry(key).or_default().push(owed);
        self.by_ack.entry(owed.ack).or_default().push((key, owed.namespace));
        self.unsent.push((owed.ack, key, owed.namespace));
    }

    /// Whether the client owed that; it does not any more.
    fn take(&mut self, key: ConnKey, namespace: u8, is: impl Fn(&Owed) -> bool) -> Option<u64> {
        let of_conn = self.by_conn.get_mut(&key)?;
        let at = of_conn.iter().position(|owed| owed.namespace == namespace && is(owed))?;
        let owed = of_conn.swap_remove(at);
        if of_conn.is_empty() {
            self.by_conn.remove(&key);
        }
        if let Some(who) = self.by_ack.get_mut(&owed.ack) {
            who.retain(|at| *at != (key, namespace));
        }
        Some(owed.ack)
    }
}

impl ShardLoop {
    /// Notes to whom tracked messages went since the last time.
    pub(super) fn note_reached(&mut self) {
        for Reached { publication, recipients } in self.shard.take_reached() {
            let Some(ack) = publication.ack else { continue };
            self.owe(ack, publication.id, recipients);
        }
    }

    /// Has recipients owe an acknowledgement, as far as each may owe more.
    fn owe(&mut self, ack: u64, id: MessageId, recipients: Vec<(ConnKey, Form)>) {
        let most = self.settings.limits.outstanding_acks as usize;
        let mut found = Vec::with_capacity(recipients.len());
        for (key, Form { namespace, .. }) in recipients {
            let Some(seat) = self.links.get(key).and_then(|link| link.seat(namespace)) else { continue };
            let others = seat.waiting.as_deref().map_or(0, Waiting::len);
            let busy = self.owing.count(key) + others >= most;
            let recipient = Recipient::new(seat.who.user.clone(), busy);
            if !busy {
                self.owing.add(key, Owed { ack, id, namespace });
            }
            found.push((self.spot(key, namespace), recipient));
        }
        self.shared.receipts.reached(ack, found);
    }

    /// Sends a message once more: to those who owe it, or to every connection of the user it is for.
    pub(super) fn send_again(&mut self, publication: &Arc<Publication>, to_user: bool) {
        let Some(ack) = publication.ack else { return };
        let members: Vec<_> = self.shard.members(&publication.room).collect();
        if to_user {
            let is_new = |(key, form): &&(ConnKey, Form)| !self.owing.has(ack, (*key, form.namespace));
            let new = members.iter().filter(is_new).copied().collect();
            self.owe(ack, publication.id, new);
        }
        let gone = self.take_gone(ack, &members);
        self.shared.receipts.advance(&gone, State::Gone);
        let owes = |(key, form): &(ConnKey, Form)| self.owing.has(ack, (*key, form.namespace));
        let to: Vec<_> = members.into_iter().filter(owes).collect();
        self.owing.unsent.extend(to.iter().map(|(key, form)| (ack, *key, form.namespace)));
        self.shard.send_again(to, publication);
    }

    /// Who owes a message and has left its room meanwhile.
    fn take_gone(&mut self, ack: u64, members: &[(ConnKey, Form)]) -> Vec<(u64, Spot)> {
        let owing = self.owing.by_ack.get(&ack).cloned().unwrap_or_default();
        let there: HashSet<_> = members.iter().map(|(key, form)| (*key, form.namespace)).collect();
        let left = owing.into_iter().filter(|at| !there.contains(at));
        let gone = left.map(|(key, namespace)| {
            self.owing.take(key, namespace, |owed| owed.ack == ack);
            (ack, self.spot(key, namespace))
        });
        gone.collect()
    }

    /// Tells which tracked messages were handed to their sockets.
    pub(super) fn note_sent(&mut self) {
        if self.owing.unsent.is_empty() || self.owing.looked_ms == self.now_ms {
            return;
        }
        self.owing.looked_ms = self.now_ms;
        let mut sent = Vec::new();
        for (ack, key, namespace) in std::mem::take(&mut self.owing.unsent) {
            if !self.owing.has(ack, (key, namespace)) {
                continue;
            }
            if self.shard.waiting(key.slot) == 0 {
                sent.push((ack, self.spot(key, namespace)));
            } else {
                self.owing.unsent.push((ack, key, namespace));
            }
        }
        if !sent.is_empty() {
            self.shared.receipts.advance(&sent, State::Sent);
        }
    }

    /// A Socket.IO client answers an event by the id it was sent with; whether it owed that.
    pub(super) fn acknowledged(
        &mut self,
        key: ConnKey,
        namespace: u8,
        ack: u64,
        (data, attachments): (&str, &[Bytes]),
    ) -> bool {
        let Some(ack) = self.owing.take(key, namespace, |owed| owed.ack == ack) else { return false };
        let inlined = (!attachments.is_empty()).then(|| inline_attachments(data, attachments));
        let answer = json::elements(inlined.as_deref().unwrap_or(data)).next();
        self.shared.receipts.acknowledge(ack, self.spot(key, namespace), answer);
        true
    }

    /// A plain client acknowledges a message by its id.
    pub(super) fn acknowledged_by_id(&mut self, key: ConnKey, id: &str) {
        let Some(id) = MessageId::parse(id) else { return };
        if let Some(ack) = self.owing.take(key, 0, |owed| owed.id == id) {
            self.shared.receipts.acknowledge(ack, self.spot(key, 0), None);
        }
    }

    /// A client is gone, or has left a namespace: it acknowledges nothing any more.
    pub(super) fn owes_nothing(&mut self, key: ConnKey, namespace: u8) {
        if self.owing.by_conn.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        while let Some(ack) = self.owing.take(key, namespace, |_| true) {
            gone.push((ack, self.spot(key, namespace)));
        }
        if !gone.is_empty() {
            self.shared.receipts.advance(&gone, State::Gone);
        }
    }

    /// Nobody waits for a message any more.
    pub(super) fn settled(&mut self, ack: u64) {
        for (key, namespace) in self.owing.by_ack.remove(&ack).unwrap_or_default() {
            self.owing.take(key, namespace, |owed| owed.ack == ack);
        }
    }

    fn spot(&self, key: ConnKey, namespace: u8) -> Spot {
        Spot { shard: self.shard.index(), key, namespace }
    }
}
