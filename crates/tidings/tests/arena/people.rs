//! Players come and change.

use serde_json::{Value, json};

use crate::bed::{Bed, Rest, hear, listens, places, subscribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_player_who_comes_or_changes_is_answered_as_who_reads_behind_it() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("bob", "US"), ("cleo", "FR")]).await;
        let new = json!({"id": "ada", "displayName": "Ada", "country": "GB"});
        let made = studio.done("POST /players", new).await;
        assert_eq!((&made["rank"], &made["countryRank"]), (&json!(3), &json!(1)), "{made}");
        assert_eq!(made, studio.get("/players/ada").await);

        for (change, rank) in [
            (json!({"country": "FR"}), json!(2)),
            (json!({"displayName": "Ada L."}), json!(2)),
            (json!({"country": "DE"}), json!(1)),
            (json!({"country": null}), Value::Null),
            (json!({}), Value::Null),
        ] {
            let changed = studio.done("PATCH /players/ada", change.clone()).await;
            assert_eq!((&changed["rank"], &changed["countryRank"]), (&json!(3), &rank), "{change}");
            assert_eq!(changed, studio.get("/players/ada").await, "{change}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_is_taken_away_by_null_and_its_board_is_told() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let studio = Rest::server(server.addr());
        studio.people(&[("ada", "GB"), ("bob", "GB")]).await;
        let mut ada = listens(server.addr(), "ada").await;
        for room in ["player:ada", "leaderboard:country:GB"] {
            assert_eq!(subscribe(&mut ada, room).await["ok"], true, "{room}");
        }
        Rest::player(server.addr(), "ada").done("PATCH /players/ada", json!({"country": null})).await;
        let updated = hear(&mut ada, "profileUpdated").await;
        assert_eq!(updated["data"], json!({"playerId": "ada", "changes": {"country": null}}));
        let left = hear(&mut ada, "playerLeft").await;
        assert_eq!((&left["data"]["playerId"], &left["data"]["country"]), (&json!("ada"), &json!("GB")));
        let board = studio.get("/leaderboards/country/GB").await;
        assert_eq!(places(&board["entries"]), [("bob".to_owned(), 1, 1200)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_nobody_joins_a_session_himself() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let studio = Rest::server(server.addr());
    studio.people(&[("ada", "GB"), ("bob", "US")]).await;
    studio.done("POST /sessions", json!({"id": "cup", "name": "Cup"})).await;
    for (id, players) in [("ada", 1), ("bob", 2)] {
        let joined = Rest::player(server.addr(), id).done("POST /sessions/cup/players", json!({})).await;
        assert_eq!(joined["players"], players);
        let around = studio.get(&format!("/leaderboards/session/cup/around/{id}")).await;
        assert_eq!(around["total"], players);
    }
}
