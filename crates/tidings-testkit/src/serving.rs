//! The real binary, started and ended by a test.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// What the server says before its address.
const LISTENING: &str = "listening on http://";

/// A running server; killed with the value.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    addr: SocketAddr,
}

impl Serving {
    /// Starts `tidings serve` in a directory with these flags, and waits until it listens.
    ///
    /// # Panics
    /// If it ends instead; what it said is in the test's output.
    pub fn start(program: &str, place: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(program);
        Self::run(command.env_clear().current_dir(place).arg("serve").args(flags))
    }

    /// Runs a command that becomes such a server, or that has one as its child.
    ///
    /// # Panics
    /// As [`Serving::start`].
    pub fn run(command: &mut Command) -> Self {
        let spawned = command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines()).into_iter().flatten();
        let said = lines.find_map(|line| line.ok()?.trim().strip_prefix(LISTENING).map(str::to_owned));
        let Some(addr) = said.and_then(|said| said.parse().ok()) else {
            panic!("it did not listen: {:?}", child.wait());
        };
        // Nobody reads on, and a full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, addr }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing is flushed, nobody is told. Returns once it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap_or_else(|error| panic!("cannot wait: {error}"))
    }

    fn end(&mut self) {
        // One that is gone already need not be killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to a process.
///
/// # Panics
/// If there is no such process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(sent.as_ref().is_ok_and(ExitStatus::success), "cannot send {name} to {pid}: {sent:?}");
}
