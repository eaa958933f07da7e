//! Ten thousand results, some of them voided, beside a model that computes and sorts everything anew.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::boards::{Batch, OrgBoards, Scope};
use crate::model::INITIAL_RATING;
use crate::ranks::{Change, Entry};

const PLAYERS: usize = 60;
const RESULTS: i64 = 10_000;

/// A sequence of numbers from a seed (xorshift64, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

fn id(at: usize) -> String {
    format!("p{at:02}")
}

/// What the app keeps: results, how players stood after each, and boards.
struct Kept {
    results: Vec<Played>,
    history: BTreeMap<String, Vec<(i64, Standing)>>,
    /// Who has left, and plays nothing until he comes back.
    away: BTreeSet<String>,
    boards: OrgBoards,
}

impl Kept {
    fn new() -> Self {
        let (results, history, away) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut kept = Self { results, history, away, boards: OrgBoards::default() };
        for (at, number) in (0..PLAYERS).zip(1..) {
            let standing = Standing::new(INITIAL_RATING, number);
            kept.history.insert(id(at), vec![(number, standing)]);
            kept.move_to(&[(id(at), standing)]);
        }
        kept
    }

    fn stands(&self, player: &str) -> Standing {
        self.history[player].last().unwrap().1
    }

    fn before(&self, player: &str, number: i64) -> Standing {
        self.history[player].iter().rev().find(|(known, _)| *known < number).unwrap().1
    }

    /// Moves places as a transaction does: looked at first, done behind it. The places as they were foreseen.
    fn move_to(&mut self, standings: &[(String, Standing)]) -> Vec<(String, Option<u32>)> {
        let mut batch = Batch::default();
        for (player, standing) in standings {
            let player = self.boards.handle(player).unwrap();
            let entry = Entry { player, score: standing.rating, reached: standing.reached as u64 };
            batch.push(&Scope::Global, Change::Put(entry));
        }
        let seen = self.boards.preview(&batch);
        let number = self.boards.announce(batch);
        let moved = seen.into_iter().flat_map(|(_, moved)| moved);
        let foreseen: Vec<_> =
            moved.map(|moved| (self.boards.id(moved.player).to_owned(), moved.new_rank())).collect();
        self.boards.settle(number);
        foreseen
    }

    fn play(&mut self, played: Played) {
        let before: Vec<Standing> = played.players.iter().map(|player| self.stands(player)).collect();
        let winner =
            played.winner.as_ref().and_then(|winner| played.players.iter().position(|one| one == winner));
        let after = rate(&before, winner, played.number, None);
        let now: Vec<_> = played.players.iter().cloned().zip(after).collect();
        for (player, standing) in &now {
            self.history.get_mut(player).unwrap().push((played.number, *standing));
        }
        for (player, rank) in self.move_to(&now) {
            assert_eq!(rank, self.rank(&player), "the place that was foreseen is the one that was taken");
        }
        self.results.push(played);
    }

    /// Somebody leaves, or comes back to where the results that count put him by now.
    fn turn(&mut self, player: &str) {
        if self.away.remove(player) {
            self.move_to(&[(player.to_owned(), self.stands(player))]);
            return;
        }
        self.away.insert(player.to_owned());
        let mut batch = Batch::default();
        batch.push(&Scope::Global, Change::Remove(self.boards.handle(player).unwrap()));
        let number = self.boards.announce(batch);
        self.boards.settle(number);
    }

    fn rank(&self, player: &str) -> Option<u32> {
        self.boards.board(&Scope::Global)?.rank(self.boards.find(player)?)
    }

    /// Voids a result; how many were computed again.
    fn void(&mut self, at: usize) -> usize {
        let voided = self.results.remove(at);
        let mut replay = Replay::default();
        for player in &voided.players {
            replay.set(player, self.before(player, voided.number));
        }
        let mut again = 0;
        let behind = self.results[at..].to_vec();
        for played in &behind {
            if !replay.concerns(played) {
                continue;
            }
            for player in replay.missing(played) {
                let standing = self.before(player, played.number);
                replay.set(player, standing);
            }
            let result = replay.play(played, None).unwrap();
            again += 1;
            for (player, standing) in played.players.iter().zip(result.after) {
                let known = self.history.get_mut(player).unwrap();
                known
                    .iter_mut()
                    .filter(|(number, _)| *number == played.number)
                    .for_each(|past| past.1 = standing);
            }
        }
        for player in &voided.players {
            self.history.get_mut(player).unwrap().retain(|(number, _)| *number != voided.number);
        }
        let now = replay.standings().into_iter().filter(|(player, _)| !self.away.contains(player));
        let now: Vec<_> = now.collect();
        self.move_to(&now);
        again
    }

    /// Everything computed anew from the results alone.
    fn naive(&self) -> BTreeMap<String, Standing> {
        let mut all: BTreeMap<String, Standing> = (0..PLAYERS)
            .zip(1..)
            .map(|(at, number)| (id(at), Standing::new(INITIAL_RATING, number)))
            .collect();
        for played in &self.results {
            let before: Vec<Standing> = played.players.iter().map(|player| all[player]).collect();
            let winner =
                played.winner.as_ref().and_then(|winner| played.players.iter().position(|one| one == winner));
            for (player, after) in played.players.iter().zip(rate(&before, winner, played.number, None)) {
                all.insert(player.clone(), after);
            }
        }
        all
    }

    /// The board is what sorting gives: rating, then who reached it first, then who came first.
    fn check_order(&self) {
        let mut sorted: Vec<(i64, i64, usize)> = (0..PLAYERS)
            .filter(|at| !self.away.contains(&id(*at)))
            .map(|at| {
                let standing = self.stands(&id(at));
                (-standing.rating, standing.reached, at)
            })
            .collect();
        sorted.sort_unstable();
        let board = self.boards.board(&Scope::Global).unwrap();
        let order: Vec<String> =
            board.top(PLAYERS as u32).iter().map(|row| self.boards.id(row.player).to_owned()).collect();
        assert_eq!(order, sorted.into_iter().map(|(_, _, at)| id(at)).collect::<Vec<_>>());
    }
}

fn random(chance: &mut Chance, number: i64, away: &BTreeSet<String>) -> Played {
    let count = if chance.below(10) == 0 { 3 } else { 2 };
    let mut players: Vec<String> = Vec::new();
    while players.len() < count {
        let player = id(chance.below(PLAYERS));
        if !players.contains(&player) && !away.contains(&player) {
            players.push(player);
        }
    }
    let winner = (chance.below(5) > 0).then(|| players[chance.below(count)].clone());
    Played { number, id: format!("m{number}"), session: None, at_ms: number as u64, winner, players }
}

#[test]
fn ten_thousand_results_and_voids_are_as_if_computed_anew() {
    let (mut kept, mut chance) = (Kept::new(), Chance(0x5eed_0001));
    let (mut voids, mut again) = (0, 0);
    for number in 100..100 + RESULTS {
        let played = random(&mut chance, number, &kept.away);
        kept.play(played);
        kept.check_order();
        if chance.below(20) == 0 && kept.away.len() < PLAYERS / 2 || chance.below(100) == 0 {
            kept.turn(&id(chance.below(PLAYERS)));
            kept.check_order();
        }
        if chance.below(100) == 0 {
            // Mostly something new, now and then something long ago.
            let reach = if chance.below(10) == 0 { kept.results.len() } else { kept.results.len().min(30) };
            let at = kept.results.len() - 1 - chance.below(reach);
            again += kept.void(at);
            voids += 1;
            kept.check_order();
        }
        if number % 1_000 == 0 {
            let naive = kept.naive();
            naive
                .iter()
                .for_each(|(player, standing)| assert_eq!(kept.stands(player), *standing, "{player}"));
        }
    }
    assert!(voids > 50 && again > 1_000, "{voids} voids, {again} results computed again");
    let naive = kept.naive();
    naive.iter().for_each(|(player, standing)| assert_eq!(kept.stands(player), *standing, "{player}"));
}

/// The control: without going through what came later the model finds a difference.
#[test]
fn a_void_that_touches_only_its_own_players_is_not_enough() {
    let (mut kept, mut chance) = (Kept::new(), Chance(0x5eed_0002));
    for number in 100..400 {
        kept.play(random(&mut chance, number, &BTreeSet::new()));
    }
    let voided = kept.results.remove(10);
    for player in &voided.players {
        kept.history.get_mut(player).unwrap().retain(|(number, _)| *number != voided.number);
    }
    let naive = kept.naive();
    assert!(naive.iter().any(|(player, standing)| kept.stands(player) != *standing));
}
