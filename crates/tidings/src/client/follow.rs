//! What a follower of rooms knows: where it stands in each, and what to ask for when it comes back.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// How long a refused subscription waits if the server does not say.
const RETRY: Duration = Duration::from_secs(2);
/// Events whose times are asked for at once: the most a server answers with.
const TIMES: u32 = 1_000;

/// The rooms that are followed, over any number of connections.
#[derive(Debug)]
pub(crate) struct Follow {
    rooms: Vec<Followed>,
    rewind: Option<u32>,
}

#[derive(Debug)]
struct Followed {
    name: String,
    position: Option<Position>,
    refused: bool,
    /// Whether this connection asked for missed events, which come after the ack.
    asked_back: bool,
    /// Whether a loss was told of that the server may speak of once more.
    is_told: bool,
    /// What is coming was said before we came, until the server says that this is over.
    is_past: bool,
    /// When it was said, as far as the server told.
    times: Option<Times>,
}

/// When the events of a room's history were said, by their offsets.
#[derive(Debug)]
struct Times {
    epoch: String,
    at: HashMap<u64, String>,
    /// The newest event there was; `None` where there are newer ones than were told of.
    top: Option<u64>,
}

/// When an event was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// Just now.
    Now,
    /// Then, as the server writes it (RFC 3339).
    At(String),
    /// Before we came; the server did not tell when.
    Before,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    epoch: String,
    offset: u64,
    tag: Option<Value>,
}

/// What a message of the server comes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Nothing to do.
    Nothing,
    /// Signed in: subscribe now.
    SignedIn,
    /// An event to show, as it came, and when it was said.
    Event(Map<String, Value>, When),
    /// Something to send.
    Say(String),
    /// A sentence for the one who watches.
    Note(String),
    /// Leave and come back after this time, for this reason.
    ComeBack(Duration, String),
    /// No room is left to follow.
    Over(String),
}

impl Follow {
    /// Follows `rooms`; the first subscription of each asks for its last `rewind` events.
    pub(crate) fn new(rooms: &[String], rewind: Option<u32>) -> Self {
        let mut names: Vec<String> = rooms.to_vec();
        names.sort();
        names.dedup();
        let rooms = names
            .into_iter()
            .map(|name| Followed {
                name,
                position: None,
                refused: false,
                asked_back: false,
                is_told: false,
                is_past: false,
                times: None,
            })
            .collect();
        Self { rooms, rewind }
    }

    /// What a new connection says first: the subscription of each room, or, before one that asks for what was said,
    /// the question when that was, since replayed events do not tell.
    ///
    /// The id of a subscription is the room's place, counted from 1; that of a question is as far behind the last of those.
    pub(crate) fn greetings(&mut self) -> Vec<String> {
        let (rewind, count) = (self.rewind, self.rooms.len());
        let rooms = self.rooms.iter_mut().enumerate().filter(|(_, room)| !room.refused);
        rooms
            .map(|(index, room)| {
                let question = room.question(count + index + 1, rewind);
                question.unwrap_or_else(|| room.subscription(index + 1, rewind))
            })
            .collect()
    }

    /// Takes one message of the server.
    pub(crate) fn hear(&mut self, text: &str) -> Heard {
        let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else {
            return Heard::Note("the server sent something that is not a message".into());
        };
        match message.get("type").and_then(Value::as_str) {
            Some("auth:ok") => Heard::SignedIn,
            Some("event") => self.event(message),
            Some("ack") => self.ack(&message),
            Some("resumed") => self.resumed(&message),
            Some("gap") => self.gap(&message),
            Some("left") => self.left(&message),
            Some("skipped") => skipped(&message),
            Some("reconnect") => {
                let wait = message.get("afterMs").and_then(Value::as_u64).unwrap_or_default();
                Heard::ComeBack(Duration::from_millis(wait), "the server asks to reconnect".into())
            }
            Some("heartbeat") => match message.get("dropped").and_then(Value::as_u64) {
                Some(count @ 1..) => Heard::Note(format!("{count} volatile events were dropped")),
                _ => Heard::Nothing,
            },
            _ => Heard::Nothing,
        }
    }

    fn event(&mut self, message: Map<String, Value>) -> Heard {
        let position = Position::of(&message);
        let Some(room) = self.room(&message) else { return Heard::Nothing };
        if let (Some(seen), Some(new)) = (&room.position, &position)
            && seen.epoch == new.epoch
            && new.offset <= seen.offset
        {
            return Heard::Nothing;
        }
        let when = room.when(position.as_ref());
        room.position = position.or(room.position.take());
        Heard::Event(message, when)
    }

    fn ack(&mut self, message: &Map<String, Value>) -> Heard {
        let id = message.get("id").and_then(Value::as_u64).and_then(|id| usize::try_from(id).ok());
        let (count, rewind) = (self.rooms.len(), self.rewind);
        if let Some(place) =
            id.and_then(|id| id.checked_sub(count)).filter(|place| (1..=count).contains(place))
        {
            // Without an answer to it there are no times, and the subscription says why.
            let room = &mut self.rooms[place - 1];
            room.times = Times::of(message);
            return Heard::Say(room.subscription(place, rewind));
        }
        let Some(room) = id.and_then(|id| self.rooms.get_mut(id.checked_sub(1)?)) else {
            return Heard::Nothing;
        };
        if message.get("ok") != Some(&Value::Bool(true)) {
            return self.refused(id.unwrap_or_default(), message);
        }
        let missed = room.asked_back && message.get("recovered") == Some(&Value::Bool(false));
        if missed {
            let before = room.position.take();
            return match before {
                Some(_) => {
                    room.is_told = true;
                    Heard::Note(format!("{}: some events were missed and cannot be replayed", room.name))
                }
                None => Heard::Nothing,
            };
        }
        // Missed events still come behind the ack: its offset is where they end.
        if !room.asked_back {
            room.position = Position::of(message);
        }
        Heard::Nothing
    }

    fn refused(&mut self, id: usize, message: &Map<String, Value>) -> Heard {
        let error = message.get("error").cloned().unwrap_or_default();
        let text =
            |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("no reason given").to_owned();
        let Some(room) = self.rooms.get_mut(id.saturating_sub(1)) else { return Heard::Nothing };
        let reason = format!("{}: refused ({}): {}", room.name, text("code"), text("message"));
        if error.get("retryable") == Some(&Value::Bool(true)) {
            let wait = error.get("retryAfterMs").and_then(Value::as_u64).map_or(RETRY, Duration::from_millis);
            return Heard::ComeBack(wait, reason);
        }
        room.refused = true;
        if self.rooms.iter().all(|room| room.refused) { Heard::Over(reason) } else { Heard::Note(reason) }
    }

    fn resumed(&mut self, message: &Map<String, Value>) -> Heard {
        let position = Position::of(message);
        if let Some(room) = self.room(message) {
            room.position = position.or(room.position.take());
            room.is_past = false;
            room.times = None;
        }
        Heard::Nothing
    }

    fn gap(&mut self, message: &Map<String, Value>) -> Heard {
        let Some(room) = self.room(message) else { return Heard::Nothing };
        if std::mem::take(&mut room.is_told) {
            return Heard::Nothing;
        }
        let number = |name: &str| message.get(name).and_then(Value::as_u64);
        let lost = match (number("from"), number("to")) {
            (Some(from), Some(to)) => format!("events {from} to {to} were lost"),
            _ => "some events were lost".into(),
        };
        let reason = message.get("reason").and_then(Value::as_str).unwrap_or("no reason given");
        Heard::Note(format!("{}: {lost} ({reason})", room.name))
    }

    /// The server has taken us out of a room, and lets us in no more.
    fn left(&mut self, message: &Map<String, Value>) -> Heard {
        let Some(room) = self.room(message) else { return Heard::Nothing };
        room.refused = true;
        let reason = message.get("reason").and_then(Value::as_str).unwrap_or("no reason given");
        let reason = format!("{}: the server has taken us out ({reason})", room.name);
        if self.rooms.iter().all(|room| room.refused) { Heard::Over(reason) } else { Heard::Note(reason) }
    }

    fn room(&mut self, message: &Map<String, Value>) -> Option<&mut Followed> {
        let name = message.get("room")?.as_str()?;
        self.rooms.iter_mut().find(|room| room.name == name)
    }
}

/// What was left out because we are slow.
fn skipped(message: &Map<String, Value>) -> Heard {
    let room = message.get("room").and_then(Value::as_str).unwrap_or("everybody's");
    let count = message.get("count").and_then(Value::as_u64).unwrap_or_default();
    Heard::Note(format!("{room}: {count} volatile events were left out"))
}

impl Followed {
    fn subscription(&mut self, id: usize, rewind: Option<u32>) -> String {
        let mut message = json!({ "type": "subscribe", "id": id, "room": self.name });
        match (&self.position, rewind) {
            (Some(position), _) => {
                message["since"] = json!({ "epoch": position.epoch, "offset": position.offset });
                if let Some(tag) = &position.tag {
                    message["since"]["tag"] = tag.clone();
                }
            }
            (None, Some(count)) => message["rewind"] = count.into(),
            (None, None) => {}
        }
        self.is_told = false;
        self.asked_back = message.get("since").is_some() || message.get("rewind").is_some();
        self.is_past = self.asked_back;
        message.to_string()
    }

    /// When what the subscription will bring was said; `None` if it brings nothing of the past.
    fn question(&mut self, id: usize, rewind: Option<u32>) -> Option<String> {
        self.times = None;
        let mut message = json!({ "type": "history", "id": id, "room": self.name, "limit": TIMES });
        match (&self.position, rewind) {
            (Some(position), _) => {
                message["since"] = json!({ "epoch": position.epoch, "offset": position.offset });
            }
            (None, Some(count @ 1..)) => message["limit"] = count.min(TIMES).into(),
            (None, _) => return None,
        }
        Some(message.to_string())
    }

    /// An event without a position is not kept, so it was said just now; so was one that the history did not have yet.
    fn when(&self, position: Option<&Position>) -> When {
        let Some(position) = position.filter(|_| self.is_past) else { return When::Now };
        let Some(times) = self.times.as_ref().filter(|times| times.epoch == position.epoch) else {
            return When::Before;
        };
        match times.at.get(&position.offset) {
            Some(at) => When::At(at.clone()),
            None if times.top.is_some_and(|top| position.offset > top) => When::Now,
            None => When::Before,
        }
    }
}

impl Times {
    /// What a history tells of times; `None` if it is none.
    fn of(message: &Map<String, Value>) -> Option<Self> {
        let time = |event: &Value| Some((event["offset"].as_u64()?, event["at"].as_str()?.to_owned()));
        let at: HashMap<u64, String> = message.get("events")?.as_array()?.iter().filter_map(time).collect();
        let whole = message.get("more") == Some(&Value::Bool(false));
        let top = at.keys().copied().max().unwrap_or_default();
        Some(Self { epoch: message.get("epoch")?.as_str()?.into(), at, top: whole.then_some(top) })
    }
}

impl Position {
    fn of(message: &Map<String, Value>) -> Option<Self> {
        Some(Self {
            epoch: message.get("epoch")?.as_str()?.into(),
            offset: message.get("offset")?.as_u64()?,
            tag: message.get("tag").cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(rewind: Option<u32>) -> Follow {
        Follow::new(&["chat:1".to_owned()], rewind)
    }

    fn event(offset: u64) -> String {
        json!({"type":"event","room":"chat:1","event":"said","data":offset,"epoch":"e","offset":offset})
            .to_string()
    }

    /// Greets on a new connection, without an answer to the question; the subscription of the first room.
    fn subscribes(follow: &mut Follow) -> Value {
        let said: Value = serde_json::from_str(&follow.greetings()[0]).unwrap();
        if said["type"] == "subscribe" {
            return said;
        }
        let refused = json!({"type":"ack","id":said["id"],"ok":false,"error":{"code":"forbidden"}});
        let Heard::Say(subscription) = follow.hear(&refused.to_string()) else { panic!("nothing is said") };
        serde_json::from_str(&subscription).unwrap()
    }

    fn since(follow: &mut Follow) -> Value {
        subscribes(follow)["since"].clone()
    }

    #[test]
    fn a_room_that_was_left_is_told_and_is_not_asked_for_again() {
        let mut follow = Follow::new(&["chat:1".to_owned(), "chat:2".to_owned()], None);
        let left = |room: &str| json!({"type":"left","room":room,"reason":"forbidden"}).to_string();
        let told = "chat:1: the server has taken us out (forbidden)";
        assert_eq!(follow.hear(&left("chat:1")), Heard::Note(told.into()));
        let greetings = follow.greetings();
        assert!(greetings.len() == 1 && greetings[0].contains("chat:2"), "{greetings:?}");
        assert!(matches!(follow.hear(&left("chat:2")), Heard::Over(_)), "nothing is left to follow");
        let skipped = json!({"type":"skipped","room":"chat:1","count":3}).to_string();
        assert!(matches!(follow.hear(&skipped), Heard::Note(note) if note.contains('3')));
    }

    #[test]
    fn a_new_connection_asks_from_the_last_event_on() {
        let mut follow = one(None);
        assert_eq!(since(&mut follow), Value::Null);
        follow.hear(r#"{"type":"ack","id":1,"ok":true,"room":"chat:1","epoch":"e","offset":4}"#);
        assert_eq!(since(&mut follow), json!({"epoch":"e","offset":4}));
        assert!(matches!(follow.hear(&event(5)), Heard::Event(..)));
        assert_eq!(since(&mut follow), json!({"epoch":"e","offset":5}));
    }

    #[test]
    fn missed_events_behind_the_ack_are_shown_once() {
        let mut follow = one(Some(3));
        assert_eq!(subscribes(&mut follow)["rewind"], 3);
        follow.hear(
            r#"{"type":"ack","id":1,"ok":true,"room":"chat:1","epoch":"e","offset":9,"recovered":true}"#,
        );
        assert!(matches!(follow.hear(&event(8)), Heard::Event(_, When::Before)));
        assert!(matches!(follow.hear(&event(9)), Heard::Event(_, When::Before)));
        assert_eq!(follow.hear(&event(9)), Heard::Nothing);
        follow.hear(r#"{"type":"resumed","room":"chat:1","epoch":"e","offset":9,"tag":"t"}"#);
        assert_eq!(since(&mut follow), json!({"epoch":"e","offset":9,"tag":"t"}));
    }

    #[test]
    fn what_was_said_before_has_its_own_time_and_what_comes_after_it_the_present() {
        let mut follow = one(Some(2));
        let asked: Value = serde_json::from_str(&follow.greetings()[0]).unwrap();
        assert_eq!(asked, json!({"type":"history","id":2,"room":"chat:1","limit":2}));
        let at = |offset: u64| format!("2026-01-01T00:00:0{offset}.000Z");
        let told = json!([{"offset":7,"at":at(7)},{"offset":8,"at":at(8)}]);
        let history = json!({"type":"ack","id":2,"ok":true,"epoch":"e","events":told,"more":false});
        assert!(matches!(follow.hear(&history.to_string()), Heard::Say(said) if said.contains("rewind")));
        follow.hear(
            r#"{"type":"ack","id":1,"ok":true,"room":"chat:1","epoch":"e","offset":9,"recovered":true}"#,
        );
        let mut when = |offset: u64| match follow.hear(&event(offset)) {
            Heard::Event(_, when) => when,
            other => panic!("{other:?}"),
        };
        assert_eq!(when(6), When::Before, "further back than was told");
        assert_eq!([when(7), when(8)], [7, 8].map(|offset| When::At(at(offset))));
        assert_eq!(when(9), When::Now, "said since the question");
        follow.hear(r#"{"type":"resumed","room":"chat:1","epoch":"e","offset":9}"#);
        assert!(matches!(follow.hear(&event(10)), Heard::Event(_, When::Now)));
        let again: Value = serde_json::from_str(&follow.greetings()[0]).unwrap();
        assert_eq!((&again["type"], &again["since"]["offset"]), (&json!("history"), &json!(10)));
    }

    #[test]
    fn of_a_history_with_more_than_was_told_no_time_is_made_up() {
        let mut follow = one(Some(3));
        follow.greetings();
        let told = json!([{"offset":7,"at":"2026-01-01T00:00:07.000Z"}]);
        let history = json!({"type":"ack","id":2,"ok":true,"epoch":"e","events":told,"more":true});
        follow.hear(&history.to_string());
        assert!(matches!(follow.hear(&event(8)), Heard::Event(_, When::Before)));
    }

    #[test]
    fn a_resume_that_fails_is_told_and_starts_afresh() {
        let mut follow = one(None);
        subscribes(&mut follow);
        follow.hear(&event(5));
        subscribes(&mut follow);
        let ack =
            r#"{"type":"ack","id":1,"ok":true,"room":"chat:1","epoch":"f","offset":1,"recovered":false}"#;
        assert!(matches!(follow.hear(ack), Heard::Note(_)));
        let gap = r#"{"type":"gap","room":"chat:1","reason":"epoch","from":null,"to":null}"#;
        assert_eq!(follow.hear(gap), Heard::Nothing, "one loss is told once");
        let newer = r#"{"type":"event","room":"chat:1","event":"said","data":1,"epoch":"f","offset":1}"#;
        assert!(matches!(follow.hear(newer), Heard::Event(..)));
    }

    #[test]
    fn a_gap_is_told_with_what_is_known_of_it() {
        let mut follow = one(None);
        let known = r#"{"type":"gap","room":"chat:1","reason":"slow","from":3,"to":5}"#;
        assert_eq!(follow.hear(known), Heard::Note("chat:1: events 3 to 5 were lost (slow)".into()));
        let unknown = r#"{"type":"gap","room":"chat:1","reason":"epoch","from":null,"to":null}"#;
        assert_eq!(follow.hear(unknown), Heard::Note("chat:1: some events were lost (epoch)".into()));
    }

    #[test]
    fn a_refused_room_is_given_up_and_a_busy_one_tried_again() {
        let mut follow = Follow::new(&["a:1".into(), "b:1".into()], None);
        let refused = |id: u32| {
            let error = json!({"code":"forbidden","message":"no","retryable":false});
            json!({"type":"ack","id":id,"ok":false,"error":error}).to_string()
        };
        assert!(matches!(follow.hear(&refused(1)), Heard::Note(_)));
        assert_eq!(follow.greetings().len(), 1);
        assert!(matches!(follow.hear(&refused(2)), Heard::Over(_)));

        let busy = r#"{"type":"ack","id":1,"ok":false,"error":{"code":"unavailable","message":"later","retryable":true,"retryAfterMs":70}}"#;
        assert!(
            matches!(one(None).hear(busy), Heard::ComeBack(wait, _) if wait == Duration::from_millis(70))
        );
    }

    #[test]
    fn nothing_a_server_sends_panics() {
        let strange = [
            "",
            "[]",
            "null",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"ack"}"#,
            r#"{"type":"ack","id":0}"#,
            r#"{"type":"ack","id":2}"#,
            r#"{"type":"ack","id":2,"events":[7,{"offset":-1}],"epoch":7}"#,
            r#"{"type":"ack","id":99}"#,
            r#"{"type":"ack","id":-1}"#,
            r#"{"type":"event"}"#,
            r#"{"type":"event","room":"x:1"}"#,
            r#"{"type":"gap"}"#,
            r#"{"type":"reconnect","afterMs":-1}"#,
        ];
        for text in strange {
            one(None).hear(text);
        }
    }
}
