//! The time of a session is up, or it is closed.

use serde_json::json;
use tidings_app::{Changes, Code, Org, Refusal};
use tidings_arena::boards::Scope;
use tidings_arena::store::MIGRATIONS;
use tidings_arena::store::matches::{self, Match};
use tidings_arena::store::sessions::{self, Session};
use tidings_arena::wire::Status;
use tidings_store::{Store, StoreOptions};
use tidings_testkit::{Place, Postgres};

use crate::bed::{Bed, CUP};

/// Long behind whatever happens before it.
const ENDS: u64 = 1_000_000;

fn refused<T: std::fmt::Debug>(done: Result<T, Refusal>) -> (Code, String) {
    let refusal = done.unwrap_err();
    (refusal.code, refusal.message.to_string())
}

#[tokio::test]
async fn a_session_whose_time_is_up_is_listed_with_those_that_are_closed() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB")]).await;
        bed.cup_until(Some(ENDS), &["ada"]).await;
        let lists = |status: &'static str, now_ms: u64| {
            let (stage, org) = (bed.stage.clone(), bed.org.clone());
            async move {
                let mut reader = stage.read().await.unwrap();
                let found = sessions::newest(&mut reader, &org, (status, now_ms), 10).await.unwrap();
                !found.is_empty()
            }
        };
        for (now_ms, open) in [(ENDS - 1, true), (ENDS, false)] {
            assert_eq!(lists("open", now_ms).await, open, "at {now_ms}");
            assert_eq!(lists("closed", now_ms).await, !open, "at {now_ms}");
            assert!(lists("", now_ms).await);
        }
        let found = sessions::find(&mut bed.stage.read().await.unwrap(), &bed.org, CUP).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.is_over(ENDS - 1), found.is_over(ENDS)), (false, true));

        // Without an end only closing it does that.
        bed.close().await;
        assert!(!lists("open", 0).await && lists("closed", 0).await);
    }
}

#[tokio::test]
async fn a_match_that_began_in_time_is_scored_and_counts_behind_the_end() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR")]).await;
        bed.cup_until(Some(ENDS), &["ada", "bob", "cleo"]).await;
        bed.make("m1", &["ada", "bob"]).await.unwrap();
        bed.start("m1").await.unwrap();
        bed.make("m2", &["ada", "cleo"]).await.unwrap();
        bed.wait_until(ENDS);

        let over = || (Code::Conflict, "this session is over".to_owned());
        assert_eq!(refused(bed.join("dan").await), over());
        assert_eq!(refused(bed.make("m3", &["bob", "cleo"]).await), over());
        assert_eq!(refused(bed.start("m2").await), over(), "it was made in time, and not begun");

        bed.score("m1", "ada", 2).await.unwrap();
        let settled = bed.result("m1", Some("ada"), &[]).await.unwrap();
        assert_eq!(settled.ratings[0].new_rating, 1_220);
        let board = bed.board(&Scope::session(CUP));
        let expected = [("ada", 1_220), ("cleo", 1_200), ("bob", 1_180)];
        assert_eq!(board, expected.map(|(id, rating)| (id.to_owned(), rating)));
    }
}

#[tokio::test]
async fn closing_a_session_voids_its_matches_that_are_not_over() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
        bed.cup(&["ada", "bob", "cleo"]).await;
        bed.play("over", &["ada", "bob"], Some("ada")).await;
        bed.make("made", &["ada", "cleo"]).await.unwrap();
        bed.make("started", &["ada", "bob"]).await.unwrap();
        bed.start("started").await.unwrap();
        bed.make_in(None, "elsewhere", &["ada", "bob"]).await.unwrap();
        bed.start("elsewhere").await.unwrap();
        let board = bed.board(&Scope::session(CUP));

        assert_eq!(bed.close().await, ["made", "started"]);
        for (id, status) in [
            ("over", Status::Completed),
            ("made", Status::Voided),
            ("started", Status::Voided),
            ("elsewhere", Status::Started),
        ] {
            let game = bed.game(id).await;
            let closed = status == Status::Voided;
            assert_eq!((game.status, game.ended_ms.is_some()), (status, id != "elsewhere"), "{id}");
            assert_eq!(game.void_reason.as_deref(), closed.then_some("the session was closed"), "{id}");
            let told = ("matchUpdated".to_owned(), json!({"matchId": id, "update": {"status": "voided"}}));
            assert_eq!(bed.said(&format!("match:{id}")).last() == Some(&told), closed, "{id}");
        }
        assert_eq!(refused(bed.score("started", "ada", 1).await).1, "this match is over");
        assert_eq!(refused(bed.result("started", Some("ada"), &[]).await).1, "this match was voided");
        assert_eq!(refused(bed.start("made").await).1, "this match is over");
        assert_eq!(bed.board(&Scope::session(CUP)), board, "it is the last one");
        bed.result("elsewhere", Some("bob"), &[]).await.unwrap();
        bed.leave("bob").await.unwrap();
    }
}

#[tokio::test]
async fn what_older_versions_left_going_on_in_closed_sessions_is_voided_as_the_database_is_opened() {
    let place = Place::new();
    let sqlite = format!("sqlite:{}", place.path().join("arena.db").display());
    for url in [sqlite, Postgres::shared().database().await] {
        let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
        store.migrate(&MIGRATIONS[..4]).await.unwrap();
        let org = Org::default();
        let mut tx = Changes::new(store.begin().await.unwrap(), 1_000);
        let sessions = [("closed", Status::Voided), ("open", Status::Created)];
        for (id, _) in sessions {
            let session = Session {
                id: id.to_owned(),
                name: id.to_owned(),
                open: true,
                starts_ms: None,
                ends_ms: None,
                max_players: None,
                max_matches: None,
                initial_rating: 1_200,
                k: None,
                players: 0,
                created_ms: 1_000,
            };
            assert!(sessions::add(&mut tx, &org, &session).await.unwrap());
            let game = Match {
                id: format!("of-{id}"),
                session: Some(id.to_owned()),
                format: "bo1".into(),
                status: Status::Created,
                max_score: 10,
                round: 0,
                created_ms: 1_000,
                started_ms: None,
                ended_ms: None,
                number: None,
                winner: None,
                result_type: None,
                void_reason: None,
            };
            assert!(matches::add(&mut tx, &org, &game, &[]).await.unwrap());
        }
        assert!(sessions::close(&mut tx, &org, "closed").await.unwrap());
        tx.into_tx().commit().await.unwrap();
        store.migrate(MIGRATIONS).await.unwrap();
        let mut reader = store.read().await.unwrap();
        for (id, status) in sessions {
            let game = matches::find(&mut reader, &org, &format!("of-{id}")).await.unwrap().unwrap();
            assert_eq!((game.status, game.ended_ms.is_some()), (status, id == "closed"), "{id}");
        }
        drop(reader);
        store.close().await;
    }
}
