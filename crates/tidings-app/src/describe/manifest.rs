//! Manifests: what `GET /api/apps` answers.

use serde_json::{Map, Value, json};

use super::{AppSaid, ChannelSaid, CommandSaid, Description};

/// What each app has to offer, and what it requires; types that others refer to stand beside them.
pub fn manifests(description: &Description) -> Value {
    let apps: Vec<Value> = description.apps.iter().map(app).collect();
    json!({ "ok": true, "apps": apps, "components": { "schemas": description.definitions } })
}

fn app(app: &AppSaid) -> Value {
    let mut namespaces: Vec<&str> = app.channels.iter().map(|channel| channel.namespace.as_str()).collect();
    namespaces.dedup();
    json!({
        "name": app.name,
        "version": app.version,
        "about": app.about,
        "namespaces": namespaces,
        "channels": app.channels.iter().map(channel).collect::<Vec<_>>(),
    })
}

fn channel(channel: &ChannelSaid) -> Value {
    let kinds = channel.kinds.iter().map(|kind| {
        json!({
            "kind": kind.name, "about": kind.about, "subscribe": kind.subscribe,
            "publish": kind.publish, "keep": kind.keeps,
        })
    });
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
