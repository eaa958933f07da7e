//! What the server does for apps.

use std::sync::{Arc, Weak};

use tidings_app::commit::{Emitted, Work};
use tidings_app::{Engine, Pending};
use tidings_core::{Code, Identity, Position, Publish, Refusal, Room, UserKey};
use tidings_store::Reader;

use crate::audit::{Action, Entry};
use crate::durable::Said;
use crate::presence;
use crate::shard::inbox::Mail;
use crate::shared::{Shared, wall_ms};

/// The server, as apps see it; once it is gone everything is unavailable.
pub(crate) struct Backing(pub(crate) Weak<Shared>);

impl Backing {
    fn shared(&self) -> Result<Arc<Shared>, Refusal> {
        self.0.upgrade().ok_or_else(|| Refusal::new(Code::Unavailable, "the server stops"))
    }
}

impl Engine for Backing {
    fn read(&self) -> Pending<'_, Result<Reader, Refusal>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let Some(records) = &shared.records else {
                return Err(Refusal::new(Code::Unavailable, "this server has no database"));
            };
            Ok(records.store.snapshot().await?)
        })
    }

    fn commit(&self, work: Work) -> Pending<'_, Result<(), Refusal>> {
        Box::pin(async move { self.shared()?.commit(work).await })
    }

    fn publish(&self, event: Emitted) -> Pending<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let shared = self.shared()?;
            let Emitted { room, event, payload, lane, slot, volatile } = event;
            let what =
                Publish { lane, slot: slot.as_deref(), volatile, ..Publish::new(room, &event, payload) };
            if !volatile && shared.node.is_durable(&what.room) {
                return shared.store_own(Said::of(&what)).await.map(drop);
            }
            shared.node.publish(what, None, wall_ms()).map(drop)
        })
    }

    fn top(&self, room: &Room) -> Option<Position> {
        self.0.upgrade()?.node.hub().find(room)?.top()
    }

    fn stands<'a>(&'a self, room: &'a Room) -> Pending<'a, Option<Position>> {
        Box::pin(async move { self.0.upgrade()?.stands_for_apps(room).await })
    }

    fn members(&self, room: &Room) -> usize {
        self.0.upgrade().map_or(0, |shared| shared.node.members(room))
    }

    fn is_invisible(&self, user: &UserKey) -> bool {
        self.0.upgrade().is_some_and(|shared| presence::is_invisible(&shared, user))
    }

    fn close(&self, room: &Room) {
        if let Some(shared) = self.0.upgrade() {
            shared.inboxes.iter().for_each(|inbox| inbox.push(Mail::Close(room.clone())));
        }
    }

    fn is_connected(&self, user: &UserKey) -> bool {
        self.0.upgrade().is_some_and(|shared| {
            let node = &shared.node;
            node.members(&user.room()) > 0 || node.presence().of_user(user, true).is_some()
        })
    }

    fn may_export<'a>(&'a self, who: &'a Identity) -> Pending<'a, Result<(), Refusal>> {
        Box::pin(async move {
            match &self.shared()?.accounts {
                Some(accounts) => accounts.proved_lately(who).await,
                None => Ok(()),
            }
        })
    }

    fn exported(&self, who: &Identity, what: String) {
        if let Some(shared) = self.0.upgrade() {
            shared.audit.note(Entry::ok(Action::Export).by_identity(who).on(what));
        }
    }

    fn now_ms(&self) -> u64 {
        wall_ms()
    }

    fn room_name_bytes(&self) -> usize {
        self.0.upgrade().map_or(0, |shared| shared.settings.limits.room_name_bytes)
    }
}
