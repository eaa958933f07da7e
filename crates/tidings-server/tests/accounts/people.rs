//! Registering, verifying, signing in, passwords.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidings_server::config::{Config, Register};
use tidings_store::users::NewUser;

use crate::bed::{Bed, PASSWORD, secret_in};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_registers_verifies_signs_in_and_out() {
    let bed = Bed::new().await;
    let new = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada"});
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(bed.post("/api/auth/register", new).await.status, 202);
    let mail = bed.mail(1).await;
    assert_eq!((mail.to.as_str(), mail.kind.as_str()), ("Ada@Example.com", "verify"));

    let early = bed.post("/api/auth/login", login.clone()).await;
    assert_eq!((early.status, early.code()), (403, "forbidden"));
    let link = json!({"token": secret_in(&mail)});
    assert_eq!(bed.post("/api/auth/verify", link.clone()).await.status, 200);
    assert_eq!(bed.post("/api/auth/verify", link).await.code(), "not_found", "a link works once");

    let signed_in = bed.post("/api/auth/login", login).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    assert_eq!(signed_in.header("cache-control"), Some("no-store"));
    let body = signed_in.body;
    assert_eq!(keys(&body), ["accessToken", "expiresIn", "refreshToken", "user"].into());
    assert_eq!(keys(&body["user"]), ["email", "id", "name", "org", "roles"].into());
    assert_eq!(body["expiresIn"], 900);
    assert_eq!((&body["user"]["org"], &body["user"]["roles"]), (&json!("default"), &json!([])));

    let (access, refresh) = (body["accessToken"].as_str().unwrap(), body["refreshToken"].as_str().unwrap());
    let me = bed.get_as(access, "/api/auth/me").await;
    assert_eq!((me.status, &me.body["user"]["emailVerified"]), (200, &json!(true)), "{me:?}");
    assert_eq!(bed.get_as(refresh, "/api/auth/me").await.status, 401, "a refresh token is no access token");
    let crossed = bed.post("/api/auth/refresh", json!({"refreshToken": access})).await;
    assert_eq!(crossed.status, 401, "and the other way round");

    let left = bed.post("/api/auth/logout", json!({"refreshToken": refresh})).await;
    assert_eq!(left.status, 200);
    assert_eq!(bed.get_as(access, "/api/auth/me").await.status, 401, "its access token has ended with it");
    let again = bed.post("/api/auth/refresh", json!({"refreshToken": refresh})).await;
    assert_eq!(again.code(), "unauthorized");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_tells_whether_an_address_has_an_account() {
    let bed = Bed::new().await;
    bed.user("default", "ada@example.com", &[]).await;
    let register = |email: &str| json!({"email": email, "password": PASSWORD});
    let (fresh, taken) = (
        bed.post("/api/auth/register", register("new@example.com")).await,
        bed.post("/api/auth/register", register("ADA@example.com")).await,
    );
    assert_eq!((fresh.status, &fresh.body), (taken.status, &taken.body));
    bed.mail(2).await;
    let kinds: Vec<String> = bed.kinds();
    assert_eq!(kinds, ["verify", "taken"], "the owner is told by mail");
    assert_eq!(bed.login("default", "ada@example.com").await["user"]["email"], "ada@example.com");

    let forgot = |email: &str| json!({ "email": email });
    let (known, unknown) = (
        bed.post("/api/auth/password", forgot("ada@example.com")).await,
        bed.post("/api/auth/password", forgot("nobody@example.com")).await,
    );
    assert_eq!((known.status, &known.body), (unknown.status, &unknown.body));

    let login = |email: &str| json!({"email": email, "password": "a wrong password"});
    for round in 0..7 {
        let known = bed.post("/api/auth/login", login("ada@example.com")).await;
        let unknown = bed.post("/api/auth/login", login("ghost@example.com")).await;
        let expected = if round < 5 { 401 } else { 429 };
        assert_eq!((known.status, unknown.status), (expected, expected), "round {round}");
        assert_eq!(known.body["error"]["message"], unknown.body["error"]["message"]);
    }
    let right = bed.post("/api/auth/login", json!({"email": "ada@example.com", "password": PASSWORD})).await;
    assert_eq!(right.code(), "rate_limited", "the right password waits as well");
    assert!(right.body["error"]["retryAfterMs"].as_u64().unwrap() > 800_000);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_one_hash_whoever_it_was_tried_for() {
    let bed = Bed::new().await;
    let org = tidings_core::Org::default();
    for email in ["known@example.com", "disabled@example.com", "locked@example.com"] {
        bed.user("default", email, &[]).await;
    }
    let of = |name: &str| format!("id-of-{name}@example.com-in-default");
    let mut tx = bed.store.begin().await.unwrap();
    tx.set_status(&org, &of("disabled"), tidings_store::users::Status::Disabled).await.unwrap();
    tx.count_failed_login(&org, &of("locked"), 1, 1, u64::MAX / 4).await.unwrap();
    let email = "invited@example.com";
    let invited = NewUser { id: "i", email, name: "i", password_hash: None, email_verified: false };
    tx.create_user(&org, &invited, 1).await.unwrap();
    tx.commit().await.unwrap();
    let hashes = async || -> u64 {
        let metrics = crate::bed::text(bed.addr, "/metrics").await;
        let line = metrics.lines().find(|line| line.starts_with("tidings_passwords_looked_at_total "));
        line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    };
    let mut answers = BTreeSet::new();
    for name in ["known", "nobody", "disabled", "locked", "invited"] {
        let before = hashes().await;
        let email = format!("{name}@example.com");
        let answer = bed.post("/api/auth/login", json!({"email": email, "password": "wrong password"})).await;
        assert_eq!((hashes().await - before, answer.status), (1, 401), "{name}");
        answers.insert(answer.body.to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    // What is refused before anybody is looked for costs nothing: the measure does measure.
    let before = hashes().await;
    bed.post("/api/auth/login", json!({"email": "no address", "password": "wrong password"})).await;
    assert_eq!(hashes().await, before);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_only_five_are_answered() {
    let bed = std::sync::Arc::new(Bed::new().await);
    bed.user("default", "ada@example.com", &[]).await;
    let mut guesses = Vec::new();
    for _ in 0..30 {
        let bed = bed.clone();
        let guess = json!({"email": "ada@example.com", "password": "a wrong password"});
        guesses.push(tokio::spawn(async move { bed.post("/api/auth/login", guess).await.status }));
    }
    let mut answered = 0;
    for guess in guesses {
        let status = guess.await.unwrap();
        assert!([401, 429].contains(&status), "{status}");
        answered += usize::from(status == 401);
    }
    // One more can be on each core when the fifth is counted.
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!((5..5 + cores).contains(&answered), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_every_other_sign_in() {
    let bed = Bed::new().await;
    bed.user("default", "ada@example.com", &[]).await;
    let (one, other) =
        (bed.login("default", "ada@example.com").await, bed.login("default", "ada@example.com").await);
    let token = one["accessToken"].as_str().unwrap();
    let change = |old: &str, new: &str| json!({"oldPassword": old, "newPassword": new});
    let wrong =
        bed.post_as(token, "/api/auth/password", change("not the old one", "another password 1")).await;
    assert_eq!(wrong.status, 401);
    let weak = bed.post_as(token, "/api/auth/password", change(PASSWORD, "short")).await;
    assert_eq!(weak.code(), "bad_request");
    let changed = bed.post_as(token, "/api/auth/password", change(PASSWORD, "another password 1")).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    for old in [&one, &other] {
        let answer = bed.post("/api/auth/refresh", json!({"refreshToken": old["refreshToken"]})).await;
        assert_eq!(answer.status, 401);
    }
    let kept = json!({"refreshToken": changed.body["refreshToken"]});
    assert_eq!(bed.post("/api/auth/refresh", kept).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_by_the_newest_link_once() {
    let bed = Bed::new().await;
    bed.user("default", "ada@example.com", &[]).await;
    let session = bed.login("default", "ada@example.com").await;
    for _ in 0..2 {
        assert_eq!(bed.post("/api/auth/password", json!({"email": "ada@example.com"})).await.status, 202);
    }
    let (older, newer) = (secret_in(&bed.mail(1).await), secret_in(&bed.mail(2).await));
    let set = |token: &str| json!({"token": token, "newPassword": "another password 1"});
    assert_eq!(bed.post("/api/auth/verify", json!({"token": newer})).await.status, 404, "another kind");
    assert_eq!(bed.post("/api/auth/password", set(&older)).await.status, 404);
    assert_eq!(bed.post("/api/auth/password", set(&newer)).await.status, 200);
    assert_eq!(bed.post("/api/auth/password", set(&newer)).await.status, 404);
    let refresh = json!({"refreshToken": session["refreshToken"]});
    assert_eq!(bed.post("/api/auth/refresh", refresh).await.status, 401);
    let login = json!({"email": "ada@example.com", "password": "another password 1"});
    assert_eq!(bed.post("/api/auth/login", login).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_nobody_proved_belongs_to_whoever_registered_last() {
    let bed = Bed::new().await;
    let register = |password: &str| json!({"email": "ada@example.com", "password": password});
    bed.post("/api/auth/register", register("the password of a squatter")).await;
    bed.post("/api/auth/register", register(PASSWORD)).await;
    let (first, second) = (secret_in(&bed.mail(1).await), secret_in(&bed.mail(2).await));
    assert_eq!(bed.post("/api/auth/verify", json!({"token": first})).await.status, 404);
    assert_eq!(bed.post("/api/auth/verify", json!({"token": second})).await.status, 200);
    let squatter = json!({"email": "ada@example.com", "password": "the password of a squatter"});
    assert_eq!(bed.post("/api/auth/login", squatter).await.status, 401);
    bed.login("default", "ada@example.com").await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_use_is_not_taken_over_by_registering_its_address_again() {
    let bed = Bed::with(|config| config.accounts.verified_only = false).await;
    let register = |password: &str| json!({"email": "ada@example.com", "password": password});
    assert_eq!(bed.post("/api/auth/register", register(PASSWORD)).await.status, 202);
    bed.login("default", "ada@example.com").await;
    assert_eq!(bed.post("/api/auth/register", register("the password of a thief")).await.status, 202);
    bed.mail(2).await;
    assert_eq!(bed.kinds(), ["verify", "taken"]);
    let thief = bed.post("/api/auth/login", register("the password of a thief")).await;
    assert_eq!(thief.code(), "unauthorized");
    bed.login("default", "ada@example.com").await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_written_tells_nobody_that_there_is_an_account() {
    let bed = Bed::new().await;
    bed.user("default", "ada@example.com", &[]).await;
    let mut tx = bed.store.begin().await.unwrap();
    let full = "INSERT INTO mail (org, id, recipient, subject, body, kind, created_ms, due_ms, attempts) \
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
                SELECT 'default', 'm' || i, 'x', 'x', 'x', 'x', $1, $1, 0 FROM n";
    tx.run(full, tidings_store::args![u64::MAX / 4]).await.unwrap();
    tx.commit().await.unwrap();
    for email in ["ada@example.com", "nobody@example.com"] {
        let asked = bed.post("/api/auth/password", json!({ "email": email })).await;
        assert_eq!((asked.status, &asked.body), (202, &json!({"ok": true})), "{email}");
    }
    assert_eq!(bed.mails(), 0);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_address_is_no_password_by_a_link_either() {
    let bed = Bed::new().await;
    bed.user("default", "ada.lovelace@example.com", &[]).await;
    let admin = bed.signed_in("acme", "boss@example.com", &["admin"]).await;
    bed.post("/api/auth/password", json!({"email": "ada.lovelace@example.com"})).await;
    let reset = secret_in(&bed.mail(1).await);
    bed.post_as(&admin, "/api/users", json!({"email": "bob.the.builder@example.com"})).await;
    let invited = secret_in(&bed.mail(2).await);
    let set = |password: &str| json!({"token": reset, "newPassword": password});
    let accept = |password: &str| json!({"token": invited, "password": password});
    let own = bed.post("/api/auth/password", set("Ada.Lovelace@example.com")).await;
    assert_eq!(own.code(), "bad_request", "{own:?}");
    assert_eq!(bed.post("/api/auth/register", accept("bob.the.builder")).await.code(), "bad_request");
    // The links were not used up by it.
    assert_eq!(bed.post("/api/auth/password", set(PASSWORD)).await.status, 200);
    assert_eq!(bed.post("/api/auth/register", accept(PASSWORD)).await.status, 202);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_gets_five_mails_an_hour_at_most() {
    let bed = Bed::new().await;
    for _ in 0..8 {
        let answer =
            bed.post("/api/auth/register", json!({"email": "ada@example.com", "password": PASSWORD})).await;
        assert_eq!(answer.status, 202);
    }
    bed.post("/api/auth/register", json!({"email": "last@example.com", "password": PASSWORD})).await;
    assert_eq!(bed.mail(6).await.to, "last@example.com");
    assert_eq!(bed.mails(), 6);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_register_where_they_may_and_in_no_other_organisation() {
    let new = |org: &str| json!({"email": "ada@example.com", "password": PASSWORD, "org": org});
    let open = Bed::new().await;
    assert_eq!(open.post("/api/auth/register", new("acme")).await.code(), "forbidden");
    assert_eq!(open.post("/api/auth/register", new("default")).await.status, 202);
    open.stop().await;
    for register in [Register::Invited, Register::Closed] {
        let bed = Bed::with(|config| config.accounts.register = register).await;
        assert_eq!(bed.post("/api/auth/register", new("default")).await.code(), "forbidden");
        bed.stop().await;
    }
    let said: fn(&mut Config) = |config| config.behind_proxy = true;
    let named: fn(&mut Config) = |config| config.trusted_proxies = vec!["127.0.0.1".into()];
    for proxied in [said, named] {
        let bed = Bed::with(proxied).await;
        assert_eq!(bed.post("/api/auth/register", new("default")).await.code(), "forbidden");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_with_a_code_and_is_not_repeated() {
    let bed = Bed::new().await;
    let cases = [
        ("/api/auth/login", r#"{"email":"a@b.c"}"#, "bad_request"),
        ("/api/auth/login", r#"{"email":"a@b.c","password":5551234}"#, "bad_request"),
        ("/api/auth/login", r#"{"email":"a@b.c","password":"x","role":"admin"}"#, "bad_request"),
        ("/api/auth/login", r#"{"email":"a@b.c","password":"x","password":"y"}"#, "bad_request"),
        ("/api/auth/login", r#"{"email":"nobody","password":"x"}"#, "bad_request"),
        ("/api/auth/login", "[]", "bad_request"),
        ("/api/auth/login", "", "bad_request"),
        ("/api/auth/register", r#"{"email":"a@b.c","password":"short"}"#, "bad_request"),
        (
            "/api/auth/register",
            r#"{"email":"a@b.c\r\nBcc: x@y.z","password":"long enough it is"}"#,
            "bad_request",
        ),
        ("/api/auth/verify", r#"{"token":"x"}"#, "not_found"),
        ("/api/auth/refresh", r#"{"refreshToken":"x"}"#, "unauthorized"),
        ("/api/auth/password", r#"{"oldPassword":"x"}"#, "bad_request"),
        ("/api/auth/logout", "", "unauthorized"),
    ];
    for (path, body, code) in cases {
        let answer = bed.ask("POST", path, "", body).await;
        assert_eq!(answer.code(), code, "{path} {body}: {answer:?}");
        assert!(!answer.body.to_string().contains("5551234"), "{answer:?}");
    }
    let long = json!({"email": "a@b.c", "password": "x".repeat(1_025)});
    assert_eq!(bed.post("/api/auth/login", long).await.code(), "bad_request");
    let huge = json!({"email": "a@b.c", "password": "x".repeat(20_000)});
    assert_eq!(bed.post("/api/auth/login", huge).await.code(), "too_large");
    assert_eq!(bed.ask("GET", "/api/auth/login", "", "").await.status, 405);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_accounts_says_that_it_has_none() {
    let bed = Bed::with(|config| config.accounts.enabled = false).await;
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(bed.post("/api/auth/login", login).await.code(), "not_found");
    bed.stop().await;
}
