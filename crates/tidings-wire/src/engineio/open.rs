use crate::json::write_string;
use std::io::Write as _;

/// The handshake: what the server tells a client first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// The session's secret id.
    pub sid: &'a str,
    /// The transports the client may upgrade to: `["websocket"]` on polling, none on WebSocket.
    pub upgrades: &'a [&'a str],
    /// Milliseconds between two pings of the server.
    pub ping_interval_ms: u64,
    /// Milliseconds the client has for its pong.
    pub ping_timeout_ms: u64,
    /// Bytes of one polling body or message the server takes.
    pub max_payload: u64,
}

impl Open<'_> {
    /// Appends the open packet, `0{…}`, with exactly the five keys of the protocol.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"0{\"sid\":");
        write_string(out, self.sid);
        out.extend_from_slice(b",\"upgrades\":[");
        for (index, upgrade) in self.upgrades.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(out, upgrade);
        }
        // Writing to a Vec cannot fail.
        let _infallible = write!(
            out,
            "],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            self.ping_interval_ms, self.ping_timeout_ms, self.max_payload
        );
    }
}
