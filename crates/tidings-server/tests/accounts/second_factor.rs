//! Codes beside the password: a device that makes them, and all that somebody without it tries.

use std::collections::BTreeSet;

use ring::hmac;
use serde_json::{Value, json};
use tidings_core::Org;
use tidings_server::config::AdminUiMode;
use tidings_store::audit::{AuditFilter, Recorded};

use crate::bed::{Answer, Bed, PASSWORD, secret_in};

const ADA: &str = "ada@example.com";
const LOGIN: &str = "/api/auth/login";
const FACTOR: &str = "/api/auth/second-factor";

/// A device that was shown a secret. It reckons on its own, so that not both err alike.
pub(crate) struct Device(Vec<u8>);

impl Device {
    fn of(base32: &str) -> Self {
        let mut bits = Vec::new();
        for letter in base32.bytes() {
            let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
            bits.extend((0..5).rev().map(|bit| value >> bit & 1));
        }
        Self(bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect())
    }

    /// The code of now, or of so many steps later. The next one is good already, and two in a row are whenever the
    /// clock goes on between them.
    pub(crate) fn code(&self, later: u64) -> String {
        self.at(step_now() + later)
    }

    /// A code of no step that is taken now.
    fn wrong(&self) -> String {
        let near: BTreeSet<String> = (0..4).map(|step| self.at(step_now() + step - 1)).collect();
        (0..9).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).unwrap()
    }

    fn at(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let number = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

fn step_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 30
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn codes_in(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["recoveryCodes"].as_array().unwrap().iter().map(text).collect()
}

/// Turns a second factor on with the code of now.
pub(crate) async fn enrol(bed: &Bed, token: &str) -> (Device, Vec<String>) {
    let begun = bed.post_as(token, FACTOR, json!({ "password": PASSWORD })).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    let device = Device::of(begun.body["secret"].as_str().unwrap());
    let on = bed.post_as(token, &format!("{FACTOR}/on"), json!({ "code": device.code(0) })).await;
    (device, codes_in(&on))
}

/// A user with a second factor: the id, a token, the device and the recovery codes.
async fn ada(bed: &Bed, roles: &[&str]) -> (String, String, Device, Vec<String>) {
    let id = bed.user("default", ADA, roles).await;
    let token = text(&bed.login("default", ADA).await["accessToken"]);
    let (device, codes) = enrol(bed, &token).await;
    (id, token, device, codes)
}

async fn login(bed: &Bed, password: &str, code: Option<&str>) -> Answer {
    let mut body = json!({"email": ADA, "password": password});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    bed.post(LOGIN, body).await
}

async fn me(bed: &Bed, token: &str) -> Value {
    bed.get_as(token, "/api/auth/me").await.body["user"].clone()
}

/// As if the codes that were taken had been taken long ago: for what is not about using them twice.
async fn long_ago(bed: &Bed) {
    let mut tx = bed.store.begin().await.unwrap();
    tx.run("UPDATE second_factors SET last_step = 1", &[]).await.unwrap();
    tx.commit().await.unwrap();
}

/// What was noted, once an action is among it.
async fn noted(bed: &Bed, until: &str) -> Vec<Recorded> {
    let all = async {
        loop {
            let filter = AuditFilter::default();
            let all = bed.store.read().await.unwrap().audit_of_all(&filter, 100).await.unwrap();
            if all.iter().any(|one| one.entry.action == until) {
                return all;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::bed::DEADLINE, all).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_code_has_proved_it_a_right_password_alone_signs_nobody_in() {
    for bed in Bed::both().await {
        bed.user("default", ADA, &[]).await;
        let token = text(&bed.login("default", ADA).await["accessToken"]);
        let wrong = bed.post_as(&token, FACTOR, json!({"password": "another password"})).await;
        assert_eq!((wrong.status, wrong.code()), (403, "forbidden"), "the sign-in itself is good");
        let begun = bed.post_as(&token, FACTOR, json!({ "password": PASSWORD })).await;
        let secret = text(&begun.body["secret"]);
        assert_eq!((begun.status, secret.len()), (200, 32), "{begun:?}");
        let uri = format!("otpauth://totp/Tidings:ada%40example.com?secret={secret}&issuer=Tidings");
        assert_eq!(begun.body["uri"], uri);
        // Not before a code of it was shown.
        assert_eq!(login(&bed, PASSWORD, None).await.status, 200);
        let device = Device::of(&secret);
        let on =
            async |code: String| bed.post_as(&token, &format!("{FACTOR}/on"), json!({ "code": code })).await;
        let refused = on(device.wrong()).await;
        assert_eq!((refused.status, refused.code()), (403, "second_factor"), "{refused:?}");
        assert_eq!(login(&bed, PASSWORD, None).await.status, 200);
        let codes = codes_in(&on(device.code(0)).await);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
        assert_eq!(on(device.code(1)).await.code(), "conflict");
        let again = bed.post_as(&token, FACTOR, json!({ "password": PASSWORD })).await;
        assert_eq!(again.code(), "conflict", "what is on is replaced by nobody who has no code");
        let seen = me(&bed, &token).await;
        assert_eq!((&seen["secondFactor"], &seen["recoveryCodes"]), (&json!(true), &json!(10)));

        let asked = login(&bed, PASSWORD, None).await;
        assert_eq!((asked.status, asked.code()), (403, "second_factor"), "{asked:?}");
        assert!(!asked.body.to_string().contains("Token"), "{asked:?}");
        let wrong = login(&bed, PASSWORD, Some(&device.wrong())).await;
        assert_eq!((wrong.status, wrong.code()), (403, "second_factor"), "{wrong:?}");
        let spaced = device.code(1);
        let signed_in = login(&bed, PASSWORD, Some(&format!("{} {}", &spaced[..3], &spaced[3..]))).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_password_is_right_nothing_tells_of_a_second_factor_or_of_an_account() {
    let bed = Bed::new().await;
    let (_, _, device, codes) = ada(&bed, &[]).await;
    let nobody = json!({"email": "nobody@example.com", "password": PASSWORD, "code": device.code(1)});
    let nobody = bed.post(LOGIN, nobody).await;
    for code in [None, Some(device.code(1)), Some(device.wrong()), Some(codes[0].clone())] {
        let guessed = login(&bed, "not the password", code.as_deref()).await;
        assert_eq!((guessed.status, &guessed.body), (401, &nobody.body));
    }
    // And no code was used up by it.
    assert_eq!(login(&bed, PASSWORD, Some(&device.code(1))).await.status, 200);
    bed.stop().await;
}

/// What comes of it when eight sign in with one code at once.
async fn at_once(bed: &std::sync::Arc<Bed>, code: &str) -> Vec<u16> {
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let (bed, code) = (bed.clone(), code.to_owned());
            tokio::spawn(async move { login(&bed, PASSWORD, Some(&code)).await.status })
        })
        .collect();
    let mut came = Vec::new();
    for one in asked {
        came.push(one.await.unwrap());
    }
    assert!(came.iter().all(|status| [200, 403, 429].contains(status)), "{came:?}");
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_show_one_code_at_once_one_is_signed_in() {
    for is_recovery in [false, true] {
        for bed in Bed::both().await.map(std::sync::Arc::new) {
            let (_, _, device, codes) = ada(&bed, &[]).await;
            let turned_on = login(&bed, PASSWORD, Some(&device.code(0))).await;
            assert_eq!(turned_on.code(), "second_factor", "it has turned the factor on");
            let code = if is_recovery { codes[3].clone() } else { device.code(1) };
            let came = at_once(&bed, &code).await;
            assert_eq!(came.iter().filter(|status| **status == 200).count(), 1, "{came:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_was_used_is_not_taken_after_a_restart_either() {
    let bed = Bed::new().await;
    let (_, _, device, codes) = ada(&bed, &[]).await;
    let code = device.code(1);
    assert_eq!(login(&bed, PASSWORD, Some(&code)).await.status, 200);
    assert_eq!(login(&bed, PASSWORD, Some(&codes[0])).await.status, 200);
    let bed = Bed::again(bed.stop().await, |_| ()).await;
    for used in [&code, &codes[0]] {
        assert_eq!(login(&bed, PASSWORD, Some(used)).await.code(), "second_factor");
    }
    assert_eq!(login(&bed, PASSWORD, Some(&codes[1])).await.status, 200, "the control");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_keep_somebody_out_as_wrong_passwords_do_and_a_right_password_forgives_none() {
    for bed in Bed::both().await {
        let (_, token, device, codes) = ada(&bed, &[]).await;
        for _ in 0..4 {
            assert_eq!(login(&bed, PASSWORD, Some(&device.wrong())).await.code(), "second_factor");
            assert_eq!(login(&bed, PASSWORD, None).await.code(), "second_factor");
        }
        // Neither a new password nor what else asks for a code gives more guesses.
        let change = json!({"oldPassword": PASSWORD, "newPassword": "another password 1"});
        let changed = bed.post_as(&token, "/api/auth/password", change).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let token = text(&changed.body["accessToken"]);
        let proof = json!({"password": "another password 1", "code": device.wrong()});
        let off = bed.post_as(&token, &format!("{FACTOR}/off"), proof).await;
        assert_eq!(off.code(), "second_factor", "the fifth: {off:?}");
        for good in [device.code(1), codes[0].clone()] {
            let locked = login(&bed, "another password 1", Some(&good)).await;
            assert_eq!((locked.status, locked.code()), (429, "rate_limited"), "{locked:?}");
        }
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_counted_for_other_nodes_and_the_next_start() {
    let bed = Bed::new().await;
    let (_, _, device, codes) = ada(&bed, &[]).await;
    for _ in 0..5 {
        assert_eq!(login(&bed, PASSWORD, Some(&device.wrong())).await.code(), "second_factor");
    }
    let bed = Bed::again(bed.stop().await, |_| ()).await;
    let locked = login(&bed, PASSWORD, Some(&codes[0])).await;
    assert_eq!(locked.status, 401, "as every account that the store keeps out: {locked:?}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_while_it_is_turned_on_locks_nobody_out_who_got_it_right() {
    for bed in Bed::both().await {
        bed.user("default", ADA, &[]).await;
        let token = text(&bed.login("default", ADA).await["accessToken"]);
        let on = format!("{FACTOR}/on");
        let mut shown = None;
        // The second time the password was right in between.
        for tries in [4, 4] {
            let begun = bed.post_as(&token, FACTOR, json!({ "password": PASSWORD })).await;
            let device = Device::of(begun.body["secret"].as_str().unwrap());
            for _ in 0..tries {
                let tried = bed.post_as(&token, &on, json!({ "code": device.wrong() })).await;
                assert_eq!(tried.code(), "second_factor", "{tried:?}");
            }
            shown = Some(device);
        }
        let device = shown.unwrap();
        codes_in(&bed.post_as(&token, &on, json!({ "code": device.code(0) })).await);
        // One slip more is the first, not the fifth.
        assert_eq!(login(&bed, PASSWORD, Some(&device.wrong())).await.code(), "second_factor");
        let signed_in = login(&bed, PASSWORD, Some(&device.code(1))).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_turn_it_on_are_guessed_at_no_more_often_than_others() {
    let bed = Bed::new().await;
    let token = bed.signed_in("default", ADA, &[]).await;
    let begun = bed.post_as(&token, FACTOR, json!({ "password": PASSWORD })).await;
    let device = Device::of(begun.body["secret"].as_str().unwrap());
    let on = async |code: String| bed.post_as(&token, &format!("{FACTOR}/on"), json!({ "code": code })).await;
    for _ in 0..5 {
        assert_eq!(on(device.wrong()).await.code(), "second_factor");
    }
    let locked = on(device.code(0)).await;
    assert_eq!((locked.status, locked.code()), (429, "rate_limited"), "{locked:?}");
    // Nor after the next start, or at another node.
    let bed = Bed::again(bed.stop().await, |_| ()).await;
    let on = json!({ "code": device.code(0) });
    assert_eq!(bed.post_as(&token, &format!("{FACTOR}/on"), on).await.status, 429);
    assert_eq!(me(&bed, &token).await["secondFactor"], false);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_buys_no_guesses_at_a_code_here_or_on_other_nodes() {
    let bed = Bed::new().await;
    let (_, _, device, codes) = ada(&bed, &[]).await;
    for _ in 0..5 {
        assert_eq!(login(&bed, PASSWORD, Some(&device.wrong())).await.code(), "second_factor");
    }
    bed.post("/api/auth/password", json!({ "email": ADA })).await;
    let reset = json!({"token": secret_in(&bed.mail(1).await), "newPassword": "another password 1"});
    assert_eq!(bed.post("/api/auth/password", reset).await.status, 200);
    let locked = login(&bed, "another password 1", Some(&codes[0])).await;
    assert_eq!(locked.status, 429, "{locked:?}");
    // Another node, and the next start, know what the store does.
    let bed = Bed::again(bed.stop().await, |_| ()).await;
    let locked = login(&bed, "another password 1", Some(&codes[0])).await;
    assert_eq!(locked.status, 401, "{locked:?}");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_alone_proves_nothing_where_a_code_is_asked_for() {
    let bed = Bed::new().await;
    let (_, with_code, _, codes) = ada(&bed, &["admin"]).await;
    let without = bed.signed_in("default", "bob@example.com", &["admin"]).await;
    let key = json!({"name": "ci", "scopes": ["read"]});
    for (token, status) in [(with_code, 403), (without, 201)] {
        let change = json!({"oldPassword": PASSWORD, "newPassword": "another password 1"});
        let changed = bed.post_as(&token, "/api/auth/password", change).await;
        let token = text(&changed.body["accessToken"]);
        let made = bed.post_as(&token, "/api/keys", key.clone()).await;
        assert_eq!(made.status, status, "{made:?}");
        if status == 403 {
            assert_eq!(made.code(), "password_again");
            let proof = json!({"password": "another password 1", "code": codes[0]});
            assert_eq!(bed.post_as(&token, "/api/auth/confirm", proof).await.status, 200);
            assert_eq!(bed.post_as(&token, "/api/keys", key.clone()).await.status, 201);
        }
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_signs_in_once_and_new_ones_take_the_place_of_the_rest() {
    for bed in Bed::both().await {
        let (_, _, device, codes) = ada(&bed, &[]).await;
        let typed = codes[0].to_lowercase().replace('-', " ");
        let signed_in = login(&bed, PASSWORD, Some(&typed)).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        assert_eq!(login(&bed, PASSWORD, Some(&codes[0])).await.code(), "second_factor");
        let token = text(&signed_in.body["accessToken"]);
        assert_eq!(me(&bed, &token).await["recoveryCodes"], 9);
        let anew = async |proof: Value| bed.post_as(&token, &format!("{FACTOR}/codes"), proof).await;
        assert_eq!(anew(json!({ "password": PASSWORD })).await.code(), "second_factor");
        let wrong = json!({"password": "another password", "code": device.code(1)});
        assert_eq!(anew(wrong).await.code(), "forbidden");
        let fresh = codes_in(&anew(json!({"password": PASSWORD, "code": device.code(1)})).await);
        assert_eq!(me(&bed, &token).await["recoveryCodes"], 10);
        assert_eq!(login(&bed, PASSWORD, Some(&codes[1])).await.code(), "second_factor");
        assert_eq!(login(&bed, PASSWORD, Some(&fresh[1])).await.status, 200);
        let used = noted(&bed, "recovery.used").await;
        let used: Vec<_> = used.iter().filter(|one| one.entry.action == "recovery.used").collect();
        assert!(used[0].entry.after.as_deref().unwrap().contains("9 left"), "{used:?}");
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_turned_off_by_the_password_and_a_code_and_can_be_turned_on_anew() {
    let bed = Bed::new().await;
    let (_, token, device, codes) = ada(&bed, &[]).await;
    let off = async |proof: Value| bed.post_as(&token, &format!("{FACTOR}/off"), proof).await;
    assert_eq!(off(json!({ "password": PASSWORD })).await.code(), "second_factor");
    assert_eq!(
        off(json!({"password": "another password", "code": device.code(1)})).await.code(),
        "forbidden"
    );
    assert_eq!(off(json!({"password": PASSWORD, "code": codes[0]})).await.status, 200);
    assert_eq!(off(json!({ "password": PASSWORD })).await.status, 404);
    assert_eq!(login(&bed, PASSWORD, None).await.status, 200);
    let (other, _) = enrol(&bed, &token).await;
    assert_ne!(device.0, other.0);
    assert_eq!(login(&bed, PASSWORD, Some(&codes[1])).await.code(), "second_factor", "of the one before");
    assert_eq!(login(&bed, PASSWORD, Some(&other.code(1))).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_forgotten_is_set_by_mail_and_the_code_is_still_asked_for() {
    let bed = Bed::new().await;
    let (_, _, device, _) = ada(&bed, &[]).await;
    bed.post("/api/auth/password", json!({ "email": ADA })).await;
    let link = secret_in(&bed.mail(1).await);
    let reset = json!({"token": link, "newPassword": "another password 1"});
    assert_eq!(bed.post("/api/auth/password", reset).await.status, 200);
    assert_eq!(login(&bed, "another password 1", None).await.code(), "second_factor");
    assert_eq!(login(&bed, "another password 1", Some(&device.code(1))).await.status, 200);
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_proved_an_address_turns_nothing_on_for_whoever_does() {
    let bed = Bed::with(|config| config.accounts.verified_only = false).await;
    bed.post("/api/auth/register", json!({"email": ADA, "password": PASSWORD})).await;
    let token = text(&bed.login("default", ADA).await["accessToken"]);
    let begun = bed.post_as(&token, FACTOR, json!({ "password": PASSWORD })).await;
    assert_eq!((begun.status, begun.code()), (403, "forbidden"), "{begun:?}");
    bed.post("/api/auth/verify", json!({ "token": secret_in(&bed.mail(1).await) })).await;
    enrol(&bed, &token).await;
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_removes_that_of_a_member_whose_sign_ins_end() {
    for bed in Bed::both().await {
        let boss = bed.signed_in("default", "boss@example.com", &["admin"]).await;
        let other = bed.signed_in("other", "boss@example.com", &["admin"]).await;
        let (id, token, device, _) = ada(&bed, &[]).await;
        let signed_in = login(&bed, PASSWORD, Some(&device.code(1))).await;
        let users = bed.get_as(&boss, "/api/users").await.body["users"].clone();
        let of_ada = users.as_array().unwrap().iter().find(|user| user["id"] == id.as_str()).unwrap();
        assert_eq!(of_ada["secondFactor"], true);
        let path = format!("/api/users/{id}/second-factor/remove");
        for (who, status) in [(&token, 403), (&other, 404)] {
            assert_eq!(bed.post_as(who, &path, json!({})).await.status, status);
        }
        assert_eq!(me(&bed, &token).await["secondFactor"], true, "the control");
        let removed = bed.post_as(&boss, &path, json!({})).await;
        assert_eq!(
            (removed.status, &removed.body["user"]["secondFactor"]),
            (200, &json!(false)),
            "{removed:?}"
        );
        assert_eq!(bed.get_as(&token, "/api/auth/me").await.status, 401);
        let refresh = json!({ "refreshToken": signed_in.body["refreshToken"] });
        assert_eq!(bed.post("/api/auth/refresh", refresh).await.status, 401);
        assert_eq!(bed.post_as(&boss, &path, json!({})).await.status, 404);
        assert_eq!(login(&bed, PASSWORD, None).await.status, 200);
        let noted = noted(&bed, "factor.remove").await;
        let one = noted.iter().find(|one| one.entry.action == "factor.remove" && one.entry.result == "ok");
        assert_eq!(one.unwrap().entry.object.as_deref(), Some(id.as_str()));
        bed.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_turns_off_their_own_with_a_code_alone_and_that_of_no_operator() {
    let bed = Bed::new().await;
    let (id, token, ..) = ada(&bed, &["admin"]).await;
    let root = bed.user("default", "root@example.com", &["admin", "operator"]).await;
    let of_root = text(&bed.login("default", "root@example.com").await["accessToken"]);
    enrol(&bed, &of_root).await;
    for whose in [id, root] {
        let refused =
            bed.post_as(&token, &format!("/api/users/{whose}/second-factor/remove"), json!({})).await;
        assert_eq!((refused.status, refused.code()), (403, "forbidden"), "{refused:?}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_noted_without_a_secret_or_a_code() {
    let bed = Bed::new().await;
    let (_, token, device, codes) = ada(&bed, &[]).await;
    login(&bed, PASSWORD, None).await;
    let (wrong, good) = (device.wrong(), device.code(1));
    login(&bed, PASSWORD, Some(&wrong)).await;
    login(&bed, PASSWORD, Some(&good)).await;
    let proof = |code: &str| json!({"password": PASSWORD, "code": code});
    let alone = bed.post_as(&token, "/api/auth/confirm", json!({ "password": PASSWORD })).await;
    assert_eq!(alone.code(), "second_factor", "before exports both are asked for");
    let confirmed = bed.post_as(&token, "/api/auth/confirm", proof(&codes[0])).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let renewed = codes_in(&bed.post_as(&token, &format!("{FACTOR}/codes"), proof(&codes[1])).await);
    bed.post_as(&token, &format!("{FACTOR}/off"), proof(&wrong)).await;
    let off = bed.post_as(&token, &format!("{FACTOR}/off"), proof(&renewed[0])).await;
    assert_eq!(off.status, 200, "{off:?}");
    let last = async |all: &[Recorded]| {
        let of = |one: &&Recorded| {
            ["factor", "recove", "confir", "login"].iter().any(|word| one.entry.action.starts_with(word))
        };
        all.iter()
            .rev()
            .filter(of)
            .map(|one| (one.entry.action.clone(), one.entry.result.clone()))
            .collect::<Vec<_>>()
    };
    // The newest is the last that is written.
    let all = loop {
        let all = noted(&bed, "factor.off").await;
        if all.iter().any(|one| one.entry.action == "factor.off" && one.entry.result == "ok") {
            break all;
        }
    };
    let said = last(&all).await;
    let expected = [
        ("login", "ok"),
        ("factor.on", "ok"),
        ("factor.asked", "ok"),
        ("login", "refused"),
        ("login", "ok"),
        ("factor.asked", "ok"),
        ("recovery.used", "ok"),
        ("confirm", "ok"),
        ("recovery.used", "ok"),
        ("recovery.renew", "ok"),
        ("factor.off", "refused"),
        ("recovery.used", "ok"),
        ("factor.off", "ok"),
    ];
    assert_eq!(said, expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned())));
    // Times and hashes have digits of their own.
    let said = all.iter().map(|Recorded { entry, .. }| {
        format!("{:?}", (&entry.object, &entry.reason, &entry.before, &entry.after, &entry.actor))
    });
    let text = said.collect::<String>();
    for hidden in codes.iter().chain(&renewed).chain([&wrong, &good, &PASSWORD.to_owned()]) {
        let plain = hidden.replace('-', "");
        assert!(!text.contains(hidden) && !text.contains(&plain), "{hidden}");
    }
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_alone_gives_no_secret_away_and_another_signing_secret_is_changed_to() {
    const NEXT: &str = "another secret of the account tests, long enough";
    let bed = Bed::new().await;
    let (id, _, device, codes) = ada(&bed, &[]).await;
    let sealed = async |bed: &Bed| {
        let mut reader = bed.store.read().await.unwrap();
        reader.second_factor(&Org::default(), &id).await.unwrap().unwrap().sealed
    };
    let first = sealed(&bed).await;
    assert!(!first.windows(device.0.len()).any(|part| part == device.0), "it stands there as it is");
    let place = bed.stop().await;
    let of_config = |secret: &'static str, previous: &'static str| {
        move |config: &mut tidings_server::Config| {
            config.auth.jwt_secret = secret.into();
            config.auth.jwt_secret_previous = previous.into();
        }
    };
    // With another signing secret alone nobody has the device's: recovery codes are left.
    let bed = Bed::again(place, of_config(NEXT, "")).await;
    assert_eq!(login(&bed, PASSWORD, Some(&device.code(1))).await.code(), "second_factor");
    assert_eq!(login(&bed, PASSWORD, Some(&codes[0])).await.status, 200);
    let previous = "a secret of the account tests, long enough";
    let bed = Bed::again(bed.stop().await, of_config(NEXT, previous)).await;
    assert_eq!(login(&bed, PASSWORD, Some(&device.code(1))).await.status, 200);
    assert_ne!(sealed(&bed).await, first);
    long_ago(&bed).await;
    let bed = Bed::again(bed.stop().await, of_config(NEXT, "")).await;
    assert_eq!(login(&bed, PASSWORD, Some(&device.code(1))).await.status, 200, "it was sealed anew");
    bed.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_stock_admin_ui_the_code_stands_behind_the_name() {
    let bed = Bed::with(|config| config.admin_ui.mode = AdminUiMode::Production).await;
    let (_, _, device, _) = ada(&bed, &["admin"]).await;
    let enters = async |name: String| crate::admin_ui::enters(&bed, &name, PASSWORD).await;
    assert!(!enters(ADA.into()).await);
    assert!(!enters(format!("{ADA} {}", device.wrong())).await);
    assert!(enters(format!("{ADA} {}", device.code(1))).await);
    long_ago(&bed).await;
    assert!(enters(format!("default {ADA} {}", device.code(1))).await);
    bed.stop().await;
}
