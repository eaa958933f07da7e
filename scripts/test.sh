#!/usr/bin/env bash
# Every test that needs no clone of somebody else's repository; ends with "N passed, N failed".
# One profile and one target directory, so that everything is compiled once.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/rings.sh

target=$(cd "$(dirname "${CARGO_TARGET_DIR:-target}")" && pwd)/$(basename "${CARGO_TARGET_DIR:-target}")
# Only the conformance tests get these: a server takes what begins with TIDINGS_ for its configuration.
servers=(
  TIDINGS_BIN="$target/debug/tidings"
  TIDINGS_FIXTURE="$target/debug/tidings-fixture"
  TIDINGS_TODO="$target/debug/tidings-example-todo"
  TIDINGS_RESULTS="$target/debug/tidings-example-results"
)

# Without them a part of the proofs would be left out, and say so where nobody looks.
export STOCK_CLIENTS=required

rust_tests() {
  if ! cargo nextest --version >/dev/null 2>&1; then
    cargo test --workspace --locked
    return
  fi
  cargo nextest run --workspace --locked --no-fail-fast && cargo test --workspace --doc --locked
}

page_tests() (cd crates/tidings-server/assets && node --test)

# Where a ring calls it nothing stops by itself: only what is returned counts.
examples_parse() {
  local file
  for file in examples/*/*.mjs; do node --check "$file" || return 1; done
  for file in examples/*/*.py; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$file" || return 1
  done
}

# Before anything of Rust, or the server would be compiled once without it and once with it.
ring "console" scripts/console.sh
ring "format" cargo fmt --all --check
ring "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
ring "fuzz targets" fuzz_targets
if cargo deny --version >/dev/null 2>&1; then
  ring "licences and sources" cargo deny --locked check bans licenses sources
else
  echo "cargo-deny is not here: licences and sources are not checked"
fi
ring "build" cargo build --workspace --all-targets --locked
if [[ " ${broken[*]-} " == *" build "* ]]; then
  # Nothing below can run, and each would say so at length.
  closing
fi
ring "rust" rust_tests
ring "page" page_tests
ring "lint of the conformance tests" npm run --silent lint --prefix conformance
ring "conformance" env "${servers[@]}" npm test --silent --prefix conformance
ring "conformance of the running server" env "${servers[@]}" npm run --silent test:serve --prefix conformance
ring "lint of the web parts" npm run --silent lint --prefix web
ring "web" env "${servers[@]}" npm test --silent --prefix web
ring "examples" examples_parse
closing
