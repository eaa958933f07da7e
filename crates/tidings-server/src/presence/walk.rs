//! Who is in a room that keeps no roster: every shard is asked for its members. Why one walk is for all: decision 0080.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};

use tidings_core::presence::{BATCH_MS, PAGE, View};
use tidings_core::roster::{Counts, Page, Seen, Status, Wish};
use tidings_core::{Identity, Room, UserKey, lock};
use tokio::sync::{OnceCell, oneshot};

use crate::shard::inbox::Mail;
use crate::shared::Shared;

/// What is found in a room of so many connections is found for others as well: with each request it would be the more,
/// the more there are who ask.
const LARGE: usize = 1_000;

/// For so long, as others gather what changes in rooms with a roster.
const GOOD_MS: u64 = BATCH_MS;

/// What was found in large rooms just now, or is being looked for.
#[derive(Debug, Default)]
pub(crate) struct Walks(Mutex<HashMap<Room, Walk>>);

/// One walk, for all who asked since it began.
#[derive(Debug)]
struct Walk {
    begun_ms: u64,
    found: Arc<OnceCell<Arc<Found>>>,
}

impl Walks {
    /// What a walk finds that began just now, or begins with this.
    async fn one_for_all(&self, room: &Room, now_ms: u64, walk: impl Future<Output = Found>) -> Arc<Found> {
        let found = {
            let mut walks = lock(&self.0);
            forget_old(&mut walks, now_ms);
            let begin = || Walk { begun_ms: now_ms, found: Arc::default() };
            walks.entry(room.clone()).or_insert_with(begin).found.clone()
        };
        // Should the one who walks go away meanwhile, the next who waits does it.
        found.get_or_init(|| async { Arc::new(walk.await) }).await.clone()
    }

    /// Forgets what is good no more.
    pub(crate) fn sweep(&self, now_ms: u64) {
        forget_old(&mut lock(&self.0), now_ms);
    }
}

fn forget_old(walks: &mut HashMap<Room, Walk>, now_ms: u64) {
    walks.retain(|_, walk| now_ms.saturating_sub(walk.begun_ms) < GOOD_MS);
}

/// Who is in a room.
#[derive(Debug, Default)]
struct Found {
    /// By user.
    members: Vec<Member>,
    /// Without the invisible.
    counts: Counts,
}

#[derive(Debug)]
struct Member {
    user: UserKey,
    who: Arc<Identity>,
    devices: usize,
    seen_ms: u64,
    status: Status,
    invisible: bool,
}

impl Found {
    /// As `asker` may see it: itself even if it is invisible.
    fn view(&self, asker: Option<&UserKey>, page: usize) -> View {
        let is_asker = |member: &&Member| Some(&member.user) == asker;
        let own = self.members.iter().find(is_asker).filter(|own| own.invisible);
        let counts = Counts {
            connections: self.counts.connections + own.map_or(0, |own| own.devices),
            users: self.counts.users + usize::from(own.is_some()),
        };
        let shown = self.members.iter().filter(|member| !member.invisible || is_asker(member));
        let members = shown.skip(page.saturating_mul(PAGE)).take(PAGE).map(Member::seen).collect();
        let more = counts.users > page.saturating_add(1).saturating_mul(PAGE);
        View { counts, version: 0, page: Some(Page { members, more }) }
    }
}

impl Member {
    fn seen(&self) -> Seen {
        Seen {
            user: self.user.clone(),
            name: self.who.name.clone(),
            status: self.status,
            devices: self.devices,
            seen_ms: self.seen_ms,
            info: None,
        }
    }
}

/// Who is in a room that keeps no roster, for one who may see it.
pub(super) async fn view(shared: &Shared, asker: Option<&UserKey>, room: &Room, page: usize) -> View {
    // Of a small one who has just come finds itself there at once.
    if shared.node.members(room) < LARGE {
        return walk(shared, room).await.view(asker, page);
    }
    shared.walks.one_for_all(room, shared.uptime_ms(), walk(shared, room)).await.view(asker, page)
}

/// Asks every shard.
async fn walk(shared: &Shared, room: &Room) -> Found {
    let (mut connections, mut users) = (0, BTreeMap::new());
    for inbox in &shared.inboxes {
        let (reply, members) = oneshot::channel();
        inbox.push(Mail::Members(room.clone(), reply));
        for (who, since_ms) in members.await.unwrap_or_default() {
            connections += 1;
            if let Some(user) = who.user_key() {
                let (_, devices, seen_ms) = users.entry(user).or_insert((who, 0, 0));
                *devices += 1;
                // Nobody notes what is said in such a room: known is when they came.
                *seen_ms = since_ms.max(*seen_ms);
            }
        }
    }
    let (presence, now_ms) = (shared.node.presence(), shared.uptime_ms());
    let members = users.into_iter().map(|(user, (who, devices, seen_ms))| {
        let shown = presence.wishes(&user, now_ms).shown;
        let status = match shown {
            Some((Wish::Status(status), _)) => status,
            _ => Status::Online,
        };
        let invisible = matches!(shown, Some((Wish::Invisible, _)));
        Member { user, who, devices, seen_ms, status, invisible }
    });
    let members: Vec<Member> = members.collect();
    let hidden = || members.iter().filter(|member| member.invisible);
    let counts = Counts {
        connections: connections - hidden().map(|member| member.devices).sum::<usize>(),
        users: members.len() - hidden().count(),
    };
    Found { members, counts }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tidings_core::Org;

    use super::*;

    fn room(name: &str) -> Room {
        Room::new(&Org::default(), name, 200).unwrap()
    }

    #[tokio::test]
    async fn who_asks_for_a_large_room_within_a_moment_is_told_by_one_walk() {
        let (walks, walked) = (Walks::default(), AtomicUsize::new(0));
        let (walks, walked) = (&walks, &walked);
        let ask = |name: &'static str, now_ms| async move {
            let walk = async {
                walked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Found::default()
            };
            walks.one_for_all(&room(name), now_ms, walk).await;
        };
        tokio::join!(ask("lobby:1", 10_000), ask("lobby:1", 10_000), ask("lobby:1", 10_100));
        ask("lobby:1", 9_999 + GOOD_MS).await;
        assert_eq!(walked.load(Ordering::Relaxed), 1, "at once, and just now");
        ask("lobby:2", 10_100).await;
        assert_eq!(walked.load(Ordering::Relaxed), 2, "another room is another walk");
        ask("lobby:1", 10_000 + GOOD_MS).await;
        assert_eq!(walked.load(Ordering::Relaxed), 3, "what was found is good for a moment alone");
        walks.sweep(20_000);
        assert!(lock(&walks.0).is_empty(), "nothing of it stays");
    }

    #[tokio::test]
    async fn a_walk_that_is_given_up_is_done_by_the_next_who_waits() {
        let (walks, room) = (Walks::default(), room("lobby:1"));
        let given_up = walks.one_for_all(&room, 10_000, std::future::pending());
        let waits = walks.one_for_all(&room, 10_001, async { Found::default() });
        tokio::pin!(waits);
        {
            tokio::pin!(given_up);
            tokio::select! {
                biased;
                _ = &mut given_up => unreachable!("it never ends"),
                _ = &mut waits => unreachable!("somebody else walks"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(waits.await.members.is_empty());
    }

    #[test]
    fn the_invisible_see_themselves_and_nobody_else_does() {
        let member = |id: usize| Member {
            user: UserKey::new(&Org::default(), &format!("{id:04}")),
            who: Arc::new(Identity::anonymous()),
            devices: 2,
            seen_ms: 0,
            status: Status::Online,
            invisible: id == 0,
        };
        let members: Vec<Member> = (0..PAGE + 2).map(member).collect();
        let found = Found { members, counts: Counts { connections: 2 * PAGE + 2, users: PAGE + 1 } };
        let of = |asker: Option<&UserKey>, page: usize| {
            let view = found.view(asker, page);
            let listed = view.page.unwrap();
            (view.counts.connections, view.counts.users, listed.members.len(), listed.more)
        };
        let (hidden, seen) = (&found.members[0].user, &found.members[1].user);
        assert_eq!(of(Some(hidden), 0), (2 * PAGE + 4, PAGE + 2, PAGE, true));
        assert_eq!(of(Some(hidden), 1), (2 * PAGE + 4, PAGE + 2, 2, false));
        for asker in [Some(seen), None] {
            assert_eq!(of(asker, 0), (2 * PAGE + 2, PAGE + 1, PAGE, true));
            assert_eq!(of(asker, 1), (2 * PAGE + 2, PAGE + 1, 1, false));
        }
    }
}
