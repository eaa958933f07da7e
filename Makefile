# Everything a developer does here by name; `make` alone lists it.
# What is more than a line lives in scripts/.

TARGET := $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run test lint fmt conformance soak rounds fleet fuzz figures bench clean

help: ## Lists the targets.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: ## Builds the server and starts it with lifelike traffic.
	@scripts/needs.sh build
	@scripts/console.sh
	cargo build --release --locked
	@echo
	@echo "The console: http://127.0.0.1:$${PORT:-3000}   (Ctrl-C stops the server)"
	@echo "To see everything, sign in there with the token that is printed below."
	@echo "In another terminal: $(TARGET)/release/tidings watch lobby:market lobby:welcome"
	@echo
	@exec $(TARGET)/release/tidings serve --demo

test: ## Installs what tests need, then runs all of them.
	@scripts/needs.sh build test
	@scripts/test.sh

lint: ## Formatting, lints, licences; changes nothing.
	@scripts/needs.sh build lint
	@scripts/lint.sh

fmt: ## Formats Rust and TypeScript.
	@scripts/needs.sh build lint
	cargo fmt --all
	npm run --silent format --prefix conformance
	npm run --silent format --prefix web

conformance: ## The long walks, official suites (SOCKETIO_REPO names a clone), Autobahn.
	@scripts/needs.sh build lint
	@scripts/conformance.sh

soak: ## The database away for 30 s; 5,000 clients back at once; the server killed ten times under 2,200.
	@scripts/needs.sh build test
	@scripts/soak.sh

rounds: ## The second half of that; scripts/rounds.sh says what can be made larger.
	@scripts/needs.sh build test
	@scripts/rounds.sh

fleet: ## 200 bots trade 1,000 orders a second for a minute, then with SIGKILL; scripts/fleet.sh says what can be changed.
	@scripts/needs.sh build test
	@scripts/fleet.sh

fuzz: ## Every fuzz target for ten minutes; needs cargo-fuzz.
	@fuzz/run.sh

figures: ## Measures the table of docs/figures.md; RIG names the yardstick.
	@scripts/needs.sh build
	@scripts/figures.sh

bench: ## Benchmarks of single functions.
	cargo bench --workspace --locked

clean: ## Removes everything that was built or installed here.
	cargo clean
	rm -rf .tools conformance/node_modules examples/*/node_modules web/node_modules web/apps/console/dist
