"""Whatever order events arrive in, with stale and doubled ones among them: the same is known, and the same follows."""

from copy import deepcopy
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.gather import world_of
from purpleflea_operator.controllers.agent.informer import Informer
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import MAX_TOMBSTONES, NamespacedName, ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import a_pod, a_spec, an_agent
from support.installations import a_terrain

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = NamespacedName("trading", "momentum")
KINDS = (resources.AGENT, *resources.CHILDREN, resources.POD)
DEFAULTS = Defaults(image="agent:1")


class NoCluster:
    """Nothing may be asked: all that counts comes with the events."""


def desired(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="agent-uid", generation=1, spec=spec)
    return children(agent, DEFAULTS, NO_CONNECTION)


def version_of(manifest, version):
    found = deepcopy(manifest)
    found["metadata"] |= {"resourceVersion": str(version)}
    return found


def histories():
    """Of each object its versions, oldest first: an agent, its children, some pods."""
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
def worlds(draw):
    """What happened, in order, and the same with doubles, mixed up."""
    happened = []
    for group in HISTORIES:
        seen = group[: draw(st.integers(0, len(group)))]
        happened += [("MODIFIED", item) for item in seen]
        if seen and draw(st.booleans()):
            happened.append(("DELETED", version_of(seen[-1], 1000)))
    doubles = draw(st.lists(st.sampled_from(happened), max_size=6)) if happened else []
    return happened, draw(st.permutations([*happened, *doubles]))


class Nobody:
    """Agents that are not asked."""


NOBODY = TelemetryProbe(Nobody(), lambda _: None, jitter=lambda: 0.0)


def after(events):
    """The cache, and how many agents stand how."""
    cache = ObjectCache()
    around = NodeInventory(clock=lambda: 0.0)
    informer = Informer(NoCluster(), cache, WorkQueue(jitter=lambda: 0.0), around, NOBODY)
    for event_type, manifest in events:
        informer.on_event(resources.kind_of(manifest), event_type, deepcopy(manifest))
    return cache, informer.tally


def known(cache):
    return {item["metadata"]["uid"]: item for kind in KINDS for item in cache.all(kind)}


def actions(cache):
    resource = cache.agent(KEY)
    if resource is None:
        return ()
    world = world_of(cache, KEY, resource, a_terrain(), now=NOW)
    found = plan.actions(children(world.agent, DEFAULTS, world.connection), world)
    return sorted(found, key=repr)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_the_order_of_events_changes_neither_what_is_known_nor_what_is_done(world):
    happened, mixed = world
    (straight, counted), (cache, tally) = after(happened), after(mixed)
    assert known(cache) == known(straight)
    assert actions(cache) == actions(straight)
    assert (len(tally), tally.replicas) == (len(counted), counted.replicas)
    assert +tally.conditions == +counted.conditions


def test_an_answer_that_comes_after_the_news_of_the_deletion_brings_nothing_back():
    config_map = HISTORIES[1][0]
    cache, _ = after([("MODIFIED", config_map), ("DELETED", config_map)])
    assert not cache.put(version_of(config_map, 999))
    assert known(cache) == {}


def test_of_the_dead_only_so_many_are_remembered():
    cache = ObjectCache()
    for number in range(MAX_TOMBSTONES + 1):
        cache.mark_deleted(resources.POD, f"uid-{number}")
    first, last = (
        a_pod() | {"metadata": a_pod()["metadata"] | {"uid": f"uid-{number}"}}
        for number in (0, MAX_TOMBSTONES)
    )
    assert cache.put(first)
    assert not cache.put(last)


def test_an_agent_that_is_gone_holds_no_turn_to_restart():
    around, queue = NodeInventory(clock=lambda: 0.0), WorkQueue(jitter=lambda: 0.0)
    informer = Informer(NoCluster(), ObjectCache(), queue, around, NOBODY)
    other = NamespacedName("trading", "other")
    informer.on_event(resources.AGENT, "ADDED", an_agent())
    assert around.turns.take(KEY)
    assert not around.turns.take(other)
    informer.on_event(resources.AGENT, "DELETED", an_agent())
    assert len(queue) == 2
    assert around.turns.take(other)
