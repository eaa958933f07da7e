//! Who looks at a window is told of another name or country, as of another place.

use serde_json::{Value, json};
use tidings_arena::acts::people;
use tidings_arena::windows::WindowName;

use super::bed::Bed;

const TOP: &str = "window:global:top:2:250";
const AROUND: &str = "window:global:around:1:250:bob";
const FRIENDS: &str = "window:global:friends:250:cleo";

fn open(bed: &Bed) {
    for (room, friends) in [(TOP, &[][..]), (AROUND, &[]), (FRIENDS, &["bob".to_owned()])] {
        let name = WindowName::parse(room.strip_prefix("window:").unwrap()).unwrap();
        bed.arena.with(&bed.org, |boards| boards.open(&name, friends, 0)).unwrap();
    }
}

/// What is told of windows now, by the room.
fn told(bed: &Bed, now_ms: u64) -> Vec<(String, Value)> {
    let told = bed.arena.with(&bed.org, |boards| boards.window_updates(now_ms));
    let mut told: Vec<_> = told
        .into_iter()
        .map(|(room, event)| (room, serde_json::to_value(event).unwrap()["windowUpdate"].take()))
        .collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    told
}

async fn call(
    bed: &Bed,
    player: &str,
    name: &str,
    country: Option<&str>,
) -> Result<(), tidings_app::Refusal> {
    let (player, name, country) = (player.to_owned(), name.to_owned(), country.map(str::to_owned));
    bed.act(move |arena, tx, org| {
        Box::pin(async move {
            people::change(arena, tx, org, &player, (Some(&name), Some(country.as_deref()))).await
        })
    })
    .await
}

/// Bob, who stands where he stood, is shown so in all three windows, and nothing else is told.
fn is_called(told: &[(String, Value)], name: &str, country: Option<&str>) {
    let rooms: Vec<&str> = told.iter().map(|(room, _)| room.as_str()).collect();
    assert_eq!(rooms, [AROUND, FRIENDS, TOP]);
    for (room, update) in told {
        let called = json!({"displayName": name, "country": country});
        let moved = json!([{"playerId": "bob", "from": 2, "to": 2, "eloRating": 1_200, "called": called}]);
        assert_eq!((&update["enter"], &update["leave"]), (&json!([]), &json!([])), "{room}");
        assert_eq!(update["move"], moved, "{room}");
    }
}

#[tokio::test]
async fn a_window_tells_who_is_called_otherwise_or_of_another_country() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR"), ("dan", "FR")]).await;
        open(&bed);
        assert_eq!(told(&bed, 1_000), [], "nothing has changed");
        call(&bed, "bob", "Robert", None).await.unwrap();
        is_called(&told(&bed, 2_000), "Robert", None);
        assert_eq!(told(&bed, 3_000), [], "it is told once");
        call(&bed, "bob", "Robert", Some("SE")).await.unwrap();
        is_called(&told(&bed, 4_000), "Robert", Some("SE"));
        call(&bed, "dan", "Daniel", Some("FR")).await.unwrap();
        assert_eq!(told(&bed, 5_000), [], "nobody looks at dan");

        // With another place it is one move, and who comes is shown as the rest of an entry.
        bed.make_in(None, "m1", &["bob", "dan"]).await.unwrap();
        bed.start("m1").await.unwrap();
        bed.result("m1", Some("dan"), &[]).await.unwrap();
        call(&bed, "dan", "Dan", Some("FR")).await.unwrap();
        call(&bed, "bob", "Bob", Some("SE")).await.unwrap();
        let told = told(&bed, 6_000);
        let (room, top) = told.last().unwrap();
        assert_eq!((room.as_str(), &top["leave"]), (TOP, &json!(["bob"])));
        assert_eq!(top["enter"][0]["displayName"], "Dan");
        assert_eq!(top["move"], json!([{"playerId": "ada", "from": 1, "to": 2, "eloRating": 1_200}]));
        let friends = &told[1].1["move"];
        let bob = friends.as_array().unwrap().iter().find(|moved| moved["playerId"] == "bob").unwrap();
        assert_eq!((&bob["to"], &bob["called"]["displayName"]), (&json!(4), &json!("Bob")), "{friends}");
    }
}

#[tokio::test]
async fn a_window_tells_a_name_that_was_stored_when_nobody_could_say_so() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB"), ("bob", "US"), ("cleo", "FR")]).await;
        open(&bed);
        bed.lose_the_next_answer();
        call(&bed, "bob", "Robert", Some("US")).await.unwrap_err();
        assert_eq!(told(&bed, 1_000), [], "what was stored is not known");
        drop(bed.arena.pass(&bed.stage).await.unwrap());
        is_called(&told(&bed, 2_000), "Robert", Some("US"));
    }
}
