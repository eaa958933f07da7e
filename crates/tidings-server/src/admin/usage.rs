//! How much the server is used, and by whom, as it is answered.

use serde_json::{Value, json};
use tidings_core::hub::Entry;
use tidings_core::{Refusal, UserKey};

use super::ask;
use super::sight::Sight;
use crate::shard::busy::{Busy, OfUser, USERS_MOST};
use crate::shard::walk::Walk;
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Rooms and users that are told, the busiest first.
const MOST: usize = 20;

/// Milliseconds over which the events of rooms are counted, as far as they are remembered.
const ROOMS_MS: u64 = 3_600_000;

/// What is told to somebody who sees so much; `figures`: those of the whole server, too.
///
/// # Errors
/// `unavailable` if too many lists are being made, or a shard has too much to do.
pub(crate) async fn answer(shared: &Shared, sight: &Sight, figures: bool) -> Result<Value, Refusal> {
    let _leave = shared.admin.may_walk()?;
    let walk = |reply| {
        let found = Busy { sight: sight.clone(), users: Default::default(), left_out: 0, reply };
        Box::new(found) as Box<dyn Walk>
    };
    let mut users = std::collections::HashMap::<UserKey, OfUser>::new();
    let mut left_out = 0;
    for (found, others) in ask::everywhere(shared, walk).await? {
        found.into_iter().for_each(|(user, row)| users.entry(user).or_default().add(&row));
        left_out += others;
    }
    Ok(json!({
        "ok": true,
        "scope": if figures { "server" } else { "organisation" },
        "at": iso8601(wall_ms()),
        "history": figures.then(|| shared.admin.pulse.usage()),
        "rooms": rooms(shared, sight),
        "users": {
            "connected": users.len(),
            "countedAtMost": USERS_MOST,
            "connectionsLeftOut": left_out,
            "byConnections": top(&users, |row| u64::from(row.connections)),
            "byEvents": top(&users, |row| row.said),
        },
    }))
}

/// The rooms with the most events; `null` where nothing is remembered.
fn rooms(shared: &Shared, sight: &Sight) -> Value {
    let Some(recorder) = shared.node.recorder() else { return Value::Null };
    // Nothing was said here before the server began.
    let since_ms = wall_ms().saturating_sub(ROOMS_MS.min(shared.uptime_ms()));
    // What was said to everybody is noted in a room without a name.
    let wanted = |room: &tidings_core::Room| !room.name().is_empty() && sight.sees(room.org());
    let (rooms, since_ms) = recorder.busiest(since_ms, MOST, wanted);
    let row = |(room, events): &(tidings_core::Room, u64)| {
        let members = shared.node.hub().find(room).map_or(0, |entry: std::sync::Arc<Entry>| entry.members());
        json!({
            "room": room.name(),
            "org": room.org().as_str(),
            "kind": room.kind(),
            "events": events,
            "members": members,
        })
    };
    json!({ "since": iso8601(since_ms), "rows": rooms.iter().map(row).collect::<Vec<_>>() })
}

fn top(users: &std::collections::HashMap<UserKey, OfUser>, by: impl Fn(&OfUser) -> u64) -> Vec<Value> {
    let mut rows: Vec<_> = users.iter().filter(|(_, row)| by(row) > 0).collect();
    let name = |user: &UserKey| (user.org().as_str().to_owned(), user.id().to_owned());
    rows.sort_unstable_by(|one, other| {
        by(other.1).cmp(&by(one.1)).then_with(|| name(one.0).cmp(&name(other.0)))
    });
    let shown = |(user, row): &(&UserKey, &OfUser)| {
        json!({
            "userId": user.id(),
            "name": row.name.as_deref(),
            "org": user.org().as_str(),
            "connections": row.connections,
            "said": row.said,
        })
    };
    rows.iter().take(MOST).map(shown).collect()
}
