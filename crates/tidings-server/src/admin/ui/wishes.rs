//! What the Admin UI wants done: `emit`, `join`, `leave`, `_disconnect`.

use std::net::IpAddr;

use tidings_core::{Identity, Org, Payload, Publish, Room};
use tidings_wire::plain;

use super::super::ask::act;
use super::AdminUi;
use crate::audit::{Action, Entry, Outcome};
use crate::hooks::{Caller, Draft, Entrance};
use crate::shard::sent_out::{Deed, Emitted, Whom, Whose};
use crate::shared::Shared;

impl AdminUi {
    /// Does what an administrator wants; what cannot be understood is nothing.
    ///
    /// The page hears no answer: it sees what has come of it.
    pub(crate) async fn wish(shared: &Shared, who: &Identity, from: IpAddr, name: &str, args: &[String]) {
        if shared.admin.ui.config.readonly {
            return;
        }
        if let Some(said) = Said::understood(shared, &who.org, name, args) {
            return said.publish(shared, who, from).await;
        }
        let Some((whose, deed)) = understood(shared, &who.org, name, args) else { return };
        let Ok(_leave) = shared.admin.may_walk() else { return };
        // A shard does not wait until a room is read from the log; what is not read then cannot be joined.
        if let Deed::Join(room) = &deed
            && shared.node.kinds().spec(room).is_ok_and(|spec| spec.keep.is_durable())
            && let Err(refusal) = shared.load(room).await
        {
            return tracing::warn!(%refusal, "a room for the Admin UI could not be read");
        }
        let done = act(shared, &whose, &deed).await;
        let (action, object) = match &deed {
            Deed::Join(room) => (Action::RoomJoin, format!("{} into {}", described(&whose), room.name())),
            Deed::Leave(room) => (Action::RoomKick, format!("{} from {}", described(&whose), room.name())),
            Deed::Emit(event) => (Action::Emit, format!("{} to {}", event.name, described(&whose))),
            Deed::Disconnect | Deed::Close => (Action::Disconnect, described(&whose)),
        };
        let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Failed };
        let count = done.unwrap_or_default();
        let entry = Entry::new(action, outcome).by_identity(who).from(from).on(object);
        shared.audit.note(entry.with(format!("{{\"connections\":{count}}}")));
    }
}

/// An event for a room: it is published there, as by any server of the organisation.
struct Said {
    room: Room,
    event: Emitted,
}

impl Said {
    fn understood(shared: &Shared, org: &Org, name: &str, args: &[String]) -> Option<Self> {
        let id = text(args, 1).filter(|id| name == "emit" && id.contains(':'))?;
        let room = Room::new(org, &id, shared.settings.limits.room_name_bytes).ok()?;
        // What rooms hear has one value.
        let event = emitted(shared, args).filter(|event| event.args.len() <= 1)?;
        Some(Self { room, event })
    }

    /// The room's rules, limits and hooks hold, and it is kept as its kind says.
    async fn publish(self, shared: &Shared, who: &Identity, from: IpAddr) {
        let Self { room, event } = self;
        let data = event.args.first().map_or("null", String::as_str);
        let caller = Caller { who, connection: None, address: from, entrance: Entrance::SocketIo };
        let what = Publish::new(room.clone(), &event.name, Payload::json(data.to_owned()));
        let done = async {
            shared.begin_publish(&caller, Draft { event: &event.name, data }, &what).await?.done().await
        };
        let done = done.await;
        let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Refused };
        let object = format!("{} to {}", event.name, room.name());
        let entry = Entry::new(Action::Emit, outcome).by_identity(who).from(from).on(object);
        shared.audit.note(match done {
            Ok(_) => entry,
            Err(refusal) => entry.because(refusal.code.as_str()),
        });
    }
}

/// An argument that is text.
fn text(args: &[String], at: usize) -> Option<String> {
    args.get(at).and_then(|arg| serde_json::from_str::<String>(arg).ok())
}

/// The event behind a namespace and whom it is for.
fn emitted(shared: &Shared, args: &[String]) -> Option<Emitted> {
    let name = text(args, 2).filter(|name| plain::is_free_event_name(name, &shared.settings.limits))?;
    let args = args.get(3..)?.to_vec();
    // Binary does not come with it.
    let is_whole = !args.iter().any(|arg| arg.contains("\"_placeholder\""));
    is_whole.then(|| Emitted { name: name.into(), args })
}

/// Whom it concerns, and what is to be done.
fn understood(shared: &Shared, org: &Org, name: &str, args: &[String]) -> Option<(Whose, Deed)> {
    let text = |at: usize| text(args, at);
    let wanted = text(0)?;
    let namespace = shared.settings.namespaces.iter().position(|known| known == wanted)?;
    let namespace = Some(u8::try_from(namespace).ok()?);
    let room = |name: String| Room::new(org, &name, shared.settings.limits.room_name_bytes).ok();
    // A room has a colon in its name, the id of a socket never.
    let whom = match text(if name == "emit" { 1 } else { 2 }) {
        None => Whom::Everybody,
        Some(id) => match <[u8; 20]>::try_from(id.as_bytes()) {
            Ok(id) if !id.contains(&b':') => Whom::Socket(id),
            _ => Whom::In(room(id)?),
        },
    };
    let deed = match name {
        "emit" => Deed::Emit(emitted(shared, args)?),
        "join" => Deed::Join(room(text(1)?)?),
        "leave" => Deed::Leave(room(text(1)?)?),
        "_disconnect" if args.get(1).is_some_and(|close| close == "true") => Deed::Close,
        "_disconnect" => Deed::Disconnect,
        _ => return None,
    };
    Some((Whose { org: org.clone(), namespace, whom }, deed))
}

fn described(whose: &Whose) -> String {
    match &whose.whom {
        Whom::User(user) => format!("user {user}"),
        Whom::Socket(_) => "a socket".into(),
        Whom::In(room) => format!("who is in {}", room.name()),
        Whom::Everybody => "everybody".into(),
    }
}
