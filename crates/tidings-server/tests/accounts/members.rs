//! What administrators may do with the people of their organisation, and of no other.

use serde_json::{Value, json};
use tidings_server::config::Register;

use crate::bed::{Bed, PASSWORD, secret_in};
use crate::second_factor::enrol;

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_and_changes_their_own_people_alone() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let bob = bed.user("acme", "bob@example.com", &[]).await;
    let eve = bed.user("rival", "eve@example.com", &["admin"]).await;
    let bobs = bed.login("acme", "bob@example.com").await;

    let listed = bed.get_as(&admin, "/api/users").await;
    let emails: Vec<&Value> =
        listed.body["users"].as_array().unwrap().iter().map(|user| &user["email"]).collect();
    assert_eq!(emails, ["ada@example.com", "bob@example.com"]);
    assert_eq!(bed.get_as(bobs["accessToken"].as_str().unwrap(), "/api/users").await.code(), "forbidden");
    assert_eq!(bed.ask("GET", "/api/users", "", "").await.code(), "unauthorized");

    let path = |id: &str, what: &str| format!("/api/users/{id}/{what}");
    let roles = bed.post_as(&admin, &path(&bob, "roles"), json!({"roles": ["organizer"]})).await;
    assert_eq!(roles.body["user"]["roles"], json!(["organizer"]), "{roles:?}");
    for what in ["roles", "disable", "enable"] {
        let abroad = bed.post_as(&admin, &path(&eve, what), json!({"roles": []})).await;
        let absent = bed.post_as(&admin, &path("nobody", what), json!({"roles": []})).await;
        assert_eq!((abroad.status, &abroad.body), (404, &absent.body), "{what}");
    }

    let old = bobs["accessToken"].as_str().unwrap();
    assert_eq!(bed.get_as(old, "/api/auth/me").await.status, 401, "the roles in it are no longer true");
    let disabled = bed.post_as(&admin, &path(&bob, "disable"), json!({})).await;
    assert_eq!(disabled.body["user"]["status"], "disabled", "{disabled:?}");
    let refresh = json!({"refreshToken": bobs["refreshToken"]});
    assert_eq!(bed.post("/api/auth/refresh", refresh).await.status, 401);
    let login = json!({"email": "bob@example.com", "password": PASSWORD, "org": "acme"});
    assert_eq!(bed.post("/api/auth/login", login.clone()).await.status, 401);
    assert_eq!(bed.post_as(&admin, &path(&bob, "enable"), json!({})).await.status, 200);
    assert_eq!(bed.post("/api/auth/login", login).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_operator_and_the_last_administrator_stays() {
    let bed = Bed::new().await;
    let ada = bed.user("acme", "ada@example.com", &["admin"]).await;
    let boss = bed.user("acme", "root@example.com", &["operator"]).await;
    let session = bed.login("acme", "ada@example.com").await;
    let admin = session["accessToken"].as_str().unwrap();
    let path = |id: &str, what: &str| format!("/api/users/{id}/{what}");
    let roles = |roles: &[&str]| json!({ "roles": roles });
    let up = bed.post_as(admin, &path(&ada, "roles"), roles(&["admin", "operator"])).await;
    assert_eq!(up.code(), "forbidden");
    assert_eq!(bed.post_as(admin, &path(&boss, "roles"), roles(&[])).await.code(), "forbidden");
    assert_eq!(bed.post_as(admin, &path(&boss, "disable"), json!({})).await.code(), "forbidden");
    assert_eq!(bed.post_as(admin, &path(&ada, "roles"), roles(&[])).await.code(), "conflict");
    assert_eq!(bed.post_as(admin, &path(&ada, "disable"), json!({})).await.code(), "conflict");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_are_to_be_none_at_once_one_stays() {
    let bed = Bed::postgres(|_| {}).await;
    for number in 0..8 {
        let org = format!("acme-{number}");
        let admin = bed.signed_in(&org, "ada@example.com", &["admin"]).await;
        let bob = bed.user(&org, "bob@example.com", &["admin"]).await;
        let path = |id: &str, what: &str| format!("/api/users/{id}/{what}");
        let ada = path(&format!("id-of-ada@example.com-in-{org}"), "roles");
        let no_roles = bed.post_as(&admin, &ada, json!({"roles": []}));
        let disabled = path(&bob, "disable");
        let (first, second) = tokio::join!(no_roles, bed.post_as(&admin, &disabled, json!({})));
        // Whoever came second may have lost the right to ask as well.
        let done = [&first, &second].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "{first:?} {second:?}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_were_changed_since_they_were_seen_are_not_taken_back_unseen() {
    for bed in Bed::both().await {
        let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
        let bob = bed.user("acme", "bob@example.com", &["editor", "reader"]).await;
        let path = format!("/api/users/{bob}/roles");
        let seen = json!(["reader", "editor"]);
        let first = json!({"roles": ["editor", "reader", "admin"], "had": seen});
        assert_eq!(bed.post_as(&admin, &path, first).await.status, 200, "in whichever order");
        let second = json!({"roles": ["editor"], "had": seen});
        let refused = bed.post_as(&admin, &path, second).await;
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert!(refused.body["error"]["message"].as_str().unwrap().contains("admin"), "{refused:?}");
        // Who does not say what they have seen sets them as they are asked to.
        let third = bed.post_as(&admin, &path, json!({"roles": []})).await;
        assert_eq!(third.body["user"]["roles"], json!([]), "{third:?}");
        let none = bed.post_as(&admin, &path, json!({"roles": ["editor"], "had": ["admin"]})).await;
        assert!(none.body["error"]["message"].as_str().unwrap().ends_with("none"), "{none:?}");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_leads_into_the_administrators_organisation() {
    let bed = Bed::with(|config| config.accounts.register = Register::Invited).await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let new = json!({"email": "bob@example.com", "roles": ["organizer"]});
    let invited = bed.post_as(&admin, "/api/users", new.clone()).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    assert_eq!(bed.post_as(&admin, "/api/users", new).await.code(), "conflict");
    let operator = json!({"email": "c@example.com", "roles": ["operator"]});
    assert_eq!(bed.post_as(&admin, "/api/users", operator).await.code(), "forbidden");

    let token = secret_in(&bed.mail(1).await);
    let accept = |password: &str| json!({"token": token, "password": password, "name": "Bob"});
    assert_eq!(bed.post("/api/auth/register", accept("short")).await.code(), "bad_request");
    assert_eq!(bed.post("/api/auth/register", accept(PASSWORD)).await.status, 202);
    assert_eq!(bed.post("/api/auth/register", accept(PASSWORD)).await.code(), "not_found");
    let user = bed.login("acme", "bob@example.com").await["user"].clone();
    assert_eq!((&user["name"], &user["roles"]), (&json!("Bob"), &json!(["organizer"])));
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_sets_no_password_in_the_place_of_one_that_was_chosen_without_it() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("default", "ada@example.com", &["admin"]).await;
    let email = json!({"email": "bob@example.com"});
    assert_eq!(bed.post_as(&admin, "/api/users", email.clone()).await.status, 201);
    let invitation = secret_in(&bed.mail(1).await);
    // Who cannot find the invitation says that the password is forgotten.
    assert_eq!(bed.post("/api/auth/password", email).await.status, 202);
    let reset = json!({"token": secret_in(&bed.mail(2).await), "newPassword": PASSWORD});
    assert_eq!(bed.post("/api/auth/password", reset).await.status, 200);
    let another = json!({"token": invitation, "password": "another password 1"});
    assert_eq!(bed.post("/api/auth/register", another).await.code(), "not_found");
    assert!(bed.login("default", "bob@example.com").await["accessToken"].is_string());
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_accounts_stands_in_the_audit_log_without_secrets() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let bob = bed.user("acme", "bob@example.com", &[]).await;
    bed.post(
        "/api/auth/login",
        json!({"email": "bob@example.com", "password": "wrong wrong", "org": "acme"}),
    )
    .await;
    bed.post_as(&admin, &format!("/api/users/{bob}/roles"), json!({"roles": ["organizer"]})).await;
    let made = bed.post_as(&admin, "/api/keys", json!({"name": "ci", "scopes": ["read"]})).await;
    let prefix = made.body["about"]["prefix"].as_str().unwrap().to_owned();
    let store = bed.store.clone();
    let _place = bed.stop().await;
    let checked = store.verify_audit(None).await.unwrap().unwrap();
    assert!(checked.count >= 5, "{checked:?}");
    let mut records = store.read().await.unwrap();
    let rows =
        records.rows("SELECT action, actor, object, result FROM audit ORDER BY seq", &[]).await.unwrap();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            (0..4).map(|at| row.text_or_none(at).unwrap().unwrap_or_default()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    let key = format!("key.create id-of-ada@example.com-in-acme {prefix} ok");
    for wanted in ["login id-of-ada", "login  bob@example.com refused", "role.change id-of-ada", &key] {
        assert!(texts.iter().any(|text| text.contains(wanted)), "{wanted}: {texts:?}");
    }
    assert!(!texts.join("\n").contains("wrong wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_to_their_accounts_is_noted_with_who_they_are() {
    let bed = Bed::new().await;
    let email = "ada@example.com";
    bed.post("/api/auth/register", json!({"email": email, "password": PASSWORD})).await;
    bed.post("/api/auth/verify", json!({"token": secret_in(&bed.mail(1).await)})).await;
    let session = bed.login("default", email).await;
    let (id, token) = (session["user"]["id"].as_str().unwrap(), session["accessToken"].as_str().unwrap());
    let change = |old: &str| json!({"oldPassword": old, "newPassword": "another password 1"});
    bed.post_as(token, "/api/auth/password", change("not the old one")).await;
    let changed = bed.post_as(token, "/api/auth/password", change(PASSWORD)).await.body;
    bed.post("/api/auth/logout", json!({"refreshToken": changed["refreshToken"]})).await;
    bed.post("/api/auth/password", json!({ "email": email })).await;
    let link = secret_in(&bed.mail(2).await);
    bed.post("/api/auth/password", json!({"token": link, "newPassword": PASSWORD})).await;
    let session = bed.login("default", email).await;
    bed.post_as(session["accessToken"].as_str().unwrap(), "/api/auth/logout", json!({})).await;
    let admin = bed.signed_in("default", "boss@example.com", &["admin", "operator"]).await;
    bed.post_as(&admin, "/api/users", json!({"email": "bob@example.com"})).await;
    let link = secret_in(&bed.mail(3).await);
    bed.post("/api/auth/register", json!({"token": link, "password": PASSWORD})).await;
    let made = bed.post_as(&admin, "/api/keys", json!({"name": "ci", "scopes": ["admin"]})).await.body;
    let (key, prefix) = (made["key"].as_str().unwrap(), made["about"]["prefix"].as_str().unwrap());
    for what in ["disable", "enable"] {
        bed.post_as(key, &format!("/api/users/{id}/{what}"), json!({})).await;
    }
    let store = bed.store.clone();
    let _place = bed.stop().await;
    let mut records = store.read().await.unwrap();
    let bob =
        records.user_by_email(&tidings_core::Org::default(), "bob@example.com").await.unwrap().unwrap().id;
    let sql = "SELECT action, actor_kind, actor, org, object, result FROM audit \
               WHERE action NOT IN ('start', 'stop', 'login', 'token.refused') ORDER BY seq";
    let rows = records.rows(sql, &[]).await.unwrap();
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |at| row.text_or_none(at).unwrap().unwrap_or_else(|| "-".into());
            let names = [(id, "ADA"), (&bob, "BOB"), (prefix, "KEY")];
            let line = (0..6).map(text).collect::<Vec<_>>().join(" ");
            names.iter().fold(line, |line, (name, short)| line.replace(name, short))
        })
        .collect();
    let boss = "user id-of-boss@example.com-in-default default";
    let expected = [
        "org.create anonymous - default default ok",
        "register anonymous - default ada@example.com ok",
        "verify user ADA default - ok",
        "password.change user ADA default - refused",
        "password.change user ADA default - ok",
        "logout user ADA default - ok",
        "password.change user ADA default - ok",
        "logout user ADA default - ok",
        &format!("register {boss} bob@example.com ok"),
        "register user BOB default - ok",
        &format!("key.create {boss} KEY ok"),
        "revocation key KEY default ADA ok",
        "user.enable key KEY default ADA ok",
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_a_path_that_cannot_be_one_is_the_name_of_nobody() {
    let bed = Bed::new().await;
    let admin = bed.signed_in("acme", "ada@example.com", &["admin"]).await;
    let head = format!("Authorization: Bearer {admin}\r\n");
    let table = [
        ("POST", "/api/users/*/roles", r#"{"roles":[]}"#),
        ("POST", "/api/users/*/disable", ""),
        ("POST", "/api/users/*/enable", ""),
        ("POST", "/api/users/*/disconnect", ""),
        ("GET", "/api/users/*/sessions", ""),
        ("DELETE", "/api/keys/*", ""),
        ("GET", "/api/auth/oidc/*/start", ""),
        ("GET", "/api/auth/oidc/*/callback", ""),
    ];
    for (method, path, body) in table {
        for name in ["%FF", "%00", "a%00b"] {
            let answer = bed.ask(method, &path.replace('*', name), &head, body).await;
            assert_eq!((answer.status, answer.code()), (404, "not_found"), "{path} {name}: {answer:?}");
        }
    }
    bed.stop().await;
}

/// As if whoever has signed in had proved who they are long ago.
async fn long_ago(bed: &Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    // Five minutes are shipped.
    tx.run("UPDATE refresh_families SET proved_ms = proved_ms - 300000", &[]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_somebody_in_is_not_done_from_a_screen_that_was_left_signed_in() {
    for bed in Bed::both().await {
        let boss = bed.signed_in("acme", "boss@example.com", &["admin"]).await;
        let bob = bed.user("acme", "bob@example.com", &[]).await;
        let of_bob = bed.login("acme", "bob@example.com").await;
        enrol(&bed, of_bob["accessToken"].as_str().unwrap()).await;
        let acts = [
            ("/api/keys".to_owned(), json!({"name": "ci", "scopes": ["admin"]}), 201),
            ("/api/users".to_owned(), json!({"email": "eve@example.com", "roles": ["admin"]}), 201),
            (format!("/api/users/{bob}/roles"), json!({"roles": ["admin"]}), 200),
            (format!("/api/users/{bob}/second-factor/remove"), json!({}), 200),
            (format!("/api/users/{bob}/enable"), json!({}), 200),
        ];
        long_ago(&bed).await;
        for (path, body, _) in &acts {
            let refused = bed.post_as(&boss, path, body.clone()).await;
            assert_eq!((refused.status, refused.code()), (403, "password_again"), "{path}: {refused:?}");
        }
        let members = bed.get_as(&boss, "/api/users").await.body["users"].clone();
        let seen = members.as_array().unwrap().iter().map(|one| (&one["roles"], &one["secondFactor"]));
        assert_eq!(seen.filter(|seen| *seen == (&json!([]), &json!(true))).count(), 1, "{members}");
        // Who administers nothing learns nothing, and keeping somebody out waits for nothing.
        let refused = bed
            .post_as(of_bob["accessToken"].as_str().unwrap(), "/api/users", json!({"email": "e@example.com"}))
            .await;
        assert_eq!(refused.code(), "forbidden");
        assert_eq!(bed.post_as(&boss, &format!("/api/users/{bob}/disable"), json!({})).await.status, 200);

        let proof = json!({ "password": PASSWORD });
        assert_eq!(bed.post_as(&boss, "/api/auth/confirm", proof).await.status, 200);
        let mut key = String::new();
        for (path, body, status) in &acts {
            let done = bed.post_as(&boss, path, body.clone()).await;
            assert_eq!(done.status, *status, "{path}: {done:?}");
            key.push_str(done.body["key"].as_str().unwrap_or_default());
        }
        // Programs have no password.
        long_ago(&bed).await;
        let by_key = bed.post_as(&key, "/api/users", json!({"email": "max@example.com"})).await;
        assert_eq!(by_key.status, 201, "{by_key:?}");
        bed.stop().await;
    }
}
