use super::reader::{Reader, Token};
use super::unpack::{Unpacked, unpack};
use crate::socketio::Kind;
use crate::socketio::decode::{check_data, check_namespace};
use crate::socketio::event;
use crate::socketio::placeholder::check_placeholders;
use crate::{Limits, Violation};
use bytes::Bytes;

/// One packet of the msgpack dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPacket {
    /// What it is; an event or answer with attachments is a binary one, as in the JSON dialect.
    pub kind: Kind,
    /// The namespace.
    pub namespace: String,
    /// The id an answer refers to.
    pub id: Option<u64>,
    /// The payload as JSON with placeholders, shaped as [`Packet::data`](crate::socketio::Packet::data).
    pub data: Option<String>,
    /// The byte strings the placeholders stand for, in order.
    pub attachments: Vec<Bytes>,
}

/// Reads one packet of the msgpack dialect: a whole binary message.
///
/// Refuses what the reference decoder refuses, `nil` as `id` or `data` included. Stricter than it in these:
/// an event has a name and not a reserved one, ids are not negative, a field comes once, and attachments and
/// depth are bounded as in the JSON dialect.
///
/// # Errors
/// [`Violation::too_large`] if the message, or its payload as JSON, exceeds [`Limits::message_bytes`];
/// [`Violation::structure`] for nesting and number of attachments; [`Violation::utf8`] for text that is not;
/// [`Violation::protocol`] for everything else.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<OwnedPacket, Violation> {
    if bytes.len() > limits.message_bytes {
        return Err(Violation::too_large("packet is too long"));
    }
    let mut reader = Reader::new(bytes);
    let Token::Map(fields) = reader.token()? else {
        return Err(Violation::protocol("packet is no map"));
    };
    let mut envelope = Envelope::default();
    for _ in 0..fields {
        envelope.field(&mut reader, limits)?;
    }
    if !reader.is_empty() {
        return Err(Violation::protocol("bytes after the packet"));
    }
    envelope.finish(limits)
}

/// The fields as far as they are read; the outer option tells whether a field was there.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<Kind>,
    namespace: Option<&'a str>,
    id: Option<Option<u64>>,
    data: Option<Option<Unpacked>>,
}

impl<'a> Envelope<'a> {
    fn field(&mut self, reader: &mut Reader<'a>, limits: &Limits) -> Result<(), Violation> {
        let Token::Text(name) = reader.token()? else {
            return Err(Violation::protocol("packet has a field without name"));
        };
        let repeated = match name {
            "type" => self.kind.replace(kind(reader.token()?)?).is_some(),
            "nsp" => self.namespace.replace(namespace(reader.token()?, limits)?).is_some(),
            "id" => self.id.replace(id(reader.token()?)?).is_some(),
            "data" if reader.take_undefined() => self.data.replace(None).is_some(),
            "data" => self.data.replace(Some(unpack(reader, limits)?)).is_some(),
            _ => {
                reader.skip()?;
                false
            }
        };
        if repeated { Err(Violation::protocol("packet has a field twice")) } else { Ok(()) }
    }

    fn finish(self, limits: &Limits) -> Result<OwnedPacket, Violation> {
        let kind = self.kind.ok_or(Violation::protocol("packet has no type"))?;
        let namespace = self.namespace.ok_or(Violation::protocol("packet has no namespace"))?;
        let (data, attachments) = match self.data.flatten() {
            Some(unpacked) => (Some(text(unpacked.json)?), unpacked.attachments),
            None => (None, Vec::new()),
        };
        if data.is_none() && !matches!(kind, Kind::Connect | Kind::Disconnect) {
            return Err(Violation::protocol("packet has no payload"));
        }
        let said = data.as_deref().filter(|_| kind.is_event()).and_then(event);
        check_data(kind, data.as_deref(), said.as_ref())?;
        if let Some(data) = data.as_deref().filter(|_| !attachments.is_empty()) {
            let count = u32::try_from(attachments.len()).unwrap_or(limits.attachments);
            check_placeholders(data, count, limits)?;
        }
        let kind = kind.with_attachments(!attachments.is_empty());
        let id = self.id.flatten();
        Ok(OwnedPacket { kind, namespace: namespace.to_owned(), id, data, attachments })
    }
}

fn kind(token: Token<'_>) -> Result<Kind, Violation> {
    match whole(token) {
        Some(0) => Ok(Kind::Connect),
        Some(1) => Ok(Kind::Disconnect),
        Some(2) => Ok(Kind::Event),
        Some(3) => Ok(Kind::Ack),
        Some(4) => Ok(Kind::ConnectError),
        _ => Err(Violation::protocol("packet type is unknown")),
    }
}

fn namespace<'a>(token: Token<'a>, limits: &Limits) -> Result<&'a str, Violation> {
    let Token::Text(namespace) = token else {
        return Err(Violation::protocol("namespace is no text"));
    };
    check_namespace(namespace, limits)?;
    Ok(namespace)
}

fn id(token: Token<'_>) -> Result<Option<u64>, Violation> {
    // The JSON dialect has no longer ones, and an id may travel on in it.
    const NINETEEN_DIGITS: u64 = 9_999_999_999_999_999_999;
    match token {
        Token::Undefined => Ok(None),
        token => whole(token)
            .filter(|&id| id <= NINETEEN_DIGITS)
            .map(Some)
            .ok_or(Violation::protocol("ack id is no whole number")),
    }
}

/// A whole number, also one that a packer wrote as a float.
fn whole(token: Token<'_>) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match token {
        Token::Unsigned(number) => Some(number),
        Token::Float(number) if number.fract() == 0.0 && (0.0..EXACT).contains(&number) => {
            Some(number as u64)
        }
        _ => None,
    }
}

fn text(json: Vec<u8>) -> Result<String, Violation> {
    // Only whole texts were written, so this cannot fail.
    String::from_utf8(json).map_err(|_| Violation::utf8("msgpack text is not UTF-8"))
}
