//! What is measured: the command line, with a bound on everything.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::dialect::Proto;
use crate::config::LocateFlags;

/// `tidings bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchLine {
    /// What is measured.
    #[arg(value_enum)]
    pub(crate) scenario: Scenario,
    /// The server, on this machine [default: one is started for the run, without limits].
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The protocol.
    #[arg(long, value_enum, default_value_t = Proto::Sio)]
    pub(crate) proto: Proto,
    /// A token with the scope `publish` [env: TIDINGS_TOKEN] [default: made with the local secret].
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// The server's process, for its CPU time and memory [default: that of the server started here].
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Connections [default: 1000 for idle, fanout and stuck, 2000 for rooms and storm, 100 for ack].
    #[arg(long, visible_alias = "subs")]
    pub(crate) conns: Option<u32>,
    /// Rooms the connections are spread over [default: 1, in rooms 400].
    #[arg(long)]
    pub(crate) rooms: Option<u32>,
    /// Connections that publish [default: 1, in rooms 10].
    #[arg(long)]
    pub(crate) pubs: Option<u32>,
    /// Publications a second, or `max`: as fast as the window allows [default: max, in rooms 2000, in stuck 50].
    #[arg(long, value_parser = rate)]
    pub(crate) rate: Option<Rate>,
    /// Publications in flight at `--rate max`; the next leaves when one has reached everybody.
    #[arg(long, default_value_t = 16)]
    pub(crate) window: u32,
    /// Requests in flight per connection, in ack.
    #[arg(long, default_value_t = 10)]
    pub(crate) outstanding: u32,
    /// Connections that stop reading once they are subscribed, in stuck.
    #[arg(long, default_value_t = 10)]
    pub(crate) stuck: u32,
    /// Rounds without those who do not read, and as many with them, in stuck.
    #[arg(long, default_value_t = 6)]
    pub(crate) rounds: u32,
    /// The kind of the rooms; one that keeps events is recorded [default: bench, in stuck lobby].
    #[arg(long, value_parser = kind)]
    pub(crate) kind: Option<String>,
    /// Seconds that are measured [default: 10, in stuck 6 in each round].
    #[arg(long)]
    pub(crate) secs: Option<u32>,
    /// Seconds before, which do not count.
    #[arg(long, default_value_t = 1)]
    pub(crate) warm: u32,
    /// Bytes of filler in each event or request [default: 55, in stuck 8000].
    #[arg(long)]
    pub(crate) pad: Option<usize>,
    /// Handshakes in flight while connecting.
    #[arg(long, default_value_t = 256)]
    pub(crate) conc: usize,
    /// Client addresses, 127.0.0.2 and up; 0: the system chooses one.
    #[arg(long, default_value_t = 8)]
    pub(crate) src: u8,
    /// Where the report goes [default: bench-results/SCENARIO-TIME].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) locate: LocateFlags,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Connections that only stay: memory, and CPU time while nothing happens.
    Idle,
    /// One room with everybody in it.
    Fanout,
    /// Many small rooms.
    Rooms,
    /// Requests and their answers.
    Ack,
    /// Everybody is cut off and comes back at once.
    Storm,
    /// One room with everybody in it, by turns without and with some who never read.
    Stuck,
}

impl Scenario {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Fanout => "fanout",
            Self::Rooms => "rooms",
            Self::Ack => "ack",
            Self::Storm => "storm",
            Self::Stuck => "stuck",
        }
    }
}

/// How fast is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// As fast as the window allows.
    Max,
    /// So many a second.
    PerSecond(f64),
}

/// The figures of a run, all within bounds.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    pub(crate) conns: u32,
    pub(crate) rooms: u32,
    pub(crate) pubs: u32,
    pub(crate) rate: Rate,
    pub(crate) window: u32,
    pub(crate) outstanding: u32,
    pub(crate) stuck: u32,
    pub(crate) rounds: u32,
    pub(crate) kind: String,
    pub(crate) secs: Duration,
    pub(crate) warm: Duration,
    pub(crate) pad: usize,
}

impl Plan {
    /// Fills in what the scenario leaves open and checks the bounds.
    ///
    /// # Errors
    /// A figure is out of bounds, with the bounds.
    pub(crate) fn of(line: &BenchLine) -> Result<Self> {
        let (conns, rooms, pubs, rate) = match line.scenario {
            Scenario::Idle => (1_000, 1, 0, Rate::Max),
            Scenario::Fanout => (1_000, 1, 1, Rate::Max),
            Scenario::Rooms => (2_000, 400, 10, Rate::PerSecond(2_000.0)),
            Scenario::Ack => (100, 1, 0, Rate::Max),
            Scenario::Storm => (2_000, 1, 1, Rate::Max),
            Scenario::Stuck => (1_000, 1, 1, Rate::PerSecond(50.0)),
        };
        let is_stuck = line.scenario == Scenario::Stuck;
        let (secs, pad, kind) = if is_stuck { (6, 8_000, "lobby") } else { (10, 55, "bench") };
        let publishes = pubs > 0;
        let secs = line.secs.unwrap_or(secs);
        let plan = Self {
            scenario: line.scenario,
            conns: line.conns.unwrap_or(conns),
            rooms: line.rooms.unwrap_or(rooms),
            pubs: if publishes { line.pubs.unwrap_or(pubs) } else { 0 },
            rate: line.rate.unwrap_or(rate),
            window: line.window,
            outstanding: line.outstanding,
            stuck: if is_stuck { line.stuck } else { 0 },
            rounds: line.rounds,
            kind: line.kind.clone().unwrap_or_else(|| kind.to_owned()),
            secs: Duration::from_secs(secs.into()),
            warm: Duration::from_secs(line.warm.into()),
            pad: line.pad.unwrap_or(pad),
        };
        // Those who come back tell what they missed by its number, so there is one room.
        let most_rooms = if is_stuck { 1 } else { 99_999 };
        let bounds = [
            ("--conns", u64::from(plan.conns), 1, 100_000),
            ("--rooms", plan.rooms.into(), 1, most_rooms),
            ("--pubs", plan.pubs.into(), u64::from(publishes), 1_000),
            ("--window", plan.window.into(), 1, 10_000),
            ("--outstanding", plan.outstanding.into(), 1, 1_000),
            ("--stuck", line.stuck.into(), 1, 1_000),
            ("--rounds", line.rounds.into(), 1, 1_000),
            ("--secs", secs.into(), 1, 3_600),
            ("--warm", line.warm.into(), 0, 600),
            ("--pad", plan.pad as u64, 0, 500_000),
            ("--conc", line.conc as u64, 1, 100_000),
            ("--src", line.src.into(), 0, 200),
        ];
        for (flag, value, least, most) in bounds {
            if !(least..=most).contains(&value) {
                bail!("{flag} is {value}; it may be {least} to {most}");
            }
        }
        Ok(plan)
    }

    /// Connections of every sort that read.
    pub(crate) fn lines(&self) -> usize {
        (self.conns + self.pubs) as usize
    }

    /// Subscribers of a room: those whose number modulo the rooms is the room's.
    pub(crate) fn members(&self, room: u32) -> u32 {
        self.conns / self.rooms + u32::from(room < self.conns % self.rooms)
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Rate::Max),
        Ok(rate) if (0.1..=1_000_000.0).contains(&rate) => Ok(Rate::PerSecond(rate)),
        _ => Err(format!("`{text}` is neither `max` nor a rate of 0.1 to 1000000 a second")),
    }
}

/// What stands before a room's colon.
fn kind(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && !text.contains(|c: char| c == ':' || c.is_control());
    if fits { Ok(text.to_owned()) } else { Err("a kind has 1 to 64 bytes and no colon".into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Parsed {
        #[command(flatten)]
        line: BenchLine,
    }

    fn plan(arguments: &str) -> Result<Plan> {
        let arguments = std::iter::once("bench").chain(arguments.split_whitespace());
        Plan::of(&Parsed::try_parse_from(arguments)?.line)
    }

    #[test]
    fn every_scenario_has_defaults_within_the_bounds() {
        for scenario in Scenario::value_variants() {
            assert!(plan(scenario.name()).unwrap().lines() > 0);
        }
    }

    #[test]
    fn every_figure_is_bounded() {
        for beyond in [
            "--conns 0",
            "--conns 100001",
            "--secs 0",
            "--secs 99999",
            "--window 0",
            "--rooms 100000",
            "--pubs 0",
        ] {
            assert!(plan(&format!("fanout {beyond}")).is_err(), "{beyond}");
        }
        for beyond in ["--rate 0", "--rate NaN", "--rate -5", "--rate inf", "--kind a:b", "--kind "] {
            assert!(plan(&format!("fanout {beyond}")).is_err(), "{beyond}");
        }
        for beyond in ["--stuck 0", "--stuck 1001", "--rounds 0", "--rounds 1001", "--rooms 2"] {
            assert!(plan(&format!("stuck {beyond}")).is_err(), "{beyond}");
        }
    }

    #[test]
    fn members_of_all_rooms_are_all_subscribers() {
        let plan = plan("rooms --conns 10 --rooms 4").unwrap();
        let members: Vec<u32> = (0..4).map(|room| plan.members(room)).collect();
        assert_eq!(members, [3, 3, 2, 2]);
    }
}
