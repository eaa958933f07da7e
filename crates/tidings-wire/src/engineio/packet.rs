use crate::{Limits, Violation};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;

/// One Engine.IO packet as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `0`: opens a session; from a client it means nothing and is ignored by its receiver.
    Open,
    /// `1`: the peer closes the session.
    Close,
    /// `2`: a ping with its data, `probe` during an upgrade.
    Ping(&'a str),
    /// `3`: a pong with its data.
    Pong(&'a str),
    /// `4`: a text message, without the type digit.
    Message(&'a str),
    /// `b` and base64: a binary message that travelled as text.
    Binary(Cow<'a, [u8]>),
    /// `5`: the client finishes the upgrade to this transport.
    Upgrade,
    /// `6`: nothing.
    Noop,
}

/// Reads the text of one packet: a text WebSocket frame, or one part of a polling payload.
///
/// # Errors
/// [`Violation::too_large`] if the text is longer than [`Limits::message_bytes`]; [`Violation::protocol`] if
/// it is empty, of unknown type, or not base64 after `b`.
pub fn decode_text<'a>(frame: &'a str, limits: &Limits) -> Result<Packet<'a>, Violation> {
    if frame.len() > limits.message_bytes {
        return Err(Violation::too_large("engine packet is too long"));
    }
    let kind = *frame.as_bytes().first().ok_or(Violation::protocol("engine packet is empty"))?;
    let data = frame.get(1..).ok_or(UNKNOWN)?;
    match kind {
        b'0' => Ok(Packet::Open),
        b'1' => Ok(Packet::Close),
        b'2' => Ok(Packet::Ping(data)),
        b'3' => Ok(Packet::Pong(data)),
        b'4' => Ok(Packet::Message(data)),
        b'5' => Ok(Packet::Upgrade),
        b'6' => Ok(Packet::Noop),
        b'b' => decode_base64(data).map(|bytes| Packet::Binary(Cow::Owned(bytes))),
        _ => Err(UNKNOWN),
    }
}

const UNKNOWN: Violation = Violation::protocol("engine packet type is unknown");

// Clients differ in padding, and Node's decoder never minded.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn decode_base64(text: &str) -> Result<Vec<u8>, Violation> {
    TOLERANT.decode(text).map_err(|_| Violation::protocol("binary packet is not base64"))
}
