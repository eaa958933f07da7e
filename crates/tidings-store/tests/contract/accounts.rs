//! Organisations, users, roles, links, identities, keys, mail.

use tidings_core::Org;
use tidings_store::identities::ExternalIdentity;
use tidings_store::keys::NewKey;
use tidings_store::links::NewLink;
use tidings_store::mail::NewMail;
use tidings_store::users::{ROLES_MOST, Status};
use tidings_store::{StoreError, args};

use crate::bed::{Bed, NOW, both, digest, new_user, tx};

both!(
    an_organisation_is_made_once,
    an_address_is_one_however_it_is_written,
    a_user_needs_an_organisation_and_an_unused_id_and_address,
    wrong_passwords_are_counted_and_lock_until_a_right_one,
    a_lock_that_is_over_is_paid_for_and_a_locked_account_counts_nothing,
    who_changes_a_user_that_is_held_waits,
    a_user_that_is_deleted_takes_everything_along,
    roles_are_bounded,
    a_link_works_once_in_time_and_for_its_purpose,
    of_many_who_use_a_link_at_once_one_does,
    an_external_identity_is_one_user,
    the_use_of_a_key_is_noted_at_most_once_a_minute,
    a_key_ends_when_it_is_revoked_or_its_time_is_over,
    keys_that_work_are_counted,
    mail_is_given_to_one_sender_at_a_time_and_again_if_nothing_is_heard,
    what_is_not_committed_never_was,
    a_transaction_is_over_after_an_error,
    a_text_with_nul_and_one_that_is_too_long_are_refused,
);

async fn an_organisation_is_made_once(bed: &Bed) {
    let acme = bed.org("acme").await;
    let mut tx = bed.store.begin().await.unwrap();
    let again = tx.create_org(&acme, "other", NOW).await;
    assert_eq!(again, Err(StoreError::Conflict("the organisation")));
    drop(tx);
    tx!(bed.store, tx => tx.ensure_org(&acme, NOW + 1).await.unwrap());
    let found = bed.store.read().await.unwrap().org(&acme).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.settings.as_str(), found.created_ms), ("acme", "{}", NOW));
    bed.org("zeta").await;
    let listed = bed.store.read().await.unwrap().orgs("acme", 10).await.unwrap();
    assert_eq!(listed.iter().map(|org| org.org.as_str()).collect::<Vec<_>>(), ["zeta"]);
}

async fn an_address_is_one_however_it_is_written(bed: &Bed) {
    let org = bed.org("acme").await;
    tx!(bed.store, tx => tx.create_user(&org, &new_user("u1", " Ärger@Example.ORG "), NOW).await.unwrap());
    let mut reader = bed.store.read().await.unwrap();
    let found = reader.user_by_email(&org, "ärger@example.org").await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.email.as_str()), ("u1", " Ärger@Example.ORG "));
    let mut tx = bed.store.begin().await.unwrap();
    let twin = tx.create_user(&org, &new_user("u2", "ÄRGER@example.org"), NOW).await;
    assert!(matches!(twin, Err(StoreError::Conflict(_))), "{twin:?}");
}

async fn a_user_needs_an_organisation_and_an_unused_id_and_address(bed: &Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    let nowhere = tx.create_user(&Org::new("nowhere"), &new_user("u", "u@x"), NOW).await;
    assert_eq!(nowhere, Err(StoreError::NotFound("organisation")));
    drop(tx);
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let mut tx = bed.store.begin().await.unwrap();
    assert!(matches!(
        tx.create_user(&org, &new_user("u", "other@x"), NOW).await,
        Err(StoreError::Conflict(_))
    ));
    drop(tx);
    let mut tx = bed.store.begin().await.unwrap();
    assert_eq!(tx.verify_email(&org, "nobody").await, Err(StoreError::NotFound("user")));
}

async fn wrong_passwords_are_counted_and_lock_until_a_right_one(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    for count in 1..=3 {
        let counted = count_failure(bed, &org, NOW).await.unwrap();
        let found = bed.store.read().await.unwrap().user(&org, "u").await.unwrap().unwrap();
        let locked = if count == 3 { NOW + 1_000 } else { 0 };
        assert_eq!((counted, found.failed_logins, found.locked_until_ms), (count, count, locked));
    }
    tx!(bed.store, tx => tx.forget_failed_logins(&org, "u").await.unwrap());
    tx!(bed.store, tx => tx.set_status(&org, "u", Status::Disabled).await.unwrap());
    tx!(bed.store, tx => tx.set_password(&org, "u", "$new", NOW + 5).await.unwrap());
    let found = bed.store.read().await.unwrap().user(&org, "u").await.unwrap().unwrap();
    assert_eq!((found.failed_logins, found.locked_until_ms, found.status), (0, 0, Status::Disabled));
    assert_eq!((found.password_hash.as_deref(), found.password_changed_ms), (Some("$new"), NOW + 5));
}

/// Counts a wrong password of `u`, of which three lock for a second.
async fn count_failure(bed: &Bed, org: &Org, now_ms: u64) -> Option<u64> {
    tx!(bed.store, tx => tx.count_failed_login(org, "u", 3, now_ms, now_ms + 1_000).await.unwrap())
}

async fn a_lock_that_is_over_is_paid_for_and_a_locked_account_counts_nothing(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let state = async || {
        let user = bed.store.read().await.unwrap().user(&org, "u").await.unwrap().unwrap();
        (user.failed_logins, user.locked_until_ms)
    };
    for _ in 0..3 {
        count_failure(bed, &org, NOW).await;
    }
    assert_eq!(count_failure(bed, &org, NOW + 999).await, None);
    assert_eq!(state().await, (3, NOW + 1_000), "who guesses on does not make it longer");
    assert_eq!(count_failure(bed, &org, NOW + 1_000).await, Some(1), "one typo locks nobody again");
    assert_eq!(state().await, (1, 0));
    assert_eq!(count_failure(bed, &org, NOW + 1_000).await, Some(2));
    assert_eq!(count_failure(bed, &org, NOW + 1_000).await, Some(3));
    assert_eq!(state().await, (3, NOW + 2_000));
    let nobody = tx!(bed.store, tx => tx.count_failed_login(&org, "nobody", 3, NOW, NOW).await.unwrap());
    assert_eq!(nobody, None);
}

async fn who_changes_a_user_that_is_held_waits(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let (second, of) = (bed.second().await, org.clone());
    let mut holds = bed.store.begin().await.unwrap();
    assert_eq!(holds.hold_user(&org, "nobody").await.unwrap(), None);
    let held = holds.hold_user(&org, "u").await.unwrap().unwrap();
    assert_eq!(held.status, Status::Active);
    let change = tokio::spawn(async move {
        tx!(second, tx => {
            let before = tx.hold_user(&of, "u").await.unwrap().unwrap().status;
            tx.set_status(&of, "u", Status::Active).await.unwrap();
            before
        })
    });
    if bed.store.is_postgres() {
        // On SQLite the other one does not even begin.
        let waits = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let mut reader = bed.store.read().await.unwrap();
        while reader.row(waits, args![]).await.unwrap().unwrap().count(0).unwrap() == 0 {
            assert!(!change.is_finished(), "it did not wait");
        }
    }
    holds.set_status(&org, "u", Status::Disabled).await.unwrap();
    holds.commit().await.unwrap();
    assert_eq!(change.await.unwrap(), Status::Disabled);
    let now = bed.store.read().await.unwrap().user(&org, "u").await.unwrap().unwrap();
    assert_eq!(now.status, Status::Active);
}

async fn a_user_that_is_deleted_takes_everything_along(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let token = digest("link");
    let link = NewLink { kind: "reset", user: "u", digest: &token, expires_ms: NOW + 10 };
    tx!(bed.store, tx => {
        tx.grant_role(&org, "u", "admin").await.unwrap();
        tx.create_link(&org, &link, NOW).await.unwrap();
    });
    assert_eq!(bed.store.read().await.unwrap().users_with_role(&org, "admin", 9).await.unwrap(), ["u"]);
    tx!(bed.store, tx => tx.delete_user(&org, "u").await.unwrap());
    assert!(bed.store.read().await.unwrap().roles(&org, "u").await.unwrap().is_empty());
    let used = tx!(bed.store, tx => tx.use_link("reset", &token, NOW).await.unwrap());
    assert_eq!(used, None);
}

async fn roles_are_bounded(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let mut tx = bed.store.begin().await.unwrap();
    for number in 0..ROLES_MOST {
        tx.grant_role(&org, "u", &format!("role-{number:03}")).await.unwrap();
    }
    assert!(matches!(tx.grant_role(&org, "u", "more").await, Err(StoreError::Overflow(_))));
    tx.take_role(&org, "u", "role-000").await.unwrap();
    tx.grant_role(&org, "u", "more").await.unwrap();
    assert!(matches!(tx.take_role(&org, "u", "role-000").await, Err(StoreError::NotFound(_))));
}

async fn a_link_works_once_in_time_and_for_its_purpose(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let (old, token) = (digest("old"), digest("new"));
    for digest in [&old, &token] {
        let link = NewLink { kind: "verify", user: "u", digest, expires_ms: NOW + 100 };
        tx!(bed.store, tx => tx.create_link(&org, &link, NOW).await.unwrap());
    }
    let used =
        async |kind: &str, token, now| tx!(bed.store, tx => tx.use_link(kind, token, now).await.unwrap());
    assert_eq!(used("verify", &old, NOW + 1).await, None, "a newer one was made");
    assert_eq!(used("reset", &token, NOW + 1).await, None);
    assert_eq!(used("verify", &token, NOW + 100).await, None);
    let whose = used("verify", &token, NOW + 99).await.unwrap();
    assert_eq!((whose.org, whose.user.as_str()), (org, "u"));
    assert_eq!(used("verify", &token, NOW + 99).await, None);
    assert_eq!(tx!(bed.store, tx => tx.prune_links(NOW + 101).await.unwrap()), 1);
}

async fn of_many_who_use_a_link_at_once_one_does(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    let token = digest("token");
    let link = NewLink { kind: "reset", user: "u", digest: &token, expires_ms: NOW + 100 };
    tx!(bed.store, tx => tx.create_link(&org, &link, NOW).await.unwrap());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = bed.store.clone();
            tokio::spawn(async move { tx!(store, tx => tx.use_link("reset", &token, NOW).await.unwrap()) })
        })
        .collect();
    let mut used = 0;
    for task in tasks {
        used += usize::from(task.await.unwrap().is_some());
    }
    assert_eq!(used, 1);
}

async fn an_external_identity_is_one_user(bed: &Bed) {
    let org = bed.org("acme").await;
    bed.user(&org, "u").await;
    bed.user(&org, "v").await;
    let google = ExternalIdentity { issuer: "https://accounts.example".into(), subject: "7".into() };
    tx!(bed.store, tx => tx.link_identity(&org, &google, "u", NOW).await.unwrap());
    let mut tx = bed.store.begin().await.unwrap();
    assert!(matches!(tx.link_identity(&org, &google, "v", NOW).await, Err(StoreError::Conflict(_))));
    drop(tx);
    let mut reader = bed.store.read().await.unwrap();
    assert_eq!(reader.user_of_identity(&org, &google).await.unwrap().as_deref(), Some("u"));
    assert_eq!(reader.identities(&org, "u", 10).await.unwrap(), std::slice::from_ref(&google));
}

async fn the_use_of_a_key_is_noted_at_most_once_a_minute(bed: &Bed) {
    let org = bed.org("acme").await;
    let secret = digest("secret");
    let new = NewKey { prefix: "tk_1", digest: &secret, name: "ci", scopes: "publish", expires_ms: None };
    tx!(bed.store, tx => tx.create_key(&org, &new, NOW).await.unwrap());
    for (after, written) in [(0, true), (59_999, false), (60_000, true), (60_001, false)] {
        let key = bed.store.read().await.unwrap().key_by_prefix("tk_1").await.unwrap().unwrap();
        assert_eq!(key.wants_touch(NOW + after), written);
        assert_eq!(tx!(bed.store, tx => tx.touch_key(&org, "tk_1", NOW + after).await.unwrap()), written);
    }
    let key = bed.store.read().await.unwrap().key_by_prefix("tk_1").await.unwrap().unwrap();
    assert_eq!((key.last_used_ms, key.digest, key.org), (Some(NOW + 60_000), secret, org));
}

async fn a_key_ends_when_it_is_revoked_or_its_time_is_over(bed: &Bed) {
    let (acme, other) = (bed.org("acme").await, bed.org("other").await);
    let secret = digest("secret");
    let new =
        NewKey { prefix: "tk_1", digest: &secret, name: "ci", scopes: "admin", expires_ms: Some(NOW + 9) };
    tx!(bed.store, tx => tx.create_key(&acme, &new, NOW).await.unwrap());
    let mut tx = bed.store.begin().await.unwrap();
    assert_eq!(tx.create_key(&other, &new, NOW).await, Err(StoreError::Conflict("the key")));
    drop(tx);
    let mut tx = bed.store.begin().await.unwrap();
    assert_eq!(tx.revoke_key(&other, "tk_1", NOW).await, Err(StoreError::NotFound("key")));
    drop(tx);
    let key = async || bed.store.read().await.unwrap().key_by_prefix("tk_1").await.unwrap().unwrap();
    assert!(key().await.is_good(NOW + 8) && !key().await.is_good(NOW + 9));
    tx!(bed.store, tx => tx.revoke_key(&acme, "tk_1", NOW + 1).await.unwrap());
    tx!(bed.store, tx => tx.revoke_key(&acme, "tk_1", NOW + 2).await.unwrap());
    assert_eq!(key().await.revoked_ms, Some(NOW + 1));
    assert!(!key().await.is_good(NOW + 8));
}

async fn keys_that_work_are_counted(bed: &Bed) {
    let (acme, other) = (bed.org("acme").await, bed.org("other").await);
    let secret = digest("secret");
    for (prefix, org, expires_ms) in
        [("tk_1", &acme, None), ("tk_2", &acme, Some(NOW + 9)), ("tk_3", &acme, None), ("tk_4", &other, None)]
    {
        let new = NewKey { prefix, digest: &secret, name: "ci", scopes: "admin", expires_ms };
        tx!(bed.store, tx => tx.create_key(org, &new, NOW).await.unwrap());
    }
    let good = async |now_ms| bed.store.read().await.unwrap().good_keys(&acme, now_ms).await.unwrap();
    assert_eq!((good(NOW + 8).await, good(NOW + 9).await), (3, 2));
    tx!(bed.store, tx => tx.revoke_key(&acme, "tk_1", NOW).await.unwrap());
    assert_eq!(good(NOW + 8).await, 2);
}

async fn mail_is_given_to_one_sender_at_a_time_and_again_if_nothing_is_heard(bed: &Bed) {
    let org = bed.org("acme").await;
    let mut tx = bed.store.begin().await.unwrap();
    for number in 0..20 {
        let id = format!("m{number}");
        let mail = NewMail { id: &id, to: "a@x", subject: "s", text: "t", kind: "verify" };
        tx.post_mail(&org, &mail, NOW).await.unwrap();
    }
    tx.commit().await.unwrap();
    let second = bed.second().await;
    let (one, two) =
        tokio::join!(bed.store.take_mail(NOW, NOW + 60, 20), second.take_mail(NOW, NOW + 60, 20));
    let mut taken: Vec<String> = one.unwrap().into_iter().chain(two.unwrap()).map(|mail| mail.id).collect();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 20);
    assert!(bed.store.take_mail(NOW + 59, NOW + 99, 20).await.unwrap().is_empty());
    assert!(tx!(bed.store, tx => tx.mail_was_sent(&org, "m0", NOW + 1).await.unwrap()));
    assert!(!tx!(bed.store, tx => tx.mail_was_sent(&org, "m0", NOW + 1).await.unwrap()));
    let mails = bed.store.read().await.unwrap().mails(&org, NOW + 1, 20).await.unwrap();
    let with_text: Vec<&str> =
        mails.iter().filter(|mail| !mail.text.is_empty()).map(|mail| mail.id.as_str()).collect();
    assert!(with_text.len() == 19 && !with_text.contains(&"m0"), "what was sent holds no secret any more");
    assert!(tx!(bed.store, tx => tx.mail_failed(&org, "m1", "refused", NOW + 500).await.unwrap()));
    let again = bed.store.take_mail(NOW + 60, NOW + 120, 20).await.unwrap();
    assert_eq!(again.len(), 18);
    assert!(again.iter().all(|mail| mail.attempts == 2));
    let failed = bed.store.take_mail(NOW + 500, NOW + 501, 20).await.unwrap();
    assert!(failed.iter().any(|mail| mail.last_error.as_deref() == Some("refused")));
    assert_eq!(tx!(bed.store, tx => tx.prune_mail(NOW + 1).await.unwrap()), 20);
}

async fn what_is_not_committed_never_was(bed: &Bed) {
    let org = Org::new("acme");
    let second = bed.second().await;
    let mut tx = bed.store.begin().await.unwrap();
    tx.create_org(&org, "acme", NOW).await.unwrap();
    assert!(second.read().await.unwrap().org(&org).await.unwrap().is_none());
    drop(tx);
    assert!(bed.store.read().await.unwrap().org(&org).await.unwrap().is_none());
    bed.org("acme").await;
}

async fn a_transaction_is_over_after_an_error(bed: &Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    tx.create_org(&Org::new("acme"), "acme", NOW).await.unwrap();
    assert!(tx.create_org(&Org::new("acme"), "acme", NOW).await.is_err());
    assert!(matches!(tx.org(&Org::new("acme")).await, Err(StoreError::Bug(_))));
    assert!(matches!(tx.commit().await, Err(StoreError::Bug(_))));
    assert!(bed.store.read().await.unwrap().org(&Org::new("acme")).await.unwrap().is_none());
}

async fn a_text_with_nul_and_one_that_is_too_long_are_refused(bed: &Bed) {
    let mut reader = bed.store.read().await.unwrap();
    let found = reader.rows("SELECT $1", args!["a\0b"]).await;
    assert!(matches!(found, Err(StoreError::Invalid(_))));
    assert!(matches!(reader.user_by_email(&Org::new("x"), "a\0b").await, Err(StoreError::Invalid(_))));
    let mut tx = bed.store.begin().await.unwrap();
    let long = "x".repeat(1_025);
    assert!(matches!(tx.create_org(&Org::new(&long), "x", NOW).await, Err(StoreError::Invalid(_))));
    assert!(matches!(tx.create_org(&Org::new(""), "x", NOW).await, Err(StoreError::Invalid(_))));
}
