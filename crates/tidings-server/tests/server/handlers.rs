//! Events of a mounted handler: in order, and what one of them does is its own client's alone.

use std::net::SocketAddr;
use std::sync::Arc;

use tidings_core::Room;
use tidings_server::client::Answer;
use tidings_server::{Call, Client, ConnectRefused, Extras, Handler, Hello};
use tokio::sync::Notify;

use crate::common::{Wire, config, user, with_extras};

/// Answers with what it was sent, panics before it waits or after, or waits until it is let go.
#[derive(Default)]
struct Moody(Arc<Notify>);

impl Handler for Moody {
    fn connect<'a>(
        &'a self,
        _: &'a str,
        _: &'a Hello,
        auth: Option<&'a str>,
    ) -> Answer<'a, Result<Vec<Room>, ConnectRefused>> {
        assert!(!auth.unwrap_or_default().contains("nobody"), "on purpose");
        Box::pin(async { Ok(Vec::new()) })
    }

    fn connected(&self, _: Client, auth: Option<String>, _: Hello) -> Answer<'_, ()> {
        assert!(!auth.unwrap_or_default().contains("unwelcome"), "on purpose");
        Box::pin(async {})
    }

    fn handle(&self, call: Call) -> Answer<'_, ()> {
        assert_ne!(call.name, "panic", "on purpose");
        Box::pin(async move {
            match call.name.as_str() {
                "panic-later" => {
                    tokio::task::yield_now().await;
                    panic!("on purpose");
                }
                "wait" => self.0.notified().await,
                _ => {}
            }
            call.ack(call.args.clone(), Vec::new());
        })
    }
}

fn with_moody(test: impl FnOnce(SocketAddr, &Notify) + Send + 'static) {
    let moody = Moody::default();
    let go = moody.0.clone();
    let extras = Extras { handler: Some(Arc::new(moody)), ..Extras::default() };
    with_extras(&config(), extras, move |addr, _| test(addr, &go));
}

fn enter(addr: SocketAddr, who: &str, more: &str) -> Wire {
    let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
    wire.hear("\"sid\"");
    wire.say(&format!("40{{\"token\":\"{}\"{more}}}", user(who)));
    wire.hear("40{");
    wire
}

/// Says events with the ids 1, 2, …; each carries its id.
fn say_all(wire: &mut Wire, events: &[&str]) {
    for (at, event) in events.iter().enumerate() {
        wire.say(&format!("42{id}[\"{event}\",{id}]", id = at + 1));
    }
}

#[test]
fn answers_of_a_handler_come_in_the_order_of_the_events() {
    with_moody(|addr, go| {
        let mut wire = enter(addr, "alice", "");
        let mut events = vec!["echo"; 300];
        (events[10], events[200]) = ("wait", "wait");
        say_all(&mut wire, &events);
        for id in 1..=events.len() {
            if events[id - 1] == "wait" {
                go.notify_one();
            }
            assert_eq!(wire.hear("43"), format!("43{id}[{id}]"));
        }
    });
}

#[test]
fn a_handler_that_waits_holds_up_its_own_client_alone() {
    with_moody(|addr, go| {
        let (mut alice, mut bob) = (enter(addr, "alice", ""), enter(addr, "bob", ""));
        say_all(&mut alice, &["wait", "echo"]);
        for _ in 0..20 {
            say_all(&mut bob, &["echo", "echo"]);
            assert_eq!([bob.hear("43"), bob.hear("43")], ["431[1]", "432[2]"]);
        }
        go.notify_one();
        assert_eq!([alice.hear("43"), alice.hear("43")], ["431[1]", "432[2]"]);
    });
}

#[test]
fn a_handler_that_panics_harms_nobody() {
    with_moody(|addr, _| {
        let mut unwelcome = enter(addr, "carol", ",\"as\":\"unwelcome\"");
        let (mut alice, mut bob) = (enter(addr, "alice", ""), enter(addr, "bob", ""));
        for _ in 0..20 {
            say_all(&mut alice, &["echo", "panic", "echo", "panic-later", "echo"]);
            say_all(&mut bob, &["echo", "echo"]);
            assert_eq!([bob.hear("43"), bob.hear("43")], ["431[1]", "432[2]"]);
            assert_eq!(
                [alice.hear("43"), alice.hear("43"), alice.hear("43")],
                ["431[1]", "433[3]", "435[5]"]
            );
        }
        say_all(&mut unwelcome, &["echo"]);
        assert_eq!(unwelcome.hear("43"), "431[1]", "what panicked when it came may be spoken to");
    });
}

#[test]
fn a_client_whose_coming_in_makes_the_handler_panic_is_told_to_come_back_later() {
    with_moody(|addr, _| {
        let mut wire = Wire::open(addr, "/socket.io/?EIO=4&transport=websocket");
        wire.hear("\"sid\"");
        wire.say(&format!("40{{\"token\":\"{}\",\"as\":\"nobody\"}}", user("alice")));
        assert_eq!(wire.closed(), Some(1013));
        let mut alice = enter(addr, "alice", "");
        say_all(&mut alice, &["echo"]);
        assert_eq!(alice.hear("43"), "431[1]");
    });
}
