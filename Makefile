# What a newcomer types and what CI calls. `make` alone lists it.

export PATH := $(HOME)/.cargo/bin:$(PATH)

CARGO_TARGET_DIR ?= target
VENV := .venv
MODELS := smollm2:135m minilm:l6
PEOPLE := $(CARGO_TARGET_DIR)/release/andon
TESTS := $(CARGO_TARGET_DIR)/debug/andon
PEERS := $(CARGO_TARGET_DIR)/peers
LARGE := random-1b-q4_0 random-1b-q4_k_m

.DEFAULT_GOAL := help
.PHONY: help setup build demo up test test-arm test-llama lint bench bench-peers bfcl eval fuzz sanitize audit bench-hybrid reach

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing: Rust, a C compiler, Python with pip
	@sh scripts/setup

build: setup
	cargo build --locked --release -p andon
	@for model in $(MODELS); do $(PEOPLE) model pull $$model || exit 1; done

demo: build ## play one shift of the demo plant
	$(PEOPLE) demo

up: build ## keep a node up on 127.0.0.1
	$(PEOPLE) up

# The binary comes out of the build of the tests, so that nothing is built twice.
test: setup $(VENV)/stamp ## all tests, with the default models and the real client
	cargo test --locked --workspace --no-run
	@for model in $(MODELS); do $(TESTS) model pull $$model || exit 1; done
	cargo test --locked --workspace
	ANDON_BIN=$(abspath $(TESTS)) $(VENV)/bin/python -m pytest -q tests/openai

test-arm: ## the kernels' tests for 64-bit Arm, in an emulator
	@sh scripts/test-arm

# llama.cpp is built once, in some minutes; `FEATURES=cuda` builds it for a GPU.
FEATURES ?=
test-llama: setup ## the engine over llama.cpp; needs cmake, libclang and a C++ compiler
	cargo test --release --manifest-path crates/andon-llama/Cargo.toml \
		--target-dir $(CARGO_TARGET_DIR)/llama --features "$(FEATURES)"

lint: setup ## format, clippy, the project's own rules
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo run --locked --quiet -p xtask -- tidy

reach: build ## make the head that recognises what small models are bad at
	$(PEOPLE) --plant plants/reach reach --held-out plants/reach/held-out.jsonl --out crates/andon/assets

bench: build ## measure speed on this machine, as JSON
	@$(PEOPLE) bench

bench-hybrid: build ## the way to upstreams: what the edge answers, a link that comes and goes, what it costs
	@sh scripts/bench-hybrid $(PEOPLE)

# The peer is built once; so are the models of random weights. `FLAGS=--quick` sees
# in a minute or two whether everything works.
bench-peers: build $(LARGE:%=$(PEERS)/models/%.gguf) ## measure Andon and llama.cpp side by side, on an idle machine
	cargo build --locked --release -p andon-peers
	@programs=$$(scripts/build-peer $(PEERS)) && \
		$(CARGO_TARGET_DIR)/release/andon-peers --andon $(PEOPLE) --programs "$$programs" \
			--work $(PEERS) $(foreach model,$(LARGE),--large $(model)=$(PEERS)/models/$(model).gguf) \
			--json $(PEERS)/peers.json $(FLAGS)

$(PEERS)/models/random-1b-%.gguf: | setup
	@mkdir -p $(@D)
	cargo run --locked --release -p xtask -- gguf --family llama --shape 1b --kind $* --out $@.partial
	@mv $@.partial $@

bfcl: build ## how often the language model calls the right tool, on public questions
	@python3 scripts/bfcl --andon $(PEOPLE)

# The sets are not part of the repository; `SETS="fmc clinc150"` measures some of them, and
# `FLAGS=--json` prints an object for each.
eval: build ## measure every kind of task on the data sets in ANDON_DATA beside what is aimed at
	@scripts/eval $(PEOPLE) $(SETS) $(FLAGS)

# The tests try the same readers with spoilt bytes; this needs a C++ compiler.
SECONDS_EACH ?= 30
fuzz: setup ## give the readers of files and grammars to libFuzzer for a while
	scripts/fuzz $(SECONDS_EACH)

# The sanitizer's runtime comes with stable Rust, its flag does not.
sanitize: setup ## run the kernels' tests under AddressSanitizer
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test --locked -p andon-kernels \
		--target "$$(rustc -vV | sed -n 's/^host: //p')" --target-dir $(CARGO_TARGET_DIR)/sanitize

audit: setup ## licences, advisories and spelling, before a release
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@command -v typos >/dev/null || cargo install --locked typos-cli
	cargo deny --locked check
	typos

# A fresh stamp means a whole environment: a second run needs no network.
$(VENV)/stamp: tests/requirements.txt | setup
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r tests/requirements.txt
	@touch $@
