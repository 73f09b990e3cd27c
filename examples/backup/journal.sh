#!/bin/sh
# Copies the journal of a stopped agent to a file, or a file into the volume of its journal. See docs/backup.md.
# Usage: journal.sh backup|restore AGENT ORDINAL FILE
# To select a cluster and a namespace: KUBECTL="kubectl --context tokyo --namespace trading" journal.sh ...
set -eu
kubectl=${KUBECTL:-kubectl}
journal=/journal/journal.sqlite3

fail() {
    echo "journal: $*" >&2
    exit 1
}

[ $# = 4 ] || fail "usage: journal.sh backup|restore AGENT ORDINAL FILE"
action=$1 agent=$2 ordinal=$3 file=$4
claim=state-$agent-$ordinal
helper=journal-$agent-$ordinal
case $action in
backup) [ ! -e "$file" ] || fail "$file exists; name another file" ;;
restore)
    [ -s "$file" ] || fail "$file is missing or empty"
    [ ! -s "$file-wal" ] || fail "$file is open, or its write-ahead log exists; open and close it with sqlite3"
    ;;
*) fail "the first argument must be backup or restore" ;;
esac
$kubectl get persistentvolumeclaim "$claim" >/dev/null || fail "the volume claim $claim does not exist"
# An agent has its journal open exclusively, and a copy beside it would not be consistent.
if [ -n "$($kubectl get pod "$agent-$ordinal" --ignore-not-found --output name)" ]; then
    fail "pod $agent-$ordinal is running; stop the agent (spec.trading.mode: Stopped) and wait until the pod is gone"
fi
# The image of the agent has Python, and its user owns the files.
image=$($kubectl get statefulset "$agent" --output 'jsonpath={.spec.template.spec.containers[?(@.name=="agent")].image}')
group=$($kubectl get statefulset "$agent" --output 'jsonpath={.spec.template.spec.securityContext.fsGroup}')

trap '$kubectl delete pod "$helper" --ignore-not-found --now >/dev/null' EXIT
$kubectl apply --filename - >/dev/null <<MANIFEST
apiVersion: v1
kind: Pod
metadata:
  name: $helper
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext:
    runAsNonRoot: true
    fsGroup: ${group:-null}
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: helper
      image: "$image"
      command: [python, -c, "import time; time.sleep(3600)"]
      env: [{name: DD_TRACE_ENABLED, value: "false"}]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts: [{name: journal, mountPath: /journal}]
  volumes:
    - name: journal
      persistentVolumeClaim: {claimName: $claim}
MANIFEST
$kubectl wait "pod/$helper" --for=condition=Ready --timeout=120s >/dev/null

# Merges the write-ahead log into the file, and fails if the file is damaged.
check="import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
(result,) = database.execute('PRAGMA integrity_check').fetchone()
sys.exit(0 if result == 'ok' and database.execute('PRAGMA user_version').fetchone()[0] else result)"

if [ "$action" = backup ]; then
    $kubectl exec "$helper" -- python -c "$check" "$journal" || fail "the journal of $agent-$ordinal is damaged"
    $kubectl exec "$helper" -- python -c "import shutil, sys; shutil.copyfileobj(open('$journal', 'rb'), sys.stdout.buffer)" \
        >"$file.part"
    mv "$file.part" "$file"
else
    $kubectl exec --stdin "$helper" -- \
        python -c "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open('$journal.new', 'wb'))" <"$file"
    $kubectl exec "$helper" -- python -c "$check" "$journal.new" || fail "$file is not a journal, or is damaged"
    $kubectl exec "$helper" -- python -c "import os, glob
for log in glob.glob('$journal-*') + glob.glob('$journal.new-*'):
    os.remove(log)
os.replace('$journal.new', '$journal')"
fi
echo "journal: $action of $agent-$ordinal is complete"
