//! A witness outside of the database: how far it had come, so that an older copy in its place is noticed at the start
//! (decision 0105).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};
use tidings_server::Publisher;
use tidings_server::audit::{Action, Actor, Entry};
use tidings_store::progress::Progress;
use tidings_store::{Digest, Store, StoreError};

/// The file in the data directory.
const FILE_NAME: &str = "progress.json";

/// How often it is written while events are stored.
const EVERY: Duration = Duration::from_secs(1);

/// What a data directory knows of databases.
pub(crate) struct Witness {
    path: PathBuf,
    known: Known,
    /// The database of this server.
    origin: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// How far each database had come, by its origin.
    databases: BTreeMap<String, Reached>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Reached {
    starts: u64,
    events: u64,
}

impl Known {
    /// Whether a database that nobody has used yet stands where another was: its file may have been removed or emptied.
    fn is_strange(&self, origin: &str, now: Progress) -> bool {
        now.starts == 0 && !self.databases.is_empty() && !self.databases.contains_key(origin)
    }
}

impl Witness {
    /// Compares the database with what is known of it, and counts the start. Where it is an older copy every room gets
    /// another epoch, and that is to be noted.
    ///
    /// # Errors
    /// The database does not answer; there is no randomness.
    pub(crate) async fn call(store: &Store, data_dir: &Path) -> Result<(Self, Option<Entry>)> {
        let path = data_dir.join(FILE_NAME);
        let mut known = read(&path);
        let drawn = draw()?;
        let mut tx = store.begin().await?;
        let mut origin = tx.origin(&drawn).await?;
        let now = tx.count_start().await?;
        let before = known.databases.get(&origin.to_string()).copied().unwrap_or_default();
        let before = Progress { starts: before.starts, events: before.events };
        let is_older = before.is_ahead_of(now);
        if is_older {
            let other = origin.as_bytes().iter().zip(drawn.as_bytes()).map(|(one, other)| one ^ other);
            let other = other.take(8).fold(0, |all: i64, byte| all << 8 | i64::from(byte));
            tx.begin_other_epochs(&drawn, other.max(1)).await?;
            origin = drawn;
        }
        tx.commit().await?;
        let origin = origin.to_string();
        if known.is_strange(&origin, now) {
            tracing::warn!(
                file = %path.display(),
                "the database is new, and this data directory has seen another: if that is lost, stop the server and put it back"
            );
        }
        known.databases.insert(origin.clone(), Reached { starts: now.starts + 1, events: now.events });
        let witness = Self { path, known, origin };
        witness.write();
        if !is_older {
            return Ok((witness, None));
        }
        tracing::warn!(
            events = now.events,
            were = before.events,
            "the database is an older copy of itself: clients are told that they missed something, and begin afresh"
        );
        let lost = format!("{} events of {}", now.events, before.events);
        Ok((witness, Some(Entry::ok(Action::MovedBack).by(Actor::System).on(lost))))
    }

    /// Writes down how far the database has come, for as long as the server runs.
    pub(crate) async fn watch(mut self, store: Store, publisher: Publisher) {
        let mut seen = 0;
        loop {
            tokio::time::sleep(EVERY).await;
            if publisher.has_moved_back() {
                return self.accuse();
            }
            // An idle server asks nothing.
            let stored = publisher.events_stored();
            if stored == seen {
                continue;
            }
            match self.look(&store).await {
                Ok(()) => seen = stored,
                Err(error) => tracing::debug!(%error, "how far the database has come cannot be asked now"),
            }
        }
    }

    /// Has the next start take the database for an older copy, however far it will have come by then.
    fn accuse(mut self) {
        self.known.databases.entry(self.origin.clone()).or_default().events = u64::MAX;
        self.write();
    }

    async fn look(&mut self, store: &Store) -> Result<(), StoreError> {
        let events = store.read().await?.log_events_ever().await?;
        let reached = self.known.databases.entry(self.origin.clone()).or_default();
        if events < reached.events {
            tracing::error!("the database has moved back while the server ran: restart the server");
        } else if events > reached.events {
            reached.events = events;
            self.write();
        }
        Ok(())
    }

    /// What is not written is no more than a witness less.
    fn write(&self) {
        if let Err(error) = self.try_write() {
            tracing::warn!(%error, file = %self.path.display(), "how far the database has come cannot be written");
        }
    }

    fn try_write(&self) -> io::Result<()> {
        let draft = self.path.with_extension("draft");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(&self.known)?)?;
        drop(file);
        fs::rename(draft, &self.path)
    }
}

/// What is known; nothing where there is no such file, or it is spoilt.
fn read(path: &Path) -> Known {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(%error, file = %path.display(), "how far the database had come cannot be read");
            Known::default()
        }),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, file = %path.display(), "how far the database had come cannot be read");
            }
            Known::default()
        }
    }
}

fn draw() -> Result<Digest> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(Digest::of(&bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidings_store::StoreOptions;
    use tidings_testkit::Place;

    use super::*;

    async fn store(place: &Place, name: &str) -> Store {
        let url = format!("sqlite:{}", place.path().join(name).display());
        Store::open(&url, &StoreOptions::default()).await.unwrap()
    }

    async fn run(store: &Store, sql: &'static str) {
        let mut tx = store.begin().await.unwrap();
        tx.run(sql, &[]).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Whether a start finds an older copy.
    async fn is_older(store: &Store, place: &Place) -> bool {
        Witness::call(store, place.path()).await.unwrap().1.is_some()
    }

    #[tokio::test]
    async fn a_database_with_fewer_events_than_it_had_is_an_older_copy_once() {
        let place = Place::new();
        let store = store(&place, "a.db").await;
        let (mut witness, found) = Witness::call(&store, place.path()).await.unwrap();
        assert!(found.is_none(), "nobody knows anything of it");
        run(&store, "INSERT INTO log_orgs (org, sequence) VALUES ('a', 9)").await;
        witness.look(&store).await.unwrap();
        assert!(!is_older(&store, &place).await);
        run(&store, "UPDATE log_orgs SET sequence = 8").await;
        assert!(is_older(&store, &place).await);
        assert!(!is_older(&store, &place).await, "it is another one from then on");
    }

    #[tokio::test]
    async fn a_database_that_was_started_less_often_is_an_older_copy() {
        let place = Place::new();
        let store = store(&place, "a.db").await;
        for _ in 0..3 {
            assert!(!is_older(&store, &place).await);
        }
        run(&store, "UPDATE starts SET count = 2").await;
        assert!(is_older(&store, &place).await);
    }

    #[tokio::test]
    async fn another_database_is_no_older_copy_and_without_a_witness_nothing_is_known() {
        let place = Place::new();
        let (one, other) = (store(&place, "a.db").await, store(&place, "b.db").await);
        for _ in 0..3 {
            assert!(!is_older(&one, &place).await);
        }
        let (file, new) = (place.path().join(FILE_NAME), Progress::default());
        assert!(read(&file).is_strange("the other", new), "it stands in the place of one");
        assert!(
            !read(&file).is_strange("the other", Progress { starts: 1, events: 0 }),
            "it has come from elsewhere"
        );
        assert!(read(&file).databases.keys().all(|one| !read(&file).is_strange(one, new)));
        assert!(!Known::default().is_strange("the first", new));
        assert!(!is_older(&other, &place).await);
        run(&one, "UPDATE starts SET count = 1").await;
        fs::write(&file, "{").unwrap();
        assert!(!is_older(&one, &place).await, "a spoilt one keeps nobody from starting");
        assert!(!is_older(&one, &place).await);
    }
}
