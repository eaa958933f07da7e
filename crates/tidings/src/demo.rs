//! Lifelike traffic for `serve --demo`: people who chat in the lobby and a market that ticks.
//!
//! [`Demo`] is an endless, pure sequence of [`Step`]s: the same seed tells the same story. The
//! caller waits [`Step::after`], publishes, and asks for the next one. Two strands run beside each
//! other, the talk in `lobby:welcome` (`chat`) and the ticker in `lobby:market` (`market`); each
//! says how long it pauses before its next step, and the one whose turn comes first goes first.

mod chat;
mod market;

use std::time::Duration;

use serde_json::Value;
use tidings_app::Dice;

use chat::Chat;
use market::Market;

/// Where the demo people talk.
pub(crate) const WELCOME: &str = "lobby:welcome";
/// Where the demo market ticks.
pub(crate) const MARKET: &str = "lobby:market";

/// One thing to publish.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// How long to wait after the step before this one.
    pub(crate) after: Duration,
    /// The room.
    pub(crate) room: &'static str,
    /// The event's name.
    pub(crate) event: &'static str,
    /// The event's data, a JSON object.
    pub(crate) data: Value,
}

/// What a strand does next: how long it pauses first, the event's name and its data.
#[derive(Debug)]
struct Act {
    pause: Duration,
    event: &'static str,
    data: Value,
}

/// An endless sequence of demo traffic.
#[derive(Debug)]
pub(crate) struct Demo {
    dice: Dice,
    chat: Chat,
    market: Market,
    now: Duration,
    next_chat: (Duration, &'static str, Value),
    next_tick: (Duration, &'static str, Value),
}

impl Demo {
    /// Begins the story that belongs to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut chat = Chat::new();
        let mut market = Market::new();
        let next_chat = due(Duration::ZERO, chat.next(&mut dice));
        let next_tick = due(Duration::ZERO, market.next(&mut dice));
        Self { dice, chat, market, now: Duration::ZERO, next_chat, next_tick }
    }
}

impl Iterator for Demo {
    type Item = Step;

    /// The next step; there always is one.
    fn next(&mut self) -> Option<Step> {
        let (room, (at, event, data)) = if self.next_chat.0 <= self.next_tick.0 {
            let coming = due(self.next_chat.0, self.chat.next(&mut self.dice));
            (WELCOME, std::mem::replace(&mut self.next_chat, coming))
        } else {
            let coming = due(self.next_tick.0, self.market.next(&mut self.dice));
            (MARKET, std::mem::replace(&mut self.next_tick, coming))
        };
        let after = at.saturating_sub(self.now);
        self.now = at;
        Some(Step { after, room, event, data })
    }
}

fn due(from: Duration, act: Act) -> (Duration, &'static str, Value) {
    (from + act.pause, act.event, act.data)
}

#[cfg(test)]
mod tests;
