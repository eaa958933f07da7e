//! Who is let in from the network: sockets, and the connections they become.

use std::net::IpAddr;
use std::sync::Arc;

use tidings_core::Refusal;
use tidings_core::limits::{Account, Line, Place, network_of};

use super::memory::Level;
use super::{Gate, Limit};

/// A socket that is not a connection, or not yet.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    _socket: Option<Place>,
    _address: Option<Place<Account>>,
    _network: Option<Place<Account>>,
    /// Held until it has asked for something.
    stranger: Option<Stranger>,
}

impl Arrival {
    /// It has asked for something: what it asks for is counted from here on.
    pub(crate) fn has_spoken(&mut self) {
        self.stranger = None;
    }
}

/// The place of somebody of whom nothing is known yet, and its share of what its address may have of them.
#[derive(Debug)]
struct Stranger {
    _place: Place,
    /// Behind a trusted proxy nobody knows yet whose it is.
    _share: Option<Place<Account>>,
}

/// A connection's places: a WebSocket, or a polling session whatever sockets carry it.
#[derive(Debug)]
pub(crate) struct Visit {
    _connection: Place,
    address: Place<Account>,
    network: Option<Place<Account>>,
    /// Held until it has signed in.
    stranger: Option<Stranger>,
    /// The address, as it was judged.
    remote: IpAddr,
    /// Those of its messages that were told to come again.
    pub(crate) late_messages: Line,
    /// The same of its subscriptions.
    pub(crate) late_joins: Line,
}

impl Visit {
    /// The account by which the rates of its address are counted.
    pub(crate) fn rated(&self) -> &Arc<Account> {
        self.network.as_ref().unwrap_or(&self.address).owner()
    }

    /// The address, as it was judged.
    pub(crate) fn remote(&self) -> IpAddr {
        self.remote
    }

    /// It has signed in; whether it had not before.
    pub(crate) fn is_known(&mut self) -> bool {
        self.stranger.take().is_some()
    }
}

/// Strangers of one address, or of one network, may take this part of the places that are left. The fewer there are,
/// the less for each, so that whoever takes as much as it can leaves places for others: of 1,000 one address has 200
/// at most, and after ten addresses there are a hundred left.
const STRANGERS_PART: usize = 4;

/// An address may have so many sockets that are no connection, for each connection it may have:
/// a polling client has two on top of its session.
const SOCKETS_PER_CONNECTION: usize = 2;

impl Gate {
    /// Takes a socket in before its request is served; a trusted proxy's are counted by whom it speaks for. One whose
    /// request has come whole (`spoken`) is no stranger.
    ///
    /// # Errors
    /// What there are too many of.
    pub(crate) fn arrive(&self, peer: IpAddr, proxy: bool, spoken: bool) -> Result<Arrival, Limit> {
        let Some(bounds) = self.bounds() else { return Ok(Arrival::default()) };
        let left = bounds.sockets.saturating_sub(self.connections.count());
        let socket = Place::of(&self.opening, left).ok_or(Limit::Connections)?;
        let stranger = if spoken { None } else { Some(self.stranger((!proxy).then_some(peer))?) };
        let address = if proxy { None } else { Some(self.opening_place(peer)?) };
        let network = if proxy { None } else { self.opening_place_of_network(peer)? };
        Ok(Arrival { _socket: Some(socket), _address: address, _network: network, stranger })
    }

    /// Takes a connection in, before its handshake is answered.
    ///
    /// # Errors
    /// What there are too many of; the caller notes it if the client is told.
    pub(crate) fn visit(&self, remote: IpAddr) -> Result<Option<Box<Visit>>, Limit> {
        let Some(bounds) = self.bounds() else { return Ok(None) };
        if self.pressure.is_at_least(Level::High) {
            return Err(Limit::Memory);
        }
        let connection = Place::of(&self.connections, bounds.connections).ok_or(Limit::Connections)?;
        let stranger = self.stranger(Some(remote))?;
        let now_ns = self.now_ns();
        let account = self.addresses.account(remote, now_ns).map_err(|_| Limit::Accounts)?;
        let address = connections(&account, bounds.per_address).ok_or(Limit::AddressConnections)?;
        let network = match network_of(remote) {
            Some(network) => {
                let account = self.networks.account(network, now_ns).map_err(|_| Limit::Accounts)?;
                Some(connections(&account, bounds.per_network).ok_or(Limit::NetworkConnections)?)
            }
            None => None,
        };
        let stranger = Some(stranger);
        Ok(Some(Box::new(Visit {
            _connection: connection,
            address,
            network,
            stranger,
            remote,
            late_messages: Line::default(),
            late_joins: Line::default(),
        })))
    }

    /// Takes in a socket that is to carry a connection that is counted already.
    ///
    /// # Errors
    /// As [`Gate::visit`].
    pub(crate) fn probe(&self, remote: IpAddr) -> Result<Option<Place<Account>>, Limit> {
        if self.bounds.is_none() {
            return Ok(None);
        }
        self.opening_place(remote).map(Some)
    }

    /// Counts a request that is no handshake or is for a session that does not exist.
    ///
    /// # Errors
    /// As [`Gate::request`].
    pub(crate) fn bad_handshake(&self, remote: IpAddr, unknown_sid: bool) -> Result<(), Refusal> {
        match self.request(remote) {
            Err(refusal) => {
                if unknown_sid {
                    self.note(Limit::WrongSid, Some(remote));
                }
                Err(refusal)
            }
            Ok(_) => Ok(()),
        }
    }

    /// A place for somebody of whom nothing is known yet.
    fn stranger(&self, remote: Option<IpAddr>) -> Result<Stranger, Limit> {
        let most = self.bounds().map_or(usize::MAX, |bounds| bounds.strangers);
        let left = most.saturating_sub(self.strangers.count());
        let place = Place::of(&self.strangers, most).ok_or(Limit::Unauthenticated)?;
        let share = |remote| {
            let account = self.rated(remote).map_err(|_| Limit::Accounts)?;
            let share = Place::take(&account, |account| &account.strangers, (left / STRANGERS_PART).max(1));
            share.ok_or(Limit::Unauthenticated)
        };
        Ok(Stranger { _place: place, _share: remote.map(share).transpose()? })
    }

    /// Whoever has one IPv6 address has all of its network.
    fn opening_place_of_network(&self, remote: IpAddr) -> Result<Option<Place<Account>>, Limit> {
        let (Some(bounds), Some(network)) = (self.bounds(), network_of(remote)) else { return Ok(None) };
        let most = bounds.per_network * SOCKETS_PER_CONNECTION;
        let account = self.networks.account(network, self.now_ns()).map_err(|_| Limit::Accounts)?;
        let place = Place::take(&account, |account| &account.opening, most);
        place.map(Some).ok_or(Limit::NetworkConnections)
    }

    fn opening_place(&self, remote: IpAddr) -> Result<Place<Account>, Limit> {
        let most = self.bounds().map_or(usize::MAX, |bounds| bounds.per_address * SOCKETS_PER_CONNECTION);
        let account = self.addresses.account(remote, self.now_ns()).map_err(|_| Limit::Accounts)?;
        Place::take(&account, |account| &account.opening, most).ok_or(Limit::AddressConnections)
    }
}

fn connections(account: &Arc<Account>, most: usize) -> Option<Place<Account>> {
    Place::take(account, |account| &account.connections, most)
}
