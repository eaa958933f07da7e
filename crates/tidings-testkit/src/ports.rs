//! Ports for servers that are started again where they were.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports below it are often somebody's.
const LOWEST: u32 = 10_000;

/// From here on the system gives ports to whoever asks for any, unless it was told otherwise.
const GIVEN: u32 = 32_768;

/// Others, most likely tests as well, may have one and the other of them.
const TRIES: u32 = 100;

/// A port on loopback that nobody has, and that the system gives to nobody who asks for any: while a server is away its
/// port is not taken by chance.
///
/// # Panics
/// If there is none in many tries.
pub fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let many = given_from() - LOWEST;
    let try_one = || {
        // Processes that run at the same time begin far from each other.
        let at = process::id().wrapping_mul(1_009).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % many;
        let port = u16::try_from(LOWEST + at).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    };
    (0..TRIES).find_map(|_| try_one()).unwrap_or_else(|| panic!("no free port in {TRIES} tries"))
}

/// The first port of those the system gives away itself.
fn given_from() -> u32 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let first = range.and_then(|range| range.split_whitespace().next()?.parse().ok());
    first.filter(|first| *first > LOWEST + TRIES).unwrap_or(GIVEN)
}
