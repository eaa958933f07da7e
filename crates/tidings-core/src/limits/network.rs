//! Addresses as limits see them, and ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address without disguise: IPv4 that is written as IPv6 is IPv4.
pub fn plain_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The network of an IPv6 address by which it is counted, its first 64 bits; IPv4 has none.
///
/// Whoever has one IPv6 address has 2^64 of them (RFC 4291 section 2.5.4).
pub fn network_of(address: IpAddr) -> Option<u64> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some((address.to_bits() >> 64) as u64),
    }
}

/// A range of addresses, as in `10.0.0.0/8` or `2001:db8::/32`; an address alone is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or a range such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct BadNetwork(String);

impl Network {
    /// Whether an address is in it.
    pub fn holds(self, address: IpAddr) -> bool {
        match (self.address, plain_address(address)) {
            (IpAddr::V4(own), IpAddr::V4(other)) => v4(own, self.bits) == v4(other, self.bits),
            (IpAddr::V6(own), IpAddr::V6(other)) => v6(own, self.bits) == v6(other, self.bits),
            _ => false,
        }
    }
}

fn v4(address: Ipv4Addr, bits: u32) -> u32 {
    address.to_bits().checked_shr(32 - bits).unwrap_or(0)
}

fn v6(address: Ipv6Addr, bits: u32) -> u128 {
    address.to_bits().checked_shr(128 - bits).unwrap_or(0)
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.into());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| bad())?
            }
            Some(_) => return Err(bad()),
            None => most,
        };
        if bits > most {
            return Err(bad());
        }
        // A mapped range would never hold anything: what is judged has no disguise.
        match (address, plain_address(address)) {
            (IpAddr::V6(_), IpAddr::V4(plain)) if bits >= 96 => {
                Ok(Self { address: plain.into(), bits: bits - 96 })
            }
            _ => Ok(Self { address, bits }),
        }
    }
}
