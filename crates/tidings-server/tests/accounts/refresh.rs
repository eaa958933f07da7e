//! Refresh tokens: one wins, a copy ends the sign-in.

use std::sync::Arc;

use serde_json::{Value, json};
use tidings_server::signin::{Grant, Signer};
use tokio::sync::{Barrier, Semaphore};

use crate::bed::Bed;

/// Refreshes at once, and requests that are open at once.
const RACE: usize = 1_000;
const OPEN: usize = 100;

/// Without time for two windows to race: what comes twice was copied.
async fn strict() -> Bed {
    Bed::with(|config| config.accounts.refresh_grace_seconds = 0).await
}

async fn refresh(bed: &Bed, token: &Value) -> (u16, Value) {
    let answer = bed.post("/api/auth/refresh", json!({ "refreshToken": token })).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_replaces_both_tokens_and_reads_the_roles_again() {
    let bed = Bed::new().await;
    let id = bed.user("acme", "ada@example.com", &[]).await;
    let first = bed.login("acme", "ada@example.com").await;
    let mut tx = bed.store.begin().await.unwrap();
    tx.grant_role(&tidings_core::Org::new("acme"), &id, "organizer").await.unwrap();
    tx.commit().await.unwrap();
    let (status, second) = refresh(&bed, &first["refreshToken"]).await;
    assert_eq!(status, 200);
    assert_eq!(second["user"]["roles"], json!(["organizer"]));
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_ne!(first["accessToken"], second["accessToken"]);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_twice_ends_its_sign_in_and_no_other() {
    let bed = strict().await;
    bed.user("default", "ada@example.com", &[]).await;
    let (one, other) =
        (bed.login("default", "ada@example.com").await, bed.login("default", "ada@example.com").await);
    let (_, next) = refresh(&bed, &one["refreshToken"]).await;
    assert_eq!(refresh(&bed, &one["refreshToken"]).await.0, 401);
    assert_eq!(refresh(&bed, &next["refreshToken"]).await.0, 401, "the thief's or the owner's");
    assert_eq!(refresh(&bed, &other["refreshToken"]).await.0, 200, "another device");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_called_back_refreshes_no_more_until_it_signs_in_anew() {
    let bed = Bed::new().await;
    let ada = bed.user("acme", "ada@example.com", &[]).await;
    bed.user("acme", "bob@example.com", &[]).await;
    bed.user("other", "ada@example.com", &[]).await;
    let admin = bed.signed_in("acme", "root@example.com", &["admin"]).await;
    let mine = bed.login("acme", "ada@example.com").await;
    let (bob, other) =
        (bed.login("acme", "bob@example.com").await, bed.login("other", "ada@example.com").await);
    let revoke = async |what: Value| {
        assert_eq!(bed.post_as(&admin, "/api/revocations", what).await.status, 200);
    };
    // Of before it signed in, and of one token alone: the sign-in lives.
    revoke(json!({ "userId": ada, "before": 1_000_000_000 })).await;
    revoke(json!({ "jti": "another" })).await;
    let (status, mine) = refresh(&bed, &mine["refreshToken"]).await;
    assert_eq!(status, 200);
    revoke(json!({ "userId": ada })).await;
    assert_eq!(refresh(&bed, &mine["refreshToken"]).await.0, 401);
    let anew = bed.login("acme", "ada@example.com").await;
    let (status, anew) = refresh(&bed, &anew["refreshToken"]).await;
    assert_eq!(status, 200, "calling back ends sign-ins, not accounts");
    let (status, bob) = refresh(&bed, &bob["refreshToken"]).await;
    assert_eq!(status, 200, "somebody else");
    revoke(json!({ "org": "acme" })).await;
    for ended in [anew, bob] {
        assert_eq!(refresh(&bed, &ended["refreshToken"]).await.0, 401);
    }
    assert_eq!(refresh(&bed, &other["refreshToken"]).await.0, 200, "another organisation");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_with_an_older_refresh_token_ends_the_newest_access_token() {
    let bed = Bed::new().await;
    bed.user("default", "ada@example.com", &[]).await;
    let first = bed.login("default", "ada@example.com").await;
    let other = bed.login("default", "ada@example.com").await;
    let (_, second) = refresh(&bed, &first["refreshToken"]).await;
    let (_, third) = refresh(&bed, &second["refreshToken"]).await;
    let left = bed.post("/api/auth/logout", json!({ "refreshToken": first["refreshToken"] })).await;
    assert_eq!(left.status, 200);
    for (session, expected) in [(&first, 401), (&second, 401), (&third, 401), (&other, 200)] {
        let me = bed.get_as(session["accessToken"].as_str().unwrap(), "/api/auth/me").await;
        assert_eq!(me.status, expected);
    }
    assert_eq!(refresh(&bed, &third["refreshToken"]).await.0, 401);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_signed_out_is_called_back_until_it_has_ended() {
    let bed = Bed::new().await;
    // A week, as `tidings token --ttl 7d` or another backend may make one.
    let grant = Grant {
        user: "ada".into(),
        org: "acme".into(),
        token_id: Some("long".into()),
        lifetime_seconds: 7 * 86_400,
        ..Grant::default()
    };
    let signer = Signer::new(b"a secret of the account tests, long enough", "tidings");
    let token = signer.sign(&grant).unwrap();
    let ends_ms = (tidings_server::signin::now_seconds() + grant.lifetime_seconds) * 1_000;
    assert_eq!(bed.post_as(&token, "/api/auth/logout", json!({})).await.status, 200);
    assert_eq!(bed.get_as(&token, "/api/auth/me").await.status, 401);
    let revoked = bed.store.read().await.unwrap().revocations_since(0, 9).await.unwrap();
    assert!(revoked.len() == 1 && revoked[0].expires_ms >= ends_ms, "{revoked:?}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_signing_out_would_not_end_is_not_said_to_be_signed_out() {
    let bed = Bed::new().await;
    let claims = json!({"sub": "ada", "org": "acme", "exp": tidings_server::signin::now_seconds() + 600});
    let secret = jsonwebtoken::EncodingKey::from_secret(b"a secret of the account tests, long enough");
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &secret).unwrap();
    let admin = bed.signed_in("acme", "root@example.com", &["admin"]).await;
    let made = bed.post_as(&admin, "/api/keys", json!({"name": "ci", "scopes": ["read"]})).await;
    let key = made.body["key"].as_str().unwrap();
    for lasting in [&token, key] {
        assert_eq!(bed.post_as(lasting, "/api/auth/logout", json!({})).await.code(), "bad_request");
        assert_eq!(bed.get_as(lasting, "/api/auth/sessions").await.status, 200);
    }
    // Beside a refresh token it is no more than who says so.
    let ada = bed.signed_in("acme", "ada@example.com", &[]).await;
    let refresh = json!({"refreshToken": bed.login("acme", "ada@example.com").await["refreshToken"]});
    assert_eq!(bed.post_as(&token, "/api/auth/logout", refresh.clone()).await.status, 200);
    assert_eq!(bed.post("/api/auth/refresh", refresh).await.status, 401);
    assert_eq!(bed.post_as(&ada, "/api/auth/logout", json!({})).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_sign_in_does_not_refresh() {
    let bed = Bed::new().await;
    let id = bed.user("default", "ada@example.com", &[]).await;
    let session = bed.login("default", "ada@example.com").await;
    let mut tx = bed.store.begin().await.unwrap();
    let org = tidings_core::Org::default();
    tx.set_status(&org, &id, tidings_store::users::Status::Disabled).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(refresh(&bed, &session["refreshToken"]).await.0, 401);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_refreshes_at_once_exactly_one_wins() {
    assert_eq!(race(strict().await).await, [1, 999, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_refreshes_at_once_exactly_one_wins_on_postgresql() {
    let strict = |config: &mut tidings_server::Config| config.accounts.refresh_grace_seconds = 0;
    assert_eq!(race(Bed::postgres(strict).await).await, [1, 999, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_race_leave_the_sign_in_alive() {
    let patient = |config: &mut tidings_server::Config| config.accounts.refresh_grace_seconds = 60;
    assert_eq!(race(Bed::with(patient).await).await, [1, 0, 999]);
    assert_eq!(race(Bed::postgres(patient).await).await, [1, 0, 999]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_race_is_told_when_to_come_back_and_is_found_out_then() {
    let bed = Bed::with(|config| config.accounts.refresh_grace_seconds = 3).await;
    bed.user("default", "ada@example.com", &[]).await;
    let old = bed.login("default", "ada@example.com").await["refreshToken"].clone();
    let (_, won) = refresh(&bed, &old).await;
    let raced = bed.post("/api/auth/refresh", json!({ "refreshToken": old })).await;
    assert_eq!((raced.status, raced.code()), (409, "conflict"), "{raced:?}");
    let left = raced.body["error"]["retryAfterMs"].as_u64().unwrap();
    assert!((1..=3_000).contains(&left) && raced.body["error"]["retryable"] == true, "{raced:?}");
    let (status, next) = refresh(&bed, &won["refreshToken"]).await;
    assert_eq!(status, 200, "the winner goes on");
    assert_eq!(refresh(&bed, &won["refreshToken"]).await.0, 409);
    let begun = std::time::Instant::now();
    while refresh(&bed, &won["refreshToken"]).await.0 == 409 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "the grace does not end");
    }
    assert_eq!(refresh(&bed, &next["refreshToken"]).await.0, 401, "the sign-in has ended");
    bed.stop().await;
}

/// Refreshes with one token a thousand times: how many won, were refused, were told that they lost a race.
/// The winner's tokens are good if nobody ended the sign-in.
async fn race(bed: Bed) -> [usize; 3] {
    bed.user("default", "ada@example.com", &[]).await;
    let token = bed.login("default", "ada@example.com").await["refreshToken"].clone();
    let (bed, start) = (Arc::new(bed), Arc::new(Barrier::new(RACE)));
    let open = Arc::new(Semaphore::new(OPEN));
    let mut racing = Vec::new();
    for _ in 0..RACE {
        let (bed, token, start, open) = (bed.clone(), token.clone(), start.clone(), open.clone());
        racing.push(tokio::spawn(async move {
            start.wait().await;
            let _open = open.acquire().await.unwrap();
            refresh(&bed, &token).await
        }));
    }
    let (mut came, mut winner) = ([0; 3], Value::Null);
    for one in racing {
        let (status, body) = one.await.unwrap();
        came[match status {
            200 => 0,
            401 => 1,
            409 => 2,
            other => panic!("{other}"),
        }] += 1;
        if status == 200 {
            winner = body;
        }
    }
    let goes_on = refresh(&bed, &winner["refreshToken"]).await.0;
    assert_eq!(goes_on, if came[1] == 0 { 200 } else { 401 });
    came
}
