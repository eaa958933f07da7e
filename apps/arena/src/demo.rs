//! People who play where nobody does: two hundred of many countries, in matches that go on and end.

mod cast;

use std::sync::Arc;
use std::time::Duration;

use tidings_app::{Changes, Dice, Org, Refusal, Stage};

use crate::acts::life::{self, Act, NewMatch, SCORE_MOST};
use crate::acts::people::{self, NewPlayer};
use crate::acts::result::{self, Submitted};
use crate::acts::tournaments;
use crate::arena::Arena;
use crate::boards::Scope;
use crate::model::INITIAL_RATING;
use crate::store::ladders::{self, of_session};
use crate::store::players;
use crate::store::sessions::{self, Session};
use crate::telling::match_room;
use crate::wire::{ResultType, Score};

/// The tournament of the demo.
const CUP: &str = "winter-cup";
/// Every so many of the people play in it.
const IN_CUP: usize = 5;
/// Matches that are played at the same time.
const AT_ONCE: usize = 6;
/// Something happens about so often.
const STEP_MS: u64 = 120;
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);
/// People who are taken in together.
const TOGETHER: usize = 40;
/// Formats of matches.
const FORMATS: [&str; 4] = ["bo1", "bo3", "blitz", "duel"];
/// What players do in them.
const ACTIONS: [&str; 6] = ["move", "attack", "defend", "emote", "build", "scout"];

/// Plays until it is dropped.
pub async fn play(arena: Arc<Arena>, stage: Stage) {
    let mut dice = Dice::new(stage.now_ms());
    let demo = Demo { arena, stage, org: Org::default() };
    while let Err(refusal) = demo.arrange(&mut dice).await {
        tracing::warn!(%refusal, "the players of the demo are not there");
        tokio::time::sleep(AGAIN).await;
    }
    let mut games: Vec<Game> = Vec::new();
    loop {
        if games.len() < AT_ONCE {
            games.extend(demo.begin(&mut dice).await);
        }
        let at = dice.below(games.len().max(1) as u64) as usize;
        if let Some(game) = games.get_mut(at)
            && demo.go_on(game, &mut dice).await
        {
            games.swap_remove(at);
        }
        let pause = STEP_MS / 2 + dice.below(STEP_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

struct Demo {
    arena: Arc<Arena>,
    stage: Stage,
    org: Org,
}

/// A match that is played.
struct Game {
    id: String,
    players: [String; 2],
    scores: [i64; 2],
    /// What is still to happen in it.
    left: u64,
}

impl Demo {
    /// Takes everybody in who is not there yet.
    async fn arrange(&self, dice: &mut Dice) -> Result<(), Refusal> {
        let _pass = self.arena.pass(&self.stage).await?;
        let people: Vec<NewPlayer> = cast::people(dice);
        for together in people.chunks(TOGETHER) {
            let (arena, org, together) = (self.arena.clone(), self.org.clone(), together.to_vec());
            let work = self.stage.commit(move |tx| {
                Box::pin(async move {
                    for new in &together {
                        if players::find(tx, &org, &new.id).await?.is_none() {
                            people::create(&arena, tx, &org, new).await?;
                        }
                    }
                    Ok(())
                })
            });
            work.await?;
        }
        self.make_friends(&people).await?;
        drop(_pass);
        self.open_cup(&people).await
    }

    /// Those who can sign in are friends.
    async fn make_friends(&self, people: &[NewPlayer]) -> Result<(), Refusal> {
        let (org, ids) = (self.org.clone(), people.iter().map(|new| new.id.clone()).collect::<Vec<_>>());
        let work = self.stage.commit(move |tx| {
            Box::pin(async move {
                let known = &ids[..cast::KNOWN.min(ids.len())];
                for (at, one) in known.iter().enumerate() {
                    for other in
                        known[at + 1..].iter().chain(&ids[cast::KNOWN + at * 3..cast::KNOWN + at * 3 + 5])
                    {
                        people::befriend(tx, &org, (one, other), true).await?;
                    }
                }
                Ok(())
            })
        });
        work.await
    }

    async fn open_cup(&self, people: &[NewPlayer]) -> Result<(), Refusal> {
        let (org, now_ms) = (self.org.clone(), self.stage.now_ms());
        let cup = Session {
            id: CUP.into(),
            name: "Winter Cup".into(),
            open: true,
            starts_ms: None,
            ends_ms: None,
            max_players: Some(64),
            max_matches: None,
            initial_rating: INITIAL_RATING,
            k: None,
            players: 0,
            created_ms: now_ms,
        };
        let made = self.stage.commit(move |tx| {
            Box::pin(async move {
                match sessions::find(tx, &org, CUP).await? {
                    None => tournaments::create(tx, &org, &cup).await,
                    Some(_) => Ok(()),
                }
            })
        });
        made.await?;
        let _pass = self.arena.pass_to(&self.stage, &self.org, &Scope::session(CUP)).await?;
        let (arena, org) = (self.arena.clone(), self.org.clone());
        let ids: Vec<String> = people.iter().step_by(IN_CUP).map(|new| new.id.clone()).collect();
        let joined = self.stage.commit(move |tx| {
            Box::pin(async move {
                for id in &ids {
                    if ladders::stands(tx, &org, &of_session(CUP), id).await?.is_none() {
                        tournaments::join(&arena, tx, &org, (CUP, id)).await?;
                    }
                }
                Ok(())
            })
        });
        joined.await
    }

    /// Two of about the same rating begin a match.
    async fn begin(&self, dice: &mut Dice) -> Option<Game> {
        let in_cup = dice.below(3) == 0;
        let scope = if in_cup { Scope::session(CUP) } else { Scope::Global };
        let players = self.arena.with(&self.org, |boards| {
            let board = boards.board(&scope)?;
            let at = dice.below(u64::from(board.len().checked_sub(2)?)) as u32;
            let near = at + 1 + dice.below(u64::from((board.len() - at - 1).min(8))) as u32;
            let id = |at: u32| Some(boards.id(board.at(at)?.player).to_owned());
            Some([id(at)?, id(near)?])
        })?;
        let id = format!("demo-{:x}-{:04x}", self.stage.now_ms(), dice.below(0x1_0000));
        let new = NewMatch {
            id: id.clone(),
            players: players.to_vec(),
            format: FORMATS[dice.below(FORMATS.len() as u64) as usize].into(),
            session: in_cup.then(|| CUP.into()),
            max_score: SCORE_MOST,
        };
        let org = self.org.clone();
        let begun = self.stage.commit(move |tx| {
            Box::pin(async move {
                life::create(tx, &org, &new).await?;
                life::start(tx, &org, &new.id).await
            })
        });
        match begun.await {
            Ok(()) => Some(Game { id, players, scores: [0, 0], left: 3 + dice.below(6) }),
            Err(refusal) => {
                tracing::debug!(%refusal, "a match of the demo did not begin");
                None
            }
        }
    }

    /// Something happens in a match; whether it is over.
    async fn go_on(&self, game: &mut Game, dice: &mut Dice) -> bool {
        game.left = game.left.saturating_sub(1);
        let done = match game.left {
            0 => self.decide(game, dice).await,
            _ if dice.below(3) == 0 => self.act(game, dice).await,
            _ => self.score(game, dice).await,
        };
        if let Err(refusal) = &done {
            tracing::debug!(%refusal, "a match of the demo did not go on");
        }
        game.left == 0 || done.is_err()
    }

    async fn act(&self, game: &Game, dice: &mut Dice) -> Result<(), Refusal> {
        let (org, player) = (self.org.clone(), game.players[dice.below(2) as usize].clone());
        let action = ACTIONS[dice.below(ACTIONS.len() as u64) as usize].to_owned();
        let act = Act { id: game.id.clone(), player, action, data: serde_json::Value::Null };
        self.stage.commit(move |tx| Box::pin(async move { life::act(tx, &org, act).await })).await
    }

    async fn score(&self, game: &mut Game, dice: &mut Dice) -> Result<(), Refusal> {
        game.scores[dice.below(2) as usize] += 1 + dice.below(3) as i64;
        let (org, id, scores) = (self.org.clone(), game.id.clone(), scores(game));
        let round = game.scores.iter().sum::<i64>();
        let work = self.stage.commit(move |tx| {
            Box::pin(async move { life::score(tx, &org, &id, (&scores, Some(round))).await })
        });
        work.await
    }

    async fn decide(&self, game: &Game, dice: &mut Dice) -> Result<(), Refusal> {
        let winner = match game.scores[0].cmp(&game.scores[1]) {
            std::cmp::Ordering::Greater => Some(0),
            std::cmp::Ordering::Less => Some(1),
            std::cmp::Ordering::Equal => (dice.below(2) == 0).then_some(dice.below(2) as usize),
        };
        let kind = if winner.is_some() { ResultType::Win } else { ResultType::Draw };
        let winner = winner.map(|winner| game.players[winner].clone());
        let submitted = Submitted { winner, kind, scores: scores(game) };
        let _pass = self.arena.pass_to(&self.stage, &self.org, &Scope::session(CUP)).await?;
        let (arena, org, id) = (self.arena.clone(), self.org.clone(), game.id.clone());
        let work = self.stage.commit(move |tx: &mut Changes| {
            Box::pin(async move { result::submit(&arena, tx, &org, &id, &submitted).await.map(drop) })
        });
        work.await?;
        self.stage.close(&match_room(&self.org, &game.id)?);
        Ok(())
    }
}

fn scores(game: &Game) -> Vec<Score> {
    let players = game.players.iter().zip(game.scores);
    players.map(|(player, score)| Score { player_id: player.clone(), score }).collect()
}
