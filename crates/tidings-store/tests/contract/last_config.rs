//! What was set at the last start.

use tidings_store::StoreError;
use tidings_store::last_config::SETTINGS_BYTES;

use crate::bed::{Bed, NOW, both, tx};

both!(the_settings_of_the_last_start_take_the_place_of_those_before);

async fn the_settings_of_the_last_start_take_the_place_of_those_before(bed: &Bed) {
    assert_eq!(bed.store.read().await.unwrap().last_config().await.unwrap(), None);
    for text in ["{}", "{\"limits.rooms\":7}"] {
        tx!(bed.store, tx => tx.keep_config(text, NOW).await.unwrap());
        assert_eq!(bed.store.read().await.unwrap().last_config().await.unwrap().as_deref(), Some(text));
    }
    let long = "x".repeat(SETTINGS_BYTES + 1);
    let refused = tx!(bed.store, tx => tx.keep_config(&long, NOW).await);
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
}
