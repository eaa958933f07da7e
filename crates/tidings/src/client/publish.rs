//! `tidings publish`: one event through the server's HTTP door.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidings_server::signin::Grant;
use tokio::net::TcpStream;

use super::target::{Credential, Target};
use crate::config::LocateFlags;
use crate::output;
use crate::token;

/// The whole exchange, connecting included.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a token made here is valid.
pub(super) const TTL: Duration = Duration::from_secs(60);
/// What somebody is told who has nothing to show.
pub(super) const NO_TOKEN: &str = "no token: give --token or TIDINGS_TOKEN, or run this where the server runs (its secret \
                                   is looked for in --data-dir, ./data by default)";
/// The most that is read of an answer.
const MOST_ANSWER: usize = 1 << 20;
/// The most that is read from standard input: more than any server takes by default.
const MOST_DATA: u64 = 16 << 20;

/// `tidings publish`.
#[derive(Debug, Args)]
pub(crate) struct PublishLine {
    /// The room, such as lobby:welcome; its kind, before the colon, is one the server has.
    room: String,
    /// The event's name.
    event: String,
    /// The event's data as JSON; `-` reads it from standard input.
    #[arg(default_value = "null", allow_hyphen_values = true)]
    data: String,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// A token with the scope `publish` [env: TIDINGS_TOKEN] [default: made with the local secret].
    #[arg(long)]
    token: Option<String>,
    /// The organisation a token made here speaks for.
    #[arg(long, default_value = "default")]
    org: String,
    /// An idempotency key: a repeat with the same key is not published again.
    #[arg(long)]
    key: Option<String>,
    /// How urgent it is [default: what the kind of the room says].
    #[arg(long, value_parser = ["critical", "high", "normal", "low"])]
    lane: Option<String>,
    #[command(flatten)]
    locate: LocateFlags,
}

/// Publishes and prints the server's answer.
///
/// # Errors
/// The server cannot be reached or refuses; the refusal is the message.
pub(crate) fn run(line: PublishLine) -> Result<()> {
    let target = Target::parse(&line.url)?;
    let data = read_data(&line.data)?;
    let grant = Grant { org: line.org, ..token::service("tidings-publish", TTL) };
    let credential = Credential::find(line.token, line.locate, &target, grant)?;
    let Some(token) = credential.token()? else {
        bail!(NO_TOKEN);
    };
    let mut body = json!({ "room": line.room, "event": line.event, "data": data });
    for (name, value) in [("key", line.key), ("lane", line.lane)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange =
        async { tokio::time::timeout(TIMEOUT, send(&target, &token, "/api/publish", Some(&body))).await };
    let (status, answer) = runtime.block_on(exchange).context("the server did not answer in time")??;
    if !status.is_success() {
        bail!("{}", refusal(status, &answer));
    }
    output::line(&String::from_utf8_lossy(&answer))
}

fn read_data(data: &str) -> Result<Value> {
    if data != "-" {
        return serde_json::from_str(data).with_context(|| not_json(data));
    }
    let mut text = String::new();
    std::io::stdin().take(MOST_DATA).read_to_string(&mut text)?;
    serde_json::from_str(&text).context("standard input is not JSON")
}

/// Says what was meant to be JSON, the begin of it.
fn not_json(data: &str) -> String {
    let begin: String = data.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    let more = if begin.len() < data.len() { "…" } else { "" };
    format!("the data is not JSON: {begin}{more} (text needs quotes of its own, as in '\"hello\"')")
}

/// Characters of wrong data that are shown.
const SHOWN: usize = 40;

/// Sends a request to the server's HTTP door and reads the answer; without a body it is a GET.
pub(super) async fn send(
    target: &Target,
    token: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<(StatusCode, Bytes)> {
    let body = body.map(serde_json::to_vec).transpose()?;
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let body = body.unwrap_or_default();
    let authority = target.authority();
    let stream = TcpStream::connect(&authority).await.with_context(|| format!("cannot reach {authority}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", target.prefix))
        .header("host", &authority)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .context("the token cannot stand in a header")?;
    // The connection's task ends with the sender, which lives in this function.
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.context("the exchange broke")?;
    let status = response.status();
    let answer = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
    drop(sender);
    driver.abort();
    let answer = answer.map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?;
    Ok((status, answer.to_bytes()))
}

/// A refusal as a sentence: status, code, message, and when to try again.
pub(super) fn refusal(status: StatusCode, answer: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(answer).unwrap_or_default();
    let error = parsed.get("error").unwrap_or(&parsed);
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let code = text("code").unwrap_or("no code");
    let message = text("message").unwrap_or("the server gave no reason");
    match error.get("retryAfterMs").and_then(Value::as_u64) {
        Some(wait) => format!("refused ({} {code}): {message}; try again in {wait} ms", status.as_u16()),
        None => format!("refused ({} {code}): {message}", status.as_u16()),
    }
}
