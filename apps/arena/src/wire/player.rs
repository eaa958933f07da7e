//! Players: what is heard on `/players`, and how a player stands.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tidings_app::Event;

/// What is heard in `player:ID`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub enum PlayerEvent {
    /// The rating has changed.
    #[serde(rename = "eloUpdate")]
    Elo(EloUpdate),
    /// The profile has changed.
    #[serde(rename = "profileUpdated")]
    Profile(ProfileUpdated),
    /// Something was reached.
    #[serde(rename = "achievementUnlocked")]
    Achievement(Unlocked),
    /// A friend has done something.
    #[serde(rename = "friendActivity")]
    Friend(FriendActivity),
}

impl Event for PlayerEvent {}

/// A rating has changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EloUpdate {
    /// Whose.
    pub player_id: String,
    /// What it was.
    pub old_rating: i64,
    /// What it is.
    pub new_rating: i64,
    /// The difference.
    pub change: i64,
    /// Why: `match:ID`, or `void:ID` for a correction.
    pub reason: String,
}

/// A profile has changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileUpdated {
    /// Whose.
    pub player_id: String,
    /// The fields that have changed, with what they are now.
    pub changes: Value,
}

/// Something was reached.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unlocked {
    /// Who has reached it.
    pub player_id: String,
    /// What.
    pub achievement: Reached,
}

/// What somebody has reached.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Reached {
    /// Its id.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// When.
    pub at: String,
}

/// A friend has done something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FriendActivity {
    /// Which friend.
    pub player_id: String,
    /// What.
    pub activity: Activity,
}

/// What friends do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Activity {
    /// Came.
    Online,
    /// Went.
    Offline,
    /// Finished a match.
    Match {
        /// Which.
        match_id: String,
        /// `win`, `loss` or `draw`.
        result: &'static str,
        /// The rating after it.
        elo_rating: i64,
    },
    /// Reached something.
    Achievement {
        /// What.
        achievement: Reached,
    },
}

/// How a player stands, for whoever comes into `player:ID`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlayerView {
    /// Who.
    pub id: String,
    /// By which name.
    pub display_name: String,
    /// The country's code, if one is known.
    pub country: Option<String>,
    /// When the player came.
    pub created_at: String,
    /// The rating.
    pub elo_rating: i64,
    /// The place among all.
    pub rank: Option<u32>,
    /// The place in the country.
    pub country_rank: Option<u32>,
    /// Matches that counted.
    pub games: i64,
    /// Those won.
    pub wins: i64,
    /// Those lost.
    pub losses: i64,
    /// Those without a winner.
    pub draws: i64,
    /// Wins in a row, up to now.
    pub streak: i64,
    /// The most of them.
    pub best_streak: i64,
    /// The highest rating.
    pub peak_rating: i64,
    /// The same by Glicko-2.
    pub glicko2: Glicko2,
    /// Whether the player is connected.
    pub online: bool,
    /// What was reached.
    pub achievements: Vec<Reached>,
}

/// A rating by Glicko-2.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Glicko2 {
    /// The rating.
    pub rating: f64,
    /// Its deviation.
    pub deviation: f64,
    /// The volatility.
    pub volatility: f64,
}
