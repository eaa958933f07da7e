//! Leaving: everybody is told, and the server ends.

use tidings_server::{Extras, Server};

use crate::common::{Wire, config};

/// What a server says that is ready.
const READY: &str = "ready\ndegraded: no\n";

#[test]
fn a_draining_server_tells_its_clients_and_closes_them_with_1012() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(&config(), Extras::default()).await.unwrap();
        let addr = server.addr();
        let connect = move || -> Vec<Wire> { (0..20).map(|_| Wire::subscribed(addr, "open:1")).collect() };
        let clients = tokio::task::spawn_blocking(connect).await.unwrap();
        assert_eq!(server.connections(), 20);
        let read = tokio::task::spawn_blocking(move || {
            clients
                .into_iter()
                .map(|mut wire| {
                    let told = wire.hear("reconnect").contains("afterMs");
                    (told, wire.closed())
                })
                .collect::<Vec<_>>()
        });
        server.drain().await;
        assert_eq!(read.await.unwrap(), vec![(true, Some(1012)); 20]);
        assert!(std::net::TcpStream::connect(addr).is_err(), "nobody is taken in any more");
    });
}

#[test]
fn what_a_pace_held_back_is_heard_before_the_close() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config();
        for (name, batch, keep) in
            [("paced", false, "recent"), ("batch", true, "nothing"), ("log", true, "recent")]
        {
            let mut kind = config.rooms["open"].clone();
            kind.keep = Some(keep.into());
            let long = Some(3_600_000);
            if batch {
                kind.batch_ms = long;
            } else {
                kind.pace_ms = long;
            }
            config.rooms.insert(name.into(), kind);
        }
        let server = Server::start(&config, Extras::default()).await.unwrap();
        let addr = server.addr();
        let (publisher, rooms) = (server.publisher(), ["paced:1", "batch:1", "log:1"]);
        let connect = move || rooms.map(|room| Wire::subscribed(addr, room));
        let clients = tokio::task::spawn_blocking(connect).await.unwrap();
        for (room, data) in rooms.into_iter().flat_map(|room| (1..=3).map(move |data| (room, data))) {
            publisher.publish(room, "e", data.to_string()).unwrap();
        }
        let read = tokio::task::spawn_blocking(move || {
            clients.map(|mut wire| {
                while !wire.hear("\"event\"").contains("\"data\":3,") {}
                wire.closed()
            })
        });
        server.drain().await;
        assert_eq!(read.await.unwrap(), [Some(1012); 3]);
    });
}

#[test]
fn a_client_that_comes_while_the_server_drains_is_sent_away() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::start(&config(), Extras::default()).await.unwrap();
        let addr = server.addr();
        let connect = move || {
            // So many that it does not leave in a moment.
            let crowd: Vec<Wire> = (0..200).map(|_| Wire::subscribed(addr, "open:1")).collect();
            // One is accepted before, and asks for an upgrade only then; another comes then.
            let mut kept = Wire::connect(addr);
            kept.send(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            assert!(kept.head().starts_with("HTTP/1.1 200"));
            assert_eq!(kept.exactly(READY.len()), READY);
            (crowd, kept)
        };
        let (mut crowd, kept) = tokio::task::spawn_blocking(connect).await.unwrap();
        let draining = tokio::spawn(server.drain());
        let heads = tokio::task::spawn_blocking(move || {
            crowd[0].hear("reconnect");
            [kept, Wire::connect(addr)].map(|mut wire| {
                wire.send(crate::common::upgrade("/ws").as_bytes());
                wire.head()
            })
        });
        for head in heads.await.unwrap() {
            assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        }
        draining.await.unwrap();
    });
}
