//! A fleet of bots on the plain protocol: they trade by a schedule, their connections break, they say again what was not
//! answered, and the server is killed in the middle. In the end everything balances to the last unit.
//!
//! A small run is part of the tests; `make fleet` makes it large, by the variables of [`Plan`], and prints what it took.

mod bot;
mod chance;
mod feed;
mod heard;
mod judge;
mod line;
mod orders;
mod plan;
mod report;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidings_testkit::{Serving, free_port};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::bot::{Bot, Fleet};
use self::plan::{Plan, SYMBOLS};
use self::report::Times;
use crate::bed::{Bed, Rest, rules};
use crate::books::ONE;

/// The room they trade in.
const ROOM: &str = "fleet";
/// Cash of everybody.
const CASH: i128 = 1_000_000;
/// Whoever is not done so long after the last order was due has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run came to.
struct Outcome {
    faults: Vec<String>,
    times: Times,
}

/// Runs bots on one thread, as the server wants the others.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(test)
}

/// A room with all bots in it, which has begun.
async fn room(addr: SocketAddr, plan: &Plan) {
    let exchange = Rest::server(addr);
    let instrument = |symbol: &&str| {
        json!({"symbol": symbol, "tickSize": "0.01", "lotSize": "1", "minQuantity": "1", "maxQuantity": "1000",
               "maxPosition": "100000", "maxPrice": "100000"})
    };
    let instruments: Vec<Value> = SYMBOLS.iter().map(instrument).collect();
    let more = json!({"startingCash": CASH.to_string(), "instruments": instruments, "maxOpenOrders": 200,
                      "ranking": {"measure": "timeWeighted", "minTrades": 1, "maxDrawdown": "0.5"}});
    let made = json!({"id": ROOM, "name": "A fleet", "rules": rules(more)});
    exchange.done("POST /rooms", made).await;
    exchange.done(&format!("POST /rooms/{ROOM}/open"), Value::Null).await;
    for bot in 0..plan.bots {
        let bot = json!({"userId": Plan::bot(bot), "name": Plan::bot(bot).to_uppercase()});
        exchange.done(&format!("POST /rooms/{ROOM}/join"), bot).await;
    }
    exchange.done(&format!("POST /rooms/{ROOM}/start"), Value::Null).await;
    feed::first(&exchange).await;
}

/// Waits until a count is reached.
async fn reaches(fleet: &Fleet, count: &AtomicU64, wanted: u64) {
    loop {
        let changed = fleet.changed.notified();
        if count.load(Ordering::SeqCst) >= wanted {
            return;
        }
        changed.await;
    }
}

/// The server, killed and started again as often as the plan says; it, and the CPU time of all of them.
async fn killed(bed: &Bed, fleet: &Fleet, mut server: Serving, begun: Duration) -> (Serving, Duration) {
    let mut cpu = Duration::ZERO;
    let mut before = begun;
    for kill in 1..=fleet.plan.kills {
        reaches(fleet, &fleet.settled, fleet.plan.orders() * kill / (fleet.plan.kills + 1)).await;
        cpu += report::cpu(server.pid()).saturating_sub(before);
        server.kill();
        let killed = Instant::now();
        server = bed.serve_at(fleet.addr);
        before = Duration::ZERO;
        println!("  killed; listening again after {:?}", killed.elapsed());
    }
    reaches(fleet, &fleet.idle, fleet.plan.bots).await;
    cpu += report::cpu(server.pid()).saturating_sub(before);
    (server, cpu)
}

/// One run.
async fn fleet(bed: &Bed, plan: Plan) -> Outcome {
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let server = bed.serve_at(addr);
    room(addr, &plan).await;
    let (settled, idle, changed, ends) =
        (AtomicU64::new(0), AtomicU64::new(0), Notify::new(), watch::Sender::new(None));
    // Everybody is connected by then.
    let start = Instant::now() + Duration::from_millis(500);
    let fleet = Arc::new(Fleet { plan, addr, start, settled, idle, changed, ends });
    let (stop, stopped) = watch::channel(false);
    let feeding = tokio::spawn(feed::publish(fleet.clone(), stopped));
    let bots: Vec<JoinHandle<Bot>> =
        (0..plan.bots).map(|bot| tokio::spawn(Bot::new(fleet.clone(), bot, CASH * ONE).trade())).collect();
    let (before, whole) = (report::cpu(server.pid()), report::machine());
    let (ours, begun) = (report::cpu(std::process::id()), Instant::now());
    let late = Duration::from_secs(plan.seconds) + PATIENCE;
    let (server, cpu) = tokio::time::timeout(late, killed(bed, &fleet, server, before))
        .await
        .expect("not everybody was answered");
    let (took, ours) = (begun.elapsed(), report::cpu(std::process::id()).saturating_sub(ours));
    let others = (report::machine() - whole).saturating_sub(cpu + ours);
    stop.send_replace(true);
    let prices = feeding.await.unwrap();
    Rest::server(addr).done(&format!("POST /rooms/{ROOM}/end"), Value::Null).await;
    fleet.ends.send_replace(Some(Arc::new(judge::ends(addr, plan.bots).await)));
    let (mut done, mut times) = (Vec::new(), Times::new());
    for bot in bots {
        let bot = tokio::time::timeout(PATIENCE, bot).await.expect("somebody has not heard the end").unwrap();
        times.add(&bot.times);
        done.push(bot);
    }
    let (faults, entries) = judge::faults(bed, addr, &done).await;
    drop(server);
    let events: u64 = done.iter().map(|bot| bot.heard.events).sum();
    println!("{plan:?}\n{times}");
    println!(
        "  {entries} entries, {prices} prices, {events} events heard, {} faults, {took:.1?}",
        faults.len()
    );
    let each = cpu.as_secs_f64() * 1_000.0 / plan.orders() as f64;
    println!(
        "  CPU of the server {cpu:.2?}: {each:.3} s for 1,000 orders; of the bots {ours:.2?}, of others {others:.1?}"
    );
    faults.iter().take(20).for_each(|fault| println!("  {fault}"));
    Outcome { faults, times }
}

fn holds(store: &str, outcome: &Outcome) {
    assert!(
        outcome.faults.is_empty(),
        "{store}: {} faults, the first: {}",
        outcome.faults.len(),
        outcome.faults[0]
    );
    let (measured, p99) = outcome.times.p99();
    assert!(measured > 0, "nothing was measured");
    println!("{store}: p99 of an order to order:executed {p99:.2} ms (must 20, with nothing beside it)\n");
}

#[test]
fn a_fleet_whose_server_is_killed_balances_to_the_last_unit() {
    let plan = Plan::of_the_environment();
    run(async {
        for (bed, store) in Bed::both().await.iter().zip(["SQLite", "PostgreSQL"]) {
            if std::env::var("FLEET_STORE").is_ok_and(|only| !only.is_empty() && only != store) {
                continue;
            }
            holds(store, &fleet(bed, plan).await);
        }
    });
}

/// The control: bots that try again under a new id have some of their orders executed twice, and the books show it.
#[test]
fn orders_that_are_said_again_under_a_new_id_are_executed_twice() {
    let plan =
        Plan { same_id: false, kills: 0, bots: 5, rate: 100, seconds: 1, resets: 300, ..Plan::small() };
    let outcome = run(fleet(&Bed::sqlite(), plan));
    let twice = outcome.faults.iter().filter(|fault| fault.contains("is there twice")).count();
    assert!(twice > 0, "{:?}", outcome.faults);
}

/// The control: bots that come back without their place miss something, and find it out.
#[test]
fn bots_that_come_back_without_their_place_miss_something() {
    let plan = Plan { since: false, kills: 0, bots: 5, rate: 100, seconds: 1, resets: 300, ..Plan::small() };
    let outcome = run(fleet(&Bed::sqlite(), plan));
    assert!(outcome.faults.iter().any(|fault| fault.contains("a hole in")), "{:?}", outcome.faults);
}
