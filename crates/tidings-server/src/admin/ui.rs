//! The stock Admin UI of Socket.IO, which connects to the namespace `/admin` as a client.
//!
//! What it says and hears is its own protocol (`@socket.io/admin-ui` 0.5). An administrator sees and moves the clients of the
//! own organisation there. Nothing reports to it: one task looks, and only while somebody has it open.

mod look;
mod sign_in;
mod watch;
mod wishes;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidings_core::{Code, Refusal, lock};

use crate::client::Client;
use crate::config::{AdminUiConfig, AdminUiMode};
use crate::ids::SocketId;
use crate::shared::Shared;
use look::Seen;
use sign_in::Credential;

pub(crate) use sign_in::enter;

/// Where it connects.
pub(crate) const NAMESPACE: &str = "/admin";

/// Admin UIs that are open at once; another one is refused.
const WATCHERS: usize = 32;

/// Sign-ins that are remembered, so that a page that is loaded again needs no password; the oldest are forgotten.
const SESSIONS: usize = 256;

/// The stock Admin UI, as far as it is open.
pub(crate) struct AdminUi {
    config: AdminUiConfig,
    watchers: Mutex<Vec<Watcher>>,
    sessions: Mutex<Sessions>,
    /// A task looks.
    watching: AtomicBool,
}

/// One who has it open.
#[derive(Clone)]
struct Watcher {
    client: Client,
    /// All clients have been told to it once.
    told: Arc<AtomicBool>,
}

/// Sign-ins by the id that the page keeps, and the order in which they came.
#[derive(Default)]
struct Sessions {
    by_id: HashMap<String, Arc<tokio::sync::Mutex<Credential>>>,
    order: VecDeque<String>,
}

impl AdminUi {
    pub(super) fn new(config: &AdminUiConfig) -> Self {
        Self {
            config: config.clone(),
            watchers: Mutex::default(),
            sessions: Mutex::default(),
            watching: AtomicBool::new(false),
        }
    }

    /// Whether another page may be opened.
    ///
    /// # Errors
    /// `unavailable`
    fn has_room(&self) -> Result<(), Refusal> {
        if lock(&self.watchers).len() < WATCHERS {
            return Ok(());
        }
        Err(Refusal::new(Code::Unavailable, "too many administrators watch"))
    }

    /// Takes in one who has been let in: it is told what there is, and watches from now on.
    pub(crate) fn welcome(&self, shared: &Arc<Shared>, client: Client, session: Option<&str>) {
        let mut watchers = lock(&self.watchers);
        if watchers.len() >= WATCHERS {
            return client.disconnect();
        }
        if let Some(id) = session {
            client.emit("session", vec![json!(id).to_string()], Vec::new());
        }
        let config = json!({ "supportedFeatures": self.features() });
        client.emit("config", vec![config.to_string()], Vec::new());
        watchers.push(Watcher { client, told: Arc::default() });
        drop(watchers);
        watch::begin(shared);
    }

    /// One has gone.
    pub(crate) fn left(&self, socket: &SocketId) {
        lock(&self.watchers).retain(|watcher| watcher.client.seat().1 != *socket);
    }

    /// What the page offers.
    fn features(&self) -> Vec<Value> {
        let mut features = vec!["AGGREGATED_EVENTS"];
        if !self.config.readonly {
            features.extend(["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"]);
        }
        if self.shows_clients() {
            features.push("ALL_EVENTS");
        }
        features.into_iter().map(Value::from).collect()
    }

    fn shows_clients(&self) -> bool {
        self.config.mode == AdminUiMode::Development
    }

    fn watchers(&self) -> Vec<Watcher> {
        lock(&self.watchers).clone()
    }
}

/// What of each organisation was seen last.
type LastSeen = HashMap<tidings_core::Org, Seen>;

impl Sessions {
    /// Remembers a sign-in.
    fn add(&mut self, id: String, credential: Credential) {
        if self.order.len() >= SESSIONS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.by_id.insert(id, Arc::new(tokio::sync::Mutex::new(credential)));
    }
}
