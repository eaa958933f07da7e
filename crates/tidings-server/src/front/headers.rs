//! What browsers are told to keep to, on every answer of the page and of the HTTP API; and one word on all answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

/// What every answer says unless it says something else itself.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    // It binds requests that ask for no permission; those of allowed origins go by CORS.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// Says on an answer of any door that a browser is to take it for what it says it is: what others have published stands
/// in those of long polling too.
pub(super) fn is_what_it_says<B>(response: &mut Response<B>) {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    }
}

/// Adds what is missing; answers of the API are kept by nobody.
pub(super) fn harden(headers: &mut HeaderMap, api: bool) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}
