#!/usr/bin/env bash
# Measures what docs/figures.md shows, on this machine, and writes it into that file.
#   RIG      a folder with load/, limit/ and measure.sh: load generator and write floor; without it their cells are left out
#   BUN      a Bun (npm's package "bun" holds one); with RIG, a server on it goes through the same cells as a peer
#   RUNS=5   how often each cell is measured; the table shows medians
#   SECS     seconds each cell lasts (measure.sh's default)
#   CELLS    names of measure.sh's cells, if not all
# The machine must do nothing else meanwhile: a run in which other processes took CPU time is worth nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cd "$(dirname "${CARGO_TARGET_DIR:-target}")" && pwd)/$(basename "${CARGO_TARGET_DIR:-target}")
tidings=$target/release/tidings
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cells=${CELLS:-idle fan1k_w1 fan1k_w16 fan10k_w1 fan10k_w16 fan10k_r50 fan10k_http rooms ack storm}
block=$scratch/block
# Ten thousand connections need as many descriptors, on either side.
ulimit -n "$(ulimit -H -n)"

cargo build --release --locked --package tidings --package tidings-fixture

machine() {
  printf '| | |\n|---|---|\n'
  printf '| when | %s |\n' "$(date -u '+%Y-%m-%d %H:%M UTC')"
  printf '| commit | %s |\n' "$(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ', with changes')"
  printf '| processor | %s, %s cores |\n' "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" "$(nproc)"
  printf '| memory | %s MB |\n' "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)"
  printf '| kernel | %s |\n' "$(uname -sr)"
  printf '| compiler | %s |\n' "$(rustc --version)"
}

# Limits as they are shipped, but for counts that ten thousand connections of one user from one address exceed.
raised="--limits-connections-per-address 20000 --limits-connections-per-user 20000 --limits-connections-per-org 20000
  --limits-accepts-per-second 100000 --limits-unauthenticated 20000"

# rig NAME CELLS [REQ [LIMITS]]: floor and server in turn through the cells.
rig() {
  local token
  token=$("$tidings" token --user bench --scope publish --ttl 4h --data-dir "$scratch/data")
  printf '\n**%s**\n\n```text\n' "$1"
  BIN=$target/release CELLS=$2 REQ=${3:-} RUNS=${RUNS:-5} OUT=$scratch/$1.jsonl \
    AUTH="{\"token\":\"$token\"}" HTTP_AUTH="Authorization: Bearer $token" \
    SERVER="$tidings serve --listen 127.0.0.1:\$PORT --data-dir $scratch/data ${4:---no-limits} --host-publish=false --log-filter warn" \
    bash "$RIG/measure.sh" | tee /dev/stderr | awk '/^cell +CPU/ { table = 1 } table'
  printf '```\n'
}

# The same for a handler that answers with what it was sent: the server of the suites has one.
handler() {
  printf '\n**a request through a handler**\n\n```text\n'
  BIN=$target/release CELLS=ack REQ='42{id}["message-with-ack",{"t":"{t}","p":"{pad}"}]' RUNS=${RUNS:-5} \
    OUT=$scratch/handler.jsonl SERVER="$target/release/tidings-fixture matrix --listen 127.0.0.1:\$PORT" \
    bash "$RIG/measure.sh" | tee /dev/stderr | awk '/^cell +CPU/ { table = 1 } table'
  printf '```\n'
}

# Handshake and token alone: the cell called idle subscribes to a room as well.
connecting() { # connecting NAME [LIMITS]
  local token run server
  token=$("$tidings" token --user bench --scope publish --ttl 4h --data-dir "$scratch/data")
  printf '\n**%s**\n\n```text\n' "$1"
  for run in $(seq "${RUNS:-5}"); do
    # shellcheck disable=SC2086 # flags, one by one
    taskset -c 0 "$tidings" serve --listen "127.0.0.1:$((4700 + run))" --data-dir "$scratch/data" ${2:---no-limits} \
      --host-publish=false --log-filter warn >&2 &
    server=$!
    until (exec 3<>"/dev/tcp/127.0.0.1/$((4700 + run))") 2>/dev/null; do
      kill -0 "$server"
    done
    taskset -c 1 "$target/release/rigload" idle --proto sio --url "ws://127.0.0.1:$((4700 + run))/" \
      --auth "{\"token\":\"$token\"}" --pid "$server" --extra-pid "$(pgrep -x ksoftirqd/0 || echo 0)" \
      --conns 10000 --settle 0.2 --secs 0.2 2>/dev/null >>"$scratch/connecting"
    kill "$server"
    wait "$server" || true
  done
  python3 - "$scratch/connecting" <<'PY' | tee /dev/stderr
import json, statistics, sys
spent = sorted(json.loads(line)["connect_cpu_us_per_conn"] for line in open(sys.argv[1]))
print(f"{statistics.median(spent):.1f} us CPU a connect ({', '.join(f'{each:.1f}' for each in spent)})")
PY
  rm "$scratch/connecting"
  printf '```\n'
}

# What uWebSockets makes of the same work, through Bun.
peer() {
  printf '\n**a peer: Bun %s, speaking Socket.IO without sign-in (scripts/peers/bun.ts)**\n\n```text\n' "$("$BUN" --version)"
  BIN=$target/release CELLS="idle fan10k_w1 fan10k_w16 rooms ack storm" RUNS=${RUNS:-5} OUT=$scratch/peer.jsonl \
    SERVER="$BUN scripts/peers/bun.ts \$PORT" bash "$RIG/measure.sh" | tee /dev/stderr | awk '/^cell +CPU/ { table = 1 } table'
  printf '```\n'
}

bench() { # bench SCENARIO FLAGS...
  printf '\n**tidings bench %s**\n\n```text\n' "$*"
  "$tidings" bench "$@" --out "$scratch/bench" | tee /dev/stderr | sed '/written to/d; s/[[:space:]]*$//'
  printf '```\n'
}

{
  machine
  if [[ -n ${RIG:-} ]]; then
    for part in load limit; do
      CARGO_TARGET_DIR=$target cargo build --release --manifest-path "$RIG/$part/Cargo.toml" >&2
    done
    rig "against the write floor" "$cells"
    handler
    rig "connecting and subscribing with limits on" idle "" "${raised//$'\n'/}"
    connecting "10,000 connections: handshake and token alone"
    connecting "the same with limits on" "${raised//$'\n'/}"
    if [[ -n ${BUN:-} ]]; then peer; fi
  else
    printf '\nNot measured against the write floor: RIG was not set.\n'
  fi
  bench idle --conns 10000
  bench idle --conns 10000 --conc 10000
  bench fanout --conns 10000 --window 1
  bench fanout --conns 10000 --window 16
  bench fanout --conns 10000 --window 16 --proto plain
  bench rooms --conns 10000 --rooms 2000 --rate 2000
  bench ack --conns 100 --outstanding 10
  bench storm --conns 5000
  bench storm --conns 10000
  bench stuck
  bench stuck --kind bench
} >"$block"

# The block between the marks is ours; the words around it are not.
awk -v block="$block" '
  /^<!-- measured: end -->/ { inside = 0 }
  !inside { print }
  /^<!-- measured: begin -->/ { inside = 1; while ((getline line < block) > 0) print line }
' docs/figures.md >"$scratch/figures.md"
cat "$scratch/figures.md" >docs/figures.md

if [[ -z ${RIG:-} ]]; then
  printf '\n*** Not everything was measured: RIG names no yardstick, so there is no write floor to compare with. ***\n' >&2
fi
