//! Prices as everybody in a room hears them: not kept, and of a symbol the newest alone.
//!
//! A room's log has what happened to its members. Prices would push that out of it within minutes, and whoever comes has them in
//! the room's snapshot.

use std::collections::BTreeSet;

use tidings_app::time::iso8601;
use tidings_app::{Lane, Refusal, Stage};

use crate::room::Room;
use crate::rooms::{Key, Rooms};
use crate::telling::place;
use crate::wire::{MarketPrice, TradeEvent};

/// Tells a room of the instruments that have another price, if somebody hears it here; called once a beat.
pub async fn tell(rooms: &Rooms, stage: &Stage, key: &Key, marked: &BTreeSet<String>) {
    if let Err(refusal) = said(rooms, stage, key, marked).await {
        tracing::warn!(%refusal, room = key.1, "prices were not told");
    }
}

async fn said(rooms: &Rooms, stage: &Stage, key: &Key, marked: &BTreeSet<String>) -> Result<(), Refusal> {
    let public = place(&key.0, &key.1, None)?;
    if marked.is_empty() || stage.members(&public) == 0 {
        return Ok(());
    }
    for event in rooms.glance(key, |room| newest(room, marked)).unwrap_or_default() {
        stage.publish_volatile(&public, &event, Some(Lane::Low)).await?;
    }
    Ok(())
}

fn newest(room: &Room, marked: &BTreeSet<String>) -> Vec<TradeEvent> {
    let price = |(at, symbol): (usize, &String)| {
        let price = MarketPrice {
            room_id: room.id().to_owned(),
            symbol: symbol.clone(),
            price: room.price_of(at)?,
            at: iso8601(room.at_ms()),
        };
        marked.contains(symbol).then_some(TradeEvent::Price(price))
    };
    room.rules().instruments.iter().map(|it| &it.symbol).enumerate().filter_map(price).collect()
}
