//! A password, asked for without showing it, or read from standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tidings_server::accounts::input::PASSWORD_BYTES;

use crate::output;

/// Asks twice at a terminal; else reads one line.
///
/// # Errors
/// Nothing was given, or two different passwords.
pub(crate) fn password() -> Result<String> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let _shown = Hidden::new()?;
    output::note("Password:");
    let first = line()?;
    output::note("The same again:");
    if line()? != first {
        bail!("the two are not the same");
    }
    Ok(first)
}

fn line() -> Result<String> {
    let mut text = String::new();
    let most = PASSWORD_BYTES as u64 + 3;
    io::stdin().lock().take(most).read_line(&mut text).context("the password cannot be read")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("no password was given");
    }
    Ok(text.to_owned())
}

/// The terminal shows nothing that is typed until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).is_err() {
            output::note("tidings: the terminal may not show what is typed; `stty echo` helps");
        }
    }
}
