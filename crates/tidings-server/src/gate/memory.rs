//! How much memory the process has, and how close it is to that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

/// How close the process is to its cap, read once a second.
///
/// What counts is the resident memory as the kernel sees it, since that is what gets a process
/// killed: queues and histories share buffers, so that their sums would say too much.
#[derive(Debug, Default)]
pub(super) struct Pressure(AtomicU8);

/// What is refused, the first first (P9 of the promises).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing.
    Low = 0,
    /// New connections.
    High = 1,
    /// Publishes as well, and reading what was said; who is connected still hears what comes.
    Full = 2,
}

impl Pressure {
    /// Judges what the kernel says now.
    pub(super) fn read(&self, cap: u64) -> Level {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let level = level(resident(&status), cap);
        self.0.store(level as u8, Ordering::Relaxed);
        level
    }

    /// What was read last.
    pub(super) fn is_at_least(&self, level: Level) -> bool {
        self.0.load(Ordering::Relaxed) >= level as u8
    }
}

/// What this process has taken now, in bytes; 0 if the kernel does not say.
pub(crate) fn taken() -> u64 {
    resident(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// Publishes are refused from a tenth above the cap on.
fn level(resident: u64, cap: u64) -> Level {
    match resident {
        used if used < cap => Level::Low,
        used if used < cap.saturating_add(cap / 10) => Level::High,
        _ => Level::Full,
    }
}

/// 80 % of the memory of the control group or the machine, whichever is less; no cap where
/// neither is known.
pub(super) fn default_cap() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let of_groups = group_limit(Path::new("/sys/fs/cgroup"), group.unwrap_or("/"));
    let of_machine = kib(&meminfo, "MemTotal:");
    match of_groups.into_iter().chain(of_machine).min() {
        Some(bytes) => bytes / 10 * 8,
        None => u64::MAX,
    }
}

/// The least `memory.max` of a control group and those it is in (`cgroup-v2`).
fn group_limit(root: &Path, group: &str) -> Option<u64> {
    let path: PathBuf = root.join(group.trim_start_matches('/'));
    let groups = path.ancestors().take_while(|group| group.starts_with(root));
    let limits = groups.filter_map(|group| fs::read_to_string(group.join("memory.max")).ok());
    limits.filter_map(|text| text.trim().parse().ok()).min()
}

fn resident(status: &str) -> u64 {
    kib(status, "VmRSS:").unwrap_or(0)
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_refused_first_and_publishes_a_tenth_later() {
        for (resident, wanted) in [
            (0, Level::Low),
            (999, Level::Low),
            (1_000, Level::High),
            (1_099, Level::High),
            (1_100, Level::Full),
        ] {
            assert_eq!(level(resident, 1_000), wanted, "{resident}");
        }
        assert_eq!(level(u64::MAX - 1, u64::MAX), Level::Low, "no cap");
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        assert_eq!(resident("VmPeak:\t   900 kB\nVmRSS:\t     12 kB\n"), 12 * 1_024);
        assert_eq!(resident("nothing"), 0);
        assert_eq!(kib("MemTotal:       16384 kB\n", "MemTotal:"), Some(16 << 20));
        let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
        assert!(resident(&own) > 1 << 20, "this process uses more than that");
    }
}
