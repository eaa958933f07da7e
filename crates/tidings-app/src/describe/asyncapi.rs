//! AsyncAPI 3.0: what is said on sockets, by namespace.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ChannelSaid, CommandSaid, Description, EventSaid, acknowledged, refusal};

/// The document, for a server of `version`.
pub fn asyncapi(description: &Description, version: &str) -> Value {
    let mut spoken = Spoken::default();
    for app in &description.apps {
        app.channels.iter().for_each(|channel| spoken.channel(&app.name, channel));
    }
    let mut schemas = description.definitions.clone();
    schemas.insert("Refused".into(), refusal());
    let channels: Map<String, Value> = spoken.channels.into_iter().collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidings", "version": version,
            "description": "What is said on Socket.IO, by namespace. The plain protocol at /ws says the same: the commands of the app `rooms` by their names, every other as {\"type\":\"command\",\"ns\",\"name\",\"data\"}.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": { "here": { "host": "localhost:3000", "pathname": "/socket.io/", "protocol": "ws" } },
        "channels": channels,
        "operations": spoken.operations,
        "components": { "schemas": schemas, "messages": spoken.messages },
    })
}

#[derive(Default)]
struct Spoken {
    channels: BTreeMap<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Spoken {
    fn channel(&mut self, app: &str, channel: &ChannelSaid) {
        let id = id_of(&channel.namespace);
        let said = self.channels.entry(id.clone()).or_insert_with(|| {
            json!({
                "address": channel.namespace,
                "description": format!("The namespace {}.", channel.namespace),
                "messages": {},
            })
        });
        let mut named = Vec::new();
        for command in &channel.commands {
            let (name, reply) = (format!("{id}.{}", command.name), format!("{id}.{}.ack", command.name));
            self.messages.insert(name.clone(), heard(command));
            self.messages.insert(reply.clone(), acknowledgement(command));
            self.operations.insert(name.clone(), receives(app, &id, command));
            named.extend([name, reply]);
        }
        for event in &channel.events {
            let name = format!("{id}.{}", event.name);
            self.messages.insert(name.clone(), message(&event.name, &event.about, &event.data));
            self.operations.insert(format!("{name}.heard"), sends(app, &id, event));
            named.push(name);
        }
        for name in named {
            said["messages"][&name] = json!({ "$ref": format!("#/components/messages/{}", pointer(&name)) });
        }
    }
}

fn id_of(namespace: &str) -> String {
    match namespace.trim_start_matches('/') {
        "" => "root".into(),
        name => name.replace('/', "-"),
    }
}

/// A name as a part of a JSON pointer (RFC 6901).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn heard(command: &CommandSaid) -> Value {
    message(&command.name, &command.about, &command.data)
}

fn acknowledgement(command: &CommandSaid) -> Value {
    let payload = json!({ "oneOf": [acknowledged(command), { "$ref": "#/components/schemas/Refused" }] });
    message(&format!("{} acknowledged", command.name), "", &payload)
}

fn message(name: &str, about: &str, payload: &Value) -> Value {
    let mut said = json!({ "name": name, "payload": payload });
    if !about.is_empty() {
        said["summary"] = about.into();
    }
    said
}

fn receives(app: &str, id: &str, command: &CommandSaid) -> Value {
    let place =
        |name: String| json!({ "$ref": format!("#/channels/{}/messages/{}", pointer(id), pointer(&name)) });
    json!({
        "action": "receive",
        "channel": { "$ref": format!("#/channels/{}", pointer(id)) },
        "tags": [{ "name": app }],
        "summary": command.about,
        "description": format!("For: {}.", command.requires),
        "messages": [place(format!("{id}.{}", command.name))],
        "reply": {
            "channel": { "$ref": format!("#/channels/{}", pointer(id)) },
            "messages": [place(format!("{id}.{}.ack", command.name))],
        },
    })
}

fn sends(app: &str, id: &str, event: &EventSaid) -> Value {
    let name = format!("{id}.{}", event.name);
    json!({
        "action": "send",
        "channel": { "$ref": format!("#/channels/{}", pointer(id)) },
        "tags": [{ "name": app }],
        "summary": event.about,
        "messages": [{ "$ref": format!("#/channels/{}/messages/{}", pointer(id), pointer(&name)) }],
    })
}
