//! The database through the real binary.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tidings_store::audit::AuditEntry;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

/// The longest a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

fn command(place: &Place, arguments: &[&str], url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().current_dir(place.path()).args(arguments);
    if !url.is_empty() {
        command.env("DATABASE_URL", url);
    }
    command
}

fn run(place: &Place, arguments: &[&str], url: &str) -> Output {
    command(place, arguments, url).output().unwrap()
}

/// A server that is killed with the test.
struct Running(Child, String);

impl Running {
    fn start(place: &Place, url: &str) -> Self {
        let mut command = command(place, &["serve", "--listen", "127.0.0.1:0"], url);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();
        Self(child, address)
    }

    /// The status line of `/readyz`.
    fn ready(&self) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Does something in a store behind the server's back.
fn with_store<T>(url: &str, work: impl AsyncFnOnce(Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(url, &StoreOptions::default()).await.unwrap();
        let done = work(store.clone()).await;
        store.close().await;
        done
    })
}

fn entries(count: usize) -> Vec<AuditEntry> {
    vec![AuditEntry { action: "login".into(), ..AuditEntry::default() }; count]
}

#[test]
fn the_first_start_makes_a_database_for_its_owner_alone() {
    let place = Place::new();
    let server = Running::start(&place, "");
    assert_eq!(server.ready(), "HTTP/1.1 200 OK");
    let mode = |path: &str| std::fs::metadata(place.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("data/tidings.db"), mode("data")), (0o600, 0o700));
}

#[test]
fn a_database_that_cannot_be_used_is_refused_with_code_2_and_without_its_password() {
    let place = Place::new();
    for url in ["mysql://u:hunter2@h/d", "postgres://u:hunter2@h:port/d", "sqlite:/nonexistent/x.db"] {
        let refused = run(&place, &["serve", "--listen", "127.0.0.1:0"], url);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("the database") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_database_in_a_file_is_one_servers_alone() {
    let place = Place::new();
    let first = Running::start(&place, "");
    let second = run(&place, &["serve", "--listen", "127.0.0.1:0"], "");
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("another server uses") && said.contains("--data-dir"), "{said}");
    assert!(run(&place, &["verify", "audit"], "").status.success(), "a command is no server");
    drop(first);
    assert_eq!(Running::start(&place, "").ready(), "HTTP/1.1 200 OK", "a killed one leaves nothing behind");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_what_to_do() {
    let place = Place::new();
    let refused = run(&place, &["serve", "--data-dir", "/proc/nothing", "--listen", "127.0.0.1:0"], "");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("/proc/nothing") && said.contains("--data-dir"), "{said}");
}

#[test]
fn a_server_whose_database_is_gone_is_not_ready_and_goes_on() {
    let place = Place::new();
    let mut postgres = Postgres::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = runtime.block_on(postgres.database());
    let mut server = Running::start(&place, &url);
    assert_eq!(server.ready(), "HTTP/1.1 200 OK");
    postgres.stop();
    let deadline = Instant::now() + PATIENCE;
    // An answer is good for a second, so the first ones may still be yes.
    while server.ready() != "HTTP/1.1 503 Service Unavailable" {
        assert!(Instant::now() < deadline, "it is still ready");
    }
    assert!(server.0.try_wait().unwrap().is_none());
}

#[test]
fn verify_prints_a_head_that_the_log_has_to_hold_later() {
    let place = Place::new();
    let url = format!("sqlite:{}", place.path().join("x.db").display());
    with_store(&url, async |store| store.append_audit(&entries(3), 1).await.unwrap());
    let whole = run(&place, &["verify", "audit"], &url);
    let said = String::from_utf8(whole.stdout).unwrap();
    assert!(whole.status.success() && said.starts_with("3 entries hold\nhead 3:"), "{said}");
    let head = said.trim().rsplit(' ').next().unwrap();
    assert!(run(&place, &["verify", "audit", "--head", head], &url).status.success());

    let other = format!("sqlite:{}", place.path().join("y.db").display());
    with_store(&other, async |store| store.append_audit(&entries(3), 2).await.unwrap());
    let replaced = run(&place, &["verify", "audit", "--head", head], &other);
    assert_eq!(replaced.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&replaced.stderr).contains("entry 3"));
}

#[test]
fn verify_makes_no_database_where_there_is_none() {
    let place = Place::new();
    let nothing = run(&place, &["verify", "audit"], "");
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert_eq!(nothing.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no database at ./data/tidings.db"), "{said}");
    assert!(!place.path().join("data").exists());
}

#[test]
fn verify_ends_with_1_and_names_the_first_entry_that_does_not_hold() {
    let place = Place::new();
    let url = format!("sqlite:{}", place.path().join("x.db").display());
    with_store(&url, async |store| {
        store.append_audit(&entries(5), 1).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run("DROP TRIGGER audit_is_never_changed", &[]).await.unwrap();
        tx.run("UPDATE audit SET action = 'logout' WHERE seq IN (2, 4)", &[]).await.unwrap();
        tx.commit().await.unwrap();
    });
    let broken = run(&place, &["verify", "audit"], &url);
    let said = String::from_utf8_lossy(&broken.stderr).into_owned();
    assert_eq!(broken.status.code(), Some(1));
    assert!(said.contains("entry 2 was altered"), "{said}");
}
