#!/bin/sh
# Creates .venv for development, tests and the demo from the hash-locked requirements.
# Usage: requirements/setup.sh     (run by make; does nothing if .venv is up to date)
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

fail() {
    echo "setup: $*" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "python3 is missing; install it: apt-get install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is required, but this is $("$python" -V); set PYTHON=/path/to/python3.11"

if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing python3-venv"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        fail "the venv module is missing; install it: sudo apt-get install python3-venv"
    fi
fi

echo "setup: creating .venv (about 10 s with warm caches, 90 s without)"
# Remove an incomplete environment of an earlier run.
rm -rf .venv
"$python" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
index=${PIP_INDEX_URL:-$(.venv/bin/pip config get global.index-url 2>/dev/null || true)}
if [ -n "$index" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
if ! .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/dev.txt; then
    echo "setup: uv failed, retrying with pip"
    .venv/bin/pip install --quiet --require-hashes -r requirements/dev.txt
fi
.venv/bin/pip install --quiet --no-deps --no-build-isolation --no-index \
    -e contract -e sdk -e operator -e agent_image -e sandbox -e cli
touch .venv/.ready
