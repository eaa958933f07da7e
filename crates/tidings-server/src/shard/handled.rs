//! What the mounted handler is given to do, and what becomes of it if it panics.

use tidings_app::caught;
use tidings_core::Room;

use crate::client::{Call, Client, ConnectRefused, Handler};
use crate::front::hello::Hello;
use crate::shared::Shared;

/// Has the mounted handler answer an event.
pub(super) async fn handled(shared: &Shared, call: Call) {
    let Some(handler) = &shared.handler else { return };
    survived(|| handler.handle(call)).await;
}

/// Tells the mounted handler of a client that joined.
pub(super) async fn welcomed(shared: &Shared, client: Client, auth: Option<String>, hello: Hello) {
    let Some(handler) = &shared.handler else { return };
    survived(|| handler.connected(client, auth, hello)).await;
}

/// Asks the mounted handler whether a client may join; none if it panicked over that.
pub(super) async fn asked(
    handler: &dyn Handler,
    namespace: &str,
    hello: &Hello,
    auth: Option<&str>,
) -> Option<Result<Vec<Room>, ConnectRefused>> {
    survived(|| handler.connect(namespace, hello, auth)).await
}

/// Does something with the handler. Its panic is logged and ends nothing: neither the commands of others that are
/// worked off with this one nor what the same client says later.
async fn survived<F: Future>(begin: impl FnOnce() -> F) -> Option<F::Output> {
    // It may panic before there is a future as well.
    caught("a handler", async { begin().await }).await
}
