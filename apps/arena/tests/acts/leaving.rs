//! Players leave a session.

use tidings_app::{Code, Refusal};
use tidings_arena::acts::tournaments::{join, leave};

use crate::bed::{Bed, CUP};

fn refused<T: std::fmt::Debug>(done: Result<T, Refusal>) -> (Code, String) {
    let refusal = done.unwrap_err();
    (refusal.code, refusal.message.to_string())
}

#[tokio::test]
async fn nobody_leaves_a_session_in_the_midst_of_a_match() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
        bed.cup(&["ada", "bob", "cleo"]).await;
        let stays = || (Code::Conflict, "a match of this player in the session is not over: m1".to_owned());

        // Whichever comes first of a match and a farewell, the other is refused.
        bed.make("m1", &["ada", "bob"]).await.unwrap();
        assert_eq!(refused(bed.leave("bob").await), stays(), "it is made");
        bed.start("m1").await.unwrap();
        assert_eq!(refused(bed.leave("bob").await), stays(), "it is started");
        bed.leave("cleo").await.unwrap();
        assert_eq!(refused(bed.make("m2", &["ada", "cleo"]).await).0, Code::Conflict, "she has left");

        // So the loser cannot keep the result from counting, and goes when it is there.
        let settled = bed.result("m1", Some("ada"), &[]).await.unwrap();
        assert_eq!(
            settled.ratings.iter().map(|rating| rating.new_rating).collect::<Vec<_>>(),
            [1_220, 1_180]
        );
        bed.leave("bob").await.unwrap();
    }
}

#[tokio::test]
async fn who_is_to_leave_at_once_does_so_when_the_match_is_voided() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US")]).await;
        bed.cup(&["ada", "bob"]).await;
        bed.make("m1", &["ada", "bob"]).await.unwrap();
        bed.start("m1").await.unwrap();
        assert_eq!(refused(bed.leave("bob").await).0, Code::Conflict);
        bed.void("m1").await.unwrap();
        bed.leave("bob").await.unwrap();
        assert_eq!(refused(bed.leave("bob").await).0, Code::NotFound);
    }
}

#[tokio::test]
async fn a_board_of_a_moment_has_those_who_were_in_the_session_then() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US")]).await;
        bed.cup(&["ada", "bob"]).await;
        bed.play("m1", &["ada", "bob"], Some("ada")).await;
        let (ada, bob) = (("ada".to_owned(), 1_220), ("bob".to_owned(), 1_180));
        let played = bed.stage.now_ms();
        bed.leave("ada").await.unwrap();
        let left = bed.stage.now_ms();
        bed.join("ada").await.unwrap();
        let back = bed.stage.now_ms();
        bed.leave("ada").await.unwrap();
        bed.leave("bob").await.unwrap();
        let over = bed.stage.now_ms();
        assert_eq!(bed.cup_at(played).await, [ada.clone(), bob.clone()]);
        assert_eq!(bed.cup_at(left).await, std::slice::from_ref(&bob));
        assert_eq!(bed.cup_at(back).await, [ada, bob]);
        assert_eq!(bed.cup_at(over).await, []);
    }
}

#[tokio::test]
async fn who_comes_and_goes_within_a_millisecond_is_where_it_ended() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB")]).await;
        bed.cup(&["ada"]).await;
        let all = |ends: &'static str| {
            bed.act(move |arena, tx, org| {
                Box::pin(async move {
                    leave(arena, tx, org, (CUP, "ada")).await?;
                    join(arena, tx, org, (CUP, "ada")).await?;
                    if ends == "gone" { leave(arena, tx, org, (CUP, "ada")).await } else { Ok(()) }
                })
            })
        };
        let ada = [("ada".to_owned(), 1_200)];
        all("there").await.unwrap();
        assert_eq!(bed.cup_at(bed.stage.now_ms()).await, ada);
        all("gone").await.unwrap();
        assert_eq!(bed.cup_at(bed.stage.now_ms()).await, []);
        bed.join("ada").await.unwrap();
        assert_eq!(bed.cup_at(bed.stage.now_ms()).await, ada);
    }
}
