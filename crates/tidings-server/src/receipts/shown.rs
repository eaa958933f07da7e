//! Receipts as publishers and servers read them.

use tidings_wire::json::write_string;

use super::tracked::{Counts, Recipient, State, Tracked};
use crate::time::iso8601;

/// Users of each kind that an outcome names.
const USERS: usize = 100;

/// Writes what a publisher is told when nobody is waited for any more: a JSON object.
pub(super) fn write_receipt(out: &mut Vec<u8>, tracked: &Tracked) {
    out.push(b'{');
    write_common(out, tracked);
    if tracked.tells_users {
        write_users(out, tracked);
    }
    out.push(b'}');
}

/// Writes everything that is known of a message.
pub(super) fn write_delivery(out: &mut Vec<u8>, tracked: &Tracked) {
    out.extend_from_slice(b"{\"ok\":true,");
    write_common(out, tracked);
    if let Some(message) = &tracked.message {
        out.extend_from_slice(b",\"event\":");
        write_string(out, &message.event);
    }
    let state = if tracked.outcome.is_some() { "done" } else { "waiting" };
    let at = iso8601(tracked.begun_ms);
    out.extend_from_slice(format!(",\"state\":\"{state}\",\"at\":\"{at}\",\"recipients\":[").as_bytes());
    for (at, recipient) in tracked.recipients.values().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_recipient(out, recipient);
    }
    out.extend_from_slice(b"]}");
}

fn write_common(out: &mut Vec<u8>, tracked: &Tracked) {
    let id = tracked.id().map(|id| id.to_string()).unwrap_or_default();
    out.extend_from_slice(format!("\"messageId\":\"{id}\",\"room\":").as_bytes());
    write_string(out, tracked.room.name());
    if let Some(user) = &tracked.user {
        out.extend_from_slice(b",\"userId\":");
        write_string(out, user);
    }
    if let Some(outcome) = tracked.outcome {
        out.extend_from_slice(format!(",\"outcome\":\"{}\"", outcome.word()).as_bytes());
    }
    let Counts { recipients, sent, acknowledged, timed_out, gone, busy } = tracked.counts();
    out.extend_from_slice(
        format!(
            ",\"counts\":{{\"recipients\":{recipients},\"sent\":{sent},\"acknowledged\":{acknowledged},\
             \"timedOut\":{timed_out},\"gone\":{gone},\"busy\":{busy}}},\"tries\":{},\"deadLetter\":{}",
            tracked.tries, tracked.dead
        )
        .as_bytes(),
    );
}

fn write_users(out: &mut Vec<u8>, tracked: &Tracked) {
    out.extend_from_slice(b",\"users\":{");
    for (at, state) in [State::Acknowledged, State::TimedOut, State::Gone].into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let mut users: Vec<_> = tracked
            .recipients
            .values()
            .filter(|recipient| recipient.state == state)
            .filter_map(|recipient| recipient.user.as_deref())
            .collect();
        users.sort_unstable();
        users.dedup();
        out.extend_from_slice(format!("\"{}\":[", state.word()).as_bytes());
        for (at, user) in users.into_iter().take(USERS).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, user);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn write_recipient(out: &mut Vec<u8>, recipient: &Recipient) {
    out.extend_from_slice(format!("{{\"state\":\"{}\"", recipient.state.word()).as_bytes());
    if let Some(user) = &recipient.user {
        out.extend_from_slice(b",\"userId\":");
        write_string(out, user);
    }
    if let Some(ms) = recipient.latency_ms {
        out.extend_from_slice(format!(",\"latencyMs\":{ms}").as_bytes());
    }
    if let Some(answer) = &recipient.answer {
        out.extend_from_slice(b",\"answer\":");
        out.extend_from_slice(answer.as_bytes());
    }
    out.push(b'}');
}
