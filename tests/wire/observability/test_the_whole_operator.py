"""The running operator with kopf, from the watch event to Datadog and the status."""

import pytest

from purpleflea_operator.kube import resources
from support.apiserver.server import ApiServer
from support.datadog_api import API_KEY, APPLICATION_KEY, DatadogApi
from support.desired_objects import MONITORS
from support.observability_scenario import NAME, NS, a_resource, a_secret
from support.rights import Right, granted, roles
from support.waiting import wait_for, wait_until_started

KIND = resources.OBSERVABILITY.kind


@pytest.fixture
def datadog():
    with DatadogApi() as api:
        yield api


def condition(server, kind):
    conditions = server.get(KIND, NS, NAME).get("status", {}).get("conditions", [])
    return next((item["status"] for item in conditions if item["type"] == kind), "")


def is_synced(server):
    resource = server.get(KIND, NS, NAME)
    generation = resource.get("status", {}).get("observedGeneration")
    return generation == resource["metadata"]["generation"] and condition(server, "Ready") == "True"


def used_rights(server):
    return {
        Right(item.group, item.full_resource, item.verb)
        for item in server.requests()
        if item.resource
    }


def test_a_resource_is_synced_updated_and_removed(server, an_operator, datadog, caplog):
    server.put(a_secret())
    server.put(a_resource(datadog.url))
    with an_operator(lease_namespace="purpleflea-system", datadog_urls=(datadog.url,)):
        server.wait_until(lambda: is_synced(server))
        assert len(datadog.organisation.monitors) == MONITORS
        change = {"spec": {"thresholds": {"drawdown": {"critical": 25}}}}
        server.patch(KIND, NS, NAME, change)
        server.wait_until(lambda: is_synced(server))
        levels = [
            one.definition["options"].get("thresholds", {}).get("critical")
            for one in datadog.organisation.monitors.values()
        ]
        assert 25 in levels
        server.delete(KIND, NS, NAME)
        server.wait_until(lambda: server.get(KIND, NS, NAME) is None)
    assert datadog.organisation.monitors == {}
    values = ("observability.secrets[0].namespace=trading", "observability.secrets[0].name=x")
    assert used_rights(server) <= granted(roles(*values))
    texts = str(server.requests()) + caplog.text
    assert API_KEY not in texts
    assert APPLICATION_KEY not in texts


def test_a_new_leader_does_not_write_a_resource_in_sync(server, an_operator, datadog):
    server.put(a_secret())
    server.put(a_resource(datadog.url))
    with an_operator(datadog_urls=(datadog.url,)):
        server.wait_until(lambda: is_synced(server))
    datadog.request_log.clear()
    server.clear()
    with an_operator(datadog_urls=(datadog.url,)):
        wait_until_started(server)
        wait_for(lambda: len(datadog.request_log.reads()) >= 9)
    assert datadog.request_log.writes() == []
    assert server.writes() == []


def test_the_operator_serves_the_agents_without_the_crd(an_operator):
    with ApiServer() as server:
        server.unregister(KIND)
        with an_operator(server):
            server.wait_until(lambda: server.open_watches() >= 8)
