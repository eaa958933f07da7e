//! Stock Socket.IO clients: one or more Node processes, each with a crowd of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tidings_testkit::client::PATIENCE;
use tidings_testkit::history::{ClientId, History, RoomId};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use super::Run;
use super::plan::Plan;
use crate::bed::ORG;

/// The key of the server and of the clients' tokens.
pub(crate) const SECRET: &str = "the key of the rounds, of more than 32 bytes";

/// Clients of one process.
const A_PROCESS: u64 = 1_000;

/// A line of a crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Ready,
    Heard { client: u64, message: u64 },
    Back { client: u64, recovered: bool },
    Gap { client: u64 },
}

/// All stock clients of a run.
pub(crate) struct Stock {
    lines: mpsc::UnboundedReceiver<Line>,
    count: u64,
    rooms: u64,
    /// What each has heard, in its order.
    heard: Vec<Vec<u64>>,
    times: HashMap<u64, Duration>,
    pub(crate) recovered: u64,
    pub(crate) fresh: u64,
    pub(crate) gaps: u64,
    /// Processes; they end with their standard input.
    _crowds: Vec<tokio::process::Child>,
    ids: Vec<(ClientId, RoomId)>,
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// How many there can be: none where their library is not installed.
fn possible(wanted: u64) -> u64 {
    if wanted == 0 || conformance().join("node_modules/socket.io-client").exists() {
        return wanted;
    }
    assert!(
        std::env::var("STOCK_CLIENTS").is_err(),
        "socket.io-client is not installed: `make test` does that"
    );
    eprintln!("\n*** NOT PROVED: socket.io-client is not installed, so no stock client was there ***\n");
    0
}

fn token() -> String {
    let expires = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 24 * 3_600;
    let claims = json!({"sub": "crowd", "exp": expires});
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

impl Stock {
    /// Has all of them subscribe.
    pub(crate) async fn enter(run: &Run) -> Self {
        let count = possible(run.plan.stock);
        let (tell, lines) = mpsc::unbounded_channel();
        let firsts = (0..count).step_by(A_PROCESS as usize);
        let crowds: Vec<_> =
            firsts.map(|first| crowd(run, first, A_PROCESS.min(count - first), tell.clone())).collect();
        let heard = vec![Vec::new(); count as usize];
        let (times, rooms, waiting) = (HashMap::new(), run.plan.rooms, crowds.len());
        let ids = Vec::new();
        let mut stock =
            Self { lines, count, rooms, heard, times, recovered: 0, fresh: 0, gaps: 0, _crowds: crowds, ids };
        for _ in 0..waiting {
            while stock.next().await != Line::Ready {}
        }
        stock.subscribe(run);
        stock
    }

    /// All of them have begun before anything was published.
    fn subscribe(&mut self, run: &Run) {
        let mut history = run.history.lock().unwrap();
        for number in 0..self.count {
            let client = history.client(ORG);
            let room = history.room(ORG, &Plan::room(number % self.rooms));
            self.ids.push((client, room));
        }
    }

    async fn next(&mut self) -> Line {
        let line =
            tokio::time::timeout(3 * PATIENCE, self.lines.recv()).await.expect("nothing from stock clients");
        let line = line.expect("a crowd has ended");
        match line {
            Line::Heard { client, message } => self.heard[client as usize].push(message),
            Line::Gap { .. } => self.gaps += 1,
            Line::Back { recovered: true, .. } => self.recovered += 1,
            Line::Back { .. } => self.fresh += 1,
            Line::Ready => {}
        }
        line
    }

    /// Waits until everybody is back, and says after how long each was.
    pub(crate) async fn back(&mut self) -> Vec<Duration> {
        let start = Instant::now();
        self.times.clear();
        while (self.times.len() as u64) < self.count {
            if let Line::Back { client, .. } = self.next().await {
                self.times.entry(client).or_insert_with(|| start.elapsed());
            }
        }
        self.times.values().copied().collect()
    }

    /// Waits until everybody has heard the last message of its room.
    pub(crate) async fn finish(&mut self, tops: &[Option<(u64, u64)>]) {
        let last = |client: usize| tops[client % self.rooms as usize].map(|(_, message)| message);
        let ends: Vec<_> = (0..self.count as usize).map(last).collect();
        let mut waiting: Vec<usize> = (0..self.count as usize).collect();
        loop {
            waiting.retain(|client| self.heard[*client].last() != ends[*client].as_ref());
            if waiting.is_empty() {
                return;
            }
            self.next().await;
        }
    }

    /// Tells the history what they heard. Socket.IO's events do not say where they stand, but their publishers know.
    pub(crate) fn tell(&mut self, history: &mut History) {
        for ((client, room), heard) in self.ids.iter().zip(&self.heard) {
            let Some(end) = history.top_acked(*room) else { continue };
            // They had subscribed before the first message of their room.
            history.subscribed(*client, *room, tidings_testkit::history::At { offset: 0, ..end });
            for message in heard {
                let at = history.place_of(*message);
                history.received(*client, *room, *message, at);
            }
        }
    }
}

fn crowd(run: &Run, first: u64, count: u64, tell: mpsc::UnboundedSender<Line>) -> tokio::process::Child {
    let mut command = tokio::process::Command::new("node");
    let url = format!("http://{}", run.addr);
    command.current_dir(conformance()).args(["--import", "tsx", "rounds/crowd.ts", &url]);
    command.args([count.to_string(), run.plan.rooms.to_string(), token(), first.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("node runs");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            // The run may be over.
            let _ = tell.send(read(&line).unwrap_or_else(|| panic!("a crowd says {line}")));
        }
    });
    child
}

fn read(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let kind = words.next()?;
    let mut number = || words.next()?.parse::<u64>().ok();
    Some(match kind {
        "r" => Line::Ready,
        "e" => Line::Heard { client: number()?, message: number()? },
        "b" => Line::Back { client: number()?, recovered: number()? == 1 },
        "g" => Line::Gap { client: number()? },
        _ => return None,
    })
}
