//! Who may do what: every rule against every kind of client, and what the others are told.

#![allow(clippy::unwrap_used)]

mod common;

use common::spec;
use tidings_core::kinds::{Action, admit};
use tidings_core::room::BadRoomName;
use tidings_core::{Code, Identity, Keep, Org, Refusal, Room, RoomSpec, Rule};

fn user(id: &str) -> Identity {
    Identity { user: Some(id.into()), ..Identity::anonymous() }
}

fn clients() -> [(&'static str, Identity); 9] {
    [
        ("anonymous", Identity::anonymous()),
        ("user", user("7")),
        ("owner", user("42")),
        ("verified", Identity { email_verified: true, ..user("7") }),
        ("editor", Identity { roles: ["editor".into()].into(), ..user("7") }),
        ("pro", Identity { claims: [("plan".into(), "pro".into())].into(), ..user("7") }),
        ("admin", Identity { roles: ["admin".into()].into(), ..user("7") }),
        ("publisher", Identity { scopes: ["publish".into()].into(), ..Identity::anonymous() }),
        ("administrator's key", Identity { scopes: ["admin".into()].into(), ..Identity::anonymous() }),
    ]
}

const SIGNED_IN: [&str; 6] = ["user", "owner", "verified", "editor", "pro", "admin"];
const EVERYBODY: [&str; 9] =
    ["anonymous", "user", "owner", "verified", "editor", "pro", "admin", "publisher", "administrator's key"];

#[test]
fn each_rule_admits_those_it_names_and_nobody_else() {
    let room = Room::new(&Org::default(), "doc:42", 200).unwrap();
    let table: [(&str, &[&str]); 11] = [
        ("anyone", &EVERYBODY),
        ("signed-in", &SIGNED_IN),
        ("verified", &["verified"]),
        ("role:editor", &["editor"]),
        ("role:admin", &["admin"]),
        ("role:reader", &[]),
        ("claim:plan=pro", &["pro"]),
        ("claim:plan=", &[]),
        ("owner", &["owner"]),
        ("server", &["admin", "publisher", "administrator's key"]),
        ("nobody", &[]),
    ];
    for (text, admitted) in table {
        let rule = Rule::parse(text).unwrap();
        for (name, who) in clients() {
            assert_eq!(rule.admits(&who, &room), admitted.contains(&name), "{text} and {name}");
        }
    }
}

#[test]
fn no_rule_crosses_the_border_of_an_organisation() {
    let room = Room::new(&Org::new("other"), "doc:42", 200).unwrap();
    for text in ["anyone", "signed-in", "verified", "role:admin", "claim:plan=pro", "owner", "server"] {
        for (name, who) in clients() {
            assert!(!Rule::parse(text).unwrap().admits(&who, &room), "{text} and {name}");
        }
    }
}

#[test]
fn an_anonymous_client_owns_nothing() {
    let room = Room::of_user(&Org::default(), "");
    assert!(!Rule::Owner.admits(&Identity::anonymous(), &room));
    assert!(Rule::Owner.admits(&user("a:b"), &Room::of_user(&Org::default(), "a:b")));
}

#[test]
fn words_that_are_no_rule_are_refused_with_the_list_of_rules() {
    for text in ["", "Anyone", "anyone ", "role:", "claim:", "claim:plan", "claim:=x", "owner:7", "ask me"] {
        let error = Rule::parse(text).unwrap_err();
        assert!(error.contains("signed-in") && error.contains(text), "{error}");
    }
    assert_eq!(Rule::parse("claim:a=b=c"), Ok(Rule::Claim("a".into(), "b=c".into())));
}

#[test]
fn a_room_one_may_not_see_is_absent_and_one_may_see_but_not_act_on_is_forbidden() {
    let room = Room::new(&Org::default(), "doc:42", 200).unwrap();
    let closed = RoomSpec {
        publish: Rule::Nobody,
        history: Rule::Nobody,
        presence: Rule::Nobody,
        ..spec(Keep::Nothing)
    };
    let seen = RoomSpec { subscribe: Rule::SignedIn, ..closed };
    let code = |who: &Identity, action| admit(&seen, who, &room, action).err().map(|refusal| refusal.code);
    for action in [Action::Publish, Action::History, Action::Presence] {
        assert_eq!(code(&user("7"), action), Some(Code::Forbidden));
        assert_eq!(code(&Identity::anonymous(), action), Some(Code::NotFound));
    }
    assert_eq!(code(&user("7"), Action::Subscribe), None);
    assert_eq!(code(&Identity::anonymous(), Action::Subscribe), Some(Code::NotFound));
}

#[test]
fn each_action_has_its_own_rule() {
    let room = Room::new(&Org::default(), "doc:42", 200).unwrap();
    let actions = [Action::Subscribe, Action::Publish, Action::History, Action::Presence];
    for open in actions {
        let rule = |action| if action == open { Rule::Anyone } else { Rule::Nobody };
        let only = RoomSpec {
            subscribe: rule(Action::Subscribe),
            publish: rule(Action::Publish),
            history: rule(Action::History),
            presence: rule(Action::Presence),
            ..spec(Keep::Nothing)
        };
        for action in actions {
            let admitted = admit(&only, &Identity::anonymous(), &room, action).is_ok();
            assert_eq!(admitted, action == open, "{action:?} where {open:?} is open");
        }
    }
}

#[test]
fn an_absent_room_and_a_hidden_one_look_the_same() {
    let hidden = RoomSpec { subscribe: Rule::Nobody, ..spec(Keep::Nothing) };
    let room = Room::new(&Org::default(), "doc:42", 200).unwrap();
    let refusal = admit(&hidden, &user("7"), &room, Action::Subscribe).unwrap_err();
    assert_eq!(refusal, Refusal::no_such_room());
    let mut json = Vec::new();
    refusal.write_json(&mut json);
    let expected = r#"{"code":"not_found","message":"no such room","retryable":false}"#;
    assert_eq!(String::from_utf8(json).unwrap(), expected);
}

#[test]
fn a_room_is_named_kind_and_id() {
    let org = Org::default();
    for (name, kind, id) in [("a:b", "a", "b"), ("a:b:c", "a", "b:c"), ("a::", "a", ":"), ("é:ü", "é", "ü")]
    {
        let room = Room::new(&org, name, 200).unwrap();
        assert_eq!((room.name(), room.kind(), room.id()), (name, kind, id));
    }
    for name in ["", "a", ":", ":b", "a:", "a:\n", "a\u{85}:b", "a:\0"] {
        assert_eq!(Room::new(&org, name, 200).unwrap_err(), BadRoomName, "{name:?}");
    }
    assert!(Room::new(&org, "a:345", 5).is_ok());
    assert!(Room::new(&org, "a:3456", 5).is_err());
}

#[test]
fn rooms_are_equal_by_name_and_organisation() {
    let room = |org, name| Room::new(&Org::new(org), name, 200).unwrap();
    assert_eq!(room("o", "a:b"), room("o", "a:b"));
    assert_ne!(room("o", "a:b"), room("p", "a:b"));
    assert_ne!(room("oa", "b:c"), room("o", "ab:c"));
    let set: std::collections::HashSet<Room> = [room("o", "a:b"), room("p", "a:b"), room("o", "a:b")].into();
    assert_eq!(set.len(), 2);
}

#[test]
fn every_code_has_a_status_and_a_word() {
    let table = [
        (Code::BadRequest, "bad_request", 400, false),
        (Code::Unauthorized, "unauthorized", 401, false),
        (Code::TokenExpired, "token_expired", 401, false),
        (Code::Forbidden, "forbidden", 403, false),
        (Code::SecondFactor, "second_factor", 403, false),
        (Code::PasswordAgain, "password_again", 403, false),
        (Code::NotFound, "not_found", 404, false),
        (Code::Conflict, "conflict", 409, false),
        (Code::TooLarge, "too_large", 413, false),
        (Code::RateLimited, "rate_limited", 429, true),
        (Code::Unavailable, "unavailable", 503, true),
        (Code::StorageFull, "storage_full", 507, true),
    ];
    for (code, word, status, retryable) in table {
        assert_eq!((code.as_str(), code.status(), code.retryable()), (word, status, retryable));
    }
}
