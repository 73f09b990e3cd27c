"""Simulation of the StatefulSet controller, the scheduler and the kubelet for the fake API server.

It keeps the pods `<name>-<ordinal>` of each StatefulSet (parallel creation, one pod at a time for a new template) and
reports the status. Pods become Ready when the test allows it. Nothing runs.

Like Kubernetes 1.37, it replaces old pods that are not available without waiting, and creates pods below the partition
with the last revision that all pods had.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from datetime import datetime

import orjson

from support.apiserver.kinds import POD, STATEFUL_SET, Kind, Obj
from support.apiserver.store import Change, Record, Store
from support.apiserver.writes import Target, Writer

Readiness = Callable[[Obj], bool]
_READY_TYPES = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
_REVISION_LABEL = "controller-revision-hash"


def always_ready(pod: Obj) -> bool:
    return True


class StatefulSets:
    """Controller that is idle until start(). It works in the loop of the server, one step per changed StatefulSet."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer
        self._ready: Readiness = always_ready
        self._dirty: dict[tuple[str, str], None] = {}
        self._starting: set[str] = set()
        self._ending: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._addresses = itertools.count()
        self.start_s = 0.0
        """Time until a new pod can be ready. It needs a loop, as the next one."""
        self.mounts_first = False
        """Whether a new pod is on its node at once, and pulls its image until start_s is over."""
        self.termination_s = 0.0
        """Time for which a deleted pod still runs."""
        self.honors_min_ready = False
        """Whether a pod is available only minReadySeconds after it is ready. Otherwise it is at once."""
        self._templates: dict[tuple[str, str], Obj] = {}
        """The pod templates by UID of the StatefulSet and revision."""

    def start(self) -> None:
        self._store.subscribers.append(self._on_change)

    def run_in(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Work in this loop from now on, or pause if it is None."""
        with self._store.lock:
            self._loop = loop
            self._schedule()

    def let_ready(self, readiness: Readiness) -> None:
        """Set the predicate for pods that are Ready."""
        with self._store.lock:
            self._ready = readiness
            if STATEFUL_SET in self._store.kinds.values():
                for record in self._store.records(STATEFUL_SET):
                    self._mark(record.obj)

    def _on_change(self, kind: Kind, change: Change) -> None:
        if kind is STATEFUL_SET and not change.deleted:
            before = change.before or {}
            if before.get("spec") != change.after.get("spec"):
                self._mark(change.after)
        elif kind is POD:
            self._run_pod(change)
            for reference in change.after["metadata"].get("ownerReferences", ()):
                if reference["kind"] == STATEFUL_SET.kind:
                    self._add(change.after["metadata"]["namespace"], reference["name"])

    def _run_pod(self, change: Change) -> None:
        """Start and end the containers of a pod after their times."""
        metadata = change.after["metadata"]
        uid, loop = metadata["uid"], self._loop
        if loop is None:
            return
        if change.before is None and self.termination_s:
            self._store.held.add(uid)
        if change.before is None and self.start_s:
            self._starting.add(uid)
            loop.call_later(self.start_s, self._on_started, change.after)
        if "deletionTimestamp" in metadata and uid in self._store.held and uid not in self._ending:
            self._ending.add(uid)
            place = (POD, metadata["namespace"], metadata["name"], uid)
            loop.call_later(self.termination_s, self._store.release, *place)

    def _on_started(self, pod: Obj) -> None:
        self._starting.discard(pod["metadata"]["uid"])
        for reference in pod["metadata"].get("ownerReferences", ()):
            self._add(pod["metadata"]["namespace"], reference["name"])

    def _mark(self, obj: Obj) -> None:
        self._add(obj["metadata"]["namespace"], obj["metadata"]["name"])

    def _add(self, namespace: str, name: str) -> None:
        is_first = not self._dirty
        self._dirty[namespace, name] = None
        if is_first:
            self._schedule()

    def _schedule(self) -> None:
        if self._loop is not None and self._dirty:
            self._loop.call_soon_threadsafe(self._process_dirty)

    def _process_dirty(self) -> None:
        with self._store.lock:
            keys, self._dirty = list(self._dirty), {}
            for namespace, name in keys:
                record = self._store.find(STATEFUL_SET, namespace, name)
                if record and "deletionTimestamp" not in record.obj["metadata"]:
                    self._step(record.obj)

    def _step(self, owner: Obj) -> None:
        replicas = owner["spec"].get("replicas", 1)
        revision = _revision(owner)
        self._templates[owner["metadata"]["uid"], revision] = owner["spec"]["template"]
        pods = self._pods(owner)
        for ordinal in sorted(pods, reverse=True):
            if ordinal >= replicas:
                self._delete(pods.pop(ordinal))
        for ordinal in range(replicas):
            if ordinal not in pods:
                self._create(owner, ordinal, revision)
        for pod in pods.values():
            self._set_readiness(pod)
        pods = self._pods(owner)
        self._roll(owner, pods, revision)
        self._report(owner, list(self._pods(owner).values()), revision)

    def _pods(self, owner: Obj) -> dict[int, Obj]:
        children = self._store.children(owner["metadata"]["uid"], POD)
        return {int(c.obj["metadata"]["name"].rpartition("-")[2]): c.obj for c in children}

    def _create(self, owner: Obj, ordinal: int, revision: str) -> None:
        current = owner.get("status", {}).get("currentRevision", revision)
        template = self._templates.get((owner["metadata"]["uid"], current))
        if ordinal < _partition(owner) and template is not None:
            owner, revision = {**owner, "spec": {**owner["spec"], "template": template}}, current
        pod = pod_of(owner, ordinal, revision)
        existing = self._store.find(POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        if existing is None:
            self._put(self._pulling(pod) if self.mounts_first else pod)
        elif not existing.obj["metadata"].get("ownerReferences"):
            # Adopt the pod, as after a StatefulSet was deleted with the Orphan policy.
            references = pod["metadata"]["ownerReferences"]
            metadata = {**existing.obj["metadata"], "ownerReferences": references}
            self._put({**existing.obj, "metadata": metadata})

    def _set_readiness(self, pod: Obj) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            return
        wanted = pod["metadata"]["uid"] not in self._starting and self._ready(pod)
        if wanted != is_ready(pod):
            self._put(self._running(pod, is_ready=wanted))

    def _running(self, pod: Obj, *, is_ready: bool) -> Obj:
        nodes = [record.obj["metadata"]["name"] for record in self._nodes()] or ["node-0"]
        ordinal = int(pod["metadata"]["name"].rpartition("-")[2])
        spec = {"nodeName": nodes[ordinal % len(nodes)], **pod["spec"]}
        now = self._store.timestamp()
        state = dict.fromkeys(_READY_TYPES, "True")
        if not is_ready:
            state |= {"ContainersReady": "False", "Ready": "False"}
        conditions = [{"type": k, "status": v, "lastTransitionTime": now} for k, v in state.items()]
        containers = [
            {
                "name": c["name"],
                "ready": is_ready,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for c in spec.get("containers", ())
        ]
        status = {
            "phase": "Running",
            "startTime": now,
            "hostIP": "10.0.0.1",
            "podIP": pod["status"].get("podIP") or self._next_address(),
            "conditions": conditions,
            "containerStatuses": containers,
        }
        return {**pod, "spec": spec, "status": status}

    def _pulling(self, pod: Obj) -> Obj:
        state = {"waiting": {"reason": "ContainerCreating"}}
        containers = [
            {"name": item["name"], "restartCount": 0, "state": state}
            for item in pod["spec"].get("containers", ())
        ]
        status = {"phase": "Pending", "containerStatuses": containers}
        return {**pod, "spec": {"nodeName": "node-0", **pod["spec"]}, "status": status}

    def _next_address(self) -> str:
        number = next(self._addresses)
        return f"10.1.{number // 250}.{number % 250 + 1}"

    def _nodes(self) -> list[Record]:
        kind = self._store.kinds.get(("", "v1", "nodes"))
        return list(self._store.records(kind)) if kind else []

    def _roll(self, owner: Obj, pods: dict[int, Obj], revision: str) -> None:
        """Replace the outdated pods that are not available, else one, the highest ordinal first.

        No available pod is replaced while another one is not available.
        """
        strategy = owner["spec"].get("updateStrategy", {})
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolled = [
            pods[number] for number in sorted(pods, reverse=True) if number >= _partition(owner)
        ]
        outdated = [
            pod
            for pod in rolled
            if pod["metadata"]["labels"].get(_REVISION_LABEL) != revision
            and "deletionTimestamp" not in pod["metadata"]
        ]
        unavailable = [pod for pod in pods.values() if not self._is_available(owner, pod)]
        for pod in outdated if unavailable else outdated[:1]:
            if not unavailable or pod in unavailable:
                self._delete(pod)

    def _is_available(self, owner: Obj, pod: Obj) -> bool:
        if "deletionTimestamp" in pod["metadata"] or not is_ready(pod):
            return False
        minimum_s = owner["spec"].get("minReadySeconds", 0)
        if not self.honors_min_ready or not minimum_s or self._loop is None:
            return True
        (since,) = [
            item["lastTransitionTime"]
            for item in pod["status"]["conditions"]
            if item["type"] == "Ready"
        ]
        age = datetime.fromisoformat(self._store.timestamp()) - datetime.fromisoformat(since)
        left_s: float = minimum_s - age.total_seconds()
        if left_s > 0:
            self._loop.call_later(left_s, self._mark, owner)
        return left_s <= 0

    def _report(self, owner: Obj, pods: list[Obj], revision: str) -> None:
        metadata, old = owner["metadata"], owner.get("status", {})
        ready = sum(is_ready(pod) for pod in pods)
        updated = sum(pod["metadata"]["labels"].get(_REVISION_LABEL) == revision for pod in pods)
        available = sum(self._is_available(owner, pod) for pod in pods)
        is_done = ready == updated == len(pods) == owner["spec"].get("replicas", 1)
        current = revision if is_done else old.get("currentRevision", revision)
        status = {
            "observedGeneration": metadata["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": available,
            "updatedReplicas": updated,
            "currentReplicas": len(pods) if current == revision else len(pods) - updated,
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
        }
        target = Target(
            kind=STATEFUL_SET,
            namespace=metadata["namespace"],
            name=metadata["name"],
            subresource="status",
            manager="statefulset-controller",
        )
        self._writer.update(target, lambda live: {**live, "status": status})

    def _put(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        target = Target(
            kind=POD,
            namespace=metadata["namespace"],
            name=metadata["name"],
            manager="statefulset-controller",
        )
        self._writer.put(target, pod)

    def _delete(self, pod: Obj) -> None:
        metadata = pod["metadata"]
        target = Target(kind=POD, namespace=metadata["namespace"], name=metadata["name"])
        self._writer.delete(target, {})


def _partition(owner: Obj) -> int:
    strategy = owner["spec"].get("updateStrategy", {})
    partition: int = strategy.get("rollingUpdate", {}).get("partition", 0)
    return partition


def is_ready(pod: Obj) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _revision(owner: Obj) -> str:
    template = orjson.dumps(owner["spec"].get("template", {}), option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(template).hexdigest()[:10]
    return f"{owner['metadata']['name']}-{digest}"


def pod_of(owner: Obj, ordinal: int, revision: str) -> Obj:
    """Return the pod that a StatefulSet creates for an ordinal."""
    metadata, template = owner["metadata"], owner["spec"].get("template", {})
    name = f"{metadata['name']}-{ordinal}"
    given = template.get("metadata", {})
    labels = {
        **given.get("labels", {}),
        _REVISION_LABEL: revision,
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
    }
    reference = {
        "apiVersion": STATEFUL_SET.api_version,
        "kind": STATEFUL_SET.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [reference],
            **({"annotations": given["annotations"]} if given.get("annotations") else {}),
        },
        "spec": {
            "hostname": name,
            "subdomain": owner["spec"].get("serviceName", ""),
            **template.get("spec", {}),
        },
        "status": {"phase": "Pending"},
    }
