//! How prices went is known of a room in memory, also when it was read a moment ago, and is no part of the room.

use tidings_trading::journal::Input;
use tidings_trading::room::image::Sketch;
use tidings_trading::trail::{POINTS_MOST, Point};

use super::asks::{dec, rules};
use super::stage::Bed;

fn price(number: u64) -> Input {
    Input::Price { symbol: "ACME".into(), price: dec(&number.to_string()), volume: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_price_went_is_known_after_a_start_too() {
    for mut bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        for number in 1..=900 {
            bed.wait(1_000);
            bed.happen(&key, [price(number)]).await;
        }
        let went = bed.rooms.went(&key, "ACME", POINTS_MOST);
        assert!((POINTS_MOST / 2 - 1..=POINTS_MOST).contains(&went.len()), "{}", went.len());
        assert!(went.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1), "the oldest first");
        let between: Vec<u64> = went.windows(2).map(|two| two[1].0 - two[0].0).collect();
        assert!(between.iter().all(|ms| (1_000..=3_000).contains(ms)), "{between:?}");
        let ends = |went: &[Point]| (went[0].1 <= dec("3"), went[went.len() - 1].1);
        assert_eq!(ends(&went), (true, dec("900")), "it goes back to the beginning, and to now");
        assert_eq!(bed.rooms.went(&key, "ACME", 2), went[went.len() - 2..]);
        assert_eq!(bed.rooms.went(&key, "BTC-EUR", POINTS_MOST), []);
        let image = bed.look(&key, |room| room.image(Sketch::default()).into_bytes()).await;
        bed.start_again();
        assert_eq!(bed.look(&key, |room| room.image(Sketch::default()).into_bytes()).await, image);
        assert_eq!(bed.rooms.went(&key, "ACME", POINTS_MOST), went);
    }
}
