//! Which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far away an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Anybody can reach it.
    Public,
    /// Only this machine or its own network can; allowed when the operator says so.
    Private,
    /// It names nobody, or many: never connected to.
    Nobody,
}

/// Where an address lies, by the special-purpose registries of IANA (RFC 6890 and its updates).
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// First address, prefix bits.
const NOBODY_V4: [([u8; 4], u32); 3] = [([0, 0, 0, 0], 8), ([224, 0, 0, 0], 4), ([240, 0, 0, 0], 4)];
const PRIVATE_V4: [([u8; 4], u32); 12] = [
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
];

fn reach_v4(address: Ipv4Addr) -> Reach {
    let within = |table: &[([u8; 4], u32)]| {
        let bits = u32::from(address);
        table.iter().any(|(first, prefix)| (bits ^ u32::from_be_bytes(*first)) >> (32 - prefix) == 0)
    };
    if within(&NOBODY_V4) {
        Reach::Nobody
    } else if within(&PRIVATE_V4) {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// Only 2000::/3 is global, and in it some prefixes stand for something else; the others are
/// ours, reserved, or carry an IPv4 address that is then what counts.
fn reach_v6(address: Ipv6Addr) -> Reach {
    let parts = address.segments();
    let last_v4 = || Ipv4Addr::from(((u32::from(parts[6])) << 16) | u32::from(parts[7]));
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Nobody,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // Mapped, compatible, translated (SIIT), NAT64.
        [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => reach_v4(last_v4()),
        // 6to4.
        [0x2002, high, low, ..] => reach_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        [first, ..] if first & 0xff00 == 0xff00 => Reach::Nobody,
        // Documentation, Teredo, benchmarking, ORCHID.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => Reach::Private,
        [0x3fff, second, ..] if second < 0x1000 => Reach::Private,
        [first, ..] if first & 0xe000 == 0x2000 => Reach::Public,
        _ => Reach::Private,
    }
}
