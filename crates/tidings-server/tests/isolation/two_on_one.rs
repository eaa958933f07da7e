//! One connection on which somebody is first in one organisation and then in another.

use serde_json::json;

use crate::bed::{token, two_shards};
use crate::client::{Client, Door, Ticket};
use crate::common::{Wire, with_server};
use crate::http::Http;

#[test]
fn what_was_heard_in_one_organisation_does_not_count_as_heard_in_the_next() {
    with_server(&two_shards(), |addr, _| {
        let tokens = ["acme", "globex"].map(|org| token(&json!({ "sub": "alice", "org": org })));
        let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        let enter = |wire: &mut Wire, token: &str| {
            wire.say(&format!("40{{\"token\":\"{token}\"}}"));
            let pid = wire.hear("40{\"sid\"").split('"').nth(7).unwrap().to_owned();
            wire.say("420[\"subscribe\",{\"room\":\"lobby:1\"}]");
            wire.hear("430[{\"ok\":true");
            pid
        };
        enter(&mut wire, &tokens[0]);
        for at in 0..9 {
            let body = json!({ "room": "lobby:1", "event": "said", "data": format!("number {at}") });
            wire.say(&format!("421[\"publish\",{body}]"));
            wire.hear(&format!("number {at}"));
        }
        wire.say("41");
        let pid = enter(&mut wire, &tokens[1]);
        drop(wire);

        let body = json!({ "room": "lobby:1", "event": "said", "data": "while away" }).to_string();
        assert_eq!(Http::new(addr).as_bearer("POST", "/api/publish", &tokens[1], &body).status, 200);
        // An event that is not recorded may have taken the offset's place.
        let ticket = Ticket { pid: pid.clone(), offset: Some("spoilt".into()) };
        let back = Client::resume(addr, Door::SocketIo, Some(&tokens[1]), Some(&ticket));
        let mut back = back.unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(back.ticket.as_ref().map(|ticket| ticket.pid.as_str()), Some(pid.as_str()));
        back.settle();
        assert!(back.heard.iter().any(|text| text.contains("while away")), "{:?}", back.heard);
    });
}
