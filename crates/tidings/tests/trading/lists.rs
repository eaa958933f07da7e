//! Lists of rooms and of kept standings: whole, however many others there are, and page by page.

use serde_json::{Value, json};

use crate::bed::{Bed, Rest, rules};

/// Makes a room that is not open yet.
async fn make(who: &Rest, id: &str) {
    who.done("POST /rooms", json!({"id": id, "name": "A room", "rules": rules(Value::Null)})).await;
}

/// What stands under a name in each of a list.
fn each<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap()).collect()
}

/// All rooms that somebody is shown, two by two.
async fn all(who: &Rest, query: &str) -> Vec<String> {
    let (mut all, mut before): (Vec<String>, String) = Default::default();
    loop {
        let page = who.get(&format!("/rooms?limit=2{query}{before}")).await;
        let ids = each(&page["rooms"], "id");
        all.extend(ids.iter().map(|id| (*id).to_owned()));
        match ids.last() {
            Some(last) if page["more"] == true => before = format!("&before={last}"),
            _ => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_of_others_hide_no_rooms_and_a_list_goes_on_behind_its_last() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        let (ada, bob) = (Rest::user(server.addr(), "ada"), Rest::user(server.addr(), "bob"));
        for id in ["open1", "open2"] {
            make(&exchange, id).await;
            exchange.done(&format!("POST /rooms/{id}/open"), Value::Null).await;
        }
        for id in ["mine1", "mine2", "mine3"] {
            make(&ada, id).await;
        }
        for number in 0..5 {
            make(&bob, &format!("his{number}")).await;
        }
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let seen = ["mine1", "mine2", "mine3", "open1", "open2"];
        assert_eq!(sorted(all(&ada, "").await), seen);
        assert_eq!(sorted(all(&ada, "&state=draft").await), seen[..3]);
        assert_eq!(all(&Rest::user(server.addr(), "eve"), "").await.len(), 2);
        assert_eq!(all(&exchange, "").await.len(), 10, "servers see them all");
        let one = ada.get("/rooms?limit=1").await;
        assert_eq!((each(&one["rooms"], "id").len(), &one["more"]), (1, &json!(true)));
        for nowhere in ["his0", "none"] {
            let (status, _) = ada.refused(&format!("GET /rooms?before={nowhere}"), Value::Null).await;
            assert_eq!(status, 404, "{nowhere}: what one does not see is no place in a list");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_twenty_rooms_that_have_not_ended_and_a_service_more() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let (exchange, ada) = (Rest::server(server.addr()), Rest::user(server.addr(), "ada"));
    for number in 0..20 {
        make(&ada, &format!("a{number}")).await;
        make(&exchange, &format!("e{number}")).await;
    }
    let more = json!({"name": "A room", "rules": rules(Value::Null)});
    let (status, sentence) = ada.refused("POST /rooms", more).await;
    assert!(status == 409 && sentence.contains("as many rooms"), "{status} {sentence}");
    make(&exchange, "e20").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standings_are_the_same_answer_until_something_happens() {
    let bed = Bed::sqlite();
    let server = bed.serve();
    let exchange = Rest::server(server.addr());
    make(&exchange, "draft").await;
    assert!(exchange.get("/rooms/draft/standings").await["at"].as_str().unwrap() > "2020");
    exchange.room("r1", &["ada"], Value::Null).await;
    exchange.price("r1", "10", None).await;
    let before = exchange.get("/rooms/r1/standings").await;
    assert_eq!(before["standings"].as_array().unwrap().len(), 1);
    // Its tag is of what is answered.
    assert_eq!(exchange.get("/rooms/r1/standings").await, before);
    exchange.price("r1", "11", None).await;
    let after = exchange.get("/rooms/r1/standings").await;
    assert!(after["at"].as_str() > before["at"].as_str() && after["journal"] != before["journal"], "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn standings_that_were_kept_are_listed_to_the_oldest() {
    for bed in Bed::both().await {
        let server = bed.serve();
        let exchange = Rest::server(server.addr());
        exchange.room("r1", &["ada"], Value::Null).await;
        for _ in 0..5 {
            exchange.done("POST /rooms/r1/snapshots", Value::Null).await;
        }
        for (query, ids) in [
            ("?limit=2", &["5", "4"][..]),
            ("?limit=2&offset=2", &["3", "2"]),
            ("?limit=2&offset=4", &["1"]),
            ("?offset=5", &[]),
            ("", &["5", "4", "3", "2", "1"]),
        ] {
            let page = exchange.get(&format!("/rooms/r1/snapshots{query}")).await;
            assert_eq!(each(&page["snapshots"], "snapshotId"), ids, "{query}");
            assert_eq!(page["total"], 5);
        }
        assert_eq!(exchange.get("/rooms/r1/snapshots/1").await["entries"][0]["userId"], "ada");
        let (status, _) = exchange.refused("GET /rooms/r1/snapshots/6", Value::Null).await;
        assert_eq!(status, 404);
    }
}
