# Cairn's two commands are `make run` and `make test`; `make help` lists the rest.
# Everything fetched or built outside the checkout goes to ~/.cache/cairn.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CAIRN_CACHE ?= $(HOME)/.cache/cairn
CAIRN_NATIVE_DIR ?= $(CAIRN_CACHE)/native
CARGO_TARGET_DIR ?= $(CAIRN_CACHE)/target
BUNDLE_OUT ?= dist
# What `make bench` runs; an unoptimised build says nothing about speed. Beside it stands the same
# product without encryption, which is only there to be compared with.
BENCH_PROFILE_DIR ?= $(CARGO_TARGET_DIR)/release
BENCH_PASS_THROUGH ?= cargo build --release --locked --features pass-through-cipher --bin cairn
BENCH ?= cargo bench --locked --bench bench --
BENCH_ARGS ?=
# How long `make soak` keeps two tenants busy.
CAIRN_SOAK_SECONDS ?= 600

export CAIRN_CACHE CAIRN_NATIVE_DIR CARGO_TARGET_DIR BUNDLE_OUT
# rustup's own folder last, for shells that have not read its profile yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help setup setup-test build run lint test test-dashboard bench soak bundle clean

help:
	@echo 'make run      set up, build, fill a demo tenant with sample documents, serve on 127.0.0.1:8420'
	@echo 'make lint     rustfmt and clippy, warnings are errors'
	@echo 'make test     the whole test suite; also what .ci/run calls'
	@echo 'make setup    check Rust, install what else is missing, build the dashboard'
	@echo 'make build    setup, then the binary at bin/cairn (profile dev)'
	@echo 'make bench    quality, speed and memory in one table (profile release; long build)'
	@echo 'make soak     two tenants under load for ten minutes: neither sees anything of the other'
	@echo 'make bundle   dist/cairn-<version>-x86_64-linux.tar.gz (profile release; long build)'
	@echo 'make clean    remove bin, dist and the built dashboard; not the caches, not the demo data'

setup:
	@installer/setup

setup-test:
	@installer/setup --test

build: setup
	@cargo build --locked
	@mkdir -p bin
	@ln -sfn "$(CARGO_TARGET_DIR)/debug/cairn" bin/cairn

run: build
	@installer/demo

test: setup-test test-dashboard lint
	cargo test --locked --no-fail-fast --features fault-injection

# Clippy as the compiler of our own crate only: `cargo clippy` would check all dependencies anew,
# because it shares nothing with a build.
lint: setup
	@cargo fmt --version >/dev/null 2>&1 && rustup which clippy-driver >/dev/null 2>&1 || \
	    { echo 'lint: rustfmt or clippy is missing; run: rustup component add rustfmt clippy' >&2; exit 1; }
	cargo fmt --check
	RUSTC_WORKSPACE_WRAPPER="$$(rustup which clippy-driver)" CLIPPY_ARGS=-Dwarnings \
	    cargo build --locked --features fault-injection --lib --bins

test-dashboard: setup-test
	@export PATH="$$(installer/node):$$PATH"; npm --prefix assets/dashboard run --silent test

# The build without encryption comes first and is copied away, so that the ordinary binary is what
# stays in its place.
bench: setup
	$(BENCH_PASS_THROUGH)
	cp -f "$(BENCH_PROFILE_DIR)/cairn" "$(BENCH_PROFILE_DIR)/cairn-pass-through"
	$(BENCH) $(BENCH_ARGS)

soak: setup-test
	CAIRN_SOAK_SECONDS=$(CAIRN_SOAK_SECONDS) cargo test --locked --features fault-injection --test it -- \
	    --nocapture two_tenants_under_load_never_see_a_word_of_each_other

bundle: setup
	cargo build --release --locked
	CAIRN_BINARY="$${CAIRN_BINARY:-$(CARGO_TARGET_DIR)/release/cairn}" bundle/build

clean:
	rm -rf bin dist assets/dashboard/dist
