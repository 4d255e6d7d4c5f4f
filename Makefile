# Most users need two commands: `make demo` and `make test`. Everything is written to one cache folder
# (TRITON_OPERATOR_CACHE, else ~/.cache/triton-operator); nothing is installed on the machine.

PYTHON ?= python3
# Each runs a command in its Python environment, which is created if it does not exist (hack/environment.py).
DEMO := $(PYTHON) -m hack.environment demo
DEV := $(PYTHON) -m hack.environment dev
# Runs tests in as many processes as the machine has cores, at most four; each imports torch (tests/tiers.py).
PARALLEL := $(DEV) pytest --numprocesses=auto --maxprocesses=4
# Benchmarks are collected like tests, with their own names.
BENCH := $(DEV) pytest -p tests.benchmarks.costs -o python_files='bench_*.py' -o python_functions='bench_*' \
	$(if $(BASELINE),--write-baseline)
# Reports missing requirements before anything is changed.
PREFLIGHT := $(PYTHON) -m hack.preflight

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List these commands.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo:  ## Start a cluster with the operator and a model, and send predictions.
	@$(PREFLIGHT) demo
	@$(DEMO) python -m hack.demo up

.PHONY: demo-down
demo-down:  ## Remove everything that `make demo` created, except the cache folder.
	@$(DEMO) python -m hack.demo down

.PHONY: model-image
model-image:  ## Build a model image from MODELS=folder for the local cluster, and print its name.
	@$(DEMO) python -m hack.demo pack "$(MODELS)"

.PHONY: test
test:  ## Run all test tiers; the last line lists skipped tests with reasons.
	@$(PREFLIGHT) test
	@$(PARALLEL)

.PHONY: check
check: lint  ## Run before each commit: lint, unit and wiring tests (no cluster; about five minutes on two cores).
	@$(PARALLEL) tests/unit tests/wiring

.PHONY: lint
lint:  ## Run ruff, mypy and import-linter.
	@$(DEV) ruff check
	@$(DEV) ruff format --check
	@$(DEV) mypy
	@$(DEV) lint-imports --no-logo

.PHONY: fmt
fmt:  ## Format the code and apply automatic fixes of ruff.
	@$(DEV) ruff format
	@$(DEV) ruff check --fix

.PHONY: test-unit test-wiring test-training test-chart test-sources test-local test-proxy test-browser test-apiserver
test-unit:  ## Test pure code, with property-based tests (minutes).
test-wiring:  ## Test event handlers with an in-process fake API server (seconds).
test-training:  ## Train small models again and compare them with their cards (one or two minutes).
test-chart:  ## Test the rendered chart (seconds).
test-sources:  ## Test downloads from a real S3 server (one minute).
test-local:  ## Test `tritonctl run` with a real Triton (one minute, more the first time).
test-proxy:  ## Test the sidecar `proxy` with a real HAProxy and a real Triton (one minute).
test-browser:  ## Test the report of `tritonctl privacy` in a real Chromium (one minute, another one to download it).
test-apiserver:  ## Test with a real API server and etcd (one or two minutes).
test-unit test-wiring test-training test-chart test-sources test-local test-proxy test-browser test-apiserver:
	@$(DEV) pytest tests/$(@:test-%=%)

.PHONY: e2e
e2e:  ## Test with a real node, Triton and clients (minutes; root).
	@$(PREFLIGHT) test
	@$(DEV) pytest tests/e2e

.PHONY: federated
federated:  ## Train a model with parties that do not share their rows (one minute).
	@$(DEV) python -m training.federated --secure-aggregation

.PHONY: models
models:  ## Train all models again and compare them with their cards (15 minutes on two cores).
	@$(DEV) python -m training all --check

.PHONY: compression
compression:  ## Measure compressed and compiled models, and write docs/compression.md.
	@$(DEV) python -m training.compression

.PHONY: masking
masking:  ## Measure how well and how fast personal data is masked (one minute).
	@$(DEV) python -m tests.unit.masking.report

.PHONY: cluster-up
cluster-up:  ## Start a local cluster (CLUSTER=current|kind|native).
	@$(PREFLIGHT) demo
	@$(DEMO) python -m hack.cluster up

.PHONY: cluster-down
cluster-down:  ## Remove the local cluster.
	@$(DEMO) python -m hack.cluster down

.PHONY: images
images:  ## Build the container images; unchanged images are not built again.
	@$(DEMO) python -m hack.images build

.PHONY: docs
docs:  ## Generate the API reference and the command output in docs/reasons.
	@$(DEV) python -m hack.reference
	@$(DEV) python -m tests.reason_pages

.PHONY: changelog
changelog:  ## Print the section of the next release in CHANGELOG.md.
	@$(DEV) towncrier build --draft

.PHONY: bench
bench:  ## Run the benchmarks and compare them with the baseline (BASELINE=1: write a new one).
	@$(BENCH) tests/unit tests/apiserver tests/local tests/proxy tests/e2e --ignore=tests/local/bench_tls.py

.PHONY: bench-sources
bench-sources:  ## Benchmark downloads of 2 GiB from S3, compared with curl (7 GiB of disk).
	@$(BENCH) tests/sources

.PHONY: bench-tls
bench-tls:  ## Compare requests with TLS, and with TLS and a token, with plain ones (three minutes, two idle CPUs).
	@$(BENCH) tests/local/bench_tls.py

.PHONY: lock
lock:  ## Update the lock files (UPGRADE=1: upgrade to newer releases).
	@$(PYTHON) -m hack.lock
