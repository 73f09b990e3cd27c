#!/bin/sh
# Creates .venv-check with Datadog's base classes for Agent checks from the hash-locked requirements.
# Usage: requirements/setup-check.sh     (run by make test-check; requires .venv)
set -eu
cd "$(dirname "$0")/.."
echo "setup: creating .venv-check (about 3 s with warm caches)"
index=${PIP_INDEX_URL:-$(.venv/bin/pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
rm -rf .venv-check
.venv/bin/uv venv --quiet --python .venv/bin/python .venv-check
.venv/bin/uv pip install --quiet --python .venv-check/bin/python --require-hashes -r requirements/check.txt
touch .venv-check/.ready
