//! Rates from pairs of readings.

#![allow(clippy::unwrap_used)]

use std::time::UNIX_EPOCH;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn between(before: &Reading, after: &Reading, elapsed: Duration) -> HostFigures {
    HostFigures::between(before, after, elapsed, UNIX_EPOCH + Duration::from_millis(1_772_281_496_789))
}

fn moved(name: &str, inward: u64, outward: u64) -> BTreeMap<String, Moved> {
    BTreeMap::from([(name.to_owned(), Moved { inward, outward })])
}

fn with_cores(all: Ticks, cores: &[(u32, Ticks)]) -> Reading {
    let processor = CpuTime { all, cores: cores.iter().copied().collect() };
    Reading { processor, ..Reading::default() }
}

#[test]
fn the_json_is_what_dashboards_listen_for() {
    let ticks = |busy, idle| Ticks { busy, idle };
    let mut before = with_cores(ticks(0, 0), &[(0, ticks(0, 0)), (1, ticks(0, 0))]);
    before.disks = moved("vda", 0, 1000);
    before.interfaces = moved("eth0", 500, 0);
    let mut after = with_cores(ticks(50, 150), &[(0, ticks(50, 50)), (1, ticks(0, 100))]);
    after.disks = moved("vda", 4096, 3000);
    after.interfaces = moved("eth0", 700, 90);
    after.memory = Memory { total: 8192, available: 6144 };
    after.space = Some(Space { blocks: 100, free: 60, available: 40 });
    after.load1 = 0.42;
    after.uptime_seconds = 1147;
    assert_eq!(
        serde_json::to_value(between(&before, &after, SECOND * 2)).unwrap(),
        serde_json::json!({
            "at": "2026-02-28T12:24:56.789Z",
            "cpu": { "percent": 25.0, "perCore": [50.0, 0.0], "load1": 0.42 },
            "memory": { "totalBytes": 8192, "usedBytes": 2048, "percent": 25.0 },
            "disk": { "readBytesPerSecond": 2048, "writeBytesPerSecond": 1000, "usedPercent": 50.0 },
            "network": { "receivedBytesPerSecond": 100, "sentBytesPerSecond": 45 },
            "uptimeSeconds": 1147
        })
    );
}

#[test]
fn a_counter_that_went_backwards_counts_as_standing_still() {
    let mut before = with_cores(Ticks { busy: 900, idle: 900 }, &[]);
    before.disks = moved("vda", u64::from(u32::MAX), 10);
    let mut after = with_cores(Ticks { busy: 1000, idle: 100 }, &[]);
    after.disks = moved("vda", 5, 20);
    let figures = between(&before, &after, SECOND);
    assert_eq!((figures.disk.read_bytes_per_second, figures.disk.write_bytes_per_second), (0, 10));
    assert!((figures.cpu.percent - 100.0).abs() < 1e-9);
}

#[test]
fn a_device_or_core_that_appeared_in_between_counts_from_the_next_reading_on() {
    let before = Reading::default();
    let mut after = with_cores(Ticks::default(), &[(2, Ticks { busy: 70, idle: 0 })]);
    after.interfaces = moved("usb0", 1 << 40, 1 << 40);
    let figures = between(&before, &after, SECOND);
    assert_eq!(figures.network.received_bytes_per_second, 0);
    assert_eq!(figures.cpu.per_core, [0.0]);
}

#[test]
fn a_processor_without_ticks_in_between_was_idle() {
    let reading = with_cores(Ticks { busy: 5, idle: 5 }, &[]);
    assert!(between(&reading, &reading, SECOND).cpu.percent.abs() < 1e-9);
}

#[test]
fn space_is_counted_as_df_does_without_the_blocks_kept_for_root() {
    let after =
        Reading { space: Some(Space { blocks: 1000, free: 550, available: 500 }), ..Reading::default() };
    let used = between(&Reading::default(), &after, SECOND).disk.used_percent.unwrap();
    assert!((used - 47.4).abs() < 1e-9, "450 of 950 is {used}");
}

#[test]
fn nothing_overflows_at_the_edges() {
    let mut after = Reading { disks: moved("vda", u64::MAX, u64::MAX), ..Reading::default() };
    after.disks.insert("vdb".to_owned(), Moved { inward: u64::MAX, outward: 1 });
    let mut before = Reading { disks: moved("vda", 0, 0), ..Reading::default() };
    before.disks.insert("vdb".to_owned(), Moved::default());
    let figures = between(&before, &after, Duration::from_nanos(1));
    assert_eq!(figures.disk.read_bytes_per_second, u64::MAX);
    assert_eq!(between(&before, &after, Duration::ZERO).disk.read_bytes_per_second, 0);
}
