//! Who answers what: (namespace, command) and kinds of rooms, to the channel they are of.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tidings_core::pace::Pacing;
use tidings_core::{Action, Code, Identity, Position, Refusal, Room, Rule};
use tidings_store::{Migration, Store, StoreError};

use crate::Pending;
use crate::app::{App, Demo, MakeRoutes, RoomKind};
use crate::caught;
use crate::command::{AckStyle, Requires};
use crate::ctx::{Calling, Stage, Told, before};
use crate::describe::{self, Description};
use crate::engine::{Caller, Engine};
use crate::mounted::Mounted;
use crate::once;

/// How long a command, a join or a question may take before it is `unavailable`.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Commands of the engine itself, which no app can claim on `/`; `auth` on no namespace.
pub const ENGINE_COMMANDS: [&str; 8] =
    ["subscribe", "unsubscribe", "publish", "history", "presence", "presence:set", "ping", "auth"];

/// Kinds of rooms that come with the server.
pub const ENGINE_KINDS: [&str; 6] = ["lobby", "user", "metrics", "admin", "operator", "bench"];

/// Why apps cannot be mounted together, or one of them not at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the app {app}: {problem}")]
pub struct RegistryError {
    /// The app.
    pub app: String,
    /// What is wrong.
    pub problem: String,
}

/// How a command was said.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Who says it.
    pub caller: &'a Caller,
    /// The idempotency key it was said with.
    pub key: Option<&'a str>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply, a JSON object; `null` for none.
    pub json: String,
    /// It was done before, under the same key; this is what was answered then.
    pub duplicate: bool,
}

/// How a room stands for a newcomer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// As JSON; `null` for none.
    pub json: String,
    /// After what it is; `None`: before the room's first event.
    pub moment: Option<Position>,
}

/// A command and the channel it is of.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// What it requires.
    pub requires: &'static Requires,
    channel: &'a dyn Mounted,
}

struct Entry {
    name: &'static str,
    channels: Vec<Box<dyn Mounted>>,
    migrations: &'static [Migration],
    demo: Option<Demo>,
}

/// Where a channel stands: app and channel, counted from 0.
type At = (usize, usize);

/// The mounted apps.
#[derive(Default)]
pub struct Registry {
    apps: Vec<Entry>,
    commands: HashMap<&'static str, HashMap<&'static str, (At, &'static Requires)>>,
    kinds: HashMap<&'static str, At>,
    declared: Vec<RoomKind>,
    description: Description,
    engine: OnceLock<Arc<dyn Engine>>,
}

/// What makes an app's HTTP routes, by the app's name.
pub struct Routes<R>(Vec<(&'static str, MakeRoutes<R>)>);

impl<R> Routes<R> {
    /// Makes them, now that the server is there.
    pub fn make(self, registry: &Registry) -> Vec<(&'static str, R)> {
        let Some(stage) = registry.stage() else { return Vec::new() };
        self.0.into_iter().map(|(name, make)| (name, make(stage.clone()))).collect()
    }
}

impl Registry {
    /// Mounts apps.
    ///
    /// # Errors
    /// Two claims of one name, command or kind; a command without rules or rules without a command; a command
    /// that takes unknown fields; a migration in another's name.
    pub fn new<R>(apps: Vec<App<R>>) -> Result<(Self, Routes<R>), RegistryError> {
        let (mut registry, mut routes) = (Self::default(), Vec::new());
        registry.description = describe::describe(&apps)?;
        for app in apps {
            let App { name, channels, migrations, routes: made, demo, .. } = app;
            let refuse = |problem: String| RegistryError { app: name.into(), problem };
            if registry.apps.iter().any(|known| known.name == name) {
                return Err(refuse("there is another app of this name".into()));
            }
            if let Some(foreign) = migrations.iter().find(|migration| migration.owner != name) {
                return Err(refuse(format!("a migration is in the name of {}", foreign.owner)));
            }
            let at = registry.apps.len();
            for (place, channel) in channels.iter().enumerate() {
                registry.claim((at, place), channel.as_ref()).map_err(refuse)?;
            }
            routes.extend(made.map(|made| (name, made)));
            registry.apps.push(Entry { name, channels, migrations, demo });
        }
        Ok((registry, Routes(routes)))
    }

    /// Puts a channel's commands and kinds where they are found.
    fn claim(&mut self, at: At, channel: &dyn Mounted) -> Result<(), String> {
        let namespace = channel.namespace();
        let commands = self.commands.entry(namespace).or_default();
        for requires in channel.rules() {
            let reserved =
                requires.name == "auth" || namespace == "/" && ENGINE_COMMANDS.contains(&requires.name);
            if reserved || commands.insert(requires.name, (at, requires)).is_some() {
                return Err(format!("the command {} on {namespace} is somebody else's", requires.name));
            }
            if requires.rule == Rule::Ask || requires.rule == Rule::App {
                return Err(format!("the rule of {} is for rooms, not for commands", requires.name));
            }
        }
        for kind in channel.kinds() {
            let reserved = ENGINE_KINDS.contains(&kind.name) && kind.name != "metrics";
            if reserved || self.kinds.insert(kind.name, at).is_some() {
                return Err(format!("the rooms {}:… are somebody else's", kind.name));
            }
            let durable = matches!(kind.keeps, crate::Keeps::Durable { .. });
            let throttled = matches!(kind.pacing, Some(Pacing::Throttle { .. }));
            if durable && (throttled || kind.diff.is_some()) {
                return Err(format!(
                    "the rooms {}:… are durable: what they acknowledge is stored as it is, neither replaced nor in parts",
                    kind.name
                ));
            }
            self.declared.push(kind);
        }
        Ok(())
    }

    /// Names who does things for apps; once.
    pub fn bind(&self, engine: Arc<dyn Engine>) {
        // A second server over the same apps goes on with the first's.
        let _ = self.engine.set(engine);
    }

    fn stage(&self) -> Option<Stage> {
        self.engine.get().map(|engine| Stage { engine: engine.clone() })
    }

    fn engine(&self) -> Result<Arc<dyn Engine>, Refusal> {
        let engine = self.engine.get().cloned();
        engine.ok_or_else(|| Refusal::new(Code::Unavailable, "the server is not there yet"))
    }

    /// Whether no app is mounted.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// Namespaces that apps have channels on.
    pub fn namespaces(&self) -> impl Iterator<Item = &'static str> {
        self.commands.keys().copied()
    }

    /// The kinds of rooms that apps declare.
    pub fn kinds(&self) -> &[RoomKind] {
        &self.declared
    }

    /// Commands with a bucket of their own.
    pub fn rated(&self) -> impl Iterator<Item = &'static Requires> {
        let all = self.apps.iter().flat_map(|app| &app.channels).flat_map(|channel| channel.rules());
        all.filter(|requires| requires.rate.is_some())
    }

    /// What is said of all of it.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Kinds of rooms whose `kind:USERID` one is in at once on entering a namespace.
    pub fn personal(&self, namespace: &str) -> impl Iterator<Item = &'static str> {
        self.on(namespace).flat_map(|channel| channel.personal().iter().copied())
    }

    fn on(&self, namespace: &str) -> impl Iterator<Item = &dyn Mounted> {
        let all = self.apps.iter().flat_map(|app| &app.channels).map(AsRef::as_ref);
        all.filter(move |channel| channel.namespace() == namespace)
    }

    /// Brings every app's tables to their shape.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn migrate(&self, store: &Store) -> Result<(), StoreError> {
        store.migrate(once::MIGRATIONS).await?;
        for app in &self.apps {
            store.migrate(app.migrations).await?;
        }
        Ok(())
    }

    /// Whether some app has tables, and so needs a store.
    pub fn needs_a_store(&self) -> bool {
        self.apps.iter().any(|app| !app.migrations.is_empty())
    }

    /// Deletes keys of commands whose time is over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn prune(&self, store: &Store, now_ms: u64) -> Result<u64, StoreError> {
        once::prune(store, now_ms).await
    }

    /// Finds a command.
    pub fn find(&self, namespace: &str, command: &str) -> Option<Place<'_>> {
        let (at, requires) = self.commands.get(namespace)?.get(command)?;
        Some(Place { requires, channel: self.at(*at)? })
    }

    fn at(&self, (app, channel): At) -> Option<&dyn Mounted> {
        self.apps.get(app)?.channels.get(channel).map(AsRef::as_ref)
    }

    /// Whether rooms of a kind are an app's.
    pub fn owns(&self, kind: &str) -> bool {
        self.kinds.contains_key(kind)
    }

    fn of_kind(&self, room: &Room) -> Result<&dyn Mounted, Refusal> {
        let channel = self.kinds.get(room.kind()).and_then(|at| self.at(*at));
        channel.ok_or_else(Refusal::no_such_room)
    }

    /// Does a command.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn call(&self, place: Place<'_>, data: &str, call: Call<'_>) -> Result<Reply, Refusal> {
        let mut calling = Calling::new(self.engine()?, call.caller.clone());
        let done = in_time(place.channel.handle(place.requires, data, call, &mut calling)).await;
        if let Some(json) = calling.replayed() {
            return Ok(Reply { json, duplicate: true });
        }
        match done {
            Ok(json) => Ok(Reply { json, duplicate: false }),
            Err(refusal) => match Box::pin(answered_before(&calling)).await {
                Some(reply) => reply,
                None => Err(refusal),
            },
        }
    }

    /// How a room stands, for somebody who may hear it.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn join(&self, room: &Room, caller: Caller) -> Result<Snapshot, Refusal> {
        let channel = self.of_kind(room)?;
        let calling = Calling::joining(self.engine()?, caller, room);
        let json = in_time(channel.join(&calling, room)).await?;
        Ok(Snapshot { json, moment: calling.moment() })
    }

    /// Whether somebody may do something in a room whose rule leaves it to its app.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn admit(&self, room: &Room, action: Action, caller: Caller) -> Result<(), Refusal> {
        let channel = self.of_kind(room)?;
        let calling = Calling::new(self.engine()?, caller);
        in_time(channel.admit(&calling, room, action)).await
    }

    /// Somebody was in a room.
    pub async fn left(&self, room: &Room, who: Arc<Identity>) {
        let (Ok(channel), Ok(engine)) = (self.of_kind(room), self.engine()) else { return };
        let calling = Calling::new(engine, Caller::new(who));
        told(in_time(done(channel.leave(&calling, room))).await);
    }

    /// Whether some channel wants to know who enters a namespace.
    pub fn welcomes(&self, namespace: &str) -> bool {
        self.on(namespace).any(Mounted::welcomes)
    }

    /// Somebody has entered a namespace.
    pub async fn connected(&self, namespace: &str, caller: Caller) {
        for channel in self.on(namespace).filter(|channel| channel.welcomes()) {
            let Ok(engine) = self.engine() else { return };
            let calling = Calling::new(engine, caller.clone());
            told(in_time(done(channel.connected(&calling))).await);
        }
    }

    /// A user has become invisible to others, or visible again.
    pub async fn shown(&self, caller: Caller) {
        for (_, channel) in self.channels().into_iter().filter_map(|at| Some((at, self.at(at)?))) {
            let Ok(engine) = self.engine() else { return };
            let calling = Calling::new(engine, caller.clone());
            told(in_time(done(channel.shown(&calling))).await);
        }
    }

    /// What makes apps lively where a server runs as a demo.
    pub fn demos(&self) -> Vec<Pending<'static, ()>> {
        let Some(stage) = self.stage() else { return Vec::new() };
        self.apps.iter().filter_map(|app| app.demo.as_ref()).map(|demo| demo(stage.clone())).collect()
    }

    /// How many channels there are; each is woken by itself.
    pub fn channels(&self) -> Vec<(usize, usize)> {
        let count =
            |(at, app): (usize, &Entry)| (0..app.channels.len()).map(move |channel| (at, channel)).collect();
        self.apps.iter().enumerate().flat_map(|app| -> Vec<At> { count(app) }).collect()
    }

    /// Wakes a channel; when it wants to be woken again.
    pub async fn wake(&self, at: (usize, usize)) -> Option<Duration> {
        let (channel, stage) = (self.at(at)?, self.stage()?);
        let next = in_time(async { Ok(channel.wake(stage).await) }).await;
        next.unwrap_or_else(|refusal| {
            tracing::error!(%refusal, namespace = channel.namespace(), "a channel was woken in vain");
            Some(ANSWER)
        })
    }
}

/// Something that cannot be refused, as something that is not.
async fn done(telling: impl Future<Output = ()>) -> Result<(), Refusal> {
    telling.await;
    Ok(())
}

fn told(done: Result<(), Refusal>) {
    if let Err(refusal) = done {
        tracing::error!(%refusal, "an app was told in vain");
    }
}

/// What a refused command was answered with, if it is another attempt at one that was done: by then the
/// same may well be refused.
async fn answered_before(calling: &Calling) -> Option<Result<Reply, Refusal>> {
    let told = before(&calling.engine, calling.once.as_ref()?).await?;
    Some(told.map(|Told { json, duplicate }| Reply { json, duplicate }))
}

/// Bounds the time of an app's answer, and survives its panic.
async fn in_time<T>(answer: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    match tokio::time::timeout(ANSWER, caught("an app", answer)).await {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(Refusal::new(Code::Unavailable, "the app has failed")),
        Err(_) => Err(Refusal::new(Code::Unavailable, "the app took too long")),
    }
}

impl Reply {
    /// The acknowledgement, without its last brace: more can be appended.
    pub fn open(&self, style: AckStyle) -> Vec<u8> {
        let mut out = match style {
            AckStyle::Ok => b"{\"ok\":true".to_vec(),
            AckStyle::Success => b"{\"success\":true".to_vec(),
        };
        let members = self.json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        if !members.is_empty() {
            out.push(b',');
            out.extend_from_slice(members.as_bytes());
        }
        if self.duplicate {
            out.extend_from_slice(b",\"duplicate\":true");
        }
        out
    }
}
