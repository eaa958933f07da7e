//! From two readings of the kernel's counters to what a dashboard shows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tidings_server::time::iso8601;

use super::kernel::{CpuTime, Memory, Moved, Ticks};

/// The kernel's counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reading {
    /// Processor time.
    pub(crate) processor: CpuTime,
    /// Memory.
    pub(crate) memory: Memory,
    /// Bytes read and written, by disk.
    pub(crate) disks: BTreeMap<String, Moved>,
    /// Bytes received and sent, by network interface.
    pub(crate) interfaces: BTreeMap<String, Moved>,
    /// Load average over one minute.
    pub(crate) load1: f64,
    /// Seconds since the start of the machine.
    pub(crate) uptime_seconds: u64,
    /// Space of the watched file system, if it can be told.
    pub(crate) space: Option<Space>,
}

/// Space of a file system, in blocks (`statvfs(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// All blocks.
    pub(crate) blocks: u64,
    /// Free blocks, those kept for root included.
    pub(crate) free: u64,
    /// Free blocks anybody may use.
    pub(crate) available: u64,
}

/// What the host did between two readings; the data of event `host` in room `metrics:host`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HostFigures {
    /// When the second reading was taken, ISO 8601 UTC.
    pub(crate) at: String,
    /// Processors.
    pub(crate) cpu: CpuFigures,
    /// Memory.
    pub(crate) memory: MemoryFigures,
    /// Disks.
    pub(crate) disk: DiskFigures,
    /// Network interfaces, loopback excluded.
    pub(crate) network: NetworkFigures,
    /// Seconds since the start of the machine.
    pub(crate) uptime_seconds: u64,
}

/// How busy the processor was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CpuFigures {
    /// All cores together, 0 to 100.
    pub(crate) percent: f64,
    /// Each core, 0 to 100, in the order of their numbers.
    pub(crate) per_core: Vec<f64>,
    /// Load average over one minute.
    pub(crate) load1: f64,
}

/// How much memory is taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemoryFigures {
    /// What there is.
    pub(crate) total_bytes: u64,
    /// What programs could not get without swapping.
    pub(crate) used_bytes: u64,
    /// Used of total, 0 to 100.
    pub(crate) percent: f64,
}

/// What the disks did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskFigures {
    /// Read from all disks.
    pub(crate) read_bytes_per_second: u64,
    /// Written to all disks.
    pub(crate) write_bytes_per_second: u64,
    /// Space taken on the data directory's file system, 0 to 100 as `df` counts it; `None` (JSON
    /// `null`) if it cannot be told.
    pub(crate) used_percent: Option<f64>,
}

/// What the network interfaces did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkFigures {
    /// Received on all interfaces.
    pub(crate) received_bytes_per_second: u64,
    /// Sent on all interfaces.
    pub(crate) sent_bytes_per_second: u64,
}

impl HostFigures {
    /// Compares two readings taken `elapsed` apart; `wall` is the time of the second.
    ///
    /// A counter that went backwards (a device was reset, a counter wrapped) counts as standing
    /// still for this interval: a low figure for a second misleads less than a wild one.
    pub(crate) fn between(before: &Reading, after: &Reading, elapsed: Duration, wall: SystemTime) -> Self {
        let (read, written) = rates(&before.disks, &after.disks, elapsed);
        let (received, sent) = rates(&before.interfaces, &after.interfaces, elapsed);
        Self {
            at: moment(wall),
            cpu: cpu(&before.processor, &after.processor, after.load1),
            memory: memory(after.memory),
            disk: DiskFigures {
                read_bytes_per_second: read,
                write_bytes_per_second: written,
                used_percent: after.space.map(used_percent),
            },
            network: NetworkFigures { received_bytes_per_second: received, sent_bytes_per_second: sent },
            uptime_seconds: after.uptime_seconds,
        }
    }
}

/// A moment as text; a clock before 1970 reads as 1970.
fn moment(wall: SystemTime) -> String {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    iso8601(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn cpu(before: &CpuTime, after: &CpuTime, load1: f64) -> CpuFigures {
    let per_core = after.cores.iter().map(|(number, ticks)| {
        // A core that was switched on in between has no reading to compare with.
        before.cores.get(number).map_or(0.0, |earlier| busy_percent(*earlier, *ticks))
    });
    CpuFigures { percent: busy_percent(before.all, after.all), per_core: per_core.collect(), load1 }
}

fn busy_percent(before: Ticks, after: Ticks) -> f64 {
    let busy = after.busy.saturating_sub(before.busy);
    let idle = after.idle.saturating_sub(before.idle);
    percent(busy, busy.saturating_add(idle))
}

fn memory(memory: Memory) -> MemoryFigures {
    let used = memory.total.saturating_sub(memory.available);
    MemoryFigures { total_bytes: memory.total, used_bytes: used, percent: percent(used, memory.total) }
}

fn used_percent(space: Space) -> f64 {
    let used = space.blocks.saturating_sub(space.free);
    percent(used, used.saturating_add(space.available))
}

/// Bytes a second inward and outward, over all devices that are in both readings.
fn rates(before: &BTreeMap<String, Moved>, after: &BTreeMap<String, Moved>, elapsed: Duration) -> (u64, u64) {
    let mut inward = 0_u64;
    let mut outward = 0_u64;
    for (name, now) in after {
        let Some(then) = before.get(name) else { continue };
        inward = inward.saturating_add(now.inward.saturating_sub(then.inward));
        outward = outward.saturating_add(now.outward.saturating_sub(then.outward));
    }
    (per_second(inward, elapsed), per_second(outward, elapsed))
}

fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let seconds = elapsed.as_secs_f64();
    // The cast saturates.
    if seconds > 0.0 { (bytes as f64 / seconds).round() as u64 } else { 0 }
}

/// `part` of `whole` in percent with one decimal; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1000.0).round() / 10.0 }
}

#[cfg(test)]
mod tests;
