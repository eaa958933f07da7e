//! What is said to the server and what its messages are, in both protocols.

use std::borrow::Cow;

use clap::ValueEnum;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::marker;

/// The id of the one subscription of a connection; requests are numbered from 1.
pub(crate) const SUBSCRIBE_ID: u32 = 0;

/// The answer to a heartbeat of Socket.IO. The plain protocol's heartbeat needs none: the WebSocket
/// ping that comes with it is answered.
pub(crate) const PONG: &str = "3";

/// The protocol that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Proto {
    /// Socket.IO over WebSocket.
    Sio,
    /// Plain JSON over WebSocket.
    Plain,
}

/// Where somebody is in a room that keeps events; offsets are without holes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    epoch: String,
    /// The number of the last event that was heard.
    pub(crate) offset: u64,
}

impl Position {
    /// What the answer to a subscription says; nothing if the room keeps nothing.
    pub(crate) fn find(answer: &[u8]) -> Option<Self> {
        let object = answer.get(memchr::memchr(b'{', answer)?..)?;
        serde_json::Deserializer::from_slice(object).into_iter().next()?.ok()
    }
}

/// What a message of the server is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// The transport is open: sign in.
    Open,
    /// Signed in.
    Ready,
    /// A heartbeat of Socket.IO, to be answered with [`PONG`].
    Ping,
    /// The answer to a command.
    Ack { id: u32, ok: bool },
    /// An event of a room.
    Event,
    /// No, with the server's words.
    Refused(&'a [u8]),
    /// Anything else.
    Other,
}

impl Proto {
    /// Where the server speaks it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Sio => "/socket.io/?EIO=4&transport=websocket",
            Self::Plain => "/ws",
        }
    }

    /// Whether the client speaks first.
    pub(crate) fn client_opens(self) -> bool {
        self == Self::Plain
    }

    /// Signs in.
    pub(crate) fn sign_in(self, token: Option<&str>) -> String {
        match (self, token) {
            (Self::Sio, Some(token)) => format!("40{}", json!({ "token": token })),
            (Self::Sio, None) => "40".into(),
            (Self::Plain, Some(token)) => json!({ "type": "auth", "token": token }).to_string(),
            (Self::Plain, None) => json!({ "type": "auth" }).to_string(),
        }
    }

    /// Subscribes to a room, from a position on if there is one.
    pub(crate) fn subscribe(self, room: &str, since: Option<&Position>) -> String {
        let mut fields = json!({ "room": room });
        if let Some(since) = since {
            fields["since"] = json!(since);
        }
        match self {
            Self::Sio => format!("42{SUBSCRIBE_ID}{}", json!(["subscribe", fields])),
            Self::Plain => {
                fields["type"] = json!("subscribe");
                fields["id"] = json!(SUBSCRIBE_ID);
                fields.to_string()
            }
        }
    }

    /// Publishes a blank marker and `pad` bytes to a room, without an ack where the protocol can.
    pub(crate) fn publish(self, room: &str, pad: usize) -> String {
        let data = json!({ "t": marker::BLANK, "p": "x".repeat(pad) });
        match self {
            Self::Sio => format!("42{}", json!(["publish", { "room": room, "event": "tick", "data": data }])),
            Self::Plain => {
                json!({ "type": "publish", "room": room, "event": "tick", "data": data }).to_string()
            }
        }
    }

    /// Asks for an ack.
    pub(crate) fn request(self, id: u32, pad: &str) -> String {
        match self {
            Self::Sio => format!("42{id}[\"ping\",{{\"p\":\"{pad}\"}}]"),
            Self::Plain => format!("{{\"type\":\"ping\",\"id\":{id},\"p\":\"{pad}\"}}"),
        }
    }

    /// Tells what a message is; the common ones by their first bytes.
    pub(crate) fn classify(self, message: &[u8]) -> Said<'_> {
        match self {
            Self::Sio => socketio(message),
            Self::Plain => plain(message),
        }
    }
}

fn socketio(message: &[u8]) -> Said<'_> {
    match message {
        [b'4', b'2', b'[', event @ ..] if event.starts_with(br#""tidings:error""#) => Said::Refused(message),
        [b'4', b'2', ..] => Said::Event,
        [b'4', b'3', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (id, answer) = rest.split_at(digits);
            number(id).map_or(Said::Other, |id| Said::Ack { id, ok: is_ok(answer) })
        }
        [b'2'] => Said::Ping,
        [b'0', ..] => Said::Open,
        [b'4', b'0', ..] => Said::Ready,
        [b'4', b'4' | b'1', ..] => Said::Refused(message),
        _ => Said::Other,
    }
}

fn plain(message: &[u8]) -> Said<'_> {
    match kind(message).as_ref() {
        b"event" => Said::Event,
        b"ack" => match plain_id(message) {
            Some(id) => Said::Ack { id, ok: is_ok(message) },
            // A command without an id is answered without one, and only if it is refused.
            None if is_ok(message) => Said::Other,
            None => Said::Refused(message),
        },
        b"auth:ok" => Said::Ready,
        b"error" => Said::Refused(message),
        _ => Said::Other,
    }
}

/// The message's `type`: at its start, where our server writes it, else wherever it stands.
fn kind(message: &[u8]) -> Cow<'_, [u8]> {
    if let Some(rest) = message.strip_prefix(br#"{"type":""#)
        && let Some(end) = memchr::memchr(b'"', rest)
    {
        return Cow::Borrowed(rest.get(..end).unwrap_or_default());
    }
    let parsed: Value = serde_json::from_slice(message).unwrap_or_default();
    Cow::Owned(parsed.get("type").and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec())
}

fn plain_id(message: &[u8]) -> Option<u32> {
    if let Some(rest) = message.strip_prefix(br#"{"type":"ack","id":"#) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        return number(rest.get(..digits)?);
    }
    let parsed: Value = serde_json::from_slice(message).ok()?;
    u32::try_from(parsed.get("id")?.as_u64()?).ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_ok(answer: &[u8]) -> bool {
    memmem::find(answer, br#""ok":true"#).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socketio_messages_are_told_apart() {
        let said = |text: &'static str| Proto::Sio.classify(text.as_bytes());
        assert_eq!(said(r#"0{"sid":"a"}"#), Said::Open);
        assert_eq!(said(r#"40{"sid":"a"}"#), Said::Ready);
        assert_eq!(said("2"), Said::Ping);
        assert_eq!(said(r#"430[{"ok":true,"room":"bench:r00001"}]"#), Said::Ack { id: 0, ok: true });
        assert_eq!(said(r#"4317[{"ok":false,"error":{}}]"#), Said::Ack { id: 17, ok: false });
        assert_eq!(said(r#"42["tick",{"t":"x"}]"#), Said::Event);
        assert!(matches!(said(r#"42["tidings:error",{"command":"publish"}]"#), Said::Refused(_)));
        assert!(matches!(said(r#"44{"message":"no"}"#), Said::Refused(_)));
        for other in ["", "4", "43", "43[]", "6", "99999"] {
            assert_eq!(said(other), Said::Other, "{other}");
        }
    }

    #[test]
    fn plain_messages_are_told_apart_wherever_the_type_stands() {
        let said = |text: &'static str| Proto::Plain.classify(text.as_bytes());
        assert_eq!(said(r#"{"type":"auth:ok","userId":"u"}"#), Said::Ready);
        assert_eq!(said(r#"{"type":"ack","id":7,"ok":true}"#), Said::Ack { id: 7, ok: true });
        assert_eq!(said(r#"{"id":7,"ok":false,"type":"ack"}"#), Said::Ack { id: 7, ok: false });
        assert!(matches!(said(r#"{"type":"ack","ok":false,"error":{}}"#), Said::Refused(_)));
        assert_eq!(said(r#"{"type":"event","room":"r"}"#), Said::Event);
        assert_eq!(said(r#"{"room":"r","type":"event"}"#), Said::Event);
        for other in ["", "{", "null", r#"{"type":"resumed"}"#, r#"{"type":"heartbeat"}"#, r#"{"type":""#] {
            assert_eq!(said(other), Said::Other, "{other}");
        }
    }

    #[test]
    fn commands_are_those_of_the_wire_contract() {
        assert_eq!(Proto::Sio.subscribe("bench:r1", None), r#"420["subscribe",{"room":"bench:r1"}]"#);
        assert_eq!(Proto::Sio.request(5, "xx"), r#"425["ping",{"p":"xx"}]"#);
        assert_eq!(Proto::Sio.sign_in(Some("t")), r#"40{"token":"t"}"#);
        assert!(Proto::Sio.publish("bench:r1", 3).starts_with("42[\"publish\",{"));
        assert!(Proto::Plain.request(5, "").contains(r#""id":5"#));
    }

    #[test]
    fn a_position_is_read_from_an_answer_and_said_when_coming_back() {
        let fields = r#""ok":true,"room":"lobby:r1","epoch":"00ff","offset":7,"tag":"0a"}"#;
        let position = Some(Position { epoch: "00ff".into(), offset: 7 });
        assert_eq!(Position::find(format!("430[{{{fields}]").as_bytes()), position);
        assert_eq!(Position::find(format!(r#"{{"type":"ack","id":0,{fields}"#).as_bytes()), position);
        for without in [r#"430[{"ok":true,"room":"bench:r1"}]"#, "430[]", "", "{"] {
            assert_eq!(Position::find(without.as_bytes()), None, "{without}");
        }
        let since = r#""since":{"epoch":"00ff","offset":7}"#;
        for proto in [Proto::Sio, Proto::Plain] {
            assert!(proto.subscribe("lobby:r1", position.as_ref()).contains(since), "{proto:?}");
        }
    }
}
