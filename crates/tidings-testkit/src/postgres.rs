//! A PostgreSQL of the tests' own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::place::Place;
use crate::ports::free_port;

mod outage;

/// Where Debian keeps the server's programs, one folder for each version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Others may take the port between our finding it free and the server's taking it.
const TRIES: u32 = 5;
/// What the server says when it takes connections.
const READY: &str = "database system is ready to accept connections";

/// Runs the server until its standard input ends, which it does however the test ends; then removes its files.
///
/// Only the server keeps the log open, so that the log ends with it.
const KEEPER: &str = r#"
    "$@" &
    server=$!
    exec 2>/dev/null
    cat >/dev/null
    kill -INT $server
    wait $server
    rm -rf "$0"
"#;

/// When a server's commits reach the disk. Nothing a test asks survives a power cut.
#[derive(Debug, Clone, Copy)]
enum Flushes {
    Never,
    AtCommit,
}

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    /// One for each time it was started.
    keepers: Vec<Child>,
    port: u16,
    flushes: Flushes,
    databases: AtomicU32,
    // Dropped last: the server is stopped before its files go.
    place: Place,
}

impl Postgres {
    /// The server of this test process, started at the first call.
    ///
    /// # Panics
    /// If there is no PostgreSQL here, or it does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server that nobody else uses, to be stopped by the test.
    ///
    /// # Panics
    /// If there is no PostgreSQL here, or it does not start.
    pub fn start() -> Self {
        Self::start_as(Flushes::Never)
    }

    /// Starts one whose commits reach the disk, for measuring.
    ///
    /// # Panics
    /// If there is no PostgreSQL here, or it does not start.
    pub fn that_flushes() -> Self {
        Self::start_as(Flushes::AtCommit)
    }

    fn start_as(flushes: Flushes) -> Self {
        let programs = programs();
        let owner = owner();
        let started = (0..TRIES).find_map(|_| Self::start_at_a_free_port(&programs, owner, flushes));
        started.unwrap_or_else(|| panic!("PostgreSQL did not start in {TRIES} tries"))
    }

    fn start_at_a_free_port(programs: &Path, owner: Option<(u32, u32)>, flushes: Flushes) -> Option<Self> {
        let place = Place::new();
        if let Some((user, group)) = owner {
            let given = chown(place.path(), Some(user), Some(group));
            given.unwrap_or_else(|error| panic!("cannot give {} away: {error}", place.path().display()));
        }
        init(programs, &place.path().join("data"), owner);
        let port = free_port();
        let keeper = serve(programs, place.path(), owner, port, flushes)?;
        Some(Self { keepers: vec![keeper], port, flushes, databases: AtomicU32::new(0), place })
    }

    /// Makes a database and answers its URL.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let made = async {
            let mut admin = PgConnection::connect(&self.url("postgres")).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await?;
            admin.close().await
        };
        made.await.unwrap_or_else(|error: sqlx::Error| panic!("no database: {error}"));
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops the server, and waits until it is gone.
    pub fn stop(&mut self) {
        self.thaw();
        for keeper in &mut self.keepers {
            drop(keeper.stdin.take());
            // A keeper that is gone already has nothing left to be waited for.
            keeper.wait().ok();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The newest version's programs.
fn programs() -> PathBuf {
    let found = fs::read_dir(PROGRAMS).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let version = |bin: &PathBuf| {
        let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok()).unwrap_or(0)
    };
    found.filter(|bin| bin.join("initdb").exists()).max_by_key(version).unwrap_or_else(|| {
        panic!(
            "there is no PostgreSQL in {PROGRAMS}: these tests run against a real one; \
             `scripts/needs.sh test` installs it (Debian package postgresql)"
        )
    })
}

/// PostgreSQL refuses to run as root, so root runs it as the user of its package, or as nobody.
fn owner() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").map(|me| me.uid()).ok() != Some(0) {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

fn command(program: &Path, owner: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    // The folder a test runs in may be closed to the server's user.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn init(programs: &Path, data: &Path, owner: Option<(u32, u32)>) {
    let mut command = command(&programs.join("initdb"), owner);
    command.arg("--pgdata").arg(data);
    let done = command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]).output();
    let done = done.unwrap_or_else(|error| panic!("cannot run initdb: {error}"));
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
}

/// Starts the server and waits until it takes connections; `None` if it ended instead.
fn serve(
    programs: &Path,
    place: &Path,
    owner: Option<(u32, u32)>,
    port: u16,
    flushes: Flushes,
) -> Option<Child> {
    let mut command = command(Path::new("/bin/sh"), owner);
    command.args(["-c", KEEPER]).arg(place).arg(programs.join("postgres")).arg("-D").arg(place.join("data"));
    command.args(["-c", if matches!(flushes, Flushes::Never) { "fsync=off" } else { "fsync=on" }]);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    command.args(["-c", "max_connections=300", "-c", "shared_buffers=32MB", "-c", &format!("port={port}")]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut keeper = command.spawn().unwrap_or_else(|error| panic!("cannot run PostgreSQL: {error}"));
    let log = keeper.stderr.take().into_iter();
    let mut log = log.flat_map(|pipe| BufReader::new(pipe).lines().map_while(Result::ok));
    if !log.any(|line| line.contains(READY)) {
        drop(keeper.stdin.take());
        keeper.wait().ok();
        return None;
    }
    // Nobody reads on, and a full pipe would stop the server.
    std::thread::spawn(move || log.for_each(drop));
    Some(keeper)
}
