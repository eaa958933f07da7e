//! Publishing with a receipt, from a socket.

use bytes::Bytes;
use tidings_core::{Denied, Payload, Publish, Refusal};
use tidings_wire::plain::{PublishBody, ReceiptWish};

use tidings_core::ConnKey;

use super::ShardLoop;
use super::command::{AckTo, Halt};
use super::lane::Job;
use super::{write_published, write_remaining};
use crate::asking::{Need, Open};
use crate::client::Teller;
use crate::receipts::{Asked, Terms, write_terms};
use crate::shared::wall_ms;

impl ShardLoop {
    /// Publishes an event whose recipients are asked to acknowledge it.
    ///
    /// As with any other event what can be published here is, so that the order in which a client publishes is
    /// kept; what has to be stored goes through its lane.
    pub(super) fn publish_tracked(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        body: &PublishBody<'_>,
        attachments: &[Bytes],
        wish: ReceiptWish,
    ) -> Result<(), Halt> {
        let terms = Terms::of(wish, body.volatile)?;
        let (who, room) = self.who_and_room(key, ack, &body.room)?;
        let answered = self.answered_for(key);
        let remaining = self.take_publish(key, ack, &who, Some(&room), self.is_counted(key))?;
        if !self.is_counted(key) {
            self.may_make(key, &who, &room)?;
        }
        let (node, receipts) = (self.node.clone(), self.shared.receipts.clone());
        let asker = self.asker(key, &who, &answered);
        let durable = node.is_durable(&room);
        match node.may_publish(asker, &room, &body.event) {
            Ok(()) if !durable => {}
            Ok(()) | Err(Denied::Ask(_)) if durable => {
                let said = Box::new(self.said(key, room, body, attachments));
                let by = self.by(key, ack)?;
                self.queue(key, Job::Publish { by, said, remaining, terms: Some(terms) });
                return Ok(());
            }
            Err(Denied::Ask(action)) => {
                let (event, data) = (body.event.to_string(), body.data.to_string());
                return Err(Halt::Ask(Open {
                    room,
                    need: Need::Answer(action),
                    event,
                    data,
                    answered,
                    snapshot: None,
                }));
            }
            Ok(()) => {}
            Err(denied) => return Err(Refusal::from(denied).into()),
        }
        let teller = self.publisher(key, ack);
        let (tells_users, publisher_key) = (who.is_server(), body.key.as_deref());
        let payload =
            Payload { json: Bytes::copy_from_slice(body.data.as_bytes()), attachments: attachments.into() };
        let bytes = payload.bytes();
        let begun =
            Asked { room: &room, key: publisher_key, bytes, terms, teller, tells_users, redriven: false };
        let tracking = receipts.begin(begun)?;
        let what = Publish {
            room: room.clone(),
            event: &body.event,
            payload,
            lane: body.lane,
            volatile: false,
            key: publisher_key,
            batch: None,
            skip: body.except_self.then_some((self.shard.index(), key)),
            slot: body.slot.as_deref(),
            ack: Some(tracking),
        };
        let published = node.publish_as(asker, what.clone(), Some(&mut self.shard), wall_ms());
        let published = published.inspect_err(|_| receipts.cancel(tracking)).map_err(Refusal::from)?;
        self.note_reached();
        receipts.published(tracking, &what, &published);
        self.answer(key, ack, |out| {
            write_published(out, &body.room, &published);
            write_terms(out, (!published.duplicate).then_some(terms));
            write_remaining(out, remaining);
        });
        Ok(())
    }

    /// How the publisher is told what became of its message.
    fn publisher(&mut self, key: ConnKey, ack: AckTo) -> Option<Teller> {
        let sid = self.links.get(key)?.seat(ack.namespace())?.sid;
        Some(Teller { inbox: self.inbox.clone(), key, ack, sid })
    }
}
