from datetime import UTC, datetime

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.conditions.telemetry import telemetry_ready
from purpleflea_operator.controllers.agent.decisions.gather import world_of
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
    Refusal,
    selected_connection,
)
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import LOCAL_SERVICES, a_datadog_daemon_set, a_pod, a_spec, an_agent
from support.installations import a_node, a_terrain, helm

KEY = NamespacedName("trading", "momentum")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def a_cache(*, owner="agent-uid", way=HOST_IP):
    spec = AgentSpec.model_validate(a_spec())
    agent = Agent(namespace="trading", name="momentum", uid=owner, generation=1, spec=spec)
    cache = ObjectCache()
    for number, item in enumerate(children(agent, Defaults(image="agent:1"), way)):
        identity = {"uid": f"child-{number}", "resourceVersion": "1"}
        cache.put({**item, "metadata": {**item["metadata"], **identity}})
    cache.put(a_pod())
    return cache


def test_the_world_holds_the_children_and_pods_of_the_agent():
    world = world_of(a_cache(), KEY, an_agent(), a_terrain(), now=NOW)
    assert sorted(kind for kind, _ in world.children) == [
        "ConfigMap",
        "NetworkPolicy",
        "StatefulSet",
    ]
    assert [pod.name for pod in world.pods] == ["momentum-0"]


def test_children_of_a_former_incarnation_do_not_count():
    assert world_of(a_cache(owner="older"), KEY, an_agent(), a_terrain(), now=NOW).children == {}


def test_an_invalid_spec_names_the_field():
    world = world_of(a_cache(), KEY, an_agent(markets=[]), a_terrain(), now=NOW)
    assert world.agent is None
    assert world.invalid.startswith("spec.markets")


@pytest.mark.parametrize(
    ("trading", "order"),
    [
        ({"mode": "Halted"}, "Halted"),
        ({"mode": "Stopped"}, "Stopped"),
        ({"mode": "Active"}, None),
        ({"mode": ["Halted"]}, None),
        ("Halted", None),
        (None, None),
    ],
)
def test_only_an_order_to_stop_is_read_from_an_invalid_spec(trading, order):
    resource = an_agent(markets=[])
    resource["spec"]["trading"] = trading
    assert world_of(a_cache(), KEY, resource, a_terrain(), now=NOW).stop_order == order


def test_the_connection_is_what_is_found_now():
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    world = world_of(a_cache(), KEY, an_agent(), a_terrain(found), now=NOW)
    assert world.connection == selected_connection(found, "Auto")


def test_the_connection_is_remembered_while_no_node_agent_is_there():
    assert world_of(a_cache(), KEY, an_agent(), a_terrain(), now=NOW).connection == HOST_IP


def test_an_invalid_spec_leaves_agents_the_connection_that_they_have():
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    world = world_of(a_cache(), KEY, an_agent(markets=[]), a_terrain(found), now=NOW)
    assert world.connection == HOST_IP


def test_a_disabled_connection_is_not_remembered():
    agent = an_agent(datadog={"connection": "Disabled"})
    assert (
        world_of(a_cache(), KEY, agent, a_terrain(), now=NOW).connection.mode is ConnectionMode.NONE
    )


@pytest.mark.parametrize(
    ("when_missing", "mode"), [("Warn", ConnectionMode.NONE), ("Hold", ConnectionMode.SOCKET)]
)
def test_a_namespace_that_came_to_forbid_sockets_ends_them_where_nobody_would_wait(
    when_missing, mode
):
    terrain = a_terrain()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    metadata = {"name": "trading", "uid": "n", "labels": labels}
    terrain.note(resources.NAMESPACE, {"kind": "Namespace", "metadata": metadata})
    had = Connection(mode=ConnectionMode.SOCKET, dogstatsd_socket=Socket(folder="/run", name="s"))
    agent = an_agent(datadog={"whenMissing": when_missing})
    assert world_of(a_cache(way=had), KEY, agent, terrain, now=NOW).connection.mode is mode


MOVED = datadog_facts([helm(dogstatsd_host_port=True, dogstatsd_port=8225)], {})
OTHER = NamespacedName("trading", "other")


def a_settled_agent(generation=1, **changes):
    return {**an_agent(**changes), "status": {"observedGeneration": generation}}


def a_terrain_where_another_agent_restarts():
    found = a_terrain(MOVED)
    found.turns.take(OTHER)
    return found


def test_another_connection_waits_for_its_turn():
    terrain = a_terrain_where_another_agent_restarts()
    called = []
    terrain.turns.concern = called.append
    world = world_of(a_cache(), KEY, a_settled_agent(), terrain, now=NOW)
    assert (world.connection.dogstatsd_port, world.connection.refusal) == (
        8125,
        Refusal.RESTART_BUDGET,
    )
    finding = telemetry_ready(world)
    assert (finding.status, finding.reason) == ("Unknown", "WaitingForAgents")
    terrain.turns.leave(OTHER)
    assert called == [KEY]
    world = world_of(a_cache(), KEY, a_settled_agent(), terrain, now=NOW)
    assert world.connection.dogstatsd_port == 8225


@pytest.mark.parametrize(
    ("status", "generation", "is_over"),
    [
        ({}, 1, False),
        ({"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1}, 1, True),
        ({"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1}, 2, False),
        ({"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 0}, 1, False),
        ({"observedGeneration": 1, "updatedReplicas": 0, "readyReplicas": 1}, 1, False),
    ],
)
def test_a_turn_is_over_when_all_pods_are_back(status, generation, is_over):
    terrain = a_terrain(MOVED)
    cache = a_cache(way=selected_connection(MOVED, "HostIP"))
    (found,) = cache.owned(resources.STATEFUL_SET, KEY)
    metadata = {**found["metadata"], "generation": generation, "resourceVersion": "2"}
    cache.put({**found, "metadata": metadata, "status": status})
    terrain.turns.take(KEY)
    world_of(cache, KEY, a_settled_agent(), terrain, now=NOW)
    assert terrain.turns.take(OTHER) is is_over


@pytest.mark.parametrize(
    ("agent", "way"),
    [
        pytest.param(a_settled_agent(generation=0), HOST_IP, id="changed by the user"),
        pytest.param(
            a_settled_agent(datadog={"whenMissing": "Hold"}), NO_CONNECTION, id="held without one"
        ),
    ],
)
def test_who_need_not_wait_for_a_turn(agent, way):
    terrain = a_terrain_where_another_agent_restarts()
    world = world_of(a_cache(way=way), KEY, agent, terrain, now=NOW)
    assert world.connection.dogstatsd_port == 8225


def test_agents_without_a_connection_get_one_in_turn():
    terrain = a_terrain_where_another_agent_restarts()
    world = world_of(a_cache(way=NO_CONNECTION), KEY, a_settled_agent(), terrain, now=NOW)
    assert world.connection.refusal is Refusal.RESTART_BUDGET


def test_agents_that_wait_for_a_node_need_node_agents_wherever_they_could_land():
    cache = a_cache()
    cache.put(a_pod("momentum-1", node=""))
    found = datadog_facts([a_datadog_daemon_set()], LOCAL_SERVICES)
    terrain = a_terrain(found)
    for item in (a_node("node-1"), a_node("node-2"), a_node("node-3", taints=["x:NoSchedule"])):
        terrain.note(resources.NODE, item)
    assert world_of(cache, KEY, an_agent(), terrain, now=NOW).coverage.needed == 2


def test_the_world_knows_since_when_not_all_identities_are_there():
    resource = an_agent()
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T01:00:00Z"}
    available = {
        "type": "WorkloadAvailable",
        "status": "False",
        "lastTransitionTime": "2026-01-01T02:00:00Z",
    }
    resource["status"] = {"conditions": [ready, available]}
    world = world_of(a_cache(), KEY, resource, a_terrain(), now=NOW)
    assert world.unavailable_since == datetime(2026, 1, 1, 2, tzinfo=UTC)
    available["status"] = "True"
    assert world_of(a_cache(), KEY, resource, a_terrain(), now=NOW).unavailable_since is None


def test_the_world_knows_the_claims_of_the_agent():
    cache = a_cache()
    labels = a_pod()["metadata"]["labels"]
    metadata = {"name": "state-momentum-0", "namespace": "trading", "uid": "c", "labels": labels}
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}
    cache.put({"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    (found,) = world_of(cache, KEY, an_agent(), a_terrain(), now=NOW).claims
    assert (found.name, found.requested, found.storage_class) == ("state-momentum-0", "1Gi", "fast")
