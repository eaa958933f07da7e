//! CPU time and memory of the measured process, from `/proc`.

use std::fs;
use std::path::PathBuf;

/// A process that is measured.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    root: PathBuf,
    /// Nanoseconds of one tick of `/proc/PID/stat`.
    tick: u64,
}

/// One reading.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    /// CPU time in nanoseconds, all threads, user and kernel.
    pub(crate) cpu: u64,
    /// Resident memory in bytes.
    pub(crate) memory: u64,
    /// The most it was since [`Gauge::forget_peak`], or ever.
    pub(crate) peak: u64,
}

impl Gauge {
    /// Measures a process; none if it is not there.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let root = PathBuf::from(format!("/proc/{pid}"));
        let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        root.join("stat").exists().then_some(Self { root, tick })
    }

    /// Lets the peak of the memory begin anew; a process of somebody else keeps its own.
    pub(crate) fn forget_peak(&self) {
        // proc(5): 5 resets what VmHWM says.
        fs::write(self.root.join("clear_refs"), "5").ok();
    }

    /// Reads the figures; a process that is gone has zeros.
    pub(crate) fn read(&self) -> Reading {
        let read = |name: &str| fs::read_to_string(self.root.join(name)).unwrap_or_default();
        let ticks = ticks(&read("stat")).unwrap_or_default() * self.tick;
        // The scheduler counts nanoseconds, but forgets threads that ended; ticks do not.
        let cpu = self.scheduled().max(ticks);
        let status = read("status");
        let bytes = |field: &str| bytes(&status, field).unwrap_or_default();
        Reading { cpu, memory: bytes("VmRSS:"), peak: bytes("VmHWM:") }
    }

    fn scheduled(&self) -> u64 {
        let threads = fs::read_dir(self.root.join("task")).into_iter().flatten().flatten();
        let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
        texts.filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok()).sum()
    }
}

/// CPU time the whole machine has spent on anything, in nanoseconds; stolen time included.
pub(crate) fn machine() -> u64 {
    let tick = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    machine_ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default() * tick
}

/// The first line is user, nice, system, idle, iowait, irq, softirq and steal (proc(5)).
fn machine_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8).enumerate();
    fields.filter(|(index, _)| ![3, 4].contains(index)).map(|(_, field)| field.parse::<u64>().ok()).sum()
}

/// `utime` and `stime`; the process's name before them may hold spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_parentheses() {
        let stat = "7 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(100));
        assert_eq!(ticks(""), None);
        assert_eq!(machine_ticks("cpu  1 2 4 1000 1000 8 16 32 64 64\ncpu0 1"), Some(63));
        assert_eq!(machine_ticks(""), None);
        let status = "Name:\tx\nVmHWM:\t  13 kB\nVmRSS:\t  12 kB\n";
        assert_eq!(["VmRSS:", "VmHWM:"].map(|field| bytes(status, field)), [Some(12 << 10), Some(13 << 10)]);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let gauge = Gauge::of(std::process::id()).unwrap();
        let first = gauge.read();
        let mut sum = 0_u64;
        while gauge.read().cpu <= first.cpu {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(first.memory > 100_000 && first.peak > 100_000, "{first:?}");
        assert!(Gauge::of(u32::MAX).is_none());
    }
}
