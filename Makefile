# Two commands matter: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WEB := signaling/web
DRIVER := tests/browser
STACKS := tests/interop/stacks
RELAY := sfu/relay
DTLS13 := tests/probe/weak/dtls13
BARE := bench/bare
CARGO_TARGET_DIR ?= $(CURDIR)/$(RELAY)/target
export CARGO_TARGET_DIR
# The extension is built against the interpreter that will load it.
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

RELAY_SOURCES := $(shell find $(RELAY) -name target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print 2>/dev/null)
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name dist \) -prune -o -type f -print 2>/dev/null)
FUZZ_SECONDS ?= 3600
say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help run test check check-rust check-python check-page format clean build programs test-rust \
	test-page test-python test-packages sync stacks \
	interop bench bench-quick impair soak churn fuzz conformance wheel image-check lock

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 16

# --- set-up, each step done once and again only when its inputs change ---------------------------

$(VENV)/.runtime: requirements.txt
	$(call say,Python packages (once))
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(call say,Python packages for tests and checks (once))
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.relay: $(RELAY_SOURCES) pyproject.toml | $(VENV)/.runtime
	$(call say,Relay: Rust release build (a few minutes the first time))
	@command -v cargo >/dev/null || { echo 'A Rust toolchain is needed: cargo is not on the PATH.' >&2; exit 1; }
	cargo build --release --locked --manifest-path $(RELAY)/Cargo.toml -p conclave-relay-py
	@install -m 755 $(CARGO_TARGET_DIR)/release/lib_relay.so sfu/_relay.abi3.so
	@printf '%s\n' '$(CURDIR)' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/conclave.pth"
	@printf '#!/bin/sh\nexec "%s" -m signaling "$$@"\n' '$(CURDIR)/$(BIN)/python' > $(BIN)/conclave && chmod 755 $(BIN)/conclave
	@touch $@

$(CARGO_TARGET_DIR)/release/bare: $(wildcard $(BARE)/src/*.rs $(BARE)/Cargo.*)
	$(call say,Bare forwarder: Rust release build)
	cargo build --release --locked --manifest-path $(BARE)/Cargo.toml

$(WEB)/node_modules/.stamp: $(WEB)/package.json $(WEB)/package-lock.json
	$(call say,Page: npm packages (once))
	@command -v npm >/dev/null || { echo 'Node 20 is needed: npm is not on the PATH.' >&2; exit 1; }
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.stamp $(WEB_SOURCES)
	$(call say,Page: build)
	cd $(WEB) && npm run --silent build
	@touch $@

$(DRIVER)/node_modules/.stamp: $(DRIVER)/package.json $(DRIVER)/package-lock.json
	$(call say,Browser driver: npm packages (once))
	cd $(DRIVER) && PUPPETEER_SKIP_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STACKS)/node/node_modules/.stamp: $(STACKS)/node/package.json $(STACKS)/node/package-lock.json
	$(call say,werift and libdatachannel: npm packages (once))
	cd $(STACKS)/node && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Unoptimised, which compiles a quarter faster: it carries one call.
$(STACKS)/pion/pion: $(wildcard $(STACKS)/pion/*.go) $(STACKS)/pion/go.mod $(STACKS)/pion/go.sum
	$(call say,Pion: Go build (a minute the first time))
	@command -v go >/dev/null || { echo 'Go 1.24 or newer is needed: go is not on the PATH.' >&2; exit 1; }
	cd $(STACKS)/pion && CGO_ENABLED=0 go build -mod=readonly -trimpath -gcflags='all=-N -l' -o pion .

# What tests start beside the server. One by one, since both compile into the same folder.
programs:
	$(call say,Programs that tests start: Rust build)
	cargo build --locked --quiet --manifest-path $(DTLS13)/Cargo.toml
	cargo build --locked --quiet --manifest-path $(BARE)/Cargo.toml

build: $(VENV)/.relay $(WEB)/dist/index.html

stacks: $(STACKS)/node/node_modules/.stamp $(STACKS)/pion/pion

sync: $(VENV)/.dev build programs $(DRIVER)/node_modules/.stamp stacks ## do all set-up for development

# --- the two commands -----------------------------------------------------------------------------

run: build ## set up what is missing, start on loopback with TLS, print the URL
	@$(BIN)/conclave serve --dev

test: test-packages sync test-rust test-page test-python ## set up what tests need and run the default budget

test-packages:
	@.ci/debian-packages chromium firefox-esr xvfb iproute2 nftables openssl gnutls-bin

test-rust:
	$(call say,Relay: tests)
	cargo test --locked --quiet --manifest-path $(RELAY)/Cargo.toml --workspace
	cargo test --locked --quiet --manifest-path $(BARE)/Cargo.toml

test-page: $(WEB)/node_modules/.stamp
	$(call say,Page: tests)
	cd $(WEB) && npm test --silent

# Browsers and what is measured need both cores: one after another. Calls with encoders of large
# pictures need a core now and then, and nobody beside them who always does. All other tests, calls among
# them, mostly wait. Where five have failed the rest would only tell the same, slowly.
ALONE := tests/bench tests/browser tests/interop/stacks/test_short.py $(wildcard tests/interop/test_*browser*.py)
IN_PAIRS := $(patsubst %,tests/interop/test_python_sdk_%.py,crowd layers loss narrow pipes svc workers)

test-python: sync
	$(call say,Python and browser tests)
	$(BIN)/python -m pytest --maxfail 5 $(ALONE)
	$(BIN)/python -m pytest --maxfail 5 --numprocesses 2 --dist loadgroup $(IN_PAIRS)
	$(BIN)/python -m pytest --maxfail 5 --numprocesses 3 --dist loadgroup $(addprefix --ignore=,$(ALONE) $(IN_PAIRS))

GSTREAMER := python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad

# The tables are written whatever failed: what was not shown then says so.
interop: sync ## calls between eight WebRTC stacks; writes docs/interop.md (10 minutes)
	@.ci/debian-packages chromium firefox-esr xvfb $(GSTREAMER)
	$(call say,Calls between eight stacks)
	@rm -f tests/artifacts/interop.jsonl
	@status=0; \
	$(BIN)/python -m pytest -m interop -vv $(STACKS) || status=$$?; \
	$(BIN)/python -m $(subst /,.,$(STACKS)).table || status=$$?; \
	exit $$status

# --- quality --------------------------------------------------------------------------------------

# Two at a time: the slowest of Python's checks takes one core.
check: $(VENV)/.dev $(VENV)/.relay $(WEB)/node_modules/.stamp ## formatting, lints, types, layer rules
	@$(MAKE) --no-print-directory --output-sync=target -j2 check-rust check-python check-page

check-python:
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

check-rust:
	cargo fmt --manifest-path $(RELAY)/Cargo.toml --all --check
	cargo fmt --manifest-path $(DTLS13)/Cargo.toml --check
	cargo fmt --manifest-path $(BARE)/Cargo.toml --check
	cargo clippy --locked --quiet --manifest-path $(RELAY)/Cargo.toml --workspace --all-targets -- -D warnings
	cargo clippy --locked --quiet --manifest-path $(BARE)/Cargo.toml --all-targets -- -D warnings

check-page:
	cd $(WEB) && npm run --silent check
	@command -v gofmt >/dev/null || { echo 'Go 1.24 or newer is needed: gofmt is not on the PATH.' >&2; exit 1; }
	@! gofmt -l $(STACKS)/pion | grep . || { echo 'gofmt would change these files.' >&2; exit 1; }

format: $(VENV)/.dev ## format everything
	$(BIN)/ruff format --quiet .
	$(BIN)/ruff check --quiet --fix .
	cargo fmt --manifest-path $(RELAY)/Cargo.toml --all
	cargo fmt --manifest-path $(DTLS13)/Cargo.toml
	cargo fmt --manifest-path $(BARE)/Cargo.toml
	gofmt -w $(STACKS)/pion

# A checkout knows its commit by itself; a wheel, and a build without .git, must be told.
COMMIT ?= $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)

wheel: $(VENV)/.dev $(WEB)/dist/index.html ## the one artefact: dist/conclave-*.whl
	$(call say,Wheel)
	@rm -f dist/conclave-*.whl
	@trap 'rm -f signaling/COMMIT' EXIT; printf '%s\n' '$(COMMIT)' > signaling/COMMIT; \
	$(BIN)/maturin build --release --locked --out dist --interpreter $(BIN)/python --quiet
	@$(BIN)/python deploy/image/contents dist/conclave-*.whl

soak: sync ## 20 minutes of people who come and go at 60 % load; memory must stay flat
	$(call say,Soak: people come and go for 20 minutes)
	@$(BIN)/python -m bench.soak --json tests/artifacts/soak.json

churn: sync ## 10,000 people join and leave (about 5 minutes); nothing of them may stay
	$(call say,Churn: 10000 joins and leaves)
	@$(BIN)/python -m bench.churn

fuzz: ## fuzz the relay for FUZZ_SECONDS (an hour): nightly Rust, g++; cargo-fuzz it installs itself
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(RELAY)/fuzz/run

bench: $(VENV)/.dev $(VENV)/.relay $(CARGO_TARGET_DIR)/release/bare ## packets out per CPU-second: ours, a bare forwarder and, if installed, Janus (20 minutes, root)
	@$(BIN)/python -m bench

bench-quick: $(VENV)/.dev $(VENV)/.relay $(CARGO_TARGET_DIR)/release/bare ## three scenarios of it in less than two minutes
	@$(BIN)/python -m bench --quick

conformance: $(VENV)/.dev build ## probe our own node under both policies; the results go into docs/conformance.md
	@$(BIN)/python -m tests.probe.conformance_page

impair: test-packages sync ## calls over bad networks, as browsers saw them, beside Janus if installed (30 minutes, root); IMPAIR_CASES=loss-5,cap for some
	@$(BIN)/python -m pytest -m impair tests/bench
	@$(BIN)/python -m bench.impair

image-check: wheel ## run the Dockerfile's steps in a debootstrap root (no engine needed)
	@deploy/image/check

lock: $(VENV)/.dev ## recompute the locked Python packages
	$(BIN)/uv pip compile --quiet pyproject.toml --generate-hashes --python-version 3.11 --universal --no-header -o requirements.txt
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --python-version 3.11 --universal --no-header -c requirements.txt -o requirements-dev.txt

clean: ## remove what the targets above made
	rm -rf $(VENV) $(CARGO_TARGET_DIR) $(WEB)/dist $(WEB)/node_modules $(DRIVER)/node_modules \
		$(STACKS)/node/node_modules $(STACKS)/pion/pion sfu/_relay.abi3.so tests/artifacts
