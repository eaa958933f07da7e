//! The roster against a naive model, and what it promises by itself.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidings_core::roster::{Counts, Device, Gathered, Roster, Seen, Status, Wish, Wishes};
use tidings_core::{ConnKey, Org, UserKey};

const GRACE: u64 = 5_000;

fn user(id: u8) -> UserKey {
    UserKey::new(&Org::default(), &id.to_string())
}

fn device(id: u8) -> Device {
    Device::new(0, ConnKey { slot: u32::from(id), generation: 1 }, 0)
}

fn join(roster: &mut Roster, gathered: &mut Gathered, who: u8, with: u8, now_ms: u64) {
    let change = roster.join(&user(who), None, device(with), &Wishes::default(), now_ms);
    change.into_iter().for_each(|change| gathered.note(change));
}

fn leave(roster: &mut Roster, gathered: &mut Gathered, with: u8, grace_ms: u64, now_ms: u64) {
    let change = roster.leave(device(with), grace_ms, now_ms);
    change.into_iter().for_each(|change| gathered.note(change));
}

fn expire(roster: &mut Roster, gathered: &mut Gathered, now_ms: u64) {
    roster.expire(now_ms).into_iter().for_each(|change| gathered.note(change));
}

#[test]
fn a_page_that_is_loaded_again_neither_leaves_nor_joins() {
    let (mut roster, mut gathered) = (Roster::new(), Gathered::default());
    join(&mut roster, &mut gathered, 1, 1, 0);
    assert_eq!(gathered.take(&roster).joined.len(), 1);
    leave(&mut roster, &mut gathered, 1, GRACE, 10);
    join(&mut roster, &mut gathered, 1, 2, 900);
    expire(&mut roster, &mut gathered, 60_000);
    assert!(gathered.take(&roster).is_empty());
    assert_eq!(roster.counts(), Counts { connections: 1, users: 1 });
}

#[test]
fn without_a_grace_the_same_leaves_and_joins() {
    let (mut roster, mut gathered) = (Roster::new(), Gathered::default());
    join(&mut roster, &mut gathered, 1, 1, 0);
    gathered.take(&roster);
    leave(&mut roster, &mut gathered, 1, 0, 10);
    assert_eq!(gathered.take(&roster).left.len(), 1);
    join(&mut roster, &mut gathered, 1, 2, 900);
    assert_eq!(gathered.take(&roster).joined.len(), 1);
}

#[test]
fn who_does_not_come_back_is_gone_after_the_grace_and_not_before() {
    let (mut roster, mut gathered) = (Roster::new(), Gathered::default());
    join(&mut roster, &mut gathered, 1, 1, 0);
    gathered.take(&roster);
    leave(&mut roster, &mut gathered, 1, GRACE, 10);
    expire(&mut roster, &mut gathered, 10 + GRACE - 1);
    assert!(gathered.take(&roster).is_empty());
    assert_eq!(roster.due_ms(), 10 + GRACE);
    expire(&mut roster, &mut gathered, 10 + GRACE);
    assert_eq!(gathered.take(&roster).left[0].user, user(1));
    assert!(roster.is_empty());
}

#[test]
fn one_is_away_when_all_devices_are_idle() {
    let mut roster = Roster::new();
    let status = |roster: &Roster| roster.seen(&user(1)).unwrap().status;
    let mut ignored = Gathered::default();
    join(&mut roster, &mut ignored, 1, 1, 0);
    join(&mut roster, &mut ignored, 1, 2, 0);
    assert_eq!(roster.signal(device(1), true, 5), None, "the other is not idle");
    assert_eq!(status(&roster), Status::Online);
    assert!(roster.signal(device(2), true, 6).is_some());
    assert_eq!(status(&roster), Status::Away);
    assert!(roster.signal(device(1), false, 7).is_some());
    assert_eq!(status(&roster), Status::Online);
    assert_eq!(roster.seen(&user(1)).unwrap().seen_ms, 7);
}

#[test]
fn the_invisible_are_nowhere_but_for_themselves() {
    let (mut roster, mut gathered) = (Roster::new(), Gathered::default());
    join(&mut roster, &mut gathered, 1, 1, 0);
    join(&mut roster, &mut gathered, 2, 2, 0);
    gathered.take(&roster);
    let hidden = Wishes { shown: Some((Wish::Invisible, 100)), info: None };
    gathered.note(roster.set(&user(1), &hidden).unwrap());
    assert_eq!(gathered.take(&roster).left[0].user, user(1));
    assert_eq!(roster.counts(), Counts { connections: 1, users: 1 });
    assert_eq!(roster.page(Some(&user(2)), 0, 10).members.len(), 1);
    assert_eq!(roster.page(Some(&user(1)), 0, 10).members.len(), 2);
    assert_eq!(roster.counts_for(Some(&user(1))), Counts { connections: 2, users: 2 });
    // A second device of somebody invisible tells nobody.
    assert_eq!(roster.join(&user(1), None, device(3), &hidden, 10), None);
    expire(&mut roster, &mut gathered, 100);
    assert_eq!(roster.counts().users, 2);
}

#[test]
fn what_came_and_went_in_between_is_not_told() {
    let (mut roster, mut gathered) = (Roster::new(), Gathered::default());
    join(&mut roster, &mut gathered, 1, 1, 0);
    leave(&mut roster, &mut gathered, 1, 0, 1);
    assert!(gathered.take(&roster).is_empty());
}

/// The same by lists that are gone through each time.
#[derive(Default)]
struct Naive {
    /// User, device, idle, gone at.
    devices: Vec<(u8, u8, bool, u64)>,
    wishes: BTreeMap<u8, Wishes>,
}

impl Naive {
    fn join(&mut self, who: u8, with: u8, wishes: &Wishes) {
        if self.devices.iter().any(|held| held.1 == with) {
            return;
        }
        let lost = self.devices.iter().filter(|held| held.0 == who && held.3 != u64::MAX);
        if let Some(first) = lost.min_by_key(|held| held.3).copied() {
            self.devices.retain(|held| held.1 != first.1);
        }
        self.devices.push((who, with, false, u64::MAX));
        self.wishes.insert(who, wishes.clone());
    }

    fn leave(&mut self, with: u8, until_ms: u64, at_once: bool) {
        if at_once {
            self.devices.retain(|held| held.1 != with);
        }
        for held in self.devices.iter_mut().filter(|held| held.1 == with) {
            held.3 = held.3.min(until_ms);
        }
    }

    fn expire(&mut self, now_ms: u64) {
        self.devices.retain(|held| held.3 > now_ms);
        self.wishes.values_mut().for_each(|wishes| wishes.expire(now_ms));
    }

    /// User, status and devices of everybody who is visible.
    fn seen(&self) -> Vec<(u8, Status, usize)> {
        let users: BTreeSet<u8> = self.devices.iter().map(|held| held.0).collect();
        let seen = users.into_iter().filter_map(|who| {
            let own: Vec<_> = self.devices.iter().filter(|held| held.0 == who).collect();
            let by_device = if own.iter().any(|held| !held.2) { Status::Online } else { Status::Away };
            match self.wishes[&who].shown {
                Some((Wish::Invisible, _)) => None,
                Some((Wish::Status(status), _)) => Some((who, status, own.len())),
                None => Some((who, by_device, own.len())),
            }
        });
        seen.collect()
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Join(u8, u8, Option<(u8, u64)>),
    Leave(u8, bool),
    Signal(u8, bool),
    Set(u8, Option<(u8, u64)>),
    Wait(u64),
    Tell,
}

fn deed() -> impl Strategy<Value = Deed> {
    let wish = || proptest::option::weighted(0.4, (0..3_u8, 1..20_000_u64));
    prop_oneof![
        4 => (0..5_u8, 0..12_u8, wish()).prop_map(|(who, with, wish)| Deed::Join(who, with, wish)),
        4 => (0..12_u8, any::<bool>()).prop_map(|(with, at_once)| Deed::Leave(with, at_once)),
        2 => (0..12_u8, any::<bool>()).prop_map(|(with, idle)| Deed::Signal(with, idle)),
        2 => (0..5_u8, wish()).prop_map(|(who, wish)| Deed::Set(who, wish)),
        3 => (0..8_000_u64).prop_map(Deed::Wait),
        2 => Just(Deed::Tell),
    ]
}

fn wishes(wish: Option<(u8, u64)>, now_ms: u64) -> Wishes {
    let shown = wish.map(|(which, for_ms)| {
        let wishes = [Wish::Invisible, Wish::Status(Status::Away), Wish::Status(Status::Online)];
        (wishes[usize::from(which)], now_ms + for_ms)
    });
    Wishes { shown, info: None }
}

fn short(seen: &[Seen]) -> Vec<(u8, Status, usize)> {
    seen.iter().map(|seen| (seen.user.id().parse().unwrap(), seen.status, seen.devices)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_roster_is_what_lists_say_and_changes_lead_from_one_to_the_next(
        deeds in proptest::collection::vec(deed(), 1..80)
    ) {
        let (mut roster, mut gathered, mut naive) = (Roster::new(), Gathered::default(), Naive::default());
        let mut now_ms = 1_000;
        // What somebody knows who has heard every change.
        let mut heard: BTreeMap<u8, (Status, usize)> = BTreeMap::new();
        for deed in deeds {
            prop_assert!(!roster.is_empty() || roster.due_ms() == u64::MAX, "nothing of nobody is ever over");
            let change = match deed {
                Deed::Join(who, with, wish) => {
                    let wishes = wishes(wish, now_ms);
                    let known = naive.devices.iter().any(|held| held.1 == with);
                    naive.join(who, with, &wishes);
                    let change = roster.join(&user(who), None, device(with), &wishes, now_ms);
                    prop_assert!(!known || change.is_none());
                    change
                }
                Deed::Leave(with, at_once) => {
                    naive.leave(with, now_ms + GRACE, at_once);
                    roster.leave(device(with), if at_once { 0 } else { GRACE }, now_ms)
                }
                Deed::Signal(with, idle) => {
                    naive.devices.iter_mut().filter(|held| held.1 == with).for_each(|held| held.2 = idle);
                    roster.signal(device(with), idle, now_ms)
                }
                Deed::Set(who, wish) => {
                    let wishes = wishes(wish, now_ms);
                    if naive.devices.iter().any(|held| held.0 == who) {
                        naive.wishes.insert(who, wishes.clone());
                    }
                    roster.set(&user(who), &wishes)
                }
                Deed::Wait(ms) => {
                    now_ms += ms;
                    naive.expire(now_ms);
                    prop_assert!(roster.due_ms() > 0);
                    expire(&mut roster, &mut gathered, now_ms);
                    prop_assert!(roster.due_ms() > now_ms);
                    None
                }
                Deed::Tell => {
                    let changes = gathered.take(&roster);
                    for left in changes.left {
                        prop_assert!(heard.remove(&left.user.id().parse().unwrap()).is_some());
                    }
                    for (who, status, devices) in short(&changes.joined) {
                        prop_assert!(heard.insert(who, (status, devices)).is_none());
                    }
                    for (who, status, devices) in short(&changes.changed) {
                        let before = heard.insert(who, (status, devices));
                        prop_assert!(before.is_some_and(|before| before != (status, devices)));
                    }
                    let all = roster.page(None, 0, 100).members;
                    let told: Vec<_> = heard.iter().map(|(who, (status, n))| (*who, *status, *n)).collect();
                    prop_assert_eq!(told, short(&all));
                    None
                }
            };
            change.into_iter().for_each(|change| gathered.note(change));
            let expected = naive.seen();
            let connections = expected.iter().map(|seen| seen.2).sum();
            prop_assert_eq!(roster.counts(), Counts { connections, users: expected.len() });
            prop_assert_eq!(short(&roster.page(None, 0, 100).members), expected);
            prop_assert_eq!(roster.is_empty(), naive.devices.is_empty());
        }
    }

    #[test]
    fn pages_list_everybody_once(users in proptest::collection::btree_set(0..200_u8, 0..60), size in 1..20_usize) {
        let (mut roster, mut ignored) = (Roster::new(), Gathered::default());
        for who in &users {
            join(&mut roster, &mut ignored, *who, *who, 0);
        }
        let mut listed = Vec::new();
        for page in 0.. {
            let page = roster.page(None, page, size);
            prop_assert!(page.members.len() <= size);
            listed.extend(page.members.iter().map(|seen| seen.user.id().parse::<u8>().unwrap()));
            if !page.more { break }
        }
        prop_assert_eq!(listed.len(), users.len());
        prop_assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), users);
    }
}
