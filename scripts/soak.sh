#!/usr/bin/env bash
# The proofs at the length that is promised: the database away for 30 s, in both manners, a crowd of 5,000 that comes
# back at once, those who are called back, then the rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
STORE_AWAY_SECONDS=${STORE_AWAY_SECONDS:-30} cargo test --release --locked --package tidings --test proofs -- --nocapture away::
# Five thousand who missed the same thousand messages. Each needs a descriptor, here and in the server.
ulimit -n "$(ulimit -H -n)"
CROWD=${CROWD:-5000} CROWD_SECONDS=${CROWD_SECONDS:-10} cargo test --release --locked --package tidings --test proofs -- \
  --nocapture a_crowd_that_missed_the_same_comes_back_with_few_reads
# Who is called back is gone within a second, on every node.
REVOKED_SECONDS=${REVOKED_SECONDS:-1} cargo test --release --locked --package tidings-server --package tidings \
  --test server --test accounts -- revocations:: keys:: a_key_is_printed_once_and_works_until_it_is_revoked
scripts/rounds.sh
