//! TypeScript types, made of the schemas.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{ChannelSaid, Description};

/// The types as a module.
pub fn typescript(description: &Description) -> String {
    let mut out = String::from("// Made by `tidings types`. Changes belong into the types of the server.\n");
    for (name, schema) in &description.definitions {
        doc(&mut out, "", schema);
        // Writing to memory does not fail, here and below.
        let _ = match schema["properties"].as_object().filter(|_| schema.get("oneOf").is_none()) {
            Some(_) => writeln!(out, "export interface {name} {}\n", object(schema, "")),
            None => writeln!(out, "export type {name} = {};\n", type_of(schema, "")),
        };
    }
    out.push_str("/** What is answered when the answer is no. */\nexport interface Refused {\n");
    out.push_str("  ok: false;\n  error: { code: string; message: string; retryable: boolean; retryAfterMs?: number };\n}\n\n");
    let mut commands: BTreeMap<&str, String> = BTreeMap::new();
    let mut events: BTreeMap<&str, String> = BTreeMap::new();
    for channel in description.apps.iter().flat_map(|app| &app.channels) {
        commands_of(commands.entry(&channel.namespace).or_default(), channel);
        events_of(events.entry(&channel.namespace).or_default(), channel);
    }
    table(&mut out, "What clients may say, by namespace and name.", "Commands", &commands);
    table(&mut out, "What rooms may hear, by namespace and name.", "Events", &events);
    out
}

fn table(out: &mut String, about: &str, name: &str, rows: &BTreeMap<&str, String>) {
    let _ = writeln!(out, "/** {about} */\nexport interface {name} {{");
    for (namespace, members) in rows {
        let _ = writeln!(out, "  {}: {{\n{members}  }};", quoted(namespace));
    }
    out.push_str("}\n\n");
}

fn commands_of(out: &mut String, channel: &ChannelSaid) {
    for command in &channel.commands {
        let reply = command
            .reply
            .as_ref()
            .map_or_else(|| "Record<string, never>".into(), |reply| type_of(reply, "    "));
        if !command.about.is_empty() {
            let _ = writeln!(out, "    /** {} */", line(&command.about));
        }
        let data = type_of(&command.data, "    ");
        let _ = writeln!(out, "    {}: {{ data: {data}; reply: {reply} }};", quoted(&command.name));
    }
}

fn events_of(out: &mut String, channel: &ChannelSaid) {
    for event in &channel.events {
        if !event.about.is_empty() {
            let _ = writeln!(out, "    /** {} */", line(&event.about));
        }
        let _ = writeln!(out, "    {}: {};", quoted(&event.name), type_of(&event.data, "    "));
    }
}

fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "*\u{200b}/")
}

fn doc(out: &mut String, indent: &str, schema: &Value) {
    if let Some(about) = schema["description"].as_str() {
        let _ = writeln!(out, "{indent}/** {} */", line(about));
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn type_of(schema: &Value, indent: &str) -> String {
    if let Some(path) = schema["$ref"].as_str() {
        return path.rsplit_once('/').map_or(path, |(_, name)| name).to_owned();
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    let joined = |list: &Value, with: &str| {
        let list = list.as_array()?;
        Some(list.iter().map(|one| type_of(one, indent)).collect::<Vec<_>>().join(with))
    };
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(one_of) = joined(&schema["oneOf"], " | ").or_else(|| joined(&schema["anyOf"], " | ")) {
        return one_of;
    }
    if let Some(all_of) = joined(&schema["allOf"], " & ") {
        return all_of;
    }
    match &schema["type"] {
        Value::String(word) => word_of(word, schema, indent),
        Value::Array(words) => {
            let words = words.iter().filter_map(Value::as_str).map(|word| word_of(word, schema, indent));
            words.collect::<Vec<_>>().join(" | ")
        }
        _ => "unknown".into(),
    }
}

fn word_of(word: &str, schema: &Value, indent: &str) -> String {
    match word {
        "string" => "string".into(),
        "integer" | "number" => "number".into(),
        "boolean" => "boolean".into(),
        "null" => "null".into(),
        "array" => array(schema, indent),
        "object" => object(schema, indent),
        _ => "unknown".into(),
    }
}

fn array(schema: &Value, indent: &str) -> String {
    if let Some(fixed) = schema["prefixItems"].as_array() {
        let items = fixed.iter().map(|item| type_of(item, indent)).collect::<Vec<_>>();
        return format!("[{}]", items.join(", "));
    }
    format!("Array<{}>", type_of(&schema["items"], indent))
}

fn object(schema: &Value, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let none = Map::new();
    let members = schema["properties"].as_object().unwrap_or(&none);
    let required =
        |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let mut out = String::from("{\n");
    for (name, member) in members {
        doc(&mut out, &inner, member);
        let mark = if required(name) { "" } else { "?" };
        let plain =
            !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let name = if plain { name.clone() } else { quoted(name) };
        let _ = writeln!(out, "{inner}{name}{mark}: {};", type_of(member, &inner));
    }
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) | None if !members.is_empty() => {}
        Some(more @ Value::Object(_)) => {
            let _ = writeln!(out, "{inner}[name: string]: {};", type_of(more, &inner));
        }
        Some(Value::Bool(false)) => return "Record<string, never>".into(),
        _ if members.is_empty() => return "Record<string, unknown>".into(),
        _ => {}
    }
    let _ = write!(out, "{indent}}}");
    out
}
