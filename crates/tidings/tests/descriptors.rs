//! A server that has no descriptors left: it goes on, says so seldom, and takes people again.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidings_testkit::Place;

const PATIENCE: Duration = Duration::from_secs(20);

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

/// Whether a request is answered within a moment.
fn answers(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

#[test]
fn a_server_without_descriptors_says_so_seldom_and_takes_people_again_when_there_are_some() {
    let place = Place::new();
    let (mut server, address) = start(&place);
    assert!(answers(&address), "the control");
    let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let began = Instant::now();
    while answers(&address) {
        assert!(began.elapsed() < PATIENCE, "its descriptors do not run out");
    }
    drop(crowd);
    let began = Instant::now();
    while !answers(&address) {
        assert!(began.elapsed() < PATIENCE, "it takes nobody any more");
    }
    assert!(server.try_wait().unwrap().is_none());
    server.kill().unwrap();
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    server.wait().unwrap();
    let told = log.lines().filter(|line| line.contains("connections cannot be accepted")).count();
    assert!((1..=4).contains(&told), "{told} lines: {log}");
    assert!(!log.contains("panicked"), "{log}");
}
