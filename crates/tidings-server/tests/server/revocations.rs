//! Tokens called back, users disconnected and rules changed while people are connected.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tidings_core::Org;
use tidings_server::config::RoomKindConfig;
use tidings_server::signin::{Grant, SignIn};
use tidings_server::{Config, Extras, Live, Target};
use tidings_store::{Store, StoreOptions};
use tidings_testkit::settings;

use crate::common::{DEADLINE, Wire, config, with_live, with_server};
use crate::people::{Ended, Ticking, plain, plain_in, post, read_to_the_end, socket_io, socket_io_in, token};

const CROWD: usize = 100;

/// Says within how many seconds what was taken away has to be gone; without it, that it goes is enough.
const REVOKED_SECONDS: &str = "REVOKED_SECONDS";

fn admin() -> String {
    token("root", 600, json!({"roles": ["admin"], "jti": "root"}))
}

/// Revokes one user of a crowd after the other under load; how long each took to hear of it.
fn revoke_one_by_one(addr: SocketAddr) -> Vec<Duration> {
    thread::scope(|scope| {
        let (asked, asks) = std::sync::mpsc::channel();
        let members: Vec<_> = (0..CROWD)
            .map(|at| {
                let asked = asked.clone();
                scope.spawn(move || {
                    let own = token(&format!("u{at}"), 600, json!({"jti": format!("t{at}")}));
                    let mut wire = match at % 2 {
                        0 => plain_in(addr, &own, "open:load"),
                        _ => socket_io_in(addr, &own, "open:load").0,
                    };
                    asked.send(at).unwrap();
                    read_to_the_end(&mut wire)
                })
            })
            .collect();
        let mut revoked = vec![Instant::now(); CROWD];
        for _ in 0..CROWD {
            let at = asks.recv_timeout(DEADLINE).unwrap();
            let what =
                if at % 3 == 0 { format!("\"userId\":\"u{at}\"") } else { format!("\"jti\":\"t{at}\"") };
            revoked[at] = Instant::now();
            assert!(post(addr, "/api/revocations", &admin(), &format!("{{{what}}}")).contains("\"ok\":true"));
        }
        let ended: Vec<Ended> = members.into_iter().map(|member| member.join().unwrap()).collect();
        assert!(ended.iter().all(|one| one.code == Some(4403)), "{ended:?}");
        ended.iter().zip(revoked).map(|(one, at)| one.at.saturating_duration_since(at)).collect()
    })
}

#[test]
fn a_revoked_connection_is_closed_within_a_second_under_load() {
    with_server(&config(), |addr, publisher| {
        let ticking = Ticking::start(publisher, "open:load");
        let mut control = plain_in(addr, &token("innocent", 600, json!({"jti": "i"})), "open:load");
        let mut took = revoke_one_by_one(addr);
        ticking.stop();
        took.sort();
        settings::promised(REVOKED_SECONDS, took[CROWD - 2]);
        // Who was not revoked is still there.
        control.say("{\"type\":\"ping\",\"id\":77}");
        control.hear("\"id\":77");
    });
}

#[test]
fn a_revoked_session_is_not_resumed_on_either_protocol() {
    with_server(&config(), |addr, publisher| {
        let old = token("ada", 600, json!({"jti": "old"}));
        let (wire, pid) = socket_io_in(addr, &old, "lobby:a");
        drop(wire);
        publisher.publish("lobby:a", "missed", "1".into()).unwrap();
        assert!(post(addr, "/api/revocations", &admin(), "{\"jti\":\"old\"}").contains("\"ok\":true"));
        let more = format!(",\"pid\":\"{pid}\",\"offset\":\"\"");
        let (_, told) = socket_io(addr, &old, &more);
        assert!(told.starts_with("44{") && told.contains("\"code\":\"unauthorized\""), "{told}");
        // A newer token of the same user lets in, but what was called back is over.
        let (_, told) = socket_io(addr, &token("ada", 600, json!({"jti": "new"})), &more);
        assert!(told.starts_with("40{") && !told.contains(&pid), "{told}");
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{old}\"}}"));
        wire.say("{\"type\":\"subscribe\",\"id\":1,\"room\":\"lobby:a\",\"rewind\":5}");
        assert!(wire.hear("").contains("\"code\":\"unauthorized\""));
        assert_eq!(wire.closed(), Some(4401));
    });
}

#[test]
fn a_session_that_was_not_revoked_is_resumed() {
    // The control of the test above.
    with_server(&config(), |addr, _| {
        let old = token("ada", 600, json!({"jti": "old"}));
        let (wire, pid) = socket_io_in(addr, &old, "lobby:a");
        drop(wire);
        assert!(post(addr, "/api/revocations", &admin(), "{\"jti\":\"other\"}").contains("\"ok\":true"));
        let (_, told) = socket_io(addr, &old, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told.contains(&pid), "{told}");
    });
}

#[test]
fn only_those_who_govern_an_organisation_revoke_and_only_in_it() {
    with_server(&config(), |addr, _| {
        let ask = |token: &str, body: &str| post(addr, "/api/revocations", token, body);
        let user = token("ada", 600, json!({}));
        assert!(ask(&user, "{\"userId\":\"bob\"}").contains("\"code\":\"forbidden\""));
        assert!(post(addr, "/api/users/bob/disconnect", &user, "").contains("\"code\":\"forbidden\""));
        for (body, code) in [
            ("{}", "bad_request"),
            ("{\"userId\":\"a\",\"jti\":\"b\"}", "bad_request"),
            ("{\"userId\":\"\"}", "bad_request"),
            ("{\"userId\":\"a\",\"before\":99999999999}", "bad_request"),
            ("{\"userId\":\"a\",\"unknown\":1}", "bad_request"),
            ("[", "bad_request"),
            ("{\"org\":\"acme\"}", "not_found"),
            ("{\"org\":\"acme\",\"userId\":\"a\"}", "not_found"),
        ] {
            let answer = ask(&admin(), body);
            assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{body}: {answer}");
        }
        // A user of the same name elsewhere is somebody else.
        let (mut abroad, _) = plain(addr, &token("bob", 600, json!({"org": "acme"})));
        let (mut here, _) = plain(addr, &token("bob", 600, json!({})));
        assert!(ask(&admin(), "{\"userId\":\"bob\"}").contains("\"ok\":true"));
        assert_eq!(here.closed(), Some(4403));
        abroad.say("{\"type\":\"ping\",\"id\":7}");
        abroad.hear("\"id\":7");
    });
}

#[test]
fn a_user_who_is_disconnected_may_come_back_and_resumes() {
    with_server(&config(), |addr, publisher| {
        let own = token("ada", 600, json!({}));
        let (mut first, pid) = socket_io_in(addr, &own, "lobby:a");
        let (mut second, _) = plain(addr, &own);
        let (mut other, _) = plain(addr, &token("bob", 600, json!({})));
        let answer = post(addr, "/api/users/ada/disconnect", &admin(), "");
        assert!(answer.contains("{\"ok\":true,\"disconnected\":2}"), "{answer}");
        assert_eq!((first.closed(), second.closed()), (Some(1012), Some(1012)));
        publisher.publish("lobby:a", "missed", "1".into()).unwrap();
        let (mut again, told) = socket_io(addr, &own, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told.contains(&pid), "{told}");
        again.hear("\"missed\"");
        other.say("{\"type\":\"ping\",\"id\":7}");
        other.hear("\"id\":7");
        let answer = post(addr, "/api/users/nobody/disconnect", &admin(), "");
        assert!(answer.contains("\"disconnected\":0"), "{answer}");
    });
}

#[test]
fn changed_roles_end_connections_for_a_newer_token_and_the_session_goes_on() {
    with_live(&config(), Extras::default(), |addr, live, _| {
        let old = token("ada", 600, json!({"roles": ["staff"]}));
        let (mut wire, pid) = socket_io_in(addr, &old, "lobby:a");
        block_on(live.roles_changed(&Org::default(), "ada")).unwrap();
        assert_eq!(wire.closed(), Some(4401));
        let more = format!(",\"pid\":\"{pid}\",\"offset\":\"\"");
        let (_, told) = socket_io(addr, &old, &more);
        assert!(told.contains("\"code\":\"unauthorized\""), "{told}");
        // The same user's tokens of another backend are good from the next second on.
        let newer = token("ada", 600, json!({"iat": tidings_server::signin::now_seconds() + 1}));
        let (_, told) = socket_io(addr, &newer, &more);
        assert!(told.contains(&pid), "{told}");
    });
}

#[test]
fn a_token_issued_right_after_a_revocation_is_good() {
    let sign_in = SignIn::configured(&config().auth).unwrap();
    let now = tidings_server::signin::now_seconds();
    let user = tidings_server::signin::revoked::Revocation::User {
        org: Org::default(),
        user: "ada".into(),
        before: now + 1,
    };
    let grant = Grant { user: "ada".into(), org: "default".into(), lifetime_seconds: 60, ..Grant::default() };
    let before = sign_in.issue(&grant).unwrap();
    sign_in.revoked().add(user, now + 600, now).unwrap();
    assert!(sign_in.verify(&before).is_err());
    assert!(sign_in.verify(&sign_in.issue(&grant).unwrap()).is_ok());
}

fn with_store(path: PathBuf, config: &Config, test: impl FnOnce(SocketAddr, Live) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = format!("sqlite:{}", path.display());
    let store = runtime.block_on(Store::open(&url, &StoreOptions::default())).unwrap();
    let extras = Extras { store: Some(store.clone()), ..Extras::default() };
    with_live(config, extras, move |addr, live, _| test(addr, live));
    runtime.block_on(store.close());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}

#[test]
fn a_revocation_outlives_a_restart_and_reaches_other_servers_of_the_same_store() {
    let place = tidings_testkit::Place::new();
    let file = place.path().join("tidings.db");
    let old = token("ada", 600, json!({"jti": "old"}));
    let (beside, shown) = (file.clone(), old.clone());
    with_store(file.clone(), &config(), move |addr, live| {
        with_store(beside, &config(), move |other, _| {
            let (mut wire, _) = plain(other, &shown);
            let asked = Instant::now();
            let target = Target::User("ada".into());
            block_on(live.revoke(&Org::default(), &target, None, "left the company")).unwrap();
            assert_eq!(wire.closed(), Some(4403));
            settings::promised(REVOKED_SECONDS, asked.elapsed());
            let _ = addr;
        });
    });
    with_store(file, &config(), move |addr, _| {
        let mut wire = Wire::open(addr, "/ws");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{old}\"}}"));
        assert!(wire.hear("").contains("\"code\":\"unauthorized\""));
    });
}

fn staff(subscribe: &str) -> Config {
    let mut config = config();
    let kind = RoomKindConfig { subscribe: Some(subscribe.into()), ..config.rooms["open"].clone() };
    config.rooms.insert("staff".into(), kind);
    config
}

#[test]
fn new_rules_take_those_out_who_may_no_longer_hear_and_nothing_comes_after_the_notice() {
    with_live(&staff("anyone"), Extras::default(), |addr, live, publisher| {
        let ada = token("ada", 600, json!({}));
        let boss = token("boss", 600, json!({"roles": ["staff"]}));
        let mut wire = plain_in(addr, &ada, "staff:load");
        let (mut other, pid) = socket_io_in(addr, &ada, "staff:load");
        let mut stays = plain_in(addr, &boss, "staff:load");
        let ticking = Ticking::start(publisher, "staff:load");
        for wire in [&mut wire, &mut other, &mut stays] {
            wire.hear("\"tick\"");
        }
        assert!(live.reload_rooms(&staff("role:staff"), &staff("anyone")).unwrap().is_empty());
        let asked = Instant::now();
        assert!(
            wire.hear("\"left\"")
                .contains("{\"type\":\"left\",\"room\":\"staff:load\",\"reason\":\"forbidden\"}")
        );
        other.hear("tidings:left");
        settings::promised(REVOKED_SECONDS, asked.elapsed());
        wire.say("{\"type\":\"ping\",\"id\":5}");
        assert!(wire.hear("").contains("\"id\":5"), "something came after the notice");
        other.say("425[\"ping\"]");
        assert!(other.hear("4").contains("435["), "something came after the notice");
        // History and resuming are judged at the time of the call.
        wire.say("{\"type\":\"history\",\"id\":6,\"room\":\"staff:load\"}");
        assert!(wire.hear("\"id\":6").contains("\"code\":\"not_found\""));
        wire.say("{\"type\":\"subscribe\",\"id\":7,\"room\":\"staff:load\",\"rewind\":5}");
        assert!(wire.hear("\"id\":7").contains("\"code\":\"not_found\""));
        drop(other);
        let (mut again, told) = socket_io(addr, &ada, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told.contains(&pid), "{told}");
        again.say("425[\"ping\"]");
        assert!(again.hear("4").contains("435["), "the room was joined again");
        let before = Instant::now();
        while before.elapsed() < Duration::from_millis(100) {
            stays.hear("\"tick\"");
        }
        assert!(ticking.stop() > 0);
    });
}

#[test]
fn a_parked_session_does_not_bring_back_a_room_that_was_closed_meanwhile() {
    with_live(&staff("anyone"), Extras::default(), |addr, live, publisher| {
        let ada = token("ada", 600, json!({}));
        let (wire, pid) = socket_io_in(addr, &ada, "staff:a");
        drop(wire);
        publisher.publish("staff:a", "secret", "1".into()).unwrap();
        live.reload_rooms(&staff("nobody"), &staff("anyone")).unwrap();
        let (mut again, told) = socket_io(addr, &ada, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told.contains(&pid), "{told}");
        assert!(again.hear("4").contains("tidings:left"), "it is told that it is out");
        again.say("425[\"ping\"]");
        assert!(again.hear("4").contains("435["), "what was missed there came all the same");
    });
}

#[test]
fn rules_that_are_wrong_are_refused_and_those_in_force_stay() {
    with_live(&staff("anyone"), Extras::default(), |addr, live, publisher| {
        let mut wire = plain_in(addr, &token("ada", 600, json!({})), "staff:a");
        let problem = live.reload_rooms(&staff("everybody and his dog"), &staff("anyone")).unwrap_err();
        assert!(problem.contains("[rooms.staff] subscribe"), "{problem}");
        publisher.publish("staff:a", "still", "1".into()).unwrap();
        wire.hear("\"still\"");
        // What a room keeps cannot change under it, and the caller is told.
        let mut kept = staff("anyone");
        kept.rooms.get_mut("staff").unwrap().size = Some(7);
        assert_eq!(live.reload_rooms(&kept, &staff("anyone")).unwrap(), ["staff"]);
        publisher.publish("staff:a", "still too", "1".into()).unwrap();
        wire.hear("\"still too\"");
    });
}

#[test]
fn a_newer_connection_takes_the_session_of_an_older_one_which_is_closed_with_4409() {
    with_server(&config(), |addr, _| {
        let ada = token("ada", 600, json!({}));
        let (mut older, pid) = socket_io_in(addr, &ada, "lobby:a");
        let (_, told) = socket_io(addr, &ada, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(told.contains(&pid), "{told}");
        assert_eq!(older.closed(), Some(4409));
        // Nobody else can do that to it.
        let (mut mine, pid) = socket_io_in(addr, &ada, "lobby:a");
        let bob = token("bob", 600, json!({}));
        let (_, told) = socket_io(addr, &bob, &format!(",\"pid\":\"{pid}\",\"offset\":\"\""));
        assert!(!told.contains(&pid), "{told}");
        mine.say("425[\"ping\"]");
        mine.hear("435[");
    });
}
