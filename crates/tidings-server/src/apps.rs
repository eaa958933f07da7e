//! The mounted apps: what the server does for them, and when it calls them.

mod engine;
mod peer;
mod tasks;

use std::ops::Deref;
use std::sync::Arc;

use tidings_app::registry::{Place, Routes};
use tidings_app::{AckStyle, App, Call, Registry, Requires};
use tidings_core::limits::{OWN_RATES, OwnRate};
use tidings_core::{Action, Answer, Code, Identity, Refusal, Room, Rule};
use tidings_wire::json::write_string;

pub(crate) use engine::Backing;
pub(crate) use peer::{Connection, Entering};
pub(crate) use tasks::start;

use crate::config::Config;
use crate::hooks::Caller;
use crate::server::StartError;
use crate::shard::write_remaining;
use crate::shared::Shared;

/// The mounted apps, and what the server keeps beside them.
#[derive(Default)]
pub(crate) struct Apps {
    registry: Registry,
    /// Buckets of commands that have one of their own.
    rates: Vec<(&'static Requires, OwnRate)>,
}

impl Deref for Apps {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}

/// What makes the HTTP routes of mounted apps.
pub(crate) type AppRoutes = Routes<axum::Router>;

impl Apps {
    /// Mounts the apps that are not switched off.
    ///
    /// # Errors
    /// [`StartError::Config`]: two claims of one name, or the configuration names an app that is not there.
    pub(crate) fn mount(
        config: &Config,
        apps: Vec<App<axum::Router>>,
        kinds_with_rates: usize,
    ) -> Result<(Self, AppRoutes), StartError> {
        if let Some(name) =
            config.apps.keys().find(|name| !apps.iter().any(|app| app.name() == name.as_str()))
        {
            return Err(StartError::Config(format!("[apps.{name}]: this server has no app of that name")));
        }
        let enabled = |app: &App<_>| config.apps.get(app.name()).is_none_or(|app| app.enabled);
        let apps = apps.into_iter().filter(enabled).collect();
        let (registry, routes) =
            Registry::new(apps).map_err(|error| StartError::Config(error.to_string()))?;
        let own = registry.rated().zip((0..OWN_RATES).rev());
        let rates: Vec<_> =
            own.filter_map(|(requires, at)| Some((requires, OwnRate { at, rate: requires.rate? }))).collect();
        if registry.rated().count() + kinds_with_rates > OWN_RATES {
            let problem =
                format!("more than {OWN_RATES} commands and kinds of rooms have a rate of their own");
            return Err(StartError::Config(problem));
        }
        Ok((Self { registry, rates }, routes))
    }

    /// The bucket of a command, if it has one of its own.
    pub(crate) fn rate(&self, requires: &Requires) -> Option<OwnRate> {
        self.rates.iter().find(|(known, _)| std::ptr::eq(*known, requires)).map(|(_, rate)| *rate)
    }
}

/// A command that was said, wherever.
pub(crate) struct SaidCommand {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The data, JSON that was checked.
    pub(crate) data: String,
    pub(crate) key: Option<String>,
    /// How many more the budget lets through.
    pub(crate) remaining: Option<u64>,
}

impl Shared {
    /// Does a command of an app; the acknowledgement as JSON.
    ///
    /// # Errors
    /// What its client is told.
    pub(crate) async fn app_command(
        &self,
        said: &SaidCommand,
        caller: tidings_app::Caller,
    ) -> Result<Vec<u8>, Refusal> {
        let Some(place) = self.apps.find(&said.namespace, &said.name) else { return Err(no_such_command()) };
        let call = Call { caller: &caller, key: said.key.as_deref() };
        let reply = self.apps.call(place, &said.data, call).await?;
        let mut body = reply.open(place.requires.ack);
        write_remaining(&mut body, said.remaining);
        body.push(b'}');
        Ok(body)
    }

    /// Whether a room's rule leaves it to the room's app who may do something.
    pub(crate) fn app_decides(&self, room: &Room, action: Action) -> bool {
        let kinds = self.node.kinds();
        self.apps.owns(room.kind()) && kinds.spec(room).is_ok_and(|spec| *spec.rule(action) == Rule::App)
    }

    /// Asks a room's app whether somebody may do something there.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it cannot say.
    pub(crate) async fn ask_app(
        &self,
        caller: &Caller<'_>,
        room: &Room,
        action: Action,
    ) -> Result<Answer, Refusal> {
        let caller = tidings_app::Caller::new(Arc::new(caller.who.clone()));
        let refusal = match self.apps.admit(room, action, caller.clone()).await {
            Ok(()) => return Ok(Answer::Allow),
            Err(refusal) => refusal,
        };
        // Why one may not speak is told to who may hear the room; others are told that there is none.
        let is_told = action == Action::Publish
            && self.app_decides(room, Action::Subscribe)
            && self.apps.admit(room, Action::Subscribe, caller).await.is_ok();
        if is_told || refusal.code == Code::Unavailable {
            return Err(refusal);
        }
        Ok(Answer::Deny(Some(refusal)))
    }

    /// Tells apps who left their rooms.
    pub(crate) fn tell_left(self: &Arc<Self>, who: &Arc<Identity>, rooms: Vec<Room>) {
        if rooms.is_empty() {
            return;
        }
        let (shared, who) = (self.clone(), who.clone());
        self.front.spawn(async move {
            for room in rooms {
                shared.apps.left(&room, who.clone()).await;
            }
        });
    }
}

/// What is told for a command that nobody has.
pub(crate) fn no_such_command() -> Refusal {
    Refusal::new(Code::NotFound, "no such command")
}

/// The acknowledgement of a refused command, for front ends that were there before.
pub(crate) fn refused_as(place: Place<'_>, refusal: &Refusal) -> Option<Vec<u8>> {
    if place.requires.ack == AckStyle::Ok {
        return None;
    }
    let mut body = b"{\"success\":false,\"error\":".to_vec();
    write_string(&mut body, &refusal.message);
    body.extend_from_slice(b",\"code\":");
    write_string(&mut body, refusal.code.as_str());
    body.push(b'}');
    Some(body)
}
