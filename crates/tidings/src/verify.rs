//! `tidings verify`: whether what is stored is what was stored.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use tidings_store::audit::Head;
use tidings_store::{Digest, StoreOptions};

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
    let What::Audit(line) = line.what;
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

fn head(text: &str) -> Result<Head, String> {
    let parts =
        text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, Digest::from_hex(hash)?)));
    parts
        .map(|(seq, hash)| Head { seq, hash })
        .ok_or_else(|| "a head is a number, a colon and 64 hexadecimal digits".to_owned())
}
