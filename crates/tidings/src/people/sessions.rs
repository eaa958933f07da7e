//! `tidings user sessions`: when somebody was connected, from where, and how it ended.

use anyhow::{Result, bail};
use clap::Args;
use tidings_server::time::iso8601;
use tidings_store::Reader;
use tidings_store::sessions::Session;

use super::Desk;
use crate::config::DatabaseFlags;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct SessionsLine {
    /// The user's id, or the e-mail address of an account.
    #[arg(value_name = "ID")]
    user: String,
    /// The newest so many, 1,000 at most.
    #[arg(
        short = 'n', value_name = "COUNT", default_value_t = 50, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    count: u32,
    /// The organisation.
    #[arg(long, default_value = "default")]
    org: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Prints one line for each session, the newest first.
///
/// # Errors
/// There is nobody of that name.
pub(super) async fn sessions(line: SessionsLine) -> Result<()> {
    let desk = Desk::open(line.database, &line.org).await?;
    let mut records = desk.store.read().await?;
    let account = records.user_by_email(&desk.org, &line.user).await?.map(|user| user.id);
    let user = account.as_deref().unwrap_or(&line.user);
    let found = records.sessions(&desk.org, user, None, line.count).await?;
    if found.is_empty() && account.is_none() && !is_user(&mut records, &desk, user).await? {
        bail!("there is no {user} in the organisation {}", desk.org.as_str());
    }
    found.iter().try_for_each(|session| output::line(&shown(session)))
}

async fn is_user(records: &mut Reader, desk: &Desk, id: &str) -> Result<bool> {
    Ok(records.user(&desk.org, id).await?.is_some())
}

fn shown(session: &Session) -> String {
    let Session { digest, node, door, address, created_ms, seen_ms, ended, .. } = session;
    let (id, begun, seen) = (digest.short(), iso8601(*created_ms), iso8601(*seen_ms));
    let end = match ended {
        Some((ms, cause)) => format!("until {}\t{cause}", iso8601(*ms)),
        None => "open".to_owned(),
    };
    format!("{id}\t{begun}\t{door}\t{address}\t{node}\tseen {seen}\t{end}")
}
