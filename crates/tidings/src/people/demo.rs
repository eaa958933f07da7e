//! The people of the demo. Their password is known to everybody, so they are there with `--demo` alone.

use anyhow::{Context as _, Result};
use tidings_core::Org;
use tidings_server::accounts::password;
use tidings_store::Store;
use tidings_store::users::{NewUser, Status};

use super::now_ms;

const PASSWORD: &str = "password123";

/// Name, and the role that goes with it.
const PEOPLE: [(&str, Option<&str>); 4] =
    [("alice", Some("organizer")), ("bob", None), ("charlie", None), ("diana", None)];

/// Makes the people of the demo, or lets them in again; without the demo, keeps those of an earlier one out.
///
/// # Errors
/// What the store says; another account has one of the addresses.
pub(crate) async fn arrange(store: &Store, demo: bool) -> Result<()> {
    let org = Org::default();
    for (name, role) in PEOPLE {
        let id = format!("demo-{name}");
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

async fn make(store: &Store, org: &Org, name: &str, role: Option<&str>) -> Result<()> {
    let (id, email) = (format!("demo-{name}"), format!("{name}@example.com"));
    let hash = tokio::task::spawn_blocking(|| password::hash(PASSWORD)).await?.map_err(anyhow::Error::msg)?;
    let shown = name[..1].to_uppercase() + &name[1..];
    let mut tx = store.begin().await?;
    tx.ensure_org(org, now_ms()).await?;
    let user =
        NewUser { id: &id, email: &email, name: &shown, password_hash: Some(&hash), email_verified: true };
    let made = tx.create_user(org, &user, now_ms()).await;
    made.with_context(|| format!("--demo wants the address {email} for itself"))?;
    if let Some(role) = role {
        tx.grant_role(org, &id, role).await?;
    }
    Ok(tx.commit().await?)
}

async fn set(store: &Store, org: &Org, id: &str, status: Status) -> Result<()> {
    let mut tx = store.begin().await?;
    tx.set_status(org, id, status).await?;
    tx.revoke_families(org, id, "the demo", now_ms()).await?;
    tx.commit().await?;
    tracing::info!(id, status = status.as_str(), "somebody of the demo");
    Ok(())
}
