//! The rules an upgrade request has to keep, and the answer (RFC 6455 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::deflate::{Deflate, DeflateConfig, negotiate};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
const KEY_BYTES: usize = 16;
/// How long 16 bytes are in base64.
const KEY_CHARS: usize = 24;

/// What the handshake looks at; of a header sent several times, the values joined by commas.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpgradeRequest<'a> {
    /// The request's method.
    pub method: &'a str,
    /// Whether the request is HTTP/1.1, which alone knows this handshake.
    pub http_1_1: bool,
    /// The header `Upgrade`.
    pub upgrade: Option<&'a str>,
    /// The header `Connection`.
    pub connection: Option<&'a str>,
    /// The header `Sec-WebSocket-Version`.
    pub version: Option<&'a str>,
    /// The header `Sec-WebSocket-Key`.
    pub key: Option<&'a str>,
    /// The header `Sec-WebSocket-Extensions`.
    pub extensions: Option<&'a str>,
}

/// What to answer with status 101, beside `Upgrade: websocket` and `Connection: Upgrade`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The value of `Sec-WebSocket-Extensions`, if that header is sent.
    pub extensions: Option<String>,
    /// The compression negotiated, for [`Decoder::new`](super::Decoder::new).
    pub deflate: Option<Deflate>,
}

/// What to answer instead; `Sec-WebSocket-Version: 13` goes along (section 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedUpgrade {
    /// The HTTP status: 400, or 426 for another version of the protocol.
    pub status: u16,
    /// One sentence for the body and the log.
    pub message: &'static str,
}

/// Judges an upgrade request; compression is negotiated only if `deflate` is given.
///
/// # Errors
/// The refusal to answer with when the request breaks section 4.2.1.
pub fn accept(
    request: &UpgradeRequest<'_>,
    deflate: Option<&DeflateConfig>,
) -> Result<Accepted, RefusedUpgrade> {
    check_upgrade(request)?;
    check_version(request.version)?;
    let key = read_key(request.key)?;
    let offers = request.extensions.unwrap_or_default();
    let (extensions, deflate) = deflate.and_then(|config| negotiate(offers, config)).unzip();
    Ok(Accepted { accept: accept_key(key), extensions, deflate })
}

fn check_upgrade(request: &UpgradeRequest<'_>) -> Result<(), RefusedUpgrade> {
    if request.method != "GET" {
        return refuse("a WebSocket handshake is a GET request");
    }
    if !request.http_1_1 {
        return refuse("a WebSocket handshake needs HTTP/1.1");
    }
    if !has_token(request.upgrade, "websocket") {
        return refuse("the Upgrade header does not name websocket");
    }
    if !has_token(request.connection, "upgrade") {
        return refuse("the Connection header does not name Upgrade");
    }
    Ok(())
}

fn check_version(version: Option<&str>) -> Result<(), RefusedUpgrade> {
    match version.map(str::trim) {
        Some(VERSION) => Ok(()),
        Some(_) => Err(RefusedUpgrade { status: 426, message: "only WebSocket version 13 is spoken here" }),
        None => refuse("the Sec-WebSocket-Version header is missing"),
    }
}

fn read_key(key: Option<&str>) -> Result<&str, RefusedUpgrade> {
    let Some(key) = key.map(str::trim) else { return refuse("the Sec-WebSocket-Key header is missing") };
    // The decoder wants room for whole groups of three bytes.
    let mut bytes = [0; KEY_CHARS / 4 * 3];
    if key.len() == KEY_CHARS && STANDARD.decode_slice(key, &mut bytes) == Ok(KEY_BYTES) {
        return Ok(key);
    }
    refuse("the Sec-WebSocket-Key header is not 16 bytes in base64")
}

fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Whether a comma-separated header names `token`, in any case.
fn has_token(header: Option<&str>, token: &str) -> bool {
    header.unwrap_or_default().split(',').any(|named| named.trim().eq_ignore_ascii_case(token))
}

fn refuse<T>(message: &'static str) -> Result<T, RefusedUpgrade> {
    Err(RefusedUpgrade { status: 400, message })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: UpgradeRequest<'static> = UpgradeRequest {
        method: "GET",
        http_1_1: true,
        upgrade: Some("websocket"),
        connection: Some("Upgrade"),
        version: Some("13"),
        key: Some("dGhlIHNhbXBsZSBub25jZQ=="),
        extensions: None,
    };

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let accepted = accept(&GOOD, None).unwrap();
        assert_eq!(accepted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((accepted.extensions, accepted.deflate), (None, None));
    }

    #[test]
    fn token_lists_are_read_in_any_case() {
        for (upgrade, connection) in [
            ("WebSocket", "keep-alive, Upgrade"),
            ("h2c , WEBSOCKET", "UPGRADE,keep-alive"),
            ("websocket", "\tupgrade "),
        ] {
            let request = UpgradeRequest { upgrade: Some(upgrade), connection: Some(connection), ..GOOD };
            assert!(accept(&request, None).is_ok(), "{upgrade} {connection}");
        }
    }

    #[test]
    fn a_request_that_breaks_a_rule_is_refused() {
        let cases = [
            (UpgradeRequest { method: "POST", ..GOOD }, 400),
            (UpgradeRequest { method: "get", ..GOOD }, 400),
            (UpgradeRequest { http_1_1: false, ..GOOD }, 400),
            (UpgradeRequest { upgrade: None, ..GOOD }, 400),
            (UpgradeRequest { upgrade: Some("websockets"), ..GOOD }, 400),
            (UpgradeRequest { connection: None, ..GOOD }, 400),
            (UpgradeRequest { connection: Some("keep-alive"), ..GOOD }, 400),
            (UpgradeRequest { version: None, ..GOOD }, 400),
            (UpgradeRequest { version: Some("8"), ..GOOD }, 426),
            (UpgradeRequest { version: Some("13, 8"), ..GOOD }, 426),
            (UpgradeRequest { key: None, ..GOOD }, 400),
            (UpgradeRequest { key: Some(""), ..GOOD }, 400),
            (UpgradeRequest { key: Some("AAAAAAAAAAAAAAAAAAAA"), ..GOOD }, 400),
            (UpgradeRequest { key: Some("AAAAAAAAAAAAAAAAAAAAAAA="), ..GOOD }, 400),
            (UpgradeRequest { key: Some("AAAAAAAAAAAAAAAAAAAAAAAA"), ..GOOD }, 400),
            (UpgradeRequest { key: Some("dGhlIHNhbXBsZSBub25jZQ"), ..GOOD }, 400),
            (UpgradeRequest { key: Some("dGhlIHNhbXBsZSBub25j!Q=="), ..GOOD }, 400),
            (UpgradeRequest { key: Some("éééééééééééé"), ..GOOD }, 400),
        ];
        for (request, status) in cases {
            assert_eq!(accept(&request, None).unwrap_err().status, status, "{request:?}");
        }
    }

    #[test]
    fn compression_is_negotiated_only_when_it_is_switched_on() {
        let request = UpgradeRequest { extensions: Some("permessage-deflate"), ..GOOD };
        assert_eq!(accept(&request, None).unwrap().deflate, None);
        let accepted = accept(&request, Some(&DeflateConfig::default())).unwrap();
        assert_eq!(accepted.deflate, Some(Deflate { window_bits: 15 }));
        assert!(accepted.extensions.unwrap().starts_with("permessage-deflate; server_no_context_takeover"));
        assert_eq!(accept(&GOOD, Some(&DeflateConfig::default())).unwrap().extensions, None);
    }
}
