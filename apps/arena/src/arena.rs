//! What the app keeps in memory for all organisations, and how it follows the store.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidings_app::{Changes, CompactString, Org, Reader, Refusal, Stage};
use tokio::sync::{Notify, RwLock, RwLockReadGuard};
use tokio::time::timeout;

use crate::boards::{Batch, OrgBoards, Person, Scope};
use crate::players::Minds;
use crate::ranks::{Board, Entry, Moved, Ranking};
use crate::store::ladders::{self, GLOBAL, Placed};
use crate::store::{matches, players, sessions};
use crate::wire::Entry as Shown;

/// Players that are read at once while boards are loaded.
const PAGE: u64 = 10_000;
/// Sessions of one organisation whose boards are loaded at the start; others are when somebody asks.
const SESSIONS: u64 = 1_000;
/// What may have been missed is looked for this often.
const REST: Duration = Duration::from_secs(1);

/// The boards of all organisations.
#[derive(Default)]
pub struct Arena {
    orgs: Mutex<HashMap<Org, OrgBoards>>,
    /// Whether boards are loaded. Whatever changes rows or reads boards holds it to read, loading to write.
    gate: RwLock<bool>,
    /// Windows are told, ended and opened one after the other, so that their rooms hear it in that order.
    pub windows: tokio::sync::Mutex<()>,
    /// A transaction may or may not have been stored: boards are read again before anything else.
    doubt: AtomicBool,
    /// Some board may have something to tell.
    stirred: Notify,
    /// Who has changed his mind about being seen.
    pub minds: Minds,
}

/// While one has this, boards are those of the store.
pub type Pass<'a> = RwLockReadGuard<'a, bool>;

impl Arena {
    /// Waits until boards are loaded.
    ///
    /// # Errors
    /// `unavailable` if the store does not answer.
    pub async fn pass(&self, stage: &Stage) -> Result<Pass<'_>, Refusal> {
        loop {
            let pass = self.gate.read().await;
            if *pass && !self.doubt.load(Ordering::Acquire) {
                return Ok(pass);
            }
            drop(pass);
            let mut gate = self.gate.write().await;
            if *gate && !self.doubt.load(Ordering::Acquire) {
                continue;
            }
            let loaded = load(&mut stage.read().await?, &self.in_memory(), stage.now_ms()).await?;
            self.replace(loaded);
            self.doubt.store(false, Ordering::Release);
            *gate = true;
        }
    }

    fn orgs(&self) -> MutexGuard<'_, HashMap<Org, OrgBoards>> {
        self.orgs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The boards there are, which are read again whether or not they would be loaded at a start: what is in memory
    /// is never older than the store.
    fn in_memory(&self) -> HashMap<Org, Vec<Scope>> {
        let orgs = self.orgs();
        orgs.iter().map(|(org, boards)| (org.clone(), boards.in_memory().cloned().collect())).collect()
    }

    fn replace(&self, loaded: Vec<(Org, Loaded)>) {
        let mut orgs = self.orgs();
        for (org, loaded) in loaded {
            let boards = orgs.entry(org).or_default();
            loaded.into_boards(boards);
            boards.look_anew();
        }
    }

    /// Does something with the boards of an organisation; it must not wait for anything.
    pub fn with<T>(&self, org: &Org, work: impl FnOnce(&mut OrgBoards) -> T) -> T {
        let mut orgs = self.orgs();
        let boards = orgs.entry(org.clone()).or_default();
        let done = work(boards);
        if boards.is_restless() {
            self.stirred.notify_one();
        }
        done
    }

    /// Waits while no board has anything to tell and nobody looks at a window; a second at most.
    pub async fn rest(&self) {
        if !self.orgs().values().any(OrgBoards::is_restless) {
            let _ = timeout(REST, self.stirred.notified()).await;
        }
    }

    /// Organisations with boards.
    pub fn known(&self) -> Vec<Org> {
        self.orgs().keys().cloned().collect()
    }

    /// How places change by a batch that is about to be stored.
    pub fn preview(&self, org: &Org, batch: &Batch) -> Vec<(Scope, Vec<Moved>)> {
        self.with(org, |boards| boards.preview(batch))
    }

    /// Says that a transaction is about to store a batch; places move once it is. It has to be the last thing
    /// the transaction does.
    pub fn settle_after(self: &Arc<Self>, tx: &mut Changes, org: &Org, batch: Batch) {
        let number = self.with(org, |boards| boards.announce(batch));
        let mut settling = Settling { arena: self.clone(), org: org.clone(), number: Some(number) };
        tx.after(move || settling.settle());
    }

    /// The same for a board that may not be in memory: a session's that is over.
    ///
    /// # Errors
    /// `not_found` if there is no such session.
    pub async fn pass_to(&self, stage: &Stage, org: &Org, scope: &Scope) -> Result<Pass<'_>, Refusal> {
        loop {
            let pass = self.pass(stage).await?;
            let Scope::Session(session) = scope else { return Ok(pass) };
            if self.with(org, |boards| boards.board(scope).is_some()) {
                return Ok(pass);
            }
            let mut reader = stage.read().await?;
            the_session(&mut reader, org, session).await?;
            drop((pass, reader));
            // Nothing is stored while it is read: what is stored later finds the board there.
            let _gate = self.gate.write().await;
            let mut reader = stage.read().await?;
            let mut loaded = Loaded::default();
            load_session(&mut reader, org, session, &mut loaded).await?;
            self.with(org, |boards| loaded.into_boards(boards));
        }
    }
}

/// A batch that is being stored. If it is dropped before it is settled it was not stored, or nobody knows.
struct Settling {
    arena: Arc<Arena>,
    org: Org,
    number: Option<u64>,
}

impl Settling {
    fn settle(&mut self) {
        if let Some(number) = self.number.take() {
            self.arena.with(&self.org, |boards| boards.settle(number));
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.arena.with(&self.org, |boards| boards.forget(number));
            self.arena.doubt.store(true, Ordering::Release);
            self.arena.stirred.notify_one();
        }
    }
}

/// Boards as they were read: who stands on each, and what was told of it last.
#[derive(Default)]
struct Loaded {
    boards: Vec<(Scope, Vec<Placed>, Vec<Shown>)>,
    /// What was told of those of countries, which are made of the places of everybody.
    countries: HashMap<Scope, Vec<Shown>>,
}

/// Reads every organisation's boards, and those that are in memory besides.
async fn load(
    reader: &mut Reader,
    in_memory: &HashMap<Org, Vec<Scope>>,
    now_ms: u64,
) -> Result<Vec<(Org, Loaded)>, Refusal> {
    let mut orgs = Vec::new();
    for org in ladders::orgs(reader).await? {
        let mut loaded = Loaded::default();
        let everybody = read_places(reader, &org, GLOBAL).await?;
        let mut scopes: HashSet<Scope> = in_memory.get(&org).into_iter().flatten().cloned().collect();
        scopes.extend(everybody.iter().filter_map(|placed| placed.country.as_deref()).map(Scope::country));
        let open = sessions::newest(reader, &org, ("open", now_ms), SESSIONS).await?;
        scopes.extend(open.iter().map(|session| Scope::session(&session.id)));
        let shown = read_shown(reader, &org, &Scope::Global).await?;
        loaded.boards.push((Scope::Global, everybody, shown));
        for scope in scopes {
            match &scope {
                Scope::Global => {}
                Scope::Country(_) => {
                    let shown = read_shown(reader, &org, &scope).await?;
                    loaded.countries.insert(scope, shown);
                }
                Scope::Session(session) => load_session(reader, &org, session, &mut loaded).await?,
            }
        }
        orgs.push((org, loaded));
    }
    Ok(orgs)
}

async fn load_session(
    reader: &mut Reader,
    org: &Org,
    session: &str,
    loaded: &mut Loaded,
) -> Result<(), Refusal> {
    let scope = Scope::session(session);
    let places = read_places(reader, org, &ladders::of_session(session)).await?;
    let shown = read_shown(reader, org, &scope).await?;
    loaded.boards.push((scope, places, shown));
    Ok(())
}

/// Everybody in a ladder, in the order they came.
async fn read_places(reader: &mut Reader, org: &Org, ladder: &str) -> Result<Vec<Placed>, Refusal> {
    let (mut places, mut after) = (Vec::new(), 0);
    loop {
        let page = ladders::everybody(reader, org, ladder, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(places) };
        after = last.number;
        places.extend(page);
    }
}

/// What was told last of a board; nothing if it cannot be read any more.
async fn read_shown(reader: &mut Reader, org: &Org, scope: &Scope) -> Result<Vec<Shown>, Refusal> {
    let text = ladders::shown(reader, org, &scope.room()).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

impl Loaded {
    fn into_boards(self, boards: &mut OrgBoards) {
        let mut countries: HashMap<Scope, Vec<Entry>> = HashMap::new();
        for (scope, places, shown) in self.boards {
            let mut entries = Vec::with_capacity(places.len());
            for placed in &places {
                // Of those who come beyond what memory has numbers for there is no place.
                let Ok(entry) = boards.enter(placed) else { continue };
                entries.push(entry);
                if let (Scope::Global, Some(code)) = (&scope, &placed.country) {
                    countries.entry(Scope::country(code)).or_default().push(entry);
                }
            }
            boards.install(scope, Board::load(Ranking::Ordinal, entries), shown);
        }
        for (scope, shown) in self.countries {
            let entries = countries.remove(&scope).unwrap_or_default();
            boards.install(scope, Board::load(Ranking::Ordinal, entries), shown);
        }
    }
}

impl OrgBoards {
    /// Takes somebody in who was read from the store.
    pub(crate) fn enter(&mut self, placed: &Placed) -> Result<Entry, Refusal> {
        let handle = self.handle(&placed.player)?;
        let country = placed.country.as_deref().map(CompactString::from);
        self.name(handle, Person { name: placed.name.as_str().into(), country });
        Ok(Entry { player: handle, score: placed.rating, reached: number(placed.reached) })
    }
}

/// A number of the store as boards have it.
pub fn number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A match that is there.
///
/// # Errors
/// `not_found`
pub async fn the_match(reader: &mut Reader, org: &Org, id: &str) -> Result<matches::Match, Refusal> {
    matches::find(reader, org, id).await?.ok_or_else(|| Refusal::not_found("match"))
}

/// A player who is there.
///
/// # Errors
/// `not_found`
pub async fn the_player(reader: &mut Reader, org: &Org, id: &str) -> Result<players::Player, Refusal> {
    players::find(reader, org, id).await?.ok_or_else(|| Refusal::not_found("player"))
}

/// A session that is there.
///
/// # Errors
/// `not_found`
pub async fn the_session(reader: &mut Reader, org: &Org, id: &str) -> Result<sessions::Session, Refusal> {
    sessions::find(reader, org, id).await?.ok_or_else(|| Refusal::not_found("session"))
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rests_until_a_board_has_something_to_tell() {
        let (arena, org, soon) = (Arena::default(), Org::default(), Duration::from_millis(10));
        let began = Instant::now();
        arena.with(&org, |_| ());
        arena.rest().await;
        assert_eq!(began.elapsed(), REST, "nobody stirred");

        let began = Instant::now();
        let stir = async {
            sleep(soon).await;
            arena.with(&org, |boards| boards.look_again(Scope::Global));
        };
        tokio::join!(arena.rest(), stir);
        assert_eq!(began.elapsed(), soon);
        arena.rest().await;
        assert_eq!(began.elapsed(), soon, "something is still to be told");
    }
}
