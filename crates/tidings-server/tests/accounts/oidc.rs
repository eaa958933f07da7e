//! Signing in at a provider, and what an attacker tries.

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_server::config::ProviderConfig;

use crate::bed::{Answer, Bed, PASSWORD, ask, text};
use crate::provider::{CLIENT, CLIENT_SECRET, Provider, Signing, parameters};
use crate::second_factor::enrol;
use crate::signin::TempFile;

const START: &str = "/api/auth/oidc/local/start";
const PAGE: &str = "https://app.example/in?tab=1#here";

struct Scene {
    bed: Bed,
    provider: Provider,
    _secret: TempFile,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (provider, secret) = (Provider::start().await, TempFile::new(CLIENT_SECRET));
        let configured = ProviderConfig {
            name: "local".into(),
            issuer: provider.issuer.clone(),
            client_id: CLIENT.into(),
            client_secret_file: secret.text(),
            ..ProviderConfig::default()
        };
        let bed = Bed::with(|config| {
            config.auth.providers = vec![configured];
            config.allow_origin = vec!["https://app.example".into()];
            change(config);
        });
        Self { bed: bed.await, provider, _secret: secret }
    }

    /// Begins, lets the provider say yes, and answers where it sends the browser, with its cookie.
    async fn sent_back(&self, query: &str) -> (String, String) {
        let begun = self.bed.ask("GET", &format!("{START}{query}"), "", "").await;
        assert_eq!(begun.status, 302, "{begun:?}");
        let cookie = begun.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let there = begun.header("location").unwrap().to_owned();
        let path = there.strip_prefix(&self.provider.issuer).unwrap();
        let address = self.provider.issuer.strip_prefix("http://").unwrap().parse().unwrap();
        let back = ask(address, "GET", path, "", "").await;
        let back = back.header("location").unwrap();
        let here = format!("http://{}", self.bed.addr);
        (back.strip_prefix(&here).unwrap().to_owned(), cookie)
    }

    async fn come_back(&self, path: &str, cookie: &str) -> Answer {
        self.bed.ask("GET", path, &format!("Cookie: {cookie}\r\n"), "").await
    }

    /// The whole way.
    async fn sign_in(&self) -> Answer {
        let (path, cookie) = self.sent_back("").await;
        self.come_back(&path, &cookie).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_at_a_provider_and_is_the_same_the_next_time() {
    let scene = Scene::new().await;
    let first = scene.sign_in().await;
    assert_eq!(first.status, 200, "{first:?}");
    let user = &first.body["user"];
    assert_eq!((&user["email"], &user["name"]), (&json!("ada@example.com"), &json!("Ada L.")));
    let me = scene.bed.get_as(first.body["accessToken"].as_str().unwrap(), "/api/auth/me").await;
    assert_eq!(me.body["user"]["emailVerified"], true);
    scene.provider.claim(|claims| claims["email"] = "elsewhere@example.com".into());
    assert_eq!(scene.sign_in().await.body["user"]["id"], user["id"], "known by the subject, not the address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_a_code_that_it_exchanges_once() {
    let scene = Scene::new().await;
    let (path, cookie) = scene.sent_back("?returnTo=https%3A%2F%2Fapp.example%2Fin%3Ftab%3D1%23here").await;
    let back = scene.come_back(&path, &cookie).await;
    let location = back.header("location").unwrap();
    let (start, end) = PAGE.split_once('#').unwrap();
    assert!(location.starts_with(start) && location.ends_with(&format!("#{end}")), "{location}");
    assert!(back.header("set-cookie").unwrap().contains("Max-Age=0"));
    let code = parameters(location.split(['?', '#']).nth(1).unwrap())["code"].clone();
    let exchange = || scene.bed.post("/api/auth/oidc/exchange", json!({ "code": code }));
    let signed_in = exchange().await;
    assert_eq!((signed_in.status, &signed_in.body["user"]["email"]), (200, &json!("ada@example.com")));
    assert_eq!(exchange().await.code(), "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_for_a_page_of_this_server_is_worth_something_in_its_own_browser_alone() {
    let scene = Scene::new().await;
    let begin = async || {
        let (path, cookie) = scene.sent_back("?returnTo=%2Faccount").await;
        let back = scene.come_back(&path, &cookie).await;
        let code = back.header("location").unwrap().strip_prefix("/account?code=").unwrap().to_owned();
        let set: Vec<_> = back.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
        let [over, own] = set[..] else { panic!("{set:?}") };
        assert!(
            over.contains("Max-Age=0") && own.contains("Max-Age=180") && own.contains("HttpOnly"),
            "{set:?}"
        );
        (json!({ "code": code }).to_string(), own.split(';').next().unwrap().to_owned())
    };
    let exchange = async |body: &str, cookie: &str| {
        let cookie = format!("Cookie: {cookie}\r\n");
        scene.bed.ask("POST", "/api/auth/oidc/exchange", &cookie, body).await
    };
    let ((first, cookie), (second, other)) = (begin().await, begin().await);
    assert_eq!(exchange(&first, &cookie).await.body["user"]["email"], "ada@example.com");
    assert_eq!(exchange(&second, "").await.code(), "unauthorized", "somebody who was sent the link");
    assert_eq!(exchange(&second, &other).await.code(), "unauthorized", "it works once, also in vain");
    let (third, _) = begin().await;
    assert_eq!(exchange(&third, &other).await.code(), "unauthorized", "the cookie of another sign-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_no_way_around_a_second_factor() {
    let scene = Scene::new().await;
    let bed = &scene.bed;
    let token = bed.signed_in("default", "ada@example.com", &[]).await;
    let (device, codes) = enrol(bed, &token).await;
    let shown = scene.sign_in().await;
    assert_eq!(
        (shown.status, shown.code()),
        (403, "second_factor"),
        "nobody is there to be asked: {shown:?}"
    );
    let begin = async || {
        let (path, cookie) =
            scene.sent_back("?returnTo=https%3A%2F%2Fapp.example%2Fin%3Ftab%3D1%23here").await;
        let back = scene.come_back(&path, &cookie).await;
        let location = back.header("location").unwrap().to_owned();
        parameters(location.split(['?', '#']).nth(1).unwrap())["code"].clone()
    };
    let exchange = async |code: &str, second: Option<&str>| {
        let mut body = json!({ "code": code });
        if let Some(second) = second {
            body["secondCode"] = json!(second);
        }
        bed.post("/api/auth/oidc/exchange", body).await
    };
    let code = begin().await;
    for second in [None, Some("AAAA-AAAA-AAAA-AAAA")] {
        assert_eq!(exchange(&code, second).await.code(), "second_factor");
    }
    let signed_in = exchange(&code, Some(&device.code(1))).await;
    assert_eq!((signed_in.status, &signed_in.body["user"]["email"]), (200, &json!("ada@example.com")));
    assert_eq!(exchange(&code, Some(&codes[0])).await.code(), "unauthorized", "it works once still");
    assert_eq!(exchange(&begin().await, Some(&codes[0])).await.status, 200, "no code was used up by that");
    // Nor one to guess at: it is counted as elsewhere.
    let code = begin().await;
    for _ in 0..5 {
        assert_eq!(exchange(&code, Some("AAAA-AAAA-AAAA-AAAA")).await.code(), "second_factor");
    }
    assert_eq!(exchange(&begin().await, Some(&codes[1])).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_proves_nothing_of_whoever_has_a_password_here_as_well() {
    let scene = Scene::new().await;
    let made = async |answer: Answer| {
        let token = answer.body["accessToken"].as_str().unwrap().to_owned();
        let key = json!({"name": "ci", "scopes": ["read"]});
        (scene.bed.post_as(&token, "/api/keys", key).await, token)
    };
    scene.bed.user("default", "ada@example.com", &["admin"]).await;
    let (refused, token) = made(scene.sign_in().await).await;
    assert_eq!((refused.status, refused.code()), (403, "password_again"), "{refused:?}");
    let proof = json!({ "password": PASSWORD });
    assert_eq!(scene.bed.post_as(&token, "/api/auth/confirm", proof).await.status, 200);
    assert_eq!(made(scene.sign_in().await).await.0.status, 403, "another sign-in");

    // Who has none has shown all there is.
    scene.provider.claim(|claims| {
        claims["email"] = "bob@example.com".into();
        claims["sub"] = "bob".into();
    });
    let first = scene.sign_in().await;
    let mut tx = scene.bed.store.begin().await.unwrap();
    let bob = first.body["user"]["id"].as_str().unwrap();
    tx.grant_role(&tidings_core::Org::default(), bob, "admin").await.unwrap();
    tx.commit().await.unwrap();
    let (key, _) = made(scene.sign_in().await).await;
    assert_eq!(key.status, 201, "{key:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_told_which_providers_there_are() {
    let scene = Scene::with(|config| {
        let named = ProviderConfig {
            name: "named".into(),
            label: "Company".into(),
            ..config.auth.providers[0].clone()
        };
        config.auth.providers.push(named);
        config.admin_listen = "127.0.0.1:0".into();
    });
    let scene = scene.await;
    let told = scene.bed.ask("GET", "/api/auth/providers", "", "").await;
    let both = json!([{"name": "local", "label": "local"}, {"name": "named", "label": "Company"}]);
    assert_eq!((told.status, &told.body), (200, &json!({"ok": true, "providers": both})));
    let known = format!("If-None-Match: {}\r\n", told.header("etag").unwrap());
    assert_eq!(scene.bed.ask("GET", "/api/auth/providers", &known, "").await.status, 304);
    let none = json!({"ok": true, "providers": []});
    let apart = ask(scene.bed.admin.unwrap(), "GET", "/api/auth/providers", "", "").await;
    assert_eq!(apart.body, none, "whoever signs in there comes back elsewhere");
    let closed = Scene::with(|config| config.accounts.enabled = false).await;
    assert_eq!(closed.bed.ask("GET", "/api/auth/providers", "", "").await.body, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_sends_somebody_to_a_provider_that_is_away_is_told_so() {
    let scene = Scene::with(|config| config.auth.providers[0].issuer = "http://127.0.0.1:1".into()).await;
    let begun = scene.bed.ask("GET", &format!("{START}?returnTo=%2Faccount"), "", "").await;
    assert_eq!((begun.status, begun.header("location")), (302, Some("/account?error=unavailable")));
    assert_eq!(scene.bed.ask("GET", START, "", "").await.code(), "unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_accounts_knows_that_there_is_somebody_who_sends_mails() {
    let bed = Bed::new().await;
    let page = text(bed.addr, "/account").await;
    assert!(page.contains("data-mails=\"sent\""), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_works_once_in_the_browser_in_which_it_began() {
    let scene = Scene::new().await;
    let (path, cookie) = scene.sent_back("").await;
    let (state, rest) = path.split_once("state=").unwrap();
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{state}state={other}{}", &rest[1..]);
    assert_eq!(scene.come_back(&forged, &cookie).await.code(), "bad_request", "another state");
    assert_eq!(scene.come_back(&path, &cookie).await.status, 200);
    assert_eq!(scene.come_back(&path, &cookie).await.code(), "bad_request", "a second time");

    let (victims, _) = scene.sent_back("").await;
    let (_, attackers) = scene.sent_back("").await;
    assert_eq!(scene.come_back(&victims, &attackers).await.code(), "bad_request", "another browser");
    let (path, _) = scene.sent_back("").await;
    assert_eq!(scene.bed.ask("GET", &path, "", "").await.code(), "bad_request", "no browser at all");
    let bare = "/api/auth/oidc/local/callback?code=x";
    assert_eq!(scene.come_back(bare, "").await.code(), "bad_request", "no state");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_whose_sign_in_is_over_come_to_a_page_and_programs_are_told_at_once() {
    let scene = Scene::new().await;
    let (path, cookie) = scene.sent_back("?returnTo=%2F").await;
    assert_eq!(scene.come_back(&path, &cookie).await.status, 302);
    // By the button that goes back, or after ten minutes at the provider.
    let browser = format!("Cookie: {cookie}\r\nAccept: text/html,application/xhtml+xml\r\n");
    let again = scene.bed.ask("GET", &path, &browser, "").await;
    assert_eq!((again.status, again.header("location")), (302, Some("/account?error=bad_request")));
    assert_eq!(scene.come_back(&path, &cookie).await.code(), "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_as_a_code_is_exchanged_says_nothing_against_whoever_brought_it() {
    let scene = Scene::new().await;
    scene.provider.fail("503 Service Unavailable");
    assert_eq!(scene.sign_in().await.code(), "unavailable");
    scene.provider.fail("429 Too Many Requests");
    let (path, cookie) = scene.sent_back("?returnTo=%2Fin").await;
    let back = scene.come_back(&path, &cookie).await;
    assert_eq!(back.header("location"), Some("/in?error=unavailable"));
    scene.provider.fail("400 Bad Request");
    assert_eq!(scene.sign_in().await.code(), "unauthorized", "the code was looked at");
    let store = scene.bed.store.clone();
    let _place = scene.bed.stop().await;
    let sql = "SELECT result FROM audit WHERE action = 'login' ORDER BY seq";
    let rows = store.read().await.unwrap().rows(sql, &[]).await.unwrap();
    let noted: Vec<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(noted, ["failed", "failed", "refused"], "what is refused is a sign of guessing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_somebody_elses_flow_is_worth_nothing() {
    let scene = Scene::new().await;
    let (one, cookie) = scene.sent_back("").await;
    let (other, _) = scene.sent_back("").await;
    let code = other.split_once("&code=").unwrap().1;
    let mixed = format!("{}&code={code}", one.split_once("&code=").unwrap().0);
    assert_eq!(scene.come_back(&mixed, &cookie).await.code(), "unauthorized", "the verifier does not fit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_lies_signs_nobody_in() {
    let scene = Scene::new().await;
    let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value.clone();
    let lies = [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another-client")),
        ("aud", json!([])),
        ("azp", json!("another-client")),
        ("iss", json!("https://accounts.evil.test")),
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("iat", json!(4_000_000_000_u64)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(256))),
    ];
    for (name, value) in lies {
        scene.provider.claim(set(name, value.clone()));
        assert_eq!(scene.sign_in().await.code(), "unauthorized", "{name} {value}");
    }
    scene.provider.claim(|claims| {
        claims["aud"] = json!([CLIENT, "another"]);
        claims["azp"] = Value::Null;
    });
    assert_eq!(scene.sign_in().await.code(), "unauthorized", "several audiences and no party");
    scene.provider.claim(|_| ());
    for signing in [Signing::None, Signing::ClientSecret, Signing::OtherKey] {
        scene.provider.sign(signing);
        assert_eq!(scene.sign_in().await.code(), "unauthorized");
    }
    scene.provider.sign(Signing::Rs256);
    scene.provider.claim(|claims| claims["aud"] = json!([CLIENT, "another"]));
    assert_eq!(scene.sign_in().await.status, 200, "the party is named");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_the_provider_does_not_vouch_for_opens_no_account() {
    let scene = Scene::new().await;
    scene.bed.user("default", "ada@example.com", &["admin"]).await;
    for value in [json!(false), json!("true"), Value::Null] {
        scene.provider.claim(move |claims| claims["email_verified"] = value.clone());
        assert_eq!(scene.sign_in().await.code(), "forbidden");
    }
    scene.provider.claim(|claims| claims["email"] = Value::Null);
    assert_eq!(scene.sign_in().await.code(), "forbidden");
    scene.provider.claim(|_| ());
    let linked = scene.sign_in().await;
    assert_eq!(linked.body["user"]["roles"], json!(["admin"]), "vouched for, it is the same person");
    scene.bed.login("default", "ada@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registered_an_address_they_never_proved_does_not_get_into_its_owners_account() {
    let scene = Scene::with(|config| config.accounts.verified_only = false).await;
    let squatter = json!({"email": "ada@example.com", "password": PASSWORD});
    scene.bed.post("/api/auth/register", squatter.clone()).await;
    let inside = scene.bed.post("/api/auth/login", squatter.clone()).await;
    assert_eq!(inside.status, 200);
    assert_eq!(scene.sign_in().await.status, 200);
    assert_eq!(scene.bed.post("/api/auth/login", squatter).await.code(), "unauthorized");
    let refresh = json!({"refreshToken": inside.body["refreshToken"]});
    assert_eq!(scene.bed.post("/api/auth/refresh", refresh).await.code(), "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_a_page_of_others() {
    let scene = Scene::new().await;
    for page in ["https%3A%2F%2Fevil.test%2F", "%2F%2Fevil.test", "javascript%3Aalert(1)", "%2F%5Cevil.test"]
    {
        let answer = scene.bed.ask("GET", &format!("{START}?returnTo={page}"), "", "").await;
        assert_eq!(answer.code(), "bad_request", "{page}: {answer:?}");
    }
    let unknown = scene.bed.ask("GET", "/api/auth/oidc/other/start", "", "").await;
    assert_eq!(unknown.code(), "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_get_an_account_is_configured() {
    let scene = Scene::with(|config| config.auth.providers[0].create = false).await;
    assert_eq!(scene.sign_in().await.code(), "forbidden");
    let scene = Scene::with(|config| config.auth.providers[0].domains = vec!["acme.example".into()]).await;
    assert_eq!(scene.sign_in().await.code(), "forbidden");
    scene.provider.claim(|claims| claims["email"] = "ada@ACME.example".into());
    assert_eq!(scene.sign_in().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_at_the_provider_comes_back_without_a_code() {
    let scene = Scene::new().await;
    let (path, cookie) = scene.sent_back("?returnTo=%2Fin").await;
    let refused = format!("{}&error=access_denied", path.split_once("&code=").unwrap().0);
    let back = scene.come_back(&refused, &cookie).await;
    assert_eq!(back.header("location"), Some("/in?error=forbidden"));
}
