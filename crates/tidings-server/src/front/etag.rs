//! Tags on what is read: one who asks again is told that nothing has changed, without hearing all of it again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use sha2::{Digest as _, Sha256};
use tidings_core::{Code, Refusal};

use super::console::knows;
use super::refuse;

/// Bytes of an answer that is tagged at most; a larger one, or one whose size is not known, goes as it is.
const MOST: u64 = 1 << 20;

/// Tags the answers of routes that read.
pub(super) async fn tagged(request: Request, next: Next) -> Response<Body> {
    let (method, headers) = (request.method().clone(), request.headers().clone());
    tag(&method, &headers, next.run(request).await).await
}

/// Tags an answer to a GET, unless that says that it is not to be kept, or has a tag.
pub(super) async fn tag(method: &Method, asked: &HeaderMap, response: Response<Body>) -> Response<Body> {
    use axum::body::HttpBody as _;
    let headers = response.headers();
    let kept = |value: &HeaderValue| !value.as_bytes().windows(8).any(|word| word == b"no-store");
    let is_wanted = method == Method::GET
        && response.status() == StatusCode::OK
        && !headers.contains_key(header::ETAG)
        && headers.get(header::CACHE_CONTROL).is_none_or(kept);
    if !is_wanted || response.body().size_hint().exact().is_none_or(|size| size > MOST) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MOST as usize).await else {
        return refuse(&Refusal::new(Code::Unavailable, "the answer was not finished"));
    };
    let tag = tag_of(&bytes);
    if let Ok(tag) = HeaderValue::try_from(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    // Everybody is answered by who they are.
    parts.headers.append(header::VARY, HeaderValue::from_static("Authorization, X-API-Key"));
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    if knows(asked, &tag) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn tag_of(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let half = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("\"{}\"", half.collect::<String>())
}
