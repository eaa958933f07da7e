//! Events that a client has to acknowledge: so many at once, and it cannot answer for what it was not asked.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_server::client::Answer;
use tidings_server::{AckArgs, Call, Extras, Handler};
use tokio::sync::oneshot::Receiver;

use crate::common::{Wire, config, user, with_extras};

/// Asks its client three things for each that it is told, and says how many answers it has or waits for.
#[derive(Default)]
struct Curious(Mutex<Vec<Receiver<AckArgs>>>);

impl Handler for Curious {
    fn handle(&self, call: Call) -> Answer<'_, ()> {
        let mut owed = self.0.lock().unwrap();
        if call.name == "more" {
            owed.extend((0..3).map(|_| call.client.emit_with_ack("question", Vec::new(), Vec::new())));
        }
        let (mut waiting, mut answered) = (0, Vec::new());
        owed.retain_mut(|answer| match answer.try_recv() {
            Ok((args, _)) => {
                answered.extend(args);
                false
            }
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) => {
                waiting += 1;
                true
            }
            Err(tokio::sync::oneshot::error::TryRecvError::Closed) => false,
        });
        call.ack(vec![json!({ "waiting": waiting, "answered": answered }).to_string()], Vec::new());
        Box::pin(async {})
    }
}

/// Says something; what the handler counted, and the ids of the questions that came before its answer.
fn say(wire: &mut Wire, event: &str) -> (Value, Vec<String>) {
    wire.say(&format!("421[\"{event}\"]"));
    let mut ids = Vec::new();
    loop {
        let text = wire.hear("");
        if let Some(question) = text.strip_suffix("[\"question\"]") {
            ids.push(question[2..].to_owned());
        }
        if let Some(answer) = text.strip_prefix("431[") {
            return (serde_json::from_str(answer.trim_end_matches(']')).unwrap(), ids);
        }
    }
}

#[test]
fn a_client_owes_so_many_answers_at_once_and_gives_those_alone_that_it_owes() {
    let mut config = config();
    config.limits.outstanding_acks = 4;
    let extras = Extras { handler: Some(Arc::new(Curious::default())), ..Extras::default() };
    with_extras(&config, extras, |addr, _| {
        let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        wire.hear("\"sid\"");
        wire.say(&format!("40{{\"token\":\"{}\"}}", user("alice")));
        wire.hear("40{");
        let (_, first) = say(&mut wire, "more");
        let (_, second) = say(&mut wire, "more");
        let ids: Vec<String> = [first, second].concat();
        assert_eq!(ids.iter().filter(|id| !id.is_empty()).count(), 4, "{ids:?}");
        assert_eq!(ids.len(), 6, "what is one too many is sent without a question");
        assert_eq!(say(&mut wire, "count").0, json!({ "waiting": 4, "answered": [] }));
        for stranger in ["8888888", "9999999999999999999", "7777777"] {
            wire.say(&format!("43{stranger}[\"forged\"]"));
        }
        assert_eq!(say(&mut wire, "count").0["waiting"], 4, "answers nobody asked for are nothing");
        wire.say(&format!("43{}[\"true\"]", ids[0]));
        wire.say(&format!("43{}[\"again\"]", ids[0]));
        assert_eq!(say(&mut wire, "count").0, json!({ "waiting": 3, "answered": ["\"true\""] }));
        let (_, third) = say(&mut wire, "more");
        assert_eq!(third.iter().filter(|id| !id.is_empty()).count(), 1, "an answer makes room");
    });
}
