//! The task that looks while somebody has the Admin UI open, and tells what has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tidings_core::{Org, Refusal};
use tokio::time::{MissedTickBehavior, interval};

use super::super::sight::{Sight, sees_figures};
use super::super::{ask, lists};
use super::look::{Events, Seen, Shown};
use super::{LastSeen, Watcher};
use crate::server::node_name;
use crate::shard::census::Census;
use crate::shard::listed::SocketsWanted;
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Every second look brings figures, as the page expects them.
const STATS_EVERY: u64 = 2;

/// Clients that are shown, of each organisation; of more the rest is left out.
const SOCKETS: usize = 1_000;

/// Rooms of each client that are shown.
const ROOMS: usize = 100;

/// Events that one look tells; where more has changed all is told anew.
const EVENTS: usize = 500;

/// Begins to look, unless a task does already.
pub(super) fn begin(shared: &Arc<Shared>) {
    let ui = &shared.admin.ui;
    if !ui.watching.swap(true, Ordering::SeqCst) {
        shared.front.spawn(watch(shared.clone()));
    }
}

async fn watch(shared: Arc<Shared>) {
    let ui = &shared.admin.ui;
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut last) = (0, LastSeen::new());
    loop {
        every.tick().await;
        let watchers = ui.watchers();
        if watchers.is_empty() {
            ui.watching.store(false, Ordering::SeqCst);
            // One may have come between the look at the list and the word that nobody looks.
            if ui.watchers().is_empty() || ui.watching.swap(true, Ordering::SeqCst) {
                return;
            }
            continue;
        }
        if ui.shows_clients() {
            last = tell_clients(&shared, &watchers, last).await;
        }
        if looks % STATS_EVERY == 0 {
            tell_figures(&shared, &watchers).await;
        }
        looks += 1;
    }
}

/// Tells each watcher what has changed among the clients of its organisation; what is seen now.
async fn tell_clients(shared: &Shared, watchers: &[Watcher], mut last: LastSeen) -> LastSeen {
    let mut now = LastSeen::new();
    for watcher in watchers {
        let org = &watcher.client.who().org;
        if !now.contains_key(org) {
            // A shard that has too much to do is asked again at the next look.
            let Ok(seen) = seen(shared, org).await else { continue };
            now.insert(org.clone(), seen);
        }
        let (Some(seen), before) = (now.get(org), last.get(org)) else { continue };
        let is_new = !watcher.told.swap(true, Ordering::Relaxed);
        let events = match before.filter(|_| !is_new) {
            None => seen.all(),
            Some(before) => seen.since(before, &iso8601(wall_ms()), EVENTS),
        };
        tell(watcher, events);
    }
    // What could not be looked at now is compared with what was seen before.
    for watcher in watchers {
        let org = &watcher.client.who().org;
        if let (false, Some(seen)) = (now.contains_key(org), last.remove(org)) {
            now.insert(org.clone(), seen);
        }
    }
    now
}

fn tell(watcher: &Watcher, events: Events) {
    for (name, args) in events {
        watcher.client.emit(name, args, Vec::new());
    }
}

async fn seen(shared: &Shared, org: &Org) -> Result<Seen, Refusal> {
    let wanted = SocketsWanted {
        sight: Sight::Only(org.clone()),
        user: None,
        room: None,
        namespace: None,
        limit: SOCKETS,
        names: ROOMS,
        from: 0,
    };
    let (rows, _) = lists::socket_rows(shared, &wanted, 0).await?;
    let shown = rows.iter().map(|(shard, row)| {
        let shown = Shown::of(shared, *shard, row);
        (crate::ids::id_text(&row.id).to_owned(), shown)
    });
    Ok(Seen(shown.collect()))
}

/// Tells everybody the figures: of the server to whom they are for, else of the organisation.
async fn tell_figures(shared: &Shared, watchers: &[Watcher]) {
    let mut known: HashMap<Option<Org>, Value> = HashMap::new();
    for watcher in watchers {
        let who = watcher.client.who();
        let org = (!sees_figures(who)).then(|| who.org.clone());
        if !known.contains_key(&org) {
            let Ok(figures) = figures(shared, org.as_ref()).await else { continue };
            known.insert(org.clone(), figures);
        }
        if let Some(figures) = known.get(&org) {
            watcher.client.emit("server_stats", vec![figures.to_string()], Vec::new());
        }
    }
}

async fn figures(shared: &Shared, org: Option<&Org>) -> Result<Value, Refusal> {
    let mut all = Census::default();
    ask::census(shared, org).await?.iter().for_each(|census| all.add(census));
    let names = shared.settings.namespaces.iter().enumerate();
    let namespaces: Vec<Value> = names
        .map(|(at, name)| json!({ "name": name, "socketsCount": all.namespaces.get(at).unwrap_or(&0) }))
        .collect();
    // What was sent is counted of all organisations together.
    let events = if org.is_none() { aggregated(shared) } else { Vec::new() };
    Ok(json!({
        "serverId": format!("{:016x}", shared.node.id()),
        "hostname": node_name(),
        "pid": if org.is_none() { std::process::id() } else { 0 },
        "uptime": shared.uptime_ms() as f64 / 1_000.0,
        "clientsCount": all.connections(),
        "pollingClientsCount": all.polling,
        "aggregatedEvents": events,
        "namespaces": namespaces,
    }))
}

/// What went out in the seconds since the figures before these.
fn aggregated(shared: &Shared) -> Vec<Value> {
    let points = shared.admin.pulse.newest(STATS_EVERY as usize);
    let of_point = |point: &super::super::point::Point| {
        let timestamp = point.at_ms / 1_000 * 1_000;
        let event = |kind: &str, count: f64| json!({ "timestamp": timestamp, "type": kind, "count": count.round() as u64 });
        [event("packetsOut", point.delivered), event("bytesOut", point.bytes)]
    };
    points.iter().flat_map(of_point).collect()
}
