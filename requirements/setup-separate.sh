#!/bin/sh
# Creates .venv-NAME from the hash-locked requirements/NAME.txt, for packages whose pins conflict with those of .venv.
# Usage: requirements/setup-separate.sh NAME     (run by make; requires .venv)
set -eu
cd "$(dirname "$0")/.."
name=$1
echo "setup: creating .venv-$name (about 3 s with warm caches)"
index=${PIP_INDEX_URL:-$(.venv/bin/pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
rm -rf ".venv-$name"
.venv/bin/uv venv --quiet --python .venv/bin/python ".venv-$name"
.venv/bin/uv pip install --quiet --python ".venv-$name/bin/python" --require-hashes -r "requirements/$name.txt"
touch ".venv-$name/.ready"
