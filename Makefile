# The only entry. `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
SANDBOX := $(PY) -m purpleflea_sandbox
PYTEST := $(PY) -m pytest -q
SOURCES := contract/src operator/src agent_image/src sandbox/src tests
LOCKS := $(wildcard requirements/*.txt) $(wildcard */pyproject.toml)

.PHONY: help setup demo down test test-unit test-wire test-agent test-e2e lint format crds observability chart images clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.venv/.ready: $(LOCKS) requirements/setup.sh
	@requirements/setup.sh

setup: .venv/.ready ## Make .venv with all tools and the four packages

demo: setup ## Set up a cluster, the exchange, Datadog's stand-in, the operator and three agents; show them
	@$(SANDBOX) demo up

down: setup ## Remove everything that the demo made; safe to repeat
	@$(SANDBOX) demo down

test: lint test-unit test-wire test-agent test-e2e ## Run everything: lint, types, layers and all tiers of tests

test-unit: setup ## Run the tests that need no cluster and no server (under 60 s)
	@$(PYTEST) tests/unit tests/test_repository.py

test-wire: setup ## Run operator and client against a fake API server
	@$(PYTEST) tests/wire

test-agent: setup ## Run the agent against real receivers: DogStatsD sockets, Datadog's test agent
	@$(PYTEST) tests/agent

test-e2e: setup ## Run everything on a real cluster of its own
	@$(PYTEST) tests/e2e

lint: setup ## Check style, types, layers and the chart
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo
	@.venv/bin/helm lint --strict --quiet charts/purpleflea-operator sandbox/charts/datadog sandbox/charts/exchange

format: setup ## Format the code
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format --quiet .

crds: setup ## Generate the CRDs from the models
	@$(PY) -m purpleflea_operator.model.crd crds charts/purpleflea-operator/files/crds

observability: setup ## Generate monitors, dashboard, SLO, pipeline, Terraform module from the contract
	@$(PY) -m purpleflea_operator.observability.export observability

chart: crds ## Package the Helm chart into dist/
	@mkdir -p dist && .venv/bin/helm package --destination dist charts/purpleflea-operator

images: setup ## Build all images
	@$(SANDBOX) images build

clean: down ## Remove the cluster, .venv and everything generated here
	@rm -rf .venv .sandbox dist
