//! Where a request really comes from.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use tidings_core::limits::{Network, plain_address};

use crate::config::{Config, ProxyHeader};

/// The proxies whose word about a client's address is taken, and where they write it.
#[derive(Debug, Clone)]
pub(crate) struct Proxies {
    trusted: Vec<Network>,
    header: ProxyHeader,
}

/// Hops of a header that are looked at, the nearest first; nobody has more proxies of their own.
const HOPS: usize = 10;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Proxies {
    /// Reads the list.
    ///
    /// # Errors
    /// A sentence that names the entry that is no address.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let trusted = config.trusted_proxies.iter().map(|text| text.parse());
        let trusted = trusted.collect::<Result<_, _>>().map_err(|bad| format!("`trusted_proxies`: {bad}"))?;
        Ok(Self { trusted, header: config.proxy_header })
    }

    /// Whether a peer's word is taken.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.holds(peer))
    }

    /// The address a request is judged by: the nearest hop that is no trusted proxy.
    ///
    /// What stands further left may be made up by that hop. A hop that is no address ends the
    /// walk: then the last proxy that is known is as much as can be said.
    pub(crate) fn judge(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = plain_address(peer);
        if !self.trusts(peer) {
            return peer;
        }
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        // What a client wrote before a hop of ours may be anything, and hides nothing of it.
        let text = |line: &HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
        let lines: Vec<String> = headers.get_all(name).iter().map(text).collect();
        let mut judged = peer;
        for hop in lines.iter().rev().flat_map(|line| self.hops(line)).take(HOPS) {
            let address = match self.header {
                ProxyHeader::XForwardedFor => address(hop.trim()),
                ProxyHeader::Forwarded => forwarded_for(hop).and_then(address),
            };
            let Some(address) = address else { break };
            judged = address;
            if !self.trusts(judged) {
                break;
            }
        }
        judged
    }

    /// The hops of a header's line, the nearest first.
    fn hops<'a>(&self, line: &'a str) -> Parts<'a> {
        Parts { rest: Some(line), between: b',', quotes: self.header == ProxyHeader::Forwarded }
    }
}

/// What stands between separators, the last first.
///
/// A separator between quotes is part of a value, which may be what a client wrote: of the host, as it was asked for. It is
/// read from the end, so that no quote that a client has left open hides what a proxy has written behind it.
struct Parts<'a> {
    rest: Option<&'a str>,
    between: u8,
    quotes: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let whole = self.rest.take()?;
        let (bytes, mut quoted) = (whole.as_bytes(), false);
        for (at, byte) in bytes.iter().enumerate().rev() {
            if *byte == b'"' && self.quotes && !is_escaped(&bytes[..at]) {
                quoted = !quoted;
            } else if *byte == self.between && !quoted {
                self.rest = Some(&whole[..at]);
                return Some(&whole[at + 1..]);
            }
        }
        Some(whole)
    }
}

/// Whether what follows is meant as it is: of backslashes each second one is itself.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads an address, with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(plain_address)
}

/// The client of one element of `Forwarded`: `for=192.0.2.60;proto=https`, `for="[2001:db8::1]:4711"`.
fn forwarded_for(element: &str) -> Option<&str> {
    let pairs = Parts { rest: Some(element), between: b';', quotes: true };
    let mut named = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    // None of two: who is meant nobody knows.
    let (Some((_, value)), None) = (named.next(), named.next()) else { return None };
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted_proxies = vec!["10.0.0.0/8".into(), "2001:db8:aaaa::/48".into()];
        Proxies::new(&Config { trusted_proxies, proxy_header: header, ..Config::default() }).unwrap()
    }

    fn judge(header: ProxyHeader, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = if header == ProxyHeader::Forwarded { "forwarded" } else { "x-forwarded-for" };
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies(header).judge(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_nearest_hop_that_is_no_proxy_is_the_client() {
        let eleven = format!("198.51.100.9,{}", ["10.9.9.9"; 11].join(","));
        let table: [(&str, &[&str], &str); 24] = [
            // What a client wrote that is no ASCII does not hide what the proxy wrote behind it.
            ("10.0.0.1", &["h\u{e9}, 198.51.100.1"], "198.51.100.1"),
            // An untrusted peer may say what it wants.
            ("203.0.113.5", &["198.51.100.1"], "203.0.113.5"),
            ("203.0.113.5", &["10.0.0.1"], "203.0.113.5"),
            ("::ffff:203.0.113.5", &["198.51.100.1"], "203.0.113.5"),
            ("2001:db8::9", &["198.51.100.1"], "2001:db8::9"),
            // A trusted one is believed, and only what it wrote itself.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1,198.51.100.1,10.3.3.3, 10.2.2.2"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1", "10.2.2.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.4.4.4, 10.5.5.5"], "10.4.4.4"),
            // Ports, brackets, IPv6, and IPv4 in disguise.
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("2001:db8:aaaa::1", &["198.51.100.1, 2001:db8:aaaa::2"], "198.51.100.1"),
            // Garbage says nothing, and nothing beyond it counts.
            ("10.0.0.1", &["198.51.100.1, garbage"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.2.2.2"], "10.2.2.2"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["999.1.1.1"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1; drop table"], "10.0.0.1"),
            // More hops than anybody has.
            ("10.0.0.1", &[&eleven], "10.9.9.9"),
        ];
        for (peer, lines, judged) in table {
            assert_eq!(judge(ProxyHeader::XForwardedFor, peer, lines), judged, "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_other_header_is_read_where_it_is_the_one_that_is_set() {
        let table: [(&str, &[&str], &str); 15] = [
            // What a client has said of the host stands there between quotes.
            ("10.0.0.1", &["host=\"a;for=6.6.6.6;b=\";for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["host=\"a,for=6.6.6.6;b=\";for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["for=198.51.100.1;host=\"a,for=6.6.6.6\""], "198.51.100.1"),
            ("10.0.0.1", &["for=1.1.1.1, host=\"a\\\",for=6.6.6.6;b=\";for=198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["host=\"a\\\\\";for=198.51.100.1;by=\"_b\""], "198.51.100.1"),
            // Who is meant by two nobody knows, and an open quote of a client ends where the proxy begins.
            ("10.0.0.1", &["for=6.6.6.6;for=198.51.100.1"], "10.0.0.1"),
            ("10.0.0.1", &["for=\"6.6.6.6, for=198.51.100.1"], "198.51.100.1"),
            ("203.0.113.5", &["for=198.51.100.1"], "203.0.113.5"),
            ("10.0.0.1", &["for=198.51.100.1;proto=https;by=10.0.0.1"], "198.51.100.1"),
            ("10.0.0.1", &["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            ("10.0.0.1", &["for=1.1.1.1, by=10.2.2.2; for=198.51.100.1, for=10.3.3.3"], "198.51.100.1"),
            ("10.0.0.1", &["for=198.51.100.1, for=unknown"], "10.0.0.1"),
            ("10.0.0.1", &["for=198.51.100.1, for=_hidden"], "10.0.0.1"),
            ("10.0.0.1", &["for=198.51.100.1, proto=https"], "10.0.0.1"),
            ("10.0.0.1", &["for=\"198.51.100.1"], "10.0.0.1"),
        ];
        for (peer, lines, judged) in table {
            assert_eq!(judge(ProxyHeader::Forwarded, peer, lines), judged, "{peer} {lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "198.51.100.1".parse().unwrap());
        let judged = proxies(ProxyHeader::Forwarded).judge("10.0.0.1".parse().unwrap(), &headers);
        assert_eq!(judged.to_string(), "10.0.0.1", "the header that is not set is not read");
    }

    #[test]
    fn an_entry_that_is_no_address_is_named() {
        let config = Config { trusted_proxies: vec!["proxy.example".into()], ..Config::default() };
        assert!(Proxies::new(&config).unwrap_err().contains("`proxy.example`"));
    }
}
