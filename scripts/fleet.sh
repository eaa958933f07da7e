#!/usr/bin/env bash
# A fleet of bots trades in one room of the real server, release build, until everything has to balance to the last unit:
# once undisturbed but for connections that break, for the latency; once with SIGKILL in the middle.
#   FLEET_BOTS=200     members who trade            FLEET_PRICES=30    prices a second, by HTTP
#   FLEET_RATE=1000    orders a second of them all  FLEET_RESETS=2     of a thousand orders so many end their connection
#   FLEET_SECONDS=60   for so long                  FLEET_KILLS=1      kills of the second run
#   FLEET_STORE=SQLite or PostgreSQL; empty: one after the other
set -euo pipefail
cd "$(dirname "$0")/.."
# Each bot needs a descriptor, here and in the server.
ulimit -n "$(ulimit -H -n)"
export FLEET_BOTS=${FLEET_BOTS:-200} FLEET_RATE=${FLEET_RATE:-1000} FLEET_SECONDS=${FLEET_SECONDS:-60}
export FLEET_PRICES=${FLEET_PRICES:-30} FLEET_RESETS=${FLEET_RESETS:-2} FLEET_STORE=${FLEET_STORE-SQLite}
for kills in 0 "${FLEET_KILLS:-1}"; do
  FLEET_KILLS=$kills cargo test --release --locked --package tidings --test trading -- --nocapture \
    a_fleet_whose_server_is_killed_balances_to_the_last_unit
done
