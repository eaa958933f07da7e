//! One direction of one connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{End, Fault, Rules, Way};

/// Bytes that are taken at once.
const PIECE: usize = 16 * 1024;
/// A throttled direction writes so often.
const TICK: Duration = Duration::from_millis(20);

type Cut = Arc<watch::Sender<Option<End>>>;

pub(super) struct Pump {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    way: Way,
    connection: usize,
    rules: Arc<Rules>,
    fault: watch::Receiver<Fault>,
    cut: Cut,
    cut_heard: watch::Receiver<Option<End>>,
    /// Bytes since the fault was set, for those that count.
    since: u64,
    closed: bool,
    chance: u64,
}

impl Pump {
    pub(super) fn new(
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        way: Way,
        connection: usize,
        rules: &Arc<Rules>,
        cut: &Cut,
    ) -> Self {
        let fault = if way == Way::Up { rules.up.subscribe() } else { rules.down.subscribe() };
        let chance = (rules.seed ^ ((connection as u64) << 1 | u64::from(way == Way::Up)))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1;
        let (rules, cut, cut_heard) = (rules.clone(), cut.clone(), cut.subscribe());
        Self { from, to, way, connection, rules, fault, cut, cut_heard, since: 0, closed: false, chance }
    }

    /// Carries bytes until an end is gone or the connection is cut.
    pub(super) async fn run(mut self) {
        self.carry().await;
        if *self.cut.borrow() == Some(End::Rst) {
            // A socket that is gone cannot be reset, and need not.
            self.to.as_ref().set_zero_linger().ok();
            self.from.as_ref().set_zero_linger().ok();
            // Else it would say goodbye first.
            self.to.forget();
        }
    }

    async fn carry(&mut self) {
        let mut buffer = vec![0; PIECE];
        loop {
            let fault = *self.fault.borrow_and_update();
            match fault {
                Fault::Cut(end) => return self.end(end),
                Fault::HalfClose => self.half_close().await,
                _ => {}
            }
            tokio::select! {
                _ = self.cut_heard.changed() => return,
                _ = self.fault.changed() => self.since = 0,
                read = self.from.read(&mut buffer), if fault != Fault::Stall => match read {
                    Ok(count) if count > 0 => {
                        if !self.treat(fault, &buffer[..count]).await { return }
                    }
                    _ => {
                        // The receiver hears the end unless it is gone itself.
                        self.to.shutdown().await.ok();
                        return;
                    }
                },
            }
        }
    }

    /// Does to some bytes what is to be done; `false` once the connection is over.
    async fn treat(&mut self, fault: Fault, bytes: &[u8]) -> bool {
        if self.closed || matches!(fault, Fault::Blackhole | Fault::HalfClose) {
            self.note("thrown away", bytes.len());
            return true;
        }
        let written = match fault {
            Fault::Pass | Fault::Stall => self.to.write_all(bytes).await,
            Fault::Delay { ms, jitter_ms } => {
                let more = self.draw() % (jitter_ms + 1);
                sleep(Duration::from_millis(ms + more)).await;
                self.to.write_all(bytes).await
            }
            Fault::Throttle(a_second) => self.slowly(bytes, a_second).await,
            Fault::CutAfter(most, end) => return self.cut_after(bytes, most, end).await,
            Fault::Slice(size) => self.sliced(bytes, size.max(1)).await,
            Fault::Cut(_) | Fault::Blackhole | Fault::HalfClose => Ok(()),
        };
        written.is_ok()
    }

    async fn slowly(&mut self, bytes: &[u8], a_second: u64) -> io::Result<()> {
        let size = (a_second * TICK.as_millis() as u64 / 1_000).max(1) as usize;
        for piece in bytes.chunks(size) {
            self.to.write_all(piece).await?;
            sleep(TICK).await;
        }
        Ok(())
    }

    async fn sliced(&mut self, bytes: &[u8], size: usize) -> io::Result<()> {
        for piece in bytes.chunks(size) {
            self.to.write_all(piece).await?;
            // The receiver gets a chance to read it alone.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Lets through what is left before the cut.
    async fn cut_after(&mut self, bytes: &[u8], most: u64, end: End) -> bool {
        let left = most.saturating_sub(self.since).min(bytes.len() as u64);
        self.since += bytes.len() as u64;
        let written = self.to.write_all(&bytes[..left as usize]).await;
        if written.is_ok() && self.since < most {
            return true;
        }
        self.end(end);
        false
    }

    async fn half_close(&mut self) {
        if !self.closed {
            self.closed = true;
            self.note("half closed", 0);
            self.to.shutdown().await.ok();
        }
    }

    /// Cuts both directions; the sockets are closed as soon as both have let go of them.
    fn end(&self, end: End) {
        self.note("cut", self.since as usize);
        self.cut.send_replace(Some(end));
    }

    fn note(&self, what: &'static str, bytes: usize) {
        self.rules.note(self.connection, self.way, what, bytes as u64);
    }

    /// The next number of a small generator (xorshift, Marsaglia 2003).
    pub(super) fn draw(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance
    }
}
