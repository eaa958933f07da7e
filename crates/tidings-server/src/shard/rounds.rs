//! Walks over all connections of a shard, a stretch each turn, so that deliveries go on.

use std::collections::VecDeque;

use compact_str::CompactString;
use tidings_core::{ConnKey, Org};
use tidings_wire::CloseReason;
use tokio::sync::oneshot;

use super::ShardLoop;
use super::walk::Walk;
use crate::signin::revoked::Why;

/// Connections that are looked at in one turn.
const STRETCH: usize = 2_048;

/// Forced disconnects that may wait on one shard; the asker of another is told to come again.
const KICKS: usize = 256;

/// Walks of administrators that may wait on one shard; the asker of another is told to come again.
const WALKS: usize = 32;

/// A connection that an administrator's walk looks at counts as so many: it looks closer.
const CLOSER: usize = 4;

/// What is to be done for every connection it concerns.
pub(crate) enum Errand {
    /// End those whose tokens were called back.
    Revoked,
    /// Take those out of rooms of these kinds who may no longer hear them.
    Rights {
        /// The kinds whose rules have changed.
        kinds: Vec<CompactString>,
    },
    /// Count those of an organisation in a namespace again.
    Recount {
        /// The organisation.
        org: Org,
        /// The namespace, by its index.
        namespace: u8,
    },
    /// End those of a user, and say how many they were.
    Kick {
        /// The user's organisation.
        org: Org,
        /// The user.
        user: CompactString,
        /// Ended so far.
        closed: usize,
        /// Who asks.
        reply: oneshot::Sender<usize>,
    },
    /// What an administrator asks of all, or wants done to some.
    Walk(Box<dyn Walk>),
}

/// One walk: it goes round, so that one that is wanted again on its way needs only to go further.
struct Round {
    errand: Errand,
    at: usize,
    left: usize,
}

impl Round {
    /// What a visit takes of a turn's budget.
    fn cost(&self) -> usize {
        if matches!(self.errand, Errand::Walk(_)) { CLOSER } else { 1 }
    }

    /// Whether the rest need not be visited.
    fn is_done(&self) -> bool {
        matches!(&self.errand, Errand::Walk(walk) if walk.is_done())
    }
}

/// The walks under way.
#[derive(Default)]
pub(super) struct Rounds(VecDeque<Round>);

impl Rounds {
    /// Whether none is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn walks(&self) -> usize {
        self.0.iter().filter(|round| matches!(round.errand, Errand::Walk(_))).count()
    }

    /// Begins a walk over so many slots; what is under way already goes round once more from where it is.
    fn begin(&mut self, errand: Errand, slots: usize) {
        for round in &mut self.0 {
            match (&mut round.errand, &errand) {
                (Errand::Revoked, Errand::Revoked) => {}
                (Errand::Rights { kinds }, Errand::Rights { kinds: more }) => {
                    kinds.extend_from_slice(more);
                    kinds.sort();
                    kinds.dedup();
                }
                _ => continue,
            }
            round.left = slots;
            return;
        }
        let at = if let Errand::Walk(walk) = &errand { walk.begins_at().min(slots) } else { 0 };
        let round = Round { errand, at, left: slots - at };
        match round.errand {
            Errand::Revoked => self.0.push_front(round),
            Errand::Kick { .. } if self.0.len() >= KICKS => {}
            Errand::Walk(_) if self.walks() >= WALKS => {}
            _ => self.0.push_back(round),
        }
    }
}

impl ShardLoop {
    /// Takes an errand on.
    pub(super) fn take_errand(&mut self, errand: Errand) {
        self.rounds.begin(errand, self.links.slots());
    }

    /// Goes on with the walks.
    pub(super) fn walk(&mut self) {
        let mut budget = STRETCH;
        while let Some(mut round) = self.rounds.0.pop_front() {
            let slots = self.links.slots();
            while budget > 0 && round.left > 0 && slots > 0 {
                let slot = round.at % slots;
                if let Some(key) = self.links.key(slot as u32) {
                    self.visit(key, &mut round.errand);
                }
                (round.at, round.left, budget) =
                    (slot + 1, round.left - 1, budget.saturating_sub(round.cost()));
                if round.is_done() {
                    break;
                }
            }
            if round.left > 0 && slots > 0 && !round.is_done() {
                return self.rounds.0.push_front(round);
            }
            match round.errand {
                // Whoever asked may have given up.
                Errand::Kick { closed, reply, .. } => drop(reply.send(closed)),
                Errand::Walk(walk) => walk.end((round.left > 0).then_some(round.at)),
                _ => {}
            }
        }
    }

    fn visit(&mut self, key: ConnKey, errand: &mut Errand) {
        match errand {
            Errand::Revoked => self.close_revoked(key),
            Errand::Rights { kinds } => {
                let Some(link) = self.links.get(key) else { return };
                let namespaces: Vec<u8> = link.seats.iter().map(|seat| seat.namespace).collect();
                for namespace in namespaces {
                    self.recheck_rooms(key, namespace, |room| {
                        kinds.iter().any(|kind| kind.as_str() == room.kind())
                    });
                }
            }
            Errand::Recount { org, namespace } => self.recount(key, org, *namespace),
            Errand::Walk(walk) => walk.visit(self, key),
            Errand::Kick { org, user, closed, .. } => {
                let Some(link) = self.links.get(key) else { return };
                if link.seats.iter().any(|seat| seat.who.org == *org && seat.who.user.as_ref() == Some(user))
                {
                    *closed += 1;
                    self.close(key, CloseReason::Disconnected);
                }
            }
        }
    }

    fn close_revoked(&mut self, key: ConnKey) {
        let Some(link) = self.links.get(key) else { return };
        let revoked = self.shared.sign_in.revoked();
        let mut reason = None;
        for why in link.seats.iter().filter_map(|seat| revoked.why(&seat.who)) {
            match why {
                Why::Revoked => reason = Some(CloseReason::Revoked),
                Why::Rights => reason = reason.or(Some(CloseReason::SignIn)),
            }
        }
        if let Some(reason) = reason {
            self.close(key, reason);
        }
    }
}
