//! Whether everything balances: the server, the books kept from the journal, and what each bot added up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};
use tidings_testkit::client::{PlainClient, http_whole};

use super::ROOM;
use super::bot::{Bot, number};
use super::plan::Plan;
use crate::bed::{Bed, Rest, subscribe, token};
use crate::books::{Books, decimal};

/// Where the rooms of all bots end, and the public one.
pub(crate) async fn ends(addr: SocketAddr, bots: u64) -> BTreeMap<String, u64> {
    let server = token("exchange", &json!({"scope": "publish"}));
    let mut client = PlainClient::sign_in(addr, Some(&server)).await.unwrap();
    let mut ends = BTreeMap::new();
    let own = (0..bots).map(|bot| format!("trade:{ROOM}:{}", Plan::bot(bot)));
    for room in own.chain([format!("trade:{ROOM}")]) {
        let told = subscribe(&mut client, &room).await;
        // A connection may be in so many rooms at once.
        client.ask(json!({"type": "unsubscribe", "room": room})).await.unwrap();
        ends.insert(room, told["offset"].as_u64().unwrap_or_else(|| panic!("{told}")));
    }
    ends
}

/// All lines of the room's export.
pub(crate) async fn export(addr: SocketAddr) -> Vec<String> {
    let headers = format!("Authorization: Bearer {}\r\n", token("auditor", &json!({})));
    let (mut lines, mut query) = (Vec::new(), String::new());
    loop {
        let request = format!("GET /api/trading/rooms/{ROOM}/export{query}");
        let (status, head, body) = http_whole(addr, &request, &headers, "").await.unwrap();
        assert_eq!(status, 200, "{body}");
        lines.extend(body.lines().map(str::to_owned));
        let next = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("tidings-next: ").map(str::to_owned));
        let Some(next) = next else { return lines };
        query = format!("?{}", next.trim());
    }
}

/// Everything that does not balance.
pub(crate) async fn faults(bed: &Bed, addr: SocketAddr, bots: &[Bot]) -> (Vec<String>, u64) {
    let lines = export(addr).await;
    let (books, end) = Books::of(lines.iter().map(String::as_str));
    let mut faults: Vec<String> = Vec::new();
    let mut is = |what: &str, one: &Value, other: &Value| {
        if one != other {
            faults.push(format!("{what}: {one} by the books, and {other}"));
        }
    };
    let shown = Rest::server(addr).get(&format!("/rooms/{ROOM}/standings?limit=1000")).await;
    is("standings of the export", &books.standings(), &end["standings"]);
    is("standings", &books.standings(), &shown["standings"]);
    is("entries", &books.entries.into(), &shown["journal"]);
    for bot in bots {
        let portfolio = Rest::user(addr, &bot.user).get(&format!("/rooms/{ROOM}/portfolio")).await;
        let member = &books.members[&bot.user];
        for (name, number) in [
            ("cash", member.cash),
            ("reserved", 0),
            ("equity", member.equity()),
            ("fees", member.fees),
            ("realisedPnl", member.realised),
            ("drawdown", member.drawdown),
        ] {
            is(&format!("{name} of {}", bot.user), &decimal(number).into(), &portfolio[name]);
        }
        let positions = member.held.iter();
        let positions: Value =
            positions.map(|(symbol, held)| json!([symbol, decimal(held.quantity)])).collect();
        let held = portfolio["positions"].as_array().unwrap().iter();
        let held: Value = held.map(|one| json!([one["symbol"], one["quantity"]])).collect();
        is(&format!("positions of {}", bot.user), &positions, &held);
    }
    let (code, said) = bed.verify_room(&lines.join("\n"));
    if code != Some(0) {
        faults.push(format!("tidings verify room: {said}"));
    }
    bots.iter().for_each(|bot| faults.extend(heard(bot, &books)));
    faults.extend(intents(bots, &books));
    (faults, books.entries)
}

/// What a bot heard and was told that is not so.
fn heard(bot: &Bot, books: &Books) -> Vec<String> {
    let (user, member) = (&bot.user, &books.members[&bot.user]);
    let mut faults: Vec<String> = bot.heard.faults.iter().map(|fault| format!("{user}: {fault}")).collect();
    if bot.heard.cash != member.cash {
        faults.push(format!(
            "{user} has {} by the books, and {} by what it heard",
            member.cash, bot.heard.cash
        ));
    }
    let quantities = bot.heard.held.iter().filter(|(_, quantity)| **quantity != 0);
    if !quantities
        .map(|(symbol, held)| (symbol, *held))
        .eq(member.held.iter().map(|(symbol, held)| (symbol, held.quantity)))
    {
        faults.push(format!("{user} holds something else than it heard"));
    }
    let own =
        books.orders.iter().zip(1..).filter(|(order, _)| order.user == *user && !order.fills.is_empty());
    let fills: BTreeMap<u64, _> = own.map(|(order, number)| (number, &order.fills)).collect();
    let told: BTreeMap<u64, _> =
        bot.heard.fills.iter().map(|(order, fills)| (number(order), fills)).collect();
    if fills != told {
        faults.push(format!("{user} heard of other fills than there were"));
    }
    for (client, order) in &bot.orders {
        let placed = order.placed.as_deref().and_then(|id| books.orders.get(number(id) as usize - 1));
        let same = |placed: &crate::books::Order| placed.user == *user && intent(&placed.client) == client;
        if order.placed.is_some() && !placed.is_some_and(same) {
            faults.push(format!("{user}: {client} was acknowledged as {:?}, and is lost", order.placed));
        }
        if order.placed.is_none() && order.refused.is_none() {
            faults.push(format!("{user}: {client} was never answered"));
        }
    }
    faults
}

/// What an id of a bot is about, whichever try it was.
fn intent(client: &str) -> &str {
    client.split('/').next().unwrap_or_default()
}

/// Orders that nobody sent, that were refused, or that are there twice.
fn intents(bots: &[Bot], books: &Books) -> Vec<String> {
    let bots: BTreeMap<&str, &Bot> = bots.iter().map(|bot| (bot.user.as_str(), bot)).collect();
    let (mut faults, mut seen) = (Vec::new(), BTreeSet::new());
    for (order, number) in books.orders.iter().zip(1..) {
        let (user, client) = (order.user.as_str(), intent(&order.client));
        if !seen.insert((user, client)) {
            faults.push(format!("{user}: {client} is there twice, again as o{number}"));
        }
        if bots[user].orders.get(client).is_none_or(|known| known.placed.is_none()) {
            faults.push(format!("{user}: {client} is there as o{number}, and was not acknowledged"));
        }
    }
    faults
}
