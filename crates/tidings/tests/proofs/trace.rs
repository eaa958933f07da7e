//! What the kernel sees: no acknowledgement leaves before the flush that covers its event.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;
use tidings_testkit::Serving;
use tidings_testkit::client::{Heard, PATIENCE, PlainClient};

use crate::bed::{FLAGS, place, run};

const ROOM: &str = "notes:1";
const PUBLISHES: u64 = 1_000;
/// Publishes that wait for their answer.
const OPEN: u64 = 50;

/// Whether processes may be traced here.
fn can_trace() -> bool {
    let tried = Command::new("strace").args(["-o", "/dev/null", "/bin/true"]).output();
    let can = tried.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        // Said on purpose where everybody sees it: a proof is missing.
        eprintln!(
            "\n*** NOT PROVED: strace may not trace here, so nobody looked at acknowledgements and flushes: {tried:?} ***\n"
        );
    }
    can
}

/// Publishes a thousand marked events to a server that is traced; the trace.
fn traced(points: &str) -> String {
    let place = place("");
    let file = place.path().join("trace");
    let mut command = Command::new("strace");
    // Detached, so that what is killed at the end is the server, and the trace ends with it.
    command.args(["-D", "-f", "-y", "-s", "65536", "-o"]).arg(&file);
    command.args(["-e", "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"]);
    command.arg(env!("CARGO_BIN_EXE_tidings")).arg("serve").args(FLAGS);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("FAILPOINTS", points).current_dir(place.path());
    let server = Serving::run(&mut command);
    run(async {
        let mut client = PlainClient::sign_in(server.addr(), None).await.unwrap();
        let (mut sent, mut answered) = (0, 0);
        while answered < PUBLISHES {
            while sent < PUBLISHES && sent < answered + OPEN {
                sent += 1;
                let id = client.publish(ROOM, json!(mark(sent)), None).await.unwrap();
                assert_eq!(id, sent);
            }
            if let Heard::Ack { body, .. } = client.hear().await.unwrap() {
                assert_eq!((&body["ok"], &body["durability"]), (&json!(true), &json!("synced")), "{body}");
                answered += 1;
            }
        }
    });
    let tracer = status(server.pid(), "TracerPid:").unwrap();
    server.kill();
    whole(&file, &tracer)
}

/// A field of what the kernel says of a process.
fn status(process: impl std::fmt::Display, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?.trim();
    Some(value.split_whitespace().next()?.to_owned())
}

/// The trace, once the tracer is gone and has written all of it; nobody may have waited for it.
fn whole(file: &Path, tracer: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    while status(tracer, "State:").is_some_and(|state| state != "Z") {
        assert!(Instant::now() < deadline, "the tracer does not end");
        std::thread::yield_now();
    }
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
}

fn mark(number: u64) -> String {
    format!("mark-{number:05}-")
}

/// A thing the server did, in the order in which the kernel saw it begin.
#[derive(Debug)]
enum Seen<'a> {
    /// Bytes for the database's log.
    Written(&'a str),
    /// A flush of that log began, and was done when line `until` was written.
    Flushed { until: usize },
    /// Bytes for a client.
    Sent(&'a str),
}

/// What a trace says, by line.
fn read(trace: &str) -> Vec<(usize, Seen<'_>)> {
    let lines: Vec<(&str, &str)> =
        trace.lines().map(|line| line.trim_start().split_once(' ').unwrap_or((line, ""))).collect();
    let done = |at: usize, call: &str| {
        let (pid, text) = lines[at];
        let resumed = format!("<... {call} resumed>");
        if !text.contains("<unfinished") {
            return text.ends_with("= 0").then_some(at);
        }
        let until = (at + 1..lines.len()).find(|at| lines[*at].0 == pid)?;
        let text = lines[until].1.trim_start();
        (text.starts_with(&resumed) && text.ends_with("= 0")).then_some(until)
    };
    let mut seen = Vec::new();
    for (at, (_, text)) in lines.iter().enumerate() {
        let text = text.trim_start();
        let of_the_log = text.split(',').next().is_some_and(|first| first.contains("tidings.db-wal"));
        if text.starts_with("pwrite64(") && of_the_log {
            seen.push((at, Seen::Written(text)));
        } else if text.starts_with("fdatasync(") || text.starts_with("fsync(") {
            let call = text.split('(').next().unwrap_or_default();
            let log = text.contains("tidings.db-wal");
            seen.extend(done(at, call).filter(|_| log).map(|until| (at, Seen::Flushed { until })));
        } else if text.contains("durability") {
            seen.push((at, Seen::Sent(text)));
        }
    }
    seen
}

/// Publishes whose acknowledgement left before a flush had covered them, and how many were acknowledged.
fn uncovered(trace: &str) -> (Vec<u64>, u64) {
    let seen = read(trace);
    let mut written: HashMap<u64, usize> = HashMap::new();
    let (mut early, mut acked) = (Vec::new(), 0);
    for (at, what) in &seen {
        match what {
            Seen::Written(text) => numbers(text, "mark-").into_iter().for_each(|number| {
                written.entry(number).or_insert(*at);
            }),
            Seen::Sent(text) => {
                for number in numbers(text, "\\\"type\\\":\\\"ack\\\",\\\"id\\\":") {
                    acked += 1;
                    let covered = written.get(&number).is_some_and(|written| {
                        seen.iter().any(|(began, what)| {
                            matches!(what, Seen::Flushed { until } if began > written && until < at)
                        })
                    });
                    early.extend((!covered).then_some(number));
                }
            }
            Seen::Flushed { .. } => {}
        }
    }
    (early, acked)
}

/// The numbers behind each place where `before` stands.
fn numbers(text: &str, before: &str) -> Vec<u64> {
    let behind = text.split(before).skip(1);
    behind.filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()).collect()
}

#[test]
fn no_acknowledgement_leaves_before_the_flush_that_covers_it() {
    if !can_trace() {
        return;
    }
    let trace = traced("");
    let (early, acked) = uncovered(&trace);
    let flushes = read(&trace).iter().filter(|(_, seen)| matches!(seen, Seen::Flushed { .. })).count();
    println!("{acked} acknowledgements, {flushes} flushes of the log");
    assert_eq!((acked, early), (PUBLISHES, vec![]));
    // An acknowledgement that had left before its flush would be seen.
    let lines: Vec<&str> = trace.lines().collect();
    let sent = lines.iter().position(|line| line.contains("durability")).unwrap();
    let mut moved = lines.clone();
    moved.remove(sent);
    moved.insert(0, lines[sent]);
    assert!(!uncovered(&moved.join("\n")).0.is_empty());
}

/// The control: a server that says `synced` without flushing is found out.
#[test]
fn an_acknowledgement_without_a_flush_is_found() {
    if !can_trace() {
        return;
    }
    let (early, acked) = uncovered(&traced("synced"));
    assert_eq!((acked, early.len() as u64), (PUBLISHES, PUBLISHES));
}
