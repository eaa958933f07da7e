//! A Socket.IO client's state: what it may say when, and when it has to be heard from.
//!
//! The table of invalid input is the one measured against socket.io 4.8.4: what closes the connection there
//! closes it here, what passes there passes here, in both dialects.

#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use bytes::Bytes;
use rmpv::Value as Packed;
use tidings_wire::engineio::{self, Packet};
use tidings_wire::names::{Dialect, Namespaces};
use tidings_wire::session::{Barred, Due, Heard, HeartbeatTimes, SocketIo, SocketIoTimes};
use tidings_wire::{CloseReason, Limits, Violation};

const TIMES: SocketIoTimes = SocketIoTimes {
    heartbeat: HeartbeatTimes { interval_ms: 25_000, timeout_ms: 20_000 },
    connect_ms: 45_000,
    attachments_ms: 10_000,
};

/// A frame of a WebSocket.
#[derive(Debug, Clone)]
enum Frame<'a> {
    Text(&'a str),
    Binary(Vec<u8>),
}

use Frame::{Binary, Text};

/// What a client said, with its own memory.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Connect(Result<u8, Barred<'static>>, Option<String>),
    Disconnect(u8),
    Event(u8, Option<u64>, String, Vec<Bytes>),
    Ack(u8, u64, String, Vec<Bytes>),
    Close,
}

impl From<Heard<'_>> for Said {
    fn from(heard: Heard<'_>) -> Self {
        match heard {
            Heard::Nothing => Self::Nothing,
            Heard::Connect { namespace, auth } => {
                let namespace = namespace.map_err(|barred| match barred {
                    Barred::Unknown(name) => unknown(&name),
                    Barred::TooMany(index) => Barred::TooMany(index),
                });
                Self::Connect(namespace, auth.map(Cow::into_owned))
            }
            Heard::Disconnect { namespace } => Self::Disconnect(namespace),
            Heard::Event { namespace, id, data, attachments, .. } => {
                Self::Event(namespace, id, data.into_owned(), attachments)
            }
            Heard::Ack { namespace, id, data, attachments } => {
                Self::Ack(namespace, id, data.into_owned(), attachments)
            }
            Heard::Close => Self::Close,
        }
    }
}

fn unknown(name: &str) -> Barred<'static> {
    Barred::Unknown(name.to_owned().into())
}

/// A session, and the table and limits it is held to.
struct Client {
    session: SocketIo,
    namespaces: Namespaces,
    limits: Limits,
    now_ms: u64,
}

impl Client {
    fn new() -> Self {
        let names: Vec<String> = (1..20).map(|number| format!("/{number}")).collect();
        let namespaces = Namespaces::new(["/adm"].into_iter().chain(names.iter().map(String::as_str)));
        Self { session: SocketIo::new(0, &TIMES), namespaces, limits: Limits::default(), now_ms: 0 }
    }

    /// In `/`, in JSON.
    fn joined() -> Self {
        let mut client = Self::new();
        assert_eq!(client.text("40"), Ok(Said::Connect(Ok(0), None)));
        client.session.joined(0);
        client
    }

    /// In `/`, in msgpack.
    fn packed() -> Self {
        let mut client = Self::new();
        assert_eq!(client.hear(packet(0, "/", None, None)), Ok(Said::Connect(Ok(0), None)));
        client.session.joined(0);
        client
    }

    fn hear(&mut self, frame: Frame<'_>) -> Result<Said, Violation> {
        let packet = match &frame {
            Text(text) => engineio::decode_text(text, &self.limits)?,
            Binary(bytes) => Packet::Binary(Cow::Borrowed(bytes)),
        };
        let heard = self.session.hear(packet, &self.namespaces, &self.limits, self.now_ms, &TIMES)?;
        Ok(heard.into())
    }

    fn text(&mut self, text: &str) -> Result<Said, Violation> {
        self.hear(Text(text))
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<Said, Violation> {
        self.hear(Binary(bytes.to_vec()))
    }

    /// What a row of frames ends in.
    fn end_of(mut self, frames: &[Frame<'_>]) -> Result<Said, CloseReason> {
        let mut last = Ok(Said::Nothing);
        for frame in frames {
            assert!(last.is_ok(), "only the last frame of {frames:?} may close");
            last = self.hear(frame.clone()).map_err(|violation| violation.reason);
        }
        last
    }

    fn due_at(&mut self, now_ms: u64) -> Due {
        self.now_ms = now_ms;
        self.session.handle_timeout(now_ms, &TIMES)
    }
}

/// A msgpack packet as the reference client writes it.
fn packet(kind: u8, namespace: &str, data: Option<Packed>, id: Option<Packed>) -> Frame<'static> {
    let mut fields = vec![("type".into(), Packed::from(kind)), ("nsp".into(), Packed::from(namespace))];
    fields.extend(data.map(|data| ("data".into(), data)));
    fields.extend(id.map(|id| ("id".into(), id)));
    pack(&Packed::Map(fields))
}

fn pack(value: &Packed) -> Frame<'static> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).unwrap();
    Binary(bytes)
}

fn list(items: &[&str]) -> Packed {
    Packed::Array(items.iter().map(|item| Packed::from(*item)).collect())
}

fn event(data: &str) -> Result<Said, CloseReason> {
    Ok(Said::Event(0, None, data.to_owned(), Vec::new()))
}

fn event_with(data: &str, attachments: &[&'static [u8]]) -> Result<Said, CloseReason> {
    let attachments = attachments.iter().copied().map(Bytes::from_static).collect();
    Ok(Said::Event(0, None, data.to_owned(), attachments))
}

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

#[test]
fn invalid_input_ends_as_with_the_reference_server() {
    use CloseReason::{Protocol, Structure};
    let with_placeholder = format!("42[\"e\",{PLACEHOLDER}]");
    let binary_event = format!("451-[\"e\",{PLACEHOLDER}]");
    let binary_data = format!("[\"e\",{PLACEHOLDER}]");
    let closes = [
        ("4abc", Protocol),
        ("4", Protocol),
        ("", Protocol),
        ("42[]", Protocol),
        ("42{}", Protocol),
        ("42[\"echo\"", Protocol),
        ("40[]", Protocol),
        ("40\"s\"", Protocol),
        ("42abc[\"e\"]", Protocol),
        ("450-[\"e\"]", Structure),
        ("4511-[\"e\"]", Structure),
        ("451-[\"e\",{\"_placeholder\":true,\"num\":1}]", Protocol),
        ("40", Protocol),
        ("44", Protocol),
        ("44{\"message\":\"m\"}", Protocol),
        ("7", Protocol),
        ("x", Protocol),
        ("é", Protocol),
        ("42[\"connect\"]", Protocol),
        ("42[\"disconnecting\",1]", Protocol),
        ("42[null]", Protocol),
        ("42[{}]", Protocol),
        ("2", Protocol),
        ("2probe", Protocol),
        ("b", Protocol),
        ("b!!!!", Protocol),
    ];
    for (text, reason) in closes {
        assert_eq!(Client::joined().end_of(&[Text(text)]), Err(reason), "{text:?}");
    }
    let rows: [(&str, Vec<Frame<'_>>, Result<Said, CloseReason>); 16] = [
        ("an event without payload", vec![Text("42")], Ok(Said::Nothing)),
        ("text while binary is due", vec![Text(&binary_event), Text("42[\"e\"]")], Err(Protocol)),
        ("a disconnect while binary is due", vec![Text(&binary_event), Text("41")], Err(Protocol)),
        ("binary while none is due", vec![Binary(vec![1])], Err(Protocol)),
        ("base64 while none is due", vec![Text("bAQ==")], Err(Protocol)),
        ("a placeholder in a plain event", vec![Text(&with_placeholder)], event(&binary_data)),
        (
            "fewer placeholders than attachments",
            vec![Text("452-[\"e\",1]"), Binary(vec![1]), Binary(vec![2])],
            event_with("[\"e\",1]", &[b"\x01", b"\x02"]),
        ),
        ("one attachment", vec![Text(&binary_event), Binary(vec![7])], event_with(&binary_data, &[b"\x07"])),
        ("one as base64", vec![Text(&binary_event), Text("bBw==")], event_with(&binary_data, &[b"\x07"])),
        ("an empty one", vec![Text(&binary_event), Binary(vec![])], event_with(&binary_data, &[b""])),
        ("open at a wrong time", vec![Text("0{}")], Ok(Said::Nothing)),
        ("upgrade at a wrong time", vec![Text("5")], Ok(Said::Nothing)),
        ("noop at a wrong time", vec![Text("6")], Ok(Said::Nothing)),
        ("a pong nobody asked for", vec![Text("3"), Text("3probe")], Ok(Said::Nothing)),
        ("an ack without id", vec![Text("43[1]")], Ok(Said::Nothing)),
        ("a numeric event name", vec![Text("42[7,1]")], event("[7,1]")),
    ];
    for (name, frames, end) in rows {
        assert_eq!(Client::joined().end_of(&frames), end, "{name}");
    }
}

#[test]
fn invalid_input_in_msgpack_ends_in_the_same_way() {
    use CloseReason::{Protocol, Structure};
    let event = |name: &str| packet(2, "/", Some(list(&[name])), None);
    let attachments = |count: usize| {
        let binary = std::iter::repeat_n(Packed::Binary(vec![1]), count);
        Packed::Array([Packed::from("e")].into_iter().chain(binary).collect())
    };
    let without = |field: &str| {
        let fields = [("type", Packed::from(2)), ("nsp", Packed::from("/")), ("data", list(&["e"]))];
        let kept = fields.into_iter().filter(|(name, _)| *name != field);
        pack(&Packed::Map(kept.map(|(name, value)| (name.into(), value)).collect()))
    };
    let rows: [(&str, Frame<'_>, CloseReason); 19] = [
        ("text", Text("42[\"e\"]"), Protocol),
        ("no packet", Binary(vec![]), Protocol),
        ("no map", Binary(vec![0xc0]), Protocol),
        ("cut off", Binary(vec![0x83, 0xa4, b't']), Protocol),
        ("no type", without("type"), Protocol),
        ("no namespace", without("nsp"), Protocol),
        ("no payload", without("data"), Protocol),
        ("an empty event", packet(2, "/", Some(list(&[])), None), Protocol),
        ("an object as event", packet(2, "/", Some(Packed::Map(vec![])), None), Protocol),
        ("a reserved name", event("connect"), Protocol),
        ("a second CONNECT", packet(0, "/", None, None), Protocol),
        ("a CONNECT with a list", packet(0, "/", Some(list(&[])), None), Protocol),
        ("a CONNECT_ERROR", packet(4, "/", Some(Packed::Map(vec![])), None), Protocol),
        ("a type of the JSON dialect", packet(5, "/", Some(list(&["e"])), None), Protocol),
        ("an unknown type", packet(7, "/", Some(list(&["e"])), None), Protocol),
        ("a negative ack id", packet(3, "/", Some(list(&[])), Some((-1).into())), Protocol),
        ("a namespace that is not joined", packet(2, "/adm", Some(list(&["e"])), None), Protocol),
        ("a namespace that does not exist", packet(2, "/none", Some(list(&["e"])), None), Protocol),
        ("eleven attachments", packet(2, "/", Some(attachments(11)), None), Structure),
    ];
    for (name, frame, reason) in rows {
        assert_eq!(Client::packed().end_of(&[frame]), Err(reason), "{name}");
    }
    let ten = Client::packed().end_of(&[packet(2, "/", Some(attachments(10)), None)]).unwrap();
    assert!(matches!(ten, Said::Event(0, None, _, attachments) if attachments.len() == 10));
    let ack = packet(3, "/", Some(list(&["x"])), Some(0.into()));
    assert_eq!(Client::packed().end_of(&[ack]), Ok(Said::Ack(0, 0, "[\"x\"]".to_owned(), vec![])));
}

#[test]
fn the_first_packet_decides_the_dialect() {
    assert_eq!(Client::new().session.dialect(), Dialect::SocketIo);
    assert_eq!(Client::joined().session.dialect(), Dialect::SocketIo);
    assert_eq!(Client::packed().session.dialect(), Dialect::Msgpack);
}

#[test]
fn nothing_may_be_said_before_connect() {
    for text in ["42[\"e\"]", "43[1]", "430[]", "41", "451-[\"e\"]", "42", "44", "42/adm,[\"e\"]"] {
        assert_eq!(Client::new().end_of(&[Text(text)]), Err(CloseReason::Protocol), "{text}");
    }
    let mut asking = Client::new();
    asking.text("40").unwrap();
    assert!(asking.text("42[\"e\"]").is_err(), "a CONNECT that is being decided is not one that was granted");
}

#[test]
fn a_connect_names_namespace_and_auth() {
    let connects = [
        ("40{\"token\":\"t\"}", Ok(0), Some("{\"token\":\"t\"}")),
        ("40/adm", Ok(1), None),
        ("40/adm,", Ok(1), None),
        ("40/adm, {\"a\":1} ", Ok(1), Some("{\"a\":1}")),
        ("40/none,{\"a\":1}", Err(unknown("/none")), None),
        ("40/adm?token=1,", Err(unknown("/adm?token=1")), None),
    ];
    for (text, namespace, auth) in connects {
        let said = Said::Connect(namespace, auth.map(str::to_owned));
        assert_eq!(Client::new().end_of(&[Text(text)]), Ok(said), "{text}");
    }
}

#[test]
fn a_namespace_is_joined_once_even_while_it_is_being_decided() {
    let mut client = Client::new();
    client.text("40").unwrap();
    assert_eq!(client.text("40").unwrap_err().reason, CloseReason::Protocol);

    let mut client = Client::new();
    client.text("40").unwrap();
    client.text("40/adm").unwrap();
    client.session.refused(0);
    assert_eq!(client.text("40"), Ok(Said::Connect(Ok(0), None)), "after a refusal it may ask again");
    assert!(client.text("40/adm").is_err(), "the other one is still being decided");
}

#[test]
fn what_was_left_may_be_joined_again() {
    let mut client = Client::joined();
    assert_eq!(client.text("41"), Ok(Said::Disconnect(0)));
    assert!(!client.session.is_joined(0));
    assert_eq!(client.text("40"), Ok(Said::Connect(Ok(0), None)));
}

#[test]
fn namespaces_are_bounded_with_those_being_decided() {
    let mut client = Client::joined();
    for number in 1..client.limits.namespaces {
        client.text(&format!("40/{number}")).unwrap();
        if number % 2 == 0 {
            client.session.joined(number as u8 + 1);
        }
    }
    // It goes on with those it has, and may have this one instead of another.
    let asked = |client: &mut Client| client.text("40/19").unwrap();
    assert_eq!(asked(&mut client), Said::Connect(Err(Barred::TooMany(20)), None));
    assert_eq!(asked(&mut client), Said::Connect(Err(Barred::TooMany(20)), None));
    client.text("41").unwrap();
    assert_eq!(asked(&mut client), Said::Connect(Ok(20), None));
}

#[test]
fn each_namespace_speaks_for_itself() {
    let mut client = Client::joined();
    client.text("40/adm").unwrap();
    client.session.joined(1);
    let said = |namespace| Ok(Said::Event(namespace, Some(3), "[\"e\"]".to_owned(), vec![]));
    assert_eq!(client.text("423[\"e\"]"), said(0));
    assert_eq!(client.text("42/adm,3[\"e\"]"), said(1));
    assert_eq!(client.text("41/adm,"), Ok(Said::Disconnect(1)));
    assert_eq!(client.text("423[\"e\"]"), said(0));
    assert!(client.text("42/adm,3[\"e\"]").is_err());
}

#[test]
fn heartbeats_pass_between_attachments_and_nothing_else_does() {
    let event = "452-[\"e\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
    let mut client = Client::joined();
    client.text("40/adm").unwrap();
    client.session.joined(1);
    client.text(event).unwrap();
    assert_eq!(client.text("3"), Ok(Said::Nothing));
    assert_eq!(client.binary(b"a"), Ok(Said::Nothing));
    assert_eq!(client.text("6"), Ok(Said::Nothing));
    let said = client.binary(b"b").unwrap();
    assert!(matches!(said, Said::Event(0, None, _, attachments) if attachments == ["a", "b"]));
    assert!(client.binary(b"c").is_err(), "no more were due");

    let mut client = Client::joined();
    client.text("40/adm").unwrap();
    client.session.joined(1);
    client.text(event).unwrap();
    assert!(client.text("42/adm,[\"e\"]").is_err(), "another namespace has to wait as well");
}

#[test]
fn an_ack_may_have_attachments() {
    let mut client = Client::joined();
    client.text("461-12[{\"_placeholder\":true,\"num\":0}]").unwrap();
    let data = "[{\"_placeholder\":true,\"num\":0}]".to_owned();
    assert_eq!(client.binary(b"a"), Ok(Said::Ack(0, 12, data, vec![Bytes::from_static(b"a")])));
}

#[test]
fn attachments_are_bounded_together_with_their_packet() {
    let packet = "452-[\"e\"]";
    let mut client = Client::joined();
    client.limits.message_bytes = packet.len() - 1 + 10;
    client.text(packet).unwrap();
    client.binary(&[0; 5]).unwrap();
    assert!(matches!(client.binary(&[0; 5]), Ok(Said::Event(..))));

    let mut client = Client::joined();
    client.limits.message_bytes = packet.len() - 1 + 10;
    client.text(packet).unwrap();
    client.binary(&[0; 5]).unwrap();
    assert_eq!(client.session.held(), packet.len() - 1 + 5);
    assert_eq!(client.binary(&[0; 6]).unwrap_err().reason, CloseReason::TooLarge);
    assert_eq!(client.session.held(), 0);
}

#[test]
fn attachments_of_a_namespace_the_server_closed_reach_nobody() {
    let mut client = Client::joined();
    client.text("451-[\"e\"]").unwrap();
    client.session.left(0);
    assert_eq!(client.binary(b"a"), Ok(Said::Nothing));
}

#[test]
fn attachments_that_do_not_come_close_the_connection() {
    let mut client = Client::joined();
    client.now_ms = 1_000;
    client.text("452-[\"e\"]").unwrap();
    client.now_ms = 5_000;
    client.binary(b"a").unwrap();
    assert_eq!(client.session.poll_timeout(), 11_000, "one late attachment does not buy time");
    assert_eq!(client.due_at(10_999), Due::Nothing);
    assert_eq!(client.due_at(11_000), Due::Close(CloseReason::Structure));

    let mut client = Client::joined();
    client.text("451-[\"e\"]").unwrap();
    client.binary(b"a").unwrap();
    assert_eq!(client.due_at(10_000), Due::Nothing);
}

#[test]
fn a_client_in_no_namespace_is_closed_after_the_connect_time() {
    let mut client = Client::new();
    assert_eq!(client.text("40/none"), Ok(Said::Connect(Err(unknown("/none")), None)));
    assert_eq!(client.due_at(25_000), Due::Ping);
    client.text("3").unwrap();
    assert_eq!(client.session.poll_timeout(), 45_000);
    assert_eq!(client.due_at(44_999), Due::Nothing);
    assert_eq!(client.due_at(45_000), Due::Close(CloseReason::Protocol));
}

#[test]
fn a_client_whose_connect_is_being_decided_is_not_late() {
    let mut client = Client::new();
    client.now_ms = 44_000;
    client.text("3").unwrap();
    client.text("40").unwrap();
    assert_eq!(client.session.poll_timeout(), 69_000, "there is nothing to wake up for before the ping");
    assert_eq!(client.due_at(45_000), Due::Nothing);
    client.session.refused(0);
    assert_eq!(client.session.poll_timeout(), 45_000);
    assert_eq!(client.due_at(46_000), Due::Close(CloseReason::Protocol));
}

#[test]
fn a_client_that_joined_in_time_may_leave_and_stay() {
    let mut client = Client::joined();
    client.text("41").unwrap();
    client.now_ms = 40_000;
    client.text("3").unwrap();
    assert_eq!(client.due_at(50_000), Due::Nothing);
}

#[test]
fn a_silent_client_is_pinged_and_then_given_up() {
    let mut client = Client::joined();
    assert_eq!(client.session.poll_timeout(), 25_000);
    assert_eq!(client.due_at(25_000), Due::Ping);
    assert_eq!(client.session.poll_timeout(), 45_000);
    assert_eq!(client.due_at(44_999), Due::Nothing);
    assert_eq!(client.due_at(45_000), Due::Close(CloseReason::PingTimeout));
}

#[test]
fn an_answered_ping_starts_the_interval_anew() {
    let mut client = Client::joined();
    client.due_at(25_000);
    client.now_ms = 26_000;
    client.text("3").unwrap();
    assert_eq!(client.session.poll_timeout(), 51_000);
    assert_eq!(client.due_at(51_000), Due::Ping);
}

#[test]
fn events_put_off_the_ping_timeout_once() {
    let mut client = Client::joined();
    client.due_at(25_000);
    client.now_ms = 44_000;
    client.text("42[\"e\"]").unwrap();
    client.now_ms = 60_000;
    client.text("42[\"e\"]").unwrap();
    assert_eq!(client.session.poll_timeout(), 64_000);
    assert_eq!(client.due_at(64_000), Due::Close(CloseReason::PingTimeout));
}

#[test]
fn a_close_packet_ends_the_session() {
    assert_eq!(Client::joined().text("1"), Ok(Said::Close));
    assert_eq!(Client::new().text("1"), Ok(Said::Close));
}
