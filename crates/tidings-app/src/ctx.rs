//! What a channel may do while it answers somebody, and what an app may do by itself.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings_core::{Code, Identity, Lane, Org, Position, Refusal, Room, UserKey, lock};
use tidings_store::Reader;

use crate::Pending;
use crate::channel::Channel;
use crate::command::{Event, written};
use crate::commit::{Changes, Emitted, Work};
use crate::engine::{Caller, Engine};
use crate::once::{self, Known, Once};
use crate::tells::Tells;

/// What is known of one call, while it is answered.
pub(crate) struct Calling {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) caller: Caller,
    pub(crate) once: Option<Once>,
    /// The reply of the first attempt, if this is another.
    replayed: Mutex<Option<String>>,
    committed: AtomicBool,
    /// The room somebody wants to join, and the moment of it that was read.
    joining: Option<Room>,
    moment: Mutex<Option<Position>>,
}

impl Calling {
    pub(crate) fn new(engine: Arc<dyn Engine>, caller: Caller) -> Self {
        let (replayed, committed, moment) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Self { engine, caller, once: None, replayed, committed, joining: None, moment }
    }

    /// A call that wants to know how a room stands: nothing after what was heard by now is missed.
    pub(crate) fn joining(engine: Arc<dyn Engine>, caller: Caller, room: &Room) -> Self {
        let top = engine.top(room);
        let new = Self::new(engine, caller);
        Self { joining: Some(room.clone()), moment: Mutex::new(top), ..new }
    }

    pub(crate) fn replayed(&self) -> Option<String> {
        lock(&self.replayed).take()
    }

    pub(crate) fn moment(&self) -> Option<Position> {
        *lock(&self.moment)
    }
}

/// What a channel may do while it answers somebody.
pub struct Ctx<'a, C> {
    calling: &'a Calling,
    channel: PhantomData<fn() -> C>,
}

impl<C> Clone for Ctx<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Ctx<'_, C> {}

impl<'a, C: Channel> Ctx<'a, C> {
    pub(crate) fn new(calling: &'a Calling) -> Self {
        Self { calling, channel: PhantomData }
    }

    /// Who asks.
    pub fn who(&self) -> &'a Identity {
        &self.calling.caller.who
    }

    /// The user who asks.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] for an anonymous client.
    pub fn user(&self) -> Result<&'a str, Refusal> {
        let user = self.who().user.as_deref();
        user.ok_or_else(Refusal::needs_sign_in)
    }

    /// The organisation of who asks; nothing of another one is reached by this context.
    pub fn org(&self) -> &'a Org {
        &self.who().org
    }

    /// A room of this organisation.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a name that cannot be a room's.
    pub fn room(&self, name: &str) -> Result<Room, Refusal> {
        self.stage().room(self.org(), name)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.calling.engine.now_ms()
    }

    /// Does the command: rows and events in one transaction, with the reply. What was refused or failed
    /// leaves nothing; of a command with a key the reply of its first attempt is answered.
    ///
    /// The closure runs on the log's writer, so it owns what it needs, and is `unavailable` if it takes longer
    /// than the server lets it.
    ///
    /// # Errors
    /// What the closure refuses; [`Code::Unavailable`] if it cannot be stored now. A second commit of one call
    /// is refused: a command is one transaction.
    pub async fn commit<F>(&self, work: F) -> Result<C::Reply, Refusal>
    where
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<C::Reply, Refusal>> + Send + 'static,
    {
        if self.calling.committed.swap(true, Ordering::Relaxed) {
            tracing::error!(channel = C::NAMESPACE, "a command committed twice; it is one transaction");
            return Err(Refusal::new(Code::Unavailable, "this command cannot be done"));
        }
        let Some(once) = self.calling.once.clone() else { return self.stage().commit(work).await };
        let known = Arc::new(Mutex::new(None));
        let found = known.clone();
        let done = self.stage().commit(move |changes| Box::pin(keyed(changes, once, found, work))).await;
        *lock(&self.calling.replayed) = lock(&known).take();
        done
    }

    /// The key it is to be done once under, for a command that shares its transaction with others; what was done before is
    /// answered as it was when it is refused.
    pub fn once(&self) -> Option<Once> {
        self.calling.once.clone()
    }

    /// Takes a connection to read with, which sees one moment for as long as it is held.
    ///
    /// In [`Channel::join`] that moment is the one after which the newcomer hears everything.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if there is no database, or it does not answer.
    pub async fn read(&self) -> Result<Reader, Refusal> {
        let mut reader = self.calling.engine.read().await?;
        if let Some(room) = &self.calling.joining
            && let Some(head) = reader.log_room(room).await?
        {
            *lock(&self.calling.moment) = Some(head.top);
        }
        Ok(reader)
    }

    /// Says something in a room that has no rows: a cursor, a sign of life.
    ///
    /// # Errors
    /// [`Code::NotFound`] if its kind is not declared; as [`Emitted::new`].
    pub async fn publish(&self, room: &Room, event: &C::Event) -> Result<(), Refusal> {
        self.stage().publish(room, event).await
    }

    /// Says something to this connection alone, behind the answer; nothing by HTTP.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if it cannot be written.
    pub fn send<E: Event>(&self, event: &E) -> Result<(), Refusal> {
        let (name, payload) = written(event)?;
        if let Some(peer) = &self.calling.caller.peer {
            peer.send(&name, payload.text().to_owned());
        }
        Ok(())
    }

    /// Takes this connection into a room, by the room's rules.
    ///
    /// # Errors
    /// The room's rules; [`Code::BadRequest`] by HTTP, where there is no connection.
    pub async fn join(&self, room: &Room) -> Result<(), Refusal> {
        let Some(peer) = &self.calling.caller.peer else {
            return Err(Refusal::new(Code::BadRequest, "this command needs a connection"));
        };
        peer.join(room.clone()).await
    }

    /// The same for a room of this channel, with how it stands: looked at before, which may refuse it and wakes what
    /// sleeps, and again when it is heard, so that nothing that comes after it is missed.
    ///
    /// # Errors
    /// As [`Channel::join`] and [`Ctx::join`].
    pub async fn enter(&self, channel: &C, room: &Room) -> Result<C::Snapshot, Refusal> {
        channel.join(*self, room).await?;
        self.join(room).await?;
        channel.join(*self, room).await
    }

    /// Takes this connection out of a room.
    pub fn leave(&self, room: &Room) {
        if let Some(peer) = &self.calling.caller.peer {
            peer.leave(room.clone());
        }
    }

    /// What stays when this call is answered.
    pub fn stage(&self) -> Stage {
        Stage { engine: self.calling.engine.clone() }
    }
}

/// Does work under a key, or finds what it was answered with.
async fn keyed<T, F>(
    changes: &mut Changes,
    once: Once,
    found: Arc<Mutex<Option<String>>>,
    work: F,
) -> Result<T, Refusal>
where
    T: serde::Serialize,
    F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>>,
{
    let now_ms = changes.now_ms();
    match once.claim(changes, now_ms).await? {
        None => {}
        Some(Known::Other) => return Err(once::other()),
        Some(Known::Reply(reply)) => {
            *lock(&found) = Some(reply);
            return Err(Refusal::new(Code::Conflict, "this was done before"));
        }
    }
    let reply = work(changes).await?;
    let text = serde_json::to_string(&reply).map_err(|error| {
        tracing::error!(%error, "a reply cannot be written");
        Refusal::new(Code::Unavailable, "the reply cannot be written")
    })?;
    once.keep(changes, &text).await?;
    Ok(reply)
}

/// What was done before under a key. What cannot be read now is not known.
pub(crate) async fn before(engine: &Arc<dyn Engine>, once: &Once) -> Option<Result<Told, Refusal>> {
    let mut reader = engine.read().await.ok()?;
    match once.look(&mut reader, engine.now_ms()).await.ok()?? {
        Known::Reply(json) => Some(Ok(Told { json, duplicate: true })),
        Known::Other => Some(Err(once::other())),
    }
}

fn unknown() -> Refusal {
    Refusal::unavailable("it is not known what became of it")
}

/// What came of something that is done once under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it was answered with, as JSON.
    pub json: String,
    /// It was done before, and this is what was answered then.
    pub duplicate: bool,
}

/// Bytes of a room's name that an app makes by itself; for those that clients name the server has a bound of its own.
const ROOM_BYTES: usize = 1_024;

/// A room that an app names by itself, where there is no server at hand to ask.
///
/// # Errors
/// [`Code::BadRequest`] for a name that cannot be a room's.
pub fn room(org: &Org, name: &str) -> Result<Room, Refusal> {
    named(org, name, ROOM_BYTES)
}

fn named(org: &Org, name: &str, most: usize) -> Result<Room, Refusal> {
    Room::new(org, name, most).map_err(|bad| Refusal::bad_request(&bad.to_string()))
}

/// How often it is tried to tell what did not fit in a transaction, and how long it is waited in between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// What an app may do by itself: from its timers, its HTTP routes, its own tasks.
#[derive(Clone)]
pub struct Stage {
    pub(crate) engine: Arc<dyn Engine>,
}

impl Stage {
    /// A room.
    ///
    /// # Errors
    /// [`Code::BadRequest`] for a name that cannot be a room's.
    pub fn room(&self, org: &Org, name: &str) -> Result<Room, Refusal> {
        named(org, name, self.engine.room_name_bytes())
    }

    /// Whether somebody may take data away as a whole now; asked before it is read.
    ///
    /// # Errors
    /// [`Code::PasswordAgain`] for whoever has signed in and has to give the password again.
    pub async fn may_export(&self, who: &Identity) -> Result<(), Refusal> {
        self.engine.may_export(who).await
    }

    /// Writes into the audit log that somebody takes data away as a whole; `what` names the data.
    pub fn exported(&self, who: &Identity, what: impl Into<String>) {
        self.engine.exported(who, what.into());
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.engine.now_ms()
    }

    /// Rows and events in one transaction, and behind it what [`Changes::tell`] left for others.
    ///
    /// # Errors
    /// What the closure refuses; [`Code::Unavailable`] if it cannot be stored now.
    pub async fn commit<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        let done = Arc::new(Mutex::new(None));
        let place = done.clone();
        let work = Work::new(move |changes| {
            Box::pin(async move {
                let value = work(changes).await?;
                *lock(&place) = Some((value, changes.left()));
                Ok(())
            })
        });
        self.engine.commit(work).await?;
        let (value, left) = lock(&done).take().ok_or_else(unknown)?;
        self.tell_left(left).await;
        Ok(value)
    }

    /// Tells what did not fit. What brought it about is stored and answered as it is, whatever becomes of this.
    async fn tell_left(&self, mut left: Tells) {
        let mut tries = 1;
        while !left.is_empty() {
            match self.tell_some(left.clone()).await {
                Ok(rest) => (left, tries) = (rest, 1),
                Err(refusal) if refusal.code.retryable() && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(refusal) => {
                    return tracing::warn!(%refusal, left = left.len(), "what has happened was not told to everybody");
                }
            }
        }
    }

    /// Tells as much as fits in a transaction of its own; what is left.
    async fn tell_some(&self, tells: Tells) -> Result<Tells, Refusal> {
        let rest = Arc::new(Mutex::new(Tells::default()));
        let place = rest.clone();
        let work = Work::new(move |changes| {
            Box::pin(async move {
                changes.tell(tells)?;
                *lock(&place) = changes.left();
                Ok(())
            })
        });
        self.engine.commit(work).await?;
        let rest = std::mem::take(&mut *lock(&rest));
        Ok(rest)
    }

    /// The same once under a key, as [`Ctx::commit`] does it for a command: a repeat is answered as the first
    /// was. `body` is what was asked, by which a repeat is told from something else under the same key.
    ///
    /// # Errors
    /// As [`Stage::commit`]; [`Code::BadRequest`] for a key beyond its bounds or of somebody who did not sign
    /// in, [`Code::Conflict`] for one that was used for something else.
    pub async fn commit_once<T, F>(
        &self,
        caller: &Caller,
        key: &str,
        body: [&str; 3],
        work: F,
    ) -> Result<Told, Refusal>
    where
        T: serde::Serialize + Send + 'static,
        F: for<'c> FnOnce(&'c mut Changes) -> Pending<'c, Result<T, Refusal>> + Send + 'static,
    {
        let once = Once::new(&caller.who, key, body)?;
        let known = Arc::new(Mutex::new(None));
        let (found, place) = (known.clone(), Arc::new(Mutex::new(None)));
        let made = place.clone();
        let work = Work::new(move |changes| {
            Box::pin(async move {
                let value = keyed(changes, once, found, work).await?;
                *lock(&made) = serde_json::to_string(&value).ok().map(|json| (json, changes.left()));
                Ok(())
            })
        });
        let done = self.engine.commit(work).await;
        if let Some(json) = lock(&known).take() {
            return Ok(Told { json, duplicate: true });
        }
        done?;
        let (json, left) = lock(&place).take().ok_or_else(unknown)?;
        self.tell_left(left).await;
        Ok(Told { json, duplicate: false })
    }

    /// What is to be done once under a key, by whoever asks; `body` as for [`Stage::commit_once`].
    ///
    /// # Errors
    /// As [`Stage::commit_once`] of the key.
    pub fn once(&self, caller: &Caller, key: &str, body: [&str; 3]) -> Result<Once, Refusal> {
        Once::new(&caller.who, key, body)
    }

    /// What was answered to what was done before under a key, if anything was.
    ///
    /// # Errors
    /// [`Code::Conflict`] if it was something else.
    pub async fn answered(&self, once: &Once) -> Option<Result<Told, Refusal>> {
        before(&self.engine, once).await
    }

    /// How a room's place stands in the header `Tidings-Position` of an answer: what is read after this is at least as
    /// new, so whoever keeps the answer drops it with the next event of the room. Of a durable room that nobody hears
    /// the log is asked. `None` of one that keeps nothing, or is kept in memory and is not there, and if it cannot be said.
    pub async fn position(&self, room: &Room) -> Option<String> {
        place(room, self.engine.stands(room).await?)
    }

    /// Whether what a room has said, or that it has said nothing, is in memory here: if it is not, nobody can come back
    /// and go on from there as if he had missed nothing. Of a room that keeps nothing it is never in memory.
    pub fn remembers(&self, room: &Room) -> bool {
        self.engine.top(room).is_some()
    }

    /// How many subscriptions a room has on this server, those of the invisible among them.
    pub fn members(&self, room: &Room) -> usize {
        self.engine.members(room)
    }

    /// Whether a user wishes to be seen by nobody but itself: an app tells nobody else that it is there.
    pub fn is_invisible(&self, org: &Org, user: &str) -> bool {
        self.engine.is_invisible(&UserKey::new(org, user))
    }

    /// Takes everybody out of a room, behind what was said in it: each is told `tidings:left` with the reason
    /// `closed`. Who may come in again is for [`Channel::join`] and [`Channel::admit`] to say.
    pub fn close(&self, room: &Room) {
        self.engine.close(room);
    }

    /// Takes a connection to read with, which sees one moment for as long as it is held.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if there is no database, or it does not answer.
    pub async fn read(&self) -> Result<Reader, Refusal> {
        self.engine.read().await
    }

    /// Whether a user has a connection to this server, seen by others or not: one that has its personal room, is in a room
    /// with a roster, or is announced, as `GET /api/users/ID/presence` knows it.
    pub fn is_connected(&self, org: &Org, user: &str) -> bool {
        self.engine.is_connected(&UserKey::new(org, user))
    }

    /// Says something in a room that has no rows.
    ///
    /// # Errors
    /// [`Code::NotFound`] if its kind is not declared; as [`Emitted::new`].
    pub async fn publish<E: Event>(&self, room: &Room, event: &E) -> Result<(), Refusal> {
        self.engine.publish(Emitted::new(room, event)?).await
    }

    /// Says something that is not kept, whatever the room's kind keeps: of one name and slot a slow client hears the
    /// newest, and whoever comes later hears nothing of it.
    ///
    /// # Errors
    /// As [`Stage::publish`].
    pub async fn publish_volatile<E: Event>(
        &self,
        room: &Room,
        event: &E,
        lane: Option<Lane>,
    ) -> Result<(), Refusal> {
        self.engine.publish(Emitted { lane, volatile: true, ..Emitted::new(room, event)? }).await
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage")
    }
}

/// A room's place in the header `Tidings-Position`; `None` if its name holds what no header does.
pub fn place(room: &Room, at: Position) -> Option<String> {
    let (name, Position { epoch, offset, tag }) = (room.name(), at);
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    is_plain.then(|| format!("room={name}; epoch={epoch}; offset={offset}; tag={tag:08x}"))
}
