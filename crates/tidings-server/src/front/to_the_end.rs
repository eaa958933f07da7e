//! Requests that are worked on to their end, even if whoever asked has gone.
//!
//! A connection that closes drops the answer that is being made, wherever it is: what was committed already
//! would stand in no audit log. So what changes accounts, keys and tokens runs in a task of its own.

use std::future::Future;

use axum::body::Body;
use axum::http::Response;
use tidings_core::{Code, Refusal};
use tokio::sync::Semaphore;

use super::refuse;
use crate::audit::request;

/// Requests of all servers of this process that run to their end at once. Others wait for a place, and those who
/// leave while they wait have asked for nothing.
const AT_ONCE: usize = 1_024;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Answers a request whose body has arrived, to the end: its work waits for the store and for passwords, each of
/// which gives up after its time.
pub(super) async fn to_the_end(
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    let Ok(place) = PLACES.acquire().await else { return unavailable() };
    let work = async move {
        let _place = place;
        answer.await
    };
    once_begun(work).await
}

/// The same without a bound of its own: for requests that are as many as connections may be.
pub(super) async fn once_begun(
    answer: impl Future<Output = Response<Body>> + Send + 'static,
) -> Response<Body> {
    tokio::spawn(request::carried(answer)).await.unwrap_or_else(|_| unavailable())
}

fn unavailable() -> Response<Body> {
    refuse(&Refusal::new(Code::Unavailable, "it cannot be done now"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::task::{Context, Poll, Waker};

    use tokio::sync::oneshot;

    use super::*;
    use crate::front::respond;

    #[tokio::test]
    async fn what_was_begun_ends_although_nobody_waits_for_the_answer() {
        let (commit, committed) = oneshot::channel::<()>();
        let (note, noted) = oneshot::channel();
        let work = async move {
            committed.await.unwrap();
            note.send("noted").unwrap();
            respond(axum::http::StatusCode::OK, "text/plain", "")
        };
        let mut asked = Box::pin(to_the_end(work));
        assert!(matches!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        drop(asked);
        commit.send(()).unwrap();
        assert_eq!(noted.await, Ok("noted"));
    }
}
