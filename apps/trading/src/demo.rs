//! A room that is always traded in where nobody does: real prices of ten years, a year in a minute, and a dozen who
//! trade by simple rules. When it has ended it rests a while, and the next of the same id begins.

mod trader;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidings_app::{Dice, Org, Refusal, Stage};

use crate::acts::{self, happens};
use crate::clean;
use crate::journal::Input;
use crate::replay::tape::Tape;
use crate::replay::{self, SAMPLE};
use crate::room::{Room, State};
use crate::rooms::{Key, Rooms};
use crate::rules::Rules;

use trader::{Seen, Trader, Wish};

/// The room.
const ID: &str = "demo";
/// Times as fast as the prices came: a year in a minute.
const RATE: u64 = 365 * 24 * 60;
/// Something is done about so often.
const STEP_MS: u64 = 300;
/// After an end, so that the standings can be read.
const REST: Duration = Duration::from_secs(20);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Those of the demo who can sign in: they are members, and trade only by their own hands.
const KNOWN: [(&str, &str); 4] =
    [("demo-alice", "Alice"), ("demo-bob", "Bob"), ("demo-charlie", "Charlie"), ("demo-diana", "Diana")];

/// Trades until it is dropped.
pub async fn trade(rooms: Arc<Rooms>, stage: Stage) {
    let mut dice = Dice::new(stage.now_ms());
    let floor = Floor { rooms, stage, key: (Org::default(), ID.to_owned()) };
    let mut traders = trader::all();
    loop {
        let pause = match floor.go_on(&mut traders, &mut dice).await {
            Ok(pause) => pause,
            Err(refusal) => {
                tracing::warn!(%refusal, "the demo of trading does not go on");
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Where it happens.
struct Floor {
    rooms: Arc<Rooms>,
    stage: Stage,
    key: Key,
}

impl Floor {
    /// Does what is next; how long to wait then.
    async fn go_on(&self, traders: &mut Vec<Trader>, dice: &mut Dice) -> Result<Duration, Refusal> {
        let step = Duration::from_millis(STEP_MS / 2 + dice.below(STEP_MS));
        match self.look(|room| room.state()).await? {
            None => self.make().await?,
            Some(State::Draft) => {
                self.feed().await?;
                self.happens(Input::Open).await?;
            }
            Some(State::Open) => {
                self.join().await?;
                self.happens(Input::Start).await?;
            }
            Some(State::Running) => self.trade(traders, dice).await?,
            Some(State::Ended) => {
                tokio::time::sleep(REST).await;
                clean::remove_wholly(&self.rooms, &self.stage, &self.key).await?;
                *traders = trader::all();
            }
        }
        Ok(step)
    }

    /// Looks at the room; nothing if there is none.
    async fn look<T>(&self, look: impl FnOnce(&Room) -> T) -> Result<Option<T>, Refusal> {
        let mut reader = self.stage.read().await?;
        if crate::store::find(&mut reader, &self.key.0, ID).await?.is_none() {
            return Ok(None);
        }
        self.rooms.look(&mut reader, &self.key, |_, room| look(room)).await.map(Some)
    }

    async fn happens(&self, input: Input) -> Result<(), Refusal> {
        happens(&self.rooms, &self.stage, &self.key, vec![input]).await.map(drop)
    }

    async fn make(&self) -> Result<(), Refusal> {
        let (org, rules) = (self.key.0.clone(), rules(&tape()?)?);
        let made = self.stage.commit(move |tx| {
            let name = "Ten years in ten minutes";
            Box::pin(async move {
                acts::create(tx, &org, (ID, name, ""), (rules, acts::ROOMS_OF_A_SERVICE_MOST)).await.map(drop)
            })
        });
        made.await
    }

    async fn feed(&self) -> Result<(), Refusal> {
        let (key, tape) = (self.key.clone(), tape()?);
        let set = self.stage.commit(move |tx| {
            Box::pin(async move { replay::set(tx, &key, ("sample", SAMPLE), (&tape, RATE)).await.map(drop) })
        });
        set.await
    }

    /// Everybody comes who is not there.
    async fn join(&self) -> Result<(), Refusal> {
        let there = self.look(|room| room.accounts().keys().cloned().collect::<Vec<_>>()).await?;
        let there = there.unwrap_or_default();
        for (user, name) in
            trader::PEOPLE.iter().chain(&KNOWN).filter(|(user, _)| !there.iter().any(|it| it == user))
        {
            self.happens(Input::Join { user: (*user).to_owned(), name: (*name).to_owned() }).await?;
        }
        Ok(())
    }

    /// Somebody looks at the room, and does something or not.
    async fn trade(&self, traders: &mut [Trader], dice: &mut Dice) -> Result<(), Refusal> {
        let at = dice.below(traders.len() as u64) as usize;
        let Some(trader) = traders.get_mut(at) else { return Ok(()) };
        let user = trader.user;
        let Some(seen) = self.look(|room| Seen::of(room, user)).await?.flatten() else { return Ok(()) };
        let (rooms, stage, key) = (&self.rooms, &self.stage, self.key.clone());
        let done = match trader.wish(&seen, self.stage.now_ms(), dice) {
            None => return Ok(()),
            Some(Wish::Place(ask)) => acts::order(rooms, stage, key, (user, None), ask).await,
            Some(Wish::Cancel(order)) => acts::cancel(rooms, stage, key, (user, None), &order).await,
        };
        if let Err(refusal) = done {
            tracing::debug!(%refusal, user, "an order of the demo was refused, as happens");
        }
        Ok(())
    }
}

fn tape() -> Result<Tape, Refusal> {
    Tape::parse(SAMPLE).map_err(|problem| Refusal::unavailable(&problem))
}

/// Rules under which everything of the file is traded, for as long as it lasts.
fn rules(tape: &Tape) -> Result<Rules, Refusal> {
    let instrument = |symbol: &String| {
        json!({"symbol": symbol, "tickSize": "0.01", "lotSize": "1", "minQuantity": "1", "maxQuantity": "2000",
               "maxPosition": "10000", "maxPrice": "10000"})
    };
    let lasts_ms = tape.after_ms(tape.len() - 1, RATE).unwrap_or_default() + 10_000;
    let rules = json!({
        "startingCash": "100000", "feeRate": "0.001", "lateJoin": true, "durationMs": lasts_ms, "snapshotEveryMs": 60_000,
        "instruments": tape.symbols().iter().map(instrument).collect::<Vec<_>>(),
    });
    serde_json::from_value(rules).map_err(|problem| Refusal::unavailable(&problem.to_string()))
}

#[cfg(test)]
mod tests;
