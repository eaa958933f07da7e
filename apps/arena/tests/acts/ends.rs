//! The time of a session is up, or it is closed.

use tidings_arena::store::sessions;

use crate::bed::{Bed, CUP};

/// Long behind whatever happens before it.
const ENDS: u64 = 1_000_000;

#[tokio::test]
async fn a_session_whose_time_is_up_is_listed_with_those_that_are_closed() {
    for bed in Bed::both().await {
        bed.people(&[("ada", "GB")]).await;
        bed.cup_until(Some(ENDS), &["ada"]).await;
        let lists = |status: &'static str, now_ms: u64| {
            let (stage, org) = (bed.stage.clone(), bed.org.clone());
            async move {
                let mut reader = stage.read().await.unwrap();
                let found = sessions::newest(&mut reader, &org, (status, now_ms), 10).await.unwrap();
                !found.is_empty()
            }
        };
        for (now_ms, open) in [(ENDS - 1, true), (ENDS, false)] {
            assert_eq!(lists("open", now_ms).await, open, "at {now_ms}");
            assert_eq!(lists("closed", now_ms).await, !open, "at {now_ms}");
            assert!(lists("", now_ms).await);
        }
        let found = sessions::find(&mut bed.stage.read().await.unwrap(), &bed.org, CUP).await.unwrap();
        let found = found.unwrap();
        assert_eq!((found.is_over(ENDS - 1), found.is_over(ENDS)), (false, true));

        // Without an end only closing it does that.
        bed.close().await;
        assert!(!lists("open", 0).await && lists("closed", 0).await);
    }
}
