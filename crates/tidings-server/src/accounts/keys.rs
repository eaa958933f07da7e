//! API keys: how they are found for each request, and how administrators make and end them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use tidings_core::{Code, Identity, Org, Refusal, lock};
use tidings_store::keys::{ApiKey as Kept, NewKey};
use tidings_store::revocations::{NewRevocation, Revoked};
use tidings_store::{Digest, Store, StoreError, Tx};

use super::members::admin;
use super::{ensure_org, input, stored, unavailable};
use crate::admin::sight::Sight;
use crate::audit::Actor;
use crate::shared::wall_ms;
use crate::signin::{ApiKey, ApiKeys, Found, now_seconds, revoked as called_back};
use crate::time::iso8601;

/// What a key may be good for.
pub const SCOPES: [&str; 3] = ["publish", "read", "admin"];

/// How the user is called for whom a key speaks, before its prefix.
pub const USER: &str = "key:";

/// What was read of a key is good for so long: another node's revocation is seen within a second.
const FRESH: Duration = Duration::from_millis(800);
/// Keys remembered at once; beyond, each use asks the store.
const REMEMBERED: usize = 10_000;
/// The store may take so long to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys of one organisation that are not over, and keys that are listed at once.
const KEYS: u32 = 1_000;
/// So long after a key was revoked nodes are told to end its connections; one that reaches the store no more often
/// than that keeps them.
const TOLD_MS: u64 = 7 * 24 * 3_600_000;

/// The keys in a store.
pub struct StoredKeys {
    store: Store,
    remembered: Mutex<HashMap<String, (Instant, Kept)>>,
}

/// A key, as an administrator sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyView {
    pub(crate) prefix: String,
    name: String,
    scopes: Vec<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl KeyView {
    fn new(key: Kept) -> Self {
        Self {
            prefix: key.prefix,
            name: key.name,
            scopes: key.scopes.split(' ').map(str::to_owned).collect(),
            created_at: iso8601(key.created_ms),
            expires_at: key.expires_ms.map(iso8601),
            last_used_at: key.last_used_ms.map(iso8601),
            revoked_at: key.revoked_ms.map(iso8601),
        }
    }
}

/// Makes a key in a transaction of the caller; answers its text, which nobody can show again, and its prefix.
///
/// # Errors
/// `bad_request` for a name or scopes that cannot be, an end that is past; what the store says.
pub async fn make(
    tx: &mut Tx,
    org: &Org,
    name: &str,
    scopes: &[String],
    expires_ms: Option<u64>,
    by: Actor,
) -> Result<(String, String), Refusal> {
    let now = wall_ms();
    input::word(name, "name")?;
    let scopes = checked_scopes(scopes)?;
    if expires_ms.is_some_and(|end| end <= now) {
        return Err(Refusal::new(Code::BadRequest, "the key would be over at once"));
    }
    let (text, key) = ApiKey::make().map_err(unavailable)?;
    let digest = Digest::from_bytes(key.hash()).ok_or_else(|| unavailable("a hash of another length"))?;
    let new = NewKey { prefix: key.prefix(), digest: &digest, name, scopes: &scopes, expires_ms };
    ensure_org(tx, org, by).await.map_err(stored)?;
    if tx.good_keys(org, now).await.map_err(stored)? >= KEYS.into() {
        return Err(Refusal::new(Code::Conflict, "the organisation has 1000 keys; revoke some first"));
    }
    tx.create_key(org, &new, now).await.map_err(stored)?;
    Ok((text, key.prefix().to_owned()))
}

/// Ends a key in a transaction of the caller, and within a second the connections that were opened with it.
///
/// # Errors
/// `not_found`; what the store says.
pub async fn revoke(tx: &mut Tx, org: &Org, prefix: &str) -> Result<(), Refusal> {
    let now = wall_ms();
    tx.revoke_key(org, prefix, now).await.map_err(stored)?;
    let whose = Revoked::User(format!("{USER}{prefix}"));
    let revocation = NewRevocation {
        what: &whose,
        // A key says by the second when it was made, so this one is meant as well.
        issued_before_ms: (now / 1_000 + 1) * 1_000,
        expires_ms: now + TOLD_MS,
        rights_alone: false,
        reason: "the key was revoked",
    };
    tx.revoke(org, &revocation).await.map(drop).map_err(stored)
}

fn checked_scopes(scopes: &[String]) -> Result<String, Refusal> {
    let known: Vec<&str> =
        SCOPES.into_iter().filter(|known| scopes.iter().any(|scope| scope == known)).collect();
    if scopes.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
        return Err(Refusal::new(Code::BadRequest, "scopes: one or more of publish, read and admin"));
    }
    Ok(known.join(" "))
}

impl StoredKeys {
    /// Keeps keys in a store.
    pub fn new(store: Store) -> Self {
        Self { store, remembered: Mutex::new(HashMap::new()) }
    }

    async fn find(&self, prefix: &str) -> Result<Option<Kept>, StoreError> {
        if let Some((read, kept)) = lock(&self.remembered).get(prefix)
            && read.elapsed() < FRESH
        {
            return Ok(Some(kept.clone()));
        }
        let began = Instant::now();
        let found = self.store.read().await?.key_by_prefix(prefix).await?;
        let mut remembered = lock(&self.remembered);
        match &found {
            Some(kept) => {
                if remembered.len() >= REMEMBERED {
                    remembered.retain(|_, (read, _)| read.elapsed() < FRESH);
                }
                if remembered.len() < REMEMBERED {
                    remembered.insert(prefix.to_owned(), (began, kept.clone()));
                }
            }
            None => drop(remembered.remove(prefix)),
        }
        Ok(found)
    }

    /// Notes that a key was used, beside the request.
    fn touch(&self, kept: &Kept, now: u64) {
        if !kept.wants_touch(now) {
            return;
        }
        if let Some((_, remembered)) = lock(&self.remembered).get_mut(&kept.prefix) {
            remembered.last_used_ms = Some(now);
        }
        let (store, org, prefix) = (self.store.clone(), kept.org.clone(), kept.prefix.clone());
        tokio::spawn(async move {
            let noted = async {
                let mut tx = store.begin().await?;
                tx.touch_key(&org, &prefix, now).await?;
                tx.commit().await
            };
            if let Err(error) = noted.await {
                tracing::debug!(%error, "the use of a key was not noted");
            }
        });
    }

    /// Makes a key for the administrator's organisation.
    ///
    /// # Errors
    /// `forbidden`, also for a key that sees more than its maker; as [`make`].
    pub(crate) async fn create(
        &self,
        who: &Identity,
        name: &str,
        scopes: &[String],
        expires_ms: Option<u64>,
    ) -> Result<(String, KeyView), Refusal> {
        let org = &admin(who)?.org;
        sees_no_more(who, scopes)?;
        let mut tx = self.store.begin().await.map_err(stored)?;
        let (text, prefix) = make(&mut tx, org, name, scopes, expires_ms, Actor::of(who)).await?;
        tx.commit().await.map_err(stored)?;
        let kept = self.store.read().await.map_err(stored)?.key_by_prefix(&prefix).await.map_err(stored)?;
        let kept = kept.ok_or_else(|| unavailable("a key that was made is not there"))?;
        Ok((text, KeyView::new(kept)))
    }

    /// The organisation's keys, without their secrets, by prefix after `after`; a thousand at most.
    ///
    /// # Errors
    /// `forbidden`
    pub(crate) async fn list(&self, who: &Identity, after: &str) -> Result<Vec<KeyView>, Refusal> {
        let org = &admin(who)?.org;
        let keys = self.store.read().await.map_err(stored)?.keys(org, after, KEYS).await;
        Ok(keys.map_err(stored)?.into_iter().map(KeyView::new).collect())
    }

    /// Ends a key of the administrator's organisation, and what was opened by it if there is a place for that in
    /// `revoked`: an organisation that has used its share up ends the key alone.
    ///
    /// # Errors
    /// `forbidden`; `not_found`
    pub(crate) async fn revoke(
        &self,
        who: &Identity,
        prefix: &str,
        called_back: &called_back::Revoked,
    ) -> Result<(), Refusal> {
        let org = &admin(who)?.org;
        let user = format!("{USER}{prefix}").into();
        let told = called_back::Revocation::User { org: org.clone(), user, before: 0 };
        let mut tx = self.store.begin().await.map_err(stored)?;
        match called_back.admit(&told, now_seconds()) {
            Ok(()) => revoke(&mut tx, org, prefix).await?,
            Err(full) => {
                tracing::warn!(%full, prefix, "a key has ended, but not the connections it has opened");
                tx.revoke_key(org, prefix, wall_ms()).await.map_err(stored)?;
            }
        }
        tx.commit().await.map_err(stored)?;
        lock(&self.remembered).remove(prefix);
        Ok(())
    }
}

/// Refuses a key that was not made for this; whoever is no key passes.
///
/// # Errors
/// `forbidden`
pub(crate) fn allows(who: &Identity, scope: &str) -> Result<(), Refusal> {
    if who.is_key && !who.scopes.iter().any(|has| has == scope || has == "admin") {
        return Err(Refusal::new(Code::Forbidden, &format!("the key has no scope `{scope}`")));
    }
    Ok(())
}

/// Nobody makes a key that sees more than they do: one of the default organisation with the scope `admin` sees all of
/// them, an administrator of it that one alone.
fn sees_no_more(who: &Identity, scopes: &[String]) -> Result<(), Refusal> {
    let scopes = scopes.iter().map(Into::into).collect();
    let key = Identity { org: who.org.clone(), scopes, ..Identity::anonymous() };
    if Sight::of(&key).is_ok_and(|sight| sight == Sight::Everybody) && Sight::of(who)? != Sight::Everybody {
        let why = "a key that administers every organisation is made by operators, or on the command line";
        return Err(Refusal::new(Code::Forbidden, why));
    }
    Ok(())
}

fn identity(kept: &Kept) -> Identity {
    Identity {
        user: Some(format!("{USER}{}", kept.prefix).into()),
        org: kept.org.clone(),
        name: Some(kept.name.as_str().into()),
        scopes: kept.scopes.split(' ').map(Into::into).collect(),
        expires_at: kept.expires_ms.map(|ms| ms / 1_000),
        issued_at: Some(kept.created_ms / 1_000),
        ..Identity::anonymous()
    }
}

impl ApiKeys for StoredKeys {
    fn lookup<'a>(&'a self, key: &'a ApiKey) -> Pin<Box<dyn Future<Output = Found> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::time::timeout(PATIENCE, self.find(key.prefix())).await;
            let found = found.map_err(|_| unavailable("a key could not be looked up in time"))?;
            let kept = found.map_err(stored)?;
            let hash = kept.as_ref().map(|kept| *kept.digest.as_bytes());
            let matches = key.matches(&hash.unwrap_or(ApiKey::NOBODY));
            let now = wall_ms();
            let Some(kept) = kept.filter(|kept| matches && kept.is_good(now)) else { return Ok(None) };
            self.touch(&kept, now);
            Ok(Some(identity(&kept)))
        })
    }
}
