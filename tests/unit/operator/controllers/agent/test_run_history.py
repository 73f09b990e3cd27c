"""An agent that ran while no operator observed it keeps its identity, and one that never ran does not."""

import pytest

from purpleflea_operator.controllers.agent.run_history import RunHistory
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod, an_agent

KEY = NamespacedName("trading", "momentum")
CREATED = "2026-01-01T10:00:00Z"
KNOWN = "2026-01-01T10:30:00Z"
"""Last transition of a condition, so the agent had not run until then."""
BEFORE, AFTER = "2026-01-01T10:20:00Z", "2026-01-01T10:40:00Z"
RUNNING = [{"name": "agent", "state": {"running": {}}}]
WAITING = [{"name": "agent", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]


def an_agent_that_never_started(**status):
    found = an_agent()
    conditions = [{"type": "Ready", "status": "False", "lastTransitionTime": KNOWN}]
    known = {"observedGeneration": 1, "neverStarted": True, "conditions": conditions}
    found["status"] = {**known, **status}
    return found


def a_workload(replicas=1, **status):
    owner = {"kind": "PurpleFleaAgent", "name": "momentum", "uid": "agent-uid", "controller": True}
    metadata = {
        "name": "momentum",
        "namespace": "trading",
        "uid": "uid-workload",
        "resourceVersion": "5",
        "creationTimestamp": CREATED,
        "labels": {"app.kubernetes.io/instance": "momentum"},
        "ownerReferences": [owner],
    }
    spec = {"replicas": replicas}
    return {"kind": "StatefulSet", "metadata": metadata, "spec": spec, "status": status}


def without_time(manifest):
    del manifest["metadata"]["creationTimestamp"]
    return manifest


def a_pod_at(created, name="momentum-0", statuses=WAITING):
    found = a_pod(name, created=created)
    found["status"]["containerStatuses"] = statuses
    return found


def a_claim_at(created, phase="Pending", name="state-momentum-0"):
    metadata = {
        "name": name,
        "namespace": "trading",
        "uid": f"uid-{name}",
        "resourceVersion": "5",
        "creationTimestamp": created,
        "labels": {"app.kubernetes.io/instance": "momentum"},
    }
    return {"kind": "PersistentVolumeClaim", "metadata": metadata, "status": {"phase": phase}}


class Observed:
    """A history, with events and lists as the informer passes them on."""

    def __init__(self, *objects, event_type=None):
        self.cache = ObjectCache()
        self.history = RunHistory(self.cache)
        for item in objects:
            self.event(item, event_type)

    def event(self, manifest, event_type="MODIFIED"):
        self.cache.put(manifest)
        self.history.on_event(resources.kind_of(manifest), event_type, manifest)

    def delete(self, manifest):
        kind = resources.kind_of(manifest)
        self.cache.mark_deleted(kind, manifest["metadata"]["uid"])
        self.history.on_event(kind, "DELETED", manifest)

    def never_started(self):
        return self.history.never_started(self.cache.agent(KEY))


AGENT = an_agent_that_never_started()


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([AGENT], True, id="no StatefulSet, such as of an agent that was refused"),
        pytest.param([AGENT, a_workload(0)], True, id="no pod is requested"),
        pytest.param([an_agent()], True, id="created while no operator ran"),
        pytest.param(
            [AGENT, a_workload(0), a_claim_at(BEFORE, "Bound")],
            False,
            id="no pod is requested, and a claim was used",
        ),
        pytest.param(
            [AGENT, a_claim_at(BEFORE, "Bound")], False, id="no StatefulSet, and a claim was used"
        ),
        pytest.param(
            [
                AGENT,
                a_workload(),
                a_pod_at(BEFORE),
                a_claim_at(BEFORE, "Bound", name="state-momentum-1"),
            ],
            False,
            id="the claim of another pod was used",
        ),
        pytest.param(
            [AGENT, a_workload(0), a_claim_at(BEFORE)], True, id="no pod is requested, nor was"
        ),
        pytest.param(
            [AGENT, a_workload(), a_pod_at(BEFORE), a_claim_at(BEFORE, "Bound")],
            True,
            id="a pod that waits for its image, with a bound claim",
        ),
        pytest.param(
            [AGENT, a_workload(0), a_claim_at(BEFORE, "Bound", name="cache-momentum-0")],
            True,
            id="the claim of something else",
        ),
        pytest.param([AGENT, a_workload()], False, id="its pod is gone"),
        pytest.param([AGENT, a_workload(), a_pod_at(BEFORE)], True, id="the same pod still waits"),
        pytest.param([AGENT, a_workload(), a_pod_at(AFTER)], False, id="the pod is a later one"),
        pytest.param([AGENT, a_workload(), a_claim_at(BEFORE)], True, id="its claim is not bound"),
        pytest.param(
            [AGENT, a_workload(), a_claim_at(AFTER)], False, id="its claim is a later one"
        ),
        pytest.param(
            [AGENT, a_workload(), a_claim_at(BEFORE, "Bound")], False, id="its claim was used"
        ),
        pytest.param(
            [AGENT, a_workload(2), a_pod_at(BEFORE)], False, id="another one of its pods is gone"
        ),
        pytest.param(
            [AGENT, a_workload(2), a_pod_at(BEFORE), a_claim_at(BEFORE, name="state-momentum-1")],
            True,
            id="a pod that waits, and a claim that is not bound",
        ),
        pytest.param(
            [an_agent(), a_workload(), a_pod_at("2026-01-01T10:00:09Z")],
            True,
            id="no status yet, and the first pod of the StatefulSet",
        ),
        pytest.param(
            [an_agent(), a_workload(), a_pod_at(BEFORE)], False, id="no status yet, and a later pod"
        ),
        pytest.param(
            [AGENT, a_workload(), a_pod_at("yesterday")], False, id="a pod without a readable time"
        ),
        pytest.param(
            [an_agent(), without_time(a_workload()), a_pod_at(BEFORE)], False, id="no time at all"
        ),
        pytest.param(
            [AGENT, without_time(a_workload()), a_pod_at(BEFORE)],
            True,
            id="only the status has one",
        ),
        pytest.param(
            [AGENT, a_workload(), a_pod_at(BEFORE, statuses=RUNNING)], False, id="it runs now"
        ),
        pytest.param([AGENT, a_workload(readyReplicas=1)], False, id="a pod is ready now"),
        pytest.param([an_agent_that_never_started(neverStarted=False)], False, id="it ran before"),
    ],
)
def test_after_a_start_of_the_operator_only_unused_objects_prove_that_an_agent_never_ran(
    objects, expected
):
    found = Observed(*objects)
    assert found.never_started() is expected
    # The result stays, although the StatefulSet is scaled to zero because of it.
    found.cache.mark_deleted(resources.STATEFUL_SET, "uid-workload")
    assert found.never_started() is expected


def test_an_agent_that_is_observed_since_its_creation_needs_no_proof():
    found = Observed(AGENT, event_type="ADDED")
    found.event(a_workload())
    assert found.never_started()


def test_an_agent_whose_proof_was_seen_once_needs_no_other_one():
    found = Observed(AGENT)
    assert found.never_started()
    found.event(a_workload())
    assert found.never_started()


@pytest.mark.parametrize(
    ("namespace", "expected"), [("", False), ("trading", False), ("other", True)]
)
def test_pods_can_have_run_before_a_list_that_replaces_an_interrupted_watch(namespace, expected):
    found = Observed(AGENT, a_workload(), event_type="ADDED")
    found.history.on_pods_listed(namespace)
    assert found.never_started() is expected


@pytest.mark.parametrize(
    "item",
    [a_pod_at(BEFORE, statuses=RUNNING), a_workload(readyReplicas=1)],
    ids=["a pod that runs", "a ready pod that is not watched"],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_an_agent_that_ran_between_two_passes_has_run(item, is_last):
    found = Observed(AGENT, event_type="ADDED")
    if not is_last:
        found.event(item, "ADDED")
    found.delete(item)
    assert not found.never_started()


def test_a_copy_of_a_pod_is_not_a_run_of_the_agent():
    found = Observed(AGENT, event_type="ADDED")
    found.event(a_pod_at(BEFORE, "copy", RUNNING))
    assert found.never_started()


def test_objects_without_an_agent_leave_nothing_in_memory():
    found = Observed(AGENT, event_type="ADDED")
    found.event(a_pod_at(BEFORE, statuses=RUNNING))
    found.delete(AGENT)
    found.history.forget(KEY, "agent-uid")
    found.history.forget(None, "unknown")
    found.event(a_pod_at(BEFORE, statuses=RUNNING))
    unlabelled = a_pod_at(BEFORE)
    unlabelled["metadata"]["labels"] = {}
    found.event(unlabelled)
    assert (found.history._ran, found.history._observed) == (set(), {})
