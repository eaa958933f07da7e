//! What a test is given: an empty database of one kind.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tidings_core::Org;
use tidings_store::users::NewUser;
use tidings_store::{Digest, Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

/// An empty database, and a store that has it open.
pub(crate) struct Bed {
    pub(crate) url: String,
    pub(crate) store: Store,
    _place: Place,
}

/// A time; tests hand in times around it.
pub(crate) const NOW: u64 = 1_800_000_000_000;

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let place = Place::new();
        Self::at(format!("sqlite:{}", place.path().join("test.db").display()), place).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::at(Postgres::shared().database().await, Place::new()).await
    }

    async fn at(url: String, place: Place) -> Self {
        let store = Store::open(&url, &options()).await.unwrap();
        Self { url, store, _place: place }
    }

    /// A second node on the same database.
    pub(crate) async fn second(&self) -> Store {
        Store::open(&self.url, &options()).await.unwrap()
    }

    /// Runs statements behind the store's back.
    pub(crate) async fn behind(&self, sql: &str) -> Result<(), sqlx::Error> {
        let script = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        if self.store.is_postgres() {
            let mut line = PgConnection::connect(&self.url).await?;
            script.execute(&mut line).await?;
            line.close().await
        } else {
            let mut line = SqliteConnection::connect(&self.url).await?;
            script.execute(&mut line).await?;
            line.close().await
        }
    }

    /// Makes an organisation.
    pub(crate) async fn org(&self, name: &str) -> Org {
        let org = Org::new(name);
        let mut tx = self.store.begin().await.unwrap();
        tx.create_org(&org, name, NOW).await.unwrap();
        tx.commit().await.unwrap();
        org
    }

    /// Makes a user.
    pub(crate) async fn user(&self, org: &Org, id: &str) {
        let email = format!("{id}@example.org");
        let mut tx = self.store.begin().await.unwrap();
        tx.create_user(org, &new_user(id, &email), NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Patient enough for a machine that does many things at once.
pub(crate) fn options() -> StoreOptions {
    let minute = std::time::Duration::from_secs(60);
    StoreOptions { acquire: minute, statement: minute, lock: minute, ..StoreOptions::default() }
}

pub(crate) fn new_user<'a>(id: &'a str, email: &'a str) -> NewUser<'a> {
    NewUser { id, email, name: id, password_hash: Some("$argon2id$x"), email_verified: false }
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Runs each test once on each database.
macro_rules! both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::bed::Bed::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&crate::bed::Bed::postgres().await).await;
            })+
        }
    };
}
pub(crate) use both;

/// One transaction around some calls.
macro_rules! tx {
    ($store:expr, $tx:ident => $work:expr) => {{
        let mut $tx = $store.begin().await.unwrap();
        let done = $work;
        $tx.commit().await.unwrap();
        done
    }};
}
pub(crate) use tx;
