//! What the backend has said: how long it counts, for whom, and that it is never more than it was.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::{anyone, event, node, plain, room, shard};
use proptest::prelude::*;
use tidings_core::answers::{Answers, Subject};
use tidings_core::{
    Action, Answer, Answered, Asker, Code, ConnKey, Denied, From, Identity, Org, Publish, Refusal, Room,
};

fn user(org: &str, name: &str) -> Identity {
    Identity { user: Some(name.into()), org: Org::new(org), ..anyone() }
}

fn said(room: &Room, action: Action, answer: Answer) -> Answered {
    Answered { room: room.clone(), action, answer }
}

fn at(who: &Identity, now_ms: u64) -> Asker<'_> {
    Asker { now_ms: Some(now_ms), ..Asker::from(who) }
}

#[test]
fn a_rule_that_asks_is_neither_yes_nor_no_until_the_backend_has_said() {
    let (node, _) = node();
    let (ana, ask) = (user("default", "ana"), room("ask:1"));
    for action in [Action::Subscribe, Action::Publish, Action::History] {
        assert_eq!(node.admit(&ana, &ask, action).unwrap_err(), Denied::Ask(action));
        let allowed = [said(&ask, action, Answer::Allow)];
        assert!(node.admit(Asker { answered: &allowed, ..Asker::from(&ana) }, &ask, action).is_ok());
    }
    // Where nobody can ask, an open question is no yes.
    let refusal = Refusal::from(node.admit(&ana, &ask, Action::Subscribe).unwrap_err());
    assert_eq!(refusal.code, Code::Unavailable);
}

#[test]
fn an_answer_counts_for_its_room_and_its_action_alone() {
    let (node, _) = node();
    let (ana, one, two) = (user("default", "ana"), room("ask:1"), room("ask:2"));
    let allowed = [said(&one, Action::Subscribe, Answer::Allow)];
    let asker = Asker { answered: &allowed, ..Asker::from(&ana) };
    assert!(node.admit(asker, &two, Action::Subscribe).is_err());
    assert!(node.admit(asker, &one, Action::Publish).is_err());
}

#[test]
fn a_room_the_backend_hides_looks_like_one_that_does_not_exist() {
    let (node, _) = node();
    let (ana, ask) = (user("default", "ana"), room("ask:1"));
    let told = Refusal::new(Code::Forbidden, "not for you");
    let denied = [said(&ask, Action::Subscribe, Answer::Deny(Some(told)))];
    let asker = Asker { answered: &denied, ..Asker::from(&ana) };
    let mut here = shard(0);
    let slot = here.open().slot;
    let hidden = node.join(&mut here, slot, plain(), asker, &ask, From::Now).unwrap_err();
    let absent = node.join(&mut here, slot, plain(), &ana, &room("none:1"), From::Now).unwrap_err();
    assert_eq!(hidden, absent);
    // Nor does presence, which nobody may see, tell that the room is there.
    assert_eq!(node.admit(asker, &ask, Action::Presence).unwrap_err(), absent);
}

#[test]
fn what_is_refused_in_a_room_one_may_see_is_worded_by_the_backend() {
    let (node, _) = node();
    let (ana, ask) = (user("default", "ana"), room("ask:1"));
    let told = Refusal::new(Code::RateLimited, "slow down");
    let answered = [
        said(&ask, Action::Subscribe, Answer::Allow),
        said(&ask, Action::Publish, Answer::Deny(Some(told.clone()))),
    ];
    let publish = |answered| {
        let asker = Asker { answered, ..Asker::from(&ana) };
        node.publish_as(asker, event("ask:1", "e"), None, 0).unwrap_err()
    };
    assert_eq!(publish(&answered), Denied::No(told));
    assert_eq!(publish(&answered[1..]), Denied::No(Refusal::no_such_room()));
}

#[test]
fn no_answer_leads_across_the_border_of_organisations() {
    let (node, _) = node();
    let theirs = Room::new(&Org::new("theirs"), "ask:1", 200).unwrap();
    let ana = user("ours", "ana");
    let allowed = [said(&theirs, Action::Subscribe, Answer::Allow)];
    let asker = Asker { answered: &allowed, ..at(&ana, 0) };
    node.keep_answer(&at(&ana, 0), "", allowed[0].clone(), u64::MAX, 0);
    assert_eq!(node.admit(asker, &theirs, Action::Subscribe).unwrap_err(), Refusal::no_such_room().into());
}

#[test]
fn a_kept_answer_ends_with_its_time_and_with_a_change_of_rights() {
    let (node, _) = node();
    let (ana, ask) = (user("default", "ana"), room("ask:1"));
    let keep = |asked_at| {
        let answered = said(&ask, Action::Subscribe, Answer::Allow);
        node.keep_answer(&at(&ana, 0), "", answered, 100, asked_at);
    };
    let may = |now_ms| node.admit(at(&ana, now_ms), &ask, Action::Subscribe).is_ok();
    keep(node.rights_changes());
    assert!(may(0) && may(99));
    assert!(!may(100), "it ends with its time");
    let asked_at = node.rights_changes();
    node.forget(&Org::default(), "ana");
    assert!(!may(0), "it ends when it is forgotten");
    keep(asked_at);
    assert!(!may(0), "what was asked before the change is not kept after it");
    keep(node.rights_changes());
    assert!(may(0));
}

#[test]
fn a_kept_answer_for_one_event_says_nothing_of_another() {
    let (node, _) = node();
    let (ana, ask) = (user("default", "ana"), room("ask:1"));
    let answered = said(&ask, Action::Publish, Answer::Allow);
    node.keep_answer(&at(&ana, 0), "chat", answered, 100, 0);
    let publish = |name: &'static str| {
        let what = Publish { event: name, ..event("ask:1", "e") };
        node.publish_as(at(&ana, 0), what, None, 0)
    };
    assert!(publish("chat").is_ok());
    assert_eq!(publish("order").unwrap_err(), Denied::Ask(Action::Publish));
}

#[test]
fn another_token_of_the_same_user_is_another_question() {
    let (node, _) = node();
    let editor = Identity { roles: ["editor".into()].into(), ..user("default", "ana") };
    let ask = room("ask:1");
    let answered = said(&ask, Action::Subscribe, Answer::Allow);
    node.keep_answer(&at(&editor, 0), "", answered, 100, 0);
    assert!(node.admit(at(&editor, 0), &ask, Action::Subscribe).is_ok());
    let reader = user("default", "ana");
    assert!(node.admit(at(&reader, 0), &ask, Action::Subscribe).is_err());
    let later = Identity { expires_at: Some(9), ..editor };
    assert!(node.admit(at(&later, 0), &ask, Action::Subscribe).is_ok(), "a fresh token of the same rights");
}

#[test]
fn clients_without_a_token_do_not_share_answers() {
    let (node, _) = node();
    let (nobody, ask) = (anyone(), room("ask:1"));
    let on = |slot| Asker { connection: Some((0, ConnKey { slot, generation: 0 })), ..at(&nobody, 0) };
    node.keep_answer(&on(1), "", said(&ask, Action::Subscribe, Answer::Allow), 100, 0);
    assert!(node.admit(on(1), &ask, Action::Subscribe).is_ok());
    assert!(node.admit(on(2), &ask, Action::Subscribe).is_err());
    assert!(
        node.admit(at(&nobody, 0), &ask, Action::Subscribe).is_err(),
        "without a connection none is kept"
    );
}

#[derive(Debug, Clone)]
enum Step {
    Put { org: u8, user: u8, room: u8, for_ms: u64, allow: bool },
    Forget { org: u8, user: u8 },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..3, 0_u8..3, 0_u8..4, 0_u64..50, any::<bool>())
            .prop_map(|(org, user, room, for_ms, allow)| Step::Put { org, user, room, for_ms, allow }),
        1 => (0_u8..3, 0_u8..3).prop_map(|(org, user)| Step::Forget { org, user }),
        2 => (0_u64..20).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn an_answer_that_is_found_is_the_last_that_was_given_and_never_more_are_kept_than_may_be(
        steps in prop::collection::vec(step(), 0..300),
        most in 0_usize..12,
    ) {
        let mut answers = Answers::new(most);
        let mut model: HashMap<(u8, u8, u8), (u64, bool)> = HashMap::new();
        let mut now_ms = 0;
        let place = |org: u8, room: u8| Room::new(&Org::new(&org.to_string()), &format!("ask:{room}"), 99).unwrap();
        for step in steps {
            match step {
                Step::Put { org, user: name, room, for_ms, allow } => {
                    let who = user(&org.to_string(), &name.to_string());
                    let subject = Subject::of(&who, None).unwrap();
                    let answer = if allow { Answer::Allow } else { Answer::Deny(None) };
                    let answered = said(&place(org, room), Action::Subscribe, answer);
                    let asked_at = answers.changes();
                    answers.put(&who, subject, "", answered, now_ms + for_ms, asked_at);
                    model.insert((org, name, room), (now_ms + for_ms, allow));
                }
                Step::Forget { org, user: name } => {
                    answers.forget(&Org::new(&org.to_string()), &name.to_string());
                    model.retain(|(of, who, _), _| (*of, *who) != (org, name));
                }
                Step::Wait(ms) => now_ms += ms,
            }
            prop_assert!(answers.len() <= most);
            for org in 0..3_u8 {
                for name in 0..3_u8 {
                    for room in 0..4_u8 {
                        let who = user(&org.to_string(), &name.to_string());
                        let subject = Subject::of(&who, None).unwrap();
                        let place = place(org, room);
                        let found = answers.get(&who, &subject, (&place, Action::Subscribe, ""), now_ms);
                        if let Some(found) = found {
                            let (until_ms, allow) = model[&(org, name, room)];
                            prop_assert!(now_ms < until_ms);
                            prop_assert_eq!(found == &Answer::Allow, allow);
                        }
                    }
                }
            }
        }
    }
}
