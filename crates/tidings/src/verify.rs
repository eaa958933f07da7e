//! `tidings verify`: whether what is stored is what was stored.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use tidings_store::audit::Head;
use tidings_store::{Digest, StoreOptions};
use tidings_trading::export;

use crate::config::{self, DatabaseFlags};
use crate::{output, records};

/// `tidings verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Checks the chain of the audit log; exits with 1 at the first entry that does not hold.
    Audit(AuditLine),
    /// Computes a trading room from its export, and exits with 1 if its standings are not what its journal comes to.
    Room(RoomLine),
}

#[derive(Debug, Args)]
struct RoomLine {
    /// The export, as `/api/trading/rooms/ID/export` gives it; its parts one behind the other.
    file: PathBuf,
}

#[derive(Debug, Args)]
struct AuditLine {
    /// A head this command printed before, NUMBER:HASH; the log has to hold it still.
    #[arg(long, value_name = "HEAD", value_parser = head)]
    head: Option<Head>,
    #[command(flatten)]
    database: DatabaseFlags,
}

/// Checks what was asked for.
///
/// # Errors
/// What does not hold, or why it could not be checked.
pub(crate) fn run(line: VerifyLine) -> Result<()> {
    let line = match line.what {
        What::Room(line) => return room(&line.file),
        What::Audit(line) => line,
    };
    let url = config::database_url(&config::resolve(&line.database.inputs())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(audit(&url.text, line.head))
}

async fn audit(url: &str, known: Option<Head>) -> Result<()> {
    // A new file would hold: in the wrong directory that is no answer.
    let store = records::open(url, StoreOptions { create: false, ..StoreOptions::default() }).await?;
    let verdict = store.verify_audit(known).await;
    store.close().await;
    match verdict? {
        Ok(checked) => {
            output::line(&format!("{} entries hold", checked.count))?;
            if checked.anchor.seq > 0 {
                output::line(&format!("retention took away those up to {}", checked.anchor.seq))?;
            }
            output::line(&format!("head {}:{}", checked.head.seq, checked.head.hash))
        }
        Err(broken) => bail!("the audit log does not hold: {broken}"),
    }
}

/// Needs neither server nor database: whoever has the file checks it.
fn room(file: &Path) -> Result<()> {
    let reader = BufReader::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?);
    let mut unread = None;
    let lines = reader.split(b'\n').map_while(|line| {
        let line = line.and_then(|line| String::from_utf8(line).map_err(std::io::Error::other));
        line.map_err(|error| unread = Some(error)).ok()
    });
    let verdict = export::verify(lines);
    if let Some(error) = unread {
        bail!("cannot read {}: {error}", file.display());
    }
    let room = verdict.with_context(|| format!("{} does not hold", file.display()))?;
    output::line(&format!("{} entries of the room {} hold", room.seq(), room.id()))?;
    output::line(&format!("chain {}", room.chain()))?;
    output::line(&format!("digest {}", room.digest()))?;
    room.standings().iter().try_for_each(|row| {
        output::line(&format!("{} {} {} {}", row.rank, row.user_id, row.value, row.portfolio_value))
    })
}

fn head(text: &str) -> Result<Head, String> {
    let parts =
        text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, Digest::from_hex(hash)?)));
    parts
        .map(|(seq, hash)| Head { seq, hash })
        .ok_or_else(|| "a head is a number, a colon and 64 hexadecimal digits".to_owned())
}
