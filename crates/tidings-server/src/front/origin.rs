//! Which browser pages may talk to the server.

use axum::http::{HeaderMap, HeaderValue, header};

/// The origins that may connect, besides the server's own.
///
/// CORS does not keep a page from opening a WebSocket, so the origin is judged on every door, and
/// before anything else. A request without `Origin` comes from no page; it needs a token anyway.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    allowed: Vec<String>,
    any: bool,
    /// The server speaks plain HTTP to a proxy that speaks TLS to browsers.
    behind_proxy: bool,
    /// Every listener is on loopback: only names of this machine are its own.
    loopback: bool,
}

/// What an origin may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No browser page asks.
    NoOrigin,
    /// The page is the server's own.
    Own,
    /// The page may connect; the headers to say so.
    Allowed(HeaderValue),
    /// It may not.
    Refused,
}

impl Origins {
    pub(crate) fn new(allowed: &[String], behind_proxy: bool, loopback: bool) -> Self {
        let any = allowed.iter().any(|origin| origin == "*");
        let allowed = allowed.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
        Self { allowed: allowed.collect(), any, behind_proxy, loopback }
    }

    /// Judges a request by its headers.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(value) = origins.next() else { return Verdict::NoOrigin };
        let Ok(origin) = value.to_str() else { return Verdict::Refused };
        if origins.next().is_some() {
            return Verdict::Refused;
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| self.is_own(origin, host)) {
            return Verdict::Own;
        }
        let listed = self.allowed.contains(&origin.to_ascii_lowercase());
        if origin != "null" && listed || self.any {
            Verdict::Allowed(value.clone())
        } else {
            Verdict::Refused
        }
    }

    /// Whether credentials may be sent: never where any page may ask.
    pub(crate) fn allows_credentials(&self) -> bool {
        !self.any
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        let same =
            |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
        // A name that some foreign server resolves to 127.0.0.1 does not make its page our own.
        (same("http://") || self.behind_proxy && same("https://"))
            && (!self.loopback || names_this_machine(host))
    }
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Adds what a browser wants to see before it hands an answer to the page.
///
/// Every answer depends on the origin, the refusals and those without one too: a cache that did not
/// know would hand one page's answer to another.
pub(crate) fn add_cors(headers: &mut HeaderMap, verdict: &Verdict, credentials: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Verdict::Allowed(origin) = verdict {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(origins: &Origins, host: &str, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a host"));
        headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
        !matches!(origins.judge(&headers), Verdict::Refused)
    }

    #[test]
    fn twenty_origins_are_judged_as_the_table_says() {
        let origins =
            Origins::new(&["https://a.example".into(), "http://b.example:8080".into()], false, true);
        let table = [
            ("https://a.example", true),
            ("HTTPS://A.EXAMPLE", true),
            ("https://a.example:443", false),
            ("http://a.example", false),
            ("https://a.example.evil.test", false),
            ("https://evil.test/https://a.example", false),
            ("https://xa.example", false),
            ("https://a.example.", false),
            ("https://sub.a.example", false),
            ("http://b.example:8080", true),
            ("http://b.example", false),
            ("http://b.example:80801", false),
            ("null", false),
            ("", false),
            ("https://xn--a-ecp.example", false),
            ("file://", false),
            ("http://127.0.0.1:3000", true),
            ("https://127.0.0.1:3000", false),
            ("http://127.0.0.1:3001", false),
            ("http://localhost:3000", false),
        ];
        for (origin, allowed) in table {
            assert_eq!(judge(&origins, "127.0.0.1:3000", origin), allowed, "{origin}");
        }
    }

    #[test]
    fn a_foreign_name_for_loopback_is_not_our_own_page() {
        let origins = Origins::new(&[], false, true);
        assert!(judge(&origins, "localhost:3000", "http://localhost:3000"));
        assert!(judge(&origins, "[::1]:3000", "http://[::1]:3000"));
        assert!(!judge(&origins, "evil.test:3000", "http://evil.test:3000"));
        let public = Origins::new(&[], true, false);
        assert!(judge(&public, "chat.example", "https://chat.example"));
    }

    #[test]
    fn a_star_allows_every_page_but_no_credentials() {
        let origins = Origins::new(&["*".into()], false, true);
        assert!(judge(&origins, "127.0.0.1:3000", "https://anything.example"));
        assert!(!origins.allows_credentials());
    }
}
