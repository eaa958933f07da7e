//! AsyncAPI 3.0: what is said on sockets, by namespace, and on the plain dialect.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{ChannelSaid, CommandSaid, Description, acknowledged, plain, refusal, rooms};

/// The channel of the plain dialect; the ids of namespaces have no slashes.
const PLAIN: &str = "/ws";

/// The document, for a server of `version`.
pub fn asyncapi(description: &Description, version: &str) -> Value {
    let mut spoken = Spoken::default();
    for app in &description.apps {
        app.channels.iter().for_each(|channel| spoken.channel(&app.name, channel));
    }
    spoken.plain(description);
    let mut schemas = description.definitions.clone();
    schemas.insert("Refused".into(), refusal());
    let channels: Map<String, Value> = spoken.channels.into_iter().collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidings", "version": version,
            "description": "What is said on Socket.IO, by namespace, and on the plain protocol at /ws: there what the namespaces take and answer is said as `command`, and what they say is heard as `event`.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "socketio": { "host": "localhost:3000", "pathname": "/socket.io/", "protocol": "ws" },
            "plain": { "host": "localhost:3000", "protocol": "ws" },
        },
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
                "servers": [{ "$ref": "#/servers/socketio" }],
                "messages": {},
            })
        });
        let mut named = Vec::new();
        for command in &channel.commands {
            let (name, reply) = (format!("{id}.{}", command.name), format!("{id}.{}.ack", command.name));
            self.messages.insert(name.clone(), heard(command));
            self.messages.insert(reply.clone(), acknowledgement(command));
            let description = format!("For: {}.", command.requires);
            let mut operation = receives(app, &id, &name, &command.about, Some(&reply));
            operation["description"] = description.into();
            self.operations.insert(name.clone(), operation);
            named.extend([name, reply]);
        }
        for event in &channel.events {
            let name = format!("{id}.{}", event.name);
            self.messages.insert(name.clone(), message(&event.name, &event.about, &event.data));
            self.operations.insert(format!("{name}.heard"), operation("send", app, &id, &name, &event.about));
            named.push(name);
        }
        said["messages"].as_object_mut().into_iter().for_each(|messages| messages.extend(references(&named)));
    }

    fn plain(&mut self, description: &Description) {
        let (heard, told) = plain::messages(description);
        let mut named = Vec::new();
        for said in heard {
            let name = format!("{PLAIN}.{}", said.name);
            let reply = said.answer.as_ref().map(|_| format!("{name}.reply"));
            self.messages.insert(name.clone(), message(&said.name, &said.about, &said.payload));
            if let (Some(reply), Some(answer)) = (&reply, &said.answer) {
                self.messages.insert(reply.clone(), message(&format!("{} answered", said.name), "", answer));
            }
            let operation = receives(rooms::NAME, PLAIN, &name, &said.about, reply.as_deref());
            self.operations.insert(name.clone(), operation);
            named.extend([name].into_iter().chain(reply));
        }
        for said in told {
            let name = format!("{PLAIN}.{}.heard", said.name);
            self.messages.insert(name.clone(), message(&said.name, &said.about, &said.payload));
            let operation = operation("send", rooms::NAME, PLAIN, &name, &said.about);
            self.operations.insert(name.clone(), operation);
            named.push(name);
        }
        let channel = json!({
            "address": "/ws",
            "description": "The plain protocol: JSON objects in text frames, each with its `type`.",
            "servers": [{ "$ref": "#/servers/plain" }],
            "messages": references(&named),
        });
        self.channels.insert(PLAIN.into(), channel);
    }
}

/// Where messages of these names are, as a channel names them.
fn references(names: &[String]) -> Map<String, Value> {
    let place = |name: &String| json!({ "$ref": format!("#/components/messages/{}", pointer(name)) });
    names.iter().map(|name| (name.clone(), place(name))).collect()
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

fn receives(app: &str, id: &str, message: &str, about: &str, reply: Option<&str>) -> Value {
    let mut operation = operation("receive", app, id, message, about);
    if let Some(reply) = reply {
        operation["reply"] = json!({
            "channel": { "$ref": format!("#/channels/{}", pointer(id)) },
            "messages": [{ "$ref": place(id, reply) }],
        });
    }
    operation
}

fn operation(action: &str, app: &str, id: &str, message: &str, about: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{}", pointer(id)) },
        "tags": [{ "name": app }],
        "summary": about,
        "messages": [{ "$ref": place(id, message) }],
    })
}

/// Where a channel has a message.
fn place(id: &str, message: &str) -> String {
    format!("#/channels/{}/messages/{}", pointer(id), pointer(message))
}
