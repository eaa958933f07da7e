//! The connection a command came by, as its app sees it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tidings_app::{Peer, Pending};
use tidings_core::{Answered, Denied, Refusal, Room, lock};
use tokio::sync::oneshot;

use crate::asking::{ROUNDS, unsettled};
use crate::client::{Client, Emission};
use crate::hooks::{Caller, Draft, Entrance};
use crate::shared::Shared;

/// The connection a command came by.
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: IpAddr,
    pub(crate) entrance: Entrance,
    /// What is to be said behind the answer.
    later: Mutex<Vec<(String, String)>>,
}

/// Events that one command may say to its own connection; more are dropped, and that is logged.
const LATER: usize = 1_000;

/// What a shard answers to [`Emission::Enter`].
pub(crate) type Entering = oneshot::Sender<Result<(), Denied>>;

impl Connection {
    pub(crate) fn new(client: Client, shared: Arc<Shared>, address: IpAddr, entrance: Entrance) -> Self {
        Self { client, shared, address, entrance, later: Mutex::default() }
    }

    /// Says what was to be said behind the answer.
    pub(crate) fn say_later(&self) {
        for (event, json) in std::mem::take(&mut *lock(&self.later)) {
            self.client.emit(&event, vec![json], Vec::new());
        }
    }

    /// Takes the connection into a room by the room's rules, asking whom they name.
    ///
    /// # Errors
    /// The room's rules; [`tidings_core::Code::Unavailable`] if the connection is gone.
    pub(crate) async fn enter(&self, room: &Room) -> Result<(), Refusal> {
        let gone = |_| Refusal::new(tidings_core::Code::Unavailable, "the connection is gone");
        let (who, connection) = (self.client.who(), Some(self.client.at()));
        let caller = Caller { who, connection, address: self.address, entrance: self.entrance };
        let mut answered: Vec<Answered> = Vec::new();
        for _ in 0..ROUNDS {
            let (reply, answer) = oneshot::channel();
            let seat = self.client.seat();
            self.client.send(Emission::Enter { seat, room: room.clone(), answered: answered.clone(), reply });
            match answer.await.map_err(gone)? {
                Ok(()) => return Ok(()),
                Err(Denied::Ask(action)) => {
                    answered.push(self.shared.ask(&caller, room, action, Draft::default()).await?);
                }
                Err(Denied::Load) => self.shared.load(room).await?,
                Err(denied) => return Err(denied.into()),
            }
        }
        Err(unsettled())
    }
}

impl Peer for Connection {
    fn send(&self, event: &str, json: String) {
        let mut later = lock(&self.later);
        if later.len() >= LATER {
            return tracing::error!(event, "a command says too much to its own connection");
        }
        later.push((event.to_owned(), json));
    }

    fn join(&self, room: Room) -> Pending<'_, Result<(), Refusal>> {
        Box::pin(async move { self.enter(&room).await })
    }

    fn leave(&self, room: Room) {
        self.client.send(Emission::Leave { seat: self.client.seat(), room });
    }
}
