//! Who asks, and what with.

use std::sync::Arc;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidings_app::objects::read_body;
use tidings_app::{Caller, Code, Identity, Org, Refusal};

use crate::Most;
use crate::answer::Refused;

/// What is sent with something that is to be done once.
const KEY: &str = "idempotency-key";
/// Things that a list holds where no number is named, and at most.
const PAGE: u64 = 50;
const PAGE_MOST: u64 = 200;
/// Characters of a refusal that come from what was sent.
const SENTENCE: usize = 200;

/// Something in the path, as it was read.
pub type AtPath<T = String> = Result<Path<T>, PathRejection>;
/// The query, as it was read.
pub type AtQuery<T> = Result<Query<T>, QueryRejection>;

/// A body, or why there is none.
type Received = Result<Bytes, BytesRejection>;

/// What is told of something that cannot be read.
pub fn bad(message: &str) -> Refusal {
    Refusal::new(Code::BadRequest, &message.chars().take(SENTENCE).collect::<String>())
}

/// Who asks, if it is somebody who may read.
#[derive(Debug)]
pub struct Asker(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Ok(Self::of(parts.extensions.get::<Caller>())?)
    }
}

impl Asker {
    /// Somebody who may read.
    ///
    /// # Errors
    /// `unauthorized`
    fn of(caller: Option<&Caller>) -> Result<Self, Refusal> {
        let caller = caller.cloned().unwrap_or_else(|| Caller::new(Arc::new(Identity::anonymous())));
        if caller.who.user.is_none() && !caller.who.is_server() {
            return Err(Refusal::needs_sign_in());
        }
        Ok(Self(caller))
    }

    /// Who it is.
    pub fn who(&self) -> &Identity {
        &self.0.who
    }

    /// The organisation.
    pub fn org(&self) -> &Org {
        &self.0.who.org
    }

    /// The user, if it is one.
    pub fn user(&self) -> Option<&str> {
        self.0.who.user.as_deref()
    }

    /// The name in the token.
    pub fn name(&self) -> Option<&str> {
        self.0.who.name.as_deref()
    }

    /// Whether it is a server.
    pub fn is_server(&self) -> bool {
        self.0.who.is_server()
    }

    /// Only a server goes on.
    ///
    /// # Errors
    /// `forbidden`
    pub fn server(&self) -> Result<&Self, Refusal> {
        if self.is_server() {
            return Ok(self);
        }
        Err(Refusal::new(Code::Forbidden, "this is for servers: a key or token with the scope publish"))
    }

    /// Only somebody himself or a server goes on.
    ///
    /// # Errors
    /// `forbidden`
    pub fn himself_or_server(&self, user: &str) -> Result<&Self, Refusal> {
        if self.is_server() || self.user() == Some(user) {
            return Ok(self);
        }
        Err(Refusal::new(Code::Forbidden, "this is for oneself, or for servers"))
    }

    /// Whom something is done for: whoever a server names, else the caller.
    ///
    /// # Errors
    /// `forbidden` for somebody who names another, `bad_request` for a server that names nobody.
    pub fn acts_for(&self, named: Option<String>) -> Result<String, Refusal> {
        match (named, self.user()) {
            (Some(named), _) => self.himself_or_server(&named).map(|_| named),
            (None, Some(user)) => Ok(user.to_owned()),
            (None, None) => Err(bad("userId: a server says for whom")),
        }
    }
}

/// What is asked to be done: by whom, with what.
#[derive(Debug)]
pub struct Asked {
    asker: Asker,
    headers: HeaderMap,
    body: Received,
}

impl<S: Sync + Send> FromRequest<S> for Asked {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let asker = Asker::of(request.extensions().get::<Caller>())?;
        if request
            .extensions()
            .get()
            .is_some_and(|Most(most)| request.body().size_hint().lower() > *most as u64)
        {
            return Err(too_large().into());
        }
        let headers = request.headers().clone();
        Ok(Self { asker, headers, body: Bytes::from_request(request, state).await })
    }
}

fn too_large() -> Refusal {
    Refusal::new(Code::TooLarge, "the body is too large")
}

impl Asked {
    /// Who asks.
    pub fn asker(&self) -> &Asker {
        &self.asker
    }

    /// The body, in which structs are objects; an empty one is an empty object.
    ///
    /// # Errors
    /// `too_large`, or `bad_request` with the field and what is wrong with it.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body = self.body.as_ref().map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(),
            _ => bad("the body did not arrive"),
        })?;
        read_body(std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8"))?)
    }

    /// The key under which it is to be done once, if one was sent.
    pub(crate) fn key(&self) -> Result<Option<&str>, Refusal> {
        let key = self.headers.get(KEY).map(|key| key.to_str());
        key.transpose().map_err(|_| bad("Idempotency-Key: is not printable"))
    }

    /// The body as it came.
    pub fn text(&self) -> String {
        self.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()).unwrap_or_default()
    }
}

/// Nothing is said with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Reads the query.
///
/// # Errors
/// `bad_request` with the parameter and what is wrong with it.
pub fn query<T>(query: AtQuery<T>) -> Result<T, Refusal> {
    query.map(|Query(query)| query).map_err(|rejection| {
        let text = rejection.body_text();
        bad(text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text))
    })
}

/// Reads what stands in the path.
///
/// # Errors
/// `bad_request`
pub fn path<T>(path: AtPath<T>) -> Result<T, Refusal> {
    path.map(|Path(path)| path).map_err(|_| bad("the path is not UTF-8"))
}

/// How many things a list is to hold: 50 if not said, 200 at most.
pub fn limit(limit: Option<u64>) -> u64 {
    limit.unwrap_or(PAGE).clamp(1, PAGE_MOST)
}

/// An id that nobody has: a time and chance.
pub fn new_id(kind: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    use std::time::{SystemTime, UNIX_EPOCH};
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    format!("{kind}-{now:x}-{:016x}", RandomState::new().hash_one(now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use axum::body::Body;
    use axum::response::IntoResponse as _;

    use super::*;

    /// The status with which a body of so many bytes is refused before it is read.
    fn refused(bytes: usize) -> Option<StatusCode> {
        let mut request = Request::new(Body::from(vec![b'x'; bytes]));
        let who = Identity { user: Some("ada".into()), ..Identity::anonymous() };
        request.extensions_mut().insert(Caller::new(Arc::new(who)));
        request.extensions_mut().insert(Most(1_000));
        match pin!(Asked::from_request(request, &())).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(asked) => asked.err().map(|refused| refused.into_response().status()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_body_that_declares_too_much_is_refused_before_it_is_read() {
        assert_eq!(refused(1_001), Some(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(refused(1_000), None, "the control");
    }
}
