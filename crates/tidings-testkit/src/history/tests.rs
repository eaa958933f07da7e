//! Faults that were planted: each is found, and what is none is not.

use super::*;

const DEMAND: Demand = Demand { acked: 4, delivered: 4, gaps: false };

fn at(offset: u64) -> At {
    At { epoch: 1, offset }
}

/// What happened in a run of two clients in two organisations; a test plants its fault into it.
struct Run {
    history: History,
    ada: ClientId,
    room: RoomId,
    foreign: RoomId,
}

impl Run {
    /// Four messages are published, acknowledged and about to be heard.
    fn new() -> Self {
        let mut history = History::new();
        let ada = history.client("acme");
        let (room, foreign) = (history.room("acme", "notes:1"), history.room("zeta", "notes:1"));
        assert_ne!(room, foreign, "a name is another room in another organisation");
        history.subscribed(ada, room, at(0));
        for id in 1..=4 {
            history.publishing(room, id);
            history.acked(room, id, Some(&format!("k{id}")), at(id));
        }
        Self { history, ada, room, foreign }
    }

    fn hears(mut self, heard: &[u64]) -> Self {
        heard.iter().for_each(|id| self.history.received(self.ada, self.room, *id, Some(at(*id))));
        self
    }

    fn ends(mut self, end: At) -> Vec<Fault> {
        self.history.ended(self.ada, self.room, end);
        self.history.verdict(&DEMAND).faults
    }
}

fn found(faults: &[Fault], kind: impl Fn(&Fault) -> bool) {
    assert!(faults.iter().any(kind), "{faults:?}");
}

#[test]
fn a_clean_run_holds() {
    assert_eq!(Run::new().hears(&[1, 2, 3, 4]).ends(at(4)), []);
}

#[test]
fn a_clean_resume_holds() {
    let mut run = Run::new().hears(&[1, 2]);
    run.history.resumed(run.ada, run.room);
    assert_eq!(run.hears(&[3, 4]).ends(at(4)), []);
}

#[test]
fn a_publish_without_an_answer_may_be_there_or_not() {
    for heard in [&[1, 2, 3, 4][..], &[1, 2, 3, 4, 5]] {
        let mut run = Run::new();
        run.history.publishing(run.room, 5);
        assert_eq!(run.hears(heard).ends(at(heard.len() as u64)), []);
    }
}

#[test]
fn a_gap_that_was_told_is_no_loss_but_counts() {
    let mut run = Run::new().hears(&[1]);
    run.history.gap(run.ada, run.room, 1, 2, 3);
    let mut run = run.hears(&[4]);
    run.history.ended(run.ada, run.room, at(4));
    let demand = Demand { delivered: 2, gaps: true, ..DEMAND };
    let verdict = run.history.verdict(&demand);
    assert!(verdict.holds(), "{verdict}");
    assert_eq!(verdict.gap_messages, 2);

    let mut run = Run::new().hears(&[1, 2, 3]);
    run.history.gap(run.ada, run.room, 1, 4, 4);
    found(&run.ends(at(4)), |fault| *fault == Fault::Gaps { messages: 1 });
}

#[test]
fn a_change_of_the_epoch_that_was_told_holds() {
    let mut run = Run::new().hears(&[1, 2, 3, 4]);
    let next = At { epoch: 2, offset: 1 };
    run.history.restarted(run.ada, run.room, At { offset: 0, ..next });
    run.history.publishing(run.room, 5);
    run.history.acked(run.room, 5, None, next);
    run.history.received(run.ada, run.room, 5, Some(next));
    assert_eq!(run.ends(next), []);
}

#[test]
fn a_change_of_the_epoch_that_was_not_told_is_found() {
    let mut run = Run::new().hears(&[1, 2, 3, 4]);
    let next = At { epoch: 2, offset: 1 };
    run.history.publishing(run.room, 5);
    run.history.received(run.ada, run.room, 5, Some(next));
    found(&run.ends(next), |fault| matches!(fault, Fault::SilentEpoch { from: 1, to: 2, .. }));
}

#[test]
fn a_message_that_was_dropped_is_found() {
    let faults = Run::new().hears(&[1, 2, 4]).ends(at(4));
    found(&faults, |fault| matches!(fault, Fault::SilentGap { behind: 2, offset: 4, .. }));
    found(&faults, |fault| matches!(fault, Fault::Lost { id: 3, .. }));
}

#[test]
fn the_last_message_dropped_is_found() {
    let faults = Run::new().hears(&[1, 2, 3]).ends(at(4));
    found(&faults, |fault| matches!(fault, Fault::Stuck { .. }));
    found(&faults, |fault| matches!(fault, Fault::Lost { id: 4, .. }));
}

#[test]
fn a_message_that_comes_twice_is_found() {
    let faults = Run::new().hears(&[1, 2, 2, 3, 4]).ends(at(4));
    assert!(matches!(faults[..], [Fault::Duplicate { id: 2, .. }]), "{faults:?}");
}

#[test]
fn two_messages_that_were_swapped_are_found() {
    let faults = Run::new().hears(&[1, 3, 2, 4]).ends(at(4));
    found(&faults, |fault| matches!(fault, Fault::Reordered { behind: 3, offset: 2, .. }));
}

#[test]
fn a_message_of_another_organisation_is_found() {
    let mut run = Run::new();
    run.history.publishing(run.foreign, 9);
    run.history.received(run.ada, run.room, 9, Some(at(1)));
    let faults = run.hears(&[2, 3, 4]).ends(at(4));
    found(&faults, |fault| matches!(fault, Fault::CrossTenant { id: 9, .. }));
    // In a room of its own name as well.
    let mut run = Run::new().hears(&[1, 2, 3, 4]);
    run.history.publishing(run.foreign, 9);
    run.history.received(run.ada, run.foreign, 9, None);
    found(&run.ends(at(4)), |fault| matches!(fault, Fault::CrossTenant { id: 9, .. }));
}

#[test]
fn two_messages_at_one_place_are_found() {
    let mut run = Run::new();
    run.history.publishing(run.room, 5);
    run.history.acked(run.room, 5, None, at(4));
    let faults = run.hears(&[1, 2, 3, 4]).ends(at(4));
    found(&faults, |fault| matches!(fault, Fault::SplitSlot { first: 4, second: 5, .. }));
}

#[test]
fn a_message_that_was_stored_twice_is_found() {
    let run = Run::new().hears(&[1, 2, 3, 4]);
    let Run { mut history, ada, room, .. } = run;
    history.received(ada, room, 4, Some(at(5)));
    history.ended(ada, room, at(5));
    let faults = history.verdict(&DEMAND).faults;
    assert!(matches!(faults[..], [Fault::StoredTwice { id: 4, .. }]), "{faults:?}");
}

#[test]
fn a_key_that_was_taken_twice_is_found() {
    let mut run = Run::new();
    run.history.publishing(run.room, 5);
    run.history.acked(run.room, 5, Some("k1"), at(5));
    let faults = run.hears(&[1, 2, 3, 4, 5]).ends(at(5));
    assert!(matches!(faults[..], [Fault::KeyTwice { .. }]), "{faults:?}");
}

#[test]
fn an_answer_that_is_repeated_is_no_fault() {
    let mut run = Run::new();
    run.history.acked(run.room, 3, Some("k3"), at(3));
    assert_eq!(run.history.acked_count(), 4);
    assert_eq!(run.hears(&[1, 2, 3, 4]).ends(at(4)), []);
}

#[test]
fn a_ghost_is_found() {
    let faults = Run::new().hears(&[1, 2, 3, 4, 5]).ends(at(5));
    assert!(matches!(faults[..], [Fault::Phantom { id: 5, .. }]), "{faults:?}");
}

#[test]
fn a_message_of_another_room_is_found() {
    let mut run = Run::new();
    let other = run.history.room("acme", "notes:2");
    run.history.publishing(other, 5);
    let faults = run.hears(&[1, 2, 3, 4, 5]).ends(at(5));
    assert!(matches!(faults[..], [Fault::WrongRoom { id: 5, .. }]), "{faults:?}");
}

#[test]
fn a_message_nobody_asked_for_is_found() {
    let mut run = Run::new().hears(&[1, 2, 3, 4]);
    let bob = run.history.client("acme");
    run.history.received(bob, run.room, 1, Some(at(1)));
    let faults = run.ends(at(4));
    assert!(matches!(faults[..], [Fault::Unasked { id: 1, .. }]), "{faults:?}");
}

#[test]
fn a_run_in_which_little_happened_proves_nothing() {
    let verdict = |acks: u64, heard: u64| {
        let mut history = History::new();
        let (ada, room) = (history.client("acme"), history.room("acme", "notes:1"));
        history.subscribed(ada, room, at(0));
        for id in 1..=acks {
            history.publishing(room, id);
            history.acked(room, id, None, at(id));
        }
        (1..=heard).for_each(|id| history.received(ada, room, id, Some(at(id))));
        history.ended(ada, room, at(heard));
        history.verdict(&Demand { acked: 1, delivered: 0, gaps: false })
    };
    assert!(verdict(1, 1).holds());
    assert_eq!(verdict(0, 0).faults, [Fault::TooLittle { acked: 0, delivered: 0 }]);
    found(&verdict(1, 0).faults, |fault| matches!(fault, Fault::TooLittle { delivered: 0, .. }));
    assert!(History::new().verdict(&Demand { acked: 0, delivered: 0, gaps: true }).fault_count == 1);
}

#[test]
fn a_run_without_an_end_is_not_judged_as_whole() {
    let run = Run::new().hears(&[1, 2, 3, 4]);
    let faults = run.history.verdict(&DEMAND).faults;
    assert!(matches!(faults[..], [Fault::NoEnd { .. }]), "{faults:?}");
}

#[test]
fn what_is_volatile_may_be_lost_and_still_has_to_be_ours() {
    let mut run = Run::new().hears(&[1, 2, 3, 4]);
    let cursors = run.history.room("acme", "cursors:1");
    run.history.volatile(cursors);
    run.history.subscribed(run.ada, cursors, at(0));
    run.history.publishing(cursors, 10);
    run.history.publishing(cursors, 11);
    run.history.received(run.ada, cursors, 11, None);
    run.history.received(run.ada, cursors, 12, None);
    let faults = run.ends(at(4));
    assert!(matches!(faults[..], [Fault::Phantom { id: 12, .. }]), "{faults:?}");
}

#[test]
fn ten_thousand_clients_are_judged_by_places_and_not_by_deliveries() {
    let mut history = History::new();
    let room = history.room("acme", "notes:1");
    let clients: Vec<ClientId> = (0..10_000).map(|_| history.client("acme")).collect();
    clients.iter().for_each(|client| history.subscribed(*client, room, at(0)));
    for id in 1..=100 {
        history.publishing(room, id);
        history.acked(room, id, None, at(id));
        clients.iter().for_each(|client| history.received(*client, room, id, Some(at(id))));
    }
    clients.iter().for_each(|client| history.ended(*client, room, at(100)));
    let spans = history.subscriptions.values().map(Subscription::spans).max();
    assert_eq!(spans, Some(1));
    let verdict = history.verdict(&Demand { acked: 100, delivered: 1_000_000, gaps: false });
    assert!(verdict.holds(), "{verdict}");
}
