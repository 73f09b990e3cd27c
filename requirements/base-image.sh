#!/bin/sh
# Pins the base of all images by digest: writes base-image.txt, and the default of BASE_IMAGE in every Dockerfile.
# Usage: requirements/base-image.sh [REFERENCE]     (without one: the present digest of the tag; requires docker with buildx)
set -eu
cd "$(dirname "$0")/.."
lock=requirements/base-image.txt
old=$(cat "$lock")
tag=${old%@*}
new=${1:-$tag@$(docker buildx imagetools inspect "$tag" --format '{{.Manifest.Digest}}')}
echo "$new" | grep -Eq '^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$' || {
    echo "base-image: $new is not of the form NAME:TAG@sha256:DIGEST" >&2
    exit 1
}
for file in $(grep -rlF "$old" --include=Dockerfile operator agent_image sandbox/images examples); do
    sed -i "s#$old#$new#" "$file"
done
echo "$new" > "$lock"
