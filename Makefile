# Entry point for all tasks. `make help` lists the commands.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
SANDBOX := $(PY) -m purpleflea_sandbox
# The profile of Hypothesis repeats the same examples, so that a run does not fail by chance.
PYTEST := $(PY) -m pytest -q --hypothesis-profile=ci
# A separate environment, because Datadog's base classes for checks pin versions that conflict with ours. It has ddtrace too.
CHECK_PYTEST := .venv-check/bin/python -m pytest -q
# Tiers that wait more than they compute run in several processes.
PROCESSES := --numprocesses=3 --dist=worksteal
# If a key of Datadog is in the environment, test results are sent to Datadog (Test Optimization, formerly CI Visibility).
ifdef DD_API_KEY
REPORTING := DD_CIVISIBILITY_AGENTLESS_ENABLED=1 DD_SERVICE=$(or $(DD_SERVICE),purpleflea-operator) DD_ENV=$(or $(DD_ENV),ci)
PYTEST := $(REPORTING) $(PYTEST) --ddtrace
CHECK_PYTEST := $(REPORTING) $(CHECK_PYTEST) --ddtrace
endif
LOCKS := $(filter-out requirements/check.txt,$(wildcard requirements/*.txt)) $(wildcard */pyproject.toml)

.PHONY: help setup demo down test test-unit test-wire test-sandbox test-web test-agent test-check test-e2e test-faults bench-agent bench-operator bench-scale lint format crds docs observability chart cli images clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.venv/.ready: $(LOCKS) requirements/setup.sh
	@requirements/setup.sh

setup: .venv/.ready ## Create .venv with all tools and the six packages

demo: setup ## Set up a cluster, the paper exchange, the Datadog stand-in, the operator and three agents, and show them
	@$(SANDBOX) demo up

down: setup ## Remove everything that the demo created; safe to repeat
	@$(SANDBOX) demo down

TIERS := lint test-unit test-wire test-sandbox test-web test-agent test-check test-e2e

test: setup ## Run lint, types, layers and all tiers of tests, and print the seconds of each tier
	@MAKE='$(MAKE)' $(PY) tests/tiers.py $(TIERS)

test-unit: setup ## Run the tests that need no cluster and no server (about a minute); fails if a branch of a pure layer is not covered
	@$(PYTEST) tests/unit tests/test_repository.py $$($(PY) tests/support/pure_layers.py) \
		--cov-config=tests/pure_layers.coveragerc --cov-report=term

test-wire: setup ## Run operator and client against a fake API server, the tests of that server, and a selection of the fault matrix
	@$(PYTEST) $(PROCESSES) tests/wire
	@$(PYTEST) tests/faults/operator

test-sandbox: setup ## Run the tests of the sandbox: exchange, Datadog stand-in, images and clusters
	@$(PYTEST) tests/sandbox

test-web: setup ## Test the fleet page in a headless browser (installs Debian's chromium); pictures in test-results/web
	@$(PYTEST) tests/web

test-agent: setup ## Run the agent against real receivers, and the shorter list of faults
	@$(PYTEST) $(PROCESSES) tests/agent tests/faults/agent

.venv-check/.ready: .venv/.ready requirements/check.txt requirements/setup-check.sh
	@requirements/setup-check.sh

test-check: .venv-check/.ready ## Run the Agent check with Datadog's own base classes, and in the node agent of the stand-in
	@$(CHECK_PYTEST) tests/check
	@$(PYTEST) tests/integration/node_agent_checks

test-e2e: setup ## Run everything on a separate real cluster
	@$(PYTEST) tests/e2e

test-faults: setup ## Run every fault at full length: the fault matrix of the operator, and for the agent 300 kills, 10,000 orders and a chaos run of 40,000 operations (about an hour)
	@PURPLEFLEA_FAULTS=full $(PYTEST) tests/faults

bench-agent: setup ## Measure the agent; writes docs/benchmarks/agent.md (about 5 minutes)
	@PYTHONPATH=tests $(PY) -m benchmarks.agent

bench-operator: setup ## Count the requests of the operator, and measure writes; writes docs/benchmarks/operator.md (about 3 minutes)
	@PYTHONPATH=tests $(PY) -m benchmarks.operator

# Parts of it: make bench-scale SIZES="100 1000" SCALE="--variants raw ours --phases create restart"
SIZES := 100 1000 3000 10000
bench-scale: setup ## Measure up to 10,000 agents on a real API server; writes docs/benchmarks/scale.md (hours; SIZES="100 1000": half an hour)
	@PYTHONPATH=tests $(PY) -m benchmarks.scale --sizes $(SIZES) $(SCALE)

lint: setup ## Check style, types, layers, English and the charts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@.venv/bin/helm lint --strict --quiet charts/purpleflea-operator sandbox/charts/datadog sandbox/charts/exchange
	@$(PY) tests/prose.py --check

format: setup ## Format the code
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format --quiet .

crds: setup ## Generate the CRDs and the schema for editors from the models
	@$(PY) -m purpleflea_operator.codegen.crd crds charts/purpleflea-operator/files/crds
	@$(PY) -m purpleflea_operator.codegen.editor_schema docs/reference/purplefleaagent.schema.json

docs: setup ## Generate the tables of docs/, the reference of the API, and the OpenAPI document of the exchange
	@$(PY) -m purpleflea_contract.docs docs
	@$(PY) -m purpleflea_operator.codegen.reference_docs docs/reference/purplefleaagent.md docs/reference/purplefleahalt.md
	@$(PY) -m purpleflea_operator.codegen.conditions_docs docs/conditions.md
	@$(PY) -m purpleflea_operator.codegen.chart_docs charts/purpleflea-operator
	@$(PY) -m purpleflea_sandbox.exchange.api.document docs/exchange-openapi.json

observability: setup ## Generate monitors, dashboard, SLO, pipeline and Terraform module from the contract
	@$(PY) -m purpleflea_operator.datadog.definitions.export observability agent_check/purpleflea_agent.py

chart: crds ## Package the Helm chart into dist/
	@mkdir -p dist && .venv/bin/helm package --destination dist charts/purpleflea-operator

cli: setup ## Build the kubectl plugin as one file, dist/kubectl-purpleflea.pyz
	@$(PY) cli/build_zipapp.py dist/kubectl-purpleflea.pyz

images: setup ## Build all images
	@$(SANDBOX) images build

clean: down ## Remove the cluster, .venv and everything generated here
	@rm -rf .venv .venv-check .sandbox dist
