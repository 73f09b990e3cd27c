"""Reads before an agent starts with an identity that lived in another namespace: how many, and with which result."""

import contextlib

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import ClaimState
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.controllers.agent.identity_reads import IdentityReads
from purpleflea_operator.controllers.agent.workload_writes import WorkloadWrites
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.errors import Forbidden, Throttled, Unavailable
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.metadata import constant_labels
from support.apiserver.selectors import label_selector
from support.builders import a_pod, an_agent

IDENTITY = ("momentum", "production", "purpleflea-trading-agent")
TAGS = {"tags.datadoghq.com/env": IDENTITY[1], "tags.datadoghq.com/service": IDENTITY[2]}
INSTANCE = "app.kubernetes.io/instance"
KEY = NamespacedName("b", "momentum")


class Cluster:
    """The objects of namespace `a`."""

    def __init__(self, *objects, error=None):
        self.objects, self.error, self.requests = list(objects), error, []

    async def list_in(self, kind, namespace, *, selector):
        self.requests.append(f"list {kind.plural} {namespace}")
        if self.error is not None:
            raise self.error
        selects = label_selector(selector)
        return [item for item in self.objects if item["kind"] == kind.kind and selects(item)]

    async def find(self, ref):
        self.requests.append(f"find {ref.name}")
        if self.error is not None:
            raise self.error
        names = (item for item in self.objects if item["metadata"]["name"] == ref.name)
        return next((item for item in names if item["kind"] == ref.kind.kind), None)


class Start:
    """An agent that starts after another one gave up its identity, unless `is_first`."""

    def __init__(self, *objects, is_first=False, error=None):
        self.cache, self.now = ObjectCache(), 0.0
        self.holders = IdentityHolders(self.cache, lambda: self.now)
        self.cluster = Cluster(*objects, error=error)
        self.reads = IdentityReads(self.cluster, self.holders, self.on_object)
        if not is_first:
            self.holders.claims.upsert(an_agent(namespace="a", uid="uid-a"))
            self.holders.claims.delete("uid-a")
        agent = an_agent(namespace="b", uid="uid-b")
        self.cache.put(agent)
        self.holders.claims.upsert(agent)

    def on_object(self, kind, event_type, manifest):
        assert event_type is None
        self.cache.put(manifest)

    async def may_start(self):
        await self.reads.confirm(KEY)
        return self.holders.holder_other_than("uid-b") is None


def left_pod(name="momentum-0", *, labels=None, container="agent", **changes):
    found = a_pod(name, namespace="a", **changes)
    found["metadata"]["labels"] |= {"app.kubernetes.io/name": "purpleflea-agent", **TAGS}
    found["spec"]["containers"][0]["name"] = container
    if labels is not None:
        found["metadata"]["labels"] = labels
    return found


def left_workload(*, labels=None, replicas=1, kind="PurpleFleaAgent"):
    owner = {"kind": kind, "name": "momentum", "uid": "uid-a", "controller": True}
    labels = constant_labels("momentum") if labels is None else labels
    metadata = {
        "name": "momentum",
        "namespace": "a",
        "uid": "uid-workload",
        "resourceVersion": "7",
        "labels": {**labels, **TAGS},
        "ownerReferences": [owner],
    }
    return {"kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": replicas}}


WORKLOAD = {"kind": "StatefulSet"}
READS = ["find momentum", "list pods a", "list pods a"]


async def test_an_ordinary_start_needs_no_read():
    start = Start(is_first=True)
    assert await start.may_start()
    assert start.cluster.requests == []


async def test_an_agent_that_runs_already_needs_no_read():
    start = Start()
    workload = left_workload()
    workload["metadata"] |= {"namespace": "b", "uid": "uid-own"}
    workload["metadata"]["ownerReferences"][0]["uid"] = "uid-b"
    start.cache.put(workload)
    assert await start.may_start()
    assert start.cluster.requests == []


async def test_a_start_after_another_agent_reads_once():
    start = Start()
    assert await start.may_start()
    assert await start.may_start()
    assert start.cluster.requests == READS


@pytest.mark.parametrize(
    ("left", "may_start"),
    [
        pytest.param(left_pod(), False, id="a pod"),
        pytest.param(left_pod(deleting=True), False, id="a pod that ends"),
        pytest.param(left_pod("momentum-3"), False, id="a pod of another ordinal"),
        pytest.param(left_workload(), False, id="a StatefulSet"),
        pytest.param(left_pod(labels={}), False, id="a pod that lost its labels"),
        pytest.param(left_pod(labels=TAGS), False, id="a pod that lost a part of its labels"),
        pytest.param(left_pod("momentum-7", labels={}), False, id="another pod that lost them"),
        pytest.param(
            left_pod(labels=TAGS | {INSTANCE: "momentum"}), False, id="a pod with one label left"
        ),
        pytest.param(left_workload(labels=TAGS), False, id="a StatefulSet that lost its labels"),
        pytest.param(
            left_workload(labels=TAGS, replicas=0), True, id="a StatefulSet that requests no pod"
        ),
        pytest.param(left_workload(kind="Deployment"), True, id="a StatefulSet of another owner"),
        pytest.param(
            left_pod(labels=TAGS | {"tags.datadoghq.com/env": "x"}), True, id="of another env"
        ),
        pytest.param(left_pod(labels={}, container="web"), True, id="a pod of another kind"),
        pytest.param(left_pod("momentum-0-x", labels={}), True, id="a pod of another name"),
    ],
)
async def test_an_agent_starts_only_if_the_read_shows_that_no_pod_is_left(left, may_start):
    start = Start(left)
    assert await start.may_start() is may_start
    assert start.cluster.requests == READS
    if may_start:
        return
    # The pod ends.
    start.cluster.objects.clear()
    start.cache.mark_deleted(resources.kind_of(left), left["metadata"]["uid"])
    start.now = 5.0
    assert await start.may_start()
    assert start.cluster.requests == READS * 2


@pytest.mark.parametrize(
    "error",
    [Unavailable("x"), Throttled("x", 30.0), Forbidden("x")],
    ids=lambda e: type(e).__name__,
)
async def test_a_read_that_fails_is_repeated_with_backoff_and_nothing_starts(error):
    start = Start(error=error)
    waits = []
    for _ in range(6):
        assert not await start.may_start()
        found = start.holders.holder_other_than("uid-b")
        waits.append(found.loses_in_s)
        assert found.error == "x"
        # An event of the namespace does not end the backoff.
        start.holders.former.add(IDENTITY, "a")
        assert start.holders.holder_other_than("uid-b").loses_in_s == waits[-1]
        start.now += found.loses_in_s
    assert waits == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert len(start.cluster.requests) == 6
    start.cluster.error = None
    assert await start.may_start()


@pytest.mark.parametrize("state", ["deleted", "being deleted"])
async def test_an_agent_that_is_deleted_needs_no_read(state):
    start = Start()
    agent = start.cache.agent(KEY)
    if state == "deleted":
        start.cache.mark_deleted(resources.AGENT, "uid-b")
    else:
        agent["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "9"}
        start.cache.put(agent)
    await start.reads.confirm(KEY)
    assert start.cluster.requests == []


async def test_an_agent_whose_identity_another_one_holds_needs_no_read():
    start = Start()
    rival = an_agent(namespace="c", uid="uid-0")
    start.cache.put(rival)
    start.holders.claims._state = lambda claim: ClaimState.RUNNING
    start.holders.claims.upsert(rival)
    assert start.holders.claims.holder_other_than("uid-0") is None
    assert not await start.may_start()
    assert start.cluster.requests == []


@pytest.mark.parametrize("error", [None, Unavailable("x"), Forbidden("x")])
async def test_an_agent_waits_for_a_write_of_the_previous_one_that_may_still_be_performed(error):
    start = Start()
    previous = NamespacedName("a", "momentum")
    with contextlib.suppress(Unavailable, Forbidden), start.holders.writes.of(previous, WORKLOAD):
        assert not await start.may_start()
        assert start.holders.holder_other_than("uid-b").loses_in_s == timings.IDENTITY_READ_RETRY_S
        if error is not None:
            raise error
    # The API server can perform a request whose response was lost.
    assert await start.may_start() is not isinstance(error, Unavailable)
    start.now = timings.UNKNOWN_WRITE_S
    assert await start.may_start()


async def test_writes_of_other_kinds_delay_no_agent():
    start = Start()
    with start.holders.writes.of(NamespacedName("a", "momentum"), {"kind": "ConfigMap"}):
        assert await start.may_start()


def test_two_writes_of_an_agent_are_open_until_both_have_a_result():
    writes, key = WorkloadWrites(lambda: 0.0), NamespacedName("a", "momentum")
    with writes.of(key, WORKLOAD):
        with writes.of(key, WORKLOAD):
            pass
        assert writes.are_open(key)
    assert not writes.are_open(key)
