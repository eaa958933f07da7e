//! Limits: sizes and structure, rates and counts.

use serde::{Deserialize, Serialize};

/// Sizes and structure of what clients send, and how much and how often.
///
/// `no_limits` lifts what stands below `connect_ms`, and nothing above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of one message.
    pub message_bytes: usize,
    /// Fragments of one WebSocket message.
    pub fragments: u32,
    /// Binary attachments of one Socket.IO packet.
    pub attachments: u32,
    /// Nesting of JSON and msgpack.
    pub json_depth: u32,
    /// Namespaces of one connection.
    pub namespaces: u32,
    /// Acknowledgements one connection may leave open.
    pub outstanding_acks: u32,
    /// Bytes that may wait for one connection before it is closed as too slow.
    pub queue_bytes: usize,
    /// Messages that may wait for one connection before it is closed as too slow.
    pub queue_messages: usize,
    /// Bytes of the events one room keeps in memory alone.
    pub room_bytes: usize,
    /// Milliseconds a connection may lag behind before it is closed as too slow.
    pub lag_ms: u64,
    /// Milliseconds a client of the plain protocol may take to sign in.
    pub plain_auth_ms: u64,
    /// Milliseconds a Socket.IO client may take to join a namespace.
    pub connect_ms: u64,
    /// Rooms of one connection.
    pub rooms: u32,
    /// Connections of the server; 0: 80 % of the descriptors the process may have.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// Connections from one IPv6 network of 64 bits.
    pub connections_per_network: usize,
    /// Connections of one user.
    pub connections_per_user: usize,
    /// Connections of one organisation.
    pub connections_per_org: usize,
    /// Sockets accepted in a second; those who come faster wait.
    pub accepts_per_second: u64,
    /// Connections that have not signed in, at once.
    pub unauthenticated: usize,
    /// Messages of one connection in a second, pings and the like included.
    pub messages_per_second: u64,
    /// Messages of one connection at once.
    pub messages_burst: u64,
    /// Messages of one user in a second, over all connections.
    pub user_messages_per_second: u64,
    /// Messages of one user at once.
    pub user_messages_burst: u64,
    /// Messages of one organisation in a second.
    pub org_messages_per_second: u64,
    /// Messages of one organisation at once.
    pub org_messages_burst: u64,
    /// Messages from one address, or one IPv6 network of 64 bits, in a second.
    pub address_messages_per_second: u64,
    /// Messages from one address at once.
    pub address_messages_burst: u64,
    /// Messages over a limit after which a connection is closed.
    pub offences: u32,
    /// Subscriptions of one connection in a second.
    pub joins_per_second: u64,
    /// Subscriptions of one connection at once.
    pub joins_burst: u64,
    /// Rooms that keep events and were not there before, which one user makes in a minute.
    pub new_rooms_per_minute: u64,
    /// The same at once.
    pub new_rooms_burst: u64,
    /// Rooms of one organisation.
    pub rooms_per_org: usize,
    /// Bytes of the events of one organisation in the log; beyond that the oldest of its largest rooms go.
    pub log_bytes_per_org: u64,
    /// Publishes and commands of apps of one user in a minute, on sockets and by HTTP together.
    pub publish_per_minute: u64,
    /// The same for a token of a server (scope `publish` or `admin`).
    pub server_per_minute: u64,
    /// HTTP requests from one address, or one IPv6 network, in a minute; `demo` doubles it.
    pub requests_per_minute: u64,
    /// Wrong tokens and passwords from one address in a minute.
    pub sign_in_failures_per_minute: u64,
    /// Seconds in which nobody at that address signs in afterwards.
    pub sign_in_refusal_seconds: u64,
    /// Bytes of resident memory from which on connections are refused, and a tenth later publishes;
    /// 0: 80 % of what the control group or the machine has.
    pub memory_bytes: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: 1_000_000,
            fragments: 1_024,
            attachments: 10,
            json_depth: 32,
            namespaces: 10,
            outstanding_acks: 1_000,
            queue_bytes: 1 << 20,
            queue_messages: 1_024,
            room_bytes: 8 << 20,
            lag_ms: 10_000,
            plain_auth_ms: 5_000,
            connect_ms: 10_000,
            rooms: 128,
            connections: 0,
            connections_per_address: 100,
            connections_per_network: 200,
            connections_per_user: 20,
            connections_per_org: 5_000,
            accepts_per_second: 2_000,
            unauthenticated: 1_000,
            messages_per_second: 50,
            messages_burst: 100,
            user_messages_per_second: 100,
            user_messages_burst: 200,
            org_messages_per_second: 5_000,
            org_messages_burst: 10_000,
            address_messages_per_second: 1_000,
            address_messages_burst: 2_000,
            offences: 50,
            joins_per_second: 50,
            joins_burst: 100,
            new_rooms_per_minute: 20,
            new_rooms_burst: 300,
            rooms_per_org: 100_000,
            log_bytes_per_org: 1 << 30,
            publish_per_minute: 100,
            server_per_minute: 60_000,
            requests_per_minute: 500,
            sign_in_failures_per_minute: 10,
            sign_in_refusal_seconds: 60,
            memory_bytes: 0,
        }
    }
}
