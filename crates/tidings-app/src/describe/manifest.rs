//! Manifests: what `GET /api/apps` answers.

use serde_json::{Map, Value, json};
use tidings_core::{Action, Keep, Kinds};

use super::{AppSaid, ChannelSaid, CommandSaid, Description, KindSaid};

/// What each app has to offer, and what it requires; types that others refer to stand beside them.
///
/// Who may do what in a kind's rooms, and what these keep, is as `kinds` has it now: the operator may have decided
/// otherwise than the app, and what the engine's own keep follows from whether there is a database.
pub fn manifests(description: &Description, kinds: &Kinds) -> Value {
    let apps: Vec<Value> = description.apps.iter().map(|said| app(said, kinds)).collect();
    json!({ "ok": true, "apps": apps, "components": { "schemas": description.definitions } })
}

fn app(app: &AppSaid, kinds: &Kinds) -> Value {
    let mut namespaces: Vec<&str> = app.channels.iter().map(|channel| channel.namespace.as_str()).collect();
    namespaces.dedup();
    json!({
        "name": app.name,
        "version": app.version,
        "about": app.about,
        "namespaces": namespaces,
        "channels": app.channels.iter().map(|said| channel(said, kinds)).collect::<Vec<_>>(),
    })
}

fn kind(said: &KindSaid, kinds: &Kinds) -> Value {
    let spec = kinds.of(&said.name);
    let rule = |action, declared: &String| spec.map_or(declared.clone(), |spec| spec.rule(action).text());
    let keep = spec.map_or(said.keeps, |spec| match spec.keep {
        Keep::Nothing => "nothing",
        Keep::Recent { .. } => "recent",
        Keep::Durable { .. } => "durable",
    });
    json!({
        "kind": said.name,
        "about": said.about,
        "subscribe": rule(Action::Subscribe, &said.subscribe),
        "publish": rule(Action::Publish, &said.publish),
        "keep": keep,
    })
}

fn channel(channel: &ChannelSaid, kinds: &Kinds) -> Value {
    let kinds = channel.kinds.iter().map(|said| kind(said, kinds));
    let events = channel.events.iter();
    let events = events.map(|event| json!({ "name": event.name, "about": event.about, "data": event.data }));
    let mut said = Map::new();
    said.insert("namespace".into(), channel.namespace.as_str().into());
    said.insert("rooms".into(), kinds.collect());
    said.insert("commands".into(), channel.commands.iter().map(command).collect());
    said.insert("events".into(), events.collect());
    said.extend(channel.snapshot.clone().map(|snapshot| ("snapshot".to_owned(), snapshot)));
    Value::Object(said)
}

fn command(command: &CommandSaid) -> Value {
    let mut said = Map::new();
    said.insert("name".into(), command.name.as_str().into());
    said.insert("about".into(), command.about.as_str().into());
    said.insert("requires".into(), command.requires.as_str().into());
    said.insert("data".into(), command.data.clone());
    said.extend(command.reply.clone().map(|reply| ("reply".to_owned(), reply)));
    let rate = command.rate.map(|(burst, interval_ms)| json!({ "burst": burst, "intervalMs": interval_ms }));
    said.extend(rate.map(|rate| ("rate".to_owned(), rate)));
    Value::Object(said)
}
