//! Clients that say they are somebody else, or come with the session of somebody else.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::common::{Wire, config, http, token, user, with_server};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[test]
fn who_one_is_stands_in_the_token_and_nowhere_else() {
    with_server(&config(), |addr, _| {
        let lies =
            "\"userId\":\"root\",\"sub\":\"root\",\"org\":\"other\",\"roles\":[\"admin\"],\"name\":\"Root\"";
        let mut plain = Wire::open(addr, "/ws");
        plain.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\",{lies}}}", user("mallory")));
        let told: Value = serde_json::from_str(&plain.hear("auth:ok")).unwrap();
        assert_eq!((&told["userId"], &told["org"]), (&json!("mallory"), &json!("default")));
        let subscribe = format!("\"type\":\"subscribe\",\"room\":\"lobby:liars\",{lies}");
        assert_eq!(plain.ask(1, &subscribe)["ok"], true);
        assert_eq!(plain.ask(2, &format!("\"type\":\"subscribe\",\"room\":\"admin:x\",{lies}"))["ok"], false);

        let mut socket_io = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket&userId=root&org=other");
        socket_io.hear("\"sid\"");
        socket_io.say(&format!("40{{\"token\":\"{}\",{lies}}}", user("eve")));
        socket_io.hear("40{");
        socket_io.say(&format!("421[\"subscribe\",{{\"room\":\"lobby:liars\",{lies}}}]"));
        assert!(socket_io.hear("431[").contains("\"ok\":true"));

        let seen = plain.ask(3, "\"type\":\"presence\",\"room\":\"lobby:liars\"");
        let members = seen["members"].as_array().unwrap();
        let names: Vec<_> = members.iter().map(|member| (&member["userId"], &member["name"])).collect();
        assert_eq!(names, [(&json!("eve"), &Value::Null), (&json!("mallory"), &Value::Null)]);

        // The control: the same said by a token counts.
        let claims = json!({ "sub": "root", "org": "other", "roles": ["admin"], "name": "Root" });
        let mut honest = Wire::open(addr, "/ws");
        honest.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token(claims)));
        assert!(honest.hear("auth:ok").contains("\"userId\":\"root\",\"org\":\"other\""));
        assert_eq!(honest.ask(1, "\"type\":\"subscribe\",\"room\":\"admin:x\"")["ok"], true);
    });
}

/// Opens a polling session.
fn polling(addr: SocketAddr) -> String {
    let (_, body) = http(addr, &format!("GET {POLLING}"), "", "");
    let open: Value = serde_json::from_str(&body[1..]).unwrap();
    open["sid"].as_str().unwrap().to_owned()
}

/// The status of a POST that says nothing of consequence.
fn post(addr: SocketAddr, sid: &str) -> String {
    let (head, body) = http(addr, &format!("POST {POLLING}&sid={sid}"), "", "6");
    format!("{} {body}", &head[9..12])
}

#[test]
fn a_session_is_found_by_its_whole_key_alone() {
    with_server(&config(), |addr, _| {
        let sid = polling(addr);
        assert_eq!(post(addr, &sid), "200 ok", "the control");
        let alphabet = ['A', 'Q', 'z', '0', '-', '_'];
        for at in 0..sid.len() {
            let others = alphabet.iter().filter(|other| !sid[at..].starts_with(**other));
            for other in others {
                let guess = format!("{}{other}{}", &sid[..at], &sid[at + 1..]);
                let answer = post(addr, &guess);
                assert!(answer.starts_with("400") && answer.contains("\"code\":1"), "{guess}: {answer}");
            }
        }
        for guess in [&sid[1..], &format!("{sid}A"), &sid.to_lowercase(), "", "%00", "..%2f"] {
            assert!(post(addr, guess).starts_with("400"), "{guess}");
        }
        assert_eq!(post(addr, &sid), "200 ok", "guesses do not disturb it");
    });
}

#[test]
fn of_many_who_upgrade_one_session_at_once_one_carries_it_on() {
    with_server(&config(), |addr, _| {
        let sid = polling(addr);
        let body = format!("40{{\"token\":\"{}\"}}", user("alice"));
        assert_eq!(http(addr, &format!("POST {POLLING}&sid={sid}"), "", &body).1, "ok");
        assert!(http(addr, &format!("GET {POLLING}&sid={sid}"), "", "").1.starts_with("40{"));
        let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let mut wires: Vec<Wire> = (0..20).map(|_| Wire::open(addr, &path)).collect();
        wires.iter_mut().for_each(|wire| wire.say("2probe"));
        wires.iter_mut().for_each(|wire| {
            // Who is refused may be gone already.
            let _ = std::io::Write::write_all(&mut wire.stream, &crate::common::frame(0x81, b"5"));
            let _ =
                std::io::Write::write_all(&mut wire.stream, &crate::common::frame(0x81, b"421[\"ping\",{}]"));
        });
        let answered = wires.into_iter().filter_map(|mut wire| answer(&mut wire)).count();
        assert_eq!(answered, 1);
        assert!(post(addr, &sid).starts_with("400"), "for HTTP it is over");
    });
}

/// The answer to a command, unless the connection is closed before it.
fn answer(wire: &mut Wire) -> Option<String> {
    loop {
        match wire.next() {
            crate::common::Frame::Text(text) if text.starts_with("431[") => return Some(text),
            crate::common::Frame::Text(_) | crate::common::Frame::Other(_) => {}
            crate::common::Frame::Close(_) | crate::common::Frame::End => return None,
        }
    }
}

#[test]
fn many_polls_of_one_session_end_it_and_nobody_elses() {
    with_server(&config(), |addr, _| {
        let (sid, other) = (polling(addr), polling(addr));
        let mut wires: Vec<Wire> = (0..20).map(|_| Wire::connect(addr)).collect();
        for wire in &mut wires {
            let request =
                format!("GET {POLLING}&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
            wire.send(request.as_bytes());
        }
        let answers: Vec<String> = wires.iter_mut().map(|wire| wire.rest()[9..12].to_owned()).collect();
        assert!(answers.iter().all(|status| status == "200" || status == "400"), "{answers:?}");
        assert!(post(addr, &sid).starts_with("400"));
        assert_eq!(post(addr, &other), "200 ok");
    });
}
