//! What is due by itself comes in the order in which it was due, however late somebody sees to it: a switch cancels before
//! whatever comes after its time.

use std::fmt::Write as _;

use tidings_trading::journal::{Entry, Input};
use tidings_trading::order::{Ask, Kind, Side, Status};
use tidings_trading::rooms::Key;
use tidings_trading::store;

use super::asks::{ask, dec, rules};
use super::stage::Bed;

fn limit(client: &str, price: &str) -> Ask {
    Ask { price: Some(dec(price)), ..ask(client, Side::Buy, (Kind::Limit, "1")) }
}

fn armed(user: &str, after_ms: u64) -> Input {
    Input::CancelAfter { user: user.into(), after_ms: Some(after_ms) }
}

fn price(price: &str) -> Input {
    Input::Price { symbol: "ACME".into(), price: dec(price), volume: None }
}

/// How the orders of a room stand, in the order in which they were placed.
async fn stand(bed: &Bed, key: &Key) -> Vec<Status> {
    bed.look(key, |room| room.orders().iter().map(|order| order.status).collect()).await
}

async fn entries(bed: &Bed, key: &Key) -> Vec<Entry> {
    store::read(&mut bed.stage.read().await.unwrap(), &key.0, &key.1, (0, 10_000)).await.unwrap()
}

/// A room at whose file a price of 50 comes each second, but 10 at the fifth and the eighth.
async fn fed(bed: &Bed) -> Key {
    let key = bed.room(("one", "r"), &["ada", "bob", "cy"], rules()).await;
    let mut csv = String::from("at,symbol,price\n");
    for second in 0..12 {
        let price = if [5, 8].contains(&second) { 10 } else { 50 };
        writeln!(csv, "2010-03-01T09:00:{second:02}Z,ACME,{price}").unwrap();
    }
    bed.feed(&key, csv).await;
    bed.happen(&key, [Input::Start]).await;
    bed.beat().await;
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_a_file_and_switches_come_in_the_order_in_which_they_were_due() {
    for mut bed in Bed::both().await {
        let key = fed(&bed).await;
        for user in ["ada", "bob", "cy"] {
            bed.order(&key, user, limit(user, "10")).await.unwrap();
        }
        // Bob's order meets the price of the fifth second; the other two are gone before theirs, in the order of their times.
        bed.happen(&key, [armed("cy", 3_000), armed("ada", 2_000), armed("bob", 6_000)]).await;
        let before = entries(&bed, &key).await.len();
        bed.start_again();
        bed.wait(60_000);
        bed.beat().await;
        assert_eq!(stand(&bed, &key).await, [Status::Cancelled, Status::Filled, Status::Cancelled]);
        let started_ms = bed.look(&key, |room| room.started_ms().unwrap()).await;
        let came = entries(&bed, &key).await.split_off(before);
        let came: Vec<(u64, String)> = came
            .into_iter()
            .map(|Entry { at_ms, input, .. }| match input {
                Input::CancelDue { user } => (at_ms - started_ms, user),
                Input::Price { price, .. } => (at_ms - started_ms, price.to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        let came: Vec<(u64, &str)> = came.iter().map(|(at_ms, what)| (*at_ms, what.as_str())).collect();
        let expected = [
            (1_000, "50"),
            (2_000, "ada"),
            (2_000, "50"),
            (3_000, "cy"),
            (3_000, "50"),
            (4_000, "50"),
            (5_000, "10"),
            (6_000, "bob"),
            (6_000, "50"),
            (7_000, "50"),
            (8_000, "10"),
        ];
        assert_eq!(came[..expected.len()], expected);
        assert_eq!(came.len(), expected.len() + 3, "all of the file");
        bed.start_again();
        assert_eq!(stand(&bed, &key).await[1], Status::Filled, "the journal says the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_waits_for_prices_of_before_its_time_that_one_beat_could_not_give() {
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        // More than one beat gives, then the price that fills the order, then the switch.
        let mut csv = String::from("at,symbol,price\n");
        for at in 0..300 {
            writeln!(csv, "2010-03-01T09:00:01.{at:03}Z,ACME,{}", 50 + at % 2).unwrap();
        }
        csv += "2010-03-01T09:00:03Z,ACME,10\n2010-03-01T09:00:09Z,ACME,10\n";
        bed.feed(&key, csv).await;
        bed.happen(&key, [Input::Start]).await;
        bed.order(&key, "ada", limit("a", "10")).await.unwrap();
        bed.happen(&key, [armed("ada", 5_000)]).await;
        bed.wait(60_000);
        bed.beat().await;
        assert_eq!(stand(&bed, &key).await, [Status::Open], "what is of before comes first");
        bed.wait(250);
        bed.beat().await;
        assert_eq!(stand(&bed, &key).await, [Status::Filled]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_of_a_room_finds_the_orders_cancelled_that_a_switch_cancels() {
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada", "bob"], rules()).await;
        bed.happen(&key, [Input::Start, price("50")]).await;
        bed.order(&key, "ada", limit("a", "10")).await.unwrap();
        bed.order(&key, "bob", limit("b", "10")).await.unwrap();
        bed.happen(&key, [armed("ada", 1_000), armed("bob", 1_001)]).await;
        bed.wait(1_000);
        // Nobody has looked what is due.
        bed.happen(&key, [price("10")]).await;
        assert_eq!(stand(&bed, &key).await, [Status::Cancelled, Status::Filled]);
        assert_eq!(bed.said("order:cancelled", "trade:r:ada"), 1);
        bed.order(&key, "ada", limit("c", "1")).await.unwrap();
        bed.beat().await;
        assert_eq!(stand(&bed, &key).await[2], Status::Open, "what came behind it is not cancelled by it");
        bed.happen(&key, [armed("ada", 1_000)]).await;
        bed.wait(1_001);
        bed.happen(&key, [armed("ada", 1_000)]).await;
        assert_eq!(stand(&bed, &key).await[2], Status::Cancelled, "it cannot be put off when it is over");
    }
}
