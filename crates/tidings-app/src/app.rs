//! An app as a value: its name, its channels, what it brings along.

use std::time::Duration;

use tidings_core::pace::{Pacing, Per};
use tidings_core::{Keep, Lane, Roll, RoomSpec, Rule};
use tidings_store::Migration;

use crate::Pending;
use crate::channel::Channel;
use crate::ctx::Stage;
use crate::describe::Path;
use crate::mounted::{Mounted, Seat};

/// What makes an app's HTTP routes once the server is there.
pub(crate) type MakeRoutes<R> = Box<dyn FnOnce(Stage) -> R + Send>;

/// What makes an app lively when there is nobody.
pub(crate) type Demo = Box<dyn Fn(Stage) -> Pending<'static, ()> + Send + Sync>;

/// An app: what a plug-in exports, and what is mounted in one line.
///
/// `R` is what its HTTP routes are made of, by choice of the server.
pub struct App<R = ()> {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) about: &'static str,
    pub(crate) channels: Vec<Box<dyn Mounted>>,
    pub(crate) migrations: &'static [Migration],
    pub(crate) routes: Option<MakeRoutes<R>>,
    pub(crate) paths: Vec<Path>,
    pub(crate) demo: Option<Demo>,
}

impl<R> App<R> {
    /// An app without anything; its name is in paths, in the configuration and the owner of its migrations.
    pub fn new(name: &'static str, version: &'static str, about: &'static str) -> Self {
        let (channels, paths) = (Vec::new(), Vec::new());
        Self { name, version, about, channels, migrations: &[], routes: None, paths, demo: None }
    }

    /// Adds a channel.
    #[must_use]
    pub fn channel(mut self, channel: impl Channel) -> Self {
        self.channels.push(Box::new(Seat(channel)));
        self
    }

    /// Names the steps that make its tables; their owner is the app's name.
    #[must_use]
    pub fn migrations(mut self, migrations: &'static [Migration]) -> Self {
        self.migrations = migrations;
        self
    }

    /// Adds HTTP routes, which are served below `/api/NAME`.
    #[must_use]
    pub fn routes(mut self, make: impl FnOnce(Stage) -> R + Send + 'static) -> Self {
        self.routes = Some(Box::new(make));
        self
    }

    /// Says what those routes are, for the description of the HTTP API.
    #[must_use]
    pub fn paths(mut self, paths: Vec<Path>) -> Self {
        self.paths = paths;
        self
    }

    /// Names what makes the app lively where a server runs as a demo: it is started beside the server, ends
    /// with it, and is not started otherwise.
    #[must_use]
    pub fn demo<F>(mut self, demo: impl Fn(Stage) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.demo = Some(Box::new(move |stage| Box::pin(demo(stage))));
        self
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// How much rooms of a kind keep of their events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Nothing: heard by who is there, and never again.
    Nothing,
    /// The newest events in memory.
    Recent {
        /// How many events.
        size: usize,
        /// How long each is kept.
        ttl: Duration,
    },
    /// The newest events in the log, which survives the process; needed for events that must not disagree
    /// with the rows they are committed with.
    Durable {
        /// How many events.
        size: usize,
        /// How long each is kept.
        ttl: Duration,
    },
}

/// A kind of rooms, the word before the first colon of their names, and its policy.
///
/// An operator may change it by `[rooms.KIND]` like every other kind.
#[derive(Debug, Clone)]
pub struct RoomKind {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) subscribe: Rule,
    pub(crate) publish: Rule,
    pub(crate) history: Option<Rule>,
    pub(crate) presence: Option<Rule>,
    pub(crate) roll: Roll,
    pub(crate) keeps: Keeps,
    pub(crate) lane: Lane,
    pub(crate) members: Option<usize>,
    pub(crate) pacing: Option<Pacing>,
    pub(crate) diff: Option<u32>,
}

impl RoomKind {
    /// A kind whose rooms signed-in clients hear, and to which only the app speaks.
    pub fn new(name: &'static str, about: &'static str, keeps: Keeps) -> Self {
        let (subscribe, publish, lane) = (Rule::SignedIn, Rule::Nobody, Lane::Normal);
        let (history, presence, roll) = (None, None, Roll::Off);
        let (members, pacing, diff) = (None, None, None);
        Self { name, about, subscribe, publish, history, presence, roll, keeps, lane, members, pacing, diff }
    }

    /// Who may hear its rooms, and, unless said otherwise, read what was said and see who is there.
    /// [`Rule::App`] leaves it to [`Channel::admit`].
    #[must_use]
    pub fn subscribe(mut self, rule: Rule) -> Self {
        self.subscribe = rule;
        self
    }

    /// Which clients may publish by the generic command; the app itself always may.
    #[must_use]
    pub fn publish(mut self, rule: Rule) -> Self {
        self.publish = rule;
        self
    }

    /// Who may read what was said.
    #[must_use]
    pub fn history(mut self, rule: Rule) -> Self {
        self.history = Some(rule);
        self
    }

    /// Who may see who is there.
    #[must_use]
    pub fn presence(mut self, rule: Rule) -> Self {
        self.presence = Some(rule);
        self
    }

    /// What members are shown of each other as they come and go.
    #[must_use]
    pub fn roll(mut self, roll: Roll) -> Self {
        self.roll = roll;
        self
    }

    /// The lane of its events where none is named.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// Members of one room at most on a node.
    #[must_use]
    pub fn members(mut self, most: usize) -> Self {
        self.members = Some(most);
        self
    }

    /// Lets at most one event of a scope through in an interval, of those that follow within it the newest when it is
    /// over ([`Event::slot`](crate::Event::slot) says what an event is about). What comes through is recorded then. Not
    /// for [`Keeps::Durable`], nor beside [`RoomKind::batch`].
    #[must_use]
    pub fn pace(mut self, interval: Duration, per: Per) -> Self {
        self.pacing = Some(Pacing::Throttle { interval_ms: interval.as_millis() as u64, per });
        self
    }

    /// Lets events gather and leave together: `most` at once, or what there is after `wait`; of one name and slot the
    /// newest, but of [`Keeps::Durable`] all, which are stored at once and gather on the way to each client. Not beside
    /// [`RoomKind::pace`].
    #[must_use]
    pub fn batch(mut self, wait: Duration, most: usize) -> Self {
        self.pacing = Some(Pacing::Batch { wait_ms: wait.as_millis() as u64, most });
        self
    }

    /// Sends of an event's object only the members that have changed since the last of its name and slot, and all of
    /// them every so-many-th time and whenever somebody may lack what was said before. Not for [`Keeps::Durable`].
    #[must_use]
    pub fn diff(mut self, full_every: u32) -> Self {
        self.diff = Some(full_every);
        self
    }

    /// The kind's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The policy as the core keeps it; `bytes` is what a room may take in memory.
    pub fn spec(&self, bytes: usize) -> RoomSpec {
        let keep = match self.keeps {
            Keeps::Nothing => Keep::Nothing,
            Keeps::Recent { size, ttl } => Keep::Recent { size, ttl, bytes },
            Keeps::Durable { size, ttl } => Keep::Durable { size, ttl, bytes, log_bytes: u64::MAX },
        };
        RoomSpec {
            subscribe: self.subscribe.clone(),
            publish: self.publish.clone(),
            history: self.history.clone().unwrap_or_else(|| self.subscribe.clone()),
            presence: self.presence.clone().unwrap_or_else(|| self.subscribe.clone()),
            roll: self.roll,
            keep,
            lane: self.lane,
            members: self.members,
            message_bytes: None,
            publish_rate: None,
            pacing: self.pacing,
            diff: self.diff,
        }
    }
}
