# The project's commands. A laptop and the CI run the same ones.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# tract comes on top of the default features, so one build tests both engines.
FEATURES := tract
TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := target/mlflow-venv
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
DENY := $(shell cargo deny --version >/dev/null 2>&1 && echo yes)

# `make DOCKER=podman image` works as well.
DOCKER ?= docker
IMAGE ?= flowgate
TAG ?= dev
DEMO_TAG ?= demo
# More for `docker build`: --platform, --network, pinned bases (docs/image.md).
IMAGE_BUILD ?=

.PHONY: help setup build run test test-rust test-mlflow test-prometheus test-kubernetes lint doc \
  bench bench-micro bench-servers references image test-image clean

help: ## What there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## Put the pinned ONNX Runtime library under target/
	@scripts/onnxruntime.sh

build: setup ## The release binary
	cargo build --release --locked

run: build ## Serve the wine model on 127.0.0.1:8080
	$(TARGET)/release/flowgate serve models/wine-quality --host 127.0.0.1 --port 8080

test: lint doc test-rust test-mlflow test-prometheus test-kubernetes ## Everything that the CI checks

test-rust: setup ## Unit, conformance, bad-input and tidy tests, with both engines
ifeq ($(NEXTEST),yes)
	cargo nextest run --locked --features $(FEATURES)
else
	cargo test --locked --features $(FEATURES) --all-targets
endif
	cargo test --locked --features $(FEATURES) --doc

test-mlflow: setup ## Compare with the real MLflow (skip: FLOWGATE_SKIP_DIFFERENTIAL=1)
	@if [ "$${FLOWGATE_SKIP_DIFFERENTIAL:-}" = 1 ]; then \
	  echo "test-mlflow: skipped, FLOWGATE_SKIP_DIFFERENTIAL=1"; \
	else \
	  cargo build --locked --features $(FEATURES); \
	  scripts/mlflow-venv.sh; \
	  export FLOWGATE_BIN="$${FLOWGATE_BIN:-$(TARGET)/debug/flowgate}"; \
	  $(VENV)/bin/python -m unittest discover tests/differential; \
	  $(VENV)/bin/python -m unittest discover benches; \
	  $(VENV)/bin/python tests/differential/differential.py; \
	  $(VENV)/bin/python tests/client/client.py; \
	  $(VENV)/bin/python tests/client/predict.py; \
	  $(VENV)/bin/python -W ignore tests/client/profile.py; \
	  $(VENV)/bin/python -W ignore tests/registry/follow.py; \
	  $(VENV)/bin/python -W ignore tests/registry/operate.py; \
	fi

test-prometheus: setup ## What a real Prometheus sees, and its alerts (skip: FLOWGATE_SKIP_PROMETHEUS=1)
	@if [ "$${FLOWGATE_SKIP_PROMETHEUS:-}" = 1 ]; then \
	  echo "test-prometheus: skipped, FLOWGATE_SKIP_PROMETHEUS=1"; \
	else \
	  cargo build --locked --features $(FEATURES); \
	  scripts/mlflow-venv.sh --train; \
	  scripts/prometheus.sh; \
	  export FLOWGATE_BIN="$${FLOWGATE_BIN:-$(TARGET)/debug/flowgate}"; \
	  $(VENV)/bin/python -m unittest discover tests/prometheus; \
	  $(VENV)/bin/python tests/prometheus/observe.py; \
	fi

test-kubernetes: setup ## The manifests, and flowgate as they start it (skip: FLOWGATE_SKIP_KUBERNETES=1)
	@if [ "$${FLOWGATE_SKIP_KUBERNETES:-}" = 1 ]; then \
	  echo "test-kubernetes: skipped, FLOWGATE_SKIP_KUBERNETES=1"; \
	else \
	  cargo build --locked --features $(FEATURES); \
	  scripts/kubernetes-venv.sh; \
	  scripts/prometheus.sh; \
	  export FLOWGATE_BIN="$${FLOWGATE_BIN:-$(TARGET)/debug/flowgate}"; \
	  target/kubernetes-venv/bin/python -m unittest discover tests/kubernetes; \
	fi

lint: ## Format, clippy with each choice of engines, licences
	cargo fmt --check
	cargo clippy --locked --all-targets --all-features -- -D warnings
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features --features tract -- -D warnings
ifeq ($(DENY),yes)
	cargo deny --locked --all-features check
else
	@echo "lint: cargo-deny is not installed, so licences and advisories are not checked"
endif

doc: ## The API documentation, without warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

bench: bench-micro bench-servers ## All benchmarks: target/bench/table.md

bench-micro: setup ## How long single steps take, by criterion
	cargo bench --locked --bench '*'

bench-servers: build ## flowgate beside its yardsticks and peers; BENCH='--list' for more
	cargo build --release --locked --example load --example echo --example raw
	@$(or $(PYTHON),python3) benches/run.py $(BENCH)

references: setup ## Write the sample models' drift references, from their training rows
	scripts/mlflow-venv.sh --train
	$(VENV)/bin/python models/train.py --rows
	cargo build --locked
	for version in models/*/*/; do \
	  $(TARGET)/debug/flowgate profile target/train/"$$(basename "$$(dirname "$$version")")".* \
	    --model "$$version" --log-level warn; \
	done

# What the image says of itself comes from the commit, not from the clock or the machine.
image: ## The container images flowgate:dev and flowgate:demo (IMAGE, TAG, DOCKER)
	@revision=$$(git rev-parse HEAD)$$([[ -z "$$(git status --porcelain)" ]] || echo -dirty); \
	moment=$$(TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd); \
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1); \
	for goal in flowgate:$(TAG) demo:$(DEMO_TAG); do \
	  DOCKER_BUILDKIT=1 $(DOCKER) build $(IMAGE_BUILD) \
	    --build-arg FLOWGATE_GIT_SHA=$$revision --build-arg CREATED=$$moment \
	    --build-arg VERSION=$$version \
	    --target $${goal%%:*} --tag $(IMAGE):$${goal#*:} .; \
	done

test-image: ## Run the built image as a careful operator does (skip: FLOWGATE_SKIP_IMAGE=1)
	@if [ "$${FLOWGATE_SKIP_IMAGE:-}" = 1 ]; then \
	  echo "test-image: skipped, FLOWGATE_SKIP_IMAGE=1"; \
	else \
	  scripts/mlflow-venv.sh; \
	  export DOCKER=$(DOCKER) IMAGE=$(IMAGE) TAG=$(TAG) DEMO_TAG=$(DEMO_TAG); \
	  $(VENV)/bin/python tests/image/smoke.py; \
	fi

clean: ## Remove what was built, the library and the virtual environment too
	cargo clean
