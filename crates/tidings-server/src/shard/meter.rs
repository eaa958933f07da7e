//! What a connection uses up of its limits.

use std::net::IpAddr;
use std::sync::Arc;

use tidings_app::Counts;
use tidings_core::limits::OwnRate;
use tidings_core::limits::{Account, Bucket, Line, Place, Rate, Wait};
use tidings_core::{ConnKey, Identity, Refusal, Room};
use tidings_wire::CloseReason;

use super::ShardLoop;
use super::command::AckTo;
use super::inbox::Admitted;
use super::link::Seat;
use super::read::Flow;
use crate::gate::{Bounds, Limit, Standing, Visit};

/// What a connection has used up, and the places it holds while it is there.
#[derive(Default)]
pub(super) struct Meter {
    /// `None`: nothing is limited, or a socket that carries another connection.
    visit: Option<Box<Visit>>,
    _probe: Option<Place<Account>>,
    messages: Bucket,
    joins: Bucket,
    /// Messages over a limit since it last had a rest.
    offences: u32,
    /// Messages it has said, as far as can be counted.
    said: u32,
}

impl From<Admitted> for Meter {
    fn from(admitted: Admitted) -> Self {
        match admitted {
            Admitted::Visit(visit) => Self { visit, ..Self::default() },
            Admitted::Probe(probe) => Self { _probe: probe, ..Self::default() },
        }
    }
}

impl Meter {
    /// The address, where it is counted.
    pub(super) fn remote(&self) -> Option<IpAddr> {
        self.visit.as_ref().map(|visit| visit.remote())
    }

    /// Messages the connection has said.
    pub(super) fn said(&self) -> u32 {
        self.said
    }

    /// It has signed in; what that took is not held against it.
    fn is_known(&mut self) {
        if let Some(visit) = &mut self.visit
            && visit.is_known()
        {
            self.messages = Bucket::default();
        }
    }

    /// Takes one message of the connection, of everybody who sits there with their organisations, and of its
    /// address.
    fn take<'a>(
        &mut self,
        standings: impl Iterator<Item = &'a Standing>,
        bounds: &Bounds,
        now_ns: u64,
    ) -> Result<(), (Limit, Wait)> {
        if self.messages.is_full(now_ns) {
            self.offences = 0;
        }
        let own = self.messages.take(bounds.connection, now_ns);
        own.map_err(|alone| {
            let line = self.visit.as_mut().map(|visit| &mut visit.late_messages);
            (Limit::ConnectionMessages, in_line(line, alone, bounds.connection, now_ns))
        })?;
        for standing in standings {
            standing.take(bounds, now_ns)?;
        }
        if let Some(visit) = &self.visit {
            let address = visit.rated().messages.take(bounds.address, now_ns);
            address.map_err(|wait| (Limit::AddressMessages, wait))?;
        }
        Ok(())
    }
}

/// How long one waits behind those who were told to come again before.
fn in_line(line: Option<&mut Line>, alone: Wait, rate: Rate, now_ns: u64) -> Wait {
    line.map_or(alone, |line| line.join(alone, rate, now_ns))
}

/// Who sits on a connection, each once: several namespaces of one user share a standing. Which of them a
/// message is of is not known before it is read.
fn standings(seats: &[Seat]) -> impl Iterator<Item = &Standing> {
    seats.iter().enumerate().filter_map(|(at, seat)| {
        let standing = seat.standing.as_ref()?;
        let is = |other: &Seat| other.standing.as_ref().is_some_and(|other| Arc::ptr_eq(other, standing));
        (!seats[..at].iter().any(is)).then_some(standing.as_ref())
    })
}

impl ShardLoop {
    /// Counts one message a client said, whatever it is, before it is looked at.
    ///
    /// One that is too much is still understood, since the protocols count on what they have heard;
    /// but what it asks for is refused ([`ShardLoop::flooding`]). Who goes on is closed.
    pub(super) fn meter(&mut self, key: ConnKey) -> Flow {
        self.over = None;
        let Some(link) = self.links.get(key) else { return Flow::Gone };
        link.meter.said = link.meter.said.saturating_add(1);
        let Some(bounds) = self.shared.gate.bounds() else { return Flow::On };
        let standings = standings(&link.seats);
        let Err((limit, wait)) = link.meter.take(standings, bounds, self.now_ns) else { return Flow::On };
        link.meter.offences += 1;
        let (remote, closes) = (link.meter.remote(), link.meter.offences > bounds.offences);
        self.shared.gate.note(limit, remote);
        if closes {
            self.close(key, CloseReason::Flooding);
            return Flow::Gone;
        }
        self.over = Some((limit, wait));
        Flow::On
    }

    /// The refusal of what the message at hand asks for, if that message is too much.
    pub(super) fn flooding(&self) -> Option<Refusal> {
        self.over.map(|(limit, wait)| Refusal::too_often(limit.sentence(), wait))
    }

    /// Takes one subscription of a connection.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait.
    pub(super) fn take_join(&mut self, key: ConnKey) -> Result<(), Refusal> {
        let gate = &self.shared.gate;
        let (Some(bounds), Some(link)) = (gate.bounds(), self.links.get(key)) else { return Ok(()) };
        let taken = link.meter.joins.take(bounds.joins, self.now_ns);
        taken.map(drop).map_err(|alone| {
            let line = link.meter.visit.as_mut().map(|visit| &mut visit.late_joins);
            let wait = in_line(line, alone, bounds.joins, self.now_ns);
            gate.refuse(Limit::Joins, link.meter.remote(), wait)
        })
    }

    /// Takes one room that memory would keep and does not have, of who enters it or speaks in it.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait.
    pub(super) fn may_make(&mut self, key: ConnKey, who: &Identity, room: &Room) -> Result<(), Refusal> {
        let Some(link) = self.links.get(key) else { return Ok(()) };
        self.shared.may_make(who, room, link.remote)
    }

    /// Takes one publish, or one command of an app where there is no room; how many are left.
    ///
    /// One that waited for the backend was `taken` before.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait.
    pub(super) fn take_publish(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        who: &Identity,
        room: Option<&Room>,
        taken: bool,
    ) -> Result<Option<u64>, Refusal> {
        let gate = &self.shared.gate;
        let (Some(_), Some(link)) = (gate.bounds(), self.links.get(key)) else { return Ok(None) };
        let standing = link.seat(ack.namespace()).and_then(|seat| seat.standing.as_deref());
        let spec = room.and_then(|room| self.node.kinds().spec(room).ok().cloned());
        let own = spec.and_then(|spec| spec.publish_rate);
        gate.publish(standing, who, own, taken, self.now_ns)
    }

    /// Takes one command of an app, out of its own bucket if it has one; how many are left.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait.
    pub(super) fn take_command(
        &mut self,
        key: ConnKey,
        ack: AckTo,
        who: &Identity,
        (own, counts): (Option<OwnRate>, Counts),
    ) -> Result<Option<u64>, Refusal> {
        match counts {
            Counts::Subscription if own.is_none() => return self.take_join(key).map(|()| None),
            Counts::Message if own.is_none() => return Ok(None),
            _ => {}
        }
        let gate = &self.shared.gate;
        let (Some(_), Some(link)) = (gate.bounds(), self.links.get(key)) else { return Ok(None) };
        let standing = link.seat(ack.namespace()).and_then(|seat| seat.standing.as_deref());
        gate.publish(standing, who, own, false, self.now_ns)
    }

    /// Gives a client that has signed in its place; in further namespaces it shares the one it has.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] if its user has too many, [`tidings_core::Code::Unavailable`] if its organisation has.
    pub(super) fn stand(&mut self, key: ConnKey, who: &Identity) -> Result<Option<Arc<Standing>>, Refusal> {
        let Some(link) = self.links.get(key) else { return Ok(None) };
        let same = link.seats.iter().find(|seat| seat.who.user == who.user && seat.who.org == who.org);
        let standing = match same {
            Some(seat) => seat.standing.clone(),
            None => self.shared.gate.stand(link.meter.visit.as_deref(), who)?,
        };
        link.meter.is_known();
        Ok(standing)
    }
}
