//! Somebody who has signed in: whose connection it is, and what publishes are left.

use std::net::IpAddr;
use std::sync::Arc;

use tidings_core::limits::{Account, OwnRate, Place, Rate, SharedBucket, Wait};
use tidings_core::{Identity, Refusal};

use super::memory::Level;
use super::{Bounds, Gate, Limit, Visit};

/// Whose connection it is, for as long as it is: places among the user's and the organisation's.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The user's account; that of the address for an anonymous client.
    user: Arc<Account>,
    org: Arc<Account>,
    user_place: Option<Place<Account>>,
    _org_place: Place<Account>,
}

impl Standing {
    /// Takes one message of the user and of the organisation.
    ///
    /// # Errors
    /// Which limit is used up, and for how long.
    pub(crate) fn take(&self, bounds: &Bounds, now_ns: u64) -> Result<(), (Limit, Wait)> {
        // What strangers say is counted beside what everybody at their address says, at another rate.
        let is_stranger = self.user_place.is_none();
        let said = if is_stranger { &self.user.strangers_messages } else { &self.user.messages };
        let user = said.take(bounds.user, now_ns);
        user.map_err(|wait| (Limit::UserMessages, wait))?;
        let org = self.org.messages.take(bounds.org, now_ns);
        org.map_err(|wait| (Limit::OrgMessages, wait))?;
        Ok(())
    }
}

impl Gate {
    /// Gives somebody who has signed in a place among the user's and the organisation's connections.
    ///
    /// # Errors
    /// `rate_limited` if the user has too many, `unavailable` if the organisation has.
    pub(crate) fn stand(
        &self,
        visit: Option<&Visit>,
        who: &Identity,
    ) -> Result<Option<Arc<Standing>>, Refusal> {
        let (Some(bounds), Some(visit)) = (self.bounds(), visit) else { return Ok(None) };
        let now_ns = self.now_ns();
        let (user, user_place) = match who.user_key() {
            None => (visit.rated().clone(), None),
            Some(user) => {
                let account = self.users.account(user, now_ns).map_err(|full| self.no_room(full))?;
                let place = Place::take(&account, |account| &account.connections, bounds.per_user);
                let place =
                    place.ok_or_else(|| self.refuse_count(Limit::UserConnections, Some(visit.remote())))?;
                (account, Some(place))
            }
        };
        let org = self.orgs.account(who.org.clone(), now_ns).map_err(|full| self.no_room(full))?;
        let org_place = Place::take(&org, |account| &account.connections, bounds.per_org);
        let org_place =
            org_place.ok_or_else(|| self.refuse_count(Limit::OrgConnections, Some(visit.remote())))?;
        Ok(Some(Arc::new(Standing { user, org, user_place, _org_place: org_place })))
    }

    /// Takes one publish of a connection; how many are left, where they are limited.
    ///
    /// One that was `taken` before, and had to wait for somebody's word since, is not counted again.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait, [`tidings_core::Code::Unavailable`]
    /// without memory for more.
    pub(crate) fn publish(
        &self,
        standing: Option<&Standing>,
        who: &Identity,
        own: Option<OwnRate>,
        taken: bool,
        now_ns: u64,
    ) -> Result<Option<u64>, Refusal> {
        match (standing, self.bounds()) {
            (Some(standing), Some(bounds)) if taken => {
                let (bucket, rate) = bucket_of(&standing.user, bounds, who, own);
                Ok(Some(bucket.left(rate, now_ns)))
            }
            (Some(standing), _) => self.take_publish(&standing.user, who, own, now_ns),
            (None, _) => Ok(None),
        }
    }

    /// The same for a request from `address`, out of the same bucket as the user's connections, or as those of
    /// the address for somebody who has not signed in; one message of the organisation as well.
    ///
    /// # Errors
    /// As [`Gate::publish`].
    pub(crate) fn publish_by_request(
        &self,
        who: &Identity,
        own: Option<OwnRate>,
        address: IpAddr,
    ) -> Result<Option<u64>, Refusal> {
        let Some(bounds) = self.bounds() else { return Ok(None) };
        let now_ns = self.now_ns();
        let org = self.orgs.account(who.org.clone(), now_ns).map_err(|full| self.no_room(full))?;
        let message = org.messages.take(bounds.org, now_ns);
        message.map_err(|wait| self.refuse(Limit::OrgMessages, None, wait))?;
        let account = self.account_of(who, address, now_ns)?;
        self.take_publish(&account, who, own, now_ns)
    }

    /// Takes one room that somebody makes by entering it or speaking in it; a server makes as many as it has
    /// publishes.
    ///
    /// # Errors
    /// [`tidings_core::Code::RateLimited`] with the time to wait.
    pub(crate) fn make_room(&self, who: &Identity, address: IpAddr) -> Result<(), Refusal> {
        let Some(bounds) = self.bounds().filter(|_| !who.has_server_scope()) else { return Ok(()) };
        let now_ns = self.now_ns();
        let taken = self.account_of(who, address, now_ns)?.rooms.take(bounds.rooms, now_ns);
        taken.map(drop).map_err(|wait| self.refuse(Limit::NewRooms, Some(address), wait))
    }

    /// The account of a user, or that of the address for somebody who has not signed in.
    fn account_of(&self, who: &Identity, address: IpAddr, now_ns: u64) -> Result<Arc<Account>, Refusal> {
        let account = match who.user_key() {
            Some(user) => self.users.account(user, now_ns),
            None => self.rated(address),
        };
        account.map_err(|full| self.no_room(full))
    }

    fn take_publish(
        &self,
        account: &Account,
        who: &Identity,
        own: Option<OwnRate>,
        now_ns: u64,
    ) -> Result<Option<u64>, Refusal> {
        let Some(bounds) = self.bounds() else { return Ok(None) };
        self.has_memory(Level::Full)?;
        let (bucket, rate) = bucket_of(account, bounds, who, own);
        bucket.take(rate, now_ns).map(Some).map_err(|wait| self.refuse(Limit::Publishes, None, wait))
    }
}

/// The bucket a publish is counted in: a server's, the kind's or the command's own, or the general one.
fn bucket_of<'a>(
    account: &'a Account,
    bounds: &Bounds,
    who: &Identity,
    own: Option<OwnRate>,
) -> (&'a SharedBucket, Rate) {
    match own {
        _ if who.has_server_scope() => (&account.server_publishes, bounds.server_publishes),
        Some(own) => (account.of_kind(own), own.rate),
        None => (&account.publishes, bounds.publishes),
    }
}
