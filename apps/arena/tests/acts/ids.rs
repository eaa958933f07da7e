//! Ids that are in no room's name are refused, and hold up nobody where they were taken before that.

use tidings_app::{Code, Refusal};
use tidings_arena::acts::people::{self, NewPlayer};

use super::bed::Bed;

async fn come(bed: &Bed, id: &str) -> Result<(), Refusal> {
    let new = NewPlayer { id: id.to_owned(), name: "Somebody".into(), country: None, rating: None };
    bed.act(move |arena, tx, org| Box::pin(async move { people::create(arena, tx, org, &new).await })).await
}

#[tokio::test]
async fn a_player_whose_id_is_in_no_rooms_name_is_refused() {
    for bed in Bed::both().await {
        for id in ["cy\n", "a\tb", "\u{7f}", &"€".repeat(400)] {
            let refused = come(&bed, id).await.unwrap_err();
            assert_eq!(refused.code, Code::BadRequest, "{id:?}");
            assert!(refused.message.starts_with("id: "), "{}", refused.message);
            assert_eq!(bed.stands("global", id).await, None);
        }
        for id in ["a b", "k:x", &"€".repeat(64)] {
            come(&bed, id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_player_of_such_an_id_from_before_holds_up_nobody() {
    for mut bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cy", "FR")]).await;
        let friends = bed.act(|_, tx, org| Box::pin(people::befriend(tx, org, ("ada", "cy"), true)));
        assert!(friends.await.unwrap());
        for sql in [
            "UPDATE arena_players SET id = 'cy\n' WHERE id = 'cy'",
            "UPDATE arena_standings SET player = 'cy\n' WHERE player = 'cy'",
            "UPDATE arena_history SET player = 'cy\n' WHERE player = 'cy'",
            "UPDATE arena_friends SET player = 'cy\n' WHERE player = 'cy'",
            "UPDATE arena_friends SET friend = 'cy\n' WHERE friend = 'cy'",
        ] {
            assert_eq!(bed.behind(sql).await, 1, "{sql}");
        }
        bed.start_again();
        for (id, other) in [("m1", "bob"), ("m2", "cy\n")] {
            bed.make_in(None, id, &["ada", other]).await.unwrap();
            bed.start(id).await.unwrap();
            bed.result(id, Some(other), &[]).await.unwrap();
            assert_eq!(bed.stands("global", other).await.unwrap().wins, 1);
        }
        bed.void("m2").await.unwrap();
        bed.move_to("cy\n", "SE").await.unwrap();
        let told = bed.said("player:ada");
        assert_eq!(told.iter().filter(|(event, _)| event == "eloUpdate").count(), 3, "{told:?}");
    }
}
