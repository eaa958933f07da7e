//! The people of the demo. Their password is known to everybody, so they are there with `--demo` alone; its administrator
//! has none, and a token for an hour.

use anyhow::{Context as _, Result};
use tidings_core::Org;
use tidings_server::accounts::{ensure_org, password};
use tidings_server::audit::Actor;
use tidings_server::config::Config;
use tidings_server::signin::Grant;
use tidings_store::Store;
use tidings_store::revocations::{NewRevocation, Revoked};
use tidings_store::users::{NewUser, Status};

use super::now_ms;

const PASSWORD: &str = "password123";

/// Who administers the demo.
const ADMINISTRATOR: &str = "demo-admin";

/// How long its token is good, in seconds; no longer than the server runs.
const HOUR: u64 = 3_600;

/// The longest an access token can live, whatever was configured for the demo, and a minute.
const TOKENS_LIVE_MS: u64 = (HOUR + 60) * 1_000;

/// Name, and the role that goes with it.
const PEOPLE: [(&str, Option<&str>); 4] =
    [("alice", Some("organizer")), ("bob", None), ("charlie", None), ("diana", None)];

/// Makes the people of the demo, or lets them in again; without the demo, keeps those of an earlier one out.
///
/// # Errors
/// What the store says; another account has one of the addresses.
pub(crate) async fn arrange(store: &Store, demo: bool) -> Result<()> {
    let org = Org::default();
    let was_here = store.read().await?.user(&org, &id_of(PEOPLE[0].0)).await?.is_some();
    if was_here {
        end_tokens(store, &org).await?;
    }
    for (name, role) in PEOPLE {
        let id = id_of(name);
        let known = store.read().await?.user(&org, &id).await?;
        match known {
            None if demo => make(store, &org, name, role).await?,
            None => {}
            Some(user) => {
                let wanted = if demo { Status::Active } else { Status::Disabled };
                if user.status != wanted {
                    set(store, &org, &id, wanted).await?;
                }
            }
        }
    }
    Ok(())
}

/// What lets somebody administer this server as long as it runs, and for an hour at most; `None` where it is not the
/// demo, or others may reach it.
pub(crate) fn administrator(config: &Config) -> Option<Grant> {
    // Every listener of the demo is on loopback: anything else is refused. A proxy may be reached by anybody.
    let is_ours = config.demo && !config.has_proxy();
    is_ours.then(|| Grant {
        user: ADMINISTRATOR.into(),
        org: Org::DEFAULT.into(),
        name: Some("Administrator".into()),
        scopes: vec!["admin".into()],
        lifetime_seconds: HOUR,
        ..Grant::default()
    })
}

/// Tokens that an earlier demo's administrator was given are good no longer.
async fn end_tokens(store: &Store, org: &Org) -> Result<()> {
    let whose = Revoked::User(ADMINISTRATOR.into());
    // Tokens say the second they were made in; the one that is about to be made has to be good.
    let issued_before_ms = now_ms() / 1_000 * 1_000;
    let (expires_ms, reason) = (now_ms() + TOKENS_LIVE_MS, "the demo was started again");
    let new = NewRevocation { what: &whose, issued_before_ms, expires_ms, rights_alone: false, reason };
    let mut tx = store.begin().await?;
    tx.revoke(org, &new).await?;
    Ok(tx.commit().await?)
}

fn id_of(name: &str) -> String {
    format!("demo-{name}")
}

async fn make(store: &Store, org: &Org, name: &str, role: Option<&str>) -> Result<()> {
    let (id, email) = (id_of(name), format!("{name}@example.com"));
    let hash = tokio::task::spawn_blocking(|| password::hash(PASSWORD)).await?.map_err(anyhow::Error::msg)?;
    let shown = name[..1].to_uppercase() + &name[1..];
    let mut tx = store.begin().await?;
    ensure_org(&mut tx, org, Actor::System).await?;
    let user =
        NewUser { id: &id, email: &email, name: &shown, password_hash: Some(&hash), email_verified: true };
    let made = tx.create_user(org, &user, now_ms()).await;
    made.with_context(|| format!("--demo wants the address {email} for itself"))?;
    if let Some(role) = role {
        tx.grant_role(org, &id, role).await?;
    }
    Ok(tx.commit().await?)
}

/// Lets somebody in or keeps them out; either way what they had before is over.
async fn set(store: &Store, org: &Org, id: &str, status: Status) -> Result<()> {
    let (now, reason) = (now_ms(), "the demo");
    let mut tx = store.begin().await?;
    tx.hold_user(org, id).await?;
    tx.set_status(org, id, status).await?;
    tx.revoke_families(org, id, reason, now).await?;
    let issued_before_ms = tx.after_tokens(org, id, now).await?;
    let (whose, expires_ms) = (Revoked::User(id.to_owned()), now + TOKENS_LIVE_MS);
    let revocation =
        NewRevocation { what: &whose, issued_before_ms, expires_ms, rights_alone: false, reason };
    tx.revoke(org, &revocation).await?;
    tx.commit().await?;
    tracing::info!(id, status = status.as_str(), "somebody of the demo");
    Ok(())
}
