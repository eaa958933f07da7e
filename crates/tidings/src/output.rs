//! The only place that writes to the terminal.

use std::io::{self, Write as _};

use anyhow::Result;

/// Writes one line to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Writes one line to standard error; there is nobody to tell if that fails.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Writes an error and its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("tidings: {error:#}"));
}

/// Whether the error is that nobody reads our output any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
