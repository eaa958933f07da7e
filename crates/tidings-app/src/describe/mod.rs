//! What there is, said once and written in several languages: manifests, OpenAPI, AsyncAPI, TypeScript.
//!
//! Everything comes from the types of commands, events, replies and snapshots, and from the rules beside
//! them, so a description cannot say something else than what is checked at run time.

mod asyncapi;
mod manifest;
mod openapi;
mod plain;
pub mod rooms;
pub(crate) mod shape;
mod typescript;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::app::{App, Keeps, RoomKind};
use crate::command::{AckStyle, Requires};
use crate::mounted::Mounted;
use crate::registry::RegistryError;
use shape::Variant;

pub use asyncapi::asyncapi;
pub use manifest::manifests;
pub use openapi::{Path, SignIn, openapi};
pub use typescript::typescript;

/// Where documents keep the types that others refer to.
const DEFINITIONS: &str = "/components/schemas";

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Description {
    pub(crate) apps: Vec<AppSaid>,
    /// The types that others refer to, by name.
    pub(crate) definitions: Map<String, Value>,
    /// The HTTP paths of the apps, each behind the app's own.
    pub(crate) paths: Vec<(&'static str, Path)>,
}

#[derive(Debug, Clone)]
pub(crate) struct AppSaid {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) about: String,
    pub(crate) channels: Vec<ChannelSaid>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct ChannelSaid {
    pub(crate) namespace: String,
    pub(crate) kinds: Vec<KindSaid>,
    pub(crate) commands: Vec<CommandSaid>,
    pub(crate) events: Vec<EventSaid>,
    /// What a newcomer gets in the answer to `subscribe`.
    pub(crate) snapshot: Option<Value>,
}

#[derive(Debug, Clone)]
pub(crate) struct CommandSaid {
    pub(crate) name: String,
    pub(crate) about: String,
    /// The rule, in its words.
    pub(crate) requires: String,
    /// Its own bucket: how many at once, and milliseconds for one more.
    pub(crate) rate: Option<(u64, u64)>,
    pub(crate) ack: AckStyle,
    pub(crate) data: Value,
    pub(crate) reply: Option<Value>,
}

#[derive(Debug, Clone)]
pub(crate) struct EventSaid {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) data: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct KindSaid {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) subscribe: String,
    pub(crate) publish: String,
    pub(crate) keeps: &'static str,
}

/// Reads what apps are made of, the engine's own commands first.
pub(crate) fn describe<R>(apps: &[App<R>]) -> Result<Description, RegistryError> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = DEFINITIONS.into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut said = vec![rooms::rooms(&mut generator)];
    for app in apps {
        let refuse = |problem| RegistryError { app: app.name.into(), problem };
        let channels = app.channels.iter().map(|channel| of_channel(channel.as_ref(), &mut generator));
        let channels = channels.collect::<Result<_, _>>().map_err(refuse)?;
        let (name, version, about) = (app.name.into(), app.version.into(), app.about.into());
        said.push(AppSaid { name, version, about, channels });
    }
    let definitions = generator.take_definitions(true);
    let paths = |app: &App<R>| app.paths.iter().map(|path| (app.name, path.clone())).collect::<Vec<_>>();
    let paths = apps.iter().flat_map(paths).collect();
    let described = Description { apps: said, definitions, paths };
    for app in &described.apps {
        let refuse = |problem| RegistryError { app: app.name.clone(), problem };
        app.channels.iter().try_for_each(|channel| described.check(channel)).map_err(refuse)?;
    }
    Ok(described)
}

fn of_channel(channel: &dyn Mounted, generator: &mut SchemaGenerator) -> Result<ChannelSaid, String> {
    let shape = channel.shape(generator);
    let mut commands = Vec::new();
    for requires in channel.rules() {
        let mut variants = shape.commands.iter().filter(|variant| variant.name == requires.name);
        let (Some(variant), false) =
            (variants.next(), commands.iter().any(|said: &CommandSaid| said.name == requires.name))
        else {
            return Err(format!("the rules name {}, which is no command, or twice", requires.name));
        };
        commands.push(command(requires, variant, shape.reply.clone()));
    }
    let unruled =
        shape.commands.iter().find(|variant| !commands.iter().any(|said| said.name == variant.name));
    if let Some(variant) = unruled {
        return Err(format!("nothing is said of what {} requires", variant.name));
    }
    if !channel.namespace().starts_with('/') {
        return Err(format!("the namespace {} does not start with a slash", channel.namespace()));
    }
    let event = |Variant { name, about, data }| EventSaid { name, about, data };
    Ok(ChannelSaid {
        namespace: channel.namespace().into(),
        kinds: channel.kinds().iter().map(kind).collect(),
        commands,
        events: shape.events.into_iter().map(event).collect(),
        snapshot: shape.snapshot,
    })
}

fn command(requires: &Requires, variant: &Variant, reply: Option<Value>) -> CommandSaid {
    CommandSaid {
        name: variant.name.clone(),
        about: variant.about.clone(),
        requires: requires.rule.text(),
        rate: requires.rate.map(|rate| (rate.burst(), rate.interval_ns().div_ceil(1_000_000))),
        ack: requires.ack,
        data: variant.data.clone(),
        reply,
    }
}

fn kind(kind: &RoomKind) -> KindSaid {
    let keeps = match kind.keeps {
        Keeps::Nothing => "nothing",
        Keeps::Recent { .. } => "recent",
        Keeps::Durable { .. } => "durable",
    };
    let (subscribe, publish) = (kind.subscribe.text(), kind.publish.text());
    KindSaid { name: kind.name.into(), about: kind.about.into(), subscribe, publish, keeps }
}

impl Description {
    /// Follows a reference to the type it names.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit_once('/')).map(|(_, name)| name);
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }

    /// Refuses commands that take what nobody declared, and replies that are no objects.
    fn check(&self, channel: &ChannelSaid) -> Result<(), String> {
        for command in &channel.commands {
            let data = self.resolve(&command.data);
            if data["type"] != "object" || data["additionalProperties"] != false {
                return Err(format!(
                    "the data of {} is no struct with `#[serde(deny_unknown_fields)]`",
                    command.name
                ));
            }
            let Some(reply) = command.reply.as_ref().map(|reply| self.resolve(reply)) else { continue };
            if reply["type"] != "object" {
                return Err(format!("the reply to {} is no struct", command.name));
            }
            // `ok` stands beside what it says.
            if reply["additionalProperties"] == false {
                return Err(format!("the reply to {} must not deny unknown fields", command.name));
            }
        }
        Ok(())
    }
}

/// The answer to a command as clients see it: what every answer has, and the reply.
pub(crate) fn acknowledged(command: &CommandSaid) -> Value {
    let word = match command.ack {
        AckStyle::Ok => "ok",
        AckStyle::Success => "success",
    };
    let base = serde_json::json!({
        "type": "object",
        "properties": {
            word: { "const": true },
            "duplicate": { "type": "boolean", "description": "It was done before under this key; this is the reply of then." },
            "remaining": { "type": "integer", "description": "How many more the budget lets through." },
        },
        "required": [word],
    });
    match &command.reply {
        Some(reply) => serde_json::json!({ "allOf": [base, reply] }),
        None => base,
    }
}

/// What a refused command is answered with.
pub(crate) fn refusal() -> Value {
    let codes = [
        "bad_request",
        "unauthorized",
        "token_expired",
        "forbidden",
        "second_factor",
        "password_again",
        "not_found",
        "conflict",
        "too_large",
        "rate_limited",
        "unavailable",
        "storage_full",
    ];
    serde_json::json!({
        "type": "object",
        "description": "What is told when the answer is no.",
        "properties": {
            "ok": { "const": false },
            "error": {
                "type": "object",
                "properties": {
                    "code": { "enum": codes },
                    "message": { "type": "string" },
                    "retryable": { "type": "boolean" },
                    "retryAfterMs": { "type": "integer" },
                },
                "required": ["code", "message", "retryable"],
            },
        },
        "required": ["ok", "error"],
    })
}
