//! Publishes to durable rooms that were said one after the other.

use std::sync::Arc;

use tidings_core::{Refusal, Room};

use super::{Answer, By, Place, at_once, send};
use crate::asking::Publishing;
use crate::durable::Said;
use crate::hooks::Draft;
use crate::receipts::{Terms, Tracking, write_terms};
use crate::shard::inbox::Mail;
use crate::shard::{write_published, write_remaining};
use crate::shared::Shared;

/// Such publishes, all in line, so that they are stored together, and answered in their order.
#[derive(Default)]
pub(super) struct Row(Vec<Begun>);

struct Begun {
    by: By,
    room: Room,
    remaining: Option<u64>,
    terms: Option<Terms>,
    publishing: Result<Publishing, Refusal>,
    tracking: Option<Tracking>,
}

impl Row {
    /// Puts one in line; one that wants a receipt is stored as well.
    pub(super) async fn begin(
        &mut self,
        shared: &Shared,
        place: Place,
        by: By,
        said: &Said,
        (remaining, terms): (Option<u64>, Option<Terms>),
    ) {
        let data = String::from_utf8_lossy(&said.payload.json);
        let draft = Draft { event: &said.event, data: &data };
        let (caller, what) = (place.caller(&by.who), said.what());
        let (publishing, tracking) = match terms {
            None => (shared.begin_publish(&caller, draft, &what).await, None),
            Some(terms) => {
                let teller = Some(place.teller(shared, &by));
                match shared.publish_tracked(&caller, draft, &what, terms, teller).await {
                    Ok((published, tracking)) => (Ok(Publishing::Done(published)), tracking),
                    Err(refusal) => (Err(refusal), None),
                }
            }
        };
        self.0.push(Begun { by, room: said.room.clone(), remaining, terms, publishing, tracking });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last answers of a batch if they are known; else has the shard told as soon as they are, behind those
    /// that are there already.
    pub(super) async fn finish_later(
        self,
        shared: &Arc<Shared>,
        place: Place,
        mut answers: Vec<Answer>,
    ) -> Option<Vec<Answer>> {
        if self.is_empty() {
            return Some(answers);
        }
        let mut row = Box::pin(self.answers());
        if let Some(known) = at_once(row.as_mut()).await {
            answers.extend(known);
            return Some(answers);
        }
        send(shared, place, &mut answers);
        let shared = shared.clone();
        tokio::spawn(async move {
            let answers = row.await;
            shared.inboxes[place.shard].push(Mail::Stored(place.key, place.number, answers));
        });
        None
    }

    /// Waits for all of them.
    pub(super) async fn answers(self) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(self.0.len());
        for Begun { by, room, remaining, terms, publishing, tracking } in self.0 {
            let done = match publishing {
                Ok(publishing) => publishing.done().await,
                Err(refusal) => Err(refusal),
            };
            let body = done.map(|published| {
                let mut body = b"{\"ok\":true".to_vec();
                write_published(&mut body, room.name(), &published);
                write_terms(&mut body, terms.filter(|_| tracking.is_some()));
                write_remaining(&mut body, remaining);
                body.push(b'}');
                body
            });
            answers.push(Answer { by, command: "publish", body, tracking });
        }
        answers
    }
}
