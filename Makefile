# Everything a contributor does, each in one word. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
CONFIG ?= deploy/config/local.yaml
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv run test test-slow test-cluster named-cluster check bench e2e crash clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

venv: $(VENV)/.ready ## set up .venv from the hashed lock

$(VENV)/.ready: requirements.lock
	@.ci/venv $(PYTHON) $(VENV) requirements.lock

$(VENV)/.tested: requirements-dev.lock $(VENV)/.ready
	@.ci/venv $(PYTHON) $(VENV) requirements-dev.lock
	@touch $@

run: $(VENV)/.ready ## serve at http://127.0.0.1:8080, on SQLite in var/
	@$(BIN)/vakhta run --config $(CONFIG)

# Three workers, also on two cores: a third of their time they wait for processes and deadlines.
test: $(VENV)/.tested ## all tests; installs what they need where apt and Go can
	@.ci/apt
	@.ci/helm
	$(BIN)/python -m pytest -n 3 --dist loadgroup

# The last two run what `make test` has run, on worse terms: on a busy machine, and long after its import.
test-slow: $(VENV)/.tested ## the tests that take minutes; those that wait, on a busy machine; those that sign, an hour later
	@.ci/apt slow
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow
	.ci/busy $(BIN)/python -m pytest -n 2 --dist loadgroup -m "waits and not slow and not crash"
	.ci/late $(BIN)/python -m pytest -n 2 --dist loadgroup tests/integrations

e2e: $(VENV)/.tested ## only the tests with a real Alertmanager, Prometheus and Chromium
	@.ci/apt
	$(BIN)/python -m pytest -m e2e

crash: $(VENV)/.tested ## only the tests that kill the bot
	$(BIN)/python -m pytest -n 2 -m crash

test-cluster: named-cluster $(VENV)/.tested ## what the bot expects of Kubernetes, on a real one: KUBECONFIG=FILE [CONTEXT=NAME]
	@.ci/helm
	VAKHTA_REAL_CLUSTER=1 KUBECONFIG="$(KUBECONFIG)" KUBECONTEXT="$(CONTEXT)" $(BIN)/python -m pytest tests/cluster

named-cluster:
	@[ "$(origin KUBECONFIG)" = "command line" ] || { echo "Say which cluster, on the command line and not in the" \
	  "environment: make test-cluster KUBECONFIG=FILE [CONTEXT=NAME]" >&2; exit 2; }
	@[ -f "$(KUBECONFIG)" ] || { echo "There is no file $(KUBECONFIG)." >&2; exit 2; }

check: $(VENV)/.tested ## ruff, mypy, import contracts, named places for broad excepts, settings and lock
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/excepts.py
	$(BIN)/vakhta check --config deploy/config/local.yaml

bench: $(VENV)/.tested ## measure against this machine's limits and peers; prints a table, writes bench/out/
	@.ci/apt bench
	$(BIN)/python -m bench $(ARGS)

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-* .tools build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
