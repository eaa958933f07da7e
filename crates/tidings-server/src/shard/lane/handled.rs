//! What the mounted handler is given to do, and what becomes of it if it panics.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::client::{Call, Client, Handler};
use crate::front::hello::Hello;
use crate::shared::Shared;

/// Has the mounted handler answer an event.
pub(super) async fn handled(shared: &Shared, call: Call) {
    survived(shared, |handler| handler.handle(call)).await;
}

/// Tells the mounted handler of a client that joined.
pub(super) async fn welcomed(shared: &Shared, client: Client, auth: Option<String>, hello: Hello) {
    survived(shared, |handler| handler.connected(client, auth, hello)).await;
}

/// Does something with the handler. Its panic is logged and ends nothing: neither the commands of others that are
/// worked off with this one nor what the same client says later.
async fn survived<'a, F: Future<Output = ()>>(shared: &'a Shared, begin: impl FnOnce(&'a dyn Handler) -> F) {
    let Some(handler) = shared.handler.as_deref() else { return };
    let mut doing = pin!(async { begin(handler).await });
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| doing.as_mut().poll(cx))) {
        Ok(done) => done,
        Err(_) => {
            tracing::error!("a handler panicked");
            Poll::Ready(())
        }
    })
    .await;
}
