//! Everybody of an organisation in a namespace: who came online and who went offline.

use std::sync::Mutex;

use hashbrown::HashMap;

use super::agenda::{Agenda, Due, Spot};
use super::{BATCH_MS, News, Presence, interval_ms};
use crate::access::Identity;
use crate::lock;
use crate::room::Org;
use crate::roster::{Change, Changes, Device, Gathered, Roster, Seen, Wishes};
use crate::user::UserKey;

/// After everybody was counted again nobody is announced for so long: a walk over all connections is not
/// done at once.
const QUIET_MS: u64 = 2_000;

/// Everybody of one organisation in one namespace.
#[derive(Default)]
struct Crowd {
    connections: usize,
    /// `None` while there are too many to be announced.
    roster: Option<Roster>,
    gathered: Gathered,
    quiet_until_ms: u64,
    told_ms: u64,
    since_ms: Option<u64>,
    /// Where it stands in the agenda.
    spot: Option<Spot>,
}

#[derive(Default)]
pub(super) struct Crowds(Mutex<ByOrg>);

type ByOrg = HashMap<Org, HashMap<u8, Crowd>>;

fn forget(crowds: &mut ByOrg, org: &Org, namespace: u8) {
    let Some(of_org) = crowds.get_mut(org) else { return };
    of_org.remove(&namespace);
    if of_org.is_empty() {
        crowds.remove(org);
    }
}

impl Crowd {
    fn new() -> Self {
        Self { roster: Some(Roster::new()), ..Self::default() }
    }

    fn note(&mut self, change: Option<Change>, now_ms: u64) {
        if let Some(change) = change.filter(|_| now_ms >= self.quiet_until_ms) {
            self.gathered.note(change);
        }
    }

    /// Counts connections; `true` if everybody has to be counted again, since there are few enough.
    fn count(&mut self, connections: usize, most: usize, now_ms: u64) -> bool {
        self.connections = connections;
        if connections > most {
            self.roster = None;
            self.gathered.clear();
            return false;
        }
        let again = self.roster.is_none() && connections <= most / 2;
        if again {
            self.roster = Some(Roster::new());
            self.quiet_until_ms = now_ms + QUIET_MS;
        }
        again
    }

    fn wanted_ms(&mut self, now_ms: u64) -> u64 {
        let due_ms = self.roster.as_ref().map_or(u64::MAX, Roster::due_ms);
        if self.gathered.is_empty() {
            self.since_ms = None;
            return due_ms;
        }
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        due_ms.min((since_ms + BATCH_MS).max(self.told_ms + interval_ms(self.connections)))
    }

    fn schedule(&mut self, org: &Org, namespace: u8, now_ms: u64, agenda: &Agenda) {
        let wanted_ms = self.wanted_ms(now_ms);
        agenda.sort(&mut self.spot, wanted_ms, || Due::Crowd(org.clone(), namespace));
    }

    /// Whether nobody is there and nothing waits.
    fn is_over(&self) -> bool {
        let is_empty = self.roster.as_ref().is_none_or(Roster::is_empty);
        self.connections == 0 && is_empty && self.spot.is_none()
    }

    /// Who came and went, if it is time to tell it.
    fn look(&mut self, now_ms: u64) -> Option<Changes> {
        let over = self.roster.as_mut().map(|roster| roster.expire(now_ms)).unwrap_or_default();
        over.into_iter().for_each(|change| self.note(Some(change), now_ms));
        let is_time = self.since_ms.is_none_or(|since_ms| since_ms + BATCH_MS <= now_ms)
            && self.told_ms + interval_ms(self.connections) <= now_ms;
        let changes = self.gathered.take(self.roster.as_ref().filter(|_| is_time)?);
        self.since_ms = None;
        if changes.joined.is_empty() && changes.left.is_empty() {
            return None;
        }
        self.told_ms = now_ms;
        Some(changes)
    }
}

impl Crowds {
    fn at<T>(
        &self,
        (org, namespace): (&Org, u8),
        now_ms: u64,
        agenda: &Agenda,
        act: impl FnOnce(&mut Crowd) -> T,
    ) -> T {
        let mut crowds = lock(&self.0);
        let of_org = crowds.entry(org.clone()).or_default();
        let crowd = of_org.entry(namespace).or_insert_with(Crowd::new);
        let done = act(crowd);
        crowd.schedule(org, namespace, now_ms, agenda);
        if crowd.is_over() {
            forget(&mut crowds, org, namespace);
        }
        done
    }

    /// What is seen of a user, best of all namespaces.
    pub(super) fn seen(&self, user: &UserKey, own: bool) -> Option<Seen> {
        let crowds = lock(&self.0);
        let rosters = crowds.get(user.org()).into_iter().flat_map(HashMap::values);
        let rosters = rosters.filter_map(|crowd| crowd.roster.as_ref());
        rosters.filter_map(|roster| if own { roster.own(user) } else { roster.seen(user) }).reduce(Seen::and)
    }

    pub(super) fn set(&self, user: &UserKey, wishes: &Wishes, now_ms: u64, agenda: &Agenda) {
        let mut crowds = lock(&self.0);
        let Some(of_org) = crowds.get_mut(user.org()) else { return };
        for (namespace, crowd) in of_org {
            let change = crowd.roster.as_mut().and_then(|roster| roster.set(user, wishes));
            crowd.note(change, now_ms);
            crowd.schedule(user.org(), *namespace, now_ms, agenda);
        }
    }

    pub(super) fn look(
        &self,
        (org, namespace): (&Org, u8),
        spot: Spot,
        now_ms: u64,
        agenda: &Agenda,
    ) -> Option<News> {
        let mut crowds = lock(&self.0);
        let crowd = crowds.get_mut(org)?.get_mut(&namespace).filter(|crowd| crowd.spot == Some(spot))?;
        crowd.spot = None;
        let told = crowd.look(now_ms);
        let roster = crowd.roster.as_ref().filter(|_| told.is_some());
        let hearers = roster.into_iter().flat_map(Roster::devices);
        let hearers = hearers.map(|(device, user)| (device, user.clone())).collect();
        crowd.schedule(org, namespace, now_ms, agenda);
        if crowd.is_over() {
            forget(&mut crowds, org, namespace);
        }
        let users = |seen: Vec<Seen>| seen.into_iter().map(|seen| seen.user).collect();
        let changes = told?;
        let (online, offline) = (users(changes.joined), users(changes.left));
        Some(News::Everybody { org: org.clone(), namespace, online, offline, hearers })
    }
}

impl Presence {
    /// Of how many namespaces it is known who is there, each counted for every organisation that is in it.
    pub fn namespaces(&self) -> usize {
        lock(&self.crowds.0).values().map(HashMap::len).sum()
    }

    /// Somebody has come into a namespace; `true` asks for a walk over all connections that counts
    /// everybody again ([`Presence::recount`]).
    pub fn seated(&self, who: &Identity, namespace: u8, device: Device, now_ms: u64) -> bool {
        let most = self.times.announce_up_to;
        if most == 0 {
            return false;
        }
        let user = who.user_key();
        let wishes = user.as_ref().map(|user| self.people.wishes(user, now_ms)).unwrap_or_default();
        let again = self.crowds.at((&who.org, namespace), now_ms, &self.agenda, |crowd| {
            let again = crowd.count(crowd.connections + 1, most, now_ms);
            let roster = crowd.roster.as_mut();
            let change = roster
                .zip(user.as_ref())
                .and_then(|(roster, user)| roster.join(user, who.name.as_ref(), device, &wishes, now_ms));
            crowd.note(change, now_ms);
            again
        });
        if let Some(user) = user.filter(|_| !wishes.is_invisible()) {
            self.note_seen(&user, now_ms);
        }
        again
    }

    /// A connection has left a namespace, for good or lost; `true` as [`Presence::seated`].
    pub fn unseated(&self, who: &Identity, namespace: u8, device: Device, now_ms: u64) -> bool {
        let most = self.times.announce_up_to;
        if most == 0 {
            return false;
        }
        if let Some(user) = who.user_key().filter(|user| !self.people.wishes(user, now_ms).is_invisible()) {
            self.note_seen(&user, now_ms);
        }
        let grace_ms = self.times.grace_ms;
        self.crowds.at((&who.org, namespace), now_ms, &self.agenda, |crowd| {
            let roster = crowd.roster.as_mut();
            let change = roster.and_then(|roster| roster.leave(device, grace_ms, now_ms));
            crowd.note(change, now_ms);
            crowd.count(crowd.connections.saturating_sub(1), most, now_ms)
        })
    }

    /// Counts a connection that is there already, and announces nobody.
    pub fn recount(&self, who: &Identity, namespace: u8, device: Device, now_ms: u64) {
        let Some(user) = who.user_key() else { return };
        let wishes = self.people.wishes(&user, now_ms);
        self.crowds.at((&who.org, namespace), now_ms, &self.agenda, |crowd| {
            if let Some(roster) = &mut crowd.roster {
                let _ = roster.join(&user, who.name.as_ref(), device, &wishes, now_ms);
            }
        });
    }
}
