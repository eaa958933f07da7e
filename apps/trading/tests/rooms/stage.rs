//! What an app needs of a server: a database, transactions one by one, and a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidings_app::commit::{Emitted, Work};
use tidings_app::{App, Changes, Engine, Org, Pending, Reader, Refusal, Registry, Room as Place, Stage};
use tidings_core::Position;
use tidings_store::{Store, StoreOptions, args};
use tidings_testkit::Postgres;
use tidings_trading::acts;
use tidings_trading::byitself;
use tidings_trading::journal::Input;
use tidings_trading::order::Ask;
use tidings_trading::replay::tape::Tape;
use tidings_trading::replay::{self, Tapes};
use tidings_trading::room::Room;
use tidings_trading::rooms::{Key, Rooms};
use tidings_trading::rules::Rules;
use tidings_trading::store::{self, Kept, MIGRATIONS};

/// When tests begin, in milliseconds since 1970.
const BEGIN_MS: u64 = 1_800_000_000_000;

struct Alone {
    store: Store,
    now_ms: AtomicU64,
    /// One transaction at a time, as the log's writer does them.
    writing: tokio::sync::Mutex<()>,
    /// What was said, by name and place.
    said: Mutex<Vec<(String, String)>>,
    /// Places that were closed.
    closed: Mutex<Vec<String>>,
}

impl Alone {
    async fn done(&self, work: Work) -> Result<(), Refusal> {
        let _writing = self.writing.lock().await;
        let mut changes = Changes::new(self.store.begin().await?, self.now_ms());
        work.run(&mut changes).await?;
        let (emitted, after) = changes.take();
        changes.into_tx().commit().await?;
        after.into_iter().for_each(|change| change());
        emitted.into_iter().for_each(|emitted| self.say(emitted));
        Ok(())
    }

    fn say(&self, emitted: Emitted) {
        self.said.lock().unwrap().push((emitted.event, emitted.room.name().to_owned()));
    }
}

impl Engine for Alone {
    fn read(&self) -> Pending<'_, Result<Reader, Refusal>> {
        Box::pin(async move { Ok(self.store.snapshot().await?) })
    }

    fn commit(&self, work: Work) -> Pending<'_, Result<(), Refusal>> {
        Box::pin(self.done(work))
    }

    fn publish(&self, event: Emitted) -> Pending<'_, Result<(), Refusal>> {
        self.say(event);
        Box::pin(std::future::ready(Ok(())))
    }

    fn top(&self, _: &Place) -> Option<Position> {
        None
    }

    fn members(&self, _: &Place) -> usize {
        0
    }

    fn close(&self, place: &Place) {
        self.closed.lock().unwrap().push(place.name().to_owned());
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn room_name_bytes(&self) -> usize {
        256
    }
}

/// A database, and the app on it.
pub(crate) struct Bed {
    alone: Arc<Alone>,
    pub(crate) stage: Stage,
    pub(crate) rooms: Arc<Rooms>,
    tapes: Tapes,
    // Dropped last: it has the file of the database.
    _place: tidings_testkit::Place,
}

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        let place = tidings_testkit::Place::new();
        let sqlite = format!("sqlite:{}", place.path().join("trading.db").display());
        let postgres = Postgres::shared().database().await;
        [Self::at(&sqlite, place).await, Self::at(&postgres, tidings_testkit::Place::new()).await]
    }

    async fn at(url: &str, place: tidings_testkit::Place) -> Self {
        let store = Store::open(url, &StoreOptions::default()).await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        let now_ms = AtomicU64::new(BEGIN_MS);
        let (writing, said, closed) = Default::default();
        let alone = Arc::new(Alone { store, now_ms, writing, said, closed });
        let app = App::new("trading", "0", "A stage.").routes(|stage: Stage| stage);
        let (registry, routes) = Registry::new(vec![app]).unwrap();
        registry.bind(alone.clone());
        let (_, stage) = routes.make(&registry).remove(0);
        let tapes = Tapes::new(None).unwrap();
        Self { alone, stage, rooms: Arc::default(), tapes, _place: place }
    }

    /// The server is another: nothing is in memory.
    pub(crate) fn start_again(&mut self) {
        self.rooms = Arc::default();
    }

    /// Time goes by.
    pub(crate) fn wait(&self, ms: u64) {
        self.alone.now_ms.fetch_add(ms, Ordering::Relaxed);
    }

    /// What happens by itself happens once.
    pub(crate) async fn beat(&self) {
        byitself::beat(&self.rooms, &self.tapes, &self.stage, 1).await;
    }

    /// Things happen in a room, one by one.
    pub(crate) async fn happen(&self, key: &Key, inputs: impl IntoIterator<Item = Input>) {
        for input in inputs {
            acts::happens(&self.rooms, &self.stage, key, vec![input]).await.unwrap();
        }
    }

    /// Many things happen in a room.
    pub(crate) async fn happen_together(&self, key: &Key, inputs: Vec<Input>) {
        let count = inputs.len();
        assert_eq!(acts::happens(&self.rooms, &self.stage, key, inputs).await.unwrap(), count);
    }

    /// A room that is open, with members.
    pub(crate) async fn room(&self, (org, id): (&str, &str), members: &[&str], rules: Rules) -> Key {
        let key = (Org::new(org), id.to_owned());
        let made = key.clone();
        let create = self.stage.commit(move |tx| {
            Box::pin(async move {
                let rules = (rules, acts::ROOMS_OF_A_SERVICE_MOST);
                acts::create(tx, &made.0, (&made.1, "A room", ""), rules).await
            })
        });
        create.await.unwrap();
        let join = |user: &&str| Input::Join { user: (*user).into(), name: (*user).into() };
        self.happen(&key, [Input::Open].into_iter().chain(members.iter().map(join))).await;
        key
    }

    /// A room is fed from a file when it is started.
    pub(crate) async fn feed(&self, key: &Key, csv: String) {
        let (key, tape) = (key.clone(), Tape::parse(&csv).unwrap());
        let set = self.stage.commit(move |tx| {
            Box::pin(async move { replay::set(tx, &key, ("own", &csv), (&tape, 1)).await })
        });
        set.await.unwrap();
    }

    /// An order of a member; whether it was placed before.
    pub(crate) async fn order(&self, key: &Key, user: &str, ask: Ask) -> Result<bool, Refusal> {
        let placed = acts::order(&self.rooms, &self.stage, key.clone(), (user, None), ask).await?;
        Ok(placed.duplicate == Some(true))
    }

    /// Looks at a room.
    pub(crate) async fn try_look<T>(&self, key: &Key, look: impl FnOnce(&Room) -> T) -> Result<T, Refusal> {
        let mut reader = self.stage.read().await.unwrap();
        self.rooms.look(&mut reader, key, |_, room| look(room)).await
    }

    /// Looks at a room that is there.
    pub(crate) async fn look<T>(&self, key: &Key, look: impl FnOnce(&Room) -> T) -> T {
        self.try_look(key, look).await.unwrap()
    }

    /// Standings that were kept of a room, the newest first.
    pub(crate) async fn kept(&self, key: &Key) -> Vec<Kept> {
        let mut reader = self.stage.read().await.unwrap();
        let (listed, total) = store::all_kept(&mut reader, &key.0, &key.1, (0, 100)).await.unwrap();
        assert_eq!(listed.len() as u64, total);
        let mut all = Vec::new();
        for Kept { number, .. } in listed {
            all.extend(store::kept(&mut reader, &key.0, &key.1, number).await.unwrap());
        }
        all
    }

    /// Changes the database behind the server's back; how many rows.
    pub(crate) async fn behind(&self, sql: &'static str) -> u64 {
        let mut tx = self.alone.store.begin().await.unwrap();
        let changed = tx.run(sql, args![]).await.unwrap();
        tx.commit().await.unwrap();
        changed
    }

    /// Places that were closed, in order.
    pub(crate) fn closed(&self) -> Vec<String> {
        self.alone.closed.lock().unwrap().clone()
    }

    /// How often something was said in a place.
    pub(crate) fn said(&self, event: &str, place: &str) -> usize {
        let said = self.alone.said.lock().unwrap();
        said.iter().filter(|(name, room)| name == event && room == place).count()
    }
}
