//! The same client bytes for our decoder and for tungstenite: the same messages, the same verdict.
//!
//! Known differences, taken out of the comparison:
//! - tungstenite accepts lengths that are not in their shortest form; RFC 6455 section 5.2 forbids them;
//! - it hands out a forbidden close code as code 1002 with a sentence of its own; we refuse the frame;
//! - it judges a frame when it is complete, we as early as possible: where it is still waiting when we have
//!   refused, it is given the rest of the frame and must then refuse too;
//! - it knows code 1014 not yet;
//! - it has no limit of fragments and no compression.

mod websocket_client;

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tidings_wire::{Limits, Violation};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, error::ProtocolError};
use websocket_client::{Message, Sending, decode, sendings};

const LARGEST_FRAME: usize = 150;
const LARGEST_MESSAGE: usize = 200;
const LONGEST_HEADER: usize = 14;

/// Bytes to read; what is written is dropped.
struct Reading<'a>(&'a [u8]);

impl Read for Reading<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Reading<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// All bytes are read, or a close frame was.
    Fine,
    Refused,
}

fn ask_tungstenite(bytes: &[u8]) -> (Vec<Message>, Verdict) {
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_FRAME));
    let mut socket = WebSocket::from_raw_socket(Reading(bytes), Role::Server, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                messages.push(ours(message));
                if matches!(messages.last(), Some(Message::Close(_))) {
                    return (messages, Verdict::Fine);
                }
            }
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (messages, Verdict::Fine);
            }
            Err(_) => return (messages, Verdict::Refused),
        }
    }
}

fn ours(message: tungstenite::Message) -> Message {
    use tungstenite::Message as Theirs;
    match message {
        Theirs::Text(text) => Message::Text(text.to_string()),
        Theirs::Binary(bytes) => Message::Binary(bytes.to_vec()),
        Theirs::Ping(bytes) => Message::Ping(bytes.to_vec()),
        Theirs::Pong(bytes) => Message::Pong(bytes.to_vec()),
        Theirs::Close(body) => Message::Close(body.map(|body| (body.code.into(), body.reason.to_string()))),
        Theirs::Frame(_) => unreachable!("reading never gives out raw frames"),
    }
}

/// Our messages up to the first close frame, and the violation that ended them before it.
fn ask_ours(bytes: &[u8]) -> (Vec<Message>, Option<Violation>) {
    let limits = Limits {
        message_bytes: LARGEST_MESSAGE,
        frame_bytes: LARGEST_FRAME,
        fragments: u32::MAX,
        ..Limits::default()
    };
    let decoded = decode(false, &limits, [bytes]);
    let mut messages = decoded.messages;
    match messages.iter().position(|message| matches!(message, Message::Close(_))) {
        Some(close) => {
            messages.truncate(close + 1);
            (messages, None)
        }
        None => (messages, decoded.violation),
    }
}

fn compare(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (messages, violation) = ask_ours(bytes);
    let Some(violation) = violation else {
        let mut theirs = ask_tungstenite(bytes);
        if let (Some(Message::Close(Some((1014, _)))), Some(last)) = (messages.last(), theirs.0.last_mut()) {
            prop_assert_eq!(&*last, &their_protocol_violation());
            *last = messages[messages.len() - 1].clone();
        }
        prop_assert_eq!((messages, Verdict::Fine), theirs);
        return Ok(());
    };
    let rest_of_the_frame = [0; LONGEST_HEADER + LARGEST_FRAME];
    let (mut theirs, verdict) = ask_tungstenite(&[bytes, &rest_of_the_frame].concat());
    match violation.detail {
        // They judge the length alone: a small one may come in the form for large ones.
        "length not in its shortest form" | "control frame longer than 125 bytes" => {
            theirs.truncate(messages.len());
        }
        "close code that must not be sent" if verdict == Verdict::Fine => {
            prop_assert_eq!(theirs.pop(), Some(their_protocol_violation()));
        }
        _ => prop_assert_eq!(verdict, Verdict::Refused, "we refused: {}", violation),
    }
    prop_assert_eq!(messages, theirs);
    Ok(())
}

fn their_protocol_violation() -> Message {
    Message::Close(Some((1002, "Protocol violation".into())))
}

fn written(sendings: &[Sending]) -> Vec<u8> {
    let mut bytes = Vec::new();
    sendings.iter().for_each(|sending| sending.write(&mut bytes));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn sound_bytes_are_read_as_tungstenite_reads_them(sendings in sendings(false), kept in any::<prop::sample::Index>()) {
        let bytes = written(&sendings);
        compare(&bytes)?;
        compare(&bytes[..kept.index(bytes.len() + 1)])?;
    }

    #[test]
    fn damaged_bytes_are_judged_as_tungstenite_judges_them(
        sendings in sendings(false),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(&sendings);
        for (at, value) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        compare(&bytes)?;
    }

    #[test]
    fn random_headers_are_judged_as_tungstenite_judges_them(
        frames in vec((any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..24)), 1..6),
    ) {
        let mut bytes = Vec::new();
        for (first, second, rest) in frames {
            // Mostly sound bits, or nothing would get past the first header.
            bytes.extend([first & 0x8F, second | 0x80]);
            bytes.extend(rest);
        }
        compare(&bytes)?;
    }
}

#[test]
fn close_codes_are_judged_as_tungstenite_judges_them() -> Result<(), TestCaseError> {
    for code in (0..5_200_u16).chain([u16::MAX]) {
        for sentence in [&b""[..], b"bye", &[0xFF], "é".as_bytes(), &[0xC3]] {
            let body = [&code.to_be_bytes(), sentence].concat();
            compare(&websocket_client::masked(0x80, 8, &body))?;
        }
    }
    Ok(())
}
