//! What others wrote may panic: that is logged, and ends nothing but itself.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// What a future gives; `None` if it panics. The log says that `who` did, such as "an app".
pub async fn caught<T>(who: &str, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(done) => done.map(Some),
        Err(_) => {
            tracing::error!("{who} panicked");
            Poll::Ready(None)
        }
    })
    .await
}
