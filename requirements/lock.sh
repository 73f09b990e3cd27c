#!/bin/sh
# Updates every lock file: hashes of all wheels for every supported Python version, without an index address.
# Usage: requirements/lock.sh [--upgrade]     (requires the development environment: make setup)
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
lock() {
    out=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-emit-package purpleflea-contract --no-emit-package purpleflea-sdk \
        "$@" --output-file "$out"
}
lock requirements/go.txt requirements/go.in "$@"
lock requirements/uv.txt requirements/uv.in "$@"
lock requirements/check.txt requirements/check.in "$@"
lock requirements/dev.txt requirements/dev.in contract/pyproject.toml sdk/pyproject.toml operator/pyproject.toml \
    agent_image/pyproject.toml sandbox/pyproject.toml cli/pyproject.toml --extra cluster --extra exchange --extra datadog --extra terminal "$@"
lock operator/requirements.txt operator/pyproject.toml requirements/build.in -c requirements/dev.txt "$@"
lock agent_image/requirements.txt agent_image/pyproject.toml requirements/build.in -c requirements/dev.txt "$@"
lock sandbox/requirements-exchange.txt sandbox/pyproject.toml requirements/build.in --extra exchange -c requirements/dev.txt "$@"
lock sandbox/requirements-datadog.txt sandbox/pyproject.toml requirements/build.in --extra datadog -c requirements/dev.txt "$@"
lock sandbox/requirements-checks.txt requirements/check-image.in -c requirements/check.txt "$@"
