//! What a server refuses to start with.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use tidings_server::config::Config;

use super::refuse;

/// The port of a listener that names none.
pub(crate) const DEFAULT_PORT: u16 = 3000;

/// Refuses addresses, directories and origins that are wrong, or not safe without more being said.
///
/// # Errors
/// [`super::Misconfigured`] with the reason and the way out.
pub(crate) fn refuse_unsafe(config: &Config) -> Result<()> {
    let listeners = listeners(config)?;
    for (key, address) in &listeners {
        refuse_open(config, key, *address)?;
    }
    refuse_shared(&listeners)?;
    if config.data_dir.as_os_str().is_empty() {
        refuse!("`data_dir` is empty; name a directory, such as ./data");
    }
    config.allow_origin.iter().try_for_each(|origin| refuse_bad_origin(origin))?;
    config.namespaces.keys().try_for_each(|name| refuse_bad_namespace(name))?;
    config.rooms.keys().try_for_each(|kind| refuse_bad_kind(kind))
}

/// Whether only this machine can reach the listeners that are configured.
///
/// # Errors
/// [`super::Misconfigured`] if one is no address.
pub(super) fn is_loopback(config: &Config) -> Result<bool> {
    Ok(listeners(config)?.iter().all(|(_, address)| address.ip().is_loopback()))
}

/// What is allowed and most likely not meant.
pub(crate) fn doubts(config: &Config) -> Vec<String> {
    let mut doubts = Vec::new();
    if config.behind_proxy && config.trusted_proxies.is_empty() {
        doubts.push(
            "`behind_proxy` without `trusted_proxies`: everybody seems to come from the proxy's address, and shares \
             what one address may have (`limits.connections_per_address` and the like); name the proxy"
                .into(),
        );
    }
    if config.allow_origin.iter().any(|origin| origin == "*") {
        doubts.push(
            "`allow_origin` is `*`: pages of every origin reach this server, with whatever token they have or nobody's; \
             name those that are yours"
                .into(),
        );
    }
    if config.no_limits && (config.behind_proxy || !config.trusted_proxies.is_empty()) {
        doubts.push(
            "`no_limits` behind a proxy: everybody whom it lets through is without limits, and one of them can use up the \
             machine; measure with it, and let nobody else in meanwhile"
                .into(),
        );
    }
    let others_reach = |text: &str| address(text).is_some_and(|address| !address.ip().is_loopback());
    if others_reach(&config.admin_listen) {
        doubts.push(format!(
            "`admin_listen` is {}, which other machines can reach: keep it in a network of administrators. /metrics \
             needs an operator's token there",
            config.admin_listen
        ));
    }
    doubts
}

/// The listeners that are configured, by key.
fn listeners(config: &Config) -> Result<Vec<(&'static str, SocketAddr)>> {
    let named = [
        ("listen", &config.listen),
        ("ws_listen", &config.ws_listen),
        ("admin_listen", &config.admin_listen),
    ];
    let mut listeners = Vec::new();
    for (key, text) in named {
        if key != "listen" && text.is_empty() {
            continue;
        }
        match address(text) {
            Some(address) => listeners.push((key, address)),
            None => refuse!(
                "`{key}`: `{text}` is not an address with a port, such as 127.0.0.1:3000 or [::1]:3000"
            ),
        }
    }
    Ok(listeners)
}

fn refuse_open(config: &Config, key: &str, address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    if config.no_limits {
        refuse!(
            "`{key}` is {address}: --no-limits is for measuring and needs every listener on loopback (127.0.0.1), \
             since without limits one client can use up the machine"
        );
    }
    if config.demo {
        refuse!(
            "`{key}` is {address}, which other machines can reach: the people of --demo have a password that everybody \
             knows. Listen on 127.0.0.1, or leave --demo out"
        );
    }
    if !config.behind_proxy {
        refuse!(
            "`{key}` is {address}, which other machines can reach, and this version does not speak TLS: tokens would \
             cross the network in the clear. Put a proxy that terminates TLS in front and say --behind-proxy, or \
             listen on 127.0.0.1"
        );
    }
    Ok(())
}

fn refuse_shared(listeners: &[(&str, SocketAddr)]) -> Result<()> {
    for (index, (key, address)) in listeners.iter().enumerate() {
        let twin = listeners.iter().skip(index + 1).find(|(_, other)| other == address && other.port() != 0);
        if let Some((other, _)) = twin {
            refuse!("`{key}` and `{other}` are both {address}");
        }
    }
    Ok(())
}

fn refuse_bad_origin(origin: &str) -> Result<()> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain = host.is_some_and(|host| {
        !host.is_empty() && !host.contains(['/', '?', '#', '@', '*']) && !host.contains(char::is_whitespace)
    });
    if origin != "*" && !plain {
        refuse!(
            "`allow_origin`: `{origin}` is not an origin; write scheme and host without a path, such as \
             https://app.example or http://localhost:5173, or *"
        );
    }
    Ok(())
}

/// Clients name a namespace with a slash first; a comma ends its name, a question mark begins a query.
fn refuse_bad_namespace(name: &str) -> Result<()> {
    if !name.starts_with('/') || name.contains([',', '?']) || name.contains(char::is_control) {
        refuse!(
            "`namespaces.{name}`: the name of a namespace begins with a slash, as in [namespaces.\"/chat\"]"
        );
    }
    Ok(())
}

/// A kind is what stands before a room's first colon.
fn refuse_bad_kind(kind: &str) -> Result<()> {
    if kind.is_empty() || kind.contains(':') || kind.contains(char::is_control) {
        refuse!("`rooms.{kind}`: a kind is the word before the first colon, as in [rooms.chat] for chat:42");
    }
    Ok(())
}

/// Reads `address:port`; `localhost` is 127.0.0.1.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

/// The host part of an address with or without a port, ready to have `:port` added.
pub(crate) fn host_of(text: &str) -> Option<String> {
    address(text).map(|address| bracketed(address.ip())).or_else(|| host_without_port(text))
}

/// The host if `text` is an address without a port.
pub(crate) fn host_without_port(text: &str) -> Option<String> {
    if text == "localhost" {
        return Some("127.0.0.1".into());
    }
    text.trim_start_matches('[').trim_end_matches(']').parse().ok().map(bracketed)
}

fn bracketed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
