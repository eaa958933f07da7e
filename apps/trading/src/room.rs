//! A room as a deterministic state machine: inputs in, events out. No clock, no chance, no I/O.
//!
//! Whatever is refused changes nothing. Whatever is not is an [`Entry`] of the journal, from which the same
//! state is made again: after a restart, on another server, by somebody who doubts the standings.
//!
//! | module | what happens in it |
//! |---|---|
//! | `life` | members come and go, trading begins and ends |
//! | `orders` | orders are placed and cancelled |
//! | `fills` | orders meet prices |
//! | `digests` | what members have is summed up now and then |
//! | [`image`] | a room as bytes, so that it need not be made of all of its journal |

mod digests;
mod fills;
pub mod image;
mod life;
mod orders;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::{Account, Holding, Portfolio};
use crate::decimal::Dec;
use crate::digest;
use crate::instrument::Instrument;
use crate::journal::{Entry, Hash, Input};
use crate::market::Market;
use crate::order::{Order, Side};
use crate::refused::{Reason, Refused};
use crate::rules::Rules;
use crate::standing::{Standing, standings};

/// Orders of a room at most, over all of its time.
pub const ORDERS_MOST: usize = 1_000_000;
/// Orders of one member at most, over all of the room's time.
pub const ORDERS_OF_ONE_MOST: usize = 100_000;

/// Entries of a journal at most, enough for thirty prices a second over a month; beyond them a room can only be ended. No
/// memory grows with them. What does is the database, and what a start reads that has no image to use.
pub const ENTRIES_MOST: u64 = 100_000_000;
/// Orders that one entry fills, or gives up, at most: what it tells fits in a transaction.
pub const FILLS_MOST: usize = 200;

pub use digests::DIGEST_EVERY;

/// How a room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TradeState")]
pub enum State {
    /// It is being made.
    Draft,
    /// Members may come.
    Open,
    /// Orders are taken.
    Running,
    /// Nothing happens any more.
    Ended,
}

impl State {
    /// Its name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// A fill of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Whose.
    pub user: String,
    /// The order.
    pub order: u64,
    /// The client's own id of it.
    pub client_order_id: String,
    /// What.
    pub symbol: String,
    /// Which way.
    pub side: Side,
    /// How much.
    pub quantity: Dec,
    /// At which price.
    pub price: Dec,
    /// The fee.
    pub fee: Dec,
    /// How much of the order is left.
    pub remaining: Dec,
}

/// What is to be told of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The room stands otherwise.
    State {
        /// Before.
        old: State,
        /// Now.
        new: State,
    },
    /// Somebody is in.
    Joined {
        /// Who.
        user: String,
        /// By which name.
        name: String,
    },
    /// Somebody is out.
    Left {
        /// Who.
        user: String,
    },
    /// Something of an order is filled.
    Executed(Executed),
    /// An order was placed, and something of it is left to wait; behind what was filled at once.
    Placed {
        /// Whose.
        user: String,
        /// The order.
        order: u64,
    },
    /// What was left of an order is not wanted any more.
    Cancelled {
        /// Whose.
        user: String,
        /// The order.
        order: u64,
        /// What was left.
        remaining: Dec,
    },
    /// What is left of an order cannot be done; it is cancelled with this.
    Failed {
        /// Whose.
        user: String,
        /// The client's own id of it.
        client_order_id: String,
        /// Why.
        refused: Refused,
    },
    /// A position is another.
    Position {
        /// Whose.
        user: String,
        /// What.
        symbol: String,
        /// As it is now.
        holding: Holding,
    },
    /// A position is none any more.
    Closed {
        /// Whose.
        user: String,
        /// What.
        symbol: String,
        /// Its profit with all of its fees.
        realised: Dec,
    },
    /// What a member has is another; once for each input and member, behind the rest.
    Portfolio {
        /// Whose.
        user: String,
        /// As it is now.
        portfolio: Portfolio,
    },
    /// What a member has, summed up; behind all else that is told of an input.
    Digest {
        /// Whose.
        user: String,
        /// The digest of cash and positions.
        digest: Hash,
    },
    /// An instrument has another price: whoever has a position in it is worth something else.
    Marked {
        /// What.
        symbol: String,
        /// The price.
        price: Dec,
    },
}

/// What an input did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its entry in the journal.
    pub entry: Entry,
    /// What is to be told, in order.
    pub told: Vec<Told>,
    /// The order that was placed, if one was.
    pub order: Option<u64>,
}

/// What is gathered while an input is applied.
#[derive(Debug, Default)]
struct Effects {
    told: Vec<Told>,
    touched: BTreeSet<String>,
    order: Option<u64>,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    id: String,
    rules: Rules,
    state: State,
    seq: u64,
    at_ms: u64,
    chain: Hash,
    started_ms: Option<u64>,
    ended_ms: Option<u64>,
    joined: u64,
    present: u64,
    markets: Vec<Market>,
    accounts: BTreeMap<String, Account>,
    orders: Vec<Order>,
    /// When whose open orders are to be cancelled, the first first.
    switches: BTreeSet<(u64, String)>,
    /// Instruments of which orders have not all met the newest price.
    unfinished: BTreeSet<usize>,
}

/// What the chain of a room begins with.
fn beginning(id: &str, rules: &Rules) -> Hash {
    // A plain struct of strings and numbers is always written.
    Hash::of(&format!("{id}\n{}", serde_json::to_string(rules).unwrap_or_default()))
}

impl Room {
    /// A room that is being made.
    ///
    /// # Errors
    /// What is wrong with its rules.
    pub fn new(id: &str, rules: Rules) -> Result<Self, String> {
        rules.check()?;
        let chain = beginning(id, &rules);
        let markets = vec![Market::default(); rules.instruments.len()];
        Ok(Self {
            id: id.to_owned(),
            rules,
            state: State::Draft,
            seq: 0,
            at_ms: 0,
            chain,
            started_ms: None,
            ended_ms: None,
            joined: 0,
            present: 0,
            markets,
            accounts: BTreeMap::new(),
            orders: Vec::new(),
            switches: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        })
    }

    /// Applies an input; time never goes back, so one that comes with an earlier time has the newest.
    ///
    /// # Errors
    /// Why not; nothing has changed then.
    pub fn apply(&mut self, at_ms: u64, input: Input) -> Result<Applied, Refused> {
        let at_ms = at_ms.max(self.at_ms);
        if let Input::Place { user, ask } = &input {
            self.is_new(user, ask)?;
        }
        if self.seq >= ENTRIES_MOST && input != Input::End {
            return Err(Refused::new(
                Reason::RoomFull,
                "the journal of this room is full; it can only be ended",
            ));
        }
        let mut effects = Effects::default();
        match &input {
            Input::Open => self.open(&mut effects),
            Input::Join { user, name } => self.join(user, name, at_ms, &mut effects),
            Input::Leave { user } => self.leave(user, &mut effects),
            Input::Start => self.start(at_ms, &mut effects),
            Input::Price { symbol, price, volume } => {
                self.price(symbol, (*price, *volume), at_ms, &mut effects)
            }
            Input::Place { user, ask } => self.place(user, ask, at_ms, &mut effects),
            Input::Cancel { user, order } => self.cancel(user, *order, &mut effects),
            Input::CancelAfter { user, after_ms } => self.cancel_after(user, *after_ms, at_ms),
            Input::CancelDue { user } => self.cancel_due(user, at_ms, &mut effects),
            Input::GoOn { symbol } => self.go_on(symbol, at_ms, &mut effects),
            Input::End => self.end(at_ms, &mut effects),
        }?;
        self.at_ms = at_ms;
        self.seq += 1;
        let entry = Entry { seq: self.seq, at_ms, input };
        self.chain = self.chain.then(&entry);
        let Effects { mut told, touched, order } = effects;
        told.extend(touched.into_iter().filter_map(|user| {
            let portfolio = self.accounts.get(&user)?.portfolio();
            Some(Told::Portfolio { user, portfolio })
        }));
        self.sum_up(&mut told);
        Ok(Applied { entry, told, order })
    }

    /// Takes in what comes from outside: from its announced end on a room refuses what one that has ended refuses, what was due
    /// before that is of before it, and a switch cancels at its time. Only here, since a journal is applied as it stands.
    ///
    /// # Errors
    /// As [`Room::apply`].
    pub fn take_in(&mut self, now_ms: u64, input: Input) -> Result<Applied, Refused> {
        if let Input::CancelDue { user } = &input {
            let by_ms = self.over_by(now_ms).map_or(now_ms, |ends_ms| ends_ms - 1);
            let due_ms = self.accounts.get(user).and_then(|account| account.cancel_ms);
            return self.apply(due_ms.map_or(by_ms, |due_ms| due_ms.min(by_ms)), input);
        }
        let Some(ends_ms) = self.over_by(now_ms) else { return self.apply(now_ms, input) };
        let reason = match &input {
            Input::End => return self.apply(ends_ms, input),
            Input::CancelDue { .. } | Input::GoOn { .. } => return self.apply(ends_ms - 1, input),
            Input::Place { user, ask } => {
                self.is_new(user, ask)?;
                Reason::RoomNotRunning
            }
            Input::Open | Input::Start | Input::Join { .. } | Input::Leave { .. } => Reason::RoomState,
            Input::Price { .. } | Input::Cancel { .. } | Input::CancelAfter { .. } => Reason::RoomNotRunning,
        };
        Err(Refused::new(reason, "the time of this room is over"))
    }

    /// Its announced end, if that is over and it has not ended yet.
    pub fn over_by(&self, now_ms: u64) -> Option<u64> {
        self.ends_ms().filter(|ends| self.state == State::Running && *ends <= now_ms)
    }

    /// The room's time, which stands still at its end.
    pub fn time(&self, now_ms: u64) -> u64 {
        let end_ms = self.ended_ms.or_else(|| self.ends_ms());
        end_ms.map_or(now_ms, |end| now_ms.min(end)).max(self.at_ms)
    }

    /// Applies an entry of the journal again.
    ///
    /// # Errors
    /// It is not the next one, or is refused: the journal is not this room's.
    pub fn replay(&mut self, entry: &Entry) -> Result<Vec<Told>, String> {
        let Entry { seq, at_ms, input } = entry;
        if *seq != self.seq + 1 {
            return Err(format!("expected entry {}, found {seq}", self.seq + 1));
        }
        if *at_ms < self.at_ms {
            return Err(format!("entry {seq} is earlier than the one before it"));
        }
        let applied = self.apply(*at_ms, input.clone());
        applied.map(|applied| applied.told).map_err(|refused| format!("entry {seq} is refused: {refused}"))
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The number of the newest entry.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The time of the newest entry, in milliseconds.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The newest link of the journal's chain of hashes.
    pub fn chain(&self) -> Hash {
        self.chain
    }

    /// When trading began.
    pub fn started_ms(&self) -> Option<u64> {
        self.started_ms
    }

    /// When trading is to end, as far as the rules say it.
    pub fn ends_ms(&self) -> Option<u64> {
        Some(self.started_ms?.saturating_add(self.rules.duration_ms?))
    }

    /// When trading ended.
    pub fn ended_ms(&self) -> Option<u64> {
        self.ended_ms
    }

    /// How many are in it.
    pub fn members(&self) -> u64 {
        self.present
    }

    /// Accounts, by user; those who have left too.
    pub fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.accounts
    }

    /// The account of a member.
    ///
    /// # Errors
    /// `not_a_member`, also for one who has left.
    pub fn member(&self, user: &str) -> Result<&Account, Refused> {
        let account = self.accounts.get(user).filter(|account| !account.left);
        account.ok_or_else(|| Refused::new(Reason::NotAMember, "this is for members of the room"))
    }

    /// An order, by its number.
    pub fn order(&self, number: u64) -> Option<&Order> {
        self.orders.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Every order, as they were placed.
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// An instrument, by its place.
    pub fn instrument(&self, market: usize) -> Option<&Instrument> {
        self.rules.instruments.get(market)
    }

    /// The newest price of an instrument.
    pub fn price_of(&self, market: usize) -> Option<Dec> {
        self.markets.get(market)?.price()
    }

    /// How many orders a member may place at once now.
    pub fn budget(&self, user: &str, now_ms: u64) -> u32 {
        let pace = self.accounts.get(user).map(|account| account.pace).unwrap_or_default();
        pace.remaining(&self.rules, now_ms.max(self.at_ms))
    }

    /// An instrument of which orders have not all met the newest price: it wants [`Input::GoOn`] before the next one.
    pub fn unfinished(&self) -> Option<&str> {
        let market = self.unfinished.first()?;
        self.instrument(*market).map(|instrument| instrument.symbol.as_str())
    }

    /// When the next member's open orders are to be cancelled, in the room's time.
    pub fn next_cancel_ms(&self) -> Option<u64> {
        let armed = self.state == State::Running;
        self.switches.first().map(|(at, _)| *at).filter(|_| armed)
    }

    /// Members whose open orders are to be cancelled by now, those first whose time was first.
    pub fn cancels_due(&self, now_ms: u64) -> impl Iterator<Item = &str> {
        let armed = self.state == State::Running;
        let due = self.switches.iter().take_while(move |(at, _)| armed && *at <= now_ms);
        due.map(|(_, user)| user.as_str())
    }

    /// Where everybody stands as of the newest entry; once it has ended, for good.
    pub fn standings(&self) -> Vec<Standing> {
        self.standings_at(self.at_ms)
    }

    /// Where everybody stands at a time of the room that is not before its newest entry.
    pub fn standings_at(&self, at_ms: u64) -> Vec<Standing> {
        standings(&self.accounts, &self.rules.ranking, self.rules.starting_cash, at_ms)
    }

    /// The digest of what everybody has.
    pub fn digest(&self) -> Hash {
        let symbols: Vec<&str> = self.rules.instruments.iter().map(|it| it.symbol.as_str()).collect();
        digest::of_room(&self.accounts, &symbols)
    }

    /// The digest of what a member has.
    ///
    /// # Errors
    /// `not_a_member`
    pub fn account_digest(&self, user: &str) -> Result<Hash, Refused> {
        let account = self.member(user)?;
        let positions = account.holdings.iter();
        let positions =
            positions.filter_map(|(at, held)| Some((self.instrument(*at)?.symbol.as_str(), held.quantity)));
        Ok(digest::of_account(user, account.cash, positions))
    }

    /// The place of an instrument.
    ///
    /// # Errors
    /// `unknown_symbol`
    pub(crate) fn market_of(&self, symbol: &str) -> Result<usize, Refused> {
        let place = self.rules.instruments.iter().position(|it| it.symbol == symbol);
        place.ok_or_else(|| Refused::new(Reason::UnknownSymbol, "there is no such instrument in this room"))
    }

    fn is(&self, states: &[State], reason: Reason) -> Result<(), Refused> {
        if states.contains(&self.state) {
            return Ok(());
        }
        Err(Refused::new(reason, format!("this room is {}", self.state.as_str())))
    }
}
