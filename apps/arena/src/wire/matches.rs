//! Matches: what is said and heard on `/matches`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings_app::{Command, Event, Invalid, Many, Rate, Requires, Rule, Text};

use super::{Id, PLAYERS_MOST};

/// What clients say on `/matches`.
#[derive(Debug, Deserialize, JsonSchema)]
pub enum MatchSay {
    /// Hears a match.
    #[serde(rename = "subscribe")]
    Subscribe(MatchWish),
    /// Hears it no more.
    #[serde(rename = "unsubscribe")]
    Unsubscribe(MatchWish),
    /// Does something in a match one plays.
    #[serde(rename = "matchAction")]
    Act(MatchAct),
    /// Says how a match has ended; for the studio's servers.
    #[serde(rename = "submitResult")]
    Submit(MatchEnd),
}

/// Which match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchWish {
    /// The match.
    pub match_id: Id,
}

/// What a player does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchAct {
    /// The match.
    pub match_id: Id,
    /// What: `ready`, `pause` and `resume` change the match; everything else is passed on.
    pub action: Text<1, 32>,
    /// What belongs to it, of at most 4 KiB.
    #[serde(default)]
    pub data: Value,
}

/// How a match has ended, as a server says it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchEnd {
    /// The match.
    pub match_id: Id,
    /// Who has won; nobody in a draw.
    pub winner_id: Option<Id>,
    /// In which way.
    pub result_type: ResultType,
    /// Scores that have changed.
    pub scores: Option<Many<Score, 0, PLAYERS_MOST>>,
}

/// Bytes of an action's data at most.
pub const ACTION_BYTES: usize = 4_096;

/// Actions of a player: games say more than the general bucket lets through.
const ACTIONS: Rate = Rate::per_second(20, 60);

impl Command for MatchSay {
    const RULES: &'static [Requires] = &[
        Requires::new("subscribe", Rule::SignedIn),
        Requires::new("unsubscribe", Rule::SignedIn),
        Requires::new("matchAction", Rule::SignedIn).rate(ACTIONS),
        Requires::new("submitResult", Rule::Server),
    ];

    fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Act(act) if act.data.to_string().len() > ACTION_BYTES => {
                Err(Invalid::new("data", "has more than 4096 bytes"))
            }
            _ => Ok(()),
        }
    }
}

/// What is answered on `/matches`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchReply {
    /// The match.
    pub match_id: String,
    /// The room one is in, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// How the match stands, for those who come and those who end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<MatchView>,
    /// The number of the result in its organisation, for those who submit one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
}

/// How a match stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for its players.
    Created,
    /// All of them are ready.
    Ready,
    /// It is played.
    Started,
    /// It stands still.
    Paused,
    /// It has a result.
    Completed,
    /// It does not count.
    Voided,
}

impl Status {
    /// Its name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Ready => "ready",
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Voided => "voided",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        use Status::{Completed, Created, Paused, Ready, Started, Voided};
        [Created, Ready, Started, Paused, Completed, Voided]
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// Whether nothing more can happen in it but being voided.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Voided)
    }
}

/// How a match has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResultType {
    /// Somebody has won.
    Win,
    /// Nobody has.
    Draw,
    /// The others gave up, or did not come.
    Forfeit,
    /// Time decided.
    Timeout,
}

impl ResultType {
    /// Its name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Draw => "draw",
            Self::Forfeit => "forfeit",
            Self::Timeout => "timeout",
        }
    }

    /// Reads its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Win, Self::Draw, Self::Forfeit, Self::Timeout].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A match as it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchView {
    /// Its id.
    pub id: String,
    /// The session it is of, if any.
    pub session_id: Option<String>,
    /// Its format, in the studio's words.
    pub format: String,
    /// How it stands.
    pub status: Status,
    /// Who plays.
    pub players: Vec<MatchPlayer>,
    /// The round, counted from 0.
    pub current_round: i64,
    /// The highest score there can be.
    pub max_score: i64,
    /// When it was made.
    pub created_at: String,
    /// When it was started.
    pub start_time: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How it ended.
    pub result: Option<Outcome>,
    /// Why it does not count.
    pub void_reason: Option<String>,
}

/// Somebody in a match.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchPlayer {
    /// Who.
    pub id: String,
    /// By which name.
    pub display_name: String,
    /// The rating now.
    pub elo_rating: i64,
    /// The score.
    pub score: i64,
    /// Whether this player said `ready`.
    pub ready: bool,
}

/// How a match has ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Who has won; nobody in a draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner_id: Option<String>,
    /// Who has lost.
    pub loser_ids: Vec<String>,
    /// In which way.
    pub result_type: ResultType,
    /// By how much each rating has changed.
    pub elo_changes: Vec<EloChange>,
}

/// By how much a rating has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EloChange {
    /// Whose.
    pub player_id: String,
    /// By how many points.
    pub change: i64,
}

/// What is heard in `match:ID`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub enum MatchEvent {
    /// It has begun.
    #[serde(rename = "matchStarted")]
    Started(MatchStarted),
    /// It stands otherwise.
    #[serde(rename = "matchUpdated")]
    Updated(MatchUpdated),
    /// A player has done something.
    #[serde(rename = "playerAction")]
    Action(PlayerAction),
    /// It is over.
    #[serde(rename = "matchCompleted")]
    Completed(MatchCompleted),
}

impl Event for MatchEvent {}

/// A match has begun.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchStarted {
    /// Which match.
    pub match_id: String,
    /// Who plays.
    pub players: Vec<Starter>,
    /// Its format.
    pub format: String,
    /// When.
    pub start_time: String,
}

/// Somebody who starts in a match.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Starter {
    /// Who.
    pub id: String,
    /// By which name.
    pub display_name: String,
    /// With which rating.
    pub elo_rating: i64,
}

/// A match stands otherwise.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchUpdated {
    /// Which match.
    pub match_id: String,
    /// What has changed.
    pub update: MatchChange,
}

/// What has changed in a match; what is not said is as it was.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchChange {
    /// Scores that have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<Score>>,
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Which round it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_round: Option<i64>,
}

/// Somebody's score.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Score {
    /// Whose.
    pub player_id: String,
    /// How much.
    pub score: i64,
}

/// A player has done something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerAction {
    /// In which match.
    pub match_id: String,
    /// Who.
    pub player_id: String,
    /// What.
    pub action: String,
    /// When.
    pub timestamp: String,
    /// What the player said with it, if anything.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// A match is over.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchCompleted {
    /// Which match.
    pub match_id: String,
    /// How it ended.
    pub result: Outcome,
}
