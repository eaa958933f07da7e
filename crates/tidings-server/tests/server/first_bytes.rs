//! Sockets that are connected before they say anything.

use std::net::Shutdown;

use crate::common::{Wire, config, frame, http, upgrade, user, with_server};

/// More than come in one look at the listener.
const CROWD: usize = 400;

#[test]
fn a_crowd_that_connects_first_and_speaks_then_is_let_in() {
    with_server(&config(), |addr, _| {
        let mut crowd: Vec<Wire> = (0..CROWD).map(|_| Wire::connect(addr)).collect();
        // Who comes behind them is answered while they are silent, and so they have been accepted.
        assert!(http(addr, "GET /healthz", "", "").0.starts_with("HTTP/1.1 200"));
        // Some leave without a word, and others begin and are not done with their first bytes.
        crowd.truncate(CROWD - 50);
        let (whole, cut) = crowd.split_at_mut(CROWD / 2);
        let request = upgrade("/ws");
        let (begin, rest) = request.split_at(30);
        for wire in &mut *cut {
            wire.send(begin.as_bytes());
        }
        for wire in &mut *whole {
            wire.send(request.as_bytes());
        }
        for wire in whole {
            assert!(wire.head().starts_with("HTTP/1.1 101"));
        }
        for wire in &mut *cut {
            wire.send(rest.as_bytes());
            assert!(wire.head().starts_with("HTTP/1.1 101"));
        }
        assert!(http(addr, "GET /healthz", "", "").0.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn an_end_that_comes_together_with_the_last_bytes_is_seen() {
    with_server(&config(), |addr, _| {
        let sign_in = || Wire::open(addr, "/ws").sign_in(&user("dan"));
        let mut crowd: Vec<Wire> = (0..60).map(|_| sign_in()).collect();
        for wire in &mut crowd {
            wire.send(&frame(0x81, b"{\"type\":\"ping\",\"id\":1}"));
            wire.stream.shutdown(Shutdown::Write).unwrap();
        }
        // Those whose end is overlooked would be there until a heartbeat is missed.
        for wire in &mut crowd {
            assert_eq!(wire.closed(), None);
        }
    });
}
