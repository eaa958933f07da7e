//! What was stored without an answer is on every board that is in memory.

use tidings_app::Code;
use tidings_arena::boards::Scope;

use crate::bed::{Bed, CUP};

#[tokio::test]
async fn after_a_lost_answer_the_board_of_a_closed_session_is_that_of_the_store() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US")]).await;
        bed.cup(&["ada", "bob"]).await;
        bed.play("m1", &["ada", "bob"], Some("bob")).await;
        bed.close().await;
        let cup = Scope::session(CUP);
        bed.arena.with(&bed.org, |boards| boards.looked(&cup));
        bed.lose_the_next_answer();
        assert_eq!(bed.void("m1").await.unwrap_err().code, Code::Unavailable);

        let _pass = bed.arena.pass_to(&bed.stage, &bed.org, &cup).await.unwrap();
        assert_eq!(bed.board(&cup), [("ada".to_owned(), 1_200), ("bob".to_owned(), 1_200)]);
        let due = bed.arena.with(&bed.org, |boards| boards.due(u64::MAX));
        assert!(due.contains(&cup), "who hears it is told: {due:?}");
    }
}

#[tokio::test]
async fn after_a_lost_answer_nobody_is_left_on_the_board_of_a_country_that_the_last_one_left() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("cleo", "FR")]).await;
        let (france, sweden) = (Scope::country("FR"), Scope::country("SE"));
        assert_eq!(bed.board(&france), [("cleo".to_owned(), 1_200)]);
        bed.lose_the_next_answer();
        assert_eq!(bed.move_to("cleo", "SE").await.unwrap_err().code, Code::Unavailable);

        let _pass = bed.arena.pass(&bed.stage).await.unwrap();
        assert_eq!(bed.board(&france), []);
        assert_eq!(bed.board(&sweden), [("cleo".to_owned(), 1_200)]);
        let due = bed.arena.with(&bed.org, |boards| boards.due(u64::MAX));
        assert!(due.contains(&france), "who hears it is told: {due:?}");
    }
}
