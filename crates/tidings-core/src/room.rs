//! A room's name and its policy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::access::Rule;
use crate::lane::Lane;
use crate::limits::OwnRate;
use crate::pace::Pacing;

/// An organisation: the border no room, user, event or count crosses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Org(Arc<str>);

impl Org {
    /// The organisation of tokens that name none.
    pub const DEFAULT: &'static str = "default";

    /// Takes an organisation's name as it stands in a verified token or in the configuration.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Org {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// A room: organisation and name as one value that nobody can glue together by hand.
///
/// The name is `kind:id` or `kind:sub:id`; cloning counts a reference. A name alone is no room:
///
/// ```compile_fail,E0061
/// tidings_core::Room::new("lobby:1", 200);
/// ```
///
/// ```compile_fail,E0277
/// let room: tidings_core::Room = "acme/lobby:1".into();
/// ```
#[derive(Clone)]
pub struct Room(Arc<RoomName>);

struct RoomName {
    org: Org,
    name: Box<str>,
}

impl Room {
    /// Builds the room `name` of `org`.
    ///
    /// # Errors
    /// [`BadRoomName`] if the name is empty, longer than `max_bytes`, has no kind before a first
    /// colon with something behind it, or holds a control character.
    pub fn new(org: &Org, name: &str, max_bytes: usize) -> Result<Self, BadRoomName> {
        let well_formed = name.len() <= max_bytes
            && matches!(name.split_once(':'), Some((kind, id)) if !kind.is_empty() && !id.is_empty())
            && !name.chars().any(char::is_control);
        if !well_formed {
            return Err(BadRoomName);
        }
        Ok(Self(Arc::new(RoomName { org: org.clone(), name: name.into() })))
    }

    /// The personal room of a user.
    pub fn of_user(org: &Org, user: &str) -> Self {
        Self(Arc::new(RoomName { org: org.clone(), name: format!("user:{user}").into() }))
    }

    /// The name under which everybody of an organisation is spoken to; nobody can join it.
    pub fn of_everybody(org: &Org) -> Self {
        Self(Arc::new(RoomName { org: org.clone(), name: format!("org:{}", org.as_str()).into() }))
    }

    /// The organisation.
    pub fn org(&self) -> &Org {
        &self.0.org
    }

    /// The whole name, as on the wire.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The word before the first colon.
    pub fn kind(&self) -> &str {
        self.name().split_once(':').map_or(self.name(), |(kind, _)| kind)
    }

    /// What stands behind the first colon.
    pub fn id(&self) -> &str {
        self.name().split_once(':').map_or("", |(_, id)| id)
    }
}

impl PartialEq for Room {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.name() == other.name() && self.org() == other.org())
    }
}

impl Eq for Room {}

impl Hash for Room {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // `str` hashes end with a byte that no UTF-8 text holds, so the two cannot run together.
        self.org().as_str().hash(state);
        self.name().hash(state);
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({}/{})", self.org().as_str(), self.name())
    }
}

/// A room name that cannot be one: empty, too long, without a kind, or with control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a room is named kind:id, printable and not too long")]
pub struct BadRoomName;

/// What a room keeps of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: at most once, never replayed.
    Nothing,
    /// The newest events in memory.
    Recent {
        /// How many events.
        size: usize,
        /// How long each is kept.
        ttl: Duration,
        /// How many bytes all of them take together; the newest is kept whatever it takes.
        bytes: usize,
    },
    /// The newest events in the log: what is acknowledged is stored. As many of them as fit are in memory where
    /// somebody needs the room.
    Durable {
        /// How many events.
        size: usize,
        /// How long each is kept.
        ttl: Duration,
        /// How many bytes of them are in memory together; the newest is there whatever it takes.
        bytes: usize,
        /// How many bytes of them the log keeps.
        log_bytes: u64,
    },
}

impl Keep {
    /// How many events are kept, how long, and how many bytes of them; `None` if none are.
    pub fn bounds(self) -> Option<(usize, Duration, usize)> {
        match self {
            Self::Nothing => None,
            Self::Recent { size, ttl, bytes } | Self::Durable { size, ttl, bytes, .. } => {
                Some((size, ttl, bytes))
            }
        }
    }

    /// Whether events go through the log.
    pub fn is_durable(self) -> bool {
        matches!(self, Self::Durable { .. })
    }
}

/// What members of a room are shown of each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Roll {
    /// Nothing by itself; who asks is told, at the cost of a walk over all members.
    #[default]
    Off,
    /// How many there are.
    Counts,
    /// Who they are.
    Members {
        /// Up to so many users a newcomer gets the whole list.
        full: usize,
        /// Up to so many users each is told who comes and goes; beyond that the counts, and pages to
        /// whoever asks.
        deltas: usize,
    },
}

impl Roll {
    /// Whether a roster is kept.
    pub const fn is_on(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Up to how many users a newcomer gets the whole list; 0: never.
    pub const fn full(self) -> usize {
        if let Self::Members { full, .. } = self { full } else { 0 }
    }

    /// Up to how many users each is told who comes and goes; 0: never.
    pub const fn deltas(self) -> usize {
        if let Self::Members { deltas, .. } = self { deltas } else { 0 }
    }
}

/// A room's policy, from the configuration of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSpec {
    /// Who may subscribe.
    pub subscribe: Rule,
    /// Who may publish.
    pub publish: Rule,
    /// Who may read the history.
    pub history: Rule,
    /// Who may read presence and counts.
    pub presence: Rule,
    /// What members are shown of each other, by that right.
    pub roll: Roll,
    /// What is kept.
    pub keep: Keep,
    /// The lane of its events where the publisher names none.
    pub lane: Lane,
    /// Members at most on this node; `None` is without a limit.
    pub members: Option<usize>,
    /// Bytes of one event's data; `None` leaves it to the message limit.
    pub message_bytes: Option<usize>,
    /// How often one user may publish to rooms of this kind; `None`: what is set for all.
    pub publish_rate: Option<OwnRate>,
    /// How its events are paced; `None`: all come through at once.
    pub pacing: Option<Pacing>,
    /// Of objects only what has changed is sent to who heard what was said before, and all of it every so-many-th
    /// time of one name and slot; `None`: always all of it.
    pub diff: Option<u32>,
}
