//! What several ask of a room, in one transaction: its row is held once, its entries are one statement, its row is
//! written once. Each stands and falls by itself, since what a room refuses changes nothing in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidings_app::commit::TOGETHER;
use tidings_app::{Changes, Lane, Org, Refusal, Tells};

use crate::acts::{No, turned};
use crate::journal::{Entry, Input};
use crate::keyed::Keyed;
use crate::order::Ask;
use crate::refused::{Reason, Refused};
use crate::replay::rows;
use crate::room::{FILLS_MOST, Room};
use crate::rooms::{Key, Rooms};
use crate::store::{self, Head, RoomRow};
use crate::telling::{self, place};
use crate::views;
use crate::wire::OrderReply;

/// Entries of one transaction at most; what waits behind them is for the next.
const ENTRIES_MOST: usize = 500;
/// Of those who ask under a key so many at most, and begun within so long: each has statements of its own, and a transaction has
/// half a second.
const KEYED_MOST: usize = 50;
const KEYED_WITHIN: Duration = Duration::from_millis(100);
/// What an order or a cancellation tells at most, where all have met the newest price: a fill of its own, what is left of
/// it, why, what its member has then, and a digest of that.
const ORDER_TELLS: usize = 10;
/// What anything else tells at most, but for the end of a room: three and a digest for each of its fills.
const TELLS: usize = 4 * FILLS_MOST + 2;

/// What one asks of a room: inputs, each of which is taken or not, and with it those behind it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is to happen.
    pub(crate) inputs: Vec<Input>,
    /// When each of them was due, in the room's time; nothing where all of them are of now.
    due_ms: Vec<u64>,
    /// Under which key it is done once, if under one.
    pub(crate) keyed: Option<Keyed>,
}

impl Asked {
    /// What is of the time at which it is done.
    pub(crate) fn now(inputs: Vec<Input>, keyed: Option<Keyed>) -> Self {
        Self { inputs, due_ms: Vec::new(), keyed }
    }

    /// What was due at times of the room that are over, the earliest first.
    pub(crate) fn of(due: Vec<(u64, Input)>) -> Self {
        let (due_ms, inputs) = due.into_iter().unzip();
        Self { inputs, due_ms, keyed: None }
    }

    /// Whether it is of the time at which it is asked: an end is of the time that was announced, and what goes before it too.
    fn is_of_now(&self) -> bool {
        let by_itself =
            |input: &Input| matches!(input, Input::End | Input::CancelDue { .. } | Input::GoOn { .. });
        self.due_ms.is_empty() && !self.inputs.first().is_none_or(by_itself)
    }
}

/// What came of inputs.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// How the order stands that was placed or cancelled, if one was.
    pub(crate) reply: Option<OrderReply>,
    /// How many of the inputs were taken.
    pub(crate) taken: usize,
    /// Why the one behind them was refused, if it was.
    pub(crate) refused: Option<Refused>,
    /// Whether orders have not all met a price.
    pub(crate) goes_on: bool,
    /// What is kept for the key, as it is answered.
    pub(crate) kept: Option<String>,
}

/// What was answered, one for one, and what did not fit.
type Answers = (Vec<Result<Done, No>>, Vec<Asked>);

/// Does in a room what several ask, each of whom has a list of inputs.
///
/// # Errors
/// If it cannot be stored; then nothing of it is done.
pub(crate) async fn together(
    rooms: &Arc<Rooms>,
    tx: &mut Changes,
    key: &Key,
    asked: Vec<Asked>,
) -> Result<Answers, Refusal> {
    let (row, room) = rooms.take(tx, key).await?;
    let now_ms = row.time(tx.now_ms());
    let (before, tells, stored) = (room.state(), Tells::default(), Vec::new());
    let mut doing =
        Doing { org: &key.0, row: row.clone(), room, now_ms, tells, stored, keyed: 0, begun: Instant::now() };
    let (mut answers, mut asked) = (Vec::with_capacity(asked.len()), asked.into_iter());
    let mut is_up_to_now = true;
    if asked.as_slice().first().is_some_and(Asked::is_of_now) {
        match doing.room.over_by(now_ms) {
            Some(_) if rows::is_fed(tx, key).await? => {}
            Some(ends_ms) => doing.end(ends_ms)?,
            None => is_up_to_now = doing.switches()?,
        }
    }
    while is_up_to_now
        && let Some(next) = asked.as_slice().first()
        && doing.has_space_for_all(next)
        && doing.room.state() == before
        && let Some(next) = asked.next()
    {
        answers.push(doing.asked(tx, next).await?);
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
    row: Arc<RoomRow>,
    room: Room,
    now_ms: u64,
    tells: Tells,
    stored: Vec<Entry>,
    /// How many were asked under a key.
    keyed: usize,
    begun: Instant,
}

impl Doing<'_> {
    /// The time of the room is over, and nothing of before is to come: it ends, before anything that came later.
    fn end(&mut self, ends_ms: u64) -> Result<(), Refusal> {
        let due: Vec<String> = self.room.cancels_due(ends_ms - 1).map(str::to_owned).collect();
        for user in due {
            // The end cancels the orders of the others as well.
            if self.tells.len() + TELLS > TOGETHER {
                break;
            }
            let _by_then = self.one(Input::CancelDue { user })?;
        }
        self.one(Input::End).map(drop)
    }

    /// Orders are cancelled that were to be by now, those first whose time was first; whether that was all of them.
    fn switches(&mut self) -> Result<bool, Refusal> {
        loop {
            let next = self.room.cancels_due(self.now_ms).next().map(str::to_owned);
            let Some(user) = next else { return Ok(true) };
            let due = Input::CancelDue { user };
            if !self.has_space_for(&due) {
                return Ok(false);
            }
            // A room whose journal is full refuses the others as well, and what comes behind them.
            if self.one(due)?.is_err() {
                return Ok(true);
            }
        }
    }

    /// Whether there is space for one more who asks.
    fn has_space_for_all(&self, asked: &Asked) -> bool {
        let has_space = asked.inputs.first().is_some_and(|input| self.has_space_for(input));
        let has_time = || self.keyed < KEYED_MOST && (self.keyed == 0 || self.begun.elapsed() < KEYED_WITHIN);
        has_space && (asked.keyed.is_none() || has_time())
    }

    /// What one asks; under a key once, and what was done under it stands in the same transaction. Errors are those of the
    /// store, here and below.
    async fn asked(&mut self, tx: &mut Changes, asked: Asked) -> Result<Result<Done, No>, Refusal> {
        let Asked { inputs, due_ms, keyed } = asked;
        let Some(Keyed { once, answer, taken }) = keyed else { return self.inputs(inputs, due_ms) };
        self.keyed += 1;
        if taken == 0 && !once.begin(tx).await? {
            return Ok(Err(Refusal::conflict("this was done before").into()));
        }
        let mut done = self.inputs(inputs, due_ms)?;
        match &mut done {
            Ok(done) if done.taken > 0 => {
                let json = answer.json((&self.row, &self.room, self.now_ms), (done, taken))?;
                once.done(tx, &json).await?;
                done.kept = Some(json);
            }
            _ if taken == 0 => once.undo(tx).await?,
            _ => {}
        }
        Ok(done)
    }

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

    /// What one asks, each at its time; what switches cancel goes between.
    fn inputs(&mut self, inputs: Vec<Input>, due_ms: Vec<u64>) -> Result<Result<Done, No>, Refusal> {
        let (mut done, mut due_ms) = (Done::default(), due_ms.into_iter());
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
            if let Some(due_ms) = due_ms.next() {
                self.now_ms = due_ms;
                if !self.switches()? || !self.has_space_for(&input) {
                    break;
                }
            }
            match self.one(input)? {
                Ok(reply) => (done.reply, done.taken) = (reply, done.taken + 1),
                Err(refused) if done.taken == 0 => return Ok(Err(refused.into())),
                Err(refused) => {
                    done.refused = Some(refused);
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
        match self.room.take_in(self.now_ms, input) {
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
