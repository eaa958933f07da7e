//! What became of a message for a user, put together from what all shards remember.

use serde_json::{Value, json};
use tidings_core::recorder::{Fate, Noted, Stage, What};
use tidings_core::{MessageId, Org, UserKey};
use tokio::sync::oneshot;

use crate::shard::explained::{Connection, Inquiry, Moment, Told};
use crate::shard::inbox::Mail;
use crate::shared::Shared;

/// What became of a message, hop by hop; of another organisation's as little is known as of one that never was.
pub(crate) async fn message(shared: &Shared, org: &Org, id: &str, user: Option<&str>) -> Value {
    let Some(recorder) = shared.node.recorder() else { return unknown(id, user, "nothing is recorded") };
    let parsed = MessageId::parse(id);
    let noted = parsed.and_then(|id| recorder.find(id)).filter(|noted| noted.room.org() == org);
    let Some(noted) = noted else {
        let elsewhere = parsed.is_some_and(|id| id.node != shared.node.id());
        let reason = match elsewhere {
            true => "another process accepted it, or this one before it was restarted",
            false => "it is older than what the recorder remembers, or there was none",
        };
        return unknown(id, user, reason);
    };
    let mut hops = vec![accepted(&noted), stored(&noted), handed(&noted)];
    let mut verdict = if noted.stage == Stage::Held { "held" } else { "accepted" };
    if let Some(user) = user {
        let told = ask(shared, &UserKey::new(org, user), Some(&noted)).await;
        let fates = told.connections.iter().flat_map(|connection| &connection.fates);
        verdict = match fates.min_by_key(|fate| rank(**fate)) {
            Some(fate) => word(*fate),
            None if told.is_incomplete => word(Fate::Unknown),
            None => "no_connection",
        };
        hops.extend(told.connections.iter().map(connection));
    }
    json!({ "ok": true, "messageId": id, "userId": user, "verdict": verdict, "hops": hops })
}

/// What happened to a user's connections lately, the newest first.
pub(crate) async fn user(shared: &Shared, org: &Org, user: &str) -> Value {
    let mut told = ask(shared, &UserKey::new(org, user), None).await;
    told.moments.sort_by_key(|moment| std::cmp::Reverse(moment.at_ms));
    let moments: Vec<Value> = told.moments.iter().map(moment).collect();
    json!({ "ok": true, "userId": user, "recorded": shared.node.recorder().is_some(), "moments": moments })
}

async fn ask(shared: &Shared, user: &UserKey, about: Option<&Noted>) -> Told {
    let mut all = Told::default();
    for inbox in &shared.inboxes {
        let (reply, told) = oneshot::channel();
        let inquiry = Inquiry { user: user.clone(), about: about.cloned() };
        inbox.push(Mail::Explain(Box::new(inquiry), reply));
        let Ok(told) = told.await else { continue };
        all.connections.extend(told.connections);
        all.moments.extend(told.moments);
        all.is_incomplete |= told.is_incomplete;
    }
    all
}

fn unknown(id: &str, user: Option<&str>, reason: &str) -> Value {
    let hop = json!({ "hop": "recorder", "verdict": "unknown", "reason": reason });
    json!({ "ok": true, "messageId": id, "userId": user, "verdict": "unknown", "hops": [hop] })
}

fn accepted(noted: &Noted) -> Value {
    json!({
        "hop": "accepted",
        "verdict": if noted.duplicates > 0 { "accepted_again" } else { "accepted" },
        "at": noted.at_ms,
        "room": noted.room.name(),
        "event": noted.event.as_str(),
        "lane": noted.lane.as_str(),
        "exceptSelf": noted.skip.is_some(),
        "duplicates": noted.duplicates,
    })
}

fn stored(noted: &Noted) -> Value {
    let Some(position) = noted.position else { return json!({ "hop": "stored", "verdict": "volatile" }) };
    let verdict = if noted.is_stored { "synced" } else { "memory" };
    let epoch = position.epoch.to_string();
    json!({ "hop": "stored", "verdict": verdict, "epoch": epoch, "offset": position.offset })
}

fn handed(noted: &Noted) -> Value {
    let (verdict, shards, refused) = match noted.stage {
        Stage::Held => ("held", 0, 0),
        Stage::Announced => ("everybody", 0, 0),
        Stage::Handed(handed) if handed.shards == 0 => ("nobody", 0, 0),
        Stage::Handed(handed) => {
            let verdict = if handed.refused == 0 { "handed" } else { "overrun" };
            (verdict, handed.shards.count_ones(), handed.refused.count_ones())
        }
    };
    json!({ "hop": "handed", "verdict": verdict, "shards": shards, "refused": refused })
}

fn connection(told: &Connection) -> Value {
    let best = told.fates.iter().copied().min_by_key(|fate| rank(*fate)).unwrap_or(Fate::Unknown);
    let mut hop = json!({ "hop": "connection", "socket": told.name, "verdict": word(best) });
    hop["joined"] = json!(told.joined_ms);
    hop["left"] = json!(told.left_ms);
    if let Some((at, reason, parked)) = told.closed {
        hop["closed"] = json!({ "at": at, "reason": reason, "parked": parked });
    }
    match best {
        Fate::Spared(count) => hop["dropped"] = json!(count),
        Fate::Waiting(count) => hop["waiting"] = json!(count),
        _ => {}
    }
    hop
}

/// The word for a fate in answers.
fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Sent => "sent",
        Fate::Replayed => "replayed",
        Fate::CaughtUp => "caught_up",
        Fate::HeldBack => "held_back",
        Fate::Waiting(_) => "waiting",
        Fate::Spared(_) => "dropped_or_sent",
        Fate::Lost => "lost",
        Fate::Overrun => "overrun",
        Fate::Unsent { is_certain: true } => "closed",
        Fate::Unsent { is_certain: false } => "closed_or_sent",
        Fate::FilteredByName => "filtered_events",
        Fate::FilteredByLane => "filtered_min_lane",
        Fate::FilteredForRights => "filtered_rights",
        Fate::Own => "own",
        Fate::ClosedBefore => "closed_before",
        Fate::LeftBefore => "left_before",
        Fate::JoinedLater => "joined_later",
        Fate::NotInRoom => "not_in_room",
        Fate::NotReleased => "held",
        Fate::Unknown => "unknown",
    }
}

/// Of several connections the one that came closest says what became of the message for the user.
fn rank(fate: Fate) -> u8 {
    match fate {
        Fate::Sent => 0,
        Fate::Replayed | Fate::CaughtUp => 1,
        Fate::Waiting(_) | Fate::HeldBack => 2,
        Fate::Spared(_) | Fate::Unsent { .. } | Fate::Lost | Fate::Overrun => 3,
        Fate::FilteredByName | Fate::FilteredByLane | Fate::FilteredForRights | Fate::Own => 4,
        Fate::NotReleased => 5,
        Fate::Unknown => 6,
        Fate::ClosedBefore | Fate::LeftBefore => 7,
        Fate::JoinedLater => 8,
        Fate::NotInRoom => 9,
    }
}

fn moment(moment: &Moment) -> Value {
    let mut told = json!({ "at": moment.at_ms });
    if let Some(room) = &moment.room {
        told["room"] = json!(room);
    }
    let what = match &moment.what {
        What::Left(_) => "left",
        What::Spared { count, .. } => {
            told["dropped"] = json!(count);
            "dropped"
        }
        What::HeldBack { range: (from, to), .. } => {
            (told["from"], told["to"]) = (json!(from), json!(to));
            "caught_up"
        }
        What::Lost(range) => {
            if let Some((from, to)) = range {
                (told["from"], told["to"]) = (json!(from), json!(to));
            }
            "lost"
        }
        What::Replayed { range: (from, to), .. } => {
            (told["from"], told["to"]) = (json!(from), json!(to));
            "replayed"
        }
        What::Resumed(_) => "resumed",
        What::Refused { code, count } => {
            (told["code"], told["count"]) = (json!(code), json!(count));
            "publish_refused"
        }
        What::Closed { reason, is_parked, name, .. } => {
            (told["reason"], told["parked"]) = (json!(reason), json!(is_parked));
            told["socket"] = json!(name.as_str());
            "closed"
        }
    };
    told["what"] = json!(what);
    told
}
