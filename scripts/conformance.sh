#!/usr/bin/env bash
# What others wrote, run against a release build: the official suites and Autobahn.
# Says at the end what ran, what failed, and loudly what this machine could not run.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cd "$(dirname "${CARGO_TARGET_DIR:-target}")" && pwd)/$(basename "${CARGO_TARGET_DIR:-target}")
export TIDINGS_FIXTURE=$target/release/tidings-fixture
logs=.tools/logs
mkdir -p "$logs"
cargo build --release --locked --package tidings-fixture

verdicts=() failed=0
suite() { # suite NAME NPM-ARGUMENTS...
  local name=$1 log=$logs/${1// /-}.log status=0 verdict=ok
  shift
  printf '\n== %s\n' "$name"
  npm run --silent --prefix conformance "$@" 2>&1 | tee "$log" || status=$?
  if ((status != 0)); then
    verdict=FAILED failed=1
  elif grep -q '^SKIPPED' "$log"; then
    verdict=SKIPPED
  fi
  verdicts+=("$(printf '%-8s %-24s %s' "$verdict" "$name" "$(tail -n 1 "$log")")")
}

# isolation: the walk and the matrix of `make test`, as long as they are meant to be.
isolation() {
  local log=$logs/isolation.log verdict=ok
  printf '\n== isolation\n'
  WALK_OPERATIONS=100000 MATRIX_CASES=10000 \
    cargo test --locked --package tidings-server --test isolation -- --nocapture 2>&1 | tee "$log" || verdict=FAILED failed=1
  verdicts+=("$(printf '%-8s %-24s %s' "$verdict" isolation "$(grep -m1 'texts searched' "$log")")")
}

isolation
suite "official suites" suites
suite "autobahn" autobahn
suite "autobahn with deflate" autobahn -- --deflate

printf '\n'
printf '%s\n' "${verdicts[@]}"
if printf '%s\n' "${verdicts[@]}" | grep -q ^SKIPPED; then
  printf '\n*** Not everything was run: see SKIPPED above. ***\n'
fi
((failed == 0))
