//! `POST /api/publish` and `/api/publish/batch`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::post;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_app::objects::read_body;
use tidings_core::{Code, Identity, Lane, Org, Payload, Publish, Refusal, Room};
use tidings_store::Digest;
use tidings_wire::plain::ReceiptWish;
use tidings_wire::{json, plain};

use super::body::{Received, Unread, at_most, bad, idempotency, received};
use super::to_the_end::once_begun;
use super::{ByServer, Remote, refuse, respond, signed_in};
use crate::accounts::keys;
use crate::hooks::{Caller, Draft};
use crate::object::Object;
use crate::receipts::{Terms, write_terms};
use crate::shard::{write_published, write_remaining};
use crate::shared::{Shared, wall_ms};

/// Messages of one batch, and rooms of one message.
const BATCH: usize = 1_000;

/// Bytes of a message's place in its batch, behind the batch's key: a colon and three digits.
const PLACE_BYTES: usize = 4;

/// Rooms of all messages of a batch together: each has a result, which is longer than its name.
const RESULTS: usize = 10_000;

/// Others get a turn on this thread after so many messages of a batch.
const TURN: usize = 16;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let most = shared.settings.limits.message_bytes;
    let routes = Router::new()
        // A publish that was stored has receipts to wait for, and a batch its other messages.
        .route(
            "/api/publish",
            post(|shared, remote, head, body| once_begun(publish(Form::One, shared, remote, head, body))),
        )
        .route(
            "/api/publish/batch",
            post(|shared, remote, head, body| once_begun(publish(Form::Batch, shared, remote, head, body))),
        );
    at_most(most, routes).with_state(shared)
}

/// One message: to a room, to several, to a user, or to everybody of the organisation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow)]
    room: Option<Cow<'a, str>>,
    #[serde(borrow)]
    rooms: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    org: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    /// The digest of the batch it is one of, if that has a key.
    #[serde(skip)]
    batch: Option<[u8; 32]>,
    #[serde(borrow)]
    lane: Option<Cow<'a, str>>,
    volatile: Option<bool>,
    #[serde(borrow)]
    slot: Option<Cow<'a, str>>,
    receipt: Option<Receipt>,
}

/// `true` for what the server chooses, or an object that says some of it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Receipt {
    Wanted(bool),
    Wish(Object<Wish>),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    timeout_ms: Option<u32>,
    tries: Option<u32>,
}

impl Message<'_> {
    /// Null says nothing, here as on sockets.
    fn is_volatile(&self) -> bool {
        self.volatile.unwrap_or(false)
    }

    /// What is asked of the recipients, if anything is.
    fn terms(&self) -> Result<Option<Terms>, Refusal> {
        let wish = match self.receipt {
            None | Some(Receipt::Wanted(false)) => return Ok(None),
            Some(Receipt::Wanted(true)) => ReceiptWish::default(),
            Some(Receipt::Wish(Object(Wish { timeout_ms, tries }))) => ReceiptWish { timeout_ms, tries },
        };
        Terms::of(wish, self.is_volatile()).map(Some)
    }
}

#[derive(Debug, Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
}

/// What a body is.
#[derive(Debug, Clone, Copy)]
enum Form {
    One,
    Batch,
}

async fn publish(
    form: Form,
    State(shared): State<Arc<Shared>>,
    Extension(remote): Extension<Remote>,
    headers: HeaderMap,
    body: Unread,
) -> Response<Body> {
    match who(&shared, &headers).await {
        Ok(who) => {
            let body = body.receive().await;
            let caller = remote.caller(&who);
            let published = match (shared.still_good(&who).and_then(|()| text(&shared, &body)), form) {
                (Ok(body), Form::One) => publish_one(&shared, &caller, &headers, body).await,
                (Ok(body), Form::Batch) => publish_batch(&shared, &caller, &headers, body).await,
                (Err(refusal), _) => Err(refusal),
            };
            answer(&who, published)
        }
        Err(refusal) => body.refused(&refusal),
    }
}

async fn publish_one(
    shared: &Shared,
    caller: &Caller<'_>,
    headers: &HeaderMap,
    body: &str,
) -> Result<Vec<u8>, Refusal> {
    let mut message: Message<'_> = read_body(body)?;
    message.key = one_key(headers, message.key)?;
    send(shared, caller, &message, &mut false).await
}

/// The command `publish`, which names one room.
pub(super) async fn by_command(
    shared: &Shared,
    caller: &Caller<'_>,
    headers: &HeaderMap,
    body: &str,
) -> Result<Vec<u8>, Refusal> {
    let mut message: Message<'_> = read_body(body)?;
    if message.room.is_none() {
        return Err(bad("room: is missing"));
    }
    message.key = one_key(headers, message.key)?;
    send(shared, caller, &message, &mut false).await
}

/// Publishes in order; each message has its own result, and the batch one key.
async fn publish_batch(
    shared: &Shared,
    caller: &Caller<'_>,
    headers: &HeaderMap,
    body: &str,
) -> Result<Vec<u8>, Refusal> {
    let mut batch: Batch<'_> = read_body(body)?;
    batch.key = one_key(headers, batch.key)?;
    if batch.messages.len() > BATCH {
        return Err(Refusal::new(Code::TooLarge, "more messages than a batch may have"));
    }
    if batch.messages.iter().any(|message| message.key.is_some()) {
        return Err(Refusal::new(Code::BadRequest, "a batch has one key, its messages have none"));
    }
    // Each message has this key and its place; what is longer than a key may be would fail one by one.
    let most = shared.settings.limits.key_bytes.saturating_sub(PLACE_BYTES);
    if batch.key.as_ref().is_some_and(|key| key.len() > most) {
        return Err(bad(&format!("key: a batch's has at most {most} bytes")));
    }
    let targets = |message: &Message<'_>| message.rooms.as_ref().map_or(1, Vec::len);
    if batch.messages.iter().map(targets).sum::<usize>() > RESULTS {
        return Err(Refusal::new(Code::TooLarge, "more rooms than a batch may go to"));
    }
    let content = batch.key.as_ref().map(|_| content_of(&batch.messages));
    let (mut out, mut spent) = (b"{\"ok\":true,\"results\":[".to_vec(), false);
    for (at, message) in batch.messages.iter_mut().enumerate() {
        message.key = batch.key.as_ref().map(|key| format!("{key}:{at}").into());
        message.batch = content;
        if at > 0 {
            out.push(b',');
        }
        let result = send(shared, caller, message, &mut spent).await;
        // Nothing of it was published.
        if let (true, true, Err(refusal)) = (spent, at == 0, &result) {
            return Err(refusal.clone());
        }
        write_result(&mut out, result);
        if at % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// The digest of what a batch says to whom: under its key the same is once, and nothing else at all.
fn content_of(messages: &[Message<'_>]) -> [u8; 32] {
    let mut all = Vec::new();
    for message in messages {
        let one = [&message.room, &message.user_id, &message.org].map(|to| to.as_deref());
        let rooms = message.rooms.as_ref().map(|rooms| rooms.len().to_string());
        let many = message.rooms.iter().flatten().map(|room| Some(&**room));
        let data = json::meant(message.data.get());
        let said = [rooms.as_deref(), Some(&*message.event), Some(&*data)];
        for part in one.into_iter().chain(said).chain(many) {
            all.extend_from_slice(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
            all.extend_from_slice(part.unwrap_or_default().as_bytes());
        }
    }
    *Digest::of(&all).as_bytes()
}

/// The key of a body or of its header: two that differ would leave open which of them it is done once under.
fn one_key<'a>(headers: &'a HeaderMap, said: Option<Cow<'a, str>>) -> Result<Option<Cow<'a, str>>, Refusal> {
    match (idempotency(headers)?, said) {
        (Some(header), Some(said)) if header != said => {
            Err(bad("key: is another than that of the header Idempotency-Key"))
        }
        (Some(header), _) => Ok(Some(header.into())),
        (None, said) => Ok(said),
    }
}

fn write_result(out: &mut Vec<u8>, result: Result<Vec<u8>, Refusal>) {
    match result {
        Ok(body) => out.extend_from_slice(&body),
        Err(refusal) => {
            refusal.open_answer(out);
            out.push(b'}');
        }
    }
}

/// Sends a message to whom it is for. Once a batch's key has proved to stand for another batch (`spent`), no more of
/// it is sent.
async fn send(
    shared: &Shared,
    caller: &Caller<'_>,
    message: &Message<'_>,
    spent: &mut bool,
) -> Result<Vec<u8>, Refusal> {
    match (&message.room, &message.rooms, &message.user_id, &message.org) {
        (Some(room), None, None, None) => send_unless(spent, shared, caller, message, room).await,
        (None, None, Some(user), None) => {
            send_unless(spent, shared, caller, message, &format!("user:{user}")).await
        }
        (None, Some(rooms), None, None) if rooms.len() <= BATCH => {
            let mut out = b"{\"ok\":true,\"results\":[".to_vec();
            for (at, room) in rooms.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_result(&mut out, send_unless(spent, shared, caller, message, room).await);
            }
            out.extend_from_slice(b"]}");
            Ok(out)
        }
        (None, Some(_), None, None) => {
            Err(Refusal::new(Code::TooLarge, "more rooms than one message may go to"))
        }
        (None, None, None, Some(_)) if *spent => Err(Refusal::key_was_used()),
        (None, None, None, Some(org)) => announce(shared, caller, message, org),
        _ => Err(Refusal::new(Code::BadRequest, "exactly one of room, rooms, userId and org is needed")),
    }
}

async fn send_unless(
    spent: &mut bool,
    shared: &Shared,
    caller: &Caller<'_>,
    message: &Message<'_>,
    name: &str,
) -> Result<Vec<u8>, Refusal> {
    if *spent {
        return Err(Refusal::key_was_used());
    }
    let result = send_to(shared, caller, message, name).await;
    *spent = message.batch.is_some() && result.as_ref().is_err_and(Refusal::is_key_was_used);
    result
}

async fn send_to(
    shared: &Shared,
    caller: &Caller<'_>,
    message: &Message<'_>,
    name: &str,
) -> Result<Vec<u8>, Refusal> {
    let limits = &shared.settings.limits;
    let lane = checked_lane(shared, message)?;
    let room = Room::new(&caller.who.org, name, limits.room_name_bytes);
    let room = room.map_err(|error| bad(&error.to_string()))?;
    let what = Publish {
        room,
        event: &message.event,
        payload: payload(message),
        lane,
        volatile: message.is_volatile(),
        key: message.key.as_deref(),
        batch: message.batch.as_ref(),
        skip: None,
        slot: message.slot.as_deref(),
        ack: None,
    };
    let terms = message.terms()?;
    let draft = Draft { event: &message.event, data: message.data.get() };
    // It costs the same whether there is such a kind of rooms or not.
    let own = shared.node.kinds().spec(&what.room).ok().and_then(|spec| spec.publish_rate);
    let remaining = shared.gate.publish_by_request(caller.who, own, caller.address)?;
    let (published, tracking) = match terms {
        None => (shared.begin_publish(caller, draft, &what).await?.done().await?, None),
        Some(terms) => shared.publish_tracked(caller, draft, &what, terms, None).await?,
    };
    let mut out = b"{\"ok\":true".to_vec();
    write_published(&mut out, name, &published);
    if let Some(tracking) = tracking {
        write_terms(&mut out, terms);
        shared.receipts.follow(tracking);
    }
    write_remaining(&mut out, remaining);
    out.push(b'}');
    Ok(out)
}

fn announce(
    shared: &Shared,
    caller: &Caller<'_>,
    message: &Message<'_>,
    org: &str,
) -> Result<Vec<u8>, Refusal> {
    let lane = checked_lane(shared, message)?;
    if message.terms()?.is_some() {
        return Err(bad("receipt: what goes to everybody is not tracked"));
    }
    let (org, payload) = (Org::new(org), payload(message));
    let remaining = shared.gate.publish_by_request(caller.who, None, caller.address)?;
    let published = shared.node.announce(caller.who, &org, &message.event, payload, lane, wall_ms())?;
    let mut out =
        format!("{{\"ok\":true,\"messageId\":\"{}\",\"durability\":\"memory\"", published.id).into_bytes();
    write_remaining(&mut out, remaining);
    out.push(b'}');
    Ok(out)
}

fn payload(message: &Message<'_>) -> Payload {
    Payload::json(Bytes::copy_from_slice(message.data.get().as_bytes()))
}

/// Checks the parts every message has, and reads its lane.
fn checked_lane(shared: &Shared, message: &Message<'_>) -> Result<Option<Lane>, Refusal> {
    let limits = &shared.settings.limits;
    if !plain::is_free_event_name(&message.event, limits) {
        return Err(bad("event: is empty, too long or reserved"));
    }
    // As on sockets; and what the log cannot store must not spoil the transaction of others.
    let spoilt =
        |key: &str| key.is_empty() || key.len() > limits.key_bytes || key.chars().any(char::is_control);
    if message.key.as_deref().is_some_and(spoilt) {
        return Err(bad("key: is empty, too long or not printable"));
    }
    if message.slot.as_deref().is_some_and(spoilt) {
        return Err(bad("slot: is empty, too long or not printable"));
    }
    match message.lane.as_deref() {
        Some(name) => Lane::parse(name).map(Some).ok_or_else(|| bad("lane: is unknown")),
        None => Ok(None),
    }
}

fn text<'a>(shared: &Shared, body: &'a Received) -> Result<&'a str, Refusal> {
    let body = received(body)?;
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8"))?;
    json::check(text, shared.settings.limits.json_depth).map_err(|violation| bad(violation.detail))?;
    Ok(text)
}

/// Who publishes; what cannot be taken from anybody is refused before that is asked.
async fn who(shared: &Shared, headers: &HeaderMap) -> Result<Identity, Refusal> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(bad("an encoded body is not taken"));
    }
    let who = signed_in(shared, headers).await?;
    keys::allows(&who, "publish")?;
    Ok(who)
}

fn answer(who: &Identity, result: Result<Vec<u8>, Refusal>) -> Response<Body> {
    let mut response = match result {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(refusal) => refuse(&refusal),
    };
    if who.has_server_scope() {
        response.extensions_mut().insert(ByServer);
    }
    response
}
