//! Rooms with long journals and no image are read in the background, a part at a time.

use tidings_app::{Code, Refusal};
use tidings_testkit::client::PATIENCE;
use tidings_trading::decimal::Dec;
use tidings_trading::journal::Input;
use tidings_trading::rooms::{Key, Rooms};
use tokio::time::timeout;

use super::asks::{dec, rules};
use super::stage::Bed;

/// What one go reads here: a page of a journal.
const READ_MOST: u64 = 5_000;

/// A room whose journal is read in three goes, on a server that has just begun; its newest price.
async fn long(bed: &mut Bed) -> (Key, Dec) {
    let key = bed.room(("one", "r"), &["ada"], rules()).await;
    lengthen(bed, &key).await;
    bed.rooms = Rooms::new(READ_MOST).into();
    (key, dec("9"))
}

/// Many prices, the last of which is 9.
async fn lengthen(bed: &Bed, key: &Key) {
    let prices: Vec<Input> = (0..2 * READ_MOST + 10)
        .map(|at| Input::Price { symbol: "ACME".into(), price: dec(&(at % 7 + 1).to_string()), volume: None })
        .collect();
    bed.happen_together(key, prices).await;
    bed.happen(key, [Input::Price { symbol: "ACME".into(), price: dec("9"), volume: None }]).await;
}

fn is_being_read(looked: Result<(), Refusal>) -> bool {
    looked.is_err_and(|refused| (refused.code, refused.retry_after_ms) == (Code::Unavailable, Some(1_000)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_with_a_long_journal_is_read_beside_those_who_ask_for_it() {
    for mut bed in Bed::both().await {
        let (key, price) = long(&mut bed).await;
        bed.rooms.read_on(&bed.stage).await.unwrap();
        assert!(
            is_being_read(bed.try_look(&key, |_| ()).await),
            "nobody had asked for it, so it was not read"
        );
        assert!(is_being_read(bed.try_look(&key, |_| ()).await), "who asks does not read it on");
        let read = timeout(PATIENCE, bed.rooms.read_on(&bed.stage)).await;
        read.expect("each time it goes on from where it had come to").unwrap();
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(price));
        // It goes on like any other.
        bed.happen(&key, [Input::Start]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_long_journal_is_found_and_said() {
    for mut bed in Bed::both().await {
        let (key, _) = long(&mut bed).await;
        bed.behind("DELETE FROM trading_journal WHERE seq = 7000").await;
        assert!(is_being_read(bed.try_look(&key, |_| ()).await));
        let wrong = timeout(PATIENCE, bed.rooms.read_on(&bed.stage)).await.unwrap();
        assert_eq!(wrong.unwrap_err().retry_after_ms, None);
        bed.rooms.read_on(&bed.stage).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_removed_is_not_read_on() {
    for mut bed in Bed::both().await {
        let (key, _) = long(&mut bed).await;
        assert!(is_being_read(bed.try_look(&key, |_| ()).await));
        bed.behind("DELETE FROM trading_rooms").await;
        timeout(PATIENCE, bed.rooms.read_on(&bed.stage)).await.unwrap().unwrap();
        assert_eq!(bed.try_look(&key, |_| ()).await.unwrap_err().code, Code::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_being_read_is_fed_from_its_file_as_soon_as_it_is_there() {
    for mut bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        bed.feed(&key, "at,symbol,price\n2010-03-01,ACME,12\n".to_owned()).await;
        lengthen(&bed, &key).await;
        bed.happen(&key, [Input::Start]).await;
        bed.rooms = Rooms::new(READ_MOST).into();
        bed.beat().await;
        timeout(PATIENCE, bed.rooms.read_on(&bed.stage)).await.unwrap().unwrap();
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(dec("9")), "it was not there yet");
        bed.wait(1_000);
        bed.beat().await;
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(dec("12")));
    }
}
