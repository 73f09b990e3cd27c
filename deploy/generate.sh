#!/bin/sh
# Prints the objects of the chart with its default values, for clusters without Helm (make chart).
set -eu
cd "$(dirname "$0")/.."
cat <<END
# Generated from the chart by make chart; do not edit it. To install it:
#   kubectl apply --server-side -f install.yaml
# Helm's hooks and labels are left out: before you remove the operator, delete all PurpleFleaObservability resources, because
# only the operator removes their finalizer.
apiVersion: v1
kind: Namespace
metadata:
  name: purpleflea-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
END
${HELM:-.venv/bin/helm} template purpleflea-operator charts/purpleflea-operator --namespace purpleflea-system --no-hooks \
    --set crds.keep=false |
    sed -e '/^ *helm\.sh\/chart: /d' -e '/^ *app\.kubernetes\.io\/managed-by: Helm$/d' \
        -e '/^# Source: /d'
