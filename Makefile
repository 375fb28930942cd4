# The commands a person types. `make help` lists them; everything runs in .venv, which make creates.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export EDUSENSE_SHARED ?= $(abspath ../shared)

RUST_SOURCES := $(shell find rust -name '*.rs' -o -name Cargo.toml | grep -v '^rust/fuzz') Cargo.toml Cargo.lock

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.venv/.tools: pyproject.toml drivers/pyproject.toml
	@tools/preflight
	@tools/step "virtual environment" $(PYTHON) -m venv .venv
	@tools/step "Python packages" tools/install-packages
	@touch $@

.venv/.installed: .venv/.tools $(RUST_SOURCES)
	@tools/step "extension and both distributions" tools/install-editable
	@touch $@

.PHONY: develop
develop: .venv/.installed ## Set up .venv with the extension and both distributions, for work on the code

.PHONY: demo
demo: .venv/.installed ## A whole virtual school for a minute, and a page of what happened (demo-out/)
	@$(BIN)/edusense demo --out demo-out $(DEMO)

.PHONY: test
test: .venv/.installed ## Everything that must pass: Rust, Python, examples
	@tools/step "Rust tests" cargo test --release --locked --quiet
	@$(MAKE) --no-print-directory interleavings
	$(BIN)/pytest -n 4 --dist loadfile $(TESTS)
	$(BIN)/pytest --doctest-modules python drivers

.PHONY: test-long
test-long: .venv/.installed ## Millions of mutated frames, and every fault of every virtual device: some minutes
	$(BIN)/pytest -m long --timeout=1500 -n 2 --dist worksteal $(TESTS)

.PHONY: interleavings
interleavings: ## The ledger's group commit in tens of thousands of orders of its threads (shuttle)
	@tools/step "orders of threads" cargo test --release --locked --quiet -p edusense-meals --features shuttle --test interleavings

.PHONY: miri
miri: ## The small tests of the pure crates under Miri, which knows what no compiler checks (needs nightly with miri; minutes)
	@rustup component list --toolchain nightly 2>/dev/null | grep -q '^miri.*(installed)' || { echo "Miri is not installed: rustup toolchain install nightly --component miri,rust-src" >&2; exit 1; }
	MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=4 cargo +nightly miri test --target-dir target/miri $(MIRI)

MIRI ?= -p edusense-meals -p edusense-motion -p edusense-bitstream -p edusense-decode --lib

N ?= 100000
RUNS ?= 11000
KILLS ?= 1000
SEED ?= $(shell date +%s)
.PHONY: faults
faults: .venv/.installed ## Faults of a simulated disk below the real ledger, N=100000 runs, SEED=…, RUN=… repeats one; then RUNS=11000 on a bad line to the hub and KILLS=1000 of kill -9
	cargo run --release --locked --quiet -p edusense-meals --example faults -- $(N) $(SEED) $(RUN)
	$(if $(RUN),,$(BIN)/python tests/faults/network_storm.py --runs $(RUNS) --seed $(SEED))
	$(if $(RUN),,$(BIN)/python tests/faults/kill_storm.py --kills $(KILLS) --seed $(SEED))

ALERTS ?= 10000
.PHONY: faults-alerts
faults-alerts: .venv/.installed ## ALERTS=10000 through kill -9 of box and centre, a bad line, full disks and clock steps, SEED=…; STORM=… repeats one
	$(BIN)/python -m tests.faults.alert_storm --alerts $(ALERTS) --seed $(SEED) $(if $(STORM),--storm $(STORM))

.PHONY: lint
lint: .venv/.installed ## Formatting, types, stubs, arrows, licences, reference up to date
	@tools/step "cargo fmt" cargo fmt --check
	@tools/step "clippy" cargo clippy --workspace --all-targets --release --locked -- -D warnings
	@tools/step "ruff format" $(BIN)/ruff format --check
	@tools/step "ruff" $(BIN)/ruff check
	@tools/step "mypy" $(BIN)/mypy
	@tools/step "stubs of the extension" tools/check-stubs
	@tools/step "arrows" $(BIN)/lint-imports
	@tools/step "licences" $(BIN)/python tools/check-licences
	@tools/step "reference up to date" $(BIN)/python tools/make-reference --check

.PHONY: bench
bench: .venv/.installed ## Measure beside peers; results in .bench/, comparable with a stored run
	@mkdir -p .bench
	$(BIN)/pytest benches -o addopts= -p no:cacheprovider --benchmark-json=.bench/$(shell date +%Y-%m-%dT%H%M%S).json
	cargo bench --locked

.PHONY: test-peers
test-peers: .venv/.installed ## Run the tests against third-party programs (installs Debian packages; needs root)
	@tools/step "Debian packages of peers" tools/install-peers
	$(BIN)/pytest -m peers

.PHONY: test-packaging
test-packaging: .venv/.installed ## Build wheels and install them in clean environments
	$(BIN)/pytest -m packaging --timeout=1500

.PHONY: docs
docs: .venv/.installed ## Generate the reference from the code
	@tools/step "reference" $(BIN)/python tools/make-reference

.PHONY: bundle
bundle: .venv/.installed ## One folder for a USB stick: wheels of everything, unit file, udev rules, install command
	@tools/step "bundle in dist/bundle" tools/make-bundle

SECONDS ?= 60
.PHONY: fuzz
fuzz: ## Hostile bytes for every parser, SECONDS=60 each (needs nightly Rust and cargo-fuzz)
	rust/fuzz/run $(SECONDS)

.PHONY: clean
clean: ## Remove what make built (keeps downloads of cargo and pip)
	rm -rf .venv target dist .build demo-out .bench drivers/dist
