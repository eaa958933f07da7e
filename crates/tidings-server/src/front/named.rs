//! A name in a path, as `{id}`.

use std::convert::Infallible;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use tidings_core::Refusal;

/// A name in a path; what cannot be one (bytes that are no UTF-8, a NUL) is the name of nothing.
pub(super) struct Named(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        Ok(Self(path.ok().map(|Path(name)| name).filter(|name| !name.contains('\0'))))
    }
}

impl Named {
    /// The name, or what is said of one that nothing has.
    ///
    /// # Errors
    /// That.
    pub(super) fn known(self, nothing: impl FnOnce() -> Refusal) -> Result<String, Refusal> {
        self.0.ok_or_else(nothing)
    }
}
