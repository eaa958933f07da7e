//! An entry as people and programs read it.

use serde_json::{Map, Value, json};
use tidings_store::audit::AuditEntry;

use crate::time::iso8601;

/// The members of an entry as a JSON object; what is not known is `null`.
pub fn members(entry: &AuditEntry) -> Map<String, Value> {
    let value = json!({
        "at": iso8601(entry.at_ms),
        "node": entry.node,
        "version": entry.version,
        "request": entry.request,
        "actorKind": entry.actor_kind,
        "actor": entry.actor,
        "org": entry.org,
        "address": entry.address,
        "action": entry.action,
        "object": entry.object,
        "result": entry.result,
        "reason": entry.reason,
        "before": entry.before,
        "after": entry.after,
    });
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The same as one line, without what is not known.
pub fn line(mut members: Map<String, Value>) -> String {
    members.retain(|_, member| !member.is_null());
    Value::Object(members).to_string()
}
