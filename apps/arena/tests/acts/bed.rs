//! The arena on a database of a test's own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tidings_app::commit::{Emitted, Work};
use tidings_app::{App, Changes, Engine, Org, Pending, Reader, Refusal, Registry, Room, Stage};
use tidings_arena::acts::life::{self, NewMatch};
use tidings_arena::acts::people::{self, NewPlayer};
use tidings_arena::acts::result::{self, Settled, Submitted};
use tidings_arena::acts::tournaments;
use tidings_arena::acts::void::{self, Voided};
use tidings_arena::arena::Arena;
use tidings_arena::boards::Scope;
use tidings_arena::model::Standing;
use tidings_arena::store::matches::Match;
use tidings_arena::store::sessions::Session;
use tidings_arena::store::{MIGRATIONS, ladders, matches};
use tidings_arena::wire::{ResultType, Score};
use tidings_core::Position;
use tidings_store::{Store, StoreOptions, args};
use tidings_testkit::{Place, Postgres};

/// The session of these tests.
pub(crate) const CUP: &str = "cup";

/// Transactions on a store, one after the other; what they say is kept to be looked at.
struct Ledger {
    store: Store,
    turn: tokio::sync::Mutex<()>,
    now_ms: AtomicU64,
    said: Mutex<Vec<Emitted>>,
    /// The next transaction is stored, and nobody is told so.
    loses_the_answer: AtomicBool,
}

impl Engine for Ledger {
    fn read(&self) -> Pending<'_, Result<Reader, Refusal>> {
        Box::pin(async move { Ok(self.store.snapshot().await?) })
    }

    fn commit(&self, work: Work) -> Pending<'_, Result<(), Refusal>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let mut changes = Changes::new(self.store.begin().await?, self.now_ms());
            work.run(&mut changes).await?;
            let (emitted, after) = changes.take();
            changes.into_tx().commit().await?;
            if self.loses_the_answer.swap(false, Ordering::Relaxed) {
                return Err(Refusal::unavailable("the answer was lost"));
            }
            after.into_iter().for_each(|change| change());
            self.said.lock().unwrap().extend(emitted);
            Ok(())
        })
    }

    fn publish(&self, event: Emitted) -> Pending<'_, Result<(), Refusal>> {
        self.said.lock().unwrap().push(event);
        Box::pin(async { Ok(()) })
    }

    fn top(&self, _room: &Room) -> Option<Position> {
        None
    }

    fn members(&self, _room: &Room) -> usize {
        0
    }

    fn close(&self, _room: &Room) {}

    /// Each transaction has a millisecond of its own.
    fn now_ms(&self) -> u64 {
        self.now_ms.fetch_add(1, Ordering::Relaxed)
    }

    fn room_name_bytes(&self) -> usize {
        1_024
    }
}

/// The arena, and the database below it.
pub(crate) struct Bed {
    pub(crate) arena: Arc<Arena>,
    pub(crate) stage: Stage,
    pub(crate) org: Org,
    ledger: Arc<Ledger>,
    _place: Place,
}

impl Bed {
    /// One on SQLite, one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        let place = Place::new();
        let sqlite = format!("sqlite:{}", place.path().join("arena.db").display());
        let postgres = Postgres::shared().database().await;
        [Self::on(&sqlite, place).await, Self::on(&postgres, Place::new()).await]
    }

    async fn on(url: &str, place: Place) -> Self {
        let store = Store::open(url, &StoreOptions::default()).await.unwrap();
        let app = App::new("arena", "0", "The arena of a test.").migrations(MIGRATIONS).routes(|stage| stage);
        let (registry, routes) = Registry::new(vec![app]).unwrap();
        registry.migrate(&store).await.unwrap();
        let ledger = Arc::new(Ledger {
            store,
            turn: tokio::sync::Mutex::default(),
            now_ms: AtomicU64::new(1_000),
            said: Mutex::default(),
            loses_the_answer: AtomicBool::new(false),
        });
        registry.bind(ledger.clone());
        let (_, stage) = routes.make(&registry).pop().unwrap();
        Self { arena: Arc::default(), stage, org: Org::default(), ledger, _place: place }
    }

    /// The server is another: nothing is in memory.
    pub(crate) fn start_again(&mut self) {
        self.arena = Arc::default();
    }

    /// Changes the database behind the server's back; how many rows.
    pub(crate) async fn behind(&self, sql: &'static str) -> u64 {
        let mut tx = self.ledger.store.begin().await.unwrap();
        let changed = tx.run(sql, args![]).await.unwrap();
        tx.commit().await.unwrap();
        changed
    }

    /// Something in a transaction of its own; boards are those of the store before it.
    pub(crate) async fn act<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Arc<Arena>, &'c mut Changes, &'c Org) -> Pending<'c, Result<T, Refusal>>
            + Send
            + 'static,
    {
        let _pass = self.arena.pass_to(&self.stage, &self.org, &Scope::Global).await?;
        let (arena, org) = (self.arena.clone(), self.org.clone());
        self.stage.commit(move |tx| Box::pin(async move { work(&arena, tx, &org).await })).await
    }

    /// Takes players in, each of a country.
    pub(crate) async fn people(&self, people: &[(&str, &str)]) {
        for (id, country) in people {
            let country = Some((*country).to_owned());
            let new = NewPlayer { id: (*id).to_owned(), name: (*id).to_owned(), country, rating: None };
            let made = self.act(move |arena, tx, org| {
                Box::pin(async move { people::create(arena, tx, org, &new).await })
            });
            made.await.unwrap();
        }
    }

    /// A session in which all of them play.
    pub(crate) async fn cup(&self, players: &[&str]) {
        self.cup_until(None, players).await;
    }

    /// The same with an end.
    pub(crate) async fn cup_until(&self, ends_ms: Option<u64>, players: &[&str]) {
        let session = Session {
            id: CUP.into(),
            name: "Cup".into(),
            open: true,
            starts_ms: None,
            ends_ms,
            max_players: None,
            max_matches: None,
            initial_rating: 1_200,
            k: None,
            players: 0,
            created_ms: 0,
        };
        let made =
            self.act(move |_, tx, org| Box::pin(async move { tournaments::create(tx, org, &session).await }));
        made.await.unwrap();
        let _pass = self.arena.pass_to(&self.stage, &self.org, &Scope::session(CUP)).await.unwrap();
        for player in players {
            self.join(player).await.unwrap();
        }
    }

    /// Somebody comes into the session.
    pub(crate) async fn join(&self, player: &str) -> Result<(), Refusal> {
        let player = player.to_owned();
        self.act(move |arena, tx, org| {
            Box::pin(async move { tournaments::join(arena, tx, org, (CUP, &player)).await })
        })
        .await
    }

    /// Somebody leaves it.
    pub(crate) async fn leave(&self, player: &str) -> Result<(), Refusal> {
        let player = player.to_owned();
        self.act(move |arena, tx, org| {
            Box::pin(async move { tournaments::leave(arena, tx, org, (CUP, &player)).await })
        })
        .await
    }

    /// Closes it; the matches that ends.
    pub(crate) async fn close(&self) -> Vec<String> {
        let closed = self.act(|_, tx, org| Box::pin(async move { tournaments::close(tx, org, CUP).await }));
        let mut ended = closed.await.unwrap();
        ended.sort();
        ended
    }

    /// Somebody moves to another country.
    pub(crate) async fn move_to(&self, player: &str, country: &str) -> Result<(), Refusal> {
        let (player, country) = (player.to_owned(), country.to_owned());
        self.act(move |arena, tx, org| {
            Box::pin(
                async move { people::change(arena, tx, org, &player, (None, Some(Some(&country)))).await },
            )
        })
        .await
    }

    /// Makes a match of the session.
    pub(crate) async fn make(&self, id: &str, players: &[&str]) -> Result<(), Refusal> {
        self.make_in(Some(CUP), id, players).await
    }

    /// Makes a match of a session, or of none.
    pub(crate) async fn make_in(
        &self,
        session: Option<&str>,
        id: &str,
        players: &[&str],
    ) -> Result<(), Refusal> {
        let new = NewMatch {
            id: id.to_owned(),
            players: players.iter().map(|player| (*player).to_owned()).collect(),
            format: "bo1".into(),
            session: session.map(str::to_owned),
            max_score: 10,
        };
        self.act(move |_, tx, org| Box::pin(async move { life::create(tx, org, &new).await })).await
    }

    /// Starts a match.
    pub(crate) async fn start(&self, id: &str) -> Result<(), Refusal> {
        let id = id.to_owned();
        self.act(move |_, tx, org| Box::pin(async move { life::start(tx, org, &id).await })).await
    }

    /// Submits a result with scores; nobody has won a draw.
    pub(crate) async fn result(
        &self,
        id: &str,
        winner: Option<&str>,
        scores: &[(&str, i64)],
    ) -> Result<Settled, Refusal> {
        let kind = if winner.is_some() { ResultType::Win } else { ResultType::Draw };
        let score = |(player, score): &(&str, i64)| Score { player_id: (*player).to_owned(), score: *score };
        let scores = scores.iter().map(score).collect();
        let (id, submitted) = (id.to_owned(), Submitted { winner: winner.map(str::to_owned), kind, scores });
        self.act(move |arena, tx, org| {
            Box::pin(async move { result::submit(arena, tx, org, &id, &submitted).await })
        })
        .await
    }

    /// A match of the session from its making to its result.
    pub(crate) async fn play(&self, id: &str, players: &[&str], winner: Option<&str>) -> Settled {
        self.make(id, players).await.unwrap();
        self.start(id).await.unwrap();
        self.result(id, winner, &[]).await.unwrap()
    }

    /// Somebody has a score in a match.
    pub(crate) async fn score(&self, id: &str, player: &str, score: i64) -> Result<(), Refusal> {
        let (id, scores) = (id.to_owned(), [Score { player_id: player.to_owned(), score }]);
        self.act(move |_, tx, org| Box::pin(async move { life::score(tx, org, &id, (&scores, None)).await }))
            .await
    }

    /// A match as it is stored.
    pub(crate) async fn game(&self, id: &str) -> Match {
        let mut reader = self.stage.read().await.unwrap();
        matches::find(&mut reader, &self.org, id).await.unwrap().unwrap()
    }

    /// Voids a match.
    pub(crate) async fn void(&self, id: &str) -> Result<Voided, Refusal> {
        let id = id.to_owned();
        self.act(move |arena, tx, org| Box::pin(async move { void::void(arena, tx, org, &id, None).await }))
            .await
    }

    /// How somebody stands in a ladder; `None` for somebody who is not in it.
    pub(crate) async fn stands(&self, ladder: &str, player: &str) -> Option<Standing> {
        let mut reader = self.stage.read().await.unwrap();
        ladders::stands(&mut reader, &self.org, ladder, player).await.unwrap()
    }

    /// Who stands on a board in memory, in order, with the rating.
    pub(crate) fn board(&self, scope: &Scope) -> Vec<(String, i64)> {
        self.arena.with(&self.org, |boards| {
            boards.top(scope).into_iter().map(|entry| (entry.player_id, entry.elo_rating)).collect()
        })
    }

    /// The clock goes on to a moment.
    pub(crate) fn wait_until(&self, at_ms: u64) {
        self.ledger.now_ms.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// What was said in a room so far, in its order: name and data.
    pub(crate) fn said(&self, room: &str) -> Vec<(String, Value)> {
        let said = self.ledger.said.lock().unwrap();
        let there = said.iter().filter(|event| event.room.name() == room);
        there
            .map(|event| (event.event.clone(), serde_json::from_str(event.payload.text()).unwrap()))
            .collect()
    }

    /// The next transaction is stored, and whoever wanted it is told that nobody knows.
    pub(crate) fn lose_the_next_answer(&self) {
        self.ledger.loses_the_answer.store(true, Ordering::Relaxed);
    }

    /// Who stood in the session at a moment, in order, with the rating.
    pub(crate) async fn cup_at(&self, at_ms: u64) -> Vec<(String, i64)> {
        let (mut reader, ladder) = (self.stage.read().await.unwrap(), ladders::of_session(CUP));
        let placed = ladders::at(&mut reader, &self.org, (&ladder, None), at_ms, 100).await.unwrap();
        placed.into_iter().map(|placed| (placed.player, placed.rating)).collect()
    }
}
