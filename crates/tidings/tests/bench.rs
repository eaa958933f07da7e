//! `bench` through the real binary, against a small server in the test.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message};

/// Rooms and the write halves of their members; frames are written by hand, under the lock.
type Rooms = Arc<Mutex<HashMap<String, Vec<TcpStream>>>>;

/// A server of the plain and the Socket.IO protocol that loses every `lossy`th delivery.
fn server(lossy: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let rooms = Rooms::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let rooms = Arc::clone(&rooms);
            std::thread::spawn(move || serve(stream.unwrap(), &rooms, lossy));
        }
    });
    url
}

fn serve(stream: TcpStream, rooms: &Rooms, lossy: usize) {
    let mut out = stream.try_clone().unwrap();
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    let noted = |request: &tungstenite::handshake::server::Request, response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    let mut socket = tungstenite::accept_hdr(stream, noted).unwrap();
    if path.starts_with("/socket.io") {
        write(&mut out, "0{\"sid\":\"s\"}");
    }
    while let Ok(Message::Text(text)) = socket.read() {
        if let Some(answer) = answer(&text, rooms, &out, lossy) {
            let _lock = rooms.lock().unwrap();
            write(&mut out, &answer);
        }
    }
}

/// Knows no more of the protocols than the bench sends.
fn answer(text: &str, rooms: &Rooms, out: &TcpStream, lossy: usize) -> Option<String> {
    if text.starts_with("40") {
        return Some("40{\"sid\":\"s\"}".into());
    }
    let start = text.find(['[', '{']).unwrap_or(text.len());
    let body: Value = serde_json::from_str(&text[start..]).ok()?;
    let plain = body.is_object();
    let (name, id) =
        if plain { (&body["type"], body["id"].to_string()) } else { (&body[0], text[2..start].into()) };
    let fields = if plain { &body } else { &body[1] };
    let room = fields["room"].as_str().unwrap_or_default().to_owned();
    match name.as_str()? {
        "auth" => return Some("{\"type\":\"auth:ok\"}".into()),
        "subscribe" => rooms.lock().unwrap().entry(room).or_default().push(out.try_clone().unwrap()),
        "publish" => {
            let data = &fields["data"];
            let event = if plain {
                format!("{{\"type\":\"event\",\"data\":{data}}}")
            } else {
                format!("42[\"tick\",{data}]")
            };
            let mut rooms = rooms.lock().unwrap();
            let members = rooms.entry(room).or_default().iter_mut().enumerate();
            members
                .filter(|(index, _)| (index + 1) % lossy != 0)
                .for_each(|(_, member)| write(member, &event));
            return None;
        }
        _ => {}
    }
    Some(if plain {
        format!("{{\"type\":\"ack\",\"id\":{id},\"ok\":true}}")
    } else {
        format!("43{id}[{{\"ok\":true}}]")
    })
}

/// A member that is gone is no error: storms cut connections.
fn write(out: &mut TcpStream, text: &str) {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short @ 0..=125) => frame.push(short),
        _ => {
            frame.push(126);
            frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    out.write_all(&frame).ok();
}

/// A run's output directory and what it found there.
struct Run(PathBuf);

impl Run {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("tidings-bench-test-{}-{name}", std::process::id())))
    }

    fn output(&self, arguments: &str, url: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().arg("bench").args(arguments.split_whitespace());
        command.args(["--secs", "1", "--warm", "0", "--token", "t", "--url", url, "--out"]).arg(&self.0);
        command.output().unwrap()
    }

    fn report(&self, arguments: &str, url: &str) -> Value {
        let output = self.output(arguments, url);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(self.0.join("report.md")).unwrap();
        assert!(text.len() > 200, "{text}");
        let drawing = std::fs::metadata(self.0.join("plot.svg"));
        assert_eq!(text.contains("plot.svg"), drawing.is_ok_and(|drawing| drawing.len() > 1_000));
        serde_json::from_slice(&std::fs::read(self.0.join("report.json")).unwrap()).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn figure(report: &Value, name: &str) -> f64 {
    let found = report["figures"].as_array().unwrap().iter().find(|figure| figure["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))["value"].as_f64().unwrap()
}

#[test]
fn fanout_counts_every_delivery_in_both_protocols() {
    let url = server(usize::MAX);
    for proto in ["sio", "plain"] {
        let arguments = format!("fanout --proto {proto} --conns 6 --window 4 --pid {}", std::process::id());
        let report = Run::new(proto).report(&arguments, &url);
        assert_eq!(report["problems"], serde_json::json!([]), "{report}");
        let deliveries = figure(&report, "deliveries");
        assert!(deliveries > 0.0 && deliveries % 6.0 == 0.0, "{deliveries}");
        assert_eq!(report["latency"]["count"].as_f64(), Some(deliveries));
        let columns = report["timeline"]["counts"].as_array().unwrap().iter();
        assert_eq!(columns.map(|count| count.as_f64().unwrap()).sum::<f64>(), deliveries);
        assert!(figure(&report, "server memory") > 0.1);
    }
}

#[test]
fn deliveries_that_do_not_come_are_lost_and_a_problem() {
    let url = server(3);
    let report = Run::new("lossy").report("rooms --conns 6 --rooms 2 --pubs 2 --rate 100", &url);
    // Of three members in each room the third gets nothing.
    assert_eq!(figure(&report, "lost") * 2.0, figure(&report, "deliveries"));
    assert!(figure(&report, "lost") >= 100.0, "{report}");
    assert!(report["problems"][0].as_str().unwrap().contains("lost"), "{report}");
}

#[test]
fn a_fixed_rate_publishes_what_was_planned() {
    let url = server(usize::MAX);
    let report = Run::new("rate").report("rooms --conns 4 --rooms 4 --pubs 2 --rate 200 --proto plain", &url);
    assert_eq!(figure(&report, "deliveries"), 201.0, "both ends of the second are due");
    assert_eq!(figure(&report, "out of order"), 0.0);
}

#[test]
fn ack_matches_every_answer_with_its_request() {
    let url = server(usize::MAX);
    for proto in ["sio", "plain"] {
        let arguments = format!("ack --proto {proto} --conns 3 --outstanding 4");
        let report = Run::new(&format!("ack-{proto}")).report(&arguments, &url);
        assert_eq!(report["problems"], serde_json::json!([]), "{report}");
        assert!(figure(&report, "answers") > 100.0);
        assert_eq!(figure(&report, "unanswered"), 0.0);
    }
}

#[test]
fn a_storm_is_over_when_all_are_back_and_hear_an_event() {
    let report = Run::new("storm").report("storm --conns 20", &server(usize::MAX));
    assert_eq!(figure(&report, "back"), 21.0, "with the publisher");
    assert_eq!(figure(&report, "lost afterwards"), 0.0);
    assert_eq!(report["latency"]["count"], 21);
}

#[test]
fn idle_reports_that_all_stayed() {
    let report = Run::new("idle").report("idle --conns 10", &server(usize::MAX));
    assert_eq!(figure(&report, "still connected"), 100.0);
    assert_eq!(figure(&report, "connections"), 10.0);
}

#[test]
fn idle_has_nothing_to_draw_and_fanout_has() {
    let (idle, fanout) = (Run::new("undrawn"), Run::new("drawn"));
    idle.report("idle --conns 2", &server(usize::MAX));
    fanout.report("fanout --conns 2 --rate 20", &server(usize::MAX));
    assert!(!idle.0.join("plot.svg").exists() && fanout.0.join("plot.svg").exists());
}

/// What is published is more than the kernel and the server hold for a connection, and so slow that
/// nobody who reads falls behind, however busy the machine is.
#[test]
fn who_never_reads_is_closed_as_too_slow_comes_back_and_has_everything() {
    let run = Run::new("stuck");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().arg("bench").arg("--out").arg(&run.0);
    let arguments = "stuck --conns 5 --stuck 2 --rounds 1 --secs 5 --warm 0 --rate 25 --pad 20000";
    let output = command.args(arguments.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(run.0.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["problems"], serde_json::json!([]), "{report}");
    let found =
        ["never read", "closed as too slow, 4008", "came back with a position", "and have every event"];
    assert_eq!(found.map(|name| figure(&report, name)), [2.0; 4]);
    assert!(figure(&report, "events they missed") > 0.0);
    assert!(figure(&report, "most server memory, with") > 1.0);
}

#[test]
fn who_never_reads_and_is_not_closed_is_a_problem() {
    let arguments = "stuck --conns 4 --stuck 2 --rounds 2 --rate 50 --pad 100";
    let report = Run::new("unclosed").report(arguments, &server(usize::MAX));
    let found = ["never read", "still open", "closed as too slow, 4008", "events they missed", "lost"];
    assert_eq!(found.map(|name| figure(&report, name)), [4.0, 4.0, 0.0, 0.0, 0.0]);
    assert!(report["problems"][0].as_str().unwrap().contains("not closed"), "{report}");
}

/// What the kernel says of a process, `None` once it is gone or only waits to be reaped.
fn alive(pid: &str) -> Option<()> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (!stat.rsplit(')').next()?.trim_start().starts_with('Z')).then_some(())
}

/// Looks again and again until there is an answer, for ten seconds.
fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < end, "{what}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_run_that_is_interrupted_takes_its_server_and_its_directory_along() {
    let scratch = Run::new("interrupted");
    std::fs::create_dir_all(&scratch.0).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.env_clear().env("TMPDIR", &scratch.0).current_dir(&scratch.0);
    let mut bench = command.args(["bench", "idle", "--conns", "5", "--secs", "60"]).spawn().unwrap();
    let pid = bench.id();
    let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok();
    let server = soon("a server", || Some(children()?.split_whitespace().next()?.to_owned()));
    rustix::process::kill_process(rustix::process::Pid::from_child(&bench), rustix::process::Signal::INT)
        .unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(130));
    soon("the server is gone", || alive(&server).is_none().then_some(()));
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn other_machines_are_refused() {
    for url in ["ws://192.0.2.1:3000", "http://example.com", "ws://127.0.0.1.example:1"] {
        let output = Run::new("far").output("idle", url);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("not this machine"), "{url}");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_the_reason() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Run::new("gone").output("fanout --conns 5", &format!("ws://{free}"));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("refused"), "{error}");
}
