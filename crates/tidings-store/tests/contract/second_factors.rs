//! Second factors, and when a password was last proved.

use tidings_core::Org;
use tidings_store::StoreError;
use tidings_store::refresh::NewFamily;

use crate::bed::{Bed, NOW, both, digest, tx};

both!(
    a_secret_is_replaced_until_it_is_asked_for_and_then_stays,
    of_a_hundred_who_show_the_code_of_one_step_one_gets_through,
    a_recovery_code_is_used_up_once_and_new_ones_replace_the_rest,
    a_second_factor_goes_with_its_codes_and_with_its_user,
    what_was_proved_belongs_to_one_sign_in_that_lives,
    a_new_password_forgives_nothing_where_a_code_is_asked_for,
);

async fn ada(bed: &Bed) -> Org {
    let org = bed.org("acme").await;
    bed.user(&org, "ada").await;
    org
}

async fn a_secret_is_replaced_until_it_is_asked_for_and_then_stays(bed: &Bed) {
    let org = ada(bed).await;
    let nobody = bed.store.begin().await.unwrap().begin_second_factor(&org, "bob", b"x").await;
    assert_eq!(nobody, Err(StoreError::NotFound("user")));
    for sealed in [b"first", b"other"] {
        tx!(bed.store, tx => tx.begin_second_factor(&org, "ada", sealed).await.unwrap());
    }
    let found = bed.store.read().await.unwrap().second_factor(&org, "ada").await.unwrap().unwrap();
    assert_eq!((found.sealed.as_slice(), found.last_step, found.on_ms), (&b"other"[..], 0, None));
    let turn_on = async || tx!(bed.store, tx => tx.turn_on_second_factor(&org, "ada", NOW).await.unwrap());
    assert_eq!((turn_on().await, turn_on().await), (true, false));
    let mut tx = bed.store.begin().await.unwrap();
    let again = tx.begin_second_factor(&org, "ada", b"third").await;
    assert_eq!(again, Err(StoreError::Conflict("a second factor")));
    tx.reseal_second_factor(&org, "ada", b"sealed anew").await.unwrap();
    let found = tx.second_factor(&org, "ada").await.unwrap().unwrap();
    assert_eq!((found.sealed.as_slice(), found.on_ms), (&b"sealed anew"[..], Some(NOW)));
}

async fn of_a_hundred_who_show_the_code_of_one_step_one_gets_through(bed: &Bed) {
    let org = ada(bed).await;
    tx!(bed.store, tx => tx.begin_second_factor(&org, "ada", b"x").await.unwrap());
    let mut asking = Vec::new();
    for _ in 0..100 {
        let (store, org) = (bed.store.clone(), org.clone());
        asking.push(tokio::spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let taken = tx.take_step(&org, "ada", 7).await.unwrap();
            tx.commit().await.unwrap();
            taken
        }));
    }
    let mut taken = 0;
    for one in asking {
        taken += u32::from(one.await.unwrap());
    }
    assert_eq!(taken, 1);
    let earlier = tx!(bed.store, tx => tx.take_step(&org, "ada", 6).await.unwrap());
    let later = tx!(bed.store, tx => tx.take_step(&org, "ada", 8).await.unwrap());
    assert_eq!((earlier, later), (false, true));
}

async fn a_recovery_code_is_used_up_once_and_new_ones_replace_the_rest(bed: &Bed) {
    let org = ada(bed).await;
    bed.user(&org, "bob").await;
    let codes = [digest("1"), digest("2"), digest("3")];
    let without = bed.store.begin().await.unwrap().set_recovery_codes(&org, "ada", &codes).await;
    assert_eq!(without, Err(StoreError::NotFound("second factor")));
    for user in ["ada", "bob"] {
        tx!(bed.store, tx => tx.begin_second_factor(&org, user, b"x").await.unwrap());
        tx!(bed.store, tx => tx.set_recovery_codes(&org, user, &codes).await.unwrap());
    }
    let left = async |user| bed.store.read().await.unwrap().recovery_codes_left(&org, user).await.unwrap();
    let take = async |code: &str| {
        let digest = digest(code);
        tx!(bed.store, tx => tx.use_recovery_code(&org, "ada", &digest).await.unwrap())
    };
    assert_eq!((take("2").await, take("2").await, take("4").await), (true, false, false));
    assert_eq!((left("ada").await, left("bob").await), (2, 3));
    tx!(bed.store, tx => tx.set_recovery_codes(&org, "ada", &[digest("4")]).await.unwrap());
    assert_eq!((take("1").await, take("4").await, left("ada").await), (false, true, 0));
}

async fn a_second_factor_goes_with_its_codes_and_with_its_user(bed: &Bed) {
    let org = ada(bed).await;
    let begin = async || {
        tx!(bed.store, tx => {
            tx.begin_second_factor(&org, "ada", b"x").await.unwrap();
            tx.set_recovery_codes(&org, "ada", &[digest("1")]).await.unwrap();
        });
    };
    begin().await;
    let remove = async || tx!(bed.store, tx => tx.remove_second_factor(&org, "ada").await.unwrap());
    assert_eq!((remove().await, remove().await), (true, false));
    assert_eq!(bed.store.read().await.unwrap().recovery_codes_left(&org, "ada").await.unwrap(), 0);
    begin().await;
    tx!(bed.store, tx => tx.delete_user(&org, "ada").await.unwrap());
    bed.user(&org, "ada").await;
    let mut reader = bed.store.read().await.unwrap();
    assert_eq!(reader.second_factor(&org, "ada").await.unwrap(), None);
    assert_eq!(reader.recovery_codes_left(&org, "ada").await.unwrap(), 0);
}

async fn what_was_proved_belongs_to_one_sign_in_that_lives(bed: &Bed) {
    let org = ada(bed).await;
    for id in ["f", "g"] {
        let first = digest(id);
        let new = NewFamily { id, user: "ada", digest: &first, expires_ms: NOW + 1_000 };
        tx!(bed.store, tx => tx.create_family(&org, &new, NOW).await.unwrap());
    }
    let prove = async |now| tx!(bed.store, tx => tx.prove_family(&org, "f", now).await.unwrap());
    assert!(prove(NOW + 5).await);
    tx!(bed.store, tx => tx.rotate(&digest("f"), &digest("f1"), 0, NOW + 6).await.unwrap());
    let signed = async |since| {
        let mut reader = bed.store.read().await.unwrap();
        let signed = reader.signed_since(&org, "ada", since, 10).await.unwrap();
        signed.into_iter().map(|one| (one.digest, one.family, one.proved_ms)).collect::<Vec<_>>()
    };
    let newest = signed(NOW + 1).await;
    assert_eq!(newest, [(digest("f1"), "f".to_owned(), NOW + 5)]);
    let all = signed(NOW).await;
    assert_eq!((all.len(), &all[0]), (3, &newest[0]));
    assert!(
        all.contains(&(digest("f"), "f".into(), NOW + 5)),
        "a token that was replaced may be in use still"
    );
    assert!(all.contains(&(digest("g"), "g".into(), 0)));
    tx!(bed.store, tx => tx.revoke_family(&org, "f", "out", NOW + 7).await.unwrap());
    assert!(!prove(NOW + 8).await);
    assert_eq!(signed(NOW + 1).await, [(digest("f1"), "f".into(), 0)]);
}

async fn a_new_password_forgives_nothing_where_a_code_is_asked_for(bed: &Bed) {
    let org = ada(bed).await;
    let after_a_new_password = async || {
        let mut tx = bed.store.begin().await.unwrap();
        tx.count_failed_login(&org, "ada", 1, NOW, NOW + 1_000).await.unwrap();
        tx.set_password(&org, "ada", "$new", NOW).await.unwrap();
        let user = tx.user(&org, "ada").await.unwrap().unwrap();
        // Nothing of it is to count for what comes.
        tx.forget_failed_logins(&org, "ada").await.unwrap();
        tx.commit().await.unwrap();
        (user.failed_logins, user.locked_until_ms)
    };
    assert_eq!(after_a_new_password().await, (0, 0));
    tx!(bed.store, tx => tx.begin_second_factor(&org, "ada", b"x").await.unwrap());
    assert_eq!(after_a_new_password().await, (0, 0), "it is not asked for yet");
    tx!(bed.store, tx => tx.turn_on_second_factor(&org, "ada", NOW).await.unwrap());
    assert_eq!(after_a_new_password().await, (1, NOW + 1_000));
    tx!(bed.store, tx => tx.remove_second_factor(&org, "ada").await.unwrap());
    assert_eq!(after_a_new_password().await, (0, 0));
}
