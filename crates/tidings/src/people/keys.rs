//! `tidings key`.

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand};
use tidings_core::Code;
use tidings_server::accounts::{input, keys};
use tidings_server::audit::{Action, Entry};
use tidings_server::time::iso8601;

use super::noted::{actor, note};
use super::{Desk, now_ms, said};
use crate::config::DatabaseFlags;
use crate::output;
use crate::token::duration;

/// `tidings key`.
#[derive(Debug, Args)]
pub(crate) struct KeyLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes a key and prints it, this once; before the first start of a server the database as well.
    Add(AddLine),
    /// Lists the keys of an organisation without their secrets: prefix, name, scopes, how long it is good, last use.
    List(Where),
    /// Ends a key within a second.
    Revoke(RevokeLine),
}

#[derive(Debug, Args)]
struct Where {
    /// The organisation.
    #[arg(long, default_value = "default")]
    org: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct AddLine {
    /// What people call it.
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may do; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = ["publish", "read", "admin"])]
    scopes: Vec<String>,
    /// When it ends: 12h, 90d. Without, when it is revoked.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
struct RevokeLine {
    /// What stands between tk_ and the next underscore.
    #[arg(value_name = "PREFIX")]
    prefix: String,
    #[command(flatten)]
    place: Where,
}

/// Does what was asked for.
///
/// # Errors
/// Why it could not be done.
pub(crate) fn run(line: KeyLine) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match line.what {
            What::Add(line) => add(line).await,
            What::List(place) => list(place).await,
            What::Revoke(line) => revoke(line).await,
        }
    })
}

async fn add(line: AddLine) -> Result<()> {
    input::word(&line.name, "NAME").map_err(said)?;
    let desk = Desk::open_or_make(line.place.database, &line.place.org).await?;
    let ends = line.expires.map(|time| now_ms() + time.as_millis() as u64);
    let mut tx = desk.store.begin().await?;
    let made = keys::make(&mut tx, &desk.org, &line.name, &line.scopes, ends, actor()).await;
    let (text, prefix) = made.map_err(said)?;
    let entry = Entry::ok(Action::KeyCreate).on(prefix).because(line.name).with(line.scopes.join(" "));
    note(&mut tx, &desk.org, entry).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&text)
}

async fn list(place: Where) -> Result<()> {
    let desk = Desk::open(place.database, &place.org).await?;
    let now = now_ms();
    for key in desk.store.read().await?.keys(&desk.org, "", 1_000).await? {
        let state = match (key.revoked_ms, key.expires_ms) {
            (Some(at), _) => format!("revoked {}", iso8601(at)),
            (None, Some(end)) if end <= now => format!("over {}", iso8601(end)),
            (None, Some(end)) => format!("until {}", iso8601(end)),
            (None, None) => "good".to_owned(),
        };
        let used = key.last_used_ms.map_or_else(|| "never used".to_owned(), iso8601);
        output::line(&format!("{}\t{}\t{}\t{state}\t{used}", key.prefix, key.name, key.scopes))?;
    }
    Ok(())
}

async fn revoke(line: RevokeLine) -> Result<()> {
    let desk = Desk::open(line.place.database, &line.place.org).await?;
    let mut tx = desk.store.begin().await?;
    keys::revoke(&mut tx, &desk.org, &line.prefix).await.map_err(|refusal| match refusal.code {
        Code::NotFound => {
            anyhow!("there is no key {} in the organisation {}", line.prefix, desk.org.as_str())
        }
        _ => said(refusal),
    })?;
    note(&mut tx, &desk.org, Entry::ok(Action::KeyRevoke).on(line.prefix.clone())).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{} is revoked", line.prefix))
}
