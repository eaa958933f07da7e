//! The example as it is run: its own process, clients of others.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tidings_testkit::Place;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SECRET: &str = "a secret of the example's own tests, long enough";

/// Nothing here takes longer.
const DEADLINE: Duration = Duration::from_secs(20);

/// The example in a process of its own.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidings-example-todo"))
            .current_dir(folder)
            .env("JWT_SECRET", SECRET)
            .env("LISTEN", "127.0.0.1:0")
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address }
    }

    /// Kills it as a failing machine would.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A plain client.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(address: &str, user: &str) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/ws")).await.unwrap();
        let mut client = Self(socket);
        client.say(&json!({"type": "auth", "token": token(user)})).await;
        client.hear(|message| message["type"] == "auth:ok").await;
        client
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let hearing = async {
            loop {
                let message = self.0.next().await.unwrap().unwrap();
                let message: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or_default();
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(DEADLINE, hearing).await.unwrap()
    }

    async fn ask(&mut self, id: u64, mut message: Value) -> Value {
        message["id"] = id.into();
        self.say(&message).await;
        self.hear(|answer| answer["type"] == "ack" && answer["id"] == id).await
    }

    async fn add(&mut self, id: u64, title: &str, key: &str) -> Value {
        let data = json!({"list": "home", "title": title});
        self.ask(id, json!({"type": "command", "name": "todo:add", "data": data, "key": key})).await
    }
}

/// A token as some other program would make it.
fn token(user: &str) -> String {
    let exp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 600;
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &json!({"sub": user, "exp": exp}), &key).unwrap()
}

#[tokio::test]
async fn a_list_is_shared_and_a_retried_command_is_done_once() {
    let place = Place::new();
    let running = Running::start(place.path());
    let mut ada = Client::connect(&running.address, "ada").await;
    let mut bob = Client::connect(&running.address, "bob").await;
    let told = bob.ask(1, json!({"type": "subscribe", "room": "todo:home"})).await;
    assert_eq!((&told["ok"], &told["snapshot"]), (&json!(true), &json!({"items": []})), "{told}");
    let first = ada.add(1, "milk", "k1").await;
    assert_eq!(first["number"], 1, "{first}");
    let again = ada.add(2, "milk", "k1").await;
    assert_eq!((&again["number"], &again["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(ada.add(3, "bread", "k2").await["number"], 2);
    for (number, title) in [(1, "milk"), (2, "bread")] {
        let heard = bob.hear(|message| message["event"] == "todo:added").await;
        assert_eq!(heard["data"], json!({"number": number, "title": title, "by": "ada"}));
        assert_eq!((&heard["room"], &heard["offset"]), (&json!("todo:home"), &json!(number)));
    }
    let told = ada.ask(4, json!({"type": "subscribe", "room": "todo:home"})).await;
    assert_eq!(told["snapshot"]["items"].as_array().unwrap().len(), 2);
    running.kill();
}

/// Kills the example at ten different moments while somebody adds and retries: what was acknowledged is in the
/// list, everything in the list was heard, and nothing is there twice.
#[tokio::test]
async fn killed_at_any_moment_it_loses_nothing_and_does_nothing_twice() {
    let place = Place::new();
    let (mut acknowledged, mut next, mut since, mut heard) = (0_u64, 1_u64, Value::Null, Vec::new());
    for round in 0..10_u64 {
        let running = Running::start(place.path());
        let mut ada = Client::connect(&running.address, "ada").await;
        let mut bob = Client::connect(&running.address, "bob").await;
        let mut wanted = json!({"type": "subscribe", "room": "todo:home"});
        if !since.is_null() {
            wanted["since"] = since.clone();
        }
        let told = bob.ask(1, wanted).await;
        assert!(told["recovered"] != false, "{told}");
        // What was not acknowledged in the round before is said again under its key.
        let burst = next..next + 12 + round;
        for number in burst.clone() {
            let data = json!({"list": "home", "title": format!("item {number}")});
            let key = format!("k{number}");
            ada.say(&json!({"type": "command", "id": number, "name": "todo:add", "data": data, "key": key}))
                .await;
        }
        for number in burst.start..burst.start + 5 + round {
            let answer = ada.hear(|answer| answer["type"] == "ack" && answer["id"] == number).await;
            assert_eq!((&answer["ok"], &answer["number"]), (&json!(true), &json!(number)), "{answer}");
            (acknowledged, next) = (number, number + 1);
        }
        // Somewhere in the midst of the others.
        running.kill();
        let rest = bob_heard(&mut bob, &told).await;
        if let Some((position, numbers)) = rest {
            since = position;
            heard.extend(numbers);
        }
    }
    let running = Running::start(place.path());
    let mut bob = Client::connect(&running.address, "bob").await;
    let told = bob.ask(1, json!({"type": "history", "room": "todo:home", "limit": 1000})).await;
    let log: Vec<u64> = told["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["data"]["number"].as_u64().unwrap())
        .collect();
    assert_eq!(log, (1..=log.len() as u64).collect::<Vec<_>>(), "the log has each item once, in order");
    assert!(log.len() as u64 >= acknowledged);
    let told = bob.ask(2, json!({"type": "subscribe", "room": "todo:home"})).await;
    let newest = told["snapshot"]["items"].as_array().unwrap().last().unwrap()["number"].clone();
    assert_eq!(newest, json!(log.len()), "rows and events are the same ones");
    // What Bob heard over all rounds, coming back with his position, has no hole and nothing twice.
    assert_eq!(heard, (1..=heard.len() as u64).collect::<Vec<_>>());
    running.kill();
}

/// What is left to be heard on a connection whose server is gone: numbers, and the last position.
async fn bob_heard(bob: &mut Client, told: &Value) -> Option<(Value, Vec<u64>)> {
    let (mut position, mut numbers) = (None, Vec::new());
    let hearing = async {
        while let Some(Ok(message)) = bob.0.next().await {
            let message: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
            if message["event"] == "todo:added" {
                numbers.push(message["data"]["number"].as_u64().unwrap());
                let (epoch, tag) = (&message["epoch"], &message["tag"]);
                position = Some(json!({"epoch": epoch, "offset": message["offset"], "tag": tag}));
            }
        }
    };
    tokio::time::timeout(DEADLINE, hearing).await.unwrap();
    assert!(told["ok"] == true);
    position.map(|position| (position, numbers))
}
