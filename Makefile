# Entry point for all tasks. `make help` lists the commands.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PY := .venv/bin/python
SANDBOX := $(PY) -m purpleflea_sandbox
# The profile of Hypothesis repeats the same examples, so that a run does not fail by chance.
PYTEST := $(PY) -m pytest -q --hypothesis-profile=ci
# A separate environment, because Datadog's base classes for checks pin versions that conflict with ours. It has ddtrace too.
CHECK_PYTEST := .venv-check/bin/python -m pytest -q
# Tiers that wait more than they compute run in more processes than there are processors.
PROCESSES := --numprocesses=3 --dist=worksteal
# If a key of Datadog is in the environment, test results are sent to Datadog (Test Optimization, formerly CI Visibility).
ifdef DD_API_KEY
REPORTING := DD_CIVISIBILITY_AGENTLESS_ENABLED=1 DD_SERVICE=$(or $(DD_SERVICE),purpleflea-operator) DD_ENV=$(or $(DD_ENV),ci)
PYTEST := $(REPORTING) $(PYTEST) --ddtrace
CHECK_PYTEST := $(REPORTING) $(CHECK_PYTEST) --ddtrace
endif
LOCKS := $(filter-out requirements/check.txt requirements/docs.txt,$(wildcard requirements/*.txt)) $(wildcard */pyproject.toml)

.PHONY: help setup demo down test test-unit test-wire test-sandbox test-web test-agent test-check test-e2e test-nodes test-kind test-faults bench-plugin bench-agent bench-operator bench-scale lint format crds docs observability gitops site recording chart release-check audit cli images clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

.venv/.ready: $(LOCKS) requirements/setup.sh
	@requirements/setup.sh

setup: .venv/.ready ## Create .venv with all tools and the six packages

# The provider of the cluster: auto, kind, local or simulated
PROVIDER := auto
demo: setup ## Set up a cluster, the paper exchange, the Datadog stand-in, the operator and three agents, and show them
	@$(SANDBOX) demo up --provider=$(PROVIDER)

down: setup ## Remove everything that the demo created; safe to repeat
	@$(SANDBOX) demo down

TIERS := lint test-unit test-wire test-sandbox test-web test-agent test-check test-e2e

test: setup ## Run lint, types, layers and all tiers of tests, and print the seconds of each tier
	@MAKE='$(MAKE)' $(PY) tests/tiers.py $(TIERS)

test-unit: setup ## Run the tests that need no cluster and no server (about a minute); fails if a branch of a pure layer is not covered
	@$(PYTEST) --numprocesses=2 --dist=worksteal tests/unit tests/test_repository.py $$($(PY) tests/support/pure_layers.py) \
		--cov-config=tests/pure_layers.coveragerc --cov-report=term

test-wire: setup ## Run operator and client against a fake API server, the tests of that server, and a selection of the fault matrix
	@$(PYTEST) $(PROCESSES) tests/wire
	@$(PYTEST) tests/faults/operator

test-sandbox: setup ## Run the tests of the sandbox: exchange, Datadog stand-in, images and clusters
	@$(PYTEST) tests/sandbox

test-web: setup site ## Test the fleet page and the documentation site in a headless browser (installs Debian's chromium); pictures in test-results/web
	@$(PYTEST) tests/web

test-agent: setup ## Run the agent against real receivers, and the shorter list of faults
	@$(PYTEST) $(PROCESSES) tests/agent tests/faults/agent

# Environments of packages whose pins are separate from those of .venv.
.venv-%/.ready: .venv/.ready requirements/%.txt requirements/setup-separate.sh
	@requirements/setup-separate.sh $*

test-check: .venv-check/.ready ## Run the Agent check with Datadog's own base classes, and in the node agent of the stand-in
	@$(CHECK_PYTEST) tests/check
	@$(PYTEST) tests/integration/node_agent_checks

test-e2e: setup ## Run everything on a separate real cluster
	@$(PYTEST) tests/e2e --ignore=tests/e2e/nodes

# `exec env`, because the engine ends with the process that started it.
KIND := exec env PURPLEFLEA_PROVIDER=kind PURPLEFLEA_WORKERS=2 $(SANDBOX) engine run --with-parent
FLEET := tests/e2e/test_fleet.py
ON_EACH_PROVIDER := $(addprefix $(FLEET)::test_,three_pods_are_ready_under_the_restricted_profile \
	a_metric_of_each_identity_arrives_with_its_tags a_trace_of_each_identity_arrives_with_its_tags \
	log_and_trace_of_one_order_share_their_trace_id telemetry_contains_no_key halting_stops_orders_without_a_restart)
test-nodes: setup ## Run the tests that need several nodes, and a selection of the others, on kind (5 minutes); skipped if the node image is not built
	@$(KIND) --or-skip -- $(PYTEST) tests/e2e/nodes $(ON_EACH_PROVIDER)

test-kind: setup ## Run the suites for several nodes and a whole one of the others on kind; starts a Docker engine if none answers (Debian, root), and builds the node image
	@$(KIND) -- $(PYTEST) tests/e2e/nodes $(FLEET)

test-faults: setup ## Run every fault at full length: the fault matrix of the operator, and for the agent 300 kills, 10,000 orders and a chaos run of 40,000 operations (about an hour)
	@PURPLEFLEA_FAULTS=full $(PYTEST) tests/faults

bench-plugin: setup ## Measure the start of the kubectl plugin; writes docs/benchmarks/plugin.md (10 seconds)
	@$(PY) -m benchmarks.plugin

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
	@.venv/bin/helm lint --strict --quiet charts/purpleflea-operator charts/paper-exchange sandbox/charts/datadog
	@$(PY) tests/prose.py --check

format: setup ## Format the code
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format --quiet .

crds: setup ## Generate the CRDs and the schema for editors from the models
	@$(PY) -m purpleflea_operator.codegen.crd crds charts/purpleflea-operator/files/crds
	@$(PY) -m purpleflea_operator.codegen.editor_schema docs/reference/purplefleaagent.schema.json

docs: setup ## Generate the tables of docs/, the reference of the API, and the OpenAPI document of the exchange
	@$(PY) -m purpleflea_contract.docs docs
	@$(PY) -m purpleflea_operator.codegen.reference_docs docs/reference/purplefleaagent.md docs/reference/purplefleahalt.md docs/reference/purplefleaobservability.md
	@$(PY) -m purpleflea_operator.codegen.conditions_docs docs/conditions.md
	@$(PY) -m purpleflea_operator.codegen.plugin_reasons cli/src/kubectl_purpleflea/decisions/reasons.py
	@$(PY) cli/rights_table.py docs/kubectl-plugin.md
	@$(PY) -m purpleflea_operator.codegen.chart_docs charts/purpleflea-operator charts/paper-exchange
	@$(PY) -m purpleflea_operator.codegen.chart_metadata
	@$(PY) -m purpleflea_sandbox.exchange.api.document docs/exchange-openapi.json
	@$(PY) -m website.cli_reference docs/reference/kubectl-purpleflea.md

observability: setup ## Generate monitors, dashboard, SLO, pipeline and Terraform module from the contract
	@$(PY) -m purpleflea_operator.datadog.definitions.export observability agent_check/purpleflea_agent.py

gitops: setup ## Generate the ConfigMap of Argo CD from the health checks and actions in examples/gitops
	@PYTHONPATH=tests $(PY) -m support.argocd examples/gitops/argocd

site: .venv-docs/.ready ## Build the documentation site into site/; it needs no network, also to be read
	@.venv-docs/bin/python -m website.build

recording: setup ## Record a halt and doctor on the cluster of the demo into docs/images; KUBECONFIG and PATH as the demo prints them
	@$(PY) -m website.recording docs/images/halt.svg docs/images/doctor.svg

chart: crds ## Build the Helm charts and the wheels into dist/ (reproducibly), and the objects for clusters without Helm into deploy/
	@deploy/generate.sh > deploy/install.yaml
	@$(PY) -m release.artifacts dist

release-check: setup ## Check a release as far as it is possible on this machine: version, changelog, two builds, licenses, pins
	@$(PY) -m release.check

.venv/audit/.ready: requirements/audit.txt
	@python3 -m venv --clear .venv/audit
	@.venv/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

audit: .venv/audit/.ready ## Report known vulnerabilities of the locked dependencies (needs the database of PyPI)
	@.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r operator/requirements.txt -r agent_image/requirements.txt

cli: setup ## Build the kubectl plugin as one file, dist/kubectl-purpleflea.pyz
	@$(PY) cli/build_zipapp.py dist/kubectl-purpleflea.pyz

images: setup ## Build all images
	@$(SANDBOX) images build

clean: down ## Remove the cluster, .venv and everything generated here
	@rm -rf .venv .venv-check .venv-docs .sandbox dist site
