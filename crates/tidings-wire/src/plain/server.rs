//! Messages of the plain dialect, from server to client.
//!
//! Each function appends one message. Raw JSON handed in must have been checked; it is copied as it is.

use super::object::Object;

/// Who the client is, after its sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthOk<'a> {
    /// The user, none for an anonymous client.
    pub user_id: Option<&'a str>,
    /// The organisation.
    pub org: &'a str,
    /// The id of this connection's session.
    pub session_id: &'a str,
    /// When the sign-in ends, ISO 8601; none if it does not.
    pub expires_at: Option<&'a str>,
}

/// An event on its way to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The room it was published in.
    pub room: &'a str,
    /// Its name.
    pub event: &'a str,
    /// Its payload as raw JSON.
    pub data: &'a str,
    /// Its id.
    pub message_id: &'a str,
    /// The epoch, if the room records.
    pub epoch: Option<&'a str>,
    /// The offset, if the room records.
    pub offset: Option<u64>,
    /// The proof of the position, if the room records.
    pub tag: Option<&'a str>,
    /// Whether the client has to confirm it.
    pub ack: bool,
}

/// Events that a client will not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    /// The room.
    pub room: &'a str,
    /// `trimmed`, `epoch`, `rewind`, `corrupt` or `overflow`.
    pub reason: &'a str,
    /// The first missing offset, if it is known.
    pub from: Option<u64>,
    /// The last missing offset, if it is known.
    pub to: Option<u64>,
    /// The offset from which delivery goes on, if it is known.
    pub resume_at: Option<u64>,
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// A code of the contract's table: `bad_request`, `forbidden`, …
    pub code: &'a str,
    /// What was wrong, for people.
    pub message: &'a str,
    /// Whether the same may succeed later.
    pub retryable: bool,
    /// Milliseconds to wait before trying again.
    pub retry_after_ms: Option<u64>,
}

/// Writes `auth:ok`.
pub fn auth_ok(out: &mut Vec<u8>, auth: &AuthOk<'_>) {
    let mut message = Object::message(out, "auth:ok");
    message.text_or_null("userId", auth.user_id);
    message.text("org", auth.org);
    message.text("sessionId", auth.session_id);
    message.text_or_null("expiresAt", auth.expires_at);
    message.end();
}

/// Writes the answer to the command `id`; `body` is the raw object a Socket.IO ack would carry,
/// `{"ok":true,…}`.
pub fn ack(out: &mut Vec<u8>, id: Option<u64>, body: &str) {
    let mut message = Object::message(out, "ack");
    message.optional_number("id", id);
    message.members_of(body);
    message.end();
}

/// Writes a message of type `kind` with the members of `body`, a raw object.
pub fn notice(out: &mut Vec<u8>, kind: &str, body: &str) {
    let mut message = Object::message(out, kind);
    message.members_of(body);
    message.end();
}

/// Writes the refusal of the command `id`, as its answer.
pub fn refusal(out: &mut Vec<u8>, id: Option<u64>, refusal: &Refusal<'_>) {
    let mut message = Object::message(out, "ack");
    message.optional_number("id", id);
    message.raw("ok", "false");
    message.with("error", |out| refusal_error(out, refusal));
    message.end();
}

/// Writes the error inside a refusal: `{"code","message","retryable","retryAfterMs"?}`.
pub fn refusal_error(out: &mut Vec<u8>, refusal: &Refusal<'_>) {
    let mut error = Object::starting(out, "code", refusal.code);
    error.text("message", refusal.message);
    error.raw("retryable", if refusal.retryable { "true" } else { "false" });
    error.optional_number("retryAfterMs", refusal.retry_after_ms);
    error.end();
}

/// Writes an event.
pub fn event(out: &mut Vec<u8>, event: &Event<'_>) {
    let mut message = Object::message(out, "event");
    message.text("room", event.room);
    message.text("event", event.event);
    message.raw("data", event.data);
    message.text("messageId", event.message_id);
    message.optional_text("epoch", event.epoch);
    message.optional_number("offset", event.offset);
    message.optional_text("tag", event.tag);
    if event.ack {
        message.raw("ack", "true");
    }
    message.end();
}

/// Writes that events are missing, before any later one is sent.
pub fn gap(out: &mut Vec<u8>, gap: &Gap<'_>) {
    let mut message = Object::message(out, "gap");
    message.text("room", gap.room);
    end_gap(message, gap);
}

/// Writes the same as an object without type, for dialects whose events have names.
pub fn gap_body(out: &mut Vec<u8>, gap: &Gap<'_>) {
    end_gap(Object::starting(out, "room", gap.room), gap);
}

fn end_gap(mut message: Object<'_>, gap: &Gap<'_>) {
    message.text("reason", gap.reason);
    message.number_or_null("from", gap.from);
    message.number_or_null("to", gap.to);
    message.number_or_null("resumeAt", gap.resume_at);
    message.end();
}

/// Writes that all missed events of `room` up to `offset` have been sent.
pub fn resumed(out: &mut Vec<u8>, room: &str, epoch: &str, offset: u64) {
    let mut message = Object::message(out, "resumed");
    message.text("room", room);
    message.text("epoch", epoch);
    message.number("offset", offset);
    message.end();
}

/// Writes when the client's token ends, so that it can renew it in time; `expires_at` is ISO 8601.
pub fn token(out: &mut Vec<u8>, expires_at: &str) {
    let mut message = Object::message(out, "token");
    message.text("expiresAt", expires_at);
    message.end();
}

/// Writes that the client was taken out of a room, and why: `forbidden`.
pub fn left(out: &mut Vec<u8>, room: &str, reason: &str) {
    let mut message = Object::message(out, "left");
    message.text("room", room);
    message.text("reason", reason);
    message.end();
}

/// Writes that the client should leave and come back after a while.
pub fn reconnect(out: &mut Vec<u8>, after_ms: u64) {
    let mut message = Object::message(out, "reconnect");
    message.number("afterMs", after_ms);
    message.end();
}

/// Writes a sign of life, with the number of volatile events dropped since the last one unless it is zero.
pub fn heartbeat(out: &mut Vec<u8>, dropped: u64) {
    let mut message = Object::message(out, "heartbeat");
    message.optional_number("dropped", Some(dropped).filter(|&dropped| dropped > 0));
    message.end();
}

/// Writes how many volatile events of a room were dropped because the client read too slowly; without a room they
/// were said to everybody.
pub fn skipped(out: &mut Vec<u8>, room: Option<&str>, count: u32) {
    let mut message = Object::message(out, "skipped");
    message.optional_text("room", room);
    message.number("count", u64::from(count));
    message.end();
}

/// Writes the same as an object without type, for dialects whose events have names.
pub fn skipped_body(out: &mut Vec<u8>, room: Option<&str>, count: u32) {
    let Some(room) = room else {
        return out.extend_from_slice(format!("{{\"count\":{count}}}").as_bytes());
    };
    let mut message = Object::starting(out, "room", room);
    message.number("count", u64::from(count));
    message.end();
}

/// Writes that so many recorded events were held back because the client read too slowly, and follow now.
pub fn behind(out: &mut Vec<u8>, events: u64) {
    let mut message = Object::message(out, "behind");
    message.number("events", events);
    message.end();
}
