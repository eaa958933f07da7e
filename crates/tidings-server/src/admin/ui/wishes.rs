//! What the Admin UI wants done: `join`, `leave`, `_disconnect`.

use std::net::IpAddr;

use tidings_core::{Identity, Org, Room};

use super::super::ask::act;
use super::AdminUi;
use crate::audit::{Action, Entry, Outcome};
use crate::shard::sent_out::{Deed, Whom, Whose};
use crate::shared::Shared;

impl AdminUi {
    /// Does what an administrator wants; what cannot be understood is nothing.
    ///
    /// The page hears no answer: it sees what has come of it.
    pub(crate) async fn wish(shared: &Shared, who: &Identity, from: IpAddr, name: &str, args: &[String]) {
        if shared.admin.ui.config.readonly {
            return;
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
            Deed::Disconnect | Deed::Close => (Action::Disconnect, described(&whose)),
        };
        let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Failed };
        let count = done.unwrap_or_default();
        let entry = Entry::new(action, outcome).by_identity(who).from(from).on(object);
        shared.audit.note(entry.with(format!("{{\"connections\":{count}}}")));
    }
}

/// Whom it concerns, and what is to be done.
fn understood(shared: &Shared, org: &Org, name: &str, args: &[String]) -> Option<(Whose, Deed)> {
    let text = |at: usize| args.get(at).and_then(|arg| serde_json::from_str::<String>(arg).ok());
    let wanted = text(0)?;
    let namespace = shared.settings.namespaces.iter().position(|known| known == wanted)?;
    let namespace = Some(u8::try_from(namespace).ok()?);
    let room = |name: String| Room::new(org, &name, shared.settings.limits.room_name_bytes).ok();
    // A room has a colon in its name, the id of a socket never.
    let whom = match text(2) {
        None => Whom::Everybody,
        Some(id) => match <[u8; 20]>::try_from(id.as_bytes()) {
            Ok(id) if !id.contains(&b':') => Whom::Socket(id),
            _ => Whom::In(room(id)?),
        },
    };
    let deed = match name {
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
