//! How a database is opened, shaped and left.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use tidings_core::Org;
use tidings_store::{Digest, Migration, Store, StoreError, StoreOptions, args};
use tidings_testkit::proxy::{Fault, Proxy, Way};
use tidings_testkit::{Place, Postgres};

use crate::bed::{Bed, NOW, both, options, tx};

both!(
    what_was_committed_is_there_after_opening_again,
    two_who_open_a_new_database_at_once_both_can,
    a_newer_database_is_refused,
    a_database_keeps_its_origin,
    a_migration_that_was_changed_is_refused,
    an_app_brings_tables_of_its_own,
    a_migration_that_fails_leaves_nothing,
    a_call_that_gets_no_connection_is_told_to_come_back,
);

async fn what_was_committed_is_there_after_opening_again(bed: &Bed) {
    let org = bed.org("acme").await;
    let mut tx = bed.store.begin().await.unwrap();
    tx.create_org(&Org::new("half"), "half", NOW).await.unwrap();
    drop(tx);
    bed.store.close().await;
    let again = Store::open(&bed.url, &options()).await.unwrap();
    let mut reader = again.read().await.unwrap();
    assert!(reader.org(&org).await.unwrap().is_some());
    assert!(reader.org(&Org::new("half")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_transaction_keeps_what_was_committed_and_nothing_else() {
    let bed = Bed::sqlite().await;
    let org = bed.org("acme").await;
    let mut tx = bed.store.begin().await.unwrap();
    tx.create_org(&Org::new("half"), "half", NOW).await.unwrap();
    // What lies on the disk at this moment is what a process that is killed now leaves behind.
    let left = Place::new();
    let path = bed.url.strip_prefix("sqlite:").unwrap();
    for ending in ["", "-wal"] {
        std::fs::copy(format!("{path}{ending}"), left.path().join(format!("left.db{ending}"))).unwrap();
    }
    tx.commit().await.unwrap();
    let store =
        Store::open(&format!("sqlite:{}", left.path().join("left.db").display()), &options()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    assert!(reader.org(&org).await.unwrap().is_some());
    assert!(reader.org(&Org::new("half")).await.unwrap().is_none());
}

async fn two_who_open_a_new_database_at_once_both_can(bed: &Bed) {
    let place = Place::new();
    // Often enough that it fails without the directory's lock, or PostgreSQL's.
    let rounds = if bed.store.is_postgres() { 5 } else { 60 };
    for round in 0..rounds {
        let url = if bed.store.is_postgres() {
            Postgres::shared().database().await
        } else {
            format!("sqlite:{}", place.path().join(format!("{round}.db")).display())
        };
        let open = || {
            let url = url.clone();
            tokio::spawn(async move { Store::open(&url, &options()).await })
        };
        let openers: Vec<_> = (0..8).map(|_| open()).collect();
        for opener in openers {
            let store = opener.await.unwrap().unwrap();
            tx!(store, tx => tx.ensure_org(&Org::new("acme"), NOW).await.unwrap());
        }
    }
}

async fn a_newer_database_is_refused(bed: &Bed) {
    bed.behind("INSERT INTO migrations SELECT owner, 9000, name, checksum FROM migrations WHERE number = 1")
        .await
        .unwrap();
    let refused = Store::open(&bed.url, &options()).await.unwrap_err();
    let StoreError::Unusable(sentence) = refused else { panic!("{refused}") };
    assert!(sentence.contains("newer than this version") && sentence.contains("9000"), "{sentence}");
}

async fn a_migration_that_was_changed_is_refused(bed: &Bed) {
    bed.behind("UPDATE migrations SET checksum = (SELECT hash FROM audit_head) WHERE number = 2")
        .await
        .unwrap();
    let refused = Store::open(&bed.url, &options()).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unusable(said) if said.contains("migration 2 of core")),
        "{refused}"
    );
}

async fn a_database_keeps_its_origin(bed: &Bed) {
    let (first, second) = (Digest::of(b"first"), Digest::of(b"second"));
    assert_eq!(tx!(bed.store, tx => tx.origin(&first).await.unwrap()), first);
    assert_eq!(tx!(bed.store, tx => tx.origin(&second).await.unwrap()), first);
    Store::open(&bed.url, &options()).await.unwrap().close().await;
}

const NOTES: Migration = Migration {
    owner: "notes",
    number: 1,
    name: "notes",
    both: "CREATE TABLE notes (org TEXT NOT NULL, note TEXT NOT NULL);",
    sqlite: "",
    postgres: "",
};

async fn an_app_brings_tables_of_its_own(bed: &Bed) {
    bed.store.migrate(&[NOTES]).await.unwrap();
    bed.store.migrate(&[NOTES]).await.unwrap();
    let org = Org::new("acme");
    tx!(bed.store, tx => {
        tx.run("INSERT INTO notes (org, note) VALUES ($1, $2)", args![&org, "hello"]).await.unwrap();
    });
    let second = Migration { number: 2, both: "ALTER TABLE notes ADD COLUMN at_ms BIGINT;", ..NOTES };
    bed.store.migrate(&[NOTES, second]).await.unwrap();
    let mut reader = bed.store.read().await.unwrap();
    let rows = reader.rows("SELECT note, at_ms FROM notes WHERE org = $1", args![&org]).await.unwrap();
    assert_eq!((rows[0].text(0).unwrap().as_str(), rows[0].count_or_none(1).unwrap()), ("hello", None));
    drop(reader);
    assert!(matches!(bed.store.migrate(&[NOTES]).await, Err(StoreError::Unusable(_))));
}

async fn a_migration_that_fails_leaves_nothing(bed: &Bed) {
    let wrong = Migration { number: 2, both: "CREATE TABLE more (x BIGINT); NOT SQL;", ..NOTES };
    assert!(bed.store.migrate(&[NOTES, wrong]).await.is_err());
    bed.behind("CREATE TABLE more (x BIGINT); CREATE TABLE notes (x BIGINT)").await.unwrap();
}

async fn a_call_that_gets_no_connection_is_told_to_come_back(bed: &Bed) {
    // As long as a busy machine may stand still: opening and what succeeds have no more time than the refused.
    let wait = Duration::from_secs(2);
    let options = StoreOptions { readers: 1, connections: 2, acquire: wait, statement: wait, ..options() };
    let store = Store::open(&bed.url, &options).await.unwrap();
    let held = (store.begin().await.unwrap(), store.read().await.unwrap());
    let refused = store.begin().await.err().unwrap();
    assert!(refused.is_retryable(), "{refused}");
    assert!(store.read().await.err().unwrap().is_retryable());
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_whom_another_process_keeps_out_of_a_file_none_waits_longer_than_the_first() {
    let bed = Bed::sqlite().await;
    let lock = Duration::from_secs(1);
    let store = Store::open(&bed.url, &StoreOptions { lock, ..options() }).await.unwrap();
    // Its own store is another process to it.
    let held = bed.store.begin().await.unwrap();
    let since = Instant::now();
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tries.spawn(async move { store.begin().await.map(drop) });
    }
    for refused in tries.join_all().await {
        assert!(refused.unwrap_err().is_retryable());
    }
    // One after the other they would have waited for eight seconds.
    assert!(since.elapsed() < 4 * lock, "{:?}", since.elapsed());
    assert!(store.try_to_begin().await.is_err() && store.ping().await.is_ok(), "it can be read");
    drop(held);
    store.try_to_begin().await.unwrap();
}

#[tokio::test]
async fn nothing_is_committed_to_a_file_that_was_removed_or_replaced() {
    for ending in ["", "-wal", "-shm"] {
        let bed = Bed::sqlite().await;
        let name = format!("{}{ending}", bed.url.strip_prefix("sqlite:").unwrap());
        bed.store.begin().await.unwrap().commit().await.unwrap();
        std::fs::rename(&name, format!("{name}.away")).unwrap();
        assert!(matches!(bed.store.begin().await.map(drop), Err(StoreError::Unavailable(_))), "{name}");
        assert!(bed.store.ping().await.is_err());
        // Whoever puts it back has lost nothing.
        std::fs::rename(format!("{name}.away"), &name).unwrap();
        bed.store.begin().await.unwrap().commit().await.unwrap();
        bed.store.ping().await.unwrap();
    }
    let bed = Bed::sqlite().await;
    let path = bed.url.strip_prefix("sqlite:").unwrap();
    std::fs::copy(path, format!("{path}.other")).unwrap();
    std::fs::rename(format!("{path}.other"), path).unwrap();
    let refused = bed.store.begin().await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("restart the server"), "{refused}");
}

#[tokio::test]
async fn a_file_is_its_owners_alone_and_one_that_others_can_read_is_refused() {
    let bed = Bed::sqlite().await;
    bed.org("acme").await;
    let path = std::path::PathBuf::from(bed.url.strip_prefix("sqlite:").unwrap());
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Store::open(&bed.url, &options()).await.unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[tokio::test]
async fn every_commit_of_sqlite_reaches_the_disk() {
    let bed = Bed::sqlite().await;
    let mut tx = bed.store.begin().await.unwrap();
    let mut pragma = async |sql| tx.row(sql, &[]).await.unwrap().unwrap();
    assert_eq!(pragma("PRAGMA journal_mode").await.text(0).unwrap(), "wal");
    assert_eq!(pragma("PRAGMA synchronous").await.int(0).unwrap(), 2, "FULL");
    assert_eq!(pragma("PRAGMA foreign_keys").await.int(0).unwrap(), 1);
    drop(tx);
    let mut reader = bed.store.read().await.unwrap();
    assert!(reader.rows("DELETE FROM organisations", &[]).await.is_err(), "a reader does not write");
}

#[tokio::test]
async fn a_store_in_memory_is_one_for_all_who_hold_it() {
    let store = Store::open("sqlite::memory:", &options()).await.unwrap();
    tx!(store, tx => tx.create_org(&Org::new("acme"), "acme", NOW).await.unwrap());
    assert!(store.clone().read().await.unwrap().org(&Org::new("acme")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_without_repeating_its_password() {
    for url in ["mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "sqlite:", "sqlite:/nonexistent/x"]
    {
        let refused = Store::open(url, &options()).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unusable(_)), "{refused}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    let place = Place::new();
    let path = place.path().join("text.db");
    std::fs::write(&path, "this is no database, and long enough to be taken for one: ".repeat(50)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = Store::open(&format!("sqlite:{}", path.display()), &options()).await.unwrap_err();
    assert!(refused.to_string().contains("no SQLite database"), "{refused}");
    // As on a disk that is mounted to be read.
    std::fs::create_dir(place.path().join("shut.db-journal")).unwrap();
    let shut = place.path().join("shut.db");
    let refused = Store::open(&format!("sqlite:{}", shut.display()), &options()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unusable(_)), "{refused:?}");
    let refused = refused.to_string();
    assert!(refused.contains("shut.db or what belongs beside it"), "{refused}");
    // Where one cannot look there may be one.
    let below = format!("sqlite:{}/test.db", path.display());
    let options = StoreOptions { create: false, ..options() };
    let refused = Store::open(&below, &options).await.unwrap_err().to_string();
    assert!(refused.contains("cannot look for") && refused.contains("Not a directory"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_unavailable_and_one_that_was_never_there_too() {
    let mut server = Postgres::start();
    let url = server.database().await;
    let quick = Duration::from_secs(2);
    let options = StoreOptions { acquire: quick, statement: quick, ..StoreOptions::default() };
    let store = Store::open(&url, &options).await.unwrap();
    store.ping().await.unwrap();
    server.stop();
    assert!(store.ping().await.unwrap_err().is_retryable());
    let refused = Store::open(&url, &options).await.unwrap_err();
    assert!(refused.is_retryable() && refused.to_string().contains("refused"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_elsewhere_has_to_prove_itself() {
    let quick = Duration::from_secs(2);
    let options = StoreOptions { acquire: quick, statement: quick, ..StoreOptions::default() };
    let url = Postgres::shared().database().await;
    Store::open(&url, &options).await.unwrap();
    // The tests' server has no certificate: asked as one elsewhere would be, it is refused.
    let strict = Store::open(&format!("{url}?sslmode=verify-full"), &options).await.unwrap_err();
    assert!(strict.to_string().contains("TLS") || strict.to_string().contains("upgrade"), "{strict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_firewall_has_forgotten_give_their_places_back() {
    let url = Postgres::shared().database().await;
    let (before, after) = url.split_once("127.0.0.1:").unwrap();
    let (port, name) = after.split_once('/').unwrap();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
    let firewall = Proxy::start(server, 1).await.unwrap();
    let quick = Duration::from_secs(1);
    let options =
        StoreOptions { connections: 2, acquire: quick, statement: quick, ..StoreOptions::default() };
    let store = Store::open(&format!("{before}{}/{name}", firewall.addr()), &options).await.unwrap();
    let (mut tx, mut reader) = (store.begin().await.unwrap(), store.read().await.unwrap());
    firewall.set(Way::Down, Fault::Blackhole);
    assert!(tx.rows("SELECT 1", &[]).await.unwrap_err().is_retryable());
    assert!(reader.rows("SELECT 1", &[]).await.unwrap_err().is_retryable());
    drop((tx, reader));
    // New connections are good again; of the old ones what was said is lost, and nobody is told.
    firewall.set(Way::Down, Fault::Pass);
    let since = Instant::now();
    while let Err(error) = store.begin().await {
        assert!(since.elapsed() < Duration::from_secs(20), "no place comes back: {error}");
    }
    store.ping().await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), store.close()).await.expect("it can be left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_nothing_and_its_connections_are_left_for_others() {
    let url = Postgres::shared().database().await;
    let store = Store::open(&url, &StoreOptions { connections: 2, ..options() }).await.unwrap();
    let replica = "SELECT set_config('default_transaction_read_only', 'on', false)";
    let mut held = (store.read().await.unwrap(), store.read().await.unwrap());
    held.0.rows(replica, &[]).await.unwrap();
    held.1.rows(replica, &[]).await.unwrap();
    drop(held);
    assert!(store.try_to_begin().await.unwrap_err().is_retryable() && store.ping().await.is_ok());
    let since = Instant::now();
    while let Err(error) = store.try_to_begin().await {
        assert!(since.elapsed() < Duration::from_secs(20), "it stays with the replica: {error}");
    }
}
