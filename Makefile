# Two commands are enough for most: `make demo` and `make test`. Everything is written under one cache folder
# (TRITON_OPERATOR_CACHE, else ~/.cache/triton-operator); nothing is installed on the machine.

PYTHON ?= python3
# Each runs a command in its Python environment and makes that first when it is missing (hack/environment.py).
DEMO := $(PYTHON) -m hack.environment demo
DEV := $(PYTHON) -m hack.environment dev
# Benchmarks are collected as tests are, under names of their own.
BENCH := $(DEV) pytest -p tests.benchmarks.costs -o python_files='bench_*.py' -o python_functions='bench_*' \
	$(if $(BASELINE),--write-baseline)
# Says what is wrong with the machine while nothing has been changed on it.
PREFLIGHT := $(PYTHON) -m hack.preflight

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List these commands.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo:  ## Cluster, operator, model, predictions: everything from nothing, reused the second time.
	@$(PREFLIGHT) demo
	@$(DEMO) python -m hack.demo up

.PHONY: demo-down
demo-down:  ## Remove all that `make demo` brought up; only the cache folder stays.
	@$(DEMO) python -m hack.demo down

.PHONY: model-image
model-image:  ## Pack MODELS=folder as a model container for the local cluster, and print its name.
	@$(DEMO) python -m hack.demo pack "$(MODELS)"

.PHONY: test
test:  ## Every tier of tests, in one run; the last line says what was skipped and why.
	@$(PREFLIGHT) test
	@$(DEV) pytest

.PHONY: check
check: lint  ## What to run before each commit: lint, unit and wiring tests (no cluster, a minute).
	@$(DEV) pytest tests/unit tests/wiring

.PHONY: lint
lint:  ## ruff, format, mypy strict, import direction and cycles.
	@$(DEV) ruff check
	@$(DEV) ruff format --check
	@$(DEV) mypy
	@$(DEV) lint-imports --no-logo

.PHONY: fmt
fmt:  ## Format and mend what ruff can mend.
	@$(DEV) ruff format
	@$(DEV) ruff check --fix

.PHONY: test-unit test-wiring test-training test-chart test-sources test-local test-apiserver
test-unit:  ## Pure code, property tests: seconds.
test-wiring:  ## Event handlers against an API server in the process: seconds.
test-training:  ## Train the models again and compare with their cards: a minute or two.
test-chart:  ## The rendered chart: seconds.
test-sources:  ## Models from a real S3 server on loopback: a minute.
test-local:  ## A real Triton served by `tritonctl run`: a minute, and some more the first time.
test-apiserver:  ## A real API server and etcd on loopback: a minute or two.
test-unit test-wiring test-training test-chart test-sources test-local test-apiserver:
	@$(DEV) pytest tests/$(@:test-%=%)

.PHONY: e2e
e2e:  ## A real node, a real Triton, real clients: minutes.
	@$(PREFLIGHT) test
	@$(DEV) pytest tests/e2e

.PHONY: federated
federated:  ## Train one model with parties that keep their rows, and compare: a minute.
	@$(DEV) python -m training.federated --secure-aggregation

.PHONY: models
models:  ## Train every model again from nothing and compare with its card: 15 minutes on two cores.
	@$(DEV) python -m training all --check

.PHONY: compression
compression:  ## Measure our models pruned, in fewer bits and compiled, and write docs/compression.md.
	@$(DEV) python -m training.compression

.PHONY: cluster-up
cluster-up:  ## A local cluster (CLUSTER=current|kind|native chooses which).
	@$(PREFLIGHT) demo
	@$(DEMO) python -m hack.cluster up

.PHONY: cluster-down
cluster-down:  ## Remove the local cluster.
	@$(DEMO) python -m hack.cluster down

.PHONY: images
images:  ## Build the container images; an unchanged tree builds nothing.
	@$(DEMO) python -m hack.images build

.PHONY: docs
docs:  ## Write anew what is made: the API reference, and the output that docs/reasons shows.
	@$(DEV) python -m hack.reference
	@$(DEV) python -m tests.reason_pages

.PHONY: changelog
changelog:  ## Print what the next release's part of CHANGELOG.md will say.
	@$(DEV) towncrier build --draft

.PHONY: bench
bench:  ## What things cost here, beside the committed baseline (BASELINE=1: accept it as the new one).
	@$(BENCH) tests/unit tests/apiserver tests/local tests/e2e

.PHONY: bench-sources
bench-sources:  ## The same for fetching 2 GiB from S3, beside curl (7 GiB of disk).
	@$(BENCH) tests/sources

.PHONY: lock
lock:  ## Write the lock files anew (UPGRADE=1: move to newer releases).
	@$(PYTHON) -m hack.lock
