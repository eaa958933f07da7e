//! Sockets that say nothing, or too little for too long.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Wire, config, http, user, with_server};

/// Who began so long ago and is not done is cut off: ten seconds, and some for a busy machine.
const CUT_OFF: Duration = Duration::from_secs(30);

/// A socket, and what is written into it again and again.
struct Slow {
    name: &'static str,
    wire: Wire,
    drip: &'static [u8],
    closed: Option<Duration>,
}

impl Slow {
    fn begin(addr: SocketAddr, name: &'static str, begin: &str, drip: &'static [u8]) -> Self {
        let mut wire = Wire::connect(addr);
        wire.send(begin.as_bytes());
        Self { name, wire, drip, closed: None }
    }

    /// Reads for a moment, then writes a little more.
    fn go_on(&mut self, began: Instant) {
        if self.closed.is_some() {
            return;
        }
        let stream = &mut self.wire.stream;
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let ended = loop {
            match stream.read(&mut [0; 4096]) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break false;
                }
                Err(_) => break true,
            }
        };
        if ended || stream.write_all(self.drip).is_err() {
            self.closed = Some(began.elapsed());
        }
    }
}

#[test]
fn who_does_not_finish_what_it_began_is_cut_off_and_keeps_nobody_out() {
    with_server(&config(), |addr, _| {
        let (_, open) = http(addr, "GET /socket.io/?EIO=4&transport=polling", "", "");
        let open: Value = serde_json::from_str(&open[1..]).unwrap();
        let sid = open["sid"].as_str().unwrap();
        let post = format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n"
        );
        let idle = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        let upgrade = crate::common::upgrade("/ws");
        let socket_io = crate::common::upgrade("/socket.io/?EIO=4&transport=websocket");
        let mut alive = Wire::subscribed(addr, "open:alive");
        let began = Instant::now();
        let mut all = [
            Slow::begin(addr, "a socket that says nothing", "", b""),
            Slow::begin(addr, "a head that does not end", "GET / HTTP/1.1\r\n", b"X: y\r\n"),
            Slow::begin(addr, "a line that does not end", "GET /ws", b"y"),
            Slow::begin(addr, "an upgrade that does not end", &upgrade[..60], b""),
            Slow::begin(addr, "a polling body that does not end", &post, b"4"),
            Slow::begin(addr, "a kept connection that asks nothing", idle, b""),
            Slow::begin(addr, "a plain client that does not sign in", &upgrade, b""),
            Slow::begin(addr, "a Socket.IO client that joins nothing", &socket_io, b""),
        ];
        while all.iter().any(|slow| slow.closed.is_none()) {
            all.iter_mut().for_each(|slow| slow.go_on(began));
            let late: Vec<_> =
                all.iter().filter(|slow| slow.closed.is_none()).map(|slow| slow.name).collect();
            assert!(began.elapsed() < CUT_OFF || late.is_empty(), "still there: {late:?}");
            assert_eq!(alive.ask(7, "\"type\":\"ping\"")["ok"], true, "who is in is served");
        }
        let mut next = Wire::open(addr, "/ws").sign_in(&user("next"));
        assert_eq!(next.ask(1, "\"type\":\"ping\"")["ok"], true, "a good client gets in");
        for slow in &all {
            let least = if slow.name.starts_with("a plain") { 4 } else { 9 };
            assert!(slow.closed.unwrap() > Duration::from_secs(least), "{} was not waited for", slow.name);
        }
    });
}
