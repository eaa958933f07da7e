//! Publishes results of matches to the arena: one match a line on standard input, as JSON.
//!
//! `TIDINGS_TOKEN=… tidings-example-results [HOST:PORT] < matches.jsonl`

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// A request is tried so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Each try takes no longer.
const TRY: Duration = Duration::from_secs(5);
/// The first pause before another try, and the longest.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_LONGEST: Duration = Duration::from_secs(3);
/// The most that is read of an answer, in bytes.
const MOST_ANSWER: usize = 1 << 20;

/// A match as it stands in a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Played {
    match_id: String,
    players: Vec<String>,
    winner_id: Option<String>,
    scores: Option<Vec<Value>>,
}

/// Why something was not done.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    code: String,
    message: String,
    #[serde(default)]
    retryable: bool,
    retry_after_ms: Option<u64>,
}

/// The arena of a server.
struct Arena {
    server: String,
    token: String,
}

impl Arena {
    /// One try.
    async fn exchange(&self, path: &str, body: &Value, key: &str) -> anyhow::Result<Value> {
        let stream = TcpStream::connect(&self.server).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::post(format!("/api/arena{path}"))
            .header("host", &self.server)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let answer = sender.send_request(request.body(Full::new(Bytes::from(body.to_string())))?).await?;
        let bytes = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
        driver.abort();
        let bytes = bytes.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?;
        Ok(serde_json::from_slice(&bytes.to_bytes())?)
    }

    /// The same; nobody there, or no answer in time, is as good as `unavailable`: it may have been done all the same.
    async fn once(&self, path: &str, body: &Value, key: &str) -> Result<Value, Refusal> {
        let unavailable = |message: String| {
            let code = "unavailable".into();
            Refusal { code, message, retryable: true, retry_after_ms: None }
        };
        let answer = match timeout(TRY, self.exchange(path, body, key)).await {
            Ok(answer) => answer.map_err(|error| unavailable(error.to_string()))?,
            Err(late) => return Err(unavailable(late.to_string())),
        };
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => {
                Err(Refusal::deserialize(error).unwrap_or_else(|error| unavailable(error.to_string())))
            }
        }
    }

    /// Asks until there is an answer that counts. The key stays the same, so whatever was done is not done twice.
    async fn post(&self, path: &str, body: &Value, key: &str) -> Result<Value, Refusal> {
        let (end, mut pause) = (Instant::now() + PATIENCE, PAUSE);
        loop {
            let refusal = match self.once(path, body, key).await {
                Err(refusal) => refusal,
                answer => return answer,
            };
            let wait = refusal.retry_after_ms.map_or(pause, Duration::from_millis);
            if !refusal.retryable || Instant::now() + wait > end {
                return Err(refusal);
            }
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// Somebody who plays for the first time; who is there already stays as he is.
    async fn player(&self, id: &str) -> Result<(), Refusal> {
        match self.post("/players", &json!({ "id": id, "displayName": id }), "").await {
            Err(refusal) if refusal.code != "conflict" => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Tells of a match that was played; answers what came of it.
    async fn publish(&self, played: &Played) -> Result<Value, Refusal> {
        let Played { match_id, players, winner_id, scores } = played;
        for id in players {
            self.player(id).await?;
        }
        let at = format!("/matches/{match_id}");
        let wanted = json!({ "id": match_id, "players": players });
        self.post("/matches", &wanted, &format!("{match_id}:create")).await?;
        self.post(&format!("{at}/start"), &json!({}), &format!("{match_id}:start")).await?;
        let kind = if winner_id.is_some() { "win" } else { "draw" };
        let mut result = json!({ "resultType": kind });
        // What a line does not say is left out: under one key every program says the same.
        if let Some(winner) = winner_id {
            result["winnerId"] = json!(winner);
        }
        if let Some(scores) = scores {
            result["scores"] = json!(scores);
        }
        self.post(&format!("{at}/result"), &result, &format!("{match_id}:result")).await
    }
}

/// What a result has changed, in a line.
fn summary(told: &Value) -> String {
    let ratings = told["ratings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |one: &Value| one["playerId"].as_str().unwrap_or_default().to_owned();
    let changes = ratings.iter().map(|one| format!("{} {} ({})", text(one), one["newRating"], one["change"]));
    let again = if told["duplicate"] == true { ", as told before" } else { "" };
    changes.collect::<Vec<_>>().join(", ") + again
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let token = std::env::var("TIDINGS_TOKEN").context("TIDINGS_TOKEN is an API key or a token")?;
    let arena = Arena { server, token };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut refused = false;
    while let Some(line) = lines.next_line().await? {
        if line.trim().is_empty() {
            continue;
        }
        let told = match serde_json::from_str::<Played>(&line) {
            Ok(played) => {
                arena.publish(&played).await.map(|told| format!("{}: {}", played.match_id, summary(&told)))
            }
            Err(error) => Err(Refusal {
                code: "bad_request".into(),
                message: error.to_string(),
                retryable: false,
                retry_after_ms: None,
            }),
        };
        match told {
            Ok(said) => writeln!(std::io::stdout(), "{said}")?,
            Err(Refusal { code, message, .. }) => {
                writeln!(std::io::stderr(), "refused: {code}: {message} in {line}")?;
                refused = true;
            }
        }
    }
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
