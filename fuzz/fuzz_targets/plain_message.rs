//! A message of the plain dialect is understood, refused or closed for; what is understood keeps the limits.
//!
//! Input: one text message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_wire::plain::{
    AuthBody, ClientMessage, DecodeError, HistoryBody, INFO_BYTES, PresenceBody, PresenceSetBody,
    PublishBody, RoomBody, SubscribeBody, decode,
};
use tidings_wire::{CloseReason, Limits, json};

fuzz_target!(|text: &str| {
    let limits = Limits { room_name_bytes: 20, event_name_bytes: 10, key_bytes: 8, ..Limits::default() };
    match decode(text, &limits) {
        Ok(message) => check(&message, &limits),
        Err(DecodeError::Refused { code, message, .. }) => {
            assert!(["bad_request", "unauthorized"].contains(&code));
            assert!(message.len() < 200, "a refusal does not echo the client");
        }
        Err(DecodeError::Violation(violation)) => {
            assert!(matches!(violation.reason, CloseReason::Protocol | CloseReason::Structure));
        }
    }
    if json::check(text, limits.json_depth).is_ok() {
        // On Socket.IO the same bodies are any argument of an event.
        let _ = AuthBody::parse(text);
        let _ = SubscribeBody::parse(text, &limits);
        let _ = RoomBody::parse(text, &limits);
        let _ = HistoryBody::parse(text, &limits);
        let _ = PresenceBody::parse(text, &limits);
        if let Ok(set) = PresenceSetBody::parse(text) {
            assert!(set.info.is_none_or(|info| info.len() <= INFO_BYTES));
        }
        if let Ok(publish) = PublishBody::parse(text, &limits) {
            check_publish(&publish, &limits);
        }
    }
});

fn check(message: &ClientMessage<'_>, limits: &Limits) {
    match message {
        ClientMessage::Subscribe { body, .. } => {
            assert!((1..=limits.room_name_bytes).contains(&body.room.len()));
            assert!(body.events.as_ref().is_none_or(|events| events.len() <= 64));
        }
        ClientMessage::Unsubscribe { body, .. } => assert!(body.room.len() <= limits.room_name_bytes),
        ClientMessage::Publish { body, .. } => check_publish(body, limits),
        ClientMessage::Command { namespace, name, data, .. } => {
            assert!(namespace.starts_with('/') && namespace.len() <= limits.room_name_bytes);
            assert!((1..=limits.event_name_bytes).contains(&name.len()));
            assert!(json::check(data, limits.json_depth).is_ok());
        }
        ClientMessage::Ack { message_id } => assert!(message_id.len() <= limits.key_bytes),
        _ => {}
    }
}

fn check_publish(publish: &PublishBody<'_>, limits: &Limits) {
    assert!((1..=limits.room_name_bytes).contains(&publish.room.len()));
    assert!((1..=limits.event_name_bytes).contains(&publish.event.len()));
    assert!(!publish.event.chars().any(char::is_control) && !publish.event.starts_with("tidings:"));
    assert!(json::check(publish.data, limits.json_depth).is_ok());
    assert!(publish.key.as_ref().is_none_or(|key| key.len() <= limits.key_bytes));
}
