//! `tidings user` and `tidings key`: accounts and API keys without a console, and the people of the demo.

mod ask;
mod demo;
mod keys;
mod noted;
mod sessions;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use tidings_core::{Org, Refusal};
use tidings_server::accounts::{drop_password_links, ensure_org, input, password};
use tidings_server::audit::{Action, Entry};
use tidings_server::config::Config;
use tidings_store::revocations::{NewRevocation, Revoked};
use tidings_store::users::{NewUser, Status, User};
use tidings_store::{Store, StoreOptions, Tx};

use crate::config::{self, DatabaseFlags};
use crate::{output, records};

pub(crate) use demo::{administrator as demo_administrator, arrange as arrange_demo};
pub(crate) use keys::{KeyLine, run as run_key};
use noted::note;
use sessions::SessionsLine;

/// `tidings user`.
#[derive(Debug, Args)]
pub(crate) struct UserLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes an account whose address counts as verified; the password is asked for or read from standard input. Before
    /// the first start of a server it makes the database as well.
    Add(AddLine),
    /// Lists the accounts of an organisation: id, address, name, status, whether the address is verified, roles.
    List(ListLine),
    /// Lets somebody sign in no longer, and ends their sign-ins and tokens.
    Disable(OneLine),
    /// Lets somebody sign in again.
    Enable(OneLine),
    /// Gives somebody a role, or takes it away.
    Role(RoleLine),
    /// Lists when somebody was connected, from where, and how it ended; users of other issuers as well.
    Sessions(SessionsLine),
    /// Sets a password, asked for or read from standard input, and ends their sign-ins and tokens.
    Password(OneLine),
    /// Removes a second factor, as when the device is lost, and ends their sign-ins and tokens.
    NoSecondFactor(OneLine),
}

#[derive(Debug, Args)]
struct AddLine {
    #[command(flatten)]
    one: OneLine,
    /// The name others see; without one, what stands before the @.
    #[arg(long)]
    name: Option<String>,
    /// A role; may be repeated. `admin` administers the organisation, `operator` the server.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
}

#[derive(Debug, Args)]
struct ListLine {
    /// The organisation.
    #[arg(long, default_value = "default")]
    org: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct OneLine {
    /// The e-mail address.
    #[arg(value_name = "EMAIL")]
    email: String,
    /// The organisation.
    #[arg(long, default_value = "default")]
    org: String,
    #[command(flatten)]
    database: DatabaseFlags,
}

#[derive(Debug, Args)]
struct RoleLine {
    #[command(flatten)]
    one: OneLine,
    /// The role: letters, digits, `-`, `_`, `.` and `:`, 64 of them at most.
    #[arg(value_name = "ROLE")]
    role: String,
    /// Takes it away instead.
    #[arg(long)]
    remove: bool,
}

/// What every one of these commands works with.
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) org: Org,
    config: Config,
}

impl Desk {
    /// Opens a database that is there: in the wrong directory a new one would answer that there is nobody.
    async fn open(database: DatabaseFlags, org: &str) -> Result<Self> {
        Self::at(database, org, false).await
    }

    /// The same for what may come before the first start of a server; says so if the database is new.
    async fn open_or_make(database: DatabaseFlags, org: &str) -> Result<Self> {
        Self::at(database, org, true).await
    }

    async fn at(database: DatabaseFlags, org: &str, create: bool) -> Result<Self> {
        let org = Org::new(input::word(org, "--org").map_err(said)?);
        let resolved = config::resolve(&database.inputs())?;
        let url = config::database_url(&resolved)?;
        let missing = records::missing(&url.text);
        if create {
            let data_dir = &resolved.config.data_dir;
            config::make_directory(data_dir)
                .with_context(|| format!("cannot make {}", data_dir.display()))?;
        }
        let store = records::open(&url.text, StoreOptions { create, ..StoreOptions::default() }).await?;
        if let Some(path) = missing {
            output::note(&format!(
                "tidings: there was no database, so one was made ({path}); a server knows this if it uses that one"
            ));
        }
        Ok(Self { store, org, config: resolved.config })
    }

    /// Somebody by their address, held until the transaction ends: whoever signs in meanwhile waits.
    async fn user(&self, tx: &mut Tx, email: &str) -> Result<User> {
        let found = tx.user_by_email(&self.org, email).await?;
        let user = match found {
            Some(user) => tx.hold_user(&self.org, &user.id).await?,
            None => None,
        };
        user.with_context(|| format!("there is no {email} in the organisation {}", self.org.as_str()))
    }

    /// Ends somebody's sign-ins and the access tokens that were made until now.
    async fn end_sign_ins(&self, tx: &mut Tx, user: &str, reason: &str) -> Result<()> {
        tx.revoke_families(&self.org, user, reason, now_ms()).await?;
        self.end_tokens(tx, user, false, reason).await
    }

    /// Ends the access tokens that somebody has; if only their rights have changed, their connections come back.
    async fn end_tokens(&self, tx: &mut Tx, user: &str, rights_alone: bool, reason: &str) -> Result<()> {
        let now = now_ms();
        let expires_ms = now + (self.config.accounts.access_seconds + 60) * 1_000;
        let issued_before_ms = tx.after_tokens(&self.org, user, now).await?;
        let whose = Revoked::User(user.to_owned());
        let new = NewRevocation { what: &whose, issued_before_ms, expires_ms, rights_alone, reason };
        tx.revoke(&self.org, &new).await?;
        Ok(())
    }

    /// Asks for a password that may be set, and hashes it.
    fn new_hash(&self, email: &str) -> Result<String> {
        let text = ask::password()?;
        input::new_password(&text, self.config.accounts.password_least, email).map_err(said)?;
        password::hash(&text).map_err(anyhow::Error::msg)
    }
}

/// A refusal as an error of the command line: its sentence, for its code is for programs.
pub(crate) fn said(refusal: Refusal) -> anyhow::Error {
    anyhow!("{}", refusal.message)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Does what was asked for.
///
/// # Errors
/// Why it could not be done.
pub(crate) fn run(line: UserLine) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match line.what {
            What::Add(line) => add(line).await,
            What::List(line) => list(line).await,
            What::Sessions(line) => sessions::sessions(line).await,
            What::Disable(line) => set_status(line, Status::Disabled).await,
            What::Enable(line) => set_status(line, Status::Active).await,
            What::Role(line) => role(line).await,
            What::Password(line) => set_password(line).await,
            What::NoSecondFactor(line) => no_second_factor(line).await,
        }
    })
}

async fn add(line: AddLine) -> Result<()> {
    let email = input::email(&line.one.email).map_err(said)?;
    let name = input::name(line.name.as_deref(), email).map_err(said)?;
    line.roles.iter().try_for_each(|role| input::role(role, "--role").map(drop)).map_err(said)?;
    let desk = Desk::open_or_make(line.one.database, &line.one.org).await?;
    let taken = desk.store.read().await?.user_by_email(&desk.org, email).await?.is_some();
    if taken {
        bail!("{email} has an account already; `tidings user password` sets another password");
    }
    let hash = desk.new_hash(email)?;
    let (id, now) = (config::random_hex::<16>()?, now_ms());
    let mut tx = desk.store.begin().await?;
    ensure_org(&mut tx, &desk.org, noted::actor()).await?;
    let user = NewUser { id: &id, email, name, password_hash: Some(&hash), email_verified: true };
    tx.create_user(&desk.org, &user, now).await?;
    for role in &line.roles {
        tx.grant_role(&desk.org, &id, role).await?;
    }
    note(&mut tx, &desk.org, Entry::ok(Action::Register).on(id.clone()).with(line.roles.join(" "))).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{email} can sign in; id {id}"))
}

async fn list(line: ListLine) -> Result<()> {
    let desk = Desk::open(line.database, &line.org).await?;
    let mut records = desk.store.read().await?;
    let mut after = String::new();
    loop {
        let users = records.users(&desk.org, &after, 1_000).await?;
        let Some(last) = users.last() else { break };
        after = last.id.clone();
        for user in &users {
            let roles = records.roles(&desk.org, &user.id).await?.join(",");
            let proved = if user.email_verified { "verified" } else { "unverified" };
            let status = user.status.as_str();
            output::line(&format!(
                "{}\t{}\t{}\t{status}\t{proved}\t{roles}",
                user.id, user.email, user.name
            ))?;
        }
    }
    Ok(())
}

async fn set_status(line: OneLine, status: Status) -> Result<()> {
    let desk = Desk::open(line.database, &line.org).await?;
    let mut tx = desk.store.begin().await?;
    let user = desk.user(&mut tx, &line.email).await?;
    tx.set_status(&desk.org, &user.id, status).await?;
    if status == Status::Disabled {
        desk.end_sign_ins(&mut tx, &user.id, "disabled").await?;
    }
    let action = match status {
        Status::Active => Action::UserEnable,
        Status::Disabled => Action::Revocation,
    };
    let changed = Entry::ok(action).on(user.id).changed(user.status.as_str(), status.as_str());
    note(&mut tx, &desk.org, changed).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{} is {}", user.email, status.as_str()))
}

async fn role(line: RoleLine) -> Result<()> {
    // One that was given before roles had to be words can be taken away still.
    let allowed = if line.remove { input::word } else { input::role };
    let role = allowed(&line.role, "ROLE").map_err(said)?;
    let desk = Desk::open(line.one.database, &line.one.org).await?;
    let mut tx = desk.store.begin().await?;
    let user = desk.user(&mut tx, &line.one.email).await?;
    let before = tx.roles(&desk.org, &user.id).await?.join(" ");
    if line.remove {
        tx.take_role(&desk.org, &user.id, role).await?;
    } else {
        tx.grant_role(&desk.org, &user.id, role).await?;
    }
    // What a token says of roles is no longer true; its owner refreshes and goes on.
    desk.end_tokens(&mut tx, &user.id, true, "roles were changed").await?;
    let roles = tx.roles(&desk.org, &user.id).await?.join(" ");
    let changed = Entry::ok(Action::RoleChange).on(user.id).changed(before, roles.clone());
    note(&mut tx, &desk.org, changed).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{} has the roles: {roles}", user.email))
}

async fn set_password(line: OneLine) -> Result<()> {
    let desk = Desk::open(line.database, &line.org).await?;
    let found = desk.store.read().await?.user_by_email(&desk.org, &line.email).await?;
    let user = found.with_context(|| format!("there is no {}", line.email))?;
    let hash = desk.new_hash(&user.email)?;
    let mut tx = desk.store.begin().await?;
    desk.user(&mut tx, &line.email).await?;
    tx.set_password(&desk.org, &user.id, &hash, now_ms()).await?;
    drop_password_links(&mut tx, &desk.org, &user.id).await?;
    desk.end_sign_ins(&mut tx, &user.id, "the password was changed").await?;
    note(&mut tx, &desk.org, Entry::ok(Action::PasswordChange).on(user.id)).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{} has a new password", user.email))
}

async fn no_second_factor(line: OneLine) -> Result<()> {
    let desk = Desk::open(line.database, &line.org).await?;
    let mut tx = desk.store.begin().await?;
    let user = desk.user(&mut tx, &line.email).await?;
    if !tx.remove_second_factor(&desk.org, &user.id).await? {
        bail!("{} has no second factor", line.email);
    }
    desk.end_sign_ins(&mut tx, &user.id, "the second factor was removed").await?;
    note(&mut tx, &desk.org, Entry::ok(Action::FactorRemove).on(user.id)).await?;
    tx.commit().await?;
    desk.store.close().await;
    output::line(&format!("{} signs in without a second factor", user.email))
}
