//! A Socket.IO session never panics and holds little, whatever a client sends and when.
//!
//! Input: steps, each one byte of what to do, one byte of length, and so many bytes. The server's side of
//! the conversation (grant, refuse, disconnect, let time pass) is steered by the same bytes.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use tidings_wire::Limits;
use tidings_wire::engineio::{self, Packet};
use tidings_wire::names::Namespaces;
use tidings_wire::session::{Due, Heard, HeartbeatTimes, SocketIo, SocketIoTimes};

const TIMES: SocketIoTimes = SocketIoTimes {
    heartbeat: HeartbeatTimes { interval_ms: 250, timeout_ms: 200 },
    connect_ms: 450,
    attachments_ms: 100,
};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { message_bytes: 600, namespaces: 3, ..Limits::default() };
    let mut client = Client {
        session: SocketIo::new(0, &TIMES),
        asked: Vec::new(),
        names: Namespaces::new(["/a", "/b"]),
        now_ms: 0,
    };
    let mut rest = data;
    while let Some((&[step, length], after)) = rest.split_first_chunk::<2>() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        if !client.step(step, bytes, &limits) {
            return;
        }
        assert!(client.session.held() <= limits.message_bytes, "{} bytes held", client.session.held());
        let joined = (0..=u8::MAX).filter(|namespace| client.session.is_joined(*namespace)).count();
        assert!(joined + client.asked.len() <= 3);
    }
});

struct Client {
    session: SocketIo,
    asked: Vec<u8>,
    names: Namespaces,
    now_ms: u64,
}

impl Client {
    /// Does one step; `false` if the connection is over.
    fn step(&mut self, step: u8, bytes: &[u8], limits: &Limits) -> bool {
        match step % 8 {
            0 => return self.pass(u64::from(step)),
            1 => {
                if let Some(namespace) = self.asked.pop() {
                    self.session.joined(namespace);
                    assert!(self.session.is_joined(namespace));
                }
            }
            2 if step > 128 => {
                if let Some(namespace) = self.asked.pop() {
                    self.session.refused(namespace);
                }
            }
            2 => self.session.left(step % 3),
            3 | 4 => return self.hear(Packet::Binary(Cow::Borrowed(bytes)), limits),
            _ => {
                let Ok(text) = std::str::from_utf8(bytes) else { return false };
                let Ok(packet) = engineio::decode_text(text, limits) else { return false };
                return self.hear(packet, limits);
            }
        }
        true
    }

    fn hear(&mut self, packet: Packet<'_>, limits: &Limits) -> bool {
        let heard = self.session.hear(packet, &self.names, limits, self.now_ms, &TIMES);
        match heard {
            Err(_) | Ok(Heard::Close) => return false,
            Ok(Heard::Nothing | Heard::Connect { namespace: Err(_), .. }) => {}
            Ok(Heard::Connect { namespace: Ok(namespace), .. }) => {
                assert!(!self.asked.contains(&namespace) && !self.session.is_joined(namespace));
                self.asked.push(namespace);
            }
            Ok(Heard::Disconnect { namespace }) => assert!(!self.session.is_joined(namespace)),
            Ok(Heard::Event { namespace, attachments, .. } | Heard::Ack { namespace, attachments, .. }) => {
                assert!(self.session.is_joined(namespace), "who has not joined is not heard");
                assert!(attachments.iter().map(|bytes| bytes.len()).sum::<usize>() <= limits.message_bytes);
            }
        }
        true
    }

    /// Lets time pass, with the wake-ups the session asks for.
    fn pass(&mut self, ms: u64) -> bool {
        let until = self.now_ms + ms;
        for _ in 0..8 {
            let wake_ms = self.session.poll_timeout();
            if wake_ms > until {
                self.now_ms = until;
                assert_eq!(self.session.handle_timeout(until, &TIMES), Due::Nothing);
                return true;
            }
            self.now_ms = self.now_ms.max(wake_ms);
            match self.session.handle_timeout(self.now_ms, &TIMES) {
                Due::Close(_) => return false,
                Due::Ping => {}
                Due::Nothing => panic!("it was woken for nothing"),
            }
        }
        panic!("it wakes again and again at {}", self.now_ms)
    }
}
