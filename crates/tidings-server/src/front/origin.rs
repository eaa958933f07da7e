//! Which browser pages may talk to the server.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::config::Config;

/// The origins that may connect, besides the server's own.
///
/// CORS does not keep a page from opening a WebSocket, so the origin is judged on every door, and
/// before anything else. A request without `Origin` comes from no page; it needs a token anyway.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    allowed: Vec<String>,
    any: bool,
    /// The origin under which browsers reach the server, if that is configured.
    public: Option<String>,
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
    /// Reads what is configured.
    ///
    /// # Errors
    /// A sentence if the public address is none.
    pub(crate) fn new(config: &Config, loopback: bool) -> Result<Self, String> {
        let any = config.allow_origin.iter().any(|origin| origin == "*");
        // As browsers write it: without the port that goes without saying.
        let written = |origin: &String| origin_of(origin).unwrap_or_else(|| origin.to_ascii_lowercase());
        let allowed = config.allow_origin.iter().map(written);
        let url = config.accounts.public_url.as_str();
        let bad = || format!("`accounts.public_url`: `{url}` is not of the form https://chat.example");
        let public = if url.is_empty() { None } else { Some(origin_of(url).ok_or_else(bad)?) };
        Ok(Self { allowed: allowed.collect(), any, public, behind_proxy: config.behind_proxy, loopback })
    }

    /// Whether a page may ask that was loaded under a name and not under an address of this server.
    pub(crate) fn knows_a_name(&self) -> bool {
        self.public.is_some() || !self.allowed.is_empty()
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
        let is_public = self.public.as_deref().is_some_and(|public| public.eq_ignore_ascii_case(origin));
        if is_public || host.is_some_and(|host| self.is_own(origin, host)) {
            return Verdict::Own;
        }
        let listed = self.allowed.contains(&origin.to_ascii_lowercase());
        if origin != "null" && listed || self.any {
            Verdict::Allowed(value.clone())
        } else {
            Verdict::Refused
        }
    }

    /// Whether a request was sent to a name or an address of this server, as far as that is known. Where it was
    /// not, a page has had its own name lead here, and reads as its own what asks for no token.
    pub(crate) fn is_sent_here(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST) else { return true };
        let Ok(host) = host.to_str() else { return false };
        let names =
            |origin: &str| origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host));
        self.is_address(host) || self.public.iter().chain(&self.allowed).any(|origin| names(origin))
    }

    /// Whether credentials may be sent: never where any page may ask.
    pub(crate) fn allows_credentials(&self) -> bool {
        !self.any
    }

    /// Whether a page was loaded from here, by what its request says of itself.
    ///
    /// Whoever owns a name can have it resolve to this server, and then page and `Host` agree on a foreign name.
    /// An address leads to whom it names, so what was loaded from there came from here.
    fn is_own(&self, origin: &str, host: &str) -> bool {
        let same =
            |scheme: &str| origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host));
        (same("http://") || self.behind_proxy && same("https://")) && self.is_address(host)
    }

    /// Whether a host is no name that others give: an address, or this machine; on loopback that alone.
    fn is_address(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| !self.loopback || address.is_loopback())
    }
}

/// The origin of a URL, as browsers write it: scheme and authority in lower case, without the port that goes
/// without saying (RFC 6454, section 6.2).
fn origin_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = authority.as_str();
    let host = authority.strip_suffix(usual).unwrap_or(authority);
    (!authority.contains('@') && !host.is_empty()).then(|| format!("{scheme}://{host}").to_ascii_lowercase())
}

/// What pages of other origins may read besides.
const EXPOSED: &str = "ETag, Retry-After, Tidings-Position";

/// Adds what a browser wants to see before it hands an answer to the page.
///
/// Every answer depends on the origin, the refusals and those without one too: a cache that did not
/// know would hand one page's answer to another.
pub(crate) fn add_cors(headers: &mut HeaderMap, verdict: &Verdict, credentials: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Verdict::Allowed(origin) = verdict {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(allowed: &[&str], public_url: &str, behind_proxy: bool, loopback: bool) -> Origins {
        let allow_origin = allowed.iter().map(|&origin| origin.to_owned()).collect();
        let mut config = Config { allow_origin, behind_proxy, ..Config::default() };
        config.accounts.public_url = public_url.into();
        Origins::new(&config, loopback).expect("origins")
    }

    fn judge(origins: &Origins, host: &str, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().expect("a host"));
        headers.insert(header::ORIGIN, origin.parse().expect("an origin"));
        !matches!(origins.judge(&headers), Verdict::Refused)
    }

    #[test]
    fn an_origin_is_listed_as_browsers_write_it() {
        let origins = origins(&["https://A.example:443/", "http://b.example:80"], "", false, true);
        assert!(judge(&origins, "x", "https://a.example") && judge(&origins, "x", "http://b.example"));
        assert!(!judge(&origins, "x", "http://a.example"));
    }

    #[test]
    fn twenty_origins_are_judged_as_the_table_says() {
        let origins = origins(&["https://a.example", "http://b.example:8080"], "", false, true);
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
        let loopback = origins(&[], "", false, true);
        assert!(judge(&loopback, "localhost:3000", "http://localhost:3000"));
        assert!(judge(&loopback, "[::1]:3000", "http://[::1]:3000"));
        assert!(!judge(&loopback, "evil.test:3000", "http://evil.test:3000"));
        assert!(!judge(&loopback, "192.0.2.1:3000", "http://192.0.2.1:3000"));
    }

    #[test]
    fn a_foreign_name_for_this_server_is_not_our_own_page_behind_a_proxy_either() {
        for public_url in
            ["https://chat.example", "https://Chat.Example:443/", "https://chat.example/some/where"]
        {
            let origins = origins(&[], public_url, true, false);
            assert!(judge(&origins, "chat.example", "https://chat.example"), "{public_url}");
            // The proxy may call us by another name: it is the page that counts.
            assert!(judge(&origins, "upstream:3000", "https://chat.example"));
            for evil in
                ["https://evil.test", "http://evil.test", "http://chat.example", "https://chat.example:8443"]
            {
                let host = evil.split("//").nth(1).unwrap_or_default();
                assert!(!judge(&origins, host, evil), "{evil} with a Host to match");
                assert!(!judge(&origins, "chat.example", evil), "{evil}");
            }
        }
        let unnamed = origins(&[], "", true, false);
        assert!(
            !judge(&unnamed, "chat.example", "https://chat.example"),
            "nobody said that this is our name"
        );
        for address in
            ["192.0.2.1", "192.0.2.1:8443", "[2001:db8::1]", "[2001:db8::1]:8443", "localhost:3000"]
        {
            assert!(judge(&unnamed, address, &format!("https://{address}")), "{address}");
        }
        for no_address in
            ["3221225985", "0xc0.0.2.1", "192.0.2.1.evil.test", "192.0.2", "[evil.test]", "evil.test:80:80"]
        {
            assert!(!judge(&unnamed, no_address, &format!("https://{no_address}")), "{no_address}");
        }
    }

    #[test]
    fn a_public_address_that_is_none_is_named() {
        for bad in
            ["chat.example", "ftp://chat.example", "https://", "https://user@chat.example", "https:// "]
        {
            let mut config = Config::default();
            config.accounts.public_url = bad.into();
            assert!(
                Origins::new(&config, true).is_err_and(|said| said.contains("accounts.public_url")),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_star_allows_every_page_but_no_credentials() {
        let origins = origins(&["*"], "", false, true);
        assert!(judge(&origins, "127.0.0.1:3000", "https://anything.example"));
        assert!(!origins.allows_credentials());
    }
}
