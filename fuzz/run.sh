#!/bin/sh
# Runs every fuzz target for so many seconds (600), one after the other, and prints a line for each.
#
#   fuzz/run.sh [SECONDS]
#
# What is found stays outside the repository, in a directory that is named at the end if something
# crashed. KEEP=1 adds new corpus entries to fuzz/corpus.
set -eu
seconds=${1:-600}
cd "$(dirname "$0")"
found=$(mktemp -d "${TMPDIR:-/tmp}/tidings-fuzz.XXXXXX")
crashed=0
printf '%-22s %8s %12s %8s\n' target seconds runs crashes
for source in fuzz_targets/*.rs; do
    target=$(basename "$source" .rs)
    mkdir -p "$found/$target/corpus" "$found/$target/crashes" "corpus/$target"
    seeds="corpus/$target"
    new="$found/$target/corpus"
    [ "${KEEP:-0}" = 1 ] && new="$seeds"
    log="$found/$target/log"
    # libFuzzer needs unstable compiler flags; the targets themselves are stable Rust.
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir . "$target" "$new" "$seeds" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$found/$target/crashes/" -print_final_stats=1 >"$log" 2>&1 || true
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    crashes=$(find "$found/$target/crashes" -type f | wc -l)
    if [ -z "$runs" ] && [ "$crashes" -eq 0 ]; then
        tail -n 20 "$log" >&2
        echo "$target did not run; see $log" >&2
        exit 1
    fi
    printf '%-22s %8s %12s %8s\n' "$target" "$seconds" "${runs:-0}" "$crashes"
    crashed=$((crashed + crashes))
done
if [ "$crashed" -gt 0 ]; then
    echo "what crashed: $found/*/crashes" >&2
    exit 1
fi
rm -rf "$found"
