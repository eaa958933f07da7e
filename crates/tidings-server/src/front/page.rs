//! The pages without a build step: at `/host` the host's figures, live, and at `/account` one's account.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::get;

use super::{console, respond};

/// A file of a page: path, type, contents.
type File = (&'static str, &'static str, &'static str);

/// One's account, where links in mails lead as well.
const ACCOUNT_PAGE: &str = include_str!("../../assets/account.html");
/// Where it says how many characters a new password has at least.
const LEAST: &str = "<!-- least -->";
/// What becomes of mails, for its script.
const MAILS: &str = "<!-- mails -->";
/// What both pages need.
const SHARED: [File; 4] = [
    ("/assets/account.js", SCRIPT, include_str!("../../assets/account.js")),
    ("/assets/session.js", SCRIPT, include_str!("../../assets/session.js")),
    ("/assets/style.css", "text/css; charset=utf-8", include_str!("../../assets/style.css")),
    ("/assets/favicon.svg", "image/svg+xml", include_str!("../../assets/favicon.svg")),
];

/// The host's figures.
const HOST: [File; 7] = [
    ("/assets/app.js", SCRIPT, include_str!("../../assets/app.js")),
    ("/assets/chart.js", SCRIPT, include_str!("../../assets/chart.js")),
    ("/assets/link.js", SCRIPT, include_str!("../../assets/link.js")),
    ("/assets/position.js", SCRIPT, include_str!("../../assets/position.js")),
    ("/assets/reconnect.js", SCRIPT, include_str!("../../assets/reconnect.js")),
    ("/assets/scale.js", SCRIPT, include_str!("../../assets/scale.js")),
    ("/assets/series.js", SCRIPT, include_str!("../../assets/series.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may do: talk to its own server, and nothing else.
pub(super) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// `/account` and what it shows; for everybody. Passwords have `least` characters, mails are sent or only logged.
pub(super) fn account(least: usize, sends_mail: bool) -> Router {
    let page = ACCOUNT_PAGE.replace(LEAST, &least.to_string());
    let page = Bytes::from(page.replace(MAILS, if sends_mail { "sent" } else { "logged" }));
    files(&SHARED).route("/account", get(move || async move { file(HTML, page) }))
}

/// What stands where nothing is, with a way on.
pub(super) fn nothing(way: &str) -> Response<Body> {
    let mut response = file(HTML, NOTHING_PAGE.replace(WAY, way));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

const NOTHING_PAGE: &str = include_str!("../../assets/nothing.html");
/// Where its link leads.
const WAY: &str = "<!-- way -->";

/// Whether it is a browser that asks for a page, not for something in one: programs take anything (`*/*`).
pub(super) fn shows_pages(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html"))
}

/// `/host` and what it shows, and the console at `/`, or this in its place; for administrators, where they have a
/// listener of their own.
pub(super) fn host() -> Router {
    let shown = |note| get(move || async move { file(HTML, HOST_PAGE.replace(NOTE, note)) });
    let router = files(&HOST).route("/host", shown(if console::is_built() { BUILT } else { NOT_BUILT }));
    if console::is_built() { router.merge(console::routes()) } else { router.route("/", shown(NOT_BUILT)) }
}

const HTML: &str = "text/html; charset=utf-8";
const HOST_PAGE: &str = include_str!("../../assets/index.html");
/// Where the page says whether there is a console.
const NOTE: &str = "<!-- console -->";
const BUILT: &str = r#"<p><a href="/">The console</a> shows rooms, people and messages.</p>"#;
const NOT_BUILT: &str = "<p class=\"notice\">This server was built without its console. With Node 20 or newer: \
     <code>npm ci --prefix web &amp;&amp; npm run build --prefix web</code>, then build the server again. \
     <code>make run</code> does both.</p>";

fn files(files: &'static [File]) -> Router {
    files.iter().fold(Router::new(), |router, (path, content_type, text)| {
        router.route(path, get(move || async move { file(content_type, *text) }))
    })
}

fn file(content_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = respond(StatusCode::OK, content_type, text);
    let headers =
        [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY), (header::CACHE_CONTROL, "no-cache")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
