//! The only place that writes to the terminal.

use std::io::{self, Write as _};

use tidings_server::accounts::input::hides;

use anyhow::Result;

/// Writes text of one line or more to standard output; what others wrote in it does not steer the terminal.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn line(text: &str) -> Result<()> {
    painted(&harmless(text, &['\n', '\t']))
}

/// The same as it is: with colours of our own, and parts of others that are [`harmless`].
///
/// # Errors
/// Standard output is closed.
pub(crate) fn painted(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// The same to standard error; there is nobody to tell if that fails.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{}", harmless(text, &['\n', '\t'])).ok();
}

/// A text in which what nobody sees, but for some, is written as JSON writes it, where that says the same.
pub(crate) fn harmless(text: &str, but: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // All of these are a single unit of UTF-16.
        if hides(c) && !but.contains(&c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes an error and its causes to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("tidings: {error:#}"));
}

/// Whether the error is that nobody reads our output any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_nobody_sees_is_written_so_that_json_stays_what_it_was() {
        let said = "\u{1b}[2J \u{9b}31m\u{7f} \u{202e}abc\u{2066} \u{200b}\n\t\r é 👩‍🚀";
        let json = serde_json::to_string_pretty(&serde_json::json!({ "said": said })).unwrap();
        let shown = harmless(&json, &['\n', '\t']);
        assert!(!shown.chars().any(|c| hides(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["said"], said);
        assert_eq!(harmless("a\n\u{9b}b\tc", &[]), "a\\u000a\\u009bb\\u0009c");
    }
}
