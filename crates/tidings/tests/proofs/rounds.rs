//! The server is killed, again and again, while many clients publish and listen.
//!
//! A small run is part of the tests; `make rounds` makes it large, by the variables of [`Plan`].

mod plain;
mod plan;
mod publishers;
mod stock;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidings_testkit::history::{Demand, Fault, History, Verdict};
use tidings_testkit::{Place, Serving, free_port};
use tokio::sync::watch;

use self::plain::Crowd;
use self::plan::Plan;
use self::publishers::Publishers;
use self::stock::Stock;
use crate::bed::{place, run, stored};

/// Everybody who is not back by then has failed; figures are printed, not asserted.
const BACK: Duration = Duration::from_secs(90);

/// What all clients of a run share.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) addr: SocketAddr,
    pub(crate) history: Arc<Mutex<History>>,
    /// The rooms are quiet from then on.
    pub(crate) quiet: watch::Sender<bool>,
}

/// What a run came to.
struct Outcome {
    verdict: Verdict,
    /// Stock clients that came back without being recovered, and those that were told of a gap.
    fresh: u64,
    gaps: u64,
}

fn serve(place: &Place, addr: SocketAddr) -> (Serving, Duration) {
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    let listen = addr.to_string();
    command.env_clear().env("JWT_SECRET", stock::SECRET).current_dir(place.path()).arg("serve");
    command.args([
        "--config",
        "tidings.toml",
        "--no-limits",
        "--host-publish=false",
        "--log-filter",
        "error",
    ]);
    let server = Serving::run(command.args(["--listen", &listen]));
    (server, start.elapsed())
}

async fn rounds(plan: Plan) -> Outcome {
    let place = place("");
    plan.fill(&place).await;
    let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (mut server, _) = serve(&place, addr);
    let history = Arc::new(Mutex::new(History::new()));
    let run = Run { plan, addr, history, quiet: watch::Sender::new(false) };
    let mut crowd = Crowd::enter(&run).await;
    let mut stock = Stock::enter(&run).await;
    let publishers = Publishers::start(&run);
    for round in 1..=plan.rounds {
        publishers.more(plan.messages_of_a_round()).await;
        server.kill();
        let (next, listening) = serve(&place, addr);
        server = next;
        let start = Instant::now();
        let all = async { tokio::join!(crowd.back(), stock.back()) };
        let (mut plain, stock) = tokio::time::timeout(BACK, all).await.expect("not everybody is back");
        plain.extend(stock);
        plain.sort();
        let median = plain.get(plain.len() / 2).copied().unwrap_or_default();
        let all = start.elapsed();
        println!(
            "round {round}: listening after {listening:?}; back: half after {median:?}, all after {all:?}"
        );
    }
    publishers.finish().await;
    run.quiet.send_replace(true);
    let verdict = judge(&run, crowd, &mut stock).await;
    println!("{verdict}; stock clients: {} recovered, {} not", stock.recovered, stock.fresh);
    Outcome { verdict, fresh: stock.fresh, gaps: stock.gaps }
}

/// Waits until everybody is where the rooms are, and judges.
async fn judge(run: &Run, crowd: Crowd, stock: &mut Stock) -> Verdict {
    let mut tops = Vec::new();
    for room in 0..run.plan.rooms {
        tops.push(stored(run.addr, &Plan::room(room)).await.last().copied());
    }
    crowd.finish(&tops).await;
    stock.finish(&tops).await;
    let mut history = std::mem::take(&mut *run.history.lock().unwrap());
    stock.tell(&mut history);
    crate::rounds::plain::end(&mut history, run, &tops);
    let members = run.plan.plain + run.plan.stock;
    let published = run.plan.rounds * run.plan.messages_of_a_round();
    let demand = Demand { acked: published as usize, delivered: members, gaps: false };
    history.verdict(&demand)
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_repeats_and_reorders_nothing() {
    let plan = Plan::of_the_environment();
    let outcome = run(rounds(plan));
    assert!(outcome.verdict.holds(), "{}", outcome.verdict);
    assert_eq!(outcome.gaps, 0, "stock clients were told of gaps");
    assert!(
        !plan.expects_recovered || outcome.fresh == 0,
        "{} stock clients were not recovered",
        outcome.fresh
    );
}

/// The control: who comes back without saying where it was misses something.
#[test]
fn clients_that_come_back_without_their_position_lose_something() {
    let outcome = run(rounds(Plan { since: false, ..Plan::small() }));
    let lost = outcome.verdict.count(|fault| matches!(fault, Fault::Lost { .. }));
    assert!(lost > 0, "{}", outcome.verdict);
}
