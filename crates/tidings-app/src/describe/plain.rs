//! The messages of the plain dialect, which AsyncAPI has as the channel `/ws`.
//!
//! The generic commands and what the server tells of rooms come from the same types as their Socket.IO form: a command is its data
//! beside `type` and `id`, an event `tidings:NAME` its data beside the type `NAME`.

use serde_json::{Map, Value, json};

use super::{ChannelSaid, CommandSaid, Description, acknowledged, rooms};

/// Before the name of what the server itself says on Socket.IO.
const OWN: &str = "tidings:";

/// On this dialect it is an acknowledgement without `id`.
const REFUSED: &str = "tidings:error";

/// It is published in the room as other events are.
const ROSTER: &str = "tidings:presence";

/// What clients say first, and where their sign-in is renewed: it has no `id`.
const AUTH: &str = "auth";

/// A message: of the type it is named by.
pub(super) struct Message {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) payload: Value,
    /// What a client is answered with; `None` if nothing follows.
    pub(super) answer: Option<Value>,
}

/// What clients say, and what the server says without having been asked.
pub(super) fn messages(description: &Description) -> (Vec<Message>, Vec<Message>) {
    let own = description.apps.iter().filter(|app| app.name == rooms::NAME);
    let channels: Vec<&ChannelSaid> = own.flat_map(|app| &app.channels).collect();
    let commands = channels.iter().flat_map(|channel| &channel.commands);
    let mut heard: Vec<Message> = commands
        .filter(|said| said.name != AUTH)
        .map(|said| generic(said, description.resolve(&said.data)))
        .collect();
    heard.extend([auth(), command(), heartbeat_heard(), acknowledges()]);
    let events = channels.iter().flat_map(|channel| &channel.events);
    let events = events.filter(|said| ![REFUSED, ROSTER].contains(&said.name.as_str()));
    let mut told: Vec<Message> = events
        .filter_map(|said| {
            let kind = said.name.strip_prefix(OWN)?;
            let payload = json!({ "allOf": [of_type(kind, []), said.data] });
            // Here everybody is told of what is missing.
            let about = said.about.split_once("; for clients that say").map(|(about, _)| format!("{about}."));
            let about = about.unwrap_or_else(|| said.about.clone());
            Some(Message { name: kind.into(), about, payload, answer: None })
        })
        .collect();
    told.extend([event(), heartbeat_told()]);
    (heard, told)
}

/// A generic command: flat, and with what it does not know left alone.
fn generic(command: &CommandSaid, data: &Value) -> Message {
    let mut payload = of_type(&command.name, [("id", id())]);
    for part in ["properties", "required"] {
        match (&mut payload[part], &data[part]) {
            (Value::Object(mine), Value::Object(theirs)) => mine.extend(theirs.clone()),
            (Value::Array(mine), Value::Array(theirs)) => mine.extend(theirs.clone()),
            _ => {}
        }
    }
    Message {
        name: command.name.clone(),
        about: command.about.clone(),
        payload,
        answer: Some(answer(&acknowledged(command))),
    }
}

fn auth() -> Message {
    let members = [
        ("token", text("Without one the client is nobody, where the server lets nobody in.")),
        ("persistent", json!({ "type": "boolean", "description": "What is kept for the user is taken up." })),
    ];
    let told = [
        ("userId", json!({ "type": ["string", "null"] })),
        ("org", json!({ "type": "string" })),
        ("sessionId", json!({ "type": "string" })),
        ("expiresAt", json!({ "type": ["string", "null"], "description": "When the token ends." })),
    ];
    let all = told.clone().map(|(name, _)| Value::from(name));
    let mut welcome = of_type("auth:ok", told);
    if let Value::Array(required) = &mut welcome["required"] {
        required.extend(all);
    }
    Message {
        name: AUTH.into(),
        about: "Signs in, within 5 s and before anything else; later it renews the sign-in.".into(),
        payload: of_type(AUTH, members),
        answer: Some(json!({ "oneOf": [welcome, refused()] })),
    }
}

fn command() -> Message {
    let members = [
        ("id", id()),
        ("ns", text("The namespace of the app; `/` if it is not there.")),
        ("name", text("The command.")),
        ("data", json!({ "description": "What the command takes in its namespace." })),
        ("key", text("Under it the command is done once.")),
    ];
    let mut payload = of_type("command", members);
    payload["required"] = json!(["type", "name"]);
    Message {
        name: "command".into(),
        about: "A command of an app; the answer is its acknowledgement in its namespace.".into(),
        payload,
        answer: Some(of_type("ack", [("id", id())])),
    }
}

fn heartbeat_heard() -> Message {
    Message {
        name: "heartbeat".into(),
        about: "A sign of life, which is answered.".into(),
        payload: of_type("heartbeat", []),
        answer: Some(heartbeat()),
    }
}

fn acknowledges() -> Message {
    let mut payload = of_type("ack", [("messageId", text("The event's."))]);
    payload["required"] = json!(["type", "messageId"]);
    Message {
        name: "ack".into(),
        about: "Acknowledges an event that asked for it; nothing follows.".into(),
        payload,
        answer: None,
    }
}

fn event() -> Message {
    let members = [
        ("room", text("Where it was said.")),
        ("event", text("Its name.")),
        ("data", json!({})),
        ("messageId", json!({ "type": "string" })),
        ("epoch", text("The generation of the room's history, if the room keeps one.")),
        (
            "offset",
            json!({ "type": "integer", "description": "Counts the room's events from 1, without holes." }),
        ),
        ("tag", text("Proves which event stands there.")),
        ("ack", json!({ "const": true, "description": "It wants to be acknowledged." })),
    ];
    let mut payload = of_type("event", members);
    payload["required"] = json!(["type", "room", "event", "data", "messageId"]);
    Message { name: "event".into(), about: "Something was said in a room.".into(), payload, answer: None }
}

fn heartbeat_told() -> Message {
    Message {
        name: "heartbeat".into(),
        about: "A sign of life after 25 s of silence.".into(),
        payload: heartbeat(),
        answer: None,
    }
}

fn heartbeat() -> Value {
    let dropped =
        json!({ "type": "integer", "description": "Volatile events that were lost since the one before." });
    of_type("heartbeat", [("dropped", dropped)])
}

/// The acknowledgement of a command, beside the number it carried.
fn answer(acknowledged: &Value) -> Value {
    let yes = json!({ "allOf": [of_type("ack", [("id", id())]), acknowledged] });
    json!({ "oneOf": [yes, refused()] })
}

fn refused() -> Value {
    json!({ "allOf": [of_type("ack", [("id", id())]), { "$ref": "#/components/schemas/Refused" }] })
}

fn id() -> Value {
    json!({ "type": "integer", "minimum": 0, "description": "What is asked with it is answered with it." })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

/// An object of a type, with these members if they are there.
fn of_type<const N: usize>(kind: &str, members: [(&str, Value); N]) -> Value {
    let mut properties = Map::from_iter([("type".to_owned(), json!({ "const": kind }))]);
    properties.extend(members.map(|(name, schema)| (name.to_owned(), schema)));
    json!({ "type": "object", "properties": properties, "required": ["type"] })
}
