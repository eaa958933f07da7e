//! `tidings audit`: the audit log of the configured database, one line of JSON for each entry.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use tidings_core::Org;
use tidings_server::audit::{self, Action, Outcome};
use tidings_store::audit::{AuditFilter, Recorded};
use tidings_store::{Store, StoreOptions};

use crate::config::{self, DatabaseFlags};
use crate::{output, records};

/// How often a followed log is looked at.
const PACE: Duration = Duration::from_millis(500);
/// Entries that are read at once.
const PAGE: u32 = 500;

/// `tidings audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditLine {
    /// The newest entries, so many of them, 100,000 at most.
    #[arg(
        long, short = 'n', value_name = "COUNT", default_value_t = 20, allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    last: u32,
    /// Goes on with what is written from now on.
    #[arg(long, short)]
    follow: bool,
    /// Of one organisation alone.
    #[arg(long)]
    org: Option<String>,
    /// By this actor: a user's id, the prefix of a key, or an account of this machine.
    #[arg(long)]
    actor: Option<String>,
    /// Of this action, such as `login` or `threat`; what is none is refused with the list of all.
    #[arg(long, value_parser = words(Action::ALL.map(Action::as_str)), hide_possible_values = true)]
    action: Option<String>,
    /// With this result.
    #[arg(long, value_parser = words(Outcome::ALL.map(Outcome::as_str)))]
    result: Option<String>,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Takes nothing but these words: any other would be looked for, and never found.
fn words<const N: usize>(words: [&'static str; N]) -> PossibleValuesParser {
    PossibleValuesParser::new(words)
}

/// Which entries, and for how long.
#[derive(Debug)]
struct Wanted {
    last: u32,
    follow: bool,
    org: Option<Org>,
    filter: AuditFilter,
}

/// Prints entries, the oldest first.
///
/// # Errors
/// Why they cannot be read.
pub(crate) fn run(line: AuditLine) -> Result<()> {
    let url = config::database_url(&config::resolve(&line.database.inputs())?)?;
    let AuditLine { last, follow, org, actor, action, result, .. } = line;
    let filter = AuditFilter { actor, action, result, ..AuditFilter::default() };
    let wanted = Wanted { last, follow, org: org.as_deref().map(Org::new), filter };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = StoreOptions { create: false, ..StoreOptions::default() };
        let store = records::open(&url.text, options).await?;
        let printed = print(&store, &wanted).await;
        store.close().await;
        printed
    })
}

async fn print(store: &Store, wanted: &Wanted) -> Result<()> {
    let mut seen = write(newest(store, wanted, 0, wanted.last).await?)?;
    if wanted.follow && wanted.last == 0 {
        seen = newest(store, wanted, 0, 1).await?.last().map_or(0, |recorded| recorded.seq);
    }
    if !wanted.follow {
        return Ok(());
    }
    loop {
        tokio::time::sleep(PACE).await;
        seen = seen.max(write(newest(store, wanted, seen, u32::MAX).await?)?);
    }
}

/// The newest entries after `after`, at most `most`, the oldest first.
async fn newest(store: &Store, wanted: &Wanted, after: u64, most: u32) -> Result<Vec<Recorded>> {
    let mut filter = wanted.filter.clone();
    let mut reader = store.read().await?;
    let mut found = Vec::new();
    loop {
        let limit = PAGE.min(most - (found.len() as u32).min(most));
        let page = match &wanted.org {
            _ if limit == 0 => break,
            Some(org) => reader.audit(org, &filter, limit).await?,
            None => reader.audit_of_all(&filter, limit).await?,
        };
        let whole = page.len() == limit as usize;
        filter.before_seq = page.last().map(|last| last.seq);
        let fresh = page.iter().take_while(|recorded| recorded.seq > after).count();
        let ends = fresh < page.len() || !whole;
        found.extend(page.into_iter().take(fresh));
        if ends {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// Prints entries; answers the number of the last one, or 0.
fn write(entries: Vec<Recorded>) -> Result<u64> {
    for recorded in &entries {
        output::line(&text(recorded))?;
    }
    Ok(entries.last().map_or(0, |last| last.seq))
}

fn text(recorded: &Recorded) -> String {
    let mut shown = audit::members(&recorded.entry);
    shown.insert("seq".into(), recorded.seq.into());
    audit::line(shown)
}
