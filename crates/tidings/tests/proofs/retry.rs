//! Publishes whose answer was lost, tried again.

use tidings_testkit::Proxy;
use tidings_testkit::client::PlainClient;
use tidings_testkit::history::{Demand, Fault, History, Verdict};
use tidings_testkit::proxy::{End, Fault as Spoilt, Way};

use crate::bed::{Publisher, follow, hear_up_to, place, run, serve, stored};

const ROOM: &str = "notes:1";
const RUNS: u64 = 50;

/// Publishes so often, each time with the connection reset behind the question and before the answer, and
/// then again until it is acknowledged.
async fn resets(keys: bool) -> (Verdict, u64) {
    let place = place("");
    let server = serve(place.path());
    let proxy = Proxy::start(server.addr(), 4).await.unwrap();
    let mut history = History::new();
    let (mut follower, mut hears) = follow(server.addr(), ROOM, &mut history).await;
    let mut publisher = Publisher::new(&mut history, ROOM, keys);
    let mut duplicates = 0;
    for message in 1..=RUNS {
        proxy.set(Way::Down, Spoilt::Pass);
        let mut client = PlainClient::sign_in(proxy.addr(), None).await.unwrap();
        proxy.set(Way::Down, Spoilt::CutAfter(0, End::Rst));
        let lost = publisher.settle(&mut client, message, &mut history).await;
        assert!(lost.is_err(), "the answer came: {lost:?}");
        proxy.set(Way::Down, Spoilt::Pass);
        let mut client = PlainClient::sign_in(proxy.addr(), None).await.unwrap();
        let answer = publisher.settle(&mut client, message, &mut history).await.unwrap().unwrap();
        duplicates += u64::from(answer["duplicate"] == true);
    }
    assert_eq!(proxy.journal().iter().filter(|done| done.what == "cut").count() as u64, RUNS);
    let all = stored(server.addr(), ROOM).await;
    let top = all.last().unwrap().0;
    hear_up_to(top, &mut follower, &mut hears, &mut history).await;
    let end = follower.position().unwrap().at();
    history.ended(follower.client(), follower.room(), end);
    let demand = Demand { acked: RUNS as usize, delivered: RUNS, gaps: false };
    (history.verdict(&demand), duplicates)
}

#[test]
fn a_publish_that_is_tried_again_under_its_key_is_stored_once() {
    let (verdict, duplicates) = run(resets(true));
    println!("{verdict}");
    assert!(verdict.holds(), "{verdict}");
    assert_eq!((verdict.delivered, duplicates), (RUNS, RUNS), "each answer says that it was there before");
}

/// The control: it is the key that does it.
#[test]
fn a_publish_that_is_tried_again_without_a_key_is_stored_twice() {
    let (verdict, duplicates) = run(resets(false));
    let twice = verdict.count(|fault| matches!(fault, Fault::StoredTwice { .. }));
    assert!(twice > 0 && duplicates == 0, "{verdict}");
}
