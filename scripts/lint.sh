#!/usr/bin/env bash
# Formatting, lints and licences of everything; changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/rings.sh

ring "format" cargo fmt --all --check
ring "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
ring "fuzz targets" fuzz_targets
if cargo deny --version >/dev/null 2>&1; then
  ring "licences and sources" cargo deny --locked check bans licenses sources
else
  echo "cargo-deny is not here: licences and sources are not checked (cargo install --locked cargo-deny)"
fi
ring "lint of the conformance tests" npm run --silent lint --prefix conformance
ring "lint of the web parts" npm run --silent lint --prefix web
closing
