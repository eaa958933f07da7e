//! Tokens that end while their bearers are connected.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;
use tidings_server::Config;
use tidings_server::signin::now_seconds;

use crate::common::{Wire, config, with_server};
use crate::people::{Ended, Ticking, plain, plain_in, post, read_to_the_end, socket_io, socket_io_in, token};

const CROWD: usize = 120;

/// Seconds in which each of a crowd has told its new token, however busy the machine is.
const RENEWING: u64 = 8;

fn strict() -> Config {
    let mut config = config();
    config.auth.expiry_grace_seconds = 1;
    config
}

/// Seconds after which a token ends that is waited for; who comes with it is let in before, however busy the machine is.
const SOON: i64 = 5;

/// A second of grace, the moment in which they go one after the other, and what a busy machine takes for it.
const LONG_AFTER: Duration = Duration::from_secs(15);

/// One of a crowd, which is half of each protocol.
struct Member {
    at: usize,
    wire: Wire,
}

impl Member {
    /// Signs in with a token that lasts, so that nobody is raced by its end.
    fn sign_in(addr: SocketAddr, at: usize) -> Self {
        let lasts = Self::token(at, now_seconds() + 600);
        let wire = match at % 2 {
            0 => plain(addr, &lasts).0,
            _ => socket_io(addr, &lasts, "").0,
        };
        Self { at, wire }
    }

    fn token(at: usize, exp: u64) -> String {
        token(&format!("u{at}"), 0, json!({ "exp": exp }))
    }

    /// Has a token that ends then, and hears the load.
    fn renew(&mut self, exp: u64) {
        let (wire, new) = (&mut self.wire, Self::token(self.at, exp));
        if self.at.is_multiple_of(2) {
            wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{new}\"}}"));
            wire.hear("auth:ok");
            wire.say("{\"type\":\"subscribe\",\"id\":2,\"room\":\"open:load\"}");
            assert!(wire.hear("\"id\":2").contains("\"ok\":true"));
        } else {
            wire.say(&format!("421[\"auth\",{{\"token\":\"{new}\"}}]"));
            assert!(wire.hear("431[").contains("\"ok\":true"));
            wire.say("422[\"subscribe\",{\"room\":\"open:load\"}]");
            assert!(wire.hear("432[").contains("\"ok\":true"));
        }
    }
}

/// Connects a crowd, gives all of it tokens that end at one second, and reads each under load.
fn crowd(
    addr: SocketAddr,
    publisher: tidings_server::Publisher,
    seconds: u64,
    read: impl Fn(&mut Wire) -> Ended + Copy + Send + Sync,
) -> Crowd {
    let mut members: Vec<_> = (0..CROWD).map(|at| Member::sign_in(addr, at)).collect();
    let ticking = Ticking::start(publisher, "open:load");
    let exp = now_seconds() + seconds;
    let left = Duration::from_secs(exp) - SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let over = Instant::now() + left;
    let ended = thread::scope(|scope| {
        let reading: Vec<_> = members
            .iter_mut()
            .map(|member| {
                scope.spawn(move || {
                    member.renew(exp);
                    read(&mut member.wire)
                })
            })
            .collect();
        reading.into_iter().map(|member| member.join().unwrap()).collect()
    });
    ticking.stop();
    Crowd { over, ended }
}

/// What became of a crowd.
struct Crowd {
    /// When their tokens ended.
    over: Instant,
    ended: Vec<Ended>,
}

#[test]
fn nobody_of_a_crowd_hears_anything_long_after_their_token_has_ended() {
    with_server(&strict(), |addr, publisher| {
        let Crowd { over, ended } = crowd(addr, publisher, RENEWING, read_to_the_end);
        for one in &ended {
            assert_eq!(one.code, Some(4401), "{one:?}");
            assert!(one.events > 100, "{one:?}");
            assert!(one.at >= over, "closed before its end: {one:?}");
            assert!(one.last_event.unwrap() < over + LONG_AFTER, "{one:?}");
        }
        // They do not all go at once.
        let first = ended.iter().map(|one| one.at).min().unwrap();
        let last = ended.iter().map(|one| one.at).max().unwrap();
        assert!(last - first > Duration::from_millis(CROWD as u64), "{:?}", last - first);
    });
}

#[test]
fn a_crowd_whose_tokens_last_hears_on() {
    // The control of the test above: the same crowd, nothing ends.
    with_server(&strict(), |addr, publisher| {
        let Crowd { ended, .. } = crowd(addr, publisher, 600, |wire| {
            let (mut events, begun) = (0, Instant::now());
            while events <= 100 || begun.elapsed() < Duration::from_secs(RENEWING + 3) {
                wire.hear("\"tick\"");
                events += 1;
            }
            let at = Instant::now();
            Ended { code: None, at, last_event: Some(at), events }
        });
        assert_eq!(ended.len(), CROWD);
    });
}

#[test]
fn a_client_is_told_before_its_token_ends_and_is_closed_when_it_does_not_renew() {
    with_server(&strict(), |addr, _| {
        let (mut wire, told) = plain(addr, &token("ada", SOON, json!({})));
        let (mut other, _) = socket_io(addr, &token("ada", SOON, json!({})), "");
        let ends = told.split("\"expiresAt\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(wire.hear("\"type\":\"token\"").contains(&ends));
        assert_eq!(wire.closed(), Some(4401));
        assert!(other.hear("tidings:token").starts_with("42[\"tidings:token\",{\"expiresAt\":\"2"));
        assert_eq!(other.closed(), Some(4401));
    });
}

#[test]
fn renewing_in_place_keeps_the_connection_and_its_rooms() {
    with_server(&strict(), |addr, publisher| {
        let mut wire = plain_in(addr, &token("ada", SOON, json!({})), "lobby:a");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", token("ada", 600, json!({}))));
        assert!(wire.hear("auth:ok").contains("\"userId\":\"ada\""));
        let (mut other, _) = socket_io_in(addr, &token("bob", SOON, json!({})), "lobby:a");
        other.say(&format!("427[\"auth\",{{\"token\":\"{}\"}}]", token("bob", 600, json!({}))));
        assert!(other.hear("437[").contains("{\"ok\":true,\"expiresAt\":\"2"));
        // One who did not renew is gone by then, so the others would be as well.
        let (mut third, _) = plain(addr, &token("cy", SOON, json!({})));
        assert_eq!(third.closed(), Some(4401));
        publisher.publish("lobby:a", "still", "1".into()).unwrap();
        wire.hear("\"still\"");
        other.hear("\"still\"");
    });
}

#[test]
fn renewing_as_somebody_else_or_by_a_bad_token_is_refused_and_changes_nothing() {
    with_server(&strict(), |addr, publisher| {
        let good = token("ada", 600, json!({"org": "acme"}));
        let others = [
            (token("bob", 600, json!({"org": "acme"})), "forbidden"),
            (token("ada", 600, json!({})), "forbidden"),
            (token("ada", -20, json!({"org": "acme"})), "token_expired"),
            ("bad".to_owned(), "unauthorized"),
        ];
        let (mut wire, _) = plain(addr, &good);
        let (mut other, _) = socket_io(addr, &good, "");
        for (token, code) in others {
            wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{token}\"}}"));
            assert!(wire.hear("\"ok\":false").contains(&format!("\"code\":\"{code}\"")));
            other.say(&format!("423[\"auth\",{{\"token\":\"{token}\"}}]"));
            assert!(other.hear("433[").contains(&format!("\"code\":\"{code}\"")));
        }
        other.say("423[\"auth\",{}]");
        assert!(other.hear("433[").contains("\"code\":\"bad_request\""));
        // It is still who it was: its own room of its organisation is open to it.
        wire.say("{\"type\":\"subscribe\",\"id\":9,\"room\":\"user:ada\"}");
        assert!(wire.hear("\"id\":9").contains("\"ok\":true"));
        let server = token("backend", 60, json!({"org": "acme", "scope": "publish"}));
        let body = "{\"userId\":\"ada\",\"event\":\"hello\",\"data\":1}";
        assert!(post(addr, "/api/publish", &server, body).contains("\"ok\":true"));
        wire.hear("\"hello\"");
        other.hear("\"hello\"");
        drop(publisher);
    });
}

#[test]
fn a_renewal_with_fewer_roles_leaves_the_rooms_they_opened_and_says_so() {
    let mut config = strict();
    let mut staff = config.rooms["open"].clone();
    staff.subscribe = Some("role:staff".into());
    config.rooms.insert("staff".into(), staff);
    with_server(&config, |addr, publisher| {
        let roles = |roles: &[&str]| token("ada", 600, json!({ "roles": roles }));
        let mut wire = plain_in(addr, &roles(&["staff"]), "staff:a");
        let (mut other, _) = socket_io_in(addr, &roles(&["staff"]), "staff:a");
        wire.say(&format!("{{\"type\":\"auth\",\"token\":\"{}\"}}", roles(&[])));
        assert!(wire.hear("\"left\"").contains("\"room\":\"staff:a\",\"reason\":\"forbidden\""));
        other.say(&format!("423[\"auth\",{{\"token\":\"{}\"}}]", roles(&[])));
        assert!(other.hear("tidings:left").contains("{\"room\":\"staff:a\",\"reason\":\"forbidden\"}"));
        publisher.publish("staff:a", "secret", "1".into()).unwrap();
        wire.say("{\"type\":\"ping\",\"id\":5}");
        other.say("425[\"ping\"]");
        assert!(!wire.hear("").contains("secret"));
        assert!(!other.hear("4").contains("secret"));
    });
}

#[test]
fn a_broken_session_is_taken_up_with_a_good_token_of_the_same_user_alone() {
    with_server(&strict(), |addr, publisher| {
        let (wire, pid) = socket_io_in(addr, &token("ada", 60, json!({})), "lobby:a");
        drop(wire);
        publisher.publish("lobby:a", "missed", "1".into()).unwrap();
        let more = format!(",\"pid\":\"{pid}\",\"offset\":\"\"");
        let (_, told) = socket_io(addr, &token("ada", -3, json!({})), &more);
        assert!(told.starts_with("44{") && told.contains("token_expired"), "{told}");
        let (mut other, told) = socket_io(addr, &token("bob", 60, json!({})), &more);
        assert!(told.starts_with("40{") && !told.contains(&pid), "{told}");
        other.say("425[\"ping\"]");
        assert!(!other.hear("4").contains("missed"));
        let (mut again, told) = socket_io(addr, &token("ada", 60, json!({})), &more);
        assert!(told.contains(&pid), "{told}");
        again.hear("\"missed\"");
    });
}

#[test]
fn an_anonymous_client_never_expires() {
    with_server(&strict(), |addr, publisher| {
        let mut nobody = Wire::subscribed(addr, "open:a");
        let (mut other, _) = plain(addr, &token("ada", SOON, json!({})));
        assert_eq!(other.closed(), Some(4401));
        publisher.publish("open:a", "still", "1".into()).unwrap();
        nobody.hear("\"still\"");
    });
}
