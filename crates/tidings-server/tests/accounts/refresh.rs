//! Refresh tokens: one wins, a copy ends the sign-in.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};

use crate::bed::Bed;

/// Refreshes at once, and requests that are open at once.
const RACE: usize = 1_000;
const OPEN: usize = 100;

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
    let bed = Bed::new().await;
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
    race(Bed::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_refreshes_at_once_exactly_one_wins_on_postgresql() {
    race(Bed::postgres().await).await;
}

async fn race(bed: Bed) {
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
            refresh(&bed, &token).await.0
        }));
    }
    let mut won = 0;
    for one in racing {
        match one.await.unwrap() {
            200 => won += 1,
            401 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(won, 1);
}
