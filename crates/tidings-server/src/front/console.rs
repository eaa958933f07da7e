//! The console: files that were built before the server and are part of it, compressed beforehand.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use super::page::CONTENT_SECURITY_POLICY;
use super::respond;

/// A file of the console, in every form it is kept in.
#[derive(Debug, Clone, Copy)]
struct Asset {
    /// Where it is served.
    path: &'static str,
    /// Its content type.
    kind: &'static str,
    /// A hash of its contents.
    hash: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// What was there when the server was built; nothing, if the console was not.
const ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The page that everything begins with.
const INDEX: &str = "/index.html";

/// Below this names carry a hash of what they name, so that they never change.
const HASHED: &str = "/console/";

/// Where the console's own paths begin: the page is the same for all of them, and finds its way by itself.
/// A test of the console compares them with its routes.
const PAGES: &[&str] = &[
    "sign-in",
    "usage",
    "rooms",
    "sockets",
    "users",
    "messages",
    "dead-letters",
    "accounts",
    "keys",
    "audit",
    "second-factor",
    "docs",
    "apps",
    "leaderboard",
    "matches",
    "players",
    "trading",
];

/// Whether the console was there when the server was built.
pub(super) fn is_built() -> bool {
    ASSETS.iter().any(|asset| asset.path == INDEX)
}

/// `/`, the console's own paths, and its files; nothing if it was not built.
pub(super) fn routes() -> Router {
    routes_of(ASSETS)
}

fn routes_of(assets: &'static [Asset]) -> Router {
    let Some(index) = assets.iter().find(|asset| asset.path == INDEX) else { return Router::new() };
    let serve = |asset: &'static Asset| get(move |headers: HeaderMap| async move { asset.answer(&headers) });
    let mut router = Router::new().route("/", serve(index));
    for page in PAGES {
        router = router.route(&format!("/{page}"), serve(index));
        router = router.route(&format!("/{page}/{{*rest}}"), serve(index));
    }
    assets
        .iter()
        .filter(|asset| asset.path != INDEX)
        .fold(router, |router, asset| router.route(asset.path, serve(asset)))
}

impl Asset {
    /// The file in the smallest form that the browser takes, or that it has it already.
    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let (encoding, bytes) = self.form(&Accepted::of(asked));
        // A strong tag names bytes, not meaning: each form has its own.
        let tag = format!("\"{}{}\"", self.hash, encoding.map_or(String::new(), |name| format!("-{name}")));
        let mut response = match knows(asked, &tag) {
            true => respond(StatusCode::NOT_MODIFIED, self.kind, ""),
            false => respond(StatusCode::OK, self.kind, bytes),
        };
        let headers = response.headers_mut();
        let keep = match self.path.starts_with(HASHED) {
            true => "public, max-age=31536000, immutable",
            false => "no-cache",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(header::ETAG, tag);
        }
        if let Some(encoding) = encoding.filter(|_| response.status() == StatusCode::OK) {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }

    fn form(&self, accepted: &Accepted) -> (Option<&'static str>, &'static [u8]) {
        match (self.brotli, self.gzip) {
            (Some(bytes), _) if accepted.brotli => (Some("br"), bytes),
            (_, Some(bytes)) if accepted.gzip => (Some("gzip"), bytes),
            _ => (None, self.plain),
        }
    }
}

/// The encodings a browser takes, of those we have.
#[derive(Debug, Default, PartialEq, Eq)]
struct Accepted {
    brotli: bool,
    gzip: bool,
}

impl Accepted {
    /// Reads `Accept-Encoding`; a weight of 0 means no, and what the others weigh is not looked at.
    fn of(headers: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|it| it.to_str().ok());
        for entry in values.flat_map(|value| value.split(',')) {
            let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
            let weight =
                weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
            let wanted = weight.is_none_or(|weight| weight > 0.0);
            match name.trim().to_ascii_lowercase().as_str() {
                "br" => accepted.brotli = wanted,
                "gzip" => accepted.gzip = wanted,
                _ => {}
            }
        }
        accepted
    }
}

/// Whether one who asks has what has this tag.
pub(super) fn knows(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|it| it.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| {
        // A proxy that compresses weakens tags; for this comparison that does not matter.
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tower_service::Service as _;

    use super::*;

    const MADE_UP: &[Asset] = &[
        Asset { path: INDEX, kind: "text/html", hash: "aa", plain: b"<p>", brotli: None, gzip: None },
        Asset {
            path: "/console/app-1.js",
            kind: "text/javascript",
            hash: "bb",
            plain: b"plain",
            brotli: Some(b"small"),
            gzip: Some(b"middle"),
        },
    ];

    async fn get(path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
        let mut request = axum::http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = routes_of(MADE_UP).call(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status.as_u16(), parts.headers, body)
    }

    #[tokio::test]
    async fn a_browser_gets_the_smallest_form_it_takes() {
        for (accepts, encoding, body) in [
            ("gzip, deflate, br, zstd", Some("br"), "small"),
            ("GZIP", Some("gzip"), "middle"),
            ("br;q=0, gzip;q=0.5", Some("gzip"), "middle"),
            ("identity", None, "plain"),
        ] {
            let (status, headers, found) = get("/console/app-1.js", &[("accept-encoding", accepts)]).await;
            let found = String::from_utf8(found).unwrap();
            let told = headers.get("content-encoding").map(|it| it.to_str().unwrap());
            assert_eq!((status, told, found.as_str()), (200, encoding, body), "{accepts}");
            assert_eq!(headers["vary"], "Accept-Encoding");
        }
    }

    #[tokio::test]
    async fn what_a_browser_has_is_not_sent_again_and_each_form_has_its_own_tag() {
        let path = "/console/app-1.js";
        let (_, plain, _) = get(path, &[]).await;
        let (_, brotli, _) = get(path, &[("accept-encoding", "br")]).await;
        assert_ne!(plain["etag"], brotli["etag"]);
        assert_eq!(plain["cache-control"], "public, max-age=31536000, immutable");
        let known = [("accept-encoding", "br"), ("if-none-match", brotli["etag"].to_str().unwrap())];
        let (status, headers, body) = get(path, &known).await;
        assert_eq!((status, body.as_slice()), (304, &b""[..]));
        assert!(!headers.contains_key("content-encoding"));
        let other = [("accept-encoding", "br"), ("if-none-match", plain["etag"].to_str().unwrap())];
        assert_eq!(get(path, &other).await.0, 200);
    }

    #[tokio::test]
    async fn the_page_is_the_same_for_its_own_paths_and_for_no_others() {
        for path in ["/", "/rooms", "/rooms/lobby:1", "/players/a/b"] {
            let (status, headers, body) = get(path, &[]).await;
            assert_eq!((status, body.as_slice()), (200, &b"<p>"[..]), "{path}");
            assert_eq!(headers["cache-control"], "no-cache");
            assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'self'"));
        }
        for path in ["/api/rooms", "/api", "/nothing", "/index.html", "/console/app-2.js", "/metrics"] {
            assert_eq!(get(path, &[]).await.0, 404, "{path}");
        }
    }
}
