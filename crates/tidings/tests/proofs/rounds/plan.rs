//! How large a run is.

use tidings_core::{Epoch, MessageId, Org, Payload, Room};
use tidings_store::log::Append;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, settings};

/// Events of one transaction while a database is filled.
const BATCH: u64 = 1_000;

/// How large a run is, and what is expected of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Plain clients (`ROUNDS_PLAIN`).
    pub(crate) plain: u64,
    /// Stock Socket.IO clients (`ROUNDS_STOCK`).
    pub(crate) stock: u64,
    /// Rooms; each client is in one (`ROUNDS_ROOMS`).
    pub(crate) rooms: u64,
    /// Publishes a second (`ROUNDS_RATE`).
    pub(crate) rate: u64,
    /// How often the server is killed (`ROUNDS_KILLS`).
    pub(crate) rounds: u64,
    /// Seconds between two kills (`ROUNDS_SECONDS`).
    pub(crate) seconds: u64,
    /// Messages that are stored beforehand (`ROUNDS_STORED`).
    pub(crate) stored: u64,
    /// Whether stock clients have to be recovered, rather than subscribe again (`ROUNDS_RECOVERED=0`: the latter).
    pub(crate) expects_recovered: bool,
    /// Whether clients come back with their position.
    pub(crate) since: bool,
}

impl Plan {
    /// What fits into the tests.
    pub(crate) fn small() -> Self {
        Self {
            plain: 60,
            stock: 0,
            rooms: 20,
            rate: 150,
            rounds: 3,
            seconds: 1,
            stored: 2_000,
            expects_recovered: false,
            since: true,
        }
    }

    pub(crate) fn of_the_environment() -> Self {
        let number = |name, default| settings::number(name).unwrap_or(default);
        let small = Self::small();
        Self {
            plain: number("ROUNDS_PLAIN", small.plain),
            stock: number("ROUNDS_STOCK", 140),
            rooms: number("ROUNDS_ROOMS", small.rooms).max(1),
            rate: number("ROUNDS_RATE", small.rate).max(1),
            rounds: number("ROUNDS_KILLS", small.rounds),
            seconds: number("ROUNDS_SECONDS", small.seconds),
            stored: number("ROUNDS_STORED", small.stored),
            expects_recovered: number("ROUNDS_RECOVERED", 1) == 1,
            since: true,
        }
    }

    /// The room with a number.
    pub(crate) fn room(number: u64) -> String {
        format!("notes:{number}")
    }

    pub(crate) fn messages_of_a_round(&self) -> u64 {
        self.rate * self.seconds
    }

    /// Stores messages in rooms nobody is in, before the server starts.
    pub(crate) async fn fill(&self, place: &Place) {
        let data = place.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let url = format!("sqlite:{}", data.join("tidings.db").display());
        let store =
            Store::open(&url, &StoreOptions { synced: false, ..StoreOptions::default() }).await.unwrap();
        let payload = Payload::json("{\"text\":\"stored before anything began\"}");
        for first in (0..self.stored).step_by(BATCH as usize) {
            let room = Room::new(&Org::default(), &format!("notes:old-{first}"), 200).unwrap();
            let (epoch, event) = (Epoch(first + 1), "said");
            let append = |number: u64| {
                let id = MessageId { node: 7, number };
                Append {
                    room: &room,
                    epoch,
                    id,
                    at_ms: now_ms(),
                    event,
                    payload: &payload,
                    key: None,
                    batch: None,
                }
            };
            let events: Vec<_> = (first..self.stored.min(first + BATCH)).map(append).collect();
            let mut tx = store.begin().await.unwrap();
            tx.append(&events).await.unwrap();
            tx.commit().await.unwrap();
        }
        store.close().await;
    }
}

fn now_ms() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64
}
