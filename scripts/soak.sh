#!/usr/bin/env bash
# The proofs at the length that is promised: the database away for 30 s, in both manners, then the rounds.
set -euo pipefail
cd "$(dirname "$0")/.."
STORE_AWAY_SECONDS=${STORE_AWAY_SECONDS:-30} cargo test --release --locked --package tidings --test proofs -- --nocapture away::
scripts/rounds.sh
