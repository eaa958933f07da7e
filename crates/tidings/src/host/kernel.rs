//! What the files under `/proc` say; pure functions of their text (`proc(5)`).
//!
//! A line or field that is missing or makes no sense counts as absent: kernels differ, and
//! containers hide parts.

use std::collections::{BTreeMap, BTreeSet};

/// Processor time since the start of the machine, for all cores together and for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// All cores together.
    pub(crate) all: Ticks,
    /// Each core that is switched on, by its number.
    pub(crate) cores: BTreeMap<u32, Ticks>,
}

/// Clock ticks since the start of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// Spent on work: user, nice, system, interrupts, and stolen by the hypervisor.
    pub(crate) busy: u64,
    /// Spent idle or waiting for a disk.
    pub(crate) idle: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What the kernel manages.
    pub(crate) total: u64,
    /// What could be given to programs without swapping.
    pub(crate) available: u64,
}

/// Bytes moved since the start of the machine, or since the device appeared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Read from a disk, or received from a network.
    pub(crate) inward: u64,
    /// Written to a disk, or sent to a network.
    pub(crate) outward: u64,
}

/// Reads `/proc/stat`.
pub(crate) fn processor(stat: &str) -> CpuTime {
    let mut processor = CpuTime::default();
    for line in stat.lines() {
        let Some((name, fields)) = line.split_once(' ') else { continue };
        match name.strip_prefix("cpu") {
            Some("") => processor.all = ticks(fields),
            Some(number) => {
                if let Ok(number) = number.parse() {
                    processor.cores.insert(number, ticks(fields));
                }
            }
            None => {}
        }
    }
    processor
}

/// user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user and nice.
fn ticks(fields: &str) -> Ticks {
    let mut ticks = Ticks::default();
    for (at, field) in fields.split_whitespace().take(8).enumerate() {
        let spent: u64 = field.parse().unwrap_or(0);
        let kind = if matches!(at, 3 | 4) { &mut ticks.idle } else { &mut ticks.busy };
        *kind = kind.saturating_add(spent);
    }
    ticks
}

/// Reads `/proc/meminfo`.
pub(crate) fn memory(meminfo: &str) -> Memory {
    let bytes = |wanted: &str| {
        meminfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, value)| value.split_whitespace().next()?.parse::<u64>().ok())
            .map(|kib| kib.saturating_mul(1024))
    };
    let total = bytes("MemTotal").unwrap_or(0);
    // Kernels before 3.14 do not say what is available; free and cached memory is close.
    let available = bytes("MemAvailable").unwrap_or_else(|| {
        ["MemFree", "Buffers", "Cached"].iter().filter_map(|name| bytes(name)).fold(0, u64::saturating_add)
    });
    Memory { total, available: available.min(total) }
}

/// Reads `/proc/diskstats`: the bytes each disk moved, by name.
///
/// Partitions are left out because their disk counts them already; so are devices stacked on
/// other disks (`dm-`, `md`, …) and those that are no disk (`loop`, `ram`, `zram`, …).
pub(crate) fn disks(diskstats: &str) -> BTreeMap<String, Moved> {
    // The unit of this file, whatever the device's own sectors are.
    const SECTOR: u64 = 512;
    let devices: Vec<(&str, Moved)> = diskstats
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let name = fields.next()?;
            let inward = fields.nth(2)?.parse::<u64>().ok()?.saturating_mul(SECTOR);
            let outward = fields.nth(3)?.parse::<u64>().ok()?.saturating_mul(SECTOR);
            Some((name, Moved { inward, outward }))
        })
        .collect();
    let names: BTreeSet<&str> = devices.iter().map(|(name, _)| *name).collect();
    devices
        .into_iter()
        .filter(|(name, _)| !is_not_a_disk_of_its_own(name) && !is_partition(name, &names))
        .map(|(name, moved)| (name.to_owned(), moved))
        .collect()
}

fn is_not_a_disk_of_its_own(name: &str) -> bool {
    const STACKED_OR_NONE: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "bcache", "drbd", "sr", "fd"];
    STACKED_OR_NONE.iter().any(|prefix| name.starts_with(prefix))
}

/// The kernel names a partition after its disk: `sda` has `sda1`, and a disk whose name ends in a
/// digit gets a `p` between, as in `nvme0n1p2` (`disk_name` in block/partitions/core.c).
fn is_partition(name: &str, names: &BTreeSet<&str>) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    let ends_in_digit = |disk: &str| disk.ends_with(|c: char| c.is_ascii_digit());
    match stem.strip_suffix('p') {
        Some(disk) if ends_in_digit(disk) => names.contains(disk),
        _ => names.contains(stem),
    }
}

/// Reads `/proc/net/dev`: the bytes each network interface moved, by name.
///
/// Loopback is left out, and so are bridges, tunnels and the like, whose traffic passes through
/// another interface of this list; unless nothing else is there.
pub(crate) fn interfaces(net_dev: &str) -> BTreeMap<String, Moved> {
    let all: BTreeMap<String, Moved> =
        net_dev.lines().filter_map(interface).filter(|(name, _)| name != "lo").collect();
    if all.keys().all(|name| rides_on_another(name)) {
        return all;
    }
    all.into_iter().filter(|(name, _)| !rides_on_another(name)).collect()
}

fn interface(line: &str) -> Option<(String, Moved)> {
    // The last colon: an alias such as `eth0:1` has one in its name.
    let (name, counters) = line.rsplit_once(':')?;
    let mut counters = counters.split_whitespace();
    let inward = counters.next()?.parse().ok()?;
    let outward = counters.nth(7)?.parse().ok()?;
    Some((name.trim().to_owned(), Moved { inward, outward }))
}

fn rides_on_another(name: &str) -> bool {
    const PREFIXES: [&str; 16] = [
        "veth",
        "docker",
        "br-",
        "virbr",
        "bond",
        "team",
        "dummy",
        "ifb",
        "tun",
        "tap",
        "wg",
        "tailscale",
        "cni",
        "cali",
        "flannel",
        "vxlan",
    ];
    // `eth0.100` is a VLAN on eth0.
    name.contains('.') || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Reads the load average over one minute from `/proc/loadavg`.
pub(crate) fn load1(loadavg: &str) -> f64 {
    first_number(loadavg)
}

/// Reads the whole seconds since the start of the machine from `/proc/uptime`.
pub(crate) fn uptime_seconds(uptime: &str) -> u64 {
    // The cast cuts the fraction off and saturates.
    first_number(uptime) as u64
}

fn first_number(text: &str) -> f64 {
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number.filter(|n: &f64| n.is_finite() && *n >= 0.0).unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
