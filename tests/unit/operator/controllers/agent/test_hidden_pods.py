"""Pods that are not watched: which the operator reads, whose labels it writes, and what it reports."""

import copy

import pytest

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories, ModeRequests
from purpleflea_operator.controllers.agent.hidden_pods import HiddenPods
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.metadata import constant_labels
from support.builders import a_pod

KEY = NamespacedName("trading", "momentum")
POD = "momentum-0"
COMPONENT = "app.kubernetes.io/component"


class Cluster:
    """One pod without its labels. `on_write` changes what is stored, or raises an error."""

    def __init__(self, on_write=lambda pod: pod):
        self.pod = a_pod(POD)
        self.pod["metadata"]["labels"] = {}
        self.on_write = on_write
        self.reads = self.writes = 0

    async def find(self, ref):
        self.reads += 1
        return copy.deepcopy(self.pod)

    async def set_labels(self, ref, labels, *, uid):
        self.writes += 1
        wanted = copy.deepcopy(self.pod)
        wanted["metadata"]["labels"] |= labels
        self.pod = self.on_write(wanted)
        version = int(self.pod["metadata"].get("resourceVersion", "1")) + 1
        self.pod["metadata"]["resourceVersion"] = str(version)
        return copy.deepcopy(self.pod)


class Search:
    """The searches of the control lane for one agent, whose first one is due."""

    def __init__(self, cluster):
        self.now_s = 100.0
        memories = AgentMemories(
            lambda: self.now_s, RestartBudget(lambda key: None, clock=lambda: self.now_s)
        )
        self.cluster, self.cache = cluster, ObjectCache()
        self.memory = memories.of(KEY, "uid")
        self.memory.unseen[POD] = self.now_s
        self.hidden = HiddenPods(cluster, self.cache, clock=lambda: self.now_s)

    async def run(self, seconds):
        """Search whenever a search is due."""
        ends_s = self.now_s + seconds
        while self.now_s < ends_s:
            wait_s = await self.hidden.search(KEY, self.memory)
            if wait_s is None:
                return
            assert wait_s > 0
            self.now_s += wait_s

    @property
    def failure(self):
        return self.memory.unrestored.get(POD)


async def test_a_pod_gets_its_labels_back_with_one_write():
    search = Search(Cluster())
    await search.run(600)
    assert search.cluster.writes == 1
    assert search.memory.unseen == search.memory.unrestored == {}
    assert [item["metadata"]["name"] for item in search.cache.owned(resources.POD, KEY)] == [POD]


def without(*names):
    def strip(pod):
        for name in names:
            pod["metadata"]["labels"].pop(name, None)
        return pod

    return strip


def with_another_value(pod):
    pod["metadata"]["labels"][COMPONENT] = "foreign"
    return pod


@pytest.mark.parametrize(
    ("webhook", "text"),
    [
        (
            without(COMPONENT),
            f'metadata.labels.{COMPONENT} should be "trading-agent" and is missing',
        ),
        (
            without("app.kubernetes.io/managed-by"),
            'should be "purpleflea-operator" and is missing',
        ),
        (with_another_value, 'should be "trading-agent" and is "foreign"'),
    ],
)
async def test_labels_that_a_webhook_changes_are_written_three_times_and_reported(webhook, text):
    search = Search(Cluster(webhook))
    await search.run(3600)
    assert search.cluster.writes == 3
    assert search.cluster.reads <= 3 + 3600 / timings.UNSEEN_POD_CHECK_S + 1
    assert search.failure.reason is Reason.NOT_STORED
    assert text in search.failure.text
    assert f"kubectl annotate pod {POD} --namespace trading" in search.failure.text
    assert POD in search.memory.unseen


async def test_labels_are_written_again_after_the_user_has_changed_the_pod():
    search = Search(Cluster(without(COMPONENT)))
    await search.run(600)
    search.cluster.on_write = lambda pod: pod
    search.cluster.pod["metadata"]["annotations"] = {"purpleflea.com/retry": "1"}
    await search.run(600)
    assert search.cluster.writes == 4
    assert search.memory.unseen == search.memory.unrestored == {}


def refusing(error):
    def refuse(pod):
        raise error("no right to patch pods")

    return refuse


@pytest.mark.parametrize("error", [errors.Forbidden, errors.Invalid])
async def test_a_rejected_write_of_labels_is_tried_again_with_a_growing_delay(error):
    search = Search(Cluster(refusing(error)))
    await search.run(3600)
    assert (search.cluster.writes) >= 3600 / (
        timings.REJECTED_RETRY_LIMIT_S + timings.UNSEEN_POD_CHECK_S
    )
    assert search.cluster.writes <= 6 + 3600 / timings.REJECTED_RETRY_LIMIT_S
    assert search.failure.text == "no right to patch pods"
    assert search.failure.is_rejected
    search.cluster.on_write = lambda pod: pod
    await search.run(120)
    assert search.memory.unseen == search.memory.unrestored == {}


@pytest.mark.parametrize("gone", ["deleted", "of another owner"])
async def test_a_pod_that_is_gone_is_not_searched_any_more(gone):
    search = Search(Cluster(without(COMPONENT)))
    await search.run(60)
    assert search.failure is not None
    if gone == "deleted":
        search.cluster.pod = None
    else:
        owner = {"kind": "Job", "name": "x", "uid": "x", "controller": True}
        search.cluster.pod["metadata"]["ownerReferences"] = [owner]
    await search.run(60)
    assert search.memory.unseen == search.memory.unrestored == {}


@pytest.mark.parametrize("error", [errors.Conflict, errors.NotFound])
async def test_a_pod_that_was_replaced_is_read_again(error):
    search = Search(Cluster(refusing(error)))
    assert await search.hidden.search(KEY, search.memory) == timings.UNSEEN_POD_RETRY_S
    assert search.failure is None


def silent(**changes):
    """A cluster with a pod that has all its labels, and that no watch has reported."""
    cluster = Cluster()
    cluster.pod = a_pod(POD, **changes)
    cluster.pod["metadata"]["labels"] |= constant_labels("momentum")
    return cluster


async def test_a_pod_that_the_watch_did_not_report_is_cached_and_not_written():
    search = Search(silent())
    requests = search.memory.mode_requests = ModeRequests(control=None, delivered_s=0.0)
    assert await search.hidden.search(KEY, search.memory) == timings.UNSEEN_POD_RETRY_S
    assert [item["metadata"]["name"] for item in search.cache.owned(resources.POD, KEY)] == [POD]
    # A pass removes it from the search, and asks it for its acknowledgement.
    assert POD in search.memory.unseen
    assert (search.cluster.writes, requests.confirmed) == (0, set())


@pytest.mark.parametrize(
    "pod",
    [
        None,
        silent(waiting="ContainerCreating").pod,
        silent(waiting="ImagePullBackOff", deleting=True).pod,
    ],
    ids=["absent", "waiting", "waiting and deleted"],
)
async def test_a_pod_that_does_not_run_is_read_once(pod):
    search = Search(Cluster())
    search.cluster.pod = pod
    requests = search.memory.mode_requests = ModeRequests(control=None, delivered_s=0.0)
    assert await search.hidden.search(KEY, search.memory) is None
    assert requests.confirmed == {POD}
    assert requests.mounted == {POD: "" if pod is None else f"uid-{POD}"}
    # The halt stays open until the watch reports that the pod runs, or is gone.
    assert len(search.cache.owned(resources.POD, KEY)) == len(requests.mounted[POD][:1])
    assert (search.cluster.reads, search.cluster.writes) == (1, 0)


async def test_a_read_that_began_before_the_mode_was_written_confirms_nothing():
    search = Search(Cluster())
    search.memory.mode_requests = ModeRequests(control=None, delivered_s=0.0)

    async def find(ref):
        search.memory.mode_requests = ModeRequests(control=None, delivered_s=0.0)

    search.cluster.find = find
    assert await search.hidden.search(KEY, search.memory) is None
    assert search.memory.mode_requests.confirmed == set()
