//! Who hears a room that is removed is taken out of it.

use tidings_app::Code;
use tidings_trading::clean;
use tidings_trading::journal::Input;

use super::asks::rules;
use super::stage::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_removed_to_be_made_anew_is_closed_for_all_who_hear_it() {
    for bed in Bed::both().await {
        let key = bed.room(("one", "r"), &["ada", "bob"], rules()).await;
        bed.happen(&key, [Input::Start, Input::Leave { user: "bob".into() }, Input::End]).await;
        assert_eq!(bed.closed(), Vec::<String>::new());
        clean::remove_wholly(&bed.rooms, &bed.stage, &key).await.unwrap();
        assert_eq!(bed.closed(), ["trade:r:ada", "trade:r:bob", "trade:r"]);
        assert_eq!(bed.try_look(&key, |_| ()).await.unwrap_err().code, Code::NotFound);
        // The next of its id has nothing of it.
        let next = bed.room(("one", "r"), &["eve"], rules()).await;
        assert_eq!(
            bed.look(&next, |room| room.accounts().keys().cloned().collect::<Vec<_>>()).await,
            ["eve"]
        );
    }
}
