//! What is allowed, worked out from the configuration.

use tidings_core::limits::Rate;

use super::descriptors::descriptors;
use super::memory::default_cap;
use crate::config::Config;

/// What is allowed.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Messages of one connection, user, organisation, address.
    pub(crate) connection: Rate,
    pub(crate) user: Rate,
    pub(crate) org: Rate,
    pub(crate) address: Rate,
    /// Messages over a limit after which a connection is closed.
    pub(crate) offences: u32,
    /// Subscriptions of one connection.
    pub(crate) joins: Rate,
    /// Rooms that a user makes.
    pub(crate) rooms: Rate,
    /// Publishes and commands of apps, of a user and of a server's token.
    pub(crate) publishes: Rate,
    pub(crate) server_publishes: Rate,
    /// HTTP requests of an address.
    pub(crate) requests: Rate,
    /// Wrong sign-ins of an address, and for how long nobody there signs in afterwards.
    pub(crate) failures: Rate,
    pub(crate) bar_ns: u64,
    pub(crate) accepts: Rate,
    /// Connections of the server, and with sockets that are no connection.
    pub(crate) connections: usize,
    pub(crate) sockets: usize,
    pub(crate) strangers: usize,
    pub(crate) per_address: usize,
    pub(crate) per_network: usize,
    pub(crate) per_user: usize,
    pub(crate) per_org: usize,
    /// Bytes of resident memory from which on connections are refused.
    pub(crate) memory: u64,
}

impl Bounds {
    pub(super) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        let connections = match limits.connections {
            0 => descriptors() / 10 * 8,
            set => set,
        };
        // The demo is for trying things out: its page and its tools ask more often.
        let requests = limits.requests_per_minute * if config.demo { 2 } else { 1 };
        Self {
            connection: Rate::per_second(limits.messages_per_second, limits.messages_burst),
            user: Rate::per_second(limits.user_messages_per_second, limits.user_messages_burst),
            org: Rate::per_second(limits.org_messages_per_second, limits.org_messages_burst),
            address: Rate::per_second(limits.address_messages_per_second, limits.address_messages_burst),
            offences: limits.offences,
            joins: Rate::per_second(limits.joins_per_second, limits.joins_burst),
            rooms: Rate::per_minute_at_once(limits.new_rooms_per_minute, limits.new_rooms_burst),
            publishes: Rate::per_minute(limits.publish_per_minute),
            server_publishes: Rate::per_minute(limits.server_per_minute),
            requests: Rate::per_minute(requests),
            failures: Rate::per_minute(limits.sign_in_failures_per_minute),
            bar_ns: limits.sign_in_refusal_seconds.saturating_mul(1_000_000_000),
            accepts: Rate::per_second(limits.accepts_per_second, limits.accepts_per_second),
            connections,
            // Half of the descriptors that are left are for requests and handshakes.
            sockets: connections + connections / 8,
            strangers: limits.unauthenticated,
            per_address: limits.connections_per_address,
            per_network: limits.connections_per_network,
            per_user: limits.connections_per_user,
            per_org: limits.connections_per_org,
            memory: match limits.memory_bytes {
                0 => default_cap(),
                set => set,
            },
        }
    }
}
