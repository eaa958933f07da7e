//! Every tracked message, by what its recipients answer with and by its id; bounded for each organisation.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidings_core::{Code, MessageId, Org, Publication, Refusal};

use super::figures::{AllFigures, Of};
use super::tracked::{Outcome, Recipient, Spot, State, Tracked};
use crate::config::ReceiptsConfig;

/// Messages of one organisation that are over and can still be asked about, and their recipients together.
const OVER: usize = 1_000;
const OVER_RECIPIENTS: usize = 20_000;

/// So long they can be asked about at most.
const OVER_MS: u64 = 24 * 3_600_000;

/// Recipients of all messages of one organisation that are waited for.
const WAITING_RECIPIENTS: usize = 100_000;

/// Bytes of the messages of one organisation that are waited for: they are kept to be sent again.
const WAITING_BYTES: usize = 64 << 20;

/// Every tracked message.
pub(super) struct Book {
    by_ack: HashMap<u64, Tracked>,
    by_id: HashMap<(Org, MessageId), u64>,
    orgs: HashMap<Org, Share>,
    tracked_per_org: usize,
    pub(super) figures: AllFigures,
}

/// What an organisation uses up.
#[derive(Default)]
struct Share {
    waiting: usize,
    recipients: usize,
    bytes: usize,
    over: VecDeque<Over>,
    over_recipients: usize,
}

/// A message that is over: its recipients, and since when.
struct Over {
    ack: u64,
    recipients: usize,
    at_ms: u64,
}

impl Share {
    /// Takes the oldest out that is over, if it is `too_old` or there are too many.
    fn outdated(&mut self, too_old: impl Fn(u64) -> bool) -> Option<u64> {
        let many = self.over.len() > OVER || self.over_recipients > OVER_RECIPIENTS;
        let oldest = self.over.pop_front_if(|oldest| many || too_old(oldest.at_ms))?;
        self.over_recipients -= oldest.recipients;
        Some(oldest.ack)
    }
}

impl Book {
    pub(super) fn new(bounds: &ReceiptsConfig) -> Self {
        Self {
            by_ack: HashMap::new(),
            by_id: HashMap::new(),
            orgs: HashMap::new(),
            tracked_per_org: bounds.tracked_per_org,
            figures: AllFigures::default(),
        }
    }

    /// Takes a message in.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if too much of its organisation is waited for.
    pub(super) fn begin(&mut self, ack: u64, tracked: Tracked) -> Result<(), Refusal> {
        let share = self.orgs.entry(tracked.room.org().clone()).or_default();
        let full = share.waiting >= self.tracked_per_org || share.recipients >= WAITING_RECIPIENTS;
        if full || share.bytes + tracked.bytes > WAITING_BYTES {
            let refusal = Refusal::new(Code::Unavailable, "too many messages wait for acknowledgements");
            return Err(Refusal { retry_after_ms: Some(1_000), ..refusal });
        }
        share.waiting += 1;
        share.bytes += tracked.bytes;
        self.by_ack.insert(ack, tracked);
        Ok(())
    }

    /// Forgets a message that was not published.
    pub(super) fn cancel(&mut self, ack: u64) {
        let Some(tracked) = self.by_ack.remove(&ack) else { return };
        if let Some(share) = self.orgs.get_mut(tracked.room.org()) {
            share.waiting -= 1;
            share.recipients -= tracked.recipients.len();
            share.bytes -= tracked.bytes;
        }
    }

    /// A message is published under its id; whether it is known.
    pub(super) fn published(&mut self, ack: u64, message: Arc<Publication>) -> bool {
        let Some(tracked) = self.by_ack.get_mut(&ack) else { return false };
        let (room, now_ms) = (tracked.room.clone(), message.at_ms);
        self.by_id.insert((room.org().clone(), message.id), ack);
        tracked.tries = 1;
        tracked.message = Some(message);
        let user = tracked.user.clone();
        self.figures.count(room.org(), Of::Room(room.name()), now_ms, |figures| figures.published += 1);
        if let Some(user) = user {
            self.figures.count(room.org(), Of::User(&user), now_ms, |figures| figures.published += 1);
        }
        true
    }

    pub(super) fn reached(&mut self, ack: u64, recipients: Vec<(Spot, Recipient)>) {
        let Some(tracked) = self.by_ack.get_mut(&ack).filter(|tracked| tracked.outcome.is_none()) else {
            return;
        };
        let before = tracked.recipients.len();
        for (spot, recipient) in recipients {
            tracked.recipients.entry(spot).or_insert(recipient);
        }
        let more = tracked.recipients.len() - before;
        if let Some(share) = self.orgs.get_mut(tracked.room.org()) {
            share.recipients += more;
        }
    }

    pub(super) fn reported(&mut self, ack: u64) {
        if let Some(tracked) = self.by_ack.get_mut(&ack) {
            tracked.unreported = tracked.unreported.saturating_sub(1);
            wake(tracked);
        }
    }

    pub(super) fn advance(&mut self, news: &[(u64, Spot)], state: State) {
        for (ack, spot) in news {
            if let Some(tracked) = self.by_ack.get_mut(ack) {
                tracked.advance(*spot, state);
                wake(tracked);
            }
        }
    }

    /// Whether somebody was waited for.
    pub(super) fn acknowledge(&mut self, ack: u64, spot: Spot, now_ms: u64, answer: Option<&str>) -> bool {
        let Some(tracked) = self.by_ack.get_mut(&ack).filter(|tracked| tracked.outcome.is_none()) else {
            return false;
        };
        let Some(latency_ms) = tracked.acknowledge(spot, now_ms, answer) else { return false };
        wake(tracked);
        let (room, user) = (tracked.room.clone(), tracked.recipients[&spot].user.clone());
        let of_user = user.as_deref().map(Of::User);
        for of in [Some(Of::Room(room.name())), of_user].into_iter().flatten() {
            self.figures.count(room.org(), of, now_ms, |figures| figures.acknowledge(latency_ms));
        }
        true
    }

    pub(super) fn get(&mut self, ack: u64) -> Option<&mut Tracked> {
        self.by_ack.get_mut(&ack)
    }

    pub(super) fn by_id(&self, org: &Org, id: MessageId) -> Option<&Tracked> {
        self.by_ack.get(self.by_id.get(&(org.clone(), id))?)
    }

    /// Whether a message is waited for now.
    pub(super) fn is_waiting(&self, org: &Org, id: MessageId) -> bool {
        self.by_id(org, id).is_some_and(|tracked| tracked.outcome.is_none())
    }

    /// Messages that are waited for, to rooms and to users.
    pub(super) fn open(&self) -> Vec<u64> {
        let open = self.by_ack.iter().filter(|(_, tracked)| tracked.outcome.is_none());
        open.map(|(ack, _)| *ack).collect()
    }

    pub(super) fn waiting(&self) -> usize {
        self.orgs.values().map(|share| share.waiting).sum()
    }

    /// Ends a message, unless that was done; what became of it.
    pub(super) fn close(&mut self, ack: u64, now_ms: u64) -> Option<Outcome> {
        let tracked = self.by_ack.get_mut(&ack).filter(|tracked| tracked.outcome.is_none())?;
        let outcome = tracked.close();
        for recipient in tracked.recipients.values() {
            let of_user = recipient.user.as_deref().map(Of::User);
            for of in [Some(Of::Room(tracked.room.name())), of_user].into_iter().flatten() {
                self.figures.count(tracked.room.org(), of, now_ms, |figures| {
                    figures.delivered += u64::from(recipient.sent);
                    figures.timed_out += u64::from(recipient.state == State::TimedOut);
                    figures.gone += u64::from(recipient.state == State::Gone);
                });
            }
        }
        Some(outcome)
    }

    /// Notes that a message became a dead letter.
    pub(super) fn died(&mut self, ack: u64, now_ms: u64, stored: bool) {
        let Some(tracked) = self.by_ack.get_mut(&ack) else { return };
        tracked.dead = stored;
        let of_user = tracked.user.as_deref().map(Of::User);
        for of in [Some(Of::Room(tracked.room.name())), of_user].into_iter().flatten() {
            self.figures.count(tracked.room.org(), of, now_ms, |figures| figures.dead += 1);
        }
    }

    /// A message is over: it makes room for others, and can be asked about for a while.
    pub(super) fn over(&mut self, ack: u64, at_ms: u64) {
        let Some(tracked) = self.by_ack.get_mut(&ack) else { return };
        tracked.lighten();
        let (org, recipients, bytes) = (tracked.room.org().clone(), tracked.recipients.len(), tracked.bytes);
        let Some(share) = self.orgs.get_mut(&org) else { return };
        share.waiting -= 1;
        share.recipients -= recipients;
        share.bytes -= bytes;
        share.over.push_back(Over { ack, recipients, at_ms });
        share.over_recipients += recipients;
        let forgotten: Vec<_> = std::iter::from_fn(|| share.outdated(|_| false)).collect();
        forgotten.into_iter().for_each(|oldest| self.forget(oldest));
    }

    /// Forgets messages that have been over for too long, and organisations that use up nothing.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        let too_old = |at_ms: u64| at_ms.saturating_add(OVER_MS) <= now_ms;
        let of_each = |share: &mut Share| std::iter::from_fn(|| share.outdated(too_old)).collect::<Vec<_>>();
        let forgotten: Vec<_> = self.orgs.values_mut().flat_map(of_each).collect();
        forgotten.into_iter().for_each(|oldest| self.forget(oldest));
        self.orgs.retain(|_, share| share.waiting > 0 || !share.over.is_empty());
    }

    fn forget(&mut self, ack: u64) {
        let Some(tracked) = self.by_ack.remove(&ack) else { return };
        let Some(id) = tracked.id() else { return };
        let place = (tracked.room.org().clone(), id);
        // The same message may have been sent again since, under another answer.
        if self.by_id.get(&place) == Some(&ack) {
            self.by_id.remove(&place);
        }
    }
}

/// Wakes whoever waits for the outcome, if nothing is open any more.
fn wake(tracked: &Tracked) {
    if tracked.message.is_some() && tracked.outcome.is_none() && tracked.is_settled() {
        tracked.settled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tidings_core::Room;
    use tidings_wire::plain::ReceiptWish;

    use super::super::{Asked, Terms};
    use super::*;

    fn tracked(org: &Org) -> Tracked {
        let room = Room::of_user(org, "ada");
        let terms = Terms::of(ReceiptWish::default(), false).unwrap();
        let asked = Asked {
            room: &room,
            key: None,
            bytes: 10,
            terms,
            teller: None,
            tells_users: false,
            redriven: false,
        };
        Tracked::new(asked, 0, 0)
    }

    #[test]
    fn nothing_is_left_of_an_organisation_whose_messages_have_been_over_for_a_day() {
        let mut book = Book::new(&ReceiptsConfig::default());
        let (org, id) = (Org::new("acme"), MessageId { node: 1, number: 1 });
        book.begin(1, tracked(&org)).unwrap();
        let room = Room::of_user(&org, "ada");
        book.published(1, Arc::new(Publication::new(room, "said", tidings_core::Payload::json("1"), id, 0)));
        book.begin(2, tracked(&org)).unwrap();
        book.cancel(2);
        book.begin(3, tracked(&Org::new("other"))).unwrap();
        book.cancel(3);
        book.sweep(u64::MAX);
        assert_eq!(book.orgs.len(), 1, "one is waited for");
        book.close(1, 0);
        book.over(1, 1_000);
        book.sweep(OVER_MS + 999);
        assert!(book.by_id(&org, id).is_some());
        book.sweep(OVER_MS + 1_000);
        assert!(book.by_id(&org, id).is_none());
        assert_eq!((book.orgs.len(), book.by_ack.len(), book.by_id.len()), (0, 0, 0));
    }
}
