//! Mail: what is written into the outbox, and who sends it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tidings_core::{Org, Refusal};
use tidings_store::mail::{Mail, NewMail};
use tidings_store::{Result, Store, Tx};
use tokio::sync::{Notify, watch};

use super::{secret, stored};
use crate::shared::wall_ms;

/// Sends mail. Put one of your own into `Extras::mail`; without one [`ToTheLog`] does it.
///
/// The outbox calls it for one mail after the other, and again later for one that failed. A mail may
/// come twice: if the server ends between sending and noting that it was sent.
pub trait MailSender: Send + Sync + 'static {
    /// Sends one mail within ten seconds.
    ///
    /// # Errors
    /// A sentence for the log; the mail is tried again.
    fn send<'a>(
        &'a self,
        mail: &'a Mail,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send + 'a>>;
}

/// Writes mails to the log, for whoever runs the server: their links let the reader in.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToTheLog;

impl MailSender for ToTheLog {
    fn send<'a>(
        &'a self,
        mail: &'a Mail,
    ) -> Pin<Box<dyn Future<Output = std::result::Result<(), String>> + Send + 'a>> {
        tracing::info!(to = %mail.to, kind = %mail.kind, "mail, not sent but written here: {}\n{}", mail.subject, mail.text);
        Box::pin(async { Ok(()) })
    }
}

/// Mails taken at once.
const TAKEN: u32 = 32;
/// One mail may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// What was taken and not heard of is due again after so long.
const AGAIN_MS: u64 = 600_000;
/// The outbox is looked at this often even if nobody says that there is something in it.
const LOOK: Duration = Duration::from_secs(15);
/// Mail is kept so long, for it holds links: no link works longer than a week, most a day.
const KEPT_MS: u64 = 7 * 86_400_000;
/// What is over is deleted this often.
const TIDY: Duration = Duration::from_secs(3_600);

/// Wakes whoever sends.
#[derive(Default)]
pub(crate) struct Outbox(Notify);

impl Outbox {
    /// Says that there is new mail.
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }

    /// Sends what is in the store until `stop` changes.
    pub(crate) async fn run(
        self: Arc<Self>,
        store: Store,
        sender: Arc<dyn MailSender>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut tidied: Option<tokio::time::Instant> = None;
        loop {
            if let Err(error) = send_due(&store, sender.as_ref()).await {
                tracing::warn!(%error, "mail waits");
            }
            if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                tidied = Some(tokio::time::Instant::now());
                if let Err(error) = tidy(&store).await {
                    tracing::warn!(%error, "what is over is not deleted");
                }
            }
            tokio::select! {
                () = self.0.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.changed() => return,
            }
        }
    }
}

async fn send_due(store: &Store, sender: &dyn MailSender) -> Result<()> {
    loop {
        let now = wall_ms();
        let mails = store.take_mail(now, now + AGAIN_MS, TAKEN).await?;
        if mails.is_empty() {
            return Ok(());
        }
        for mail in mails {
            let sent = tokio::time::timeout(PATIENCE, sender.send(&mail)).await;
            let sent = sent.unwrap_or_else(|_| Err(format!("not sent within {PATIENCE:?}")));
            note(store, &mail, sent).await?;
        }
    }
}

async fn note(store: &Store, mail: &Mail, sent: std::result::Result<(), String>) -> Result<()> {
    let mut tx = store.begin().await?;
    match sent {
        Ok(()) => tx.mail_was_sent(&mail.org, &mail.id, wall_ms()).await.map(drop)?,
        Err(why) => {
            tracing::warn!(kind = %mail.kind, attempts = mail.attempts, why, "a mail was not sent");
            // 10 s, 20 s, 40 s and so on, an hour at most.
            let wait = (10_000_u64 << mail.attempts.min(10)).min(3_600_000);
            let why: String = why.chars().take(1_000).collect();
            let why = if why.is_empty() { "unknown".to_owned() } else { why };
            tx.mail_failed(&mail.org, &mail.id, &why, wall_ms() + wait).await?;
        }
    }
    tx.commit().await
}

/// Deletes mail, links and refresh families that are over, a bounded number each time.
async fn tidy(store: &Store) -> Result<()> {
    let now = wall_ms();
    let mut tx = store.begin().await?;
    tx.prune_mail(now.saturating_sub(KEPT_MS)).await?;
    tx.prune_links(now).await?;
    // A while longer, so that a token of one that is over is still known as such.
    tx.prune_families(now.saturating_sub(KEPT_MS)).await?;
    tx.commit().await
}

/// A mail that is about an account.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// The link proves the address.
    Verify(&'a str),
    /// Somebody registered an address that has an account.
    Taken,
    /// The link sets a password.
    Reset(&'a str),
    /// The link makes the account the reader's.
    Invite(&'a str),
}

impl About<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Verify(_) => "verify",
            Self::Taken => "taken",
            Self::Reset(_) => "reset",
            Self::Invite(_) => "invite",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Self::Verify(_) => "Confirm your e-mail address",
            Self::Taken => "You have an account already",
            Self::Reset(_) => "Set a new password",
            Self::Invite(_) => "You are invited",
        }
    }

    fn text(self, org: &Org, page: &str) -> String {
        let link = |word: &str, secret: &str| format!("{page}#{word}={secret}");
        match self {
            Self::Verify(secret) => format!(
                "Somebody, most likely you, has registered this address. Within 24 hours, this link confirms it:\n\n{}\n\n\
                 If it was not you, do nothing.\n",
                link("verify", secret)
            ),
            Self::Taken => {
                "Somebody, maybe you, has tried to register this address. It has an account already: sign \
                            in, or ask for a new password.\nIf it was not you, do nothing.\n"
                    .to_owned()
            }
            Self::Reset(secret) => format!(
                "Within 30 minutes, this link sets a new password and signs you out everywhere:\n\n{}\n\n\
                 If you did not ask for it, do nothing.\n",
                link("reset", secret)
            ),
            Self::Invite(secret) => format!(
                "An administrator has made an account for you in the organisation {}. Within 7 days, this link lets you \
                 choose a password:\n\n{}\n",
                org.as_str(),
                link("invite", secret)
            ),
        }
    }
}

/// Puts a mail into the outbox; it is sent once the transaction is committed and the outbox woken.
///
/// # Errors
/// What the store says.
pub(crate) async fn post(
    tx: &mut Tx,
    org: &Org,
    to: &str,
    about: About<'_>,
    page: &str,
) -> std::result::Result<(), Refusal> {
    let id = secret::id()?;
    let text = about.text(org, page);
    let mail = NewMail { id: &id, to, subject: about.subject(), text: &text, kind: about.kind() };
    tx.post_mail(org, &mail, wall_ms()).await.map_err(stored)
}
