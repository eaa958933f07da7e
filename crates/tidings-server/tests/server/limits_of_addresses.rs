//! Counts of addresses and networks, and where a client really comes from.

use std::net::SocketAddr;

use tidings_server::Config;
use tidings_testkit::eventually;

use crate::common::{Wire, frame, http, limited, user, with_server};

const POLLING: &str = "GET /socket.io/?EIO=4&transport=polling";

fn from(client: &str) -> String {
    format!("X-Forwarded-For: {client}\r\n")
}

#[test]
fn the_101st_connection_of_an_address_and_the_201st_of_a_network_are_refused_before_the_101() {
    with_server(&limited(), |addr, _| {
        let open = |client: &str| Wire::open_for(addr, "/ws", client).map(|wire| wire.sign_in(&user(client)));
        // Whoever does not sign in gives its place back in a few seconds.
        let one =
            |at: usize| Wire::open_for(addr, "/ws", "192.0.2.1").unwrap().sign_in(&user(&at.to_string()));
        let mut kept: Vec<Wire> = (0..100).map(one).collect();
        let refused = open("192.0.2.1").map(drop).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after:"), "{refused}");
        kept.push(open("192.0.2.2").unwrap());
        kept.extend((0..200).map(|at| open(&format!("2001:db8:1:2::{at:x}")).unwrap()));
        let refused = open("2001:db8:1:2:ffff::1").map(drop).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
        kept.push(open("2001:db8:1:3::1").unwrap());
        let (head, body) = http(addr, POLLING, &from("192.0.2.1"), "");
        assert!(
            head.starts_with("HTTP/1.1 429") && body.contains("\"code\":\"rate_limited\""),
            "{head}{body}"
        );
    });
}

#[test]
fn an_address_that_anybody_makes_up_is_not_believed() {
    let mut config = limited();
    config.limits.connections_per_address = 2;
    let open_three = |addr: SocketAddr| {
        let open = |at: u8| Wire::open_for(addr, "/ws", &format!("192.0.2.{at}"));
        let [first, second, third] = [1, 2, 3].map(open);
        assert!(first.is_ok() && second.is_ok());
        third.map(drop)
    };
    let believed = with_server(&config, move |addr, _| open_three(addr));
    assert!(believed.is_ok(), "the control: a trusted proxy speaks for three clients");
    config.trusted_proxies = vec!["10.0.0.0/8".into()];
    let refused = with_server(&config, move |addr, _| open_three(addr));
    assert!(refused.unwrap_err().starts_with("HTTP/1.1 429"));
}

#[test]
fn a_polling_session_is_one_connection_and_its_upgrade_none() {
    let mut config = limited();
    config.limits.connections_per_address = 1;
    with_server(&config, |addr, _| {
        let (_, open) = http(addr, POLLING, &from("192.0.2.1"), "");
        let sid = open.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let (head, _) = http(addr, POLLING, &from("192.0.2.1"), "");
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        let mut probe = Wire::open_for(addr, &path, "192.0.2.1").expect("the upgrade is refused");
        probe.say("2probe");
        probe.hear("3probe");
        probe.say("5");
        probe.say(&format!("40{{\"token\":\"{}\"}}", user("alice")));
        probe.hear("40{");
        assert!(Wire::open_for(addr, "/ws", "192.0.2.1").is_err(), "it is still there");
        probe.send(&frame(0x88, &1000u16.to_be_bytes()));
        assert_eq!(probe.closed(), Some(1000));
        // The place comes back a moment after the close has gone out.
        eventually("given back", || Wire::open_for(addr, "/ws", "192.0.2.1").is_ok());
    });
}

#[test]
fn a_server_that_is_full_says_so_before_the_101() {
    let mut config = limited();
    config.limits.connections = 2;
    with_server(&config, |addr, _| {
        let _kept = [1, 2].map(|at| Wire::open_for(addr, "/ws", &format!("192.0.2.{at}")).unwrap());
        let refused = Wire::open_for(addr, "/ws", "192.0.2.3").map(drop).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    });
}

#[test]
fn a_server_without_memory_refuses_connections_and_publishes() {
    let mut config = limited();
    let publish = |addr: SocketAddr| {
        let headers = format!("Authorization: Bearer {}\r\n", user("alice"));
        http(addr, "POST /api/publish", &headers, "{\"room\":\"lobby:a\",\"event\":\"e\",\"data\":1}")
    };
    with_server(&config, move |addr, _| {
        assert!(Wire::open_for(addr, "/ws", "192.0.2.1").is_ok(), "the control");
        assert!(publish(addr).0.starts_with("HTTP/1.1 200"));
    });
    config.limits.memory_bytes = 1;
    with_server(&config, move |addr, publisher| {
        let refused = Wire::open_for(addr, "/ws", "192.0.2.1").map(drop).unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        let (head, body) = publish(addr);
        assert!(
            head.starts_with("HTTP/1.1 503") && body.contains("\"code\":\"unavailable\""),
            "{head}{body}"
        );
        publisher.publish("lobby:a", "e", "1".into()).unwrap();
    });
}

#[test]
fn so_many_strangers_are_taken_and_those_who_sign_in_make_room() {
    let mut config = limited();
    config.limits.unauthenticated = 2;
    with_server(&config, |addr, _| {
        let open = |at: u8| Wire::open_for(addr, "/ws", &format!("192.0.2.{at}"));
        let (first, _second) = (open(1).unwrap(), open(2).unwrap());
        let head = Wire::connect(addr).head();
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        let _first = first.sign_in(&user("alice"));
        eventually("given back", || open(3).is_ok());
    });
}

#[test]
fn silent_sockets_of_one_network_leave_places_for_others() {
    for (trusted, survives) in [(false, true), (true, false)] {
        let mut config = limited();
        config.listen = "[::1]:0".into();
        config.trusted_proxies = if trusted { vec!["::1".into()] } else { Vec::new() };
        config.limits.connections_per_address = 1_000;
        (config.limits.connections_per_network, config.limits.unauthenticated) = (5, 20);
        with_server(&config, move |addr, _| {
            // Ten of a network that has five connections; a proxy's sockets are counted by whom they speak for.
            let mut kept: Vec<Wire> = (0..12).map(|_| Wire::connect(addr)).collect();
            kept.iter_mut().for_each(|wire| wire.send(b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n"));
            let heads: Vec<String> = kept.iter_mut().map(Wire::head).collect();
            let refused = heads.iter().filter(|head| head.starts_with("HTTP/1.1 429")).count();
            assert_eq!(refused, if survives { 2 } else { 0 }, "{heads:?}");
        });
    }
}

#[test]
fn figures_are_not_for_pages_that_have_their_own_name_lead_here() {
    let config = Config { trusted_proxies: Vec::new(), ..limited() };
    with_server(&config, |addr, _| {
        let asked = |host: &str| {
            let mut wire = Wire::connect(addr);
            wire.send(
                format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
            );
            wire.head()[9..12].to_owned()
        };
        assert_eq!(["127.0.0.1:3000", "localhost:3000", "[::1]"].map(asked), ["200"; 3]);
        assert_eq!(["rebound.evil.test:3000", "192.0.2.1"].map(asked), ["403"; 2]);
    });
}
