//! What is due in a room is done, whatever cannot be done in others.

use std::fmt::Write as _;

use tidings_trading::journal::Input;
use tidings_trading::order::{Ask, Kind, Side};
use tidings_trading::replay::ROOMS_MOST;
use tidings_trading::room::State;
use tidings_trading::rooms::Key;
use tidings_trading::rules::Rules;

use super::asks::{ask, dec, rules};
use super::stage::Bed;

/// Rooms of one sort that are seen to in one beat.
const DUE_MOST: usize = 64;

/// A room that runs, with a member whose order waits.
async fn running(bed: &Bed, place: (&str, &str), rules: Rules) -> Key {
    let key = bed.room(place, &["ada"], rules).await;
    bed.happen(&key, [Input::Start]).await;
    let limit = Ask { price: Some(dec("1")), ..ask("a", Side::Buy, (Kind::Limit, "1")) };
    assert!(!bed.order(&key, "ada", limit).await.unwrap());
    key
}

/// As many rooms as are seen to in one beat.
async fn others(bed: &Bed, rules: &Rules) -> Vec<Key> {
    let mut others = Vec::new();
    for number in 0..DUE_MOST {
        others.push(running(bed, ("other", &format!("r{number}")), rules.clone()).await);
    }
    others
}

fn armed() -> Input {
    Input::CancelAfter { user: "ada".into(), after_ms: Some(1_000) }
}

async fn open(bed: &Bed, key: &Key) -> usize {
    bed.look(key, |room| room.accounts()["ada"].open.len()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_of_members_who_left_hold_up_no_others() {
    for bed in Bed::both().await {
        for key in others(&bed, &rules()).await {
            bed.happen(&key, [armed(), Input::Leave { user: "ada".into() }]).await;
        }
        bed.wait(1);
        let key = running(&bed, ("one", "r"), rules()).await;
        bed.happen(&key, [armed()]).await;
        bed.wait(1_000);
        bed.beat().await;
        assert_eq!(open(&bed, &key).await, 0, "what is due in the first beat is done in it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_call_for_a_cancellation_that_is_none_hold_up_no_others() {
    for bed in Bed::both().await {
        others(&bed, &rules()).await;
        let key = running(&bed, ("one", "r"), rules()).await;
        bed.happen(&key, [armed()]).await;
        let sql = "UPDATE trading_rooms SET cancel_ms = 1 WHERE org = 'other'";
        assert_eq!(bed.behind(sql).await, DUE_MOST as u64);
        bed.wait(1_000);
        bed.beat().await;
        assert_eq!(open(&bed, &key).await, 1, "the others wait longer");
        bed.beat().await;
        assert_eq!(open(&bed, &key).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_cannot_be_read_hold_up_no_others() {
    let rules = Rules { duration_ms: Some(10_000), snapshot_every_ms: Some(2_000), ..rules() };
    for mut bed in Bed::both().await {
        for key in others(&bed, &rules).await {
            bed.happen(&key, [armed()]).await;
        }
        bed.wait(1);
        let key = running(&bed, ("one", "r"), rules.clone()).await;
        bed.happen(&key, [armed()]).await;
        bed.behind("DELETE FROM trading_journal WHERE org = 'other'").await;
        bed.start_again();
        let kept = |bed: &Bed| bed.said("leaderboard:snapshot_created", "trade:r");
        bed.wait(2_000);
        bed.beat().await;
        assert_eq!((open(&bed, &key).await, kept(&bed)), (1, 0), "the others wait longer");
        bed.beat().await;
        assert_eq!((open(&bed, &key).await, kept(&bed)), (0, 1));
        bed.wait(8_000);
        bed.beat().await;
        assert_eq!(bed.look(&key, |room| room.state()).await, State::Running, "the others wait longer");
        bed.beat().await;
        assert_eq!(bed.look(&key, |room| room.state()).await, State::Ended);
    }
}

/// A file with so many prices in its first two seconds.
fn tape(prices: u32) -> String {
    let mut csv = String::from("at,symbol,price\n");
    for at in 0..prices {
        writeln!(csv, "2010-03-01T09:00:{:02}.{:03}Z,ACME,{}", at / 1_000, at % 1_000, at % 2 + 1).unwrap();
    }
    csv
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_are_far_behind_with_their_files_hold_up_no_others() {
    for bed in Bed::both().await {
        for number in 0..ROOMS_MOST {
            let key = bed.room(("other", &format!("r{number}")), &["ada"], rules()).await;
            bed.feed(&key, tape(2_000)).await;
            bed.happen(&key, [Input::Start]).await;
        }
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        bed.feed(&key, tape(1) + "2010-03-01T09:00:10Z,ACME,7\n").await;
        bed.happen(&key, [Input::Start]).await;
        bed.beat().await;
        bed.beat().await;
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(dec("1")));
        bed.wait(10_001);
        bed.beat().await;
        bed.beat().await;
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(dec("7")));
    }
}
