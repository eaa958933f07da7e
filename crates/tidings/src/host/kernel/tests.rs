//! The parsers against text as kernels wrote it.

use super::*;

#[test]
fn processor_time_is_split_into_busy_and_idle_for_all_and_for_each_core() {
    let stat = "cpu  10417 2 4019 213864 451 1 59 11 30 4\n\
                cpu0 4812 1 1706 107804 46 0 9 3 0 0\n\
                cpu1 5604 1 2312 106060 405 1 50 7 0 0\n\
                intr 241424 0 0 0\n\
                ctxt 451402\n\
                btime 1795229587\n";
    let processor = processor(stat);
    // Guest time (30 and 4) is already part of user and nice.
    assert_eq!(processor.all, Ticks { busy: 10417 + 2 + 4019 + 1 + 59 + 11, idle: 213_864 + 451 });
    assert_eq!(processor.cores.len(), 2);
    assert_eq!(processor.cores[&1], Ticks { busy: 5604 + 1 + 2312 + 1 + 50 + 7, idle: 106_060 + 405 });
}

#[test]
fn a_core_that_is_switched_off_leaves_a_hole_in_the_numbers_only() {
    let processor = processor("cpu  9 0 0 9\ncpu0 4 0 0 4\ncpu3 5 0 0 5\n");
    assert_eq!(processor.cores.keys().copied().collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn an_old_kernel_without_steal_and_broken_lines_are_read_as_far_as_they_go() {
    let processor = processor("cpu 1 2 3 4\ncpux 5 6\ncpu0\ncpu1 7 what 9 18446744073709551615 1\n");
    assert_eq!(processor.all, Ticks { busy: 6, idle: 4 });
    assert_eq!(processor.cores[&1], Ticks { busy: 16, idle: u64::MAX });
    assert_eq!(processor.cores.len(), 1);
}

#[test]
fn memory_is_what_the_kernel_calls_available() {
    let meminfo = "MemTotal:       24684092 kB\nMemFree:        24470660 kB\n\
                   MemAvailable:   24397652 kB\nBuffers:            1116 kB\nHugePages_Total:       0\n";
    assert_eq!(memory(meminfo), Memory { total: 24_684_092 * 1024, available: 24_397_652 * 1024 });
}

#[test]
fn without_available_memory_free_and_cached_count() {
    let meminfo = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 3 kB\n";
    assert_eq!(memory(meminfo), Memory { total: 1000 * 1024, available: 123 * 1024 });
}

#[test]
fn memory_is_never_more_available_than_there_is() {
    assert_eq!(memory("MemTotal: 5 kB\nMemAvailable: 9 kB\n").available, 5 * 1024);
    assert_eq!(memory("MemTotal: lots\n"), Memory::default());
}

#[test]
fn a_disk_counts_once_and_its_partitions_not_at_all() {
    let diskstats = "   8       0 sda 100 0 2000 5 10 0 400 7 0 9 12 0 0 0 0 0 0\n\
                        8       1 sda1 90 0 1900 5 10 0 400 7 0 9 12\n\
                      259       0 nvme0n1 1 0 8 0 1 0 16 0 0 0 0\n\
                      259       1 nvme0n1p1 1 0 8 0 1 0 16 0 0 0 0\n\
                      259       2 nvme0n1p15 1 0 8 0 1 0 16 0 0 0 0\n\
                      179       0 mmcblk0 1 0 2 0 1 0 4 0 0 0 0\n\
                      179       1 mmcblk0p1 1 0 2 0 1 0 4 0 0 0 0\n";
    let disks = disks(diskstats);
    assert_eq!(disks.keys().collect::<Vec<_>>(), ["mmcblk0", "nvme0n1", "sda"]);
    assert_eq!(disks["sda"], Moved { inward: 2000 * 512, outward: 400 * 512 });
    assert_eq!(disks["nvme0n1"], Moved { inward: 8 * 512, outward: 16 * 512 });
}

#[test]
fn loop_ram_and_stacked_devices_are_no_disks_of_their_own() {
    let diskstats = "7 0 loop0 1 0 8 0 1 0 8 0 0 0 0\n1 0 ram0 1 0 8 0 1 0 8 0 0 0 0\n\
                     253 0 zram0 1 0 8 0 1 0 8 0 0 0 0\n253 1 dm-0 1 0 8 0 1 0 8 0 0 0 0\n\
                     9 0 md127 1 0 8 0 1 0 8 0 0 0 0\n254 0 vda 1 0 8 0 1 0 8 0 0 0 0\n";
    assert_eq!(disks(diskstats).keys().collect::<Vec<_>>(), ["vda"]);
}

#[test]
fn a_partition_whose_disk_is_not_listed_counts_as_a_disk() {
    // Some hypervisors attach partitions only.
    let disks = disks("202 1 xvda1 1 0 8 0 1 0 24 0 0 0 0\n202 2 xvda2 broken\n");
    assert_eq!(disks.keys().collect::<Vec<_>>(), ["xvda1"]);
}

const NET_DEV: &str = "Inter-|   Receive                        |  Transmit\n \
     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n  \
  ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n  \
  eth0: 315075733   12753    0    0    0     0          0         0   808715    7973    0    0    0     0       0          0\n\
docker0:    11       1    0    0    0     0          0         0       22       2    0    0    0     0       0          0\n\
eth0.100:   33       1    0    0    0     0          0         0       44       2    0    0    0     0       0          0\n\
wlan0:12345       1    0    0    0     0          0         0       44       2    0    0    0     0       0          0\n";

#[test]
fn loopback_and_interfaces_that_ride_on_others_do_not_count() {
    let interfaces = interfaces(NET_DEV);
    assert_eq!(interfaces.keys().collect::<Vec<_>>(), ["eth0", "wlan0"]);
    assert_eq!(interfaces["eth0"], Moved { inward: 315_075_733, outward: 808_715 });
    // Old kernels leave no space after the colon.
    assert_eq!(interfaces["wlan0"], Moved { inward: 12_345, outward: 44 });
}

#[test]
fn a_container_that_has_a_tunnel_only_counts_the_tunnel() {
    let interfaces =
        interfaces("lo: 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\ntap0: 5 0 0 0 0 0 0 0 6 0 0 0 0 0 0 0\n");
    assert_eq!(interfaces.keys().collect::<Vec<_>>(), ["tap0"]);
}

#[test]
fn load_and_uptime_are_the_first_numbers_of_their_files() {
    assert!((load1("0.03 0.18 0.10 1/88 9555\n") - 0.03).abs() < 1e-9);
    assert_eq!(uptime_seconds("1147.31 2138.65\n"), 1147);
    for nonsense in ["", "\n", "high", "-1 2", "NaN", "inf"] {
        assert!(load1(nonsense).abs() < 1e-9, "{nonsense:?}");
        assert_eq!(uptime_seconds(nonsense), 0, "{nonsense:?}");
    }
}

#[test]
fn empty_files_read_as_nothing() {
    assert_eq!(processor(""), CpuTime::default());
    assert_eq!(memory(""), Memory::default());
    assert!(disks("").is_empty());
    assert!(interfaces("").is_empty());
}
