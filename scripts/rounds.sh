#!/usr/bin/env bash
# Kills the real server again and again under many clients, and has what they heard checked; the release build.
#   ROUNDS_STOCK=2000   stock Socket.IO clients      ROUNDS_KILLS=10      how often it is killed
#   ROUNDS_PLAIN=200    plain clients                ROUNDS_SECONDS=5     about so long between two kills
#   ROUNDS_ROOMS=200    rooms                        ROUNDS_STORED=100000 messages stored beforehand
#   ROUNDS_RATE=200     publishes a second           ROUNDS_RECOVERED=0   stock clients subscribe again
# A large one: ROUNDS_STOCK=10000 ROUNDS_ROOMS=500 ROUNDS_RATE=300 make rounds
set -euo pipefail
cd "$(dirname "$0")/.."
# Each client needs a descriptor, here and in the server.
ulimit -n "$(ulimit -H -n)"
export STOCK_CLIENTS=required
export ROUNDS_STOCK=${ROUNDS_STOCK:-2000} ROUNDS_PLAIN=${ROUNDS_PLAIN:-200} ROUNDS_ROOMS=${ROUNDS_ROOMS:-200}
export ROUNDS_RATE=${ROUNDS_RATE:-200} ROUNDS_KILLS=${ROUNDS_KILLS:-10} ROUNDS_SECONDS=${ROUNDS_SECONDS:-5}
export ROUNDS_STORED=${ROUNDS_STORED:-100000}
cargo test --release --locked --package tidings --test proofs -- --nocapture \
  a_server_that_is_killed_again_and_again_loses_repeats_and_reorders_nothing
