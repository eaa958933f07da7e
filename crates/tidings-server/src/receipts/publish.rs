//! Publishing with a receipt, from the front.

use std::sync::OnceLock;

use tidings_core::{Asker, Denied, Publish, Published, Refusal};

use super::{Asked, Terms, Tracking};
use crate::client::Teller;
use crate::durable::Said;
use crate::hooks::{Caller, Draft};
use crate::shared::{Shared, wall_ms};

impl Shared {
    /// Publishes an event whose recipients are asked to acknowledge it; its time runs once what is answered
    /// here is handed to [`super::Receipts::follow`].
    ///
    /// # Errors
    /// The room's rules, what [`super::Receipts::begin`] refuses, and what cannot be stored.
    pub(crate) async fn publish_tracked(
        &self,
        caller: &Caller<'_>,
        draft: Draft<'_>,
        what: &Publish<'_>,
        terms: Terms,
        teller: Option<Teller>,
    ) -> Result<(Published, Option<Tracking>), Refusal> {
        let begun = OnceLock::new();
        let teller = std::sync::Mutex::new(teller);
        // Whoever may not publish learns nothing of how many there are.
        let begin = || {
            let asked = Asked {
                room: &what.room,
                key: what.key,
                bytes: what.payload.bytes(),
                terms,
                teller: tidings_core::lock(&teller).take(),
                tells_users: caller.who.is_server(),
                redriven: false,
            };
            self.receipts.begin(asked)
        };
        let attempt = |asker: Asker<'_>| {
            self.node.may_publish(asker, &what.room, what.event)?;
            let ack = begun.get_or_init(begin).clone()?;
            match self.node.publish_as(asker, Publish { ack: Some(ack), ..what.clone() }, None, wall_ms()) {
                Err(Denied::Log) => Ok(None),
                done => done.map(Some),
            }
        };
        self.may_make(caller.who, &what.room, caller.address)?;
        let settled = self.settle(caller, &what.room, draft, attempt).await;
        let ack = begun.get().and_then(|begun| begun.as_ref().ok()).copied();
        let said = || Said::of(&Publish { ack, ..what.clone() });
        let published = match settled {
            Ok(Some(published)) => Ok(published),
            Ok(None) => match self.log(said()) {
                Ok(stored) => stored.done().await,
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        let Some(ack) = ack else { return published.map(|published| (published, None)) };
        match published {
            Ok(published) => Ok((published, self.receipts.tracking(ack, what, &published))),
            Err(refusal) => {
                self.receipts.cancel(ack);
                Err(refusal)
            }
        }
    }
}
