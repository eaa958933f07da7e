//! The bytes of an event in the form a member wants.

use bytes::Bytes;
pub use tidings_wire::names::{Dialect, Namespaces};
use tidings_wire::websocket::{self, Opcode};
use tidings_wire::{engineio, json, plain, socketio};

use crate::publication::{Mark, Payload, Position, Publication, parse_hex};

/// How events become bytes for one member; members of equal form share the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form {
    /// The dialect.
    pub dialect: Dialect,
    /// The index of the namespace through which it subscribed; 0 is `/`.
    pub namespace: u8,
    /// Whether recorded events carry the trailing offset of recovery.
    pub offset: bool,
    /// Whether Socket.IO clients are told, behind the data, of which room an event is and where it stands there.
    pub place: bool,
    /// Window bits of permessage-deflate; 0: not negotiated.
    pub deflate: u8,
    /// The client cannot take binary: it gets base64 text instead.
    pub text_only: bool,
}

/// Writes an event for those who heard what was said before: where it has one, the part of it that has changed.
pub fn encode_live(publication: &Publication, form: Form, namespaces: &Namespaces) -> Bytes {
    let Some(part) = &publication.part else { return encode(publication, form, namespaces) };
    let live = Publication { payload: Payload::json(part.clone()), part: None, ..publication.clone() };
    encode(&live, form, namespaces)
}

/// Writes an event as whole WebSocket frames in the given form.
pub fn encode(publication: &Publication, form: Form, namespaces: &Namespaces) -> Bytes {
    let mut out = Vec::with_capacity(publication.payload.json.len() + publication.event.len() + 96);
    match form.dialect {
        Dialect::Plain => {
            let mut text = Vec::with_capacity(publication.payload.json.len() + 192);
            write_plain(&mut text, publication);
            write_message(&mut out, Opcode::Text, &text, form.deflate);
        }
        Dialect::SocketIo => {
            let text = socket_io_text(publication, form, namespaces);
            write_message(&mut out, Opcode::Text, &text, form.deflate);
            for attachment in &publication.payload.attachments {
                write_binary(&mut out, attachment, form.deflate, form.text_only);
            }
        }
        Dialect::Msgpack => {
            let (offset, place) = (offset_text(publication, form), place_text(publication, form));
            let mut packet = Vec::with_capacity(publication.payload.json.len() + 64);
            socketio::msgpack::encode::event(
                &mut packet,
                namespaces.name(form.namespace),
                publication.ack,
                &publication.event,
                &arguments(publication, place.as_deref(), offset.is_some()),
                offset.as_deref(),
                &publication.payload.attachments,
            );
            write_binary(&mut out, &packet, form.deflate, form.text_only);
        }
    }
    Bytes::from(out)
}

/// Writes one WebSocket message, compressed where that was negotiated and pays.
pub fn write_message(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], deflate: u8) {
    if deflate > 0 && payload.len() >= DEFLATE_FROM {
        let mut small = Vec::with_capacity(payload.len() / 2);
        websocket::compress(payload, deflate, &mut small);
        websocket::write_header(out, opcode, small.len(), true);
        out.extend_from_slice(&small);
        return;
    }
    websocket::write_header(out, opcode, payload.len(), false);
    out.extend_from_slice(payload);
}

/// Writes one binary message; as base64 text behind a `b` for clients that cannot take binary.
pub fn write_binary(out: &mut Vec<u8>, payload: &[u8], deflate: u8, text_only: bool) {
    if !text_only {
        return write_message(out, Opcode::Binary, payload, deflate);
    }
    let mut body = engineio::PayloadWriter::new();
    body.push_binary(payload);
    write_message(out, Opcode::Text, &body.into_body(), deflate);
}

/// Below this a message is sent as it is: it would hardly shrink.
const DEFLATE_FROM: usize = 1_024;

fn socket_io_text(publication: &Publication, form: Form, namespaces: &Namespaces) -> Vec<u8> {
    let mut text = Vec::with_capacity(publication.payload.json.len() + publication.event.len() + 64);
    let (offset, place) = (offset_text(publication, form), place_text(publication, form));
    socketio::encode::event(
        &mut text,
        namespaces.name(form.namespace),
        publication.ack,
        &publication.event,
        &arguments(publication, place.as_deref(), offset.is_some()),
        offset.as_deref(),
        publication.payload.attachments.len() as u32,
    );
    text
}

/// The data, and behind it the place where one is wanted.
///
/// A stock client takes the last argument of whatever it hears for its offset, if that is a string. Data that looks like
/// an offset of ours, which whoever publishes chooses, is kept from being it: a client that sent back a later offset than
/// its own would be told that it had missed nothing.
fn arguments<'a>(publication: &'a Publication, place: Option<&'a str>, has_offset: bool) -> Vec<&'a str> {
    let data = publication.payload.text();
    let is_last = place.is_none() && !has_offset && publication.ack.is_none();
    let guard = (is_last && looks_like_offset(data)).then_some("null");
    std::iter::once(data).chain(place).chain(guard).collect()
}

/// Whether data is a string that would be read as an offset.
fn looks_like_offset(data: &str) -> bool {
    let data = data.trim_ascii();
    data.starts_with('"') && json::string(data).is_some_and(|text| parse_resume_offset(&text).is_some())
}

/// Of which room an event is and where it stands there: what the plain dialect says beside the data.
fn place_text(publication: &Publication, form: Form) -> Option<String> {
    if !form.place {
        return None;
    }
    let mut out = b"{\"room\":".to_vec();
    json::write_string(&mut out, publication.room.name());
    out.extend_from_slice(format!(",\"messageId\":\"{}\"", publication.id).as_bytes());
    if let Some(Position { epoch, offset, tag }) = publication.position {
        let at = format!(",\"epoch\":\"{epoch}\",\"offset\":{offset},\"tag\":\"{tag:08x}\"");
        out.extend_from_slice(at.as_bytes());
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}

/// The opaque offset of recovery: how far its organisation's events were heard, and the process that counted.
///
/// None beside an acknowledgement: a stock client looks for it in the last argument, and there the callback
/// stands; the reference server leaves it out as well.
fn offset_text(publication: &Publication, form: Form) -> Option<String> {
    let mark = publication.mark();
    let counts = publication.position.is_some() && mark != Mark::default() && publication.ack.is_none();
    (form.offset && counts).then(|| resume_offset(publication.id.node, mark))
}

/// Writes the opaque offset that stock clients send back when they resume.
///
/// It stands in every recorded event they get, so what is 0 is left out. All digits of the process are written, so
/// that nothing people say, such as a price, is taken for an offset.
pub fn resume_offset(node: u64, mark: Mark) -> String {
    let Mark { memory, durable } = mark;
    if durable == 0 {
        format!("{node:016x}.{memory:x}")
    } else {
        format!("{node:016x}.{memory:x}.{durable:x}")
    }
}

/// Reads an opaque offset: the process that counted, and the point; `None` if it is not one of ours.
pub fn parse_resume_offset(text: &str) -> Option<(u64, Mark)> {
    let (node, numbers) = text.split_once('.').filter(|(node, _)| node.len() == 16)?;
    let (memory, durable) = numbers.split_once('.').unwrap_or((numbers, "0"));
    Some((parse_hex(node)?, Mark { memory: parse_hex(memory)?, durable: parse_hex(durable)? }))
}

fn write_plain(out: &mut Vec<u8>, publication: &Publication) {
    let id = publication.id.to_string();
    let position = publication.position.map(|p| (p.epoch.to_string(), p.offset, format!("{:08x}", p.tag)));
    plain::server::event(
        out,
        &plain::server::Event {
            room: publication.room.name(),
            event: &publication.event,
            data: &plain_data(publication),
            message_id: &id,
            epoch: position.as_ref().map(|(epoch, _, _)| epoch.as_str()),
            offset: position.as_ref().map(|(_, offset, _)| *offset),
            tag: position.as_ref().map(|(_, _, tag)| tag.as_str()),
            ack: publication.ack.is_some(),
        },
    );
}

/// The data as JSON alone: binary becomes base64 text in its place.
pub fn plain_data(publication: &Publication) -> std::borrow::Cow<'_, str> {
    let payload = &publication.payload;
    if payload.attachments.is_empty() {
        return payload.text().into();
    }
    socketio::inline_attachments(payload.text(), &payload.attachments).into()
}
