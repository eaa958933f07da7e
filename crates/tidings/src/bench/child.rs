//! A server of our own for the time of a run.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, WaitOptions};
use tidings_core::lock;
use tokio::runtime::Runtime;
use tokio::signal::unix::{self, SignalKind};

use crate::config::{local_secret, random_hex};

/// How long it may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long it may take to leave before it is killed; longer than its drain, which is shortened.
const LEAVE: Duration = Duration::from_secs(10);
/// What it says when it listens.
const LISTENING: &str = "listening on ";

/// Whether the server has been stopped: its process number may be another's by now. Who holds the
/// lock is the one who stops it.
type Over = Arc<Mutex<bool>>;

/// A server that is stopped, and its directory removed, when this is dropped.
pub(crate) struct OwnServer {
    child: Child,
    directory: PathBuf,
    is_over: Over,
    /// Where it listens, as `http://ADDRESS`.
    pub(crate) url: String,
    /// The secret it signs and verifies with.
    pub(crate) secret: String,
}

impl OwnServer {
    /// Starts this program as a server without limits on a free port of 127.0.0.1, with `flags`.
    ///
    /// # Errors
    /// It ends, or does not listen in time.
    pub(crate) fn start(flags: &[&str]) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("tidings-bench-{}", random_hex::<8>()?));
        let secret = local_secret(&directory)?.text;
        // Before the server is started: from here on no signal ends us without it.
        let signals = Signals::new()?;
        let child = spawn(&directory, flags);
        let child = child.inspect_err(|_| drop(std::fs::remove_dir_all(&directory)))?;
        let is_over = Over::default();
        signals.take_along(Pid::from_child(&child), directory.clone(), is_over.clone());
        let mut server = Self { child, directory, is_over, url: String::new(), secret };
        server.url = server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_listens(&mut self) -> Result<String> {
        let out = self.child.stdout.take().context("the server has no output")?;
        let (sender, receiver) = mpsc::channel();
        // The thread reads on to the end, so that the server never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(url) = line.strip_prefix(LISTENING) {
                    sender.send(url.trim().to_owned()).ok();
                }
            }
        });
        match receiver.recv_timeout(START) {
            Ok(url) => Ok(url),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("the server did not listen within {} s", START.as_secs())
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                bail!("the server ended before it listened; see above")
            }
        }
    }

    fn stop(&mut self) {
        let is_over = self.is_over.clone();
        let mut over = lock(&is_over);
        if let Ok(None) = self.child.try_wait() {
            // It may end in between; then there is nothing left to stop.
            rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM).ok();
            let (sender, receiver) = mpsc::channel::<()>();
            let pid = Pid::from_child(&self.child);
            let watchdog = std::thread::spawn(move || {
                if receiver.recv_timeout(LEAVE) == Err(mpsc::RecvTimeoutError::Timeout) {
                    rustix::process::kill_process(pid, Signal::KILL).ok();
                }
            });
            self.child.wait().ok();
            drop(sender);
            watchdog.join().ok();
        }
        *over = true;
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// The signals that tell a run to end.
struct Signals {
    runtime: Runtime,
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (unix::signal(SignalKind::interrupt())?, unix::signal(SignalKind::terminate())?)
        };
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Ends the server and removes its directory when one comes, and then this process.
    fn take_along(mut self, server: Pid, directory: PathBuf, is_over: Over) {
        std::thread::spawn(move || {
            let number = self.runtime.block_on(async {
                tokio::select! {
                    _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
                    _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
                }
            });
            // Held to the end: the run, which will fail now, waits for it and gets no word in.
            let over = lock(&is_over);
            if !*over {
                rustix::process::kill_process(server, Signal::KILL).ok();
                // Only what has ended writes nothing more into the directory.
                rustix::process::waitpid(Some(server), WaitOptions::empty()).ok();
                std::fs::remove_dir_all(&directory).ok();
            }
            // As a shell reports a program that a signal ended.
            std::process::exit(128 + number);
        });
    }
}

/// Nothing of our own configuration may reach it: the run must be the same everywhere.
fn spawn(directory: &std::path::Path, flags: &[&str]) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("TIDINGS_")
            || ["PORT", "WS_PORT", "JWT_SECRET", "JWT_SECRET_FILE"].contains(&name.as_ref())
    });
    ours.for_each(|name| {
        command.env_remove(name);
    });
    command
        .current_dir(directory)
        .args(["serve", "--listen", "127.0.0.1:0", "--no-limits", "--data-dir"])
        .arg(directory)
        .args(["--log-filter", "warn", "--drain-seconds", "1", "--host-publish=false"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a server")
}
