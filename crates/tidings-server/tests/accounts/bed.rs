//! A server with a store, and a client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::accounts::mail::MailSender;
use tidings_server::accounts::password;
use tidings_server::accounts::set_up::SetUp;
use tidings_server::{Config, Extras, Server};
use tidings_store::mail::Mail;
use tidings_store::users::NewUser;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::described::check_answer;
use tidings_testkit::{Place, Postgres};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Nothing here takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const PASSWORD: &str = "a long enough password";

/// Keeps what would be sent.
#[derive(Default)]
pub(crate) struct Caught(Mutex<Vec<Mail>>, watch::Sender<usize>);

impl MailSender for Caught {
    fn send<'a>(
        &'a self,
        mail: &'a Mail,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        self.0.lock().unwrap().push(mail.clone());
        self.1.send_modify(|count| *count += 1);
        Box::pin(async { Ok(()) })
    }
}

/// A running server.
pub(crate) struct Bed {
    pub(crate) addr: SocketAddr,
    /// Where administrators are served, if they have a listener of their own.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) store: Store,
    pub(crate) mail: Arc<Caught>,
    server: Server,
    place: Place,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on_sqlite(None, change).await
    }

    /// With the link of a first start.
    pub(crate) async fn to_set_up(link: SetUp, change: impl FnOnce(&mut Config)) -> Self {
        Self::on_sqlite(Some(link), change).await
    }

    /// One on SQLite and one on PostgreSQL.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::new().await, Self::postgres(|_| ()).await]
    }

    /// Another server on the database of one that was stopped.
    pub(crate) async fn again(place: Place, change: impl FnOnce(&mut Config)) -> Self {
        let url = format!("sqlite:{}", place.path().join("test.db").display());
        Self::at(&url, place, None, change).await
    }

    async fn on_sqlite(set_up: Option<SetUp>, change: impl FnOnce(&mut Config)) -> Self {
        let place = Place::new();
        let url = format!("sqlite:{}", place.path().join("test.db").display());
        Self::at(&url, place, set_up, change).await
    }

    pub(crate) async fn postgres(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(&Postgres::shared().database().await, Place::new(), None, change).await
    }

    async fn at(url: &str, place: Place, set_up: Option<SetUp>, change: impl FnOnce(&mut Config)) -> Self {
        let patient = StoreOptions { acquire: DEADLINE, statement: DEADLINE, ..StoreOptions::default() };
        let store = Store::open(url, &patient).await.unwrap();
        let mut config =
            Config { listen: "127.0.0.1:0".into(), no_limits: true, shards: 1, ..Config::default() };
        config.auth.jwt_secret = "a secret of the account tests, long enough".into();
        change(&mut config);
        let mail = Arc::new(Caught::default());
        let extras =
            Extras { store: Some(store.clone()), mail: Some(mail.clone()), set_up, ..Extras::default() };
        let server = Server::start(&config, extras).await.unwrap();
        Self { addr: server.addr(), admin: server.admin_addr(), store, mail, server, place }
    }

    /// Answers the place of the database, which is gone with it.
    pub(crate) async fn stop(self) -> Place {
        self.server.stop().await;
        self.place
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, "", &body.to_string()).await
    }

    /// With a token or key in the `Authorization` header.
    pub(crate) async fn post_as(&self, who: &str, path: &str, body: Value) -> Answer {
        self.ask("POST", path, &format!("Authorization: Bearer {who}\r\n"), &body.to_string()).await
    }

    pub(crate) async fn get_as(&self, who: &str, path: &str) -> Answer {
        self.ask("GET", path, &format!("Authorization: Bearer {who}\r\n"), "").await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, head: &str, body: &str) -> Answer {
        tokio::time::timeout(DEADLINE, ask(self.addr, method, path, head, body)).await.unwrap()
    }

    /// Makes a user as the command line does, verified.
    pub(crate) async fn user(&self, org: &str, email: &str, roles: &[&str]) -> String {
        let (org, id) = (Org::new(org), format!("id-of-{email}-in-{org}"));
        let hash = password::hash(PASSWORD).unwrap();
        let mut tx = self.store.begin().await.unwrap();
        tx.ensure_org(&org, 1).await.unwrap();
        let user = NewUser { id: &id, email, name: email, password_hash: Some(&hash), email_verified: true };
        tx.create_user(&org, &user, 1).await.unwrap();
        for role in roles {
            tx.grant_role(&org, &id, role).await.unwrap();
        }
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn login(&self, org: &str, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "org": org});
        let answer = self.post("/api/auth/login", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// The access token of a fresh user.
    pub(crate) async fn signed_in(&self, org: &str, email: &str, roles: &[&str]) -> String {
        self.user(org, email, roles).await;
        self.login(org, email).await["accessToken"].as_str().unwrap().to_owned()
    }

    /// Waits for the `count`th mail and answers it.
    pub(crate) async fn mail(&self, count: usize) -> Mail {
        let mut counted = self.mail.1.subscribe();
        let waited = tokio::time::timeout(DEADLINE, counted.wait_for(|sent| *sent >= count)).await;
        waited.unwrap().unwrap();
        self.mail.0.lock().unwrap()[count - 1].clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.mail.0.lock().unwrap().iter().map(|mail| mail.kind.clone()).collect()
    }

    pub(crate) fn mails(&self) -> usize {
        self.mail.0.lock().unwrap().len()
    }
}

/// The secret of the link in a mail.
pub(crate) fn secret_in(mail: &Mail) -> String {
    let link = mail.text.lines().find(|line| line.starts_with("http")).unwrap();
    link.split_once('#').unwrap().1.split_once('=').unwrap().1.to_owned()
}

/// What the server answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or("none")
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The whole answer to a GET, whatever it is.
pub(crate) async fn text(addr: SocketAddr, path: &str) -> String {
    tokio::time::timeout(DEADLINE, said(addr, "GET", path, "", "")).await.unwrap()
}

pub(crate) async fn ask(addr: SocketAddr, method: &str, path: &str, head: &str, body: &str) -> Answer {
    let text = said(addr, method, path, head, body).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    check_answer(method, path, head);
    Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

async fn said(addr: SocketAddr, method: &str, path: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Length: {}\r\n{head}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}
