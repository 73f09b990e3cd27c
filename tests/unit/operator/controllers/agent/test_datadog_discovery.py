"""Discovery of the Datadog installation: how often Services are read, and the facts if a read fails."""

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.datadog_discovery import DatadogDiscovery
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import ObjectCache
from support.builders import a_local_service
from support.installations import a_node_agent, helm


class Services:
    """A cluster with one Service; the first reads can fail."""

    def __init__(self):
        self.found = a_local_service()
        self.failures = 0
        self.reads = 0

    async def get(self, ref):
        assert (ref.kind, ref.namespace, ref.name) == (
            resources.SERVICE,
            "datadog",
            "datadog-agent",
        )
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise errors.ApiError("unavailable")
        return self.found


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def services():
    return Services()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def nodes(clock):
    return NodeInventory(clock=clock)


@pytest.fixture
def cache():
    found = ObjectCache()
    found.put(helm())
    return found


@pytest.fixture
def discovery(services, cache, nodes, clock):
    return DatadogDiscovery(services, cache, nodes, clock=clock)


def version(number, **changes):
    found = helm(**changes)
    found["metadata"]["resourceVersion"] = str(number)
    return found


async def test_a_service_is_read_once_per_generation_of_its_daemon_set(
    discovery, services, cache, nodes
):
    assert await discovery.discover()
    assert nodes.facts.node_agent.service.name == "datadog-agent"
    cache.put(version(2, ready=1))
    await discovery.discover()
    assert services.reads == 1
    cache.put(version(3, generation=2))
    await discovery.discover()
    assert services.reads == 2


@pytest.mark.parametrize("now", [None, a_local_service(policy="Cluster")], ids=["gone", "Cluster"])
async def test_a_deleted_or_cluster_wide_service_is_noticed_after_the_recheck_interval(
    discovery, services, nodes, clock, now
):
    await discovery.discover()
    services.found = now
    assert not await discovery.discover()
    clock.now += timings.SERVICE_RECHECK_S
    assert await discovery.discover()
    assert nodes.facts.node_agent.service is None


async def test_the_facts_stay_while_the_service_cannot_be_read(discovery, services, nodes, clock):
    await discovery.discover()
    before = nodes.facts
    clock.now += timings.SERVICE_RECHECK_S
    services.failures = 1
    with pytest.raises(errors.ApiError):
        await discovery.discover()
    assert nodes.facts == before
    assert not await discovery.discover()
    assert services.reads == 3


def at_team(item):
    metadata = {
        **item["metadata"],
        "namespace": "team-a",
        "uid": f"tenant-{item['metadata']['uid']}",
    }
    return {**item, "metadata": metadata}


def untrusted(nodes):
    return [f"{item.namespace}/{item.name}" for item in nodes.facts.untrusted]


async def test_the_service_of_an_untrusted_node_agent_is_not_read(
    discovery, services, cache, nodes, caplog
):
    cache.put(helm(namespace="team-a"))
    await discovery.discover()
    assert services.reads == 1
    assert [item.namespace for item in nodes.facts.node_agents] == ["datadog"]
    assert untrusted(nodes) == ["team-a/datadog-agent"]
    (record,) = [item for item in caplog.records if "not trusted" in item.message]
    assert record.daemon_set == "team-a/datadog-agent"


async def test_changes_of_untrusted_node_agents_are_reported_at_intervals_only(
    discovery, cache, nodes, clock
):
    """Each report is a pass over all agents, and any user with rights in one namespace can cause changes."""
    cache.put(helm(namespace="team-a"))
    assert await discovery.discover()
    cache.put(helm(namespace="team-b"))
    assert not await discovery.discover()
    cache.put(version(2, chart="datadog-3.300.0"))
    assert await discovery.discover()
    assert untrusted(nodes) == ["team-a/datadog-agent"]
    clock.now += timings.SERVICE_RECHECK_S
    assert await discovery.discover()
    assert untrusted(nodes) == ["team-a/datadog-agent", "team-b/datadog-agent"]


async def test_a_rollout_of_an_untrusted_node_agent_is_not_a_change(discovery, cache, clock):
    cache.put(helm(namespace="team-a"))
    assert await discovery.discover()
    clock.now += timings.SERVICE_RECHECK_S
    cache.put(version(2, namespace="team-a", ready=1, node_selector={"pool": "cpu"}))
    assert not await discovery.discover()


async def test_untrusted_node_agents_of_an_extended_daemon_set_are_only_reported(
    discovery, nodes, clock
):
    of = {"of": helm(), "owner": "ExtendedDaemonSetReplicaSet"}
    first, second = (at_team(a_node_agent(name, **of)) for name in ("node-1", "node-2"))
    assert nodes.upsert(resources.POD, first).everywhere
    assert nodes.upsert(resources.POD, second) is None
    assert nodes.node_agents_on("node-1") == ()
    await discovery.discover()
    assert not nodes.facts.is_extended
    assert untrusted(nodes) == ["team-a/(ExtendedDaemonSet)"]
    assert nodes.delete(resources.POD, first["metadata"]["uid"]) is None
    assert nodes.delete(resources.POD, second["metadata"]["uid"]).everywhere
    clock.now += timings.SERVICE_RECHECK_S
    await discovery.discover()
    assert untrusted(nodes) == []


async def test_node_agents_of_an_extended_daemon_set_are_detected(discovery, nodes):
    of = {"of": helm(), "owner": "ExtendedDaemonSetReplicaSet"}
    assert nodes.upsert(resources.POD, a_node_agent("node-1", **of)).everywhere
    assert not nodes.upsert(resources.POD, a_node_agent("node-2", **of)).everywhere
    await discovery.discover()
    assert nodes.facts.is_extended
    uids = [a_node_agent(name, **of)["metadata"]["uid"] for name in ("node-1", "node-2")]
    assert not nodes.delete(resources.POD, uids[0]).everywhere
    assert nodes.delete(resources.POD, uids[1]).everywhere
    assert not nodes.is_extended
