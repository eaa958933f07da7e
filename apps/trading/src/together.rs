//! What several ask of a room, in one transaction: its row is held once, its entries are one statement, its row is
//! written once. Each stands and falls by itself, since what a room refuses changes nothing in it.

use std::sync::Arc;

use tidings_app::commit::TOGETHER;
use tidings_app::{Changes, Lane, Org, Refusal, Tells};

use crate::acts::{No, turned};
use crate::journal::{Entry, Input};
use crate::order::Ask;
use crate::refused::{Reason, Refused};
use crate::room::{FILLS_MOST, Room};
use crate::rooms::{Key, Rooms};
use crate::store::{self, Head};
use crate::telling::{self, place};
use crate::views;
use crate::wire::OrderReply;

/// Entries of one transaction at most; what waits behind them is for the next.
const ENTRIES_MOST: usize = 500;
/// What an order or a cancellation tells at most, where all have met the newest price: a fill of its own, what is left of
/// it, why, what its member has then, and a digest of that.
const ORDER_TELLS: usize = 10;
/// What anything else tells at most, but for the end of a room: three and a digest for each of its fills.
const TELLS: usize = 4 * FILLS_MOST + 2;

/// What came of inputs.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// How the order stands that was placed or cancelled, if one was.
    pub(crate) reply: Option<OrderReply>,
    /// How many of the inputs were taken.
    pub(crate) taken: usize,
    /// Whether the one behind them was refused.
    pub(crate) is_refused: bool,
    /// Whether orders have not all met a price.
    pub(crate) goes_on: bool,
}

/// What was answered, one for one, and what did not fit.
type Answers = (Vec<Result<Done, No>>, Vec<Vec<Input>>);

/// Does in a room what several ask, each of whom has a list of inputs.
///
/// # Errors
/// If it cannot be stored; then nothing of it is done.
pub(crate) async fn together(
    rooms: &Arc<Rooms>,
    tx: &mut Changes,
    key: &Key,
    asked: Vec<Vec<Input>>,
) -> Result<Answers, Refusal> {
    let (row, room) = rooms.take(tx, key).await?;
    let (before, now_ms) = (room.state(), row.time(tx.now_ms()));
    let (tells, stored) = (Tells::default(), Vec::new());
    let mut doing = Doing { org: &key.0, room, now_ms, tells, stored };
    let (mut answers, mut asked) = (Vec::with_capacity(asked.len()), asked.into_iter());
    while let Some(next) = asked.as_slice().first().and_then(|inputs| inputs.first())
        && doing.has_space_for(next)
        && doing.room.state() == before
    {
        answers.push(doing.inputs(asked.next().unwrap_or_default())?);
    }
    let Doing { room, tells, stored, .. } = doing;
    tx.tell(tells)?;
    if !stored.is_empty() {
        store::write(tx, &key.0, &key.1, &stored).await?;
        if stored.iter().any(|entry| entry.input.is_of_a_switch()) {
            let next = room.next_cancel_ms().map(|at| row.when(at));
            store::cancel_next(tx, &key.0, &key.1, next).await?;
        }
        if before != room.state() {
            turned(tx, &key.0, &row, &room).await?;
        }
        save(tx, &key.0, &room).await?;
    }
    rooms.put(key, room);
    let (rooms, key) = (rooms.clone(), key.clone());
    tx.after(move || rooms.settle_after(&key, &stored));
    Ok((answers, asked.collect()))
}

async fn save(tx: &mut Changes, org: &Org, room: &Room) -> Result<(), Refusal> {
    let head = Head {
        state: room.state().as_str(),
        members: room.members(),
        seq: room.seq(),
        chain: &room.chain().to_string(),
        started_ms: room.started_ms(),
        ended_ms: room.ended_ms(),
    };
    store::save(tx, org, room.id(), &head).await
}

/// A room while several things are done in it.
struct Doing<'a> {
    org: &'a Org,
    room: Room,
    now_ms: u64,
    tells: Tells,
    stored: Vec<Entry>,
}

impl Doing<'_> {
    /// Whether what an input may tell fits in the transaction; the first always does.
    fn has_space_for(&self, input: &Input) -> bool {
        let met = self.room.unfinished().is_none();
        let tells = match input {
            Input::Place { .. } | Input::Cancel { .. } if met => ORDER_TELLS,
            _ => TELLS,
        };
        self.stored.is_empty() && self.tells.is_empty()
            || self.tells.len() + tells <= TOGETHER && self.stored.len() < ENTRIES_MOST
    }

    /// What one asks. Errors are those of the store.
    fn inputs(&mut self, inputs: Vec<Input>) -> Result<Result<Done, No>, Refusal> {
        let mut done = Done::default();
        for input in inputs {
            let is_price = matches!(input, Input::Price { .. });
            if is_price && done.taken == 0 {
                self.go_on()?;
            }
            // The next price waits until all have met the one before it.
            let waits = is_price && self.room.unfinished().is_some();
            if waits || done.taken > 0 && !self.has_space_for(&input) {
                break;
            }
            match self.one(input)? {
                Ok(reply) => (done.reply, done.taken) = (reply, done.taken + 1),
                Err(refused) if done.taken == 0 => return Ok(Err(refused.into())),
                Err(_) => {
                    done.is_refused = true;
                    break;
                }
            }
        }
        done.goes_on = self.room.unfinished().is_some();
        Ok(Ok(done))
    }

    /// A server that was killed may have left some that have not met the newest price.
    fn go_on(&mut self) -> Result<(), Refusal> {
        let unmet = self.room.unfinished().map(|symbol| Input::GoOn { symbol: symbol.to_owned() });
        unmet.map_or(Ok(()), |input| self.one(input).map(drop))
    }

    /// One input: how the order stands that it was about, or why not.
    fn one(&mut self, input: Input) -> Result<Result<Option<OrderReply>, Refused>, Refusal> {
        let whose = match &input {
            Input::Place { user, .. } | Input::Cancel { user, .. } => Some(user.clone()),
            _ => None,
        };
        let placed = match &input {
            Input::Place { user, ask } => Some((user.clone(), ask.clone())),
            _ => None,
        };
        let cancelled = match &input {
            Input::Cancel { order, .. } => Some(*order),
            _ => None,
        };
        match self.room.apply(self.now_ms, input) {
            Ok(applied) => {
                let order = applied.order.or(cancelled).and_then(|number| self.room.order(number));
                let reply = order.map(|order| views::of_reply(&self.room, order, self.room.at_ms()));
                self.stored.push(applied.entry.clone());
                telling::tell(&mut self.tells, self.org, &self.room, applied)?;
                Ok(Ok(reply))
            }
            Err(refused) => {
                let orders_remaining = whose.and_then(|user| self.budget(&user));
                let refused = Refused { orders_remaining, ..refused };
                match placed {
                    Some(placed) => self.refused(placed, refused),
                    None => Ok(Err(refused)),
                }
            }
        }
    }

    /// How many more orders the room takes of a member; of nobody else is that known.
    fn budget(&self, user: &str) -> Option<u32> {
        self.room.member(user).ok().map(|_| self.room.budget(user, self.now_ms))
    }

    /// An order that is refused: a repeat is answered with how the order stands, any other one's member is told why.
    fn refused(
        &mut self,
        (user, ask): (String, Ask),
        refused: Refused,
    ) -> Result<Result<Option<OrderReply>, Refused>, Refusal> {
        if refused.reason == Reason::DuplicateClientOrderId
            && let Some(order) = refused.order.and_then(|number| self.room.order(number))
            && order.ask == ask
        {
            let reply = views::of_reply(&self.room, order, self.now_ms);
            return Ok(Ok(Some(OrderReply { duplicate: Some(true), ..reply })));
        }
        // Who comes too fast, or is no member, is answered alone; and of an id that has an order nobody is told that it failed.
        let is_quiet = matches!(
            refused.reason,
            Reason::RateExceeded | Reason::NotAMember | Reason::DuplicateClientOrderId
        );
        if !is_quiet {
            let own = place(self.org, self.room.id(), Some(&user))?;
            let event = telling::failed(self.room.id(), &ask.client_order_id, &refused);
            self.tells.say_in(&own, &event, Some(Lane::Critical))?;
        }
        Ok(Err(refused))
    }
}
