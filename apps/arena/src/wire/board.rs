//! Boards and windows: what is said and heard on `/leaderboard`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidings_app::{Command, Event, Invalid, Requires, Rule, Text, Whole};

use super::Id;

/// Which board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScopeKind {
    /// Everybody of the organisation.
    Global,
    /// Those of one country.
    Country,
    /// Those of one session.
    Session,
}

/// Where a board is, as every event about one says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Where {
    /// Which kind of board.
    pub scope: ScopeKind,
    /// The country's code, of a country's board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The session, of a session's board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// A place on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Who.
    pub player_id: String,
    /// By which name.
    pub display_name: String,
    /// The rating, in points.
    pub elo_rating: i64,
    /// The place, counted from 1.
    pub rank: u32,
    /// The country's code, if one is known.
    pub country: Option<String>,
}

/// What clients say on `/leaderboard`.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum BoardSay {
    /// Hears a board, or a window of it.
    #[serde(rename = "subscribe")]
    Subscribe(BoardWish),
    /// Hears it no more.
    #[serde(rename = "unsubscribe")]
    Unsubscribe(BoardWish),
}

/// Which board, and which part of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoardWish {
    /// Which kind of board.
    pub scope: ScopeKind,
    /// The country's code (two letters), of a country's board.
    pub country: Option<Text<2, 2>>,
    /// The session, of a session's board.
    pub session_id: Option<Id>,
    /// A window instead of the whole board.
    pub window: Option<WindowWish>,
}

/// A part of a board that is kept live.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowWish {
    /// Which part.
    pub kind: WindowKind,
    /// How many from the top (`top`).
    pub size: Option<Whole<1, 100>>,
    /// How many on each side of oneself (`around`).
    pub k: Option<Whole<1, 50>>,
    /// Milliseconds between two messages at least: 250, 1000 (if not said), 5000 or 60000.
    pub every_ms: Option<u32>,
}

/// Which part of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WindowKind {
    /// The first.
    Top,
    /// Those around oneself.
    Around,
    /// Oneself and one's friends.
    Friends,
}

impl Command for BoardSay {
    const RULES: &'static [Requires] =
        &[Requires::new("subscribe", Rule::SignedIn), Requires::new("unsubscribe", Rule::SignedIn)];

    fn check(&self) -> Result<(), Invalid> {
        let (Self::Subscribe(wish) | Self::Unsubscribe(wish)) = self;
        let (country, session) = (wish.country.is_some(), wish.session_id.is_some());
        match wish.scope {
            ScopeKind::Country if !country => Err(Invalid::new("country", "is needed for this scope")),
            ScopeKind::Session if !session => Err(Invalid::new("sessionId", "is needed for this scope")),
            ScopeKind::Global if country => Err(Invalid::new("country", "is not of this scope")),
            ScopeKind::Global if session => Err(Invalid::new("sessionId", "is not of this scope")),
            ScopeKind::Country if session => Err(Invalid::new("sessionId", "is not of this scope")),
            ScopeKind::Session if country => Err(Invalid::new("country", "is not of this scope")),
            _ => wish.window.as_ref().map_or(Ok(()), WindowWish::check),
        }
    }
}

/// The paces one may choose.
pub const PACES_MS: [u32; 4] = [250, 1_000, 5_000, 60_000];

impl WindowWish {
    fn check(&self) -> Result<(), Invalid> {
        if self.every_ms.is_some_and(|every| !PACES_MS.contains(&every)) {
            return Err(Invalid::new("window.everyMs", "is one of 250, 1000, 5000, 60000"));
        }
        match (self.kind, self.size, self.k) {
            (WindowKind::Top, None, _) => Err(Invalid::new("window.size", "is needed for `top`")),
            (WindowKind::Around, _, None) => Err(Invalid::new("window.k", "is needed for `around`")),
            (WindowKind::Top, _, Some(_)) | (WindowKind::Friends, _, Some(_)) => {
                Err(Invalid::new("window.k", "is for `around`"))
            }
            (WindowKind::Around | WindowKind::Friends, Some(_), _) => {
                Err(Invalid::new("window.size", "is for `top`"))
            }
            _ => Ok(()),
        }
    }
}

/// What is answered to a subscription.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BoardReply {
    /// The room one is in, or was.
    pub room: String,
    /// How it stands; of those who leave nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<BoardSnapshot>,
}

/// How a board or a window stands: what was told of it last.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BoardSnapshot {
    /// Which board.
    #[serde(flatten)]
    pub place: Where,
    /// How many are on the board.
    pub total: u32,
    /// Those that are shown, the best first.
    pub entries: Vec<Entry>,
}

/// What is heard in `leaderboard:…` and `window:…`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub enum BoardEvent {
    /// Somebody's place has changed by a result of his own, a correction, or his own doing.
    #[serde(rename = "rankChange")]
    RankChange(RankChange),
    /// The top of the board has changed; at most once a second.
    #[serde(rename = "leaderboardUpdate")]
    Update(BoardUpdate),
    /// Somebody has come onto the board.
    #[serde(rename = "playerJoined")]
    Joined(OnBoard),
    /// Somebody has left it.
    #[serde(rename = "playerLeft")]
    Left(OnBoard),
    /// A window has changed; at its own pace.
    #[serde(rename = "windowUpdate")]
    Window(WindowUpdate),
}

impl Event for BoardEvent {}

/// Somebody's place has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RankChange {
    /// Who.
    pub player_id: String,
    /// The place before; null for somebody who was not there.
    pub old_rank: Option<u32>,
    /// The place after.
    pub new_rank: Option<u32>,
    /// By how many points the rating has changed.
    pub elo_change: i64,
    /// On which board.
    #[serde(flatten)]
    pub place: Where,
}

/// The top of a board.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BoardUpdate {
    /// Which board.
    #[serde(flatten)]
    pub place: Where,
    /// The whole top, the best first.
    pub entries: Vec<Entry>,
    /// Whose place has changed since the last of these messages.
    pub diff: Vec<Step>,
}

/// A changed place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Whose.
    pub player_id: String,
    /// Places up, or down if negative; 0 for somebody who was not in the top before.
    pub moved: i64,
    /// The place before; null for somebody who was not in the top before.
    pub old_rank: Option<u32>,
}

/// Somebody comes or goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnBoard {
    /// Who.
    pub player_id: String,
    /// By which name.
    pub display_name: String,
    /// The rating.
    pub elo_rating: i64,
    /// Which board.
    #[serde(flatten)]
    pub place: Where,
}

/// What has changed in a window; applying it twice is harmless.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowUpdate {
    /// The room.
    pub window: String,
    /// Which board.
    #[serde(flatten)]
    pub place: Where,
    /// How many are on the board.
    pub total: u32,
    /// Who has come into the window.
    pub enter: Vec<Entry>,
    /// Who has left it.
    pub leave: Vec<String>,
    /// Who stands elsewhere in it, has another rating, or is shown otherwise.
    #[serde(rename = "move")]
    pub moved: Vec<Shift>,
}

/// Somebody stands elsewhere, or where it was before with another rating, name or country.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Who.
    pub player_id: String,
    /// The place before.
    pub from: u32,
    /// The place now.
    pub to: u32,
    /// The rating now.
    pub elo_rating: i64,
    /// How the player is shown from now on, if that is another name or country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
}

/// How somebody is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    /// By which name.
    pub display_name: String,
    /// The country's code; null for none.
    pub country: Option<String>,
}
