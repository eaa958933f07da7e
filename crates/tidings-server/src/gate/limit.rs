//! The limits by name, and how often each has refused somebody.

use std::sync::atomic::{AtomicU64, Ordering};

use tidings_core::Code;

/// What can be too much; the label of a metric and of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Connections,
    AddressConnections,
    NetworkConnections,
    UserConnections,
    OrgConnections,
    Unauthenticated,
    Accepts,
    ConnectionMessages,
    UserMessages,
    OrgMessages,
    AddressMessages,
    Joins,
    NewRooms,
    Publishes,
    Requests,
    SignIn,
    WrongSid,
    Accounts,
    Memory,
}

impl Limit {
    /// Every limit, in the order of the counters.
    pub(crate) const ALL: [Self; 19] = [
        Self::Connections,
        Self::AddressConnections,
        Self::NetworkConnections,
        Self::UserConnections,
        Self::OrgConnections,
        Self::Unauthenticated,
        Self::Accepts,
        Self::ConnectionMessages,
        Self::UserMessages,
        Self::OrgMessages,
        Self::AddressMessages,
        Self::Joins,
        Self::NewRooms,
        Self::Publishes,
        Self::Requests,
        Self::SignIn,
        Self::WrongSid,
        Self::Accounts,
        Self::Memory,
    ];

    /// The word in metrics and logs.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::AddressConnections => "address_connections",
            Self::NetworkConnections => "network_connections",
            Self::UserConnections => "user_connections",
            Self::OrgConnections => "org_connections",
            Self::Unauthenticated => "unauthenticated",
            Self::Accepts => "accepts",
            Self::ConnectionMessages => "connection_messages",
            Self::UserMessages => "user_messages",
            Self::OrgMessages => "org_messages",
            Self::AddressMessages => "address_messages",
            Self::Joins => "joins",
            Self::NewRooms => "new_rooms",
            Self::Publishes => "publishes",
            Self::Requests => "requests",
            Self::SignIn => "sign_in",
            Self::WrongSid => "wrong_sid",
            Self::Accounts => "accounts",
            Self::Memory => "memory",
        }
    }

    /// What a client is told.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Connections | Self::Accounts => "the server has no room for more",
            Self::Memory => "the server's memory is used up",
            Self::AddressConnections => "too many connections from this address",
            Self::NetworkConnections => "too many connections from this network",
            Self::UserConnections => "too many connections of this user",
            Self::OrgConnections => "too many connections of this organisation",
            Self::Unauthenticated => "too many are about to sign in",
            Self::Accepts => "too many come at once",
            Self::ConnectionMessages => "too many messages on this connection",
            Self::UserMessages => "too many messages of this user",
            Self::OrgMessages => "too many messages of this organisation",
            Self::AddressMessages => "too many messages from this address",
            Self::Joins => "too many subscriptions at once",
            Self::NewRooms => "too many new rooms of this user",
            Self::Publishes => "the publishes of this user are used up",
            Self::Requests => "too many requests from this address",
            Self::SignIn => "too many wrong sign-ins from this address",
            Self::WrongSid => "too many unknown sessions from this address",
        }
    }

    /// Whose fault it is: the client's (`rate_limited`, 429) or nobody's (`unavailable`, 503).
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Connections
            | Self::Accounts
            | Self::Memory
            | Self::Unauthenticated
            | Self::OrgConnections => Code::Unavailable,
            _ => Code::RateLimited,
        }
    }
}

/// How often each limit has refused somebody, and when it was last logged.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: [AtomicU64; Limit::ALL.len()],
    log_again_ns: [AtomicU64; Limit::ALL.len()],
}

/// A limit that refuses is logged this often at most: a flood must not fill the disk.
const LOG_NS: u64 = 10_000_000_000;

impl Refusals {
    /// Counts one; how many there were if it is time to log it.
    pub(super) fn count(&self, limit: Limit, now_ns: u64) -> Option<u64> {
        let at = limit as usize;
        let count = self.counts[at].fetch_add(1, Ordering::Relaxed) + 1;
        let due = |next: u64| (next <= now_ns).then_some(now_ns.saturating_add(LOG_NS));
        let logged = self.log_again_ns[at].fetch_update(Ordering::Relaxed, Ordering::Relaxed, due);
        logged.is_ok().then_some(count)
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.into_iter().zip(&self.counts).map(|(limit, count)| (limit, count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_own_counter_and_label() {
        for (at, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, at);
            assert_eq!(Limit::ALL.iter().filter(|other| other.label() == limit.label()).count(), 1);
        }
    }

    #[test]
    fn a_limit_that_refuses_all_the_time_is_logged_every_ten_seconds() {
        let refusals = Refusals::default();
        let logged: Vec<u64> =
            (0..100).filter_map(|second| refusals.count(Limit::Joins, second * 1_000_000_000)).collect();
        assert_eq!(logged, [1, 11, 21, 31, 41, 51, 61, 71, 81, 91]);
        assert_eq!(refusals.count(Limit::Requests, 0), Some(1), "another limit is logged by itself");
    }
}
