#!/usr/bin/env bash
# The proofs at the length that is promised: the database away for 30 s, in both manners, a crowd of 5,000 that comes
# back at once, then the rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
STORE_AWAY_SECONDS=${STORE_AWAY_SECONDS:-30} cargo test --release --locked --package tidings --test proofs -- --nocapture away::
# Five thousand who missed the same thousand messages. Each needs a descriptor, here and in the server.
ulimit -n "$(ulimit -H -n)"
CROWD=${CROWD:-5000} CROWD_SECONDS=${CROWD_SECONDS:-10} cargo test --release --locked --package tidings --test proofs -- \
  --nocapture a_crowd_that_missed_the_same_comes_back_with_few_reads
scripts/rounds.sh
