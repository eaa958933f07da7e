//! A server with durable rooms, and those who publish and listen in them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidings_testkit::client::{Follower, Heard, PlainClient, Position, publishing};
use tidings_testkit::history::{History, RoomId};
use tidings_testkit::{Place, Serving};

/// The organisation of clients without a token.
pub(crate) const ORG: &str = "default";

/// Kinds of rooms: `notes` are kept in the database, `loose` ones nowhere.
pub(crate) const KINDS: &str = "[rooms.notes]\nkeep = \"durable\"\nsize = 100000\nsubscribe = \"anyone\"\n\
                                publish = \"anyone\"\nhistory = \"anyone\"\n\
                                [rooms.loose]\nkeep = \"nothing\"\nsubscribe = \"anyone\"\npublish = \"anyone\"\n";

/// What every server of these tests is told.
pub(crate) const FLAGS: [&str; 6] =
    ["--config", "tidings.toml", "--listen", "127.0.0.1:0", "--no-limits", "--host-publish=false"];

/// A directory with the configuration of these tests, and what a test adds to it.
pub(crate) fn place(more: &str) -> Place {
    let place = Place::new();
    std::fs::write(place.path().join("tidings.toml"), format!("{more}\n{KINDS}")).unwrap();
    place
}

/// The real binary.
pub(crate) fn serve(place: &Path) -> Serving {
    Serving::start(env!("CARGO_BIN_EXE_tidings"), place, &FLAGS)
}

/// The same with something of it switched off, or made to fail.
pub(crate) fn serve_without(place: &Path, points: &str) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("FAILPOINTS", points).current_dir(place).arg("serve").args(FLAGS);
    Serving::run(&mut command)
}

/// Runs a test's clients.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// A subscriber that has begun at the end of a room.
pub(crate) async fn follow(addr: SocketAddr, room: &str, history: &mut History) -> (Follower, PlainClient) {
    let mut client = PlainClient::sign_in(addr, None).await.unwrap();
    let mut follower = Follower::new(history, ORG, room);
    follower.subscribe(&mut client).await.unwrap();
    catch_up(&mut follower, &mut client, history).await;
    (follower, client)
}

/// Hears until everything missed has come.
pub(crate) async fn catch_up(follower: &mut Follower, client: &mut PlainClient, history: &mut History) {
    while !follower.is_caught_up() {
        let heard = client.hear().await.unwrap();
        assert!(!matches!(heard, Heard::Closed(_)), "closed while it caught up");
        follower.take(&heard, history);
    }
}

/// Hears until a place is reached.
pub(crate) async fn hear_up_to(
    offset: u64,
    follower: &mut Follower,
    client: &mut PlainClient,
    history: &mut History,
) {
    while follower.position().is_none_or(|position| position.offset < offset) {
        let heard = client.hear().await.unwrap();
        assert!(!matches!(heard, Heard::Closed(_)), "closed at {:?}, before {offset}", follower.position());
        follower.take(&heard, history);
    }
}

/// Where a room stands, and what is in it, as the server says.
pub(crate) async fn stored(addr: SocketAddr, room: &str) -> Vec<(u64, u64)> {
    let mut client = PlainClient::sign_in(addr, None).await.unwrap();
    let mut events: Vec<(u64, u64)> = Vec::new();
    let mut since: Option<Position> = None;
    loop {
        let mut ask = json!({"type": "history", "room": room, "limit": 1000});
        let first = client.ask(ask.clone()).await.unwrap();
        assert_eq!(first["ok"], true, "{first}");
        let epoch = first["epoch"].as_str().unwrap().to_owned();
        let from = since.unwrap_or(Position { epoch, offset: 0, tag: None });
        ask["since"] = from.since();
        let page = client.ask(ask).await.unwrap();
        assert_eq!((&page["ok"], &page["complete"]), (&json!(true), &json!(true)), "{page}");
        let found = page["events"].as_array().unwrap().iter();
        let of = |event: &Value| {
            let data = &event["data"];
            (event["offset"].as_u64().unwrap(), data.as_u64().or(data["n"].as_u64()).unwrap())
        };
        events.extend(found.map(of));
        let Some((offset, _)) = events.last().copied().filter(|_| page["more"] == true) else {
            return events;
        };
        since = Some(Position { offset, ..from });
    }
}

/// A publisher that goes on until each of its messages is acknowledged.
pub(crate) struct Publisher {
    pub(crate) room: String,
    pub(crate) id: RoomId,
    /// Whether its messages have keys.
    pub(crate) keys: bool,
    /// Letters that each message carries besides its number.
    pub(crate) pad: usize,
    /// Its messages are about so many things in turn; 0: about nothing.
    pub(crate) slots: u64,
    /// Messages without an acknowledgement, by the command under which they were sent last.
    pub(crate) open: BTreeMap<u64, u64>,
}

impl Publisher {
    pub(crate) fn new(history: &mut History, room: &str, keys: bool) -> Self {
        let id = history.room(ORG, room);
        Self { room: room.into(), id, keys, pad: 0, slots: 0, open: BTreeMap::new() }
    }

    /// Publishes a message, for the first time or again.
    pub(crate) async fn publish(
        &mut self,
        client: &mut PlainClient,
        message: u64,
        history: &mut History,
    ) -> io::Result<()> {
        history.publishing(self.id, message);
        let key = message.to_string();
        let data = match self.pad {
            0 => message.into(),
            pad => json!({"n": message, "pad": "x".repeat(pad)}),
        };
        let mut body = publishing(&self.room, data, self.keys.then_some(&key));
        if let Some(slot) = message.checked_rem(self.slots) {
            body["slot"] = slot.to_string().into();
        }
        let command = client.command(body).await?;
        self.open.insert(command, message);
        Ok(())
    }

    /// Takes in an answer: the message it was about, and whether it is acknowledged; else why not.
    pub(crate) fn take(
        &mut self,
        heard: &Heard,
        history: &mut History,
    ) -> Option<(u64, Result<Value, Value>)> {
        let Heard::Ack { id, body } = heard else { return None };
        let message = self.open.remove(id)?;
        if body["ok"] != true {
            return Some((message, Err(body["error"].clone())));
        }
        let at = Position::of(body).expect("an acknowledgement says where").at();
        let key = message.to_string();
        history.acked(self.id, message, self.keys.then_some(&key), at);
        Some((message, Ok(body.clone())))
    }

    /// Publishes a message and waits until it is answered.
    pub(crate) async fn settle(
        &mut self,
        client: &mut PlainClient,
        message: u64,
        history: &mut History,
    ) -> io::Result<Result<Value, Value>> {
        self.publish(client, message, history).await?;
        loop {
            let heard = client.hear().await?;
            if let Heard::Closed(code) = heard {
                return Err(io::Error::other(format!("closed: {code:?}")));
            }
            if let Some((_, answer)) = self.take(&heard, history) {
                return Ok(answer);
            }
        }
    }
}
