//! Where requests may go: spellings, addresses, and names that change what they mean.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::address::{Reach, reach};
use super::client::{Found, OutboundError, Resolve};
use super::{Guard, Outbound, Target, connector};

/// Addresses that must not be reached from outside, in every notation an address has.
const NOT_PUBLIC: [&str; 46] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001::1",
    "2001:db8::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
];

const PUBLIC: [&str; 9] = [
    "1.1.1.1",
    "9.255.255.255",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.167.255.255",
    "2606:4700::1111",
    "64:ff9b::101:101",
    "2002:101:101::1",
];

/// URLs that are refused before anything is resolved.
const NO_URLS: [&str; 24] = [
    "",
    "ftp://hooks.example/",
    "HTTPS://hooks.example/",
    "//hooks.example/",
    "https://",
    "https:///path",
    "https://user@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://hooks.example#@127.0.0.1/",
    "https://hooks.example\\@127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://127.0.0.1.5/",
    "https://hooks.example:0/",
    "https://hooks.example:99999/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://hooks..example/",
    "https://ex ample/",
];

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn url(address: &str) -> String {
    if address.contains(':') { format!("https://[{address}]/") } else { format!("https://{address}/") }
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_notation() {
    let guard = Guard::default();
    for text in NOT_PUBLIC {
        let address: IpAddr = text.parse().unwrap();
        assert_ne!(reach(address), Reach::Public, "{text}");
        assert!(guard.judge(&target(&url(text))).is_err(), "{text} as a URL");
        let found = [SocketAddr::new(address, 443)];
        assert_eq!(
            guard.judge_found(&target("https://hooks.example/"), &found),
            Err(address),
            "{text} by name"
        );
    }
    for text in PUBLIC {
        assert_eq!(reach(text.parse().unwrap()), Reach::Public, "{text}");
        assert!(guard.judge(&target(&url(text))).is_ok(), "{text}");
    }
}

#[test]
fn urls_that_mean_different_things_to_different_readers_are_none() {
    for url in NO_URLS {
        assert!(Target::parse(url).is_err(), "{url}");
    }
    let plain = target("https://Hooks.Example./a?b=c");
    assert_eq!((plain.host.as_str(), plain.port, plain.path.as_str()), ("hooks.example", 443, "/a?b=c"));
    assert_eq!(target("https://[::0001]:8443").authority(), "[::1]:8443");
}

#[test]
fn nobody_and_everybody_are_never_asked_whatever_is_allowed() {
    let guard = Guard { allow_private: true, allow_hosts: vec!["0.0.0.0:80".into()], ..Guard::default() };
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        assert!(guard.judge(&target(&format!("http://{address}:80/"))).is_err(), "{address}");
    }
}

#[test]
fn without_tls_only_named_hosts_and_private_addresses_are_asked() {
    let found = |address: &str| [SocketAddr::new(address.parse().unwrap(), 80)];
    let plain = target("http://hooks.example/");
    assert!(Guard::default().judge(&plain).is_err());
    let private = Guard { allow_private: true, ..Guard::default() };
    assert!(private.judge(&plain).is_ok());
    assert!(private.judge_found(&plain, &found("10.0.0.1")).is_ok());
    assert!(private.judge_found(&plain, &found("1.1.1.1")).is_err(), "in the clear over the internet");
    let named = Guard { allow_hosts: vec!["Hooks.example:80".into()], ..Guard::default() };
    assert!(named.judge(&plain).is_ok() && named.judge_found(&plain, &found("10.0.0.1")).is_ok());
    let other_port = target("http://hooks.example:8080/");
    assert!(named.judge(&other_port).is_err(), "an exception is for one port");
}

#[test]
fn one_forbidden_address_among_good_ones_forbids_the_name() {
    let found: Vec<SocketAddr> = ["1.1.1.1:443", "10.0.0.1:443"].map(|text| text.parse().unwrap()).into();
    assert!(Guard::default().judge_found(&target("https://hooks.example/"), &found).is_err());
}

/// A name that is public when it is looked up first, and this machine afterwards.
struct Rebinding {
    calls: AtomicUsize,
    second: SocketAddr,
}

impl Resolve for Rebinding {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Found<'a> {
        let first = self.calls.fetch_add(1, Ordering::SeqCst) == 0;
        let found = if first { SocketAddr::from(([1, 1, 1, 1], port)) } else { self.second };
        Box::pin(async move { Ok(vec![found]) })
    }
}

/// A server on this machine that answers every request; and how many connections it got.
async fn inside() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let connections = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4_096];
            if stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    });
    (addr, count)
}

#[tokio::test]
async fn a_name_that_turns_into_this_machine_is_not_connected_to() {
    let (second, connections) = inside().await;
    let resolver = Arc::new(Rebinding { calls: AtomicUsize::new(0), second });
    let guard = Guard { allow_hosts: Vec::new(), ..Guard::default() };
    let outbound = Outbound::new(guard, resolver.clone(), connector("").unwrap());
    let target = target("https://hooks.example/");

    let pinned = outbound.addresses(&target).await.unwrap();
    assert_eq!(pinned, ["1.1.1.1:443".parse().unwrap()], "what was judged is what is connected to");
    assert_eq!(resolver.calls.load(Ordering::SeqCst), 1, "and nobody looks the name up again");
    let refused = outbound.post(&target, &[], Bytes::new(), 99).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Forbidden(address) if address == second.ip()), "{refused}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);

    // The control: without the guard the same name leads inside.
    let unguarded = Guard { off: true, ..Guard::default() };
    let outbound = Outbound::new(unguarded, resolver, connector("").unwrap());
    let plain = Target { https: false, ..target };
    assert!(outbound.post(&plain, &[], Bytes::new(), 99).await.is_ok());
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn no_address_of_the_table_is_connected_to_by_any_name() {
    let (_, connections) = inside().await;
    for text in NOT_PUBLIC {
        let second = SocketAddr::new(text.parse().unwrap(), 443);
        let resolver = Arc::new(Rebinding { calls: AtomicUsize::new(1), second });
        let outbound = Outbound::new(Guard::default(), resolver, connector("").unwrap());
        let refused = outbound.post(&target("https://hooks.example/"), &[], Bytes::new(), 99).await;
        assert!(matches!(refused, Err(OutboundError::Forbidden(_))), "{text}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

/// A TLS server on this machine whose certificate is its own authority; its address, and the PEM.
async fn inside_by_tls() -> (SocketAddr, String) {
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
    let made = rcgen::generate_simple_self_signed(["hooks.example".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = [0; 4_096];
                while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (addr, made.cert.pem())
}

#[tokio::test]
async fn tls_is_spoken_with_whom_the_authorities_vouch_for_and_with_nobody_else() {
    let (second, pem) = inside_by_tls().await;
    let file = std::env::temp_dir().join(format!("tidings-ca-{}.pem", second.port()));
    std::fs::write(&file, pem).unwrap();
    let ask = async |ca_file: &str, host: &str| {
        let resolver = Arc::new(Rebinding { calls: AtomicUsize::new(1), second });
        let guard = Guard { allow_private: true, ..Guard::default() };
        let outbound = Outbound::new(guard, resolver, connector(ca_file).unwrap());
        let target = target(&format!("https://{host}/"));
        let first = outbound.post(&target, &[], Bytes::from_static(b"{}"), 99).await;
        // The second one goes over the same connection.
        first.and(outbound.post(&target, &[], Bytes::from_static(b"{}"), 99).await).is_ok()
    };
    let trusted = file.to_str().unwrap();
    assert!(ask(trusted, "hooks.example").await);
    assert!(!ask("", "hooks.example").await, "an authority nobody trusts");
    assert!(!ask(trusted, "other.example").await, "a certificate for another name");
    std::fs::remove_file(&file).unwrap();
}
