//! What is looked for, how bad it is, and whom it comes from.

use std::net::{IpAddr, Ipv6Addr};

use compact_str::CompactString;
use tidings_core::Org;

/// What somebody does too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sign-ins with wrong passwords.
    LoginStorm,
    /// Refresh tokens that were used already.
    TokenReuse,
    /// Requests of pages that may not ask.
    OriginRefused,
    /// Connections that were closed for flooding.
    Flood,
    /// Tokens and keys that are forged, foreign or damaged.
    TokenProbing,
    /// Session ids that do not exist.
    SessionGuessing,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::LoginStorm,
        Self::TokenReuse,
        Self::OriginRefused,
        Self::Flood,
        Self::TokenProbing,
        Self::SessionGuessing,
    ];

    /// The word for events, metrics and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginStorm => "login_storm",
            Self::TokenReuse => "token_reuse",
            Self::OriginRefused => "origin_refused",
            Self::Flood => "flood",
            Self::TokenProbing => "token_probing",
            Self::SessionGuessing => "session_guessing",
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A fifth of what is alarming: perhaps a mistake.
    Notice,
    /// Two fifths.
    Warning,
    /// Somebody should look.
    Alert,
}

impl Level {
    /// Every level, the mildest first.
    pub const ALL: [Self; 3] = [Self::Notice, Self::Warning, Self::Alert];

    /// The word for events, metrics and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Alert => "alert",
        }
    }

    /// How many hits reach this level, where so many are an alert.
    pub(super) const fn hits(self, alert: u32) -> u32 {
        match self {
            Self::Notice => alert.div_ceil(5),
            Self::Warning => alert.saturating_mul(2).div_ceil(5),
            Self::Alert => alert,
        }
    }

    /// The highest level so many hits reach.
    pub(super) fn reached(count: u32, alert: u32) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|level| count >= level.hits(alert))
    }
}

/// Whom it comes from, or whom it is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// One address (of IPv6 its /64), whatever it tried.
    Address(IpAddr),
    /// One address, as far as it tried one organisation.
    OrgAddress(Org, IpAddr),
    /// One account, from several addresses.
    Account(Org, CompactString),
    /// One organisation, from several addresses.
    Org(Org),
    /// More sources than are told apart.
    Everywhere,
}

impl Source {
    /// The organisation whose administrators are told; none: operators alone are.
    pub const fn org(&self) -> Option<&Org> {
        match self {
            Self::OrgAddress(org, _) | Self::Account(org, _) | Self::Org(org) => Some(org),
            Self::Address(_) | Self::Everywhere => None,
        }
    }

    /// What it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) | Self::OrgAddress(..) => "address",
            Self::Account(..) => "account",
            Self::Org(_) => "org",
            Self::Everywhere => "everywhere",
        }
    }

    /// Which one it is.
    pub fn id(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) | Self::OrgAddress(_, IpAddr::V6(address)) => {
                format!("{address}/64")
            }
            Self::Address(address) | Self::OrgAddress(_, address) => address.to_string(),
            Self::Account(_, account) => account.to_string(),
            Self::Org(org) => org.as_str().to_owned(),
            Self::Everywhere => String::new(),
        }
    }
}

/// The address hits are counted by: whoever has one IPv6 address has its whole /64.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// A source has reached a level for the first time since it was last at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threat {
    /// What is done.
    pub kind: Kind,
    /// How bad it is by now.
    pub level: Level,
    /// Hits within the window.
    pub count: u32,
    /// When it began, in milliseconds since 1970.
    pub since_ms: u64,
    /// Who does it.
    pub source: Source,
}
