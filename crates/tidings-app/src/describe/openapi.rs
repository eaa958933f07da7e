//! OpenAPI 3.1: the HTTP API, with a door for every command.

use serde_json::{Map, Value, json};

use super::{ChannelSaid, CommandSaid, Description, acknowledged, refusal};
use crate::command::AckStyle;

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
    /// Whether a token or a key is needed.
    pub signed_in: bool,
    /// Parameters of the query, and what each is.
    pub query: &'static [(&'static str, &'static str)],
    /// The schema of the body, if it takes one.
    pub body: Option<Value>,
    /// The schema of the answer; `None`: an object.
    pub answer: Option<Value>,
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
            let of_connection = |command: &CommandSaid| {
                app.name == super::rooms::NAME && super::rooms::OF_CONNECTION.contains(&command.name.as_str())
            };
            for command in channel.commands.iter().filter(|command| !of_connection(command)) {
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
    let security =
        if command.requires == "anyone" { json!([{}, { "token": [] }, { "key": [] }]) } else { signed_in() };
    json!({
        "operationId": identifier("command", &door(channel, command)),
        "tags": [app],
        "summary": command.about,
        "description": format!("For: {}.", command.requires),
        "security": security,
        "parameters": [{
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "1 to 128 bytes: under it the command is done once, and a retry gets the first reply.",
            "schema": { "type": "string", "maxLength": 128 },
        }],
        "requestBody": { "required": true, "content": { "application/json": { "schema": command.data } } },
        "responses": {
            "200": answered(&acknowledged(command)),
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
        json!({ "name": name, "in": "query", "required": false, "description": about, "schema": { "type": "string" } })
    });
    let mut said = json!({
        "operationId": identifier(path.method, called),
        "tags": [path.tag],
        "summary": path.about,
        "security": if path.signed_in { signed_in() } else { json!([]) },
        "parameters": named.chain(query).collect::<Vec<_>>(),
        "responses": {
            "200": answered(path.answer.as_ref().unwrap_or(&json!({ "type": "object" }))),
            "default": {
                "description": "Refused.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refused" } } },
            },
        },
    });
    if let Some(body) = &path.body {
        said["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    said
}

fn signed_in() -> Value {
    json!([{ "token": [] }, { "key": [] }])
}

fn answered(schema: &Value) -> Value {
    json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } })
}

/// Letters and digits of a path, each word with a capital.
fn identifier(first: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    first.to_owned() + &words.filter(|word| *word != "api").map(capital).collect::<String>()
}
