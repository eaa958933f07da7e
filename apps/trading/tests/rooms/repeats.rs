//! A repeat of an order is answered as that order for as long as the room is there, and nobody is told that it failed.

use tidings_app::{Code, Refusal};
use tidings_trading::journal::Input;
use tidings_trading::order::{Kind, Side};

use super::asks::{ask, dec, rules};
use super::stage::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_filled_order_is_answered_as_that_order_when_its_room_has_ended() {
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada"], rules()).await;
        let price = Input::Price { symbol: "ACME".into(), price: dec("10"), volume: None };
        bed.happen(&key, [Input::Start, price]).await;
        let buy = |client, quantity| ask(client, Side::Buy, (Kind::Market, quantity));
        let failed = || bed.said("order:failed", "trade:r:ada");
        let code = |refused: Result<bool, Refusal>| refused.unwrap_err().code;
        assert!(!bed.order(&key, "ada", buy("a", "1")).await.unwrap());
        // Another order under the same id is refused; the one that has the id did not fail.
        assert_eq!(code(bed.order(&key, "ada", buy("a", "2")).await), Code::Conflict);
        assert_eq!(failed(), 0);
        bed.happen(&key, [Input::End]).await;
        let entries = bed.look(&key, |room| room.seq()).await;
        assert!(bed.order(&key, "ada", buy("a", "1")).await.unwrap(), "it is the one there is");
        assert_eq!(failed(), 0);
        assert_eq!(code(bed.order(&key, "ada", buy("b", "1")).await), Code::Conflict);
        assert_eq!(failed(), 1, "the control: what is new is refused, and told");
        assert_eq!(bed.look(&key, |room| room.seq()).await, entries, "neither is an entry of the journal");
    }
}
