//! What a bot has heard: where it is in each room, and what its own events add up to.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;

use super::line::Said;
use crate::books::{Fill, ONE, units};

/// A place in a room.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    pub(crate) tag: Option<String>,
}

/// The data of the events that are read.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    order_id: Option<&'a str>,
    client_order_id: Option<&'a str>,
    symbol: Option<&'a str>,
    side: Option<&'a str>,
    quantity: Option<&'a str>,
    price: Option<&'a str>,
    fee: Option<&'a str>,
    remaining: Option<&'a str>,
    cash: Option<&'a str>,
}

/// What a bot has heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Where it is in each room it hears.
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) cash: i128,
    pub(crate) held: BTreeMap<String, i128>,
    /// Fills of each order, in their order.
    pub(crate) fills: BTreeMap<String, Vec<Fill>>,
    /// When something of an order was first filled, by the bot's own id of it.
    pub(crate) executed: BTreeMap<String, Instant>,
    /// Orders of which nothing more will come.
    pub(crate) over: Vec<String>,
    pub(crate) events: u64,
    pub(crate) faults: Vec<String>,
}

impl Heard {
    /// A subscription was answered: it begins there, or goes on from where it was.
    pub(crate) fn granted(&mut self, room: &str, said: &Said<'_>) {
        let place = Place {
            epoch: said.epoch.unwrap_or_default().to_owned(),
            offset: said.offset.unwrap_or(0),
            tag: said.tag.map(str::to_owned),
        };
        match self.places.get(room) {
            Some(here) if here.epoch == place.epoch => {}
            Some(here) => self.faults.push(format!("{room} was {}, and is {}", here.epoch, place.epoch)),
            None => drop(self.places.insert(room.to_owned(), place)),
        }
    }

    /// An event: each comes once, behind the one before it.
    pub(crate) fn event(&mut self, said: &Said<'_>, text: &str, now: Instant) {
        self.events += 1;
        // Who is there is told as well, and prices, which are not kept.
        let Some((room, offset)) = said.room.filter(|room| room.starts_with("trade:")).zip(said.offset)
        else {
            return;
        };
        let Some(here) = self.places.get_mut(room) else {
            return self.faults.push(format!("an event of {room} before it was subscribed to"));
        };
        if offset != here.offset + 1 {
            let fault = if offset > here.offset { "a hole" } else { "a repeat" };
            self.faults.push(format!("{fault} in {room}: {offset} behind {}", here.offset));
        }
        (here.offset, here.tag) = (offset, said.tag.map(str::to_owned));
        self.take(said.event.unwrap_or_default(), text, now);
    }

    /// What is the bot's own is added up; what the server adds up has to be the same at any moment.
    fn take(&mut self, event: &str, text: &str, now: Instant) {
        if !matches!(
            event,
            "order:executed"
                | "order:cancelled"
                | "portfolio:updated"
                | "position:updated"
                | "position:closed"
        ) {
            return;
        }
        let Event { data } = serde_json::from_str(text).unwrap();
        match event {
            "order:executed" => self.executed(&data, now),
            "order:cancelled" => self.over.extend(data.order_id.map(str::to_owned)),
            "portfolio:updated" => {
                let cash = units(data.cash.unwrap());
                if cash != self.cash {
                    self.faults.push(format!("cash is told as {cash}, and adds up to {}", self.cash));
                }
            }
            _ => {
                let (symbol, told) = (data.symbol.unwrap(), data.quantity.map_or(0, units));
                let held = self.held.get(symbol).copied().unwrap_or(0);
                if told != held {
                    self.faults.push(format!("{told} of {symbol} is told, and {held} adds up"));
                }
            }
        }
    }

    fn executed(&mut self, data: &Data<'_>, now: Instant) {
        let number = |text: Option<&str>| units(text.unwrap());
        let fill = Fill { quantity: number(data.quantity), price: number(data.price), fee: number(data.fee) };
        let (amount, held) =
            (fill.quantity * fill.price / ONE, self.held.entry(data.symbol.unwrap().to_owned()));
        let held = held.or_default();
        if data.side == Some("buy") {
            (self.cash, *held) = (self.cash - amount, *held + fill.quantity);
        } else {
            (self.cash, *held) = (self.cash + amount, *held - fill.quantity);
        }
        self.cash -= fill.fee;
        if data.remaining == Some("0") {
            self.over.extend(data.order_id.map(str::to_owned));
        }
        self.fills.entry(data.order_id.unwrap().to_owned()).or_default().push(fill);
        self.executed.entry(data.client_order_id.unwrap().to_owned()).or_insert(now);
    }
}
