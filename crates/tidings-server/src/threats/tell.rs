//! Threats are told to whom they concern.

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_core::{Lane, Org, Payload, Publish, Room};
use tokio::sync::mpsc::Receiver;

use super::{ADMIN_ROOM, OPERATOR_ROOM, Threat};
use crate::shared::{Shared, wall_ms};
use crate::time::iso8601;

/// Publishes each threat to the administrators of the organisation it concerns, and to operators.
pub(crate) async fn tell(shared: Arc<Shared>, mut threats: Receiver<Threat>) {
    while let Some(threat) = threats.recv().await {
        let org = threat.source.org();
        tracing::warn!(
            kind = threat.kind.as_str(),
            level = threat.level.as_str(),
            count = threat.count,
            source = threat.source.id(),
            org = org.map(Org::as_str),
            "a threat"
        );
        let data = described(&threat).to_string();
        if let Some(org) = org {
            publish(&shared, org, ADMIN_ROOM, &data);
        }
        publish(&shared, &Org::default(), OPERATOR_ROOM, &data);
    }
}

/// What an administrator is told: facts of the own organisation alone, since hits are counted by it.
fn described(threat: &Threat) -> Value {
    json!({
        "kind": threat.kind.as_str(),
        "level": threat.level.as_str(),
        "count": threat.count,
        "since": iso8601(threat.since_ms),
        "source": { "kind": threat.source.kind(), "id": threat.source.id() },
        "org": threat.source.org().map(Org::as_str),
    })
}

fn publish(shared: &Shared, org: &Org, room: &str, data: &str) {
    let Ok(room) = Room::new(org, room, shared.settings.limits.room_name_bytes) else { return };
    let payload = Payload::json(data.to_owned());
    let lane = Some(Lane::High);
    let what = Publish { lane, ..Publish::new(room, "threat", payload) };
    if let Err(refusal) = shared.node.publish(what, None, wall_ms()) {
        tracing::debug!(%refusal, "a threat could not be published");
    }
}
