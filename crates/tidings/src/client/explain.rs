//! `tidings explain`: what became of a message, through the server's HTTP door.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;
use tidings_server::signin::Grant;

use super::publish::{NO_TOKEN, TIMEOUT, TTL, refusal, send};
use super::target::{Credential, Target};
use crate::config::LocateFlags;
use crate::output;
use crate::token;

/// `tidings explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainLine {
    /// The message's id, as its publish was answered (`messageId`).
    message: String,
    /// For which user; without it, how far the message came on the server.
    #[arg(long)]
    user: Option<String>,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
    /// A token of a server or an administrator [env: TIDINGS_TOKEN] [default: made with the local secret].
    #[arg(long)]
    token: Option<String>,
    /// The organisation a token made here speaks for.
    #[arg(long, default_value = "default")]
    org: String,
    #[command(flatten)]
    locate: LocateFlags,
}

/// Asks and prints one line for each hop.
///
/// # Errors
/// The server cannot be reached or refuses; the refusal is the message.
pub(crate) fn run(line: ExplainLine) -> Result<()> {
    let target = Target::parse(&line.url)?;
    let grant = Grant { org: line.org, ..token::service("tidings-explain", TTL) };
    let credential = Credential::find(line.token, line.locate, &target, grant)?;
    let Some(token) = credential.token()? else {
        bail!(NO_TOKEN);
    };
    let mut path = format!("/api/explain?messageId={}", escaped(&line.message));
    if let Some(user) = &line.user {
        path.push_str(&format!("&userId={}", escaped(user)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exchange = async { tokio::time::timeout(TIMEOUT, send(&target, &token, &path, None)).await };
    let (status, answer) = runtime.block_on(exchange).context("the server did not answer in time")??;
    if !status.is_success() {
        bail!("{}", refusal(status, &answer));
    }
    let told: Value = serde_json::from_slice(&answer).context("the answer is not JSON")?;
    for hop in told["hops"].as_array().into_iter().flatten() {
        output::line(&shown(hop))?;
    }
    output::line(&format!("verdict: {}", told["verdict"].as_str().unwrap_or("none")))
}

/// A hop in one line: its name, its verdict, and the rest as it came.
fn shown(hop: &Value) -> String {
    let text = |name: &str| hop[name].as_str().unwrap_or("?");
    let mut rest = hop.clone();
    if let Some(members) = rest.as_object_mut() {
        members.retain(|name, value| !value.is_null() && name != "hop" && name != "verdict");
    }
    format!("{}: {} {rest}", text("hop"), text("verdict"))
}

/// A value of a query, percent-encoded.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_a_query_is_encoded() {
        assert_eq!(escaped("a-1"), "a-1");
        assert_eq!(escaped("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }
}
