//! `tidings user`, `tidings key` and the people of the demo, through the real binary.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tidings_core::Org;
use tidings_store::links::NewLink;
use tidings_store::revocations::{Revocation, Revoked};
use tidings_store::{Digest, Store};
use tidings_testkit::{eventually, settings};

const PASSWORD: &str = "a long enough password";
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of its own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidings-accounts-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().current_dir(&self.0).args(flags);
        command
    }

    /// Runs a command with a line on its standard input.
    fn run(&self, flags: &[&str], line: &str) -> Output {
        let mut command = self.command(flags);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that refuses before it reads has closed the pipe already.
        writeln!(child.stdin.take().unwrap(), "{line}").ok();
        child.wait_with_output().unwrap()
    }

    fn good(&self, flags: &[&str], line: &str) -> String {
        let output = self.run(flags, line);
        assert!(output.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&self, flags: &[&str]) -> Running {
        let mut command = self.command(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Running(child, address, out)
    }
}

impl Place {
    /// What its database tells servers to call back.
    fn revocations(&self) -> Vec<Revocation> {
        self.in_store(async |store, _| store.read().await.unwrap().revocations_since(0, 9).await.unwrap())
    }

    /// Does something with its database, behind the server.
    fn in_store<T>(&self, work: impl AsyncFnOnce(&Store, Org) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = format!("sqlite:{}", self.0.join("data/tidings.db").display());
            let store = Store::open(&url, &tidings_store::StoreOptions::default()).await.unwrap();
            let done = work(&store, Org::default()).await;
            store.close().await;
            done
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

struct Running(Child, String, BufReader<ChildStdout>);

impl Running {
    fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// What it said behind its first line, all at once.
    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.2.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// The same if it may be nothing: it is ended before.
    fn rest(mut self) -> String {
        self.0.kill().unwrap();
        let mut rest = String::new();
        self.2.read_to_string(&mut rest).unwrap();
        rest
    }

    fn login(&self, email: &str, password: &str) -> (u16, Value) {
        let body = json!({"email": email, "password": password}).to_string();
        self.ask("POST", "/api/auth/login", "", &body)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn an_operator_is_made_on_the_command_line_and_signs_in() {
    let place = Place::new("user");
    let said =
        place.good(&["user", "add", "root@example.com", "--role", "operator", "--role", "admin"], PASSWORD);
    assert!(said.contains("root@example.com can sign in"), "{said}");
    let running = place.serve(&[]);
    let (status, body) = running.login("root@example.com", PASSWORD);
    assert_eq!((status, &body["user"]["roles"]), (200, &json!(["admin", "operator"])));

    place.good(&["user", "role", "root@example.com", "organizer"], "");
    place.good(&["user", "role", "root@example.com", "operator", "--remove"], "");
    let listed = place.good(&["user", "list"], "");
    assert!(listed.contains("\tactive\tverified\tadmin,organizer"), "{listed}");
    place.good(&["user", "password", "root@example.com"], "another password 1");
    assert_eq!(running.login("root@example.com", PASSWORD).0, 401);
    assert_eq!(running.login("root@example.com", "another password 1").0, 200);
    place.good(&["user", "disable", "root@example.com"], "");
    assert_eq!(running.login("root@example.com", "another password 1").0, 401);
    place.good(&["user", "enable", "root@example.com"], "");
    assert_eq!(running.login("root@example.com", "another password 1").0, 200);
}

#[test]
fn a_second_factor_that_is_lost_is_removed_on_the_command_line() {
    let place = Place::new("factor");
    let ada = "ada@example.com";
    place.good(&["user", "add", ada], PASSWORD);
    let none = place.run(&["user", "no-second-factor", ada], "");
    assert!(!none.status.success(), "{none:?}");
    let running = place.serve(&[]);
    let (_, signed_in) = running.login(ada, PASSWORD);
    place.in_store(async |store, org| {
        let id = store.read().await.unwrap().user_by_email(&org, ada).await.unwrap().unwrap().id;
        let mut tx = store.begin().await.unwrap();
        tx.begin_second_factor(&org, &id, b"sealed").await.unwrap();
        tx.turn_on_second_factor(&org, &id, 1).await.unwrap();
        tx.commit().await.unwrap();
    });
    assert_eq!(running.login(ada, PASSWORD).0, 403);
    place.good(&["user", "no-second-factor", ada], "");
    assert_eq!(running.login(ada, PASSWORD).0, 200);
    let refresh = json!({ "refreshToken": signed_in["refreshToken"] }).to_string();
    assert_eq!(running.ask("POST", "/api/auth/refresh", "", &refresh).0, 401, "what was signed in ends");
    let log = place.good(&["audit", "--action", "factor.remove"], "");
    assert!(log.contains("\"actorKind\":\"operator\""), "{log}");
}

#[test]
fn the_sessions_of_somebody_are_listed_with_where_from_and_how_they_ended() {
    let place = Place::new("sessions");
    place.good(&["user", "add", "ada@example.com"], PASSWORD);
    let none = place.good(&["user", "sessions", "ada@example.com"], "");
    assert_eq!(none, "");
    let running = place.serve(&[]);
    let (_, body) = running.login("ada@example.com", PASSWORD);
    let (token, id) = (body["accessToken"].as_str().unwrap(), body["user"]["id"].as_str().unwrap());
    let mut client = TcpStream::connect(&running.1).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(upgrade.as_bytes()).unwrap();
    let said = format!("{{\"type\":\"auth\",\"token\":\"{token}\"}}");
    let length = u16::try_from(said.len()).unwrap().to_be_bytes();
    client
        .write_all(&[[0x81, 0xfe, length[0], length[1], 0, 0, 0, 0].as_slice(), said.as_bytes()].concat())
        .unwrap();
    let begun = std::time::Instant::now();
    let listed = loop {
        let listed = place.good(&["user", "sessions", id], "");
        if !listed.is_empty() {
            break listed;
        }
        assert!(begun.elapsed() < PATIENCE, "nothing is listed");
    };
    assert!(listed.contains("\tplain\t127.0.0.1\t") && listed.ends_with("\topen\n"), "{listed}");
    drop((client, running));
    let absent = place.run(&["user", "sessions", id, "--org", "rival"], "");
    assert!(!absent.status.success(), "{absent:?}");
}

#[test]
fn a_password_of_the_command_line_ends_links_that_would_set_another() {
    let place = Place::new("links");
    let ada = "ada@example.com";
    place.good(&["user", "add", ada], PASSWORD);
    let id = place.good(&["user", "list"], "").split('\t').next().unwrap().to_owned();
    let kinds = ["reset", "invite", "verify"];
    let digest = |kind: &str| Digest::of(kind.as_bytes());
    place.in_store(async |store, org| {
        let mut tx = store.begin().await.unwrap();
        for kind in kinds {
            let link = NewLink { kind, user: &id, digest: &digest(kind), expires_ms: u64::MAX >> 1 };
            tx.create_link(&org, &link, 1).await.unwrap();
        }
        tx.commit().await.unwrap();
    });
    place.good(&["user", "password", ada], "another password 1");
    place.in_store(async |store, _| {
        let mut tx = store.begin().await.unwrap();
        for (kind, works) in kinds.into_iter().zip([false, false, true]) {
            let used = tx.use_link(kind, &digest(kind), 2).await.unwrap();
            assert_eq!(used.is_some(), works, "{kind}");
        }
    });
}

#[test]
fn what_the_command_line_changes_is_in_the_audit_log_with_who_did_it() {
    let place = Place::new("noted");
    let ada = "ada@example.com";
    place.good(&["user", "add", ada, "--role", "organizer"], PASSWORD);
    place.good(&["user", "role", ada, "admin"], "");
    place.good(&["user", "role", ada, "admin", "--remove"], "");
    place.good(&["user", "password", ada], "another password 1");
    place.good(&["user", "disable", ada], "");
    place.good(&["user", "enable", ada], "");
    let key = place.good(&["key", "add", "ci", "--scope", "publish", "--scope", "read"], "");
    let prefix = key.split('_').nth(1).unwrap();
    place.good(&["key", "revoke", prefix], "");
    // What is refused or only read changes nothing, and is not there.
    assert!(!place.run(&["user", "disable", "ghost@example.com"], "").status.success());
    assert!(!place.run(&["key", "revoke", "ghost"], "").status.success());
    place.good(&["user", "list"], "");
    let id = place.good(&["user", "list"], "").split('\t').next().unwrap().to_owned();
    let log = place.good(&["audit"], "");
    assert!(!log.contains(PASSWORD) && !log.contains(key.trim()), "{log}");
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<String> = entries
        .iter()
        .map(|entry| {
            assert_eq!((&entry["actorKind"], &entry["org"]), (&json!("operator"), &json!("default")));
            let said =
                |name: &str| entry[name].as_str().unwrap_or("-").replace(&id, "ID").replace(prefix, "KEY");
            assert!(!said("actor").is_empty() && said("actor") != "-", "{entry}");
            format!("{} {} {}>{}", said("action"), said("object"), said("before"), said("after"))
        })
        .collect();
    let expected = [
        "org.create default ->-",
        "register ID ->organizer",
        "role.change ID organizer>admin organizer",
        "role.change ID admin organizer>organizer",
        "password.change ID ->-",
        "revocation ID active>disabled",
        "user.enable ID disabled>active",
        "key.create KEY ->publish read",
        "key.revoke KEY ->-",
    ];
    assert_eq!(told, expected);
    assert!(place.run(&["verify", "audit"], "").status.success());
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let place = Place::new("unwritten");
    place.good(&["user", "add", "ada@example.com"], PASSWORD);
    let key = place.good(&["key", "add", "ci", "--scope", "read"], "");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("sqlite:{}", place.0.join("data/tidings.db").display());
        let store = tidings_store::Store::open(&url, &tidings_store::StoreOptions::default()).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.run("ALTER TABLE audit_head RENAME TO audit_elsewhere", &[]).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
    });
    let lines: [(&[&str], &str); 6] = [
        (&["user", "add", "bob@example.com"], PASSWORD),
        (&["user", "role", "ada@example.com", "admin"], ""),
        (&["user", "password", "ada@example.com"], "another password 1"),
        (&["user", "disable", "ada@example.com"], ""),
        (&["key", "add", "cd", "--scope", "read"], ""),
        (&["key", "revoke", key.split('_').nth(1).unwrap()], ""),
    ];
    let (users, keys) = (place.good(&["user", "list"], ""), place.good(&["key", "list"], ""));
    for (line, said) in lines {
        assert!(!place.run(line, said).status.success(), "{line:?}");
    }
    assert_eq!(place.good(&["user", "list"], ""), users);
    assert_eq!(place.good(&["key", "list"], ""), keys);
}

#[test]
fn what_cannot_be_an_account_is_refused_with_a_reason() {
    let place = Place::new("refused");
    let cases: [(&[&str], &str, &str); 5] = [
        (&["user", "add", "nobody"], PASSWORD, "not an e-mail address"),
        (&["user", "add", "a@example.com"], "short", "fewer than 12"),
        (&["user", "add", "a@example.com"], "", "no password"),
        (&["user", "disable", "ghost@example.com"], "", "there is no ghost@example.com"),
        (&["key", "add", "ci", "--scope", "root"], "", "publish, read, admin"),
    ];
    for (flags, line, why) in cases {
        let output = place.run(flags, line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(why), "{flags:?}: {said}");
    }
}

#[test]
fn a_key_is_printed_once_and_works_until_it_is_revoked() {
    let place = Place::new("key");
    let key = place.good(&["key", "add", "ci", "--scope", "publish", "--expires", "90d"], "");
    let key = key.trim();
    let running = place.serve(&[]);
    let head = format!("X-API-Key: {key}\r\n");
    let event = r#"{"room":"lobby:a","event":"news","data":1}"#;
    let publish = || running.ask("POST", "/api/publish", &head, event).0;
    assert_eq!(publish(), 200);
    let prefix = key.split('_').nth(1).unwrap();
    let listed = place.good(&["key", "list"], "");
    assert!(listed.contains(prefix) && !listed.contains(key), "{listed}");
    place.good(&["key", "revoke", prefix], "");
    let revoked = std::time::Instant::now();
    eventually("refused", || publish() != 200);
    settings::promised("REVOKED_SECONDS", revoked.elapsed());
}

#[test]
fn what_the_command_line_takes_away_reaches_connections_by_its_reason() {
    let place = Place::new("reasons");
    let ada = "ada@example.com";
    place.good(&["user", "add", ada], PASSWORD);
    let key = place.good(&["key", "add", "ci", "--scope", "read"], "");
    let prefix = key.split('_').nth(1).unwrap();
    let id = place.good(&["user", "list"], "").split('\t').next().unwrap().to_owned();
    place.good(&["user", "role", ada, "admin"], "");
    let told = place.revocations();
    assert_eq!((told.len(), &told[0].what), (1, &Revoked::User(id)));
    assert!(told[0].refused_before_ms == 0 && told[0].issued_before_ms > 0, "only rights changed: {told:?}");
    place.good(&["user", "disable", ada], "");
    let told = place.revocations();
    assert!(told.len() == 1 && told[0].refused_before_ms == told[0].issued_before_ms, "{told:?}");
    place.good(&["key", "revoke", prefix], "");
    let told = place.revocations();
    assert_eq!((told.len(), &told[1].what), (2, &Revoked::User(format!("key:{prefix}"))));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(told[1].refused_before_ms + 60_000 > now && told[1].expires_ms > now + 86_400_000, "{told:?}");
}

#[test]
fn the_people_of_the_demo_are_there_with_the_demo_alone() {
    let place = Place::new("demo");
    let running = place.serve(&["--demo"]);
    let (status, alice) = running.login("alice@example.com", "password123");
    assert_eq!((status, &alice["user"]["roles"]), (200, &json!(["organizer"])), "{alice}");
    for name in ["bob", "charlie", "diana"] {
        assert_eq!(running.login(&format!("{name}@example.com"), "password123").0, 200, "{name}");
    }
    drop(running);
    let running = place.serve(&[]);
    assert_eq!(running.login("alice@example.com", "password123").0, 401);
    let head = format!("Authorization: Bearer {}\r\n", alice["accessToken"].as_str().unwrap());
    assert_eq!(running.ask("GET", "/api/auth/me", &head, "").0, 401, "nor do they go on with what they had");
    drop(running);
    let running = place.serve(&["--demo"]);
    assert_eq!(running.login("alice@example.com", "password123").0, 200);
    drop(running);
    let flags = ["serve", "--demo", "--behind-proxy", "--listen", "0.0.0.0:0"];
    let open = place.run(&flags, "");
    assert_eq!(open.status.code(), Some(2));
    assert!(String::from_utf8(open.stderr).unwrap().contains("everybody"));
}

/// Waits until it is another second: tokens say the second in which they were made, and what was made in an earlier one
/// than the word to call back is over.
fn next_second() {
    let second = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now = second();
    eventually("another second", || second() != now);
}

#[test]
fn the_demo_hands_out_an_administrator_for_as_long_as_it_runs_and_nothing_else_does() {
    let place = Place::new("demo-admin");
    let overview = |running: &Running, token: &str| {
        running.ask("GET", "/api/admin/overview", &format!("Authorization: Bearer {token}\r\n"), "").0
    };
    let mut running = place.serve(&["--demo"]);
    let line = running.next_line();
    let token = line.rsplit_once(": ").unwrap().1.to_owned();
    assert!(line.contains("administer"), "{line}");
    assert_eq!(overview(&running, &token), 200);
    // The control: somebody else of the demo does not.
    let (_, alice) = running.login("alice@example.com", "password123");
    assert_eq!(overview(&running, alice["accessToken"].as_str().unwrap()), 403);
    drop(running);
    next_second();
    let mut again = place.serve(&["--demo"]);
    let second = again.next_line().rsplit_once(": ").unwrap().1.to_owned();
    assert_eq!((overview(&again, &token), overview(&again, &second)), (401, 200));
    drop(again);
    next_second();
    let running = place.serve(&["--allow-origin", "https://a.example"]);
    assert_eq!(overview(&running, &second), 401);
    let flags = [&["--demo", "--behind-proxy"][..], &["--demo", "--trusted-proxies", "127.0.0.1"], &[]];
    for flags in flags {
        let place = Place::new(&format!("no-admin-{}", flags.len()));
        let said = place.serve(flags).rest();
        assert!(!said.contains("administer"), "{flags:?}: {said}");
    }
}

#[test]
fn an_organisation_that_a_command_makes_is_written_down_once() {
    let place = Place::new("org");
    for name in ["ci", "cd"] {
        place.good(&["key", "add", name, "--scope", "publish", "--org", "acme"], "");
    }
    place.good(&["user", "add", "ada@example.com", "--org", "globex"], PASSWORD);
    let log = place.good(&["audit", "--action", "org.create"], "");
    let entries: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut made: Vec<_> = entries.iter().filter_map(|entry| entry["object"].as_str()).collect();
    made.sort_unstable();
    assert_eq!(made, ["acme", "globex"], "{log}");
    assert!(entries.iter().all(|entry| entry["actorKind"] == "operator"), "{log}");
    assert!(place.run(&["verify", "audit"], "").status.success());
}
