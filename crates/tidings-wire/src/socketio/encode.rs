//! Packets of the JSON dialect, from server to client.
//!
//! Each function appends one Engine.IO message: the `4` first, then the packet. Raw JSON handed in must have
//! been checked; it is copied as it is.

use crate::json::write_string;

/// CONNECT: the client has joined `namespace` under the public id `sid`; `pid` is its recovery id.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    head(out, b"40", namespace);
    out.extend_from_slice(b"{\"sid\":");
    write_string(out, sid);
    if let Some(pid) = pid {
        out.extend_from_slice(b",\"pid\":");
        write_string(out, pid);
    }
    out.push(b'}');
}

/// CONNECT_ERROR: the client is refused; `data` is raw JSON.
///
/// The connection stays, and a JS client does not try again by itself.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&str>) {
    head(out, b"44", namespace);
    out.extend_from_slice(b"{\"message\":");
    write_string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.push(b'}');
}

/// DISCONNECT: the client has left `namespace`; a JS client does not come back by itself.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    head(out, b"41", namespace);
}

/// An event with its arguments as raw JSON, followed by `attachments` binary frames.
///
/// `offset` is the position of recorded events, which clients expect as an extra string argument at the end.
/// The stock clients refuse more than ten attachments.
pub fn event(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &[&str],
    offset: Option<&str>,
    attachments: u32,
) {
    binary_head(out, [b"42", b"45"], namespace, attachments);
    if let Some(id) = id {
        number(out, id);
    }
    out.push(b'[');
    write_string(out, name);
    for arg in args {
        out.push(b',');
        out.extend_from_slice(arg.as_bytes());
    }
    if let Some(offset) = offset {
        out.push(b',');
        write_string(out, offset);
    }
    out.push(b']');
}

/// The answer to the event that carried `id`, followed by `attachments` binary frames.
pub fn ack(out: &mut Vec<u8>, namespace: &str, id: u64, args: &[impl AsRef<str>], attachments: u32) {
    binary_head(out, [b"43", b"46"], namespace, attachments);
    number(out, id);
    out.push(b'[');
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(arg.as_ref().as_bytes());
    }
    out.push(b']');
}

#[inline]
fn binary_head(out: &mut Vec<u8>, [plain, binary]: [&[u8; 2]; 2], namespace: &str, attachments: u32) {
    if attachments == 0 {
        return head(out, plain, namespace);
    }
    out.extend_from_slice(binary);
    number(out, u64::from(attachments));
    out.push(b'-');
    name(out, namespace);
}

fn head(out: &mut Vec<u8>, kind: &[u8; 2], namespace: &str) {
    out.extend_from_slice(kind);
    name(out, namespace);
}

fn name(out: &mut Vec<u8>, namespace: &str) {
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}
