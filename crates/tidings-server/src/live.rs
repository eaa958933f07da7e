//! What takes effect on connections that are open: revocations, changed rights and rules, forced disconnects.
//!
//! Whatever is decided goes into memory first, where every door asks, then to every shard, which walks
//! its connections, and then into the store, from where other nodes and later starts learn of it. So a
//! store that does not answer delays nobody's end here.

mod call_back;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use tidings_core::{Code, Org, Refusal};
use tidings_store::revocations::Revocation as Stored;
use tidings_store::{Store, StoreError};
use tokio::sync::{oneshot, watch};

use crate::audit::{Action, Actor, Entry};
use crate::config::{Config, RoomKindConfig};
use crate::settings::{Footing, kinds};
use crate::shard::inbox::Mail;
use crate::shard::rounds::Errand;
use crate::shared::{Shared, wall_ms};
use crate::signin::now_seconds;
use crate::signin::revoked::{Full, Why};
pub(crate) use call_back::CallBack;

/// The store is asked for newer revocations this often: other nodes' take effect within a second.
const POLL: Duration = Duration::from_millis(500);

/// Revocations that are read at once.
const PAGE: u32 = 1_000;

/// Polls between two looks for records that are over.
const PRUNE_EVERY: u32 = 1_200;

/// Why tokens were called back whose bearer's rights have changed.
pub(crate) const RIGHTS_CHANGED: &str = "rights changed";

/// Whose tokens are called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The token with this id (`jti`).
    Token(CompactString),
    /// A user's.
    User(CompactString),
    /// Everybody's of the organisation.
    Org,
}

/// Changes who may do what, and brings it about on connections that are open.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

impl Live {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Calls back tokens made before a second (since 1970; `None`: before now).
    ///
    /// Their connections are closed with 4403 and their sessions cannot be resumed. A token's id calls it
    /// back whenever it was made. Tokens do not say more exactly than by the second when they were made:
    /// "before now" takes the running second in. Of accounts here the sign-ins of before end as well, so that no
    /// refresh token of theirs is good for another access token.
    ///
    /// # Errors
    /// `unavailable` if it could not be written down: here access tokens are called back all the same, but other nodes
    /// and the next start do not know of it, and sign-ins live; ask again.
    pub async fn revoke(
        &self,
        org: &Org,
        target: &Target,
        before: Option<u64>,
        reason: &str,
    ) -> Result<(), Refusal> {
        // First, or a refresh between would get a token that counts as made behind it.
        let ended = self.end_sign_ins(org, target, before, reason).await;
        self.call_back(org, target, before, Why::Revoked, reason).await?;
        ended
    }

    /// Has nobody believe any more what a user's tokens say, since roles, scopes or verification changed.
    ///
    /// Connections are closed with 4401, to come back with a newer token and resume; a token that
    /// [`crate::SignIn::issue`] makes from now on is believed.
    ///
    /// # Errors
    /// As [`Live::revoke`].
    pub async fn roles_changed(&self, org: &Org, user: &str) -> Result<(), Refusal> {
        let target = Target::User(user.into());
        let done = self.call_back(org, &target, None, Why::Rights, RIGHTS_CHANGED).await;
        // What the backend said of the user before is not true for its next connection.
        self.0.node.forget(org, user);
        done
    }

    /// Closes a user's connections on this node, which may come back at once; how many they were.
    ///
    /// # Errors
    /// `unavailable` if a shard has too many such errands.
    pub async fn kick(&self, org: &Org, user: &str) -> Result<usize, Refusal> {
        let mut counts = Vec::new();
        for inbox in &self.0.inboxes {
            let (reply, count) = oneshot::channel();
            let (org, user) = (org.clone(), CompactString::from(user));
            inbox.push(Mail::Errand(Errand::Kick { org, user, closed: 0, reply }));
            counts.push(count);
        }
        let mut closed = 0;
        for count in counts {
            let busy = |_| Refusal::new(Code::Unavailable, "too many disconnects are under way");
            closed += count.await.map_err(busy)?;
        }
        Ok(closed)
    }

    /// Puts the room kinds of a configuration in the place of those in force, which `before` has; nothing else of
    /// either is read.
    ///
    /// Within a second everybody has left the rooms that the new rules close to them. Answers the kinds whose
    /// `keep`, `size` and `ttl_seconds` stay what they were until the next start. Each kind that is configured otherwise
    /// is an entry of the audit log.
    ///
    /// # Errors
    /// A sentence that says which kind is wrong; then those in force stay.
    pub fn reload_rooms(&self, config: &Config, before: &Config) -> Result<Vec<CompactString>, String> {
        let footing = Footing { loopback: self.0.settings.loopback, stored: self.0.log.is_some() };
        let replaced = self.0.node.replace_kinds(kinds(config, footing, self.0.apps.kinds())?);
        changed_rules(&before.rooms, &config.rooms).for_each(|entry| self.0.audit.note(entry));
        if !replaced.heard_by_others.is_empty() {
            self.0.send_errand(|| Errand::Rights { kinds: replaced.heard_by_others.clone() });
        }
        Ok(replaced.keeping)
    }

    async fn end_sign_ins(
        &self,
        org: &Org,
        target: &Target,
        before: Option<u64>,
        reason: &str,
    ) -> Result<(), Refusal> {
        let user = match target {
            Target::User(user) => Some(user.as_str()),
            Target::Org => None,
            Target::Token(_) => return Ok(()),
        };
        let Some(records) = &self.0.records else { return Ok(()) };
        let now_ms = wall_ms();
        let before_ms = before.map_or(now_ms + 1, |seconds| seconds.saturating_mul(1_000));
        let ended = end_families(&records.store, org, user, before_ms, (reason, now_ms)).await;
        ended.map_err(|error| {
            tracing::error!(%error, "sign-ins could not be ended");
            Refusal::new(Code::Unavailable, "in force on this node, but sign-ins did not end; ask again")
        })
    }

    async fn call_back(
        &self,
        org: &Org,
        target: &Target,
        before: Option<u64>,
        why: Why,
        reason: &str,
    ) -> Result<(), Refusal> {
        let (now, revoked) = (now_seconds(), self.0.sign_in.revoked());
        let after_all = || match target {
            Target::User(user) => revoked.after_tokens(org, user, now),
            Target::Token(_) | Target::Org => now + 1,
        };
        let call_back = CallBack {
            org,
            target: target.clone(),
            before: before.unwrap_or_else(after_all),
            until: now + self.0.settings.revocation_seconds,
            why,
            reason,
        };
        let full = |error: Full| Refusal::new(Code::Unavailable, &error.to_string());
        call_back.admit(revoked).map_err(full)?;
        if call_back.enforce(revoked).map_err(full)? {
            self.0.send_errand(|| Errand::Revoked);
        }
        let Some(records) = &self.0.records else { return Ok(()) };
        write(&records.store, &call_back).await.map_err(|error| {
            tracing::error!(%error, "a revocation is in force here, but could not be written down");
            Refusal::new(Code::Unavailable, "in force on this node, but not written down; ask again")
        })
    }
}

/// What to write down of kinds that are configured otherwise than before.
fn changed_rules<'a>(
    before: &'a BTreeMap<String, RoomKindConfig>,
    now: &'a BTreeMap<String, RoomKindConfig>,
) -> impl Iterator<Item = Entry> + 'a {
    let added = now.keys().filter(|kind| !before.contains_key(*kind));
    let differs = before.keys().chain(added).filter(|kind| before.get(*kind) != now.get(*kind));
    differs.map(|kind| {
        // Texts and numbers alone, which JSON can say.
        let said = |kind: Option<&RoomKindConfig>| serde_json::to_string(&kind).unwrap_or_default();
        let entry = Entry::ok(Action::RuleChange).by(Actor::Operator).on(format!("rooms.{kind}"));
        entry.changed(said(before.get(kind)), said(now.get(kind)))
    })
}

async fn end_families(
    store: &Store,
    org: &Org,
    user: Option<&str>,
    before_ms: u64,
    why: (&str, u64),
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    // Whoever refreshes holds the user first, too, so that none waits for the other.
    if let Some(user) = user {
        tx.hold_user(org, user).await?;
    }
    tx.revoke_families_before(org, user, before_ms, why).await?;
    tx.commit().await
}

async fn write(store: &Store, call_back: &CallBack<'_>) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    call_back.write(&mut tx).await?;
    tx.commit().await
}

/// Takes the revocations after number `seq` out of the store into memory, and moves `seq` on.
///
/// # Errors
/// The store does not answer; what was read until then is in force.
pub(crate) async fn load(shared: &Shared, store: &Store, seq: &mut u64) -> Result<(), StoreError> {
    let mut changed = false;
    // What is in force here already may come from a part that knows the store alone: whether its bearers
    // are still connected is looked at all the same.
    let read = loop {
        let page = match page(store, *seq).await {
            Ok(page) => page,
            Err(error) => break Err(error),
        };
        for stored in &page {
            adopt(shared, stored);
            changed = true;
            *seq = stored.seq;
        }
        if page.len() < PAGE as usize {
            break Ok(());
        }
    };
    if changed {
        shared.send_errand(|| Errand::Revoked);
    }
    read
}

async fn page(store: &Store, seq: u64) -> Result<Vec<Stored>, StoreError> {
    store.read().await?.revocations_since(seq, PAGE).await
}

fn adopt(shared: &Shared, stored: &Stored) {
    for call_back in CallBack::of(stored) {
        if let Err(error) = call_back.enforce(shared.sign_in.revoked()) {
            tracing::error!(%error, org = stored.org.as_str(), "a revocation of the store is not in force");
        }
    }
}

/// Follows the store's revocations until `stop` changes, and removes those that are over.
pub(crate) async fn follow(shared: Arc<Shared>, mut seq: u64, mut stop: watch::Receiver<bool>) {
    let Some(records) = &shared.records else { return };
    let (mut polls, mut answered) = (0, true);
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = stop.changed() => return,
        }
        let read = load(&shared, &records.store, &mut seq).await;
        if let Err(error) = &read
            && answered
        {
            tracing::warn!(%error, "revocations of other nodes cannot be read");
        }
        answered = read.is_ok();
        polls += 1;
        if polls % PRUNE_EVERY == 0
            && let Err(error) = prune(&shared, &records.store).await
        {
            tracing::warn!(%error, "revocations and sessions that are over could not be removed");
        }
    }
}

async fn prune(shared: &Shared, store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    tx.prune_revocations(wall_ms()).await?;
    if shared.ledger.is_some() {
        tx.prune_sessions(wall_ms().saturating_sub(shared.settings.session_ms)).await?;
    }
    tx.commit().await
}
