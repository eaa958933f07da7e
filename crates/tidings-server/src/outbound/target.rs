//! Where a request goes, and whether it may.

use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;

use super::address::{Reach, reach};

/// A URL that can be asked: scheme, host, port, path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) https: bool,
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// A sentence for what is no plain `https://` or `http://` URL: with user names, with a host
    /// that some read as a number, with characters no host has.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("`{url}` {why}"));
        let (https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return bad("is no https:// URL"),
        };
        if rest.contains(['@', '#', '\\']) || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return bad("has a user name, a fragment or characters that do not belong in a URL");
        }
        let Ok(uri) = url.parse::<Uri>() else { return bad("is no URL") };
        let Some(authority) = uri.authority() else { return bad("has no host") };
        let Some(host) = plain_host(authority.host()) else {
            return bad("has a host that is neither a name nor an address in its usual form");
        };
        let behind = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let port = match behind.strip_prefix(':').map(str::parse) {
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return bad("has a port that is none"),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { https, host, port, path })
    }

    /// The `Host` header: the port that goes without saying is left out, since some compare it as a text.
    pub(crate) fn host_header(&self) -> String {
        let authority = self.authority();
        let usual = if self.https { ":443" } else { ":80" };
        authority.strip_suffix(usual).map_or(authority.clone(), str::to_owned)
    }

    /// `host:port`, as it stands in a list of exceptions.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// A host in lower case; `None` for spellings that mean an address without being one: 2130706433,
/// 0x7f.1, 0177.0.0.1, 127.1.
fn plain_host(host: &str) -> Option<String> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().ok().map(|address| address.to_string());
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.split('.').all(plain) {
        return None;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = hex || last.bytes().all(|b| b.is_ascii_digit());
    // What ends in a number is an address in the form everybody reads the same way, or nothing.
    (!number || host.parse::<std::net::Ipv4Addr>().is_ok()).then_some(host)
}

/// What may be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    /// These hosts, as exact `host:port`, may be private and may be asked without TLS.
    pub(crate) allow_hosts: Vec<String>,
    /// Private addresses may be asked, without TLS too (development).
    pub(crate) allow_private: bool,
    /// Judges nothing: the control of the tests.
    #[cfg(test)]
    pub(crate) off: bool,
}

impl Guard {
    /// Lets public addresses through, and what is named.
    pub(crate) fn new(allow_hosts: Vec<String>, allow_private: bool) -> Self {
        Self {
            allow_hosts,
            allow_private,
            #[cfg(test)]
            off: false,
        }
    }

    /// Judges a URL as far as that can be done without resolving it.
    ///
    /// # Errors
    /// A sentence that names the way out.
    pub(crate) fn judge(&self, target: &Target) -> Result<(), String> {
        let named = self.names(target);
        if !target.https && !named && !self.allow_private {
            return Err(format!(
                "http://{} is not encrypted; use https, or name {} in allow_hosts",
                target.authority(),
                target.authority()
            ));
        }
        match target.host.parse::<IpAddr>() {
            Ok(address) if !self.allows(target, address) => Err(format!(
                "{address} is not a public address; name {} in allow_hosts, or set allow_private for development",
                target.authority()
            )),
            _ => Ok(()),
        }
    }

    /// The addresses that may be connected to: all that were found, or none.
    ///
    /// # Errors
    /// The first address that may not be reached; a name that leads there is not asked at all.
    pub(crate) fn judge_found(&self, target: &Target, found: &[SocketAddr]) -> Result<(), IpAddr> {
        found.iter().map(SocketAddr::ip).find(|ip| !self.allows(target, *ip)).map_or(Ok(()), Err)
    }

    fn allows(&self, target: &Target, address: IpAddr) -> bool {
        #[cfg(test)]
        if self.off {
            return true;
        }
        let named = self.names(target);
        match reach(address) {
            Reach::Nobody => false,
            Reach::Private => named || self.allow_private,
            // Without TLS only what is named, or stays on the own network.
            Reach::Public => target.https || named,
        }
    }

    fn names(&self, target: &Target) -> bool {
        let authority = target.authority();
        self.allow_hosts.iter().any(|host| host.eq_ignore_ascii_case(&authority))
    }
}
