"""Events in any sequence, some stale and some repeated, lead to the same cache and the same actions."""

from copy import deepcopy
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_contract.status_report import StatusReport
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.gather import Surroundings, gather
from purpleflea_operator.controllers.agent.informer import EventTargets, Informer
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.listing import SLICE
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.tombstones import MAX_TOMBSTONES
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import a_pod, a_spec, an_agent
from support.installations import a_node_agent, a_node_inventory, helm
from support.loop_iterations import Iterations

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = NamespacedName("trading", "momentum")
KINDS = (resources.AGENT, *resources.CHILDREN, resources.POD)
DEFAULTS = Defaults(image="agent:1")


class NoCluster:
    """A cluster without requests, because the events contain everything."""


def desired(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="agent-uid", generation=1, spec=spec)
    return children(agent, DEFAULTS, NO_CONNECTION)


def version_of(manifest, version):
    found = deepcopy(manifest)
    found["metadata"] |= {"resourceVersion": str(version)}
    return found


def histories():
    """Return the versions of each object, oldest first: an agent, its children, some pods."""
    halted = {"mode": "Halted"}
    agent = [an_agent(replicas=2), an_agent(replicas=3), an_agent(replicas=3, trading=halted)]
    for number, item in enumerate(agent):
        condition = {"type": "Ready", "status": "True" if number % 2 else "False"}
        item["status"] = {"replicas": number, "readyReplicas": 0, "conditions": [condition]}
    specs = ({"replicas": 2}, {"replicas": 3}, {"replicas": 3, "trading": halted})
    made = [[*kids] for kids in zip(*(desired(**spec) for spec in specs), strict=True)]
    for number, kids in enumerate(made):
        for kid in kids:
            kid["metadata"] |= {"uid": f"child-{number}"}
    pods = [
        [
            a_pod(name, ready=False),
            a_pod(name),
            a_pod(name, annotations={"purpleflea.com/mode": "Halted"}),
        ]
        for name in ("momentum-0", "momentum-1")
    ]
    versions = iter(range(1, 100))
    return [[version_of(item, next(versions)) for item in group] for group in [agent, *made, *pods]]


HISTORIES = histories()


@st.composite
def event_sequences(draw):
    """Return events in sequence, and the same events shuffled, with some of them repeated."""
    happened = []
    for group in HISTORIES:
        seen = group[: draw(st.integers(0, len(group)))]
        happened += [("MODIFIED", item) for item in seen]
        if seen and draw(st.booleans()):
            happened.append(("DELETED", version_of(seen[-1], 1000)))
    doubles = draw(st.lists(st.sampled_from(happened), max_size=6)) if happened else []
    return happened, draw(st.permutations([*happened, *doubles]))


class NoAgents:
    """A client of agents that sends no request."""


def an_informer(cache, queue, telemetry=None):
    """Return an informer, and the budget of its agents."""
    restarts = RestartBudget(queue.add, clock=lambda: 0.0)
    targets = EventTargets(
        nodes=NodeInventory(clock=lambda: 0.0),
        restarts=restarts,
        telemetry=telemetry or TelemetryProbe(NoAgents(), queue.add, jitter=lambda: 0.0),
    )
    return Informer(NoCluster(), cache, queue, targets), restarts


def after(events):
    """Return the cache and the totals after these events."""
    cache = ObjectCache()
    informer, _ = an_informer(cache, WorkQueue(jitter=lambda: 0.0))
    for event_type, manifest in events:
        informer.on_event(resources.kind_of(manifest), event_type, deepcopy(manifest))
    return cache, informer.totals


def known(cache):
    return {item["metadata"]["uid"]: item for kind in KINDS for item in cache.all(kind)}


def actions(cache):
    resource = cache.agent(KEY)
    if resource is None:
        return ()
    observed = gather(resource, cache, Surroundings(nodes=a_node_inventory()), now=NOW)
    desired = children(observed.agent, DEFAULTS, observed.connection)
    return sorted(plan.actions(desired, observed), key=repr)


@settings(max_examples=150, deadline=None)
@given(event_sequences())
def test_the_order_of_events_changes_neither_the_cache_nor_the_actions(sequences):
    happened, mixed = sequences
    (straight, counted), (cache, totals) = after(happened), after(mixed)
    assert known(cache) == known(straight)
    assert actions(cache) == actions(straight)
    assert (len(totals), totals.replicas) == (len(counted), counted.replicas)
    assert +totals.conditions == +counted.conditions


def test_a_response_that_arrives_after_the_deletion_does_not_restore_the_object():
    config_map = HISTORIES[1][0]
    cache, _ = after([("MODIFIED", config_map), ("DELETED", version_of(config_map, 1000))])
    assert not cache.put(version_of(config_map, 999))
    assert known(cache) == {}


def test_an_object_that_left_the_selector_of_the_watch_is_stored_again_when_it_matches():
    config_map = version_of(HISTORIES[1][0], 1000)
    cache, _ = after([("MODIFIED", HISTORIES[1][0]), ("DELETED", config_map)])
    assert known(cache) == {}
    assert cache.put(config_map)


def test_the_number_of_tombstones_is_limited():
    cache = ObjectCache()
    for number in range(MAX_TOMBSTONES + 1):
        cache.mark_deleted(resources.POD, f"uid-{number}")
    first, last = (
        a_pod() | {"metadata": a_pod()["metadata"] | {"uid": f"uid-{number}"}}
        for number in (0, MAX_TOMBSTONES)
    )
    assert cache.put(first)
    assert not cache.put(last)


def test_a_pod_that_a_write_did_not_find_is_removed_and_older_events_do_not_restore_it():
    cache, queue = ObjectCache(), WorkQueue(jitter=lambda: 0.0)
    informer, _ = an_informer(cache, queue)
    informer.on_event(resources.POD, "ADDED", a_pod())
    informer.on_pod_gone("uid-momentum-0")
    informer.on_event(resources.POD, "MODIFIED", version_of(a_pod(), 1000))
    assert cache.owned(resources.POD, KEY) == []
    assert len(queue) == 1


def test_a_deleted_agent_releases_its_restart_slot():
    queue = WorkQueue(jitter=lambda: 0.0)
    informer, restarts = an_informer(ObjectCache(), queue)
    other = NamespacedName("trading", "other")
    informer.on_event(resources.AGENT, "ADDED", an_agent())
    assert restarts.try_acquire(KEY)
    assert not restarts.try_acquire(other)
    informer.on_event(resources.AGENT, "DELETED", an_agent())
    assert len(queue) == 2
    assert restarts.try_acquire(other)


class CountedCache(ObjectCache):
    """A cache that counts the objects that are read in one iteration of the event loop."""

    def __init__(self, iterations):
        super().__init__()
        self._iterations = iterations

    def all(self, kind):
        for item in super().all(kind):
            self._iterations.count()
            yield item


async def test_a_start_lets_other_tasks_run_between_some_objects_of_each_kind():
    iterations = Iterations()
    cache, queue = CountedCache(iterations), WorkQueue(jitter=lambda: 0.0)
    informer, _ = an_informer(cache, queue)
    workload = HISTORIES[-3][0]
    for number in range(60):
        for item in (an_agent(), a_pod(), workload):
            metadata = item["metadata"] | {"uid": f"{item['kind']}-{number}", "name": f"m-{number}"}
            informer.on_event(resources.kind_of(item), None, {**item, "metadata": metadata})
    await informer.start()
    iterations.close()
    assert len(queue) >= 60
    assert 0 < iterations.most <= 2 * SLICE


class DroppingAgents:
    """A client of agents that drop more telemetry with each response."""

    def __init__(self):
        self.dropped = 0

    async def status(self, _address):
        self.dropped += 1
        return StatusReport(telemetry_dropped_by_signal={"metrics": self.dropped})


async def test_agents_that_drop_telemetry_are_verified_when_the_node_agent_of_their_node_is_ready():
    queue = WorkQueue(jitter=lambda: 0.0)
    telemetry = TelemetryProbe(DroppingAgents(), queue.add, jitter=lambda: 0.0)
    informer, _ = an_informer(ObjectCache(), queue, telemetry)
    await informer.start_control()
    uids = []
    for number, node in enumerate(("node-1", "node-2", "node-1")):
        agent = a_pod(f"momentum-{number}", node=node)
        agent["status"]["podIP"] = f"10.1.0.{number}"
        informer.on_event(resources.POD, "ADDED", agent)
        uids.append(agent["metadata"]["uid"])
        await telemetry.probe(uids[-1])
        await telemetry.probe(uids[-1])
    gone = version_of(a_pod("momentum-2"), 9)
    informer.on_event(resources.POD, "DELETED", gone)
    dropping = dict.fromkeys(uids[:2], Delivery.DROPPING)
    assert telemetry.findings(uids) == dropping
    daemon_set = helm(dogstatsd_host_port=True)
    for version, is_ready in enumerate((False, True, True), start=1):
        pod = a_node_agent("node-1", of=daemon_set, ready=is_ready, version=version)
        informer.on_event(resources.POD, "MODIFIED", pod)
        expected = {**dropping, uids[0]: Delivery.UNVERIFIED} if is_ready else dropping
        assert telemetry.findings(uids) == expected
    telemetry.close()
