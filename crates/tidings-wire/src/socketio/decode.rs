use std::borrow::Cow;

use super::packet::{Event, Kind, Packet, event, is_reserved};
use super::placeholder::check_placeholders;
use crate::{Limits, Violation, json};

/// Reads one packet of the JSON dialect: the text after the Engine.IO `4`.
///
/// What the Node reference server closes the connection for is a violation; what it lets pass is a packet.
/// CONNECT_ERROR is read too, though a server that receives one closes the connection. Two things are
/// stricter than Node: a binary packet has a payload, and a namespace has at most
/// [`Limits::room_name_bytes`] and no control characters.
///
/// # Errors
/// [`Violation::too_large`] beyond [`Limits::message_bytes`], [`Violation::structure`] for nesting, number
/// of attachments and length of the namespace, [`Violation::protocol`] for everything else.
pub fn decode<'a>(text: &'a str, limits: &Limits) -> Result<Packet<'a>, Violation> {
    if text.len() > limits.message_bytes {
        return Err(Violation::too_large("packet is too long"));
    }
    let mut rest = text;
    let kind = take_kind(&mut rest)?;
    let attachments = if kind.is_binary() { take_attachments(&mut rest, limits)? } else { 0 };
    let namespace = take_namespace(&mut rest, limits)?;
    let id = take_id(&mut rest)?;
    let (data, event) = take_data(kind, rest, limits)?;
    check_data(kind, data, event.as_ref())?;
    if let Some(data) = data.filter(|_| kind.is_binary()) {
        check_placeholders(data, attachments, limits)?;
    }
    Ok(Packet { kind, namespace, id, data, event, attachments })
}

fn take_kind(rest: &mut &str) -> Result<Kind, Violation> {
    let kind = match rest.bytes().next() {
        Some(b'0') => Kind::Connect,
        Some(b'1') => Kind::Disconnect,
        Some(b'2') => Kind::Event,
        Some(b'3') => Kind::Ack,
        Some(b'4') => Kind::ConnectError,
        Some(b'5') => Kind::BinaryEvent,
        Some(b'6') => Kind::BinaryAck,
        _ => return Err(Violation::protocol("packet type is unknown")),
    };
    *rest = &rest[1..];
    Ok(kind)
}

fn take_attachments(rest: &mut &str, limits: &Limits) -> Result<u32, Violation> {
    let (digits, after) = rest.split_once('-').ok_or(Violation::protocol("attachment count is missing"))?;
    let count = json::unsigned(digits).ok_or(Violation::protocol("attachment count is no number"))?;
    *rest = after;
    match u32::try_from(count) {
        Ok(0) => Err(Violation::structure("binary packet without attachments")),
        Ok(count) if count <= limits.attachments => Ok(count),
        _ => Err(Violation::structure("too many attachments")),
    }
}

fn take_namespace<'a>(rest: &mut &'a str, limits: &Limits) -> Result<&'a str, Violation> {
    if !rest.starts_with('/') {
        return Ok("/");
    }
    let (namespace, after) = rest.split_once(',').unwrap_or((rest, ""));
    *rest = after;
    check_namespace(namespace, limits)?;
    Ok(namespace)
}

/// A refused namespace is named in the answer, so neither its length nor its bytes may be free.
pub(super) fn check_namespace(namespace: &str, limits: &Limits) -> Result<(), Violation> {
    if namespace.len() > limits.room_name_bytes {
        return Err(Violation::structure("namespace is too long"));
    }
    if namespace.chars().any(char::is_control) {
        return Err(Violation::protocol("namespace has control characters"));
    }
    Ok(())
}

fn take_id(rest: &mut &str) -> Result<Option<u64>, Violation> {
    let (mut id, mut digits) = (0, 0);
    while let Some(digit @ b'0'..=b'9') = rest.as_bytes().get(digits) {
        if digits == MAX_ID_DIGITS {
            return Err(Violation::protocol("ack id is too long"));
        }
        id = id * 10 + u64::from(digit - b'0');
        digits += 1;
    }
    *rest = &rest[digits..];
    Ok((digits > 0).then_some(id))
}

/// So many digits always fit in 64 bits.
const MAX_ID_DIGITS: usize = 19;

/// The payload, and what it says if it is an event's.
#[inline]
fn take_data<'a>(
    kind: Kind,
    rest: &'a str,
    limits: &Limits,
) -> Result<(Option<&'a str>, Option<Event<'a>>), Violation> {
    if rest.is_empty() {
        return Ok((None, None));
    }
    let data = rest.trim_ascii();
    if !kind.is_event() {
        json::check(rest, limits.json_depth)?;
        return Ok((Some(data), None));
    }
    let named = json::check_named(rest, limits.json_depth)?;
    let event = match named.and_then(|named| json::name_and_args(data, &named)) {
        Some((name, args)) => Some(Event { name: Cow::Borrowed(name), args }),
        None => event(data),
    };
    Ok((Some(data), event))
}

/// Checks the shape of the payload as the reference parser does.
#[inline]
pub(super) fn check_data(kind: Kind, data: Option<&str>, event: Option<&Event<'_>>) -> Result<(), Violation> {
    let first = data.and_then(|data| data.bytes().next());
    let fits = match kind {
        Kind::Connect => matches!(first, None | Some(b'{')),
        Kind::Disconnect => first.is_none(),
        Kind::ConnectError => matches!(first, None | Some(b'{' | b'"')),
        Kind::Ack => matches!(first, None | Some(b'[')),
        Kind::BinaryAck => first == Some(b'['),
        Kind::Event if data.is_none() => true,
        Kind::Event | Kind::BinaryEvent => event.is_some_and(|event| !is_reserved(&event.name)),
    };
    if fits { Ok(()) } else { Err(Violation::protocol("payload does not fit the packet type")) }
}
