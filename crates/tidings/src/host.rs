//! This host's own processor, memory, disk and network figures, read from the kernel.
//!
//! [`Host::read`] takes a [`Reading`] of the counters under `/proc` and compares it with the one
//! before: most of what the kernel keeps are counters since the start of the machine, and a rate
//! needs two of them. The parsers (`kernel`) and the arithmetic (`figures`) are pure; only this
//! file touches the machine. Anything the kernel does not tell (a container may hide a file) is
//! left out or zero, never an error: figures about the host must not stop a server.

mod figures;
mod kernel;

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

pub(crate) use figures::HostFigures;
use figures::Reading;

/// The host, as seen through two readings at a time.
#[derive(Debug)]
pub(crate) struct Host {
    data_dir: PathBuf,
    before: Option<(Instant, Reading)>,
}

impl Host {
    /// Watches this host; the disk space is that of the file system which holds `data_dir`.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), before: None }
    }

    /// Reads the kernel's counters and tells what happened since the reading before.
    ///
    /// `None` at the first reading, when no time has passed since the last one, and on systems
    /// other than Linux. Reading takes well under a millisecond unless `data_dir` lies on a
    /// network file system that hangs.
    pub(crate) fn read(&mut self, now: Instant, wall: SystemTime) -> Option<HostFigures> {
        let reading = take_reading(&self.data_dir)?;
        let Some((then, before)) = self.before.take() else {
            self.before = Some((now, reading));
            return None;
        };
        let elapsed = now.saturating_duration_since(then);
        if elapsed.is_zero() {
            // The older reading stays, so that the next rate covers the whole interval.
            self.before = Some((then, before));
            return None;
        }
        let figures = HostFigures::between(&before, &reading, elapsed, wall);
        self.before = Some((now, reading));
        Some(figures)
    }
}

#[cfg(target_os = "linux")]
fn take_reading(data_dir: &Path) -> Option<Reading> {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    Some(Reading {
        processor: kernel::processor(&text("/proc/stat")),
        memory: kernel::memory(&text("/proc/meminfo")),
        disks: kernel::disks(&text("/proc/diskstats")),
        interfaces: kernel::interfaces(&text("/proc/net/dev")),
        load1: kernel::load1(&text("/proc/loadavg")),
        uptime_seconds: kernel::uptime_seconds(&text("/proc/uptime")),
        space: space(data_dir),
    })
}

#[cfg(not(target_os = "linux"))]
fn take_reading(_data_dir: &Path) -> Option<Reading> {
    None
}

#[cfg(target_os = "linux")]
fn space(dir: &Path) -> Option<figures::Space> {
    let fs = rustix::fs::statvfs(dir).ok()?;
    Some(figures::Space { blocks: fs.f_blocks, free: fs.f_bfree, available: fs.f_bavail })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    #[test]
    fn the_first_reading_tells_nothing_and_the_second_tells_this_machines_figures() {
        let mut host = Host::new(Path::new("/"));
        let start = Instant::now();
        assert!(host.read(start, SystemTime::now()).is_none());
        let figures = host.read(start + Duration::from_secs(1), SystemTime::now()).unwrap();
        assert!(figures.memory.total_bytes > 0);
        assert!(figures.memory.used_bytes <= figures.memory.total_bytes);
        assert!(!figures.cpu.per_core.is_empty());
        assert!(figures.disk.used_percent.unwrap() > 0.0);
    }

    #[test]
    fn two_readings_at_one_instant_make_no_rate() {
        let mut host = Host::new(Path::new("/"));
        let start = Instant::now();
        assert!(host.read(start, SystemTime::now()).is_none());
        assert!(host.read(start, SystemTime::now()).is_none());
        assert!(host.read(start + Duration::from_secs(1), SystemTime::now()).is_some());
    }

    #[test]
    fn a_data_directory_that_does_not_exist_has_no_space_to_tell() {
        let mut host = Host::new(Path::new("/no/such/directory"));
        let start = Instant::now();
        assert!(host.read(start, SystemTime::now()).is_none());
        let figures = host.read(start + Duration::from_secs(1), SystemTime::now()).unwrap();
        assert_eq!(figures.disk.used_percent, None);
    }
}
