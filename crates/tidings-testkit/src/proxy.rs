//! A proxy that spoils connections on purpose: it stands between a client and a server, on loopback.
//!
//! What it does is set for each direction and holds for all connections from then on. Chance comes from a
//! seed; what was done to whom is in a journal.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod pump;
#[cfg(test)]
mod tests;

use pump::Pump;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both ends hear that nothing more comes.
    Fin,
    /// Both ends are reset; what was on its way is lost.
    Rst,
}

/// What is done to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Pass,
    /// Every piece comes so many milliseconds later, and up to `jitter_ms` more by chance; in order.
    Delay {
        /// At least.
        ms: u64,
        /// By chance on top.
        jitter_ms: u64,
    },
    /// So many bytes a second.
    Throttle(u64),
    /// Nothing is read any more, so that the sender is held up.
    Stall,
    /// Everything is read and thrown away, so that the sender notices nothing.
    Blackhole,
    /// The whole connection is cut at once.
    Cut(End),
    /// After so many more bytes the whole connection is cut; they are counted for each connection from
    /// the moment this was set. After none: when the first byte comes.
    CutAfter(u64, End),
    /// The receiver hears that nothing more comes in this direction; the other one goes on.
    HalfClose,
    /// Pieces of so many bytes, each written by itself.
    Slice(usize),
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The connection, counted from 0.
    pub connection: usize,
    /// In which direction.
    pub way: Way,
    /// What.
    pub what: &'static str,
    /// How many bytes it was about.
    pub bytes: u64,
}

/// What all connections of a proxy share.
struct Rules {
    target: Mutex<SocketAddr>,
    up: watch::Sender<Fault>,
    down: watch::Sender<Fault>,
    refusing: AtomicBool,
    accepted: AtomicUsize,
    seed: u64,
    journal: Mutex<Vec<Done>>,
}

impl Rules {
    fn note(&self, connection: usize, way: Way, what: &'static str, bytes: u64) {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.push(Done { connection, way, what, bytes });
    }
}

/// A running proxy; its connections end with it.
pub struct Proxy {
    addr: SocketAddr,
    rules: Arc<Rules>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before `target`, on a free port.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn start(target: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let rules = Arc::new(Rules {
            target: Mutex::new(target),
            up: watch::Sender::new(Fault::Pass),
            down: watch::Sender::new(Fault::Pass),
            refusing: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            seed,
            journal: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, rules.clone()));
        Ok(Self { addr, rules, accepting })
    }

    /// Where clients connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Leads new connections to another server.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.rules.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Does this to all bytes of a direction from now on, those of open connections included.
    pub fn set(&self, way: Way, fault: Fault) {
        match way {
            Way::Up => self.rules.up.send_replace(fault),
            Way::Down => self.rules.down.send_replace(fault),
        };
    }

    /// New connections are reset at once, or taken again.
    pub fn refuse(&self, yes: bool) {
        self.rules.refusing.store(yes, Ordering::SeqCst);
    }

    /// How many connections were taken.
    pub fn accepted(&self) -> usize {
        self.rules.accepted.load(Ordering::SeqCst)
    }

    /// What was done so far: refusals, cuts, half-closes, bytes thrown away.
    pub fn journal(&self) -> Vec<Done> {
        self.rules.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Open connections end as well, rather than living as long as the test's runtime.
        self.set(Way::Up, Fault::Cut(End::Rst));
    }
}

async fn accept(listener: TcpListener, rules: Arc<Rules>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let connection = rules.accepted.fetch_add(1, Ordering::SeqCst);
        if rules.refusing.load(Ordering::SeqCst) {
            // If it cannot be reset it is closed.
            client.set_zero_linger().ok();
            rules.note(connection, Way::Up, "refused", 0);
            continue;
        }
        tokio::spawn(connect(client, connection, rules.clone()));
    }
}

/// The longest a server may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

async fn connect(client: TcpStream, connection: usize, rules: Arc<Rules>) {
    let target = *rules.target.lock().unwrap_or_else(PoisonError::into_inner);
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(target)).await;
    let Ok(Ok(server)) = connected else {
        client.set_zero_linger().ok();
        return rules.note(connection, Way::Up, "no server", 0);
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = Arc::new(watch::Sender::new(None));
    let up = Pump::new(from_client, to_server, Way::Up, connection, &rules, &cut);
    let down = Pump::new(from_server, to_client, Way::Down, connection, &rules, &cut);
    tokio::join!(up.run(), down.run());
}
