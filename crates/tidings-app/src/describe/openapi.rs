//! OpenAPI 3.1: the HTTP API, with a door for every command.

use serde_json::{Map, Value, json};

use super::rooms::{NAME, OF_CONNECTION, OF_ROOMS};
use super::{ChannelSaid, CommandSaid, Description, acknowledged, refusal};
use crate::command::AckStyle;

const JSON: &str = "application/json";

/// A path of the server's own.
#[derive(Debug, Clone)]
pub struct Path {
    /// The method in lower case.
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// The group it is shown in.
    pub tag: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it wants to know who asks.
    pub sign_in: SignIn,
    /// Parameters of the query, and what each is.
    pub query: &'static [(&'static str, &'static str)],
    /// Those of them without which it is refused.
    pub needs: &'static [&'static str],
    /// The schema of the body, if it takes one.
    pub body: Option<Value>,
    /// Whether it is done once under an `Idempotency-Key`.
    pub keyed: bool,
    /// The statuses of answers that refuse nothing.
    pub statuses: &'static [u16],
    /// What text an answer is, as a media type; `None`: a JSON object.
    pub text: Option<&'static str>,
}

/// Whether a path wants to know who asks, by a token or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignIn {
    /// It makes no difference.
    Never,
    /// It does, and can be left out.
    Optional,
    /// Nothing is answered without.
    Needed,
}

/// The document, for a server of `version` with paths of its own.
pub fn openapi(description: &Description, version: &str, own: &[Path]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for path in own {
        let item = paths.entry(path.path).or_insert_with(|| json!({}));
        item[path.method] = operation(path, path.path);
    }
    for (app, path) in &description.paths {
        let item = paths.entry(format!("/api/{app}{}", path.path)).or_insert_with(|| json!({}));
        // Two apps, and the server itself, may each have rooms.
        item[path.method] = operation(path, &format!("/{app}{}", path.path));
    }
    for app in &description.apps {
        for channel in &app.channels {
            for command in channel.commands.iter().filter(|command| !is_of_connection(&app.name, command)) {
                paths.insert(
                    door(channel, command),
                    json!({ "post": of_command(&app.name, channel, command) }),
                );
            }
        }
    }
    let mut schemas = description.definitions.clone();
    schemas.insert("Refused".into(), refusal());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings", "version": version,
            "description": "The HTTP API of this server: the engine's own paths, and a door for every command of every app.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token, or an API key (tk_…)." },
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
            },
        },
    })
}

/// Whether a command is about a connection, which HTTP has none of. Those of an app that are named as the engine's are, are.
fn is_of_connection(app: &str, command: &CommandSaid) -> bool {
    let name = command.name.as_str();
    OF_CONNECTION.contains(&name) && (app == NAME || OF_ROOMS.contains(&name))
}

/// Whether a command is done once under a key: those of apps, and of the engine's own what is kept.
fn takes_key(app: &str, command: &CommandSaid) -> bool {
    app != NAME || command.name == "publish"
}

/// Where a command is said by HTTP.
fn door(channel: &ChannelSaid, command: &CommandSaid) -> String {
    let namespace = channel.namespace.trim_start_matches('/');
    let namespace = if namespace.is_empty() { "root".to_owned() } else { namespace.replace('/', "%2F") };
    format!("/api/commands/{namespace}/{}", command.name)
}

fn of_command(app: &str, channel: &ChannelSaid, command: &CommandSaid) -> Value {
    let refused = match command.ack {
        AckStyle::Ok => json!({ "$ref": "#/components/schemas/Refused" }),
        AckStyle::Success => json!({ "type": "object", "properties": { "success": { "const": false } } }),
    };
    let sign_in = if command.requires == "anyone" { SignIn::Optional } else { SignIn::Needed };
    json!({
        "operationId": identifier("command", &door(channel, command)),
        "tags": [app],
        "summary": command.about,
        "description": format!("For: {}.", command.requires),
        "security": security(sign_in),
        "parameters": if takes_key(app, command) { json!([key()]) } else { json!([]) },
        "requestBody": { "required": true, "content": { "application/json": { "schema": command.data } } },
        "responses": {
            "200": answered(200, JSON, &acknowledged(command)),
            "default": { "description": "Refused.", "content": { "application/json": { "schema": refused } } },
        },
    })
}

/// An operation; `called` is the path that its name is made of.
fn operation(path: &Path, called: &str) -> Value {
    let named = path.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(
        |(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
    );
    let query = path.query.iter().map(|(name, about)| {
        let needed = path.needs.contains(name);
        json!({ "name": name, "in": "query", "required": needed, "description": about, "schema": { "type": "string" } })
    });
    let key = path.keyed.then(key);
    let mut said = json!({
        "operationId": identifier(path.method, called),
        "tags": [path.tag],
        "summary": path.about,
        "security": security(path.sign_in),
        "parameters": named.chain(query).chain(key).collect::<Vec<_>>(),
        "responses": {
            "default": {
                "description": "Refused.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refused" } } },
            },
        },
    });
    for status in path.statuses {
        let (media, kind) = path.text.map_or((JSON, "object"), |media| (media, "string"));
        said["responses"][status.to_string()] = answered(*status, media, &json!({ "type": kind }));
    }
    if let Some(body) = &path.body {
        said["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    said
}

fn key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "1 to 128 bytes: under it this is done once, and a retry gets the first reply.",
        "schema": { "type": "string", "maxLength": 128 },
    })
}

fn security(sign_in: SignIn) -> Value {
    match sign_in {
        SignIn::Never => json!([]),
        SignIn::Optional => json!([{}, { "token": [] }, { "key": [] }]),
        SignIn::Needed => json!([{ "token": [] }, { "key": [] }]),
    }
}

fn answered(status: u16, media: &str, schema: &Value) -> Value {
    let about = match status {
        201 => "Made.",
        202 => "Taken; what follows is in a mail.",
        302 => return json!({ "description": "The browser is sent on." }),
        _ => "Done.",
    };
    json!({ "description": about, "content": { media: { "schema": schema } } })
}

/// Letters and digits of a path, each word with a capital.
fn identifier(first: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    first.to_owned() + &words.filter(|word| *word != "api").map(capital).collect::<String>()
}
