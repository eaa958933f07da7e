//! Two things at one moment: what an administrator or an owner decides while somebody signs in, and what fails half-way.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidings_core::Org;
use tidings_store::revocations::{NewRevocation, Revocation, Revoked};
use tidings_store::users::{NewUser, Status};
use tidings_store::{Store, args};

use crate::bed::{Answer, Bed, PASSWORD};

const ADA: &str = "ada@example.com";

fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Passwords that were compared until now.
async fn looked_at(bed: &Bed) -> u64 {
    let metrics = crate::bed::text(bed.addr, "/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("tidings_passwords_looked_at_total "));
    line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

async fn refresh(bed: &Bed, session: &Value) -> Answer {
    bed.post("/api/auth/refresh", json!({ "refreshToken": session["refreshToken"] })).await
}

async fn me(bed: &Bed, session: &Value) -> u16 {
    bed.get_as(session["accessToken"].as_str().unwrap(), "/api/auth/me").await.status
}

async fn revocations(store: &Store) -> Vec<Revocation> {
    store.read().await.unwrap().revocations_since(0, 100).await.unwrap()
}

/// A transaction of PostgreSQL waits for another one, or whoever should wait has gone on.
async fn until_waiting(bed: &Bed, has_gone_on: impl Fn() -> bool) {
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut reader = bed.store.read().await.unwrap();
    while reader.row(waits, args![]).await.unwrap().unwrap().count(0).unwrap() == 0 && !has_gone_on() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_changed_by_an_old_one_that_is_no_longer_right() {
    let org = Org::default();
    for disabled in [true, false] {
        let bed = Bed::new().await;
        let id = bed.user("default", ADA, &[]).await;
        let session = bed.login("default", ADA).await;
        let (token, before) = (session["accessToken"].as_str().unwrap().to_owned(), looked_at(&bed).await);
        // The one transaction there can be: the change has to wait until it is over.
        let mut tx = bed.store.begin().await.unwrap();
        let change = json!({"oldPassword": PASSWORD, "newPassword": "the password of a thief"});
        let (asked, ()) = tokio::join!(bed.post_as(&token, "/api/auth/password", change), async {
            while looked_at(&bed).await == before {}
            match disabled {
                true => tx.set_status(&org, &id, Status::Disabled).await.unwrap(),
                false => tx.set_password(&org, &id, "$another", 1).await.unwrap(),
            }
            tx.commit().await.unwrap();
        });
        assert_eq!((asked.status, asked.code()), (401, "unauthorized"), "{asked:?}");
        let user = bed.store.read().await.unwrap().user(&org, &id).await.unwrap().unwrap();
        let of_before = user.password_hash.unwrap();
        assert_eq!(of_before == "$another", !disabled, "{of_before}");
        let families = bed.store.read().await.unwrap().families(&org, &id, 9).await.unwrap();
        assert_eq!(families.len(), 1, "nobody has signed in by it");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_while_roles_are_taken_away_waits_and_says_what_is_left() {
    let bed = Bed::postgres(|_| ()).await;
    let id = bed.user("acme", ADA, &["admin"]).await;
    let (session, org) = (bed.login("acme", ADA).await, Org::new("acme"));
    // As another node does it.
    let mut tx = bed.store.begin().await.unwrap();
    tx.hold_user(&org, &id).await.unwrap();
    tx.take_role(&org, &id, "admin").await.unwrap();
    let (whose, now) = (Revoked::User(id.clone()), now_ms());
    let issued_before_ms = tx.after_tokens(&org, &id, now).await.unwrap();
    let revocation = NewRevocation {
        what: &whose,
        issued_before_ms,
        expires_ms: now + 900_000,
        rights_alone: true,
        reason: "rights changed",
    };
    tx.revoke(&org, &revocation).await.unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let refreshed = async {
        let refreshed = refresh(&bed, &session).await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        refreshed
    };
    let (refreshed, ()) = tokio::join!(refreshed, async {
        until_waiting(&bed, || done.load(std::sync::atomic::Ordering::SeqCst)).await;
        tx.commit().await.unwrap();
    });
    assert_eq!((refreshed.status, &refreshed.body["user"]["roles"]), (200, &json!([])), "{refreshed:?}");
    // It is good although this node may not have heard of the revocation when it signed it.
    let token = refreshed.body["accessToken"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert!(claims["iat"].as_u64().unwrap() * 1_000 >= issued_before_ms, "{claims}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_changes_in_one_second_call_back_what_was_signed_between_them() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "boss@example.com", &["admin"]).await;
    let id = bed.user("acme", ADA, &[]).await;
    let mut session = bed.login("acme", ADA).await;
    let path = format!("/api/users/{id}/roles");
    for role in ["a", "b", "c", "d"] {
        let changed = bed.post_as(&admin, &path, json!({ "roles": [role] })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(me(&bed, &session).await, 401, "it says of roles what is no longer true");
        session = refresh(&bed, &session).await.body;
        assert_eq!(session["user"]["roles"], json!([role]));
        assert_eq!(me(&bed, &session).await, 200);
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_and_a_copied_refresh_token_end_tokens_of_the_running_second() {
    let bed = Bed::with(|config| config.accounts.refresh_grace_seconds = 0).await;
    bed.user("default", ADA, &[]).await;
    let session = bed.login("default", ADA).await;
    let token = session["accessToken"].as_str().unwrap();
    let begun = now_ms();
    let change = json!({"oldPassword": PASSWORD, "newPassword": "another password 1"});
    let changed = bed.post_as(token, "/api/auth/password", change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let revoked = revocations(&bed.store).await;
    assert!(revoked[0].refused_before_ms > begun && revoked[0].reason.contains("password"), "{revoked:?}");
    assert_eq!((me(&bed, &session).await, me(&bed, &changed.body).await), (401, 200));

    let next = refresh(&bed, &changed.body).await.body;
    let begun = now_ms();
    assert_eq!(refresh(&bed, &changed.body).await.status, 401);
    let after = revocations(&bed.store).await;
    assert!(after[0].issued_before_ms > begun && after[0].reason.contains("twice"), "{after:?}");
    // The user's other devices are to come back with newer tokens, not to stay away.
    assert_eq!(after[0].refused_before_ms, revoked[0].refused_before_ms);
    assert_eq!((me(&bed, &changed.body).await, me(&bed, &next).await), (401, 401));
    bed.stop().await;
}

/// Takes a table away, and gives it back.
async fn rename(bed: &Bed, sql: &'static str) {
    let mut tx = bed.store.begin().await.unwrap();
    tx.run(sql, &[]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_fails_half_way_has_not_used_its_token_up() {
    let bed = Bed::with(|config| config.accounts.refresh_grace_seconds = 0).await;
    bed.user("default", ADA, &[]).await;
    let session = bed.login("default", ADA).await;
    rename(&bed, "ALTER TABLE roles RENAME TO roles_elsewhere").await;
    assert!(refresh(&bed, &session).await.status >= 500);
    rename(&bed, "ALTER TABLE roles_elsewhere RENAME TO roles").await;
    let again = refresh(&bed, &session).await;
    assert_eq!(again.status, 200, "{again:?}");
    // Nor is a sign-in ended before its access tokens are called back.
    rename(&bed, "ALTER TABLE revocations RENAME TO revocations_elsewhere").await;
    assert!(refresh(&bed, &session).await.status >= 500);
    rename(&bed, "ALTER TABLE revocations_elsewhere RENAME TO revocations").await;
    assert_eq!(me(&bed, &again.body).await, 200);
    assert_eq!(refresh(&bed, &session).await.status, 401);
    assert_eq!(me(&bed, &again.body).await, 401, "nobody can say who holds it");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_register_an_address_at_once_none_is_told_that_there_is_another() {
    let bed = Bed::postgres(|_| ()).await;
    let org = Org::default();
    let mut tx = bed.store.begin().await.unwrap();
    tx.ensure_org(&org, 1).await.unwrap();
    let first =
        NewUser { id: "first", email: ADA, name: "a", password_hash: Some("$"), email_verified: false };
    tx.create_user(&org, &first, 1).await.unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let registered = async {
        let new = json!({"email": ADA, "password": PASSWORD});
        let registered = bed.post("/api/auth/register", new).await;
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        registered
    };
    let (registered, ()) = tokio::join!(registered, async {
        until_waiting(&bed, || done.load(std::sync::atomic::Ordering::SeqCst)).await;
        tx.commit().await.unwrap();
    });
    assert_eq!(registered.status, 202, "{registered:?}");
    assert_eq!(bed.mail(1).await.kind, "verify", "as if it had come later");
    let users = bed.store.read().await.unwrap().users(&org, "", 9).await.unwrap();
    assert_eq!(users.len(), 1);
    bed.stop().await;
}
