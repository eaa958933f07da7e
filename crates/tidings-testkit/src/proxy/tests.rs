//! What each fault looks like from both ends.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// What must not come has not come after so long.
const SILENCE: Duration = Duration::from_millis(150);

/// A client and a server with a proxy between them.
struct Bed {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Bed {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), 7).await.unwrap();
        let client = TcpStream::connect(proxy.addr()).await.unwrap();
        let server = listener.accept().await.unwrap().0;
        Self { proxy, listener, client, server }
    }
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.expect("too late").unwrap();
    bytes
}

/// What comes until the end, and how it ends.
async fn rest(stream: &mut TcpStream) -> (usize, io::Result<()>) {
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("too late");
    (bytes.len(), end.map(drop))
}

async fn silent(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(timeout(SILENCE, stream.read(&mut byte)).await.is_err(), "something came");
}

fn reset(end: &io::Result<()>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn without_a_fault_bytes_pass_both_ways_and_so_does_the_end() {
    let mut bed = Bed::new().await;
    bed.client.write_all(b"up").await.unwrap();
    bed.server.write_all(b"down").await.unwrap();
    assert_eq!(
        (read(&mut bed.server, 2).await, read(&mut bed.client, 4).await),
        (b"up".into(), b"down".into())
    );
    bed.client.shutdown().await.unwrap();
    assert_eq!(rest(&mut bed.server).await.0, 0);
    bed.server.write_all(b"bye").await.unwrap();
    assert_eq!(read(&mut bed.client, 3).await, b"bye");
    assert_eq!(bed.proxy.journal(), []);
}

#[tokio::test]
async fn delayed_bytes_come_later_and_in_order() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::Delay { ms: 60, jitter_ms: 40 });
    let start = Instant::now();
    bed.client.write_all(b"a").await.unwrap();
    assert_eq!(read(&mut bed.server, 1).await, b"a");
    assert!(start.elapsed() >= Duration::from_millis(60));
    bed.client.write_all(b"bcd").await.unwrap();
    assert_eq!(read(&mut bed.server, 3).await, b"bcd");
    bed.server.write_all(b"x").await.unwrap();
    assert_eq!(read(&mut bed.client, 1).await, b"x");
}

#[tokio::test]
async fn a_throttled_direction_takes_its_time() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Down, Fault::Throttle(10_000));
    let start = Instant::now();
    bed.server.write_all(&[7; 2_000]).await.unwrap();
    assert_eq!(read(&mut bed.client, 2_000).await, [7; 2_000]);
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_stall_holds_the_sender_up_and_a_black_hole_does_not() {
    // More than what the buffers of three sockets hold.
    const MUCH: usize = 64 << 20;
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::Stall);
    let much = vec![1; MUCH];
    assert!(timeout(SILENCE * 4, bed.client.write_all(&much)).await.is_err(), "nothing held it up");
    silent(&mut bed.server).await;
    bed.proxy.set(Way::Up, Fault::Pass);
    assert_eq!(read(&mut bed.server, 1).await, [1]);

    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::Blackhole);
    timeout(PATIENCE, bed.client.write_all(&much)).await.expect("it was held up").unwrap();
    silent(&mut bed.server).await;
    let thrown: u64 = bed.proxy.journal().iter().map(|done| done.bytes).sum();
    assert!(thrown > 0, "the journal says what was thrown away");
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes_in_either_manner() {
    for end in [End::Fin, End::Rst] {
        let mut bed = Bed::new().await;
        bed.server.write_all(b"before").await.unwrap();
        assert_eq!(read(&mut bed.client, 6).await, b"before");
        bed.proxy.set(Way::Down, Fault::CutAfter(3, end));
        bed.client.write_all(b"it was heard").await.unwrap();
        assert_eq!(read(&mut bed.server, 12).await, b"it was heard");
        bed.server.write_all(b"12").await.unwrap();
        assert_eq!(read(&mut bed.client, 2).await, b"12");
        bed.server.write_all(b"3456").await.unwrap();
        let (count, ended) = rest(&mut bed.client).await;
        assert_eq!(reset(&ended), end == End::Rst, "{ended:?}");
        assert!(end == End::Rst || count == 1, "{count}");
        assert_eq!(reset(&rest(&mut bed.server).await.1), end == End::Rst);
        assert_eq!(bed.proxy.journal().last().unwrap().what, "cut");
    }
}

#[tokio::test]
async fn a_cut_after_nothing_lets_the_question_through_and_not_the_answer() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Down, Fault::CutAfter(0, End::Rst));
    bed.client.write_all(b"question").await.unwrap();
    assert_eq!(read(&mut bed.server, 8).await, b"question");
    bed.server.write_all(b"answer").await.unwrap();
    let (count, ended) = rest(&mut bed.client).await;
    assert!(count == 0 && reset(&ended), "{count} {ended:?}");
}

#[tokio::test]
async fn a_cut_ends_silent_connections_and_so_does_the_end_of_the_proxy() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::Cut(End::Rst));
    assert!(reset(&rest(&mut bed.client).await.1) && reset(&rest(&mut bed.server).await.1));

    let Bed { proxy, mut client, mut server, .. } = Bed::new().await;
    drop(proxy);
    assert!(reset(&rest(&mut client).await.1) && reset(&rest(&mut server).await.1));
}

#[tokio::test]
async fn half_closed_means_that_the_other_half_goes_on() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::HalfClose);
    assert_eq!(rest(&mut bed.server).await.0, 0);
    bed.server.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut bed.client, 10).await, b"still here");
}

#[tokio::test]
async fn slices_are_read_one_by_one() {
    let mut bed = Bed::new().await;
    bed.proxy.set(Way::Up, Fault::Slice(1));
    bed.client.write_all(&[9; 500]).await.unwrap();
    assert_eq!(read(&mut bed.server, 500).await, [9; 500]);
}

#[tokio::test]
async fn a_refused_connection_is_reset_and_the_next_may_be_led_elsewhere() {
    let bed = Bed::new().await;
    bed.proxy.refuse(true);
    let mut refused = TcpStream::connect(bed.proxy.addr()).await.unwrap();
    let (count, _) = rest(&mut refused).await;
    assert_eq!((count, bed.proxy.journal()[0].what), (0, "refused"));

    bed.proxy.refuse(false);
    drop(bed.listener);
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bed.proxy.lead_to(elsewhere.local_addr().unwrap());
    let mut client = TcpStream::connect(bed.proxy.addr()).await.unwrap();
    let mut server = elsewhere.accept().await.unwrap().0;
    client.write_all(b"hi").await.unwrap();
    assert_eq!(read(&mut server, 2).await, b"hi");
    assert_eq!(bed.proxy.accepted(), 3);
}

#[tokio::test]
async fn chance_is_the_same_for_the_same_seed() {
    let draws = |seed: u64| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), seed).await.unwrap();
        let (_client, server) =
            (TcpStream::connect(proxy.addr()).await.unwrap(), listener.accept().await.unwrap().0);
        let ((from, to), cut) = (server.into_split(), Arc::new(watch::Sender::new(None)));
        let mut pump = Pump::new(from, to, Way::Up, 3, &proxy.rules, &cut);
        [pump.draw(), pump.draw(), pump.draw()]
    };
    let (first, again, other) = (draws(1).await, draws(1).await, draws(2).await);
    assert!(first == again && first != other, "{first:?} {again:?} {other:?}");
}
