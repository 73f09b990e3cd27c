"""The running operator, with kopf: from the watch event to Datadog and back into the status."""

import pytest

from purpleflea_operator.kube import resources
from support.apiserver.server import ApiServer
from support.datadog_api import API_KEY, APPLICATION_KEY, DatadogApi
from support.observability_trial import NAME, NS, a_resource, a_secret
from support.rights import Right, granted, roles
from support.waiting import wait_for

KIND = resources.OBSERVABILITY.kind


@pytest.fixture
def datadog():
    with DatadogApi() as found:
        yield found


def condition(server, kind):
    found = server.get(KIND, NS, NAME).get("status", {}).get("conditions", [])
    return next((item["status"] for item in found if item["type"] == kind), "")


def is_synced(server):
    resource = server.get(KIND, NS, NAME)
    generation = resource.get("status", {}).get("observedGeneration")
    return generation == resource["metadata"]["generation"] and condition(server, "Ready") == "True"


def used(server):
    return {
        Right(item.group, item.full_resource, item.verb)
        for item in server.requests()
        if item.resource
    }


def test_from_the_manifest_to_datadog_and_away_again(server, an_operator, datadog, caplog):
    server.put(a_secret())
    server.put(a_resource(datadog.url))
    with an_operator(lease_namespace="purpleflea-system", datadog_urls=(datadog.url,)):
        server.wait_until(lambda: is_synced(server))
        assert len(datadog.organisation.monitors) == 11
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
    assert used(server) <= granted(roles(*values))
    told = str(server.requests()) + caplog.text
    assert API_KEY not in told
    assert APPLICATION_KEY not in told


def test_a_resource_that_is_right_is_left_alone_by_a_new_leader(server, an_operator, datadog):
    server.put(a_secret())
    server.put(a_resource(datadog.url))
    with an_operator(datadog_urls=(datadog.url,)):
        server.wait_until(lambda: is_synced(server))
    datadog.request_log.clear()
    server.clear()
    with an_operator(datadog_urls=(datadog.url,)):
        # The sweep is the last thing that a start does.
        server.wait_until(lambda: len(server.lists(resource="purplefleaobservabilities")) >= 3)
        wait_for(lambda: len(datadog.request_log.reads()) >= 9)
    assert datadog.request_log.writes() == []
    assert server.writes() == []


def test_without_its_crd_the_operator_works_for_the_agents(an_operator):
    with ApiServer() as server:
        server.unregister(KIND)
        with an_operator(server):
            server.wait_until(lambda: server.open_watches() >= 8)
