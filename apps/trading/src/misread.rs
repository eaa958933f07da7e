//! Orders and cancellations that cannot be read: what a member is told of them beside what is wrong.

use std::sync::Arc;

use serde_json::Value;
use tidings_app::{Lane, Refusal, Stage, Text};

use crate::refused::{ORDERS_REMAINING, Reason, Refused};
use crate::rooms::{Key, Rooms};
use crate::telling::{self, place};

/// A text of what was said, if it is there and fits.
pub(crate) fn text<const MOST: usize>(said: &Value, name: &str) -> Option<String> {
    let text = said.get(name)?.as_str()?;
    Text::<1, MOST>::new(text).ok().map(Text::into_string)
}

/// The refusal of what cannot be read, with how many more orders the room takes where a member asks; of an order that has an id of
/// its own its member hears that it failed.
pub(crate) async fn told(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    (key, user): (&Key, &str),
    placed: Option<String>,
    refusal: Refusal,
) -> Refusal {
    let Ok(Some((left, is_new))) = known(rooms, stage, (key, user), placed.as_deref()).await else {
        return refusal;
    };
    if let Some(client_order_id) = placed.filter(|_| is_new) {
        let refused = Refused::new(Reason::BadOrder, refusal.message.as_str());
        let (key, user) = (key.clone(), user.to_owned());
        let telling = stage.commit(move |tx| {
            Box::pin(async move {
                let event = telling::failed(&key.1, &client_order_id, &refused);
                tx.emit_in(&place(&key.0, &key.1, Some(&user))?, &event, Some(Lane::Critical))
            })
        });
        if let Err(refusal) = telling.await {
            tracing::debug!(%refusal, "who said it is answered; who else listens does not hear of it");
        }
    }
    Refusal { left: Some((ORDERS_REMAINING, left)), ..refusal }
}

/// How many more orders a room takes of a member, and whether there is none of this id.
async fn known(
    rooms: &Arc<Rooms>,
    stage: &Stage,
    (key, user): (&Key, &str),
    placed: Option<&str>,
) -> Result<Option<(u32, bool)>, Refusal> {
    let (mut reader, now_ms) = (stage.read().await?, stage.now_ms());
    let looked = rooms.look(&mut reader, key, |row, room| {
        let account = room.member(user).ok()?;
        let is_new = placed.is_some_and(|id| !account.clients.contains_key(id));
        Some((room.budget(user, row.time(now_ms)), is_new))
    });
    looked.await
}
