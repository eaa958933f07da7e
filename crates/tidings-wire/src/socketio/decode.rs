use super::packet::{Event, Kind, Packet, counted_event, is_reserved};
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
    let (data, count) = take_data(rest, limits)?;
    let event = check_data(kind, data, count)?;
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
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (id, after) = rest.split_at(digits);
    *rest = after;
    if id.is_empty() {
        return Ok(None);
    }
    json::unsigned(id).map(Some).ok_or(Violation::protocol("ack id is too long"))
}

/// The payload, and how many elements it has.
fn take_data<'a>(rest: &'a str, limits: &Limits) -> Result<(Option<&'a str>, usize), Violation> {
    if rest.is_empty() {
        return Ok((None, 0));
    }
    let count = json::count(rest, limits.json_depth)?;
    Ok((Some(rest.trim_ascii()), count))
}

/// Checks the shape of the payload as the reference parser does, and reads what an event says.
pub(super) fn check_data(
    kind: Kind,
    data: Option<&str>,
    count: usize,
) -> Result<Option<Event<'_>>, Violation> {
    let event = data.filter(|_| kind.is_event()).and_then(|data| counted_event(data, count));
    let first = data.and_then(|data| data.bytes().next());
    let fits = match kind {
        Kind::Connect => matches!(first, None | Some(b'{')),
        Kind::Disconnect => first.is_none(),
        Kind::ConnectError => matches!(first, None | Some(b'{' | b'"')),
        Kind::Ack => matches!(first, None | Some(b'[')),
        Kind::BinaryAck => first == Some(b'['),
        Kind::Event if data.is_none() => true,
        Kind::Event | Kind::BinaryEvent => event.as_ref().is_some_and(|event| !is_reserved(&event.name)),
    };
    if fits { Ok(event) } else { Err(Violation::protocol("payload does not fit the packet type")) }
}
