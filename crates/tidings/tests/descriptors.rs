//! A server that has no descriptors left: it goes on, says so seldom, and takes people again.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tidings_testkit::Place;

const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds between two lines that say the same.
const TOLD_EVERY: u64 = 10;

/// A server with 64 descriptors, and its address.
fn start(place: &Place) -> (Child, String) {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "ulimit -n 64; exec \"$0\" serve --listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_tidings"),
    ]);
    command.env_clear().current_dir(place.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect(&line).to_owned();
    (child, address)
}

/// Whether a request is answered.
fn answers(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

/// What a server logs, line by line, until it ends.
fn lines(log: ChildStderr) -> Receiver<String> {
    let (lines, log_lines) = channel();
    // It reads on when nobody wants the lines any more: a full pipe would stop the server.
    std::thread::spawn(move || BufReader::new(log).lines().for_each(|line| drop(lines.send(line.unwrap()))));
    log_lines
}

fn is_told(line: &str) -> bool {
    line.contains("connections cannot be accepted")
}

#[test]
fn a_server_without_descriptors_says_so_seldom_and_takes_people_again_when_there_are_some() {
    let place = Place::new();
    let (mut server, address) = start(&place);
    let (lines, mut log) = (lines(server.stderr.take().unwrap()), Vec::new());
    assert!(answers(&address), "the control");
    let began = Instant::now();
    let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&address).unwrap()).collect();
    while !log.last().is_some_and(|line: &String| is_told(line)) {
        log.push(lines.recv_timeout(PATIENCE).expect("its descriptors do not run out"));
    }
    // It tries again twenty times in a second.
    let until = Instant::now() + Duration::from_secs(1);
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        log.push(line);
    }
    drop(crowd);
    assert!(answers(&address), "it takes nobody any more");
    assert!(server.try_wait().unwrap().is_none());
    let may_tell = 1 + (began.elapsed().as_secs() / TOLD_EVERY) as usize;
    server.kill().unwrap();
    log.extend(lines);
    server.wait().unwrap();
    let told = log.iter().filter(|line| is_told(line)).count();
    assert!((1..=may_tell).contains(&told), "{told} lines, not {may_tell}: {log:?}");
    assert!(!log.iter().any(|line| line.contains("panicked")), "{log:?}");
}
