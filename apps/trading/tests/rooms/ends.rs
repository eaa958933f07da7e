//! A room ends at the time that was announced, however late somebody sees to it: what comes from then on is refused, what was due
//! before goes first.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tidings_app::{Code, Refusal};
use tidings_trading::acts;
use tidings_trading::journal::{Entry, Input};
use tidings_trading::order::{Ask, Kind, Side};
use tidings_trading::room::State;
use tidings_trading::rooms::Key;
use tidings_trading::rules::Rules;
use tidings_trading::standing::{Measure, Ranking};
use tidings_trading::store;

use super::asks::{ask, dec, rules};
use super::stage::Bed;

/// How long the rooms run.
const LASTS_MS: u64 = 10_000;

fn lasting() -> Rules {
    Rules { duration_ms: Some(LASTS_MS), ..rules() }
}

fn price(price: &str) -> Input {
    Input::Price { symbol: "ACME".into(), price: dec(price), volume: None }
}

fn limit(client: &str) -> Ask {
    Ask { price: Some(dec("1")), ..ask(client, Side::Buy, (Kind::Limit, "1")) }
}

async fn happens(bed: &Bed, key: &Key, input: Input) -> Result<usize, Refusal> {
    acts::happens(&bed.rooms, &bed.stage, key, vec![input]).await
}

fn sentence<T>(refused: Result<T, Refusal>) -> String {
    refused.map(drop).unwrap_err().message.to_string()
}

/// What stands in the journal, and that a room is made of it again.
async fn journal(bed: &mut Bed, key: &Key) -> Vec<Entry> {
    let before = bed.look(key, Clone::clone).await;
    bed.start_again();
    assert_eq!(bed.look(key, Clone::clone).await, before, "the journal says the same");
    store::read(&mut bed.stage.read().await.unwrap(), &key.0, &key.1, (0, 1_000)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_at_the_announced_end_or_behind_it() {
    for mut bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada", "bob"], lasting()).await;
        bed.happen(&key, [Input::Start, price("10")]).await;
        let ends_ms = bed.look(&key, |room| room.ends_ms()).await.unwrap();
        bed.wait(LASTS_MS - 1);
        assert!(!bed.order(&key, "ada", limit("a")).await.unwrap(), "the control: a millisecond before");
        bed.wait(1 + 123_000);
        let over = sentence(happens(&bed, &key, price("20")).await);
        assert!(over.starts_with("room_not_running"), "{over}");
        let (state, ended_ms) = bed.look(&key, |room| (room.state(), room.ended_ms())).await;
        assert_eq!((state, ended_ms), (State::Ended, Some(ends_ms)), "it has ended at its end");
        assert!(bed.order(&key, "ada", limit("a")).await.unwrap(), "a repeat is the order there is");
        assert_eq!(bed.order(&key, "ada", limit("b")).await.unwrap_err().code, Code::Conflict);
        assert_eq!(bed.said("order:failed", "trade:r:ada"), 1);
        let cancel = acts::cancel(&bed.rooms, &bed.stage, key.clone(), ("ada", None), "o1").await;
        assert!(sentence(cancel).starts_with("room_not_running"));
        let eve = Input::Join { user: "eve".into(), name: "eve".into() };
        for input in [eve, Input::Leave { user: "bob".into() }] {
            assert!(sentence(happens(&bed, &key, input).await).starts_with("room_state"));
        }
        assert_eq!(bed.look(&key, |room| room.price_of(0)).await, Some(dec("10")));
        assert_eq!(bed.said("room:ended", "trade:r"), 1);
        let last = journal(&mut bed, &key).await.pop().unwrap();
        assert_eq!((last.input, last.at_ms), (Input::End, ends_ms));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_ends_by_itself_or_by_its_owner_late_has_ended_when_it_was_announced() {
    for bed in Bed::both().await {
        for (id, by_owner) in [("r1", true), ("r2", false)] {
            let key = bed.room(("one", id), &["ada"], Rules { speed: 1_000, ..lasting() }).await;
            bed.happen(&key, [Input::Start]).await;
            bed.wait(150);
            if by_owner {
                bed.happen(&key, [Input::End]).await;
            } else {
                bed.beat().await;
            }
            let (ends_ms, ended_ms) = bed.look(&key, |room| (room.ends_ms(), room.ended_ms())).await;
            assert!(ended_ms.is_some() && ended_ms == ends_ms, "{ended_ms:?} {ends_ms:?}");
        }
        let key = bed.room(("one", "r3"), &["ada"], lasting()).await;
        bed.happen(&key, [Input::Start]).await;
        bed.wait(100);
        bed.happen(&key, [Input::End]).await;
        let (ends_ms, ended_ms) = bed.look(&key, |room| (room.ends_ms(), room.ended_ms())).await;
        assert!(ended_ms < ends_ms, "the control: an owner ends it early");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_that_were_due_before_the_end_go_before_it() {
    for mut bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada", "bob"], lasting()).await;
        bed.happen(&key, [Input::Start]).await;
        bed.order(&key, "ada", limit("a")).await.unwrap();
        bed.order(&key, "bob", limit("b")).await.unwrap();
        let armed = |user: &str, ms| Input::CancelAfter { user: user.into(), after_ms: Some(ms) };
        bed.happen(&key, [armed("ada", LASTS_MS - 1), armed("bob", LASTS_MS)]).await;
        bed.wait(LASTS_MS + 5_000);
        assert_eq!(bed.order(&key, "ada", limit("c")).await.unwrap_err().code, Code::Conflict);
        let ends_ms = bed.look(&key, |room| room.ends_ms()).await.unwrap();
        let mut entries = journal(&mut bed, &key).await;
        let last: Vec<(u64, Input)> = entries
            .split_off(entries.len() - 2)
            .into_iter()
            .map(|entry| (entry.at_ms, entry.input))
            .collect();
        let due = Input::CancelDue { user: "ada".into() };
        assert_eq!(last, [(ends_ms - 1, due), (ends_ms, Input::End)]);
        assert_eq!(bed.said("order:cancelled", "trade:r:bob"), 1, "the end cancels what is due with it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_of_a_file_that_were_due_before_the_end_are_given_before_it() {
    for mut bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], lasting()).await;
        // More in the last second than one beat gives, one at the end, one behind it.
        let mut csv = String::from("at,symbol,price\n2010-03-01T09:00:00Z,ACME,1\n");
        for at in 0..500 {
            writeln!(csv, "2010-03-01T09:00:09.{at:03}Z,ACME,{}", 2 + at % 2).unwrap();
        }
        csv += "2010-03-01T09:00:09.999Z,ACME,7\n2010-03-01T09:00:10Z,ACME,8\n2010-03-01T09:00:11Z,ACME,9\n";
        bed.feed(&key, csv).await;
        bed.happen(&key, [Input::Start]).await;
        bed.beat().await;
        bed.wait(LASTS_MS + 60_000);
        assert!(sentence(happens(&bed, &key, price("20")).await).starts_with("room_not_running"));
        assert_eq!(bed.order(&key, "ada", limit("a")).await.unwrap_err().code, Code::Conflict);
        assert_eq!(
            bed.look(&key, |room| room.state()).await,
            State::Running,
            "what is of before comes first"
        );
        for _ in 0..4 {
            bed.beat().await;
            bed.wait(250);
        }
        let (price, ends_ms, ended_ms) =
            bed.look(&key, |room| (room.price_of(0), room.ends_ms(), room.ended_ms())).await;
        assert_eq!((price, ended_ms), (Some(dec("7")), ends_ms));
        let prices = journal(&mut bed, &key).await;
        let prices = prices.iter().filter(|entry| matches!(entry.input, Input::Price { .. }));
        assert_eq!(prices.count(), 502);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standings_are_kept_as_of_their_own_time_where_nobody_trades() {
    let ranking = Ranking { measure: Measure::TimeWeighted, ..rules().ranking };
    let rules = Rules { snapshot_every_ms: Some(1_000), ranking, ..lasting() };
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules.clone()).await;
        bed.happen(&key, [Input::Start, price("10")]).await;
        bed.order(&key, "ada", ask("a", Side::Buy, (Kind::Market, "10"))).await.unwrap();
        bed.wait(1_000);
        bed.happen(&key, [price("20")]).await;
        let from_ms = bed.look(&key, |room| room.at_ms()).await;
        for _ in 0..3 {
            bed.wait(1_000);
            bed.beat().await;
        }
        bed.wait(LASTS_MS);
        bed.beat().await;
        let kept = bed.kept(&key).await;
        let mut at: Vec<u64> = kept.iter().map(|kept| kept.at_ms - from_ms).collect();
        at.reverse();
        assert_eq!(at[..3], [1_000, 2_000, 3_000]);
        assert!(at[3..].iter().all(|at| *at == LASTS_MS - 1_000), "{at:?}: none is of after the end");
        let values: BTreeSet<&String> = kept.iter().rev().take(3).map(|kept| &kept.entries).collect();
        assert_eq!(values.len(), 3, "the longer a profit is there, the more it weighs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_paid_any_more_has_failed_and_is_not_told_as_cancelled() {
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        let little = Input::Price { symbol: "ACME".into(), price: dec("10"), volume: Some(dec("3")) };
        bed.happen(&key, [Input::Start, little]).await;
        bed.order(&key, "ada", ask("a", Side::Buy, (Kind::Market, "50"))).await.unwrap();
        bed.happen(&key, [price("900")]).await;
        let said = |event| bed.said(event, "trade:r:ada");
        assert_eq!((said("order:executed"), said("order:failed"), said("order:cancelled")), (1, 1, 0));
        bed.order(&key, "ada", limit("b")).await.unwrap();
        bed.happen(&key, [Input::Leave { user: "ada".into() }]).await;
        assert_eq!(said("order:cancelled"), 1, "the control");
    }
}
