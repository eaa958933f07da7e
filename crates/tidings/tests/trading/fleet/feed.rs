//! Prices, published by HTTP at their pace, until they are not wanted any more.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::ROOM;
use super::bot::Fleet;
use super::chance::Chance;
use super::orders::AROUND;
use super::plan::SYMBOLS;
use crate::bed::Rest;
use crate::books::{ONE, decimal};

/// A price of an instrument: near the middle, mostly with volume for all, now and then for few or for whoever comes.
fn tick(chance: &mut Chance, at: u64) -> serde_json::Value {
    let cents = AROUND - 100 + chance.below(200);
    let volume = match chance.below(20) {
        0 => Some("30"),
        1 => None,
        _ => Some("2000"),
    };
    let symbol = SYMBOLS[at as usize % SYMBOLS.len()];
    json!({"prices": [{"symbol": symbol, "price": decimal(i128::from(cents) * ONE / 100), "volume": volume}]})
}

/// A first price of everything, with which trading can begin.
pub(crate) async fn first(exchange: &Rest) {
    for symbol in SYMBOLS {
        let prices = json!({"prices": [{"symbol": symbol, "price": "100", "volume": "2000"}]});
        exchange.done(&format!("POST /rooms/{ROOM}/prices"), prices).await;
    }
}

/// Publishes; how many prices were taken.
pub(crate) async fn publish(fleet: Arc<Fleet>, stop: watch::Receiver<bool>) -> u64 {
    let exchange = Rest::server(fleet.addr);
    let mut chance = Chance::of(0);
    let mut ticks = interval(Duration::from_secs_f64(1.0 / fleet.plan.prices as f64));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut at, mut taken) = (0, 0);
    while !*stop.borrow() {
        ticks.tick().await;
        let prices = tick(&mut chance, at);
        // A server that is gone, or is busy with the price before, has the next one.
        let told = exchange.try_ask(&format!("POST /rooms/{ROOM}/prices"), None, &prices).await;
        taken += u64::from(told.is_ok_and(|(status, _)| status == 200));
        at += 1;
    }
    taken
}
