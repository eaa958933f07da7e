//! Who is there, told: one task gathers what the shards have noted and publishes it.

mod json;
mod seen;
mod walk;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use tidings_core::presence::{Change, EVENT, News, RoomNews, Times, View};
use tidings_core::roster::Wishes;
use tidings_core::{Code, Identity, Lane, Payload, Publish, Refusal, Room, UserKey};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::records::Records;
use crate::shared::{Shared, wall_ms};

pub(crate) use json::{room_news, write_view};
pub(crate) use seen::{keep_seen, write_seen};
pub(crate) use walk::Walks;
pub(crate) use wishes::{seen_user, wanted, write_wishes};

/// A task that nobody wakes looks after so long all the same.
const LOOK: Duration = Duration::from_secs(60);

/// What a configuration says of presence; `apart`: clients are for a mounted handler alone.
pub(crate) fn times(config: &Config, apart: bool, stored: bool) -> Times {
    let presence = &config.presence;
    Times {
        grace_ms: presence.grace_ms,
        idle_ms: presence.idle_seconds.saturating_mul(1_000),
        announce_up_to: if apart { 0 } else { presence.announce_up_to },
        keeps_seen: stored && presence.last_seen_days > 0,
    }
}

/// Publishes who comes and goes, until the server stops.
pub(crate) async fn tell(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let alarm = Arc::new(Notify::new());
    let rings = alarm.clone();
    let presence = shared.node.presence();
    presence.on_alarm(move || rings.notify_one());
    loop {
        let wait = Duration::from_millis(presence.next_ms().saturating_sub(shared.uptime_ms())).min(LOOK);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = alarm.notified() => {}
            _ = stop.changed() => return,
        }
        for news in presence.look(shared.uptime_ms()) {
            tell_news(&shared, news);
        }
    }
}

fn tell_news(shared: &Arc<Shared>, news: News) {
    match news {
        News::Shown(user) => {
            let user_id = Some(user.id().into());
            tell_apps(shared, Identity { org: user.org().clone(), user: user_id, ..Identity::anonymous() });
        }
        News::Room(news) => tell_room(shared, news),
        News::Everybody { org: _, namespace, online, offline, hearers } => {
            let told = online.iter().map(|user| (user, "userOnline"));
            for (user, event) in told.chain(offline.iter().map(|user| (user, "userOffline"))) {
                let payload = Payload::json(json::user(user));
                shared.node.announce_user(user, (namespace, &hearers), event, payload, wall_ms());
                shared.presence_told.count_user();
            }
        }
    }
}

fn tell_room(shared: &Shared, news: RoomNews) {
    let publish = |news: &RoomNews| {
        let what = Publish {
            lane: Some(Lane::Low),
            volatile: true,
            ..Publish::new(news.room.clone(), EVENT, Payload::json(json::room_news(shared, news)))
        };
        shared.node.publish(what, None, wall_ms())
    };
    shared.presence_told.count_room();
    // Where the room takes so little that the changes do not fit, who keeps a list reads it again.
    if publish(&news).is_err() {
        let counts = RoomNews { changes: None, reread: true, ..news };
        if let Err(refusal) = publish(&counts) {
            tracing::debug!(%refusal, room = counts.room.name(), "presence could not be told");
        }
    }
}

/// Who is in a room, for one who may see it: by its roster, else by a walk over all members.
pub(crate) async fn view(shared: &Shared, who: &Identity, room: &Room, page: usize) -> View {
    let asker = who.user_key();
    match shared.node.presence().view(room, asker.as_ref(), page) {
        Some(view) => view,
        None => walk::view(shared, asker.as_ref(), room, page).await,
    }
}

/// Whether a user wishes to be seen by nobody but itself.
pub(crate) fn is_invisible(shared: &Shared, user: &UserKey) -> bool {
    shared.node.presence().wishes(user, shared.uptime_ms()).is_invisible()
}

/// How many connections are in a room, as one sees it: servers and keys all of them, others those that presence shows.
pub(crate) async fn connections(shared: &Shared, who: &Identity, room: &Room) -> usize {
    if who.is_server() || who.is_key {
        return shared.node.members(room);
    }
    view(shared, who, room, 0).await.counts.connections
}

/// A user sets something for itself; apps are told if others see it otherwise than before.
///
/// # Errors
/// As [`tidings_core::presence::Presence::set`].
pub(crate) fn set(
    shared: &Arc<Shared>,
    (who, user): (&Identity, &UserKey),
    change: Change,
    now_ms: u64,
) -> Result<Wishes, Refusal> {
    let before = is_invisible(shared, user);
    let wishes = shared.node.presence().set(user, change, now_ms)?;
    if before != wishes.is_invisible() {
        tell_apps(shared, who.clone());
    }
    Ok(wishes)
}

/// Tells apps that others see a user otherwise than before.
fn tell_apps(shared: &Arc<Shared>, who: Identity) {
    if !shared.apps.is_empty() {
        let (shared, caller) = (shared.clone(), tidings_app::Caller::new(Arc::new(who)));
        shared.front.clone().spawn(async move { shared.apps.shown(caller).await });
    }
}

/// Whether a user is there, and when it last was as far as that is known; the store knows it of those
/// who are gone.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn of_user(shared: &Shared, user: &UserKey, own: bool) -> Result<Vec<u8>, Refusal> {
    let seen = shared.node.presence().of_user(user, own);
    let stored = match &shared.records {
        Some(records) if seen.is_none() => stored(records, user).await?,
        _ => None,
    };
    Ok(json::of_user(shared, user, seen.as_ref(), stored))
}

async fn stored(records: &Records, user: &UserKey) -> Result<Option<u64>, Refusal> {
    let read = async { records.store.read().await?.last_seen(user.org(), user.id()).await };
    read.await.map_err(|error| {
        tracing::warn!(%error, "when a user was last there cannot be read");
        Refusal::new(Code::Unavailable, "the store does not answer")
    })
}

/// The answer of the command `presence`.
pub(crate) async fn answer(shared: &Shared, who: &Identity, room: &Room, page: usize) -> Vec<u8> {
    let view = view(shared, who, room, page).await;
    json::answer(shared, room, &view)
}

/// What was told, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Told {
    rooms: std::sync::atomic::AtomicU64,
    users: std::sync::atomic::AtomicU64,
    /// Last times that were not stored.
    pub(crate) unseen: std::sync::atomic::AtomicU64,
}

impl Told {
    fn count_room(&self) {
        self.rooms.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn count_user(&self) {
        self.users.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Events to rooms, and to everybody.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let read = |count: &std::sync::atomic::AtomicU64| count.load(std::sync::atomic::Ordering::Relaxed);
        (read(&self.rooms), read(&self.users))
    }
}
