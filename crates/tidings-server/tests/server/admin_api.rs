//! What administrators see of the running server, and what they do to what is connected to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_server::Config;
use tidings_testkit::eventually_told;

use crate::common::{Wire, config, http, with_server};
use crate::people::{plain, plain_in, socket_io, socket_io_in, token};

/// Somebody of an organisation, with more in the token.
fn of(org: &str, user: &str, more: &Value) -> String {
    let mut claims = json!({ "org": org, "name": user.to_uppercase() });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    token(user, 600, claims)
}

pub(crate) fn someone(org: &str, user: &str) -> String {
    of(org, user, &json!({}))
}

pub(crate) fn admin(org: &str) -> String {
    of(org, "root", &json!({ "roles": ["admin"] }))
}

/// Who sees everything.
pub(crate) fn everything() -> String {
    of("default", "ops", &json!({ "scope": "admin" }))
}

pub(crate) fn get(addr: SocketAddr, who: &str, path: &str) -> (u16, Value) {
    answer(http(addr, &format!("GET {path}"), &format!("Authorization: Bearer {who}\r\n"), ""))
}

fn post(addr: SocketAddr, who: &str, path: &str, body: &str) -> (u16, Value) {
    answer(http(addr, &format!("POST {path}"), &format!("Authorization: Bearer {who}\r\n"), body))
}

fn answer((head, body): (String, String)) -> (u16, Value) {
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head}\n{body}")))
}

pub(crate) fn ok(answer: (u16, Value)) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.1);
    answer.1
}

pub(crate) fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

/// All pages of a list.
fn pages(addr: SocketAddr, who: &str, list: &str, query: &str) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = ok(get(addr, who, &format!("/api/admin/{list}?{query}&after={after}")));
        rows.extend(page[list].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return rows };
        after = next.bytes().map(|byte| format!("%{byte:02x}")).collect();
    }
}

fn texts(rows: &[Value], field: &str) -> Vec<String> {
    rows.iter().map(|row| row[field].as_str().unwrap_or("null").to_owned()).collect()
}

/// Asks until it is so.
fn wait_for(addr: SocketAddr, who: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually_told("as wanted", || ok(get(addr, who, path)), wanted)
}

pub(crate) fn two_shards() -> Config {
    Config { shards: 2, ..config() }
}

const ROUTES: [(&str, &str); 8] = [
    ("GET", "/api/admin/overview"),
    ("GET", "/api/admin/usage"),
    ("GET", "/api/admin/rooms"),
    ("GET", "/api/admin/sockets"),
    ("GET", "/api/admin/users"),
    ("POST", "/api/admin/rooms/open:1/kick"),
    ("POST", "/api/admin/sockets/aaaaaaaaaaaaaaaaaaaa/disconnect"),
    ("POST", "/api/admin/users/ann/disconnect"),
];

#[test]
fn who_administers_nothing_is_refused_everywhere_and_without_a_token_is_nobody() {
    with_server(&config(), |addr, _| {
        let nobodies = [
            someone("default", "ann"),
            of("default", "ann", &json!({ "roles": ["editor"], "scope": "publish" })),
            // In another organisation the role of those who run the server says nothing.
            of("acme", "ann", &json!({ "roles": ["operator"] })),
        ];
        for (method, path) in ROUTES {
            let ask = |headers: &str| answer(http(addr, &format!("{method} {path}"), headers, ""));
            for who in &nobodies {
                let refused = ask(&format!("Authorization: Bearer {who}\r\n"));
                assert_eq!(code(&refused), (403, "forbidden"), "{method} {path}");
            }
            assert_eq!(code(&ask("")), (401, "unauthorized"), "{method} {path}");
            assert_eq!(code(&ask("Authorization: Bearer x\r\n")), (401, "unauthorized"), "{method} {path}");
            // The control: the same is answered to one who may.
            let allowed = ask(&format!("Authorization: Bearer {}\r\n", admin("default")));
            assert!(![401, 403].contains(&allowed.0), "{method} {path}: {}", allowed.1);
        }
    });
}

#[test]
fn an_administrator_sees_and_moves_nothing_of_another_organisation() {
    with_server(&two_shards(), |addr, _| {
        let mut there = plain_in(addr, &someone("globex", "secret-ann"), "open:secret-room");
        let mut here = plain_in(addr, &someone("acme", "bob"), "open:here");
        let acme = admin("acme");
        for list in ["rooms", "sockets", "users"] {
            let rows = pages(addr, &acme, list, "");
            assert!(!rows.is_empty(), "{list}");
            assert!(rows.iter().all(|row| row["org"] == "acme"), "{rows:?}");
            let searched = pages(addr, &acme, list, "q=secret&user=secret-ann&room=open:secret-room");
            assert!(searched.is_empty(), "{searched:?}");
            // An organisation that exists looks as one that does not.
            let foreign = get(addr, &acme, &format!("/api/admin/{list}?org=globex"));
            assert_eq!(code(&foreign), (404, "not_found"));
            assert_eq!(foreign, get(addr, &acme, &format!("/api/admin/{list}?org=nowhere")));
        }
        let told = ok(get(addr, &acme, "/api/admin/overview"));
        assert_eq!(
            (&told["scope"], &told["overview"]["connections"]["total"]),
            (&json!("organisation"), &json!(1))
        );
        assert_eq!(told["overview"]["rooms"], 2, "the open one and the personal one");
        assert!(told["overview"]["node"].is_null() && told["overview"]["throughput"].is_null(), "{told}");
        let sees_all = everything();
        let id = pages(addr, &sees_all, "sockets", "user=secret-ann")[0]["id"].as_str().unwrap().to_owned();
        let kick = |who: &str, body: &str| post(addr, who, "/api/admin/rooms/open:secret-room/kick", body);
        let end =
            |who: &str, body: &str| post(addr, who, &format!("/api/admin/sockets/{id}/disconnect"), body);
        for body in ["{}", "{\"org\":\"globex\"}"] {
            assert_eq!(code(&end(&acme, body)), (404, "not_found"));
        }
        assert_eq!(code(&kick(&acme, "{\"userId\":\"secret-ann\"}")), (404, "not_found"));
        assert_eq!(code(&kick(&acme, "{\"userId\":\"secret-ann\",\"org\":\"globex\"}")), (404, "not_found"));
        let ended = ok(post(addr, &acme, "/api/admin/users/secret-ann/disconnect", ""));
        assert_eq!(ended["disconnected"], 0);
        // They are still there, and hear; one who may does what the other could not.
        assert_eq!(there.ask(5, "\"type\":\"ping\"")["ok"], true);
        assert_eq!(ok(kick(&sees_all, "{\"userId\":\"secret-ann\",\"org\":\"globex\"}"))["left"], 1);
        assert!(there.hear("left").contains("open:secret-room"));
        assert_eq!(ok(end(&sees_all, "{\"org\":\"globex\"}"))["disconnected"], 1);
        assert!(there.closed().is_some());
        assert_eq!(here.ask(5, "\"type\":\"ping\"")["ok"], true);
    });
}

#[test]
fn who_sees_everything_lists_every_organisation_or_the_one_it_names() {
    with_server(&two_shards(), |addr, _| {
        let _held: Vec<Wire> = ["acme", "default", "globex"]
            .iter()
            .map(|org| plain_in(addr, &someone(org, "ann"), "open:1"))
            .collect();
        let operator = of("default", "op", &json!({ "roles": ["operator"] }));
        for who in [everything(), operator] {
            for list in ["rooms", "sockets", "users"] {
                let mut orgs = texts(&pages(addr, &who, list, "kind=open"), "org");
                orgs.sort();
                assert_eq!(orgs, ["acme", "default", "globex"], "{list}");
                assert_eq!(texts(&pages(addr, &who, list, "org=acme&kind=open"), "org"), ["acme"]);
            }
            let told = ok(get(addr, &who, "/api/admin/overview"));
            assert_eq!(
                (&told["scope"], &told["overview"]["connections"]["total"]),
                (&json!("server"), &json!(3))
            );
        }
        // An administrator of the default organisation by its role sees the server's figures, as with /metrics,
        // and the rooms of its own organisation alone.
        let own = admin("default");
        assert_eq!(ok(get(addr, &own, "/api/admin/overview"))["scope"], "server");
        assert_eq!(texts(&pages(addr, &own, "rooms", "kind=open"), "org"), ["default"]);
        assert_eq!(code(&get(addr, &own, "/api/admin/rooms?org=acme")), (404, "not_found"));
    });
}

#[test]
fn the_overview_counts_what_is_there_and_measures_how_long_it_takes() {
    with_server(&two_shards(), |addr, publisher| {
        let who = admin("default");
        let mut plain = plain_in(addr, &someone("default", "ann"), "loose:1");
        let (_socket, _) = socket_io_in(addr, &someone("default", "bob"), "loose:1");
        let _stranger = Wire::open(addr, "/ws");
        // Shards count for themselves and seldom, so the counts need not come true at the same moment.
        let counted = json!({
            "total": 3, "plain": 2, "websocket": 1, "polling": 0, "strangers": 1, "byNamespace": { "/": 2 },
        });
        wait_for(addr, &who, "/api/admin/overview", |told| told["overview"]["connections"] == counted);
        for number in 0..400 {
            publisher.publish("loose:1", "e", number.to_string()).unwrap();
        }
        plain.hear("\"data\":399");
        let measured = |told: &Value| {
            let overview = &told["overview"];
            overview["latency"]["samples"].as_u64() > Some(5)
                && overview["throughput"]["delivered"].as_f64() > Some(0.0)
        };
        let told = wait_for(addr, &who, "/api/admin/overview", measured);
        let overview = &told["overview"];
        let percentile = |name: &str| overview["latency"][name].as_f64().unwrap();
        assert!(percentile("p50Ms") > 0.0 && percentile("p50Ms") <= percentile("p99Ms"), "{overview}");
        assert!(overview["memory"]["residentBytes"].as_u64() > Some(1 << 20), "{overview}");
        assert_eq!(overview["health"]["status"], "ok");
        assert_eq!(overview["shards"].as_array().unwrap().len(), 2);
        assert_eq!(overview["rooms"].as_u64(), Some(pages(addr, &who, "rooms", "").len() as u64));
        let points = told["history"]["points"].as_array().unwrap();
        assert_eq!(points[0].as_array().unwrap().len(), told["history"]["fields"].as_array().unwrap().len());
        let delivered: f64 = points.iter().map(|point| point[3].as_f64().unwrap()).sum();
        assert!(delivered > 100.0, "the past is in the history: {delivered}");
        assert_eq!(told["thresholds"]["latencyWarningMs"], 50);
    });
}

#[test]
fn events_that_wait_for_a_client_that_does_not_read_are_counted() {
    let mut config = config();
    config.limits.queue_bytes = 64 << 20;
    config.limits.lag_ms = 600_000;
    with_server(&config, |addr, publisher| {
        let who = admin("default");
        let stuck = plain_in(addr, &someone("default", "stuck"), "loose:1");
        let payload = format!("\"{}\"", "x".repeat(60_000));
        // What the kernel takes grows for a while: more is said until something waits here as well.
        let more = || publisher.publish("loose:1", "e", payload.clone()).unwrap();
        let told = wait_for(addr, &who, "/api/admin/sockets?user=stuck", |told| {
            more();
            told["sockets"][0]["bytesBehind"].as_u64() > Some(60_000)
        });
        assert!(told["sockets"][0]["messagesBehind"].as_u64() >= Some(1), "{told}");
        let told = wait_for(addr, &who, "/api/admin/overview", |told| {
            more();
            told["overview"]["memory"]["bufferedBytes"].as_u64() > Some(60_000)
        });
        assert!(told["overview"]["shards"][0]["bufferedBytes"].as_u64() > Some(60_000));
        drop(stuck);
        wait_for(addr, &who, "/api/admin/overview", |told| told["overview"]["memory"]["bufferedBytes"] == 0);
    });
}

#[test]
fn the_overview_is_told_in_a_room_to_whom_may_see_it() {
    with_server(&config(), |addr, _| {
        let mut watching = plain_in(addr, &admin("default"), "server:overview");
        for _ in 0..2 {
            let told: Value = serde_json::from_str(&watching.hear("\"event\":\"overview\"")).unwrap();
            assert_eq!(told["room"], "server:overview");
            assert_eq!(told["data"]["connections"]["total"], 1, "{told}");
            assert!(told["offset"].is_null(), "nothing of it is kept");
        }
        for who in [someone("default", "ann"), someone("acme", "ann")] {
            let (mut wire, _) = plain(addr, &who);
            let refused = wire.ask(1, "\"type\":\"subscribe\",\"room\":\"server:overview\"");
            assert_eq!(refused["error"]["code"], "not_found");
        }
        // The room of that name in another organisation is another room, where nothing is told.
        let mut elsewhere = plain_in(addr, &admin("acme"), "server:overview");
        watching.hear("\"event\":\"overview\"");
        elsewhere.say("{\"type\":\"ping\",\"id\":9}");
        assert!(!elsewhere.hear("\"").contains("overview\",\"data\""));
        let publish = "\"type\":\"publish\",\"room\":\"server:overview\",\"event\":\"overview\",\"data\":1";
        assert_eq!(watching.ask(3, publish)["error"]["code"], "forbidden");
    });
}

#[test]
fn pages_of_rooms_sockets_and_users_put_together_are_all_of_them_once() {
    with_server(&two_shards(), |addr, publisher| {
        let who = admin("default");
        let held: Vec<Wire> = (0..23)
            .map(|at| {
                let mut wire =
                    plain_in(addr, &someone("default", &format!("u{at:02}")), &format!("open:r{at:02}"));
                assert_eq!(wire.ask(2, "\"type\":\"subscribe\",\"room\":\"loose:all\"")["ok"], true);
                wire
            })
            .collect();
        publisher.publish("open:r07", "e", "1".into()).unwrap();
        for limit in [1, 4, 50] {
            let rooms = pages(addr, &who, "rooms", &format!("limit={limit}"));
            let numbered = |of: &'static str| (0..23).map(move |at| format!("{of}{at:02}"));
            let expected: Vec<String> = ["loose:all".into()]
                .into_iter()
                .chain(numbered("open:r"))
                .chain(numbered("user:u"))
                .collect();
            assert_eq!(texts(&rooms, "room"), expected);
            let users = texts(&pages(addr, &who, "users", &format!("limit={limit}")), "userId");
            assert_eq!(users, (0..23).map(|at| format!("u{at:02}")).collect::<Vec<_>>());
            let sockets = pages(addr, &who, "sockets", &format!("limit={limit}"));
            let ids: BTreeSet<String> = texts(&sockets, "id").into_iter().collect();
            assert_eq!((sockets.len(), ids.len()), (23, 23));
        }
        let of_room = pages(addr, &who, "rooms", "q=R07&kind=open");
        assert_eq!(of_room.len(), 1);
        let room = &of_room[0];
        assert_eq!(
            (&room["members"], &room["kept"], &room["keep"]),
            (&json!(1), &json!(1), &json!("recent"))
        );
        assert_eq!(room["position"]["offset"], 1);
        assert!(room["bytes"].as_u64() > Some(0) && room["eventsPerSecond"].as_f64() > Some(0.0), "{room}");
        assert_eq!(pages(addr, &who, "rooms", "kind=loose")[0]["members"], 23);
        assert_eq!(texts(&pages(addr, &who, "sockets", "room=open:r05"), "userId"), ["u05"]);
        assert_eq!(pages(addr, &who, "sockets", "room=loose:all&limit=5").len(), 23);
        assert_eq!(texts(&pages(addr, &who, "users", "q=U1"), "userId").len(), 10);
        drop(held);
    });
}

#[test]
fn a_row_tells_where_somebody_is_and_one_with_two_devices_is_one_user() {
    with_server(&two_shards(), |addr, _| {
        let (ann, who) = (someone("default", "ann"), admin("default"));
        let _phone = plain_in(addr, &ann, "open:1");
        let (_laptop, told) = socket_io(addr, &ann, "");
        let sid = told.split("\"sid\":\"").nth(1).unwrap().split('"').next().unwrap();
        let rows = pages(addr, &who, "sockets", "user=ann");
        let laptop = rows.iter().find(|row| row["id"] == sid).unwrap();
        assert_eq!((&laptop["transport"], &laptop["namespace"]), (&json!("websocket"), &json!("/")));
        assert_eq!(laptop["rooms"], json!({ "count": 1, "names": ["user:ann"] }));
        assert_eq!((&laptop["name"], &laptop["address"]), (&json!("ANN"), &json!("127.0.0.1")));
        assert!(laptop["since"].as_str().unwrap().starts_with("20"), "{laptop}");
        assert!(rows.iter().any(|row| row["transport"] == "plain" && row["rooms"]["count"] == 2), "{rows:?}");
        let users = pages(addr, &who, "users", "");
        assert_eq!((users.len(), &users[0]["connections"]), (1, &json!(2)));
        assert_eq!(users[0]["devices"].as_array().unwrap().len(), 2);
        assert_eq!(pages(addr, &who, "sockets", "namespace=/").len(), 2);
        let unknown = get(addr, &who, "/api/admin/sockets?namespace=/none");
        assert_eq!(code(&unknown), (400, "bad_request"));
    });
}

#[test]
fn who_is_sent_out_of_a_room_is_told_so_and_hears_nothing_of_it_any_more() {
    with_server(&two_shards(), |addr, publisher| {
        let (ann, who) = (someone("default", "ann"), admin("default"));
        let mut phone = plain_in(addr, &ann, "loose:1");
        let (mut laptop, _) = socket_io_in(addr, &ann, "loose:1");
        let mut bob = plain_in(addr, &someone("default", "bob"), "loose:1");
        let kick = |body: &str| post(addr, &who, "/api/admin/rooms/loose:1/kick", body);
        publisher.publish("loose:1", "before", "1".into()).unwrap();
        [&mut phone, &mut laptop, &mut bob].into_iter().for_each(|wire| drop(wire.hear("before")));
        assert_eq!(ok(kick("{\"userId\":\"ann\"}"))["left"], 2);
        publisher.publish("loose:1", "after", "2".into()).unwrap();
        bob.hear("after");
        for wire in [&mut phone, &mut laptop] {
            let next = wire.hear("loose:1");
            assert!(next.contains("left") && next.contains("forbidden"), "{next}");
        }
        phone.say("{\"type\":\"ping\",\"id\":8}");
        assert!(phone.hear("\"").contains("\"id\":8"), "nothing of the room came before");
        assert_eq!(code(&kick("{\"userId\":\"ann\"}")), (404, "not_found"), "it has left");
        let id = pages(addr, &who, "sockets", "user=bob")[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(ok(kick(&format!("{{\"socketId\":\"{id}\"}}")))["left"], 1);
        bob.hear("left");
        // The room is open: who was sent out may come back.
        assert_eq!(bob.ask(4, "\"type\":\"subscribe\",\"room\":\"loose:1\"")["ok"], true);
    });
}

#[test]
fn what_is_asked_wrongly_is_refused_with_a_code_and_does_nothing() {
    with_server(&config(), |addr, _| {
        let who = admin("default");
        let mut ann = plain_in(addr, &someone("default", "ann"), "open:1");
        let long = "x".repeat(300);
        for query in
            ["limit=0", "limit=101", "limit=x", "after=%22", &format!("q={long}"), &format!("org={long}")]
        {
            for list in ["rooms", "users"] {
                let answer = get(addr, &who, &format!("/api/admin/{list}?{query}"));
                assert_eq!(code(&answer), (400, "bad_request"), "{list} {query}");
            }
        }
        for query in ["after=1", "after=999.1", "after=0.-1", "room=nokind", &format!("user={long}")] {
            let answer = get(addr, &who, &format!("/api/admin/sockets?{query}"));
            assert_eq!(code(&answer), (400, "bad_request"), "{query}");
        }
        let bodies = [
            "",
            "{}",
            "[]",
            "{\"userId\":\"ann\",\"socketId\":\"aaaaaaaaaaaaaaaaaaaa\"}",
            "{\"userId\":\"\"}",
            "{\"socketId\":\"short\"}",
            "{\"user\":\"ann\"}",
            "{\"userId\":1}",
            "nothing",
        ];
        for body in bodies {
            let answer = post(addr, &who, "/api/admin/rooms/open:1/kick", body);
            assert_eq!(code(&answer), (400, "bad_request"), "{body}");
        }
        let kick =
            |room: &str| post(addr, &who, &format!("/api/admin/rooms/{room}/kick"), "{\"userId\":\"ann\"}");
        assert_eq!(code(&kick("nokind")), (400, "bad_request"));
        assert_eq!(code(&kick("open:%ff")), (400, "bad_request"));
        assert_eq!(code(&kick("open:none")), (404, "not_found"));
        let huge = format!("{{\"userId\":\"{}\"}}", "x".repeat(5_000));
        assert_eq!(code(&post(addr, &who, "/api/admin/rooms/open:1/kick", &huge)), (413, "too_large"));
        let end = |id: &str| post(addr, &who, &format!("/api/admin/sockets/{id}/disconnect"), "");
        assert_eq!(code(&end("short")), (400, "bad_request"));
        assert_eq!(code(&end("aaaaaaaaaaaaaaaaaaaa")), (404, "not_found"));
        assert_eq!(ann.ask(5, "\"type\":\"ping\"")["ok"], true);
        assert_eq!(pages(addr, &who, "sockets", "room=open:1").len(), 1);
    });
}
