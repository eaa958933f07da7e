//! What is seen of an organisation's clients at one look, and how it differs from the look before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tidings_core::Room;

use crate::ids::id_text;
use crate::shard::listed::SocketRow;
use crate::shared::Shared;
use crate::time::iso8601;

/// A client as the page knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    namespace: String,
    transport: &'static str,
    rooms: BTreeSet<String>,
    /// All of it, as the page wants it.
    json: Value,
}

/// Clients by their id.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen(pub(super) BTreeMap<String, Shown>);

/// Events for the page: name and arguments.
pub(super) type Events = Vec<(&'static str, Vec<String>)>;

impl Shown {
    /// A row of a list as a client of the page.
    pub(super) fn of(shared: &Shared, shard: usize, row: &SocketRow) -> Self {
        let id = id_text(&row.id);
        let namespace = shared.settings.namespaces.name(row.namespace).to_owned();
        // The page knows two transports.
        let transport = if row.door == "polling" { "polling" } else { "websocket" };
        // Node has every client in a room of its own name, which the page leaves out of its list.
        let rooms: BTreeSet<String> =
            row.names.iter().map(Room::name).chain([id]).map(str::to_owned).collect();
        let since = iso8601(row.since_ms.unwrap_or(0));
        let json = json!({
            "id": id,
            "clientId": format!("{shard:02x}{:05x}{:05x}", row.key.slot & 0xf_ffff, row.key.generation & 0xf_ffff),
            "transport": transport,
            "nsp": namespace,
            "data": { "userId": row.who.user.as_deref(), "name": row.who.name.as_deref(), "door": row.door },
            "handshake": {
                "address": row.address.to_canonical().to_string(),
                // What a client sent at its handshake may hold secrets, and is not kept.
                "headers": {},
                "query": {},
                "issued": row.since_ms.unwrap_or(0),
                "secure": false,
                "time": since,
                "url": "/socket.io/",
                "xdomain": false,
            },
            "rooms": rooms,
        });
        Self { namespace, transport, rooms, json }
    }
}

impl Seen {
    /// All clients at once.
    pub(super) fn all(&self) -> Events {
        let all: Vec<&Value> = self.0.values().map(|shown| &shown.json).collect();
        vec![("all_sockets", vec![json!(all).to_string()])]
    }

    /// What has changed since `before`; all of it again where it would be more events than `most`.
    pub(super) fn since(&self, before: &Self, at: &str, most: usize) -> Events {
        let mut events = Events::new();
        let text = |value: &str| json!(value).to_string();
        for (id, gone) in before.0.iter().filter(|(id, _)| !self.0.contains_key(*id)) {
            let args = vec![text(&gone.namespace), text(id), text("transport close"), text(at)];
            events.push(("socket_disconnected", args));
        }
        for (id, shown) in &self.0 {
            let Some(known) = before.0.get(id) else {
                events.push(("socket_connected", vec![shown.json.to_string(), text(at)]));
                continue;
            };
            if known.transport != shown.transport {
                let update = json!({ "id": id, "nsp": shown.namespace, "transport": shown.transport });
                events.push(("socket_updated", vec![update.to_string()]));
            }
            let args = |room: &String| vec![text(&shown.namespace), text(room), text(id), text(at)];
            events.extend(known.rooms.difference(&shown.rooms).map(|room| ("room_left", args(room))));
            events.extend(shown.rooms.difference(&known.rooms).map(|room| ("room_joined", args(room))));
        }
        if events.len() > most { self.all() } else { events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rooms: &[&str], transport: &'static str) -> Shown {
        let rooms = rooms.iter().map(|room| (*room).to_owned()).collect();
        Shown { namespace: "/".into(), transport, rooms, json: json!({ "id": "x" }) }
    }

    fn seen(clients: &[(&str, Shown)]) -> Seen {
        Seen(clients.iter().map(|(id, shown)| ((*id).to_owned(), shown.clone())).collect())
    }

    fn names(events: &Events) -> Vec<&'static str> {
        events.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn what_has_changed_is_told_and_what_has_not_is_not() {
        let before = seen(&[("a", shown(&["a", "r:1"], "polling")), ("b", shown(&["b"], "websocket"))]);
        let after = seen(&[("a", shown(&["a", "r:2"], "websocket")), ("c", shown(&["c"], "websocket"))]);
        let events = after.since(&before, "now", 100);
        let expected =
            ["socket_disconnected", "socket_updated", "room_left", "room_joined", "socket_connected"];
        assert_eq!(names(&events), expected);
        assert_eq!(events[3].1, ["\"/\"", "\"r:2\"", "\"a\"", "\"now\""]);
        assert_eq!(events[0].1, ["\"/\"", "\"b\"", "\"transport close\"", "\"now\""]);
        assert!(after.since(&after.clone(), "now", 100).is_empty());
    }

    #[test]
    fn where_too_much_has_changed_all_is_told_at_once() {
        let many: Vec<_> = (0..50).map(|at| (format!("s{at}"), shown(&["r:1"], "websocket"))).collect();
        let after = Seen(many.into_iter().collect());
        assert_eq!(names(&after.since(&Seen::default(), "now", 49)), ["all_sockets"]);
        assert_eq!(after.since(&Seen::default(), "now", 50).len(), 50);
    }
}
