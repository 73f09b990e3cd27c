#!/bin/sh
# Updates the chart library of the fleet page from the package that package-lock.json pins by hash. The page itself does
# not need npm. Usage: sandbox/web/vendor.sh
set -eu
cd "$(dirname "$0")"
target=../src/purpleflea_sandbox/datadog/web/static/vendor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json package-lock.json "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
source=$work/node_modules/echarts
mkdir -p "$target"
cp "$source/dist/echarts.min.js" "$source/LICENSE" "$source/licenses/LICENSE-d3" "$source/NOTICE" "$target"
(cd "$target" && sha256sum LICENSE LICENSE-d3 NOTICE echarts.min.js >SHA256SUMS)
