//! Matches are voided whose players have left the session and come back.

use std::collections::{BTreeMap, BTreeSet};

use tidings_app::{Changes, Dice, Org};
use tidings_arena::boards::Scope;
use tidings_arena::model::{Standing, rate};
use tidings_arena::store::MIGRATIONS;
use tidings_arena::store::ladders::{self, GLOBAL, Past, of_session};
use tidings_arena::store::players::{self, Player};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

use crate::bed::{Bed, CUP};

#[tokio::test]
async fn who_left_and_came_back_keeps_nothing_of_a_voided_match() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US")]).await;
        bed.cup(&["ada", "bob"]).await;
        let new = bed.stands(&of_session(CUP), "ada").await.unwrap();
        let pair = ["ada", "bob"];
        bed.play("m1", &pair, Some("ada")).await;
        for player in pair {
            bed.leave(player).await.unwrap();
            bed.join(player).await.unwrap();
        }
        let won = bed.stands(&of_session(CUP), "ada").await.unwrap();
        assert_eq!((won.rating, won.wins, won.games), (1_220, 1, 1), "it goes on where it was left");

        bed.void("m1").await.unwrap();
        assert_eq!(bed.stands(&of_session(CUP), "ada").await, Some(new));
        bed.play("m2", &pair, Some("ada")).await;
        bed.void("m2").await.unwrap();
        assert_eq!(bed.stands(&of_session(CUP), "ada").await, Some(new), "also by Glicko-2");
        let board = bed.board(&Scope::session(CUP));
        assert_eq!(board, [("ada".to_owned(), 1_200), ("bob".to_owned(), 1_200)]);
    }
}

const PLAYERS: usize = 6;
const STEPS: usize = 150;

/// What happened to those who play, and how they stand by that alone.
#[derive(Default)]
struct Model {
    /// Everybody with the numbers by which he came into the ladder of everybody and that of the session.
    came: BTreeMap<String, (i64, i64)>,
    present: BTreeSet<String>,
    /// Results that count: number, match, players, winner.
    results: Vec<(i64, String, Vec<String>, Option<usize>)>,
}

impl Model {
    fn standings(&self, came: impl Fn(&(i64, i64)) -> i64) -> BTreeMap<String, Standing> {
        let new = |(id, numbers): (&String, &(i64, i64))| (id.clone(), Standing::new(1_200, came(numbers)));
        let mut all: BTreeMap<String, Standing> = self.came.iter().map(new).collect();
        for (number, _, players, winner) in &self.results {
            let before: Vec<Standing> = players.iter().map(|player| all[player]).collect();
            let after = rate(&before, *winner, *number, None);
            all.extend(players.iter().cloned().zip(after));
        }
        all
    }

    /// Holds the rows and the board against it.
    async fn check(&self, bed: &Bed) {
        let (global, cup) = (self.standings(|came| came.0), self.standings(|came| came.1));
        for id in self.came.keys() {
            assert_eq!(bed.stands(GLOBAL, id).await, Some(global[id]), "{id}");
            let in_cup = self.present.contains(id).then(|| cup[id]);
            assert_eq!(bed.stands(&of_session(CUP), id).await, in_cup, "{id}");
            let mut reader = bed.stage.read().await.unwrap();
            let newest = ladders::of_player(&mut reader, &bed.org, &of_session(CUP), id, 1).await.unwrap();
            assert_eq!(newest[0].standing, cup[id], "{id}, present or not");
        }
        let mut order: Vec<_> =
            self.present.iter().map(|id| (-cup[id].rating, cup[id].reached, id)).collect();
        order.sort();
        let order: Vec<_> = order.into_iter().map(|(rating, _, id)| (id.clone(), -rating)).collect();
        assert_eq!(bed.board(&Scope::session(CUP)), order);
    }
}

#[tokio::test]
async fn whoever_comes_and_goes_voids_leave_everybody_as_if_computed_anew() {
    for (bed, seed) in Bed::both().await.into_iter().zip([0x5eed_0011, 0x5eed_0012]) {
        let (mut model, mut dice) = (Model::default(), Dice::new(seed));
        let ids: Vec<String> = (0..PLAYERS).map(|at| format!("p{at}")).collect();
        bed.people(&ids.iter().map(|id| (id.as_str(), "SE")).collect::<Vec<_>>()).await;
        bed.cup(&[]).await;
        for id in &ids {
            bed.join(id).await.unwrap();
            let came = [GLOBAL.to_owned(), of_session(CUP)];
            let came = [bed.stands(&came[0], id).await.unwrap(), bed.stands(&came[1], id).await.unwrap()];
            model.came.insert(id.clone(), (came[0].reached, came[1].reached));
            model.present.insert(id.clone());
        }
        let (mut voids, mut returns, mut moments) = (0, 0, Vec::new());
        for step in 0..STEPS {
            let one = &ids[dice.below(PLAYERS as u64) as usize];
            match dice.below(8) {
                0 | 1 if model.present.len() > 2 && model.present.remove(one) => {
                    bed.leave(one).await.unwrap();
                }
                2 | 3 if model.present.insert(one.clone()) => {
                    bed.join(one).await.unwrap();
                    returns += 1;
                }
                4 if !model.results.is_empty() => {
                    let at = dice.below(model.results.len() as u64) as usize;
                    bed.void(&model.results.remove(at).1).await.unwrap();
                    voids += 1;
                }
                _ => {
                    let mut players: Vec<String> = model.present.iter().cloned().collect();
                    let first = dice.below(players.len() as u64) as usize;
                    players.rotate_left(first);
                    players.truncate(2);
                    let winner = (dice.below(5) > 0).then(|| dice.below(2) as usize);
                    let (id, names) = (format!("m{step}"), [players[0].as_str(), players[1].as_str()]);
                    let settled = bed.play(&id, &names, winner.map(|at| names[at])).await;
                    model.results.push((settled.sequence, id, players, winner));
                }
            }
            model.check(&bed).await;
            moments.push((bed.stage.now_ms(), model.present.clone()));
        }
        for (at_ms, present) in moments {
            let there = bed.cup_at(at_ms).await.into_iter().map(|(id, _)| id);
            assert_eq!(there.collect::<BTreeSet<_>>(), present, "at {at_ms}");
        }
        assert!(voids > 8 && returns > 10, "{voids} voids, {returns} came back");
    }
}

#[tokio::test]
async fn what_older_versions_wrote_of_coming_and_going_is_put_right_as_the_database_is_opened() {
    let place = Place::new();
    let sqlite = format!("sqlite:{}", place.path().join("arena.db").display());
    for url in [sqlite, Postgres::shared().database().await] {
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        store.migrate(&MIGRATIONS[..1]).await.unwrap();
        let (org, ladder) = (Org::default(), of_session(CUP));
        let (came, won) =
            (Standing::new(1_200, 1), Standing { wins: 1, games: 1, ..Standing::new(1_220, 7) });
        let past = |player: &str, number: i64, standing: Standing| Past {
            ladder: ladder.clone(),
            player: player.to_owned(),
            number,
            match_id: None,
            at_ms: 1_000,
            change: 0,
            standing,
        };
        let mut tx = Changes::new(store.begin().await.unwrap(), 1_000);
        for (id, number) in [("ada", 1), ("bob", 2)] {
            let (id, name) = (id.to_owned(), id.to_owned());
            let player = Player { id, number, name, country: None, created_ms: 1_000 };
            assert!(players::add(&mut tx, &org, &player).await.unwrap());
        }
        // The match that was won between the two was voided; what she came back with was not corrected.
        let pasts = [past("ada", 1, came), past("ada", 7, won), past("bob", 2, Standing::new(1_200, 2))];
        ladders::write_past(&mut tx, &org, &pasts).await.unwrap();
        ladders::set_standing(&mut tx, &org, &ladder, "ada", &won).await.unwrap();
        tx.into_tx().commit().await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        let mut reader = store.read().await.unwrap();
        assert_eq!(ladders::stands(&mut reader, &org, &ladder, "ada").await.unwrap(), Some(came));
        let known = ladders::of_player(&mut reader, &org, &ladder, "ada", 10).await.unwrap();
        assert_eq!(known, [past("ada", 1, came)]);
        // Bob has left; nobody knows when.
        for (at_ms, there) in [(1_000, vec!["ada", "bob"]), (1_001, vec!["ada"])] {
            let placed = ladders::at(&mut reader, &org, (&ladder, None), at_ms, 10).await.unwrap();
            assert_eq!(placed.iter().map(|placed| placed.player.as_str()).collect::<Vec<_>>(), there);
        }
        drop(reader);
        store.close().await;
    }
}
