//! Packets of the msgpack dialect, from server to client.
//!
//! Each function appends one whole binary message. The arguments are those of
//! [`socketio::encode`](crate::socketio::encode); raw JSON handed in must have been checked, and instead of a
//! number of attachments it takes the attachments themselves, which go inside.

use super::pack;
use bytes::Bytes;

/// CONNECT: the client has joined `namespace` under the public id `sid`; `pid` is its recovery id.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    head(out, 0, 3);
    pack::string(out, "data");
    pack::map(out, 1 + u32::from(pid.is_some()));
    pair(out, "sid", sid);
    if let Some(pid) = pid {
        pair(out, "pid", pid);
    }
    pair(out, "nsp", namespace);
}

/// CONNECT_ERROR: the client is refused; `data` is raw JSON.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&str>) {
    head(out, 4, 3);
    pack::string(out, "data");
    pack::map(out, 1 + u32::from(data.is_some()));
    pair(out, "message", message);
    if let Some(data) = data {
        pack::string(out, "data");
        pack::json(out, data, &[]);
    }
    pair(out, "nsp", namespace);
}

/// DISCONNECT: the client has left `namespace`.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    head(out, 1, 2);
    pair(out, "nsp", namespace);
}

/// An event with its arguments as raw JSON and the byte strings their placeholders stand for.
///
/// `offset` is the position of recorded events, an extra string argument at the end.
pub fn event(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &[&str],
    offset: Option<&str>,
    attachments: &[Bytes],
) {
    head(out, 2, 3 + u32::from(id.is_some()));
    pack::string(out, "data");
    pack::array(out, 1 + count(args) + u32::from(offset.is_some()));
    pack::string(out, name);
    for arg in args {
        pack::json(out, arg, attachments);
    }
    if let Some(offset) = offset {
        pack::string(out, offset);
    }
    pair(out, "nsp", namespace);
    if let Some(id) = id {
        pack::string(out, "id");
        pack::unsigned(out, id);
    }
}

/// The answer to the event that carried `id`.
pub fn ack(out: &mut Vec<u8>, namespace: &str, id: u64, args: &[impl AsRef<str>], attachments: &[Bytes]) {
    head(out, 3, 4);
    pack::string(out, "data");
    pack::array(out, count(args));
    for arg in args {
        pack::json(out, arg.as_ref(), attachments);
    }
    pair(out, "nsp", namespace);
    pack::string(out, "id");
    pack::unsigned(out, id);
}

fn head(out: &mut Vec<u8>, kind: u64, fields: u32) {
    pack::map(out, fields);
    pack::string(out, "type");
    pack::unsigned(out, kind);
}

fn pair(out: &mut Vec<u8>, key: &str, value: &str) {
    pack::string(out, key);
    pack::string(out, value);
}

fn count<T>(args: &[T]) -> u32 {
    u32::try_from(args.len()).unwrap_or(u32::MAX)
}
