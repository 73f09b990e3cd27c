"""Two resources in one organization: each has its objects, and shared objects are removed with the last resource."""

import pytest

from purpleflea_operator.kube.object_cache import NamespacedName
from support.datadog_api import DatadogApi
from support.desired_objects import METRICS, MONITORS
from support.observability_scenario import KEY, KIND, NS, a_resource

SECOND = NamespacedName(NS, "second")


def put_second(scenario, **spec):
    resource = a_resource(scenario.datadog.url, uid="second-uid", env="staging", **spec)
    resource["metadata"]["name"] = SECOND.name
    scenario.server.put(resource)


def delete(scenario, key=KEY):
    scenario.server.delete(KIND, NS, key.name)


def records(scenario, key, kind):
    status = scenario.server.get(KIND, NS, key.name)["status"]
    return [item for item in status["objects"] if item["kind"] == kind]


@pytest.fixture
async def both(scenario):
    scenario.put()
    await scenario.reconcile()
    put_second(scenario)
    await scenario.reconcile(key=SECOND)


async def test_each_resource_creates_its_objects_and_does_not_change_the_others(scenario, both):
    assert len(scenario.datadog.organisation.monitors) == 2 * MONITORS
    scenario.datadog.request_log.clear()
    for key in (KEY, SECOND):
        await scenario.reconcile(key=key)
    assert scenario.datadog.request_log.writes() == []


async def test_metric_configurations_stay_while_the_other_resource_uses_them(scenario, both):
    delete(scenario)
    await scenario.reconcile()
    assert len(scenario.datadog.organisation.monitors) == MONITORS
    assert len(scenario.datadog.organisation.metric_tags) == METRICS
    assert "another resource uses them" in scenario.events()["Removed"]
    scenario.datadog.request_log.clear()
    await scenario.reconcile(key=SECOND)
    assert scenario.datadog.request_log.writes() == []


@pytest.mark.parametrize("sequence", [(KEY, SECOND), (SECOND, KEY)])
async def test_the_last_resource_that_uses_the_metric_configurations_removes_them(
    scenario, both, sequence
):
    for key in sequence:
        delete(scenario, key)
        await scenario.reconcile(key=key)
    assert scenario.datadog.organisation.metric_tags == {}
    assert "LeftBehind" not in scenario.events()


async def test_resources_that_are_deleted_together_leave_nothing(scenario, both):
    delete(scenario)
    delete(scenario, SECOND)
    for key in (KEY, SECOND):
        await scenario.reconcile(key=key)
    assert scenario.datadog.organisation.metric_tags == {}
    assert scenario.datadog.organisation.monitors == {}


async def test_disabling_the_feature_keeps_the_configurations_of_the_other(scenario, both):
    scenario.put(features={"metrics": False})
    await scenario.reconcile()
    assert len(scenario.datadog.organisation.metric_tags) == METRICS
    assert records(scenario, KEY, "metric-tags") == []
    assert "ObjectsLeft" not in scenario.events()


@pytest.mark.parametrize(
    "spec", [{"features": {"metrics": False}}, {"mode": "Plan"}, {"resync": "soon"}]
)
async def test_a_resource_that_uses_no_metric_configurations_keeps_none(scenario, spec):
    scenario.put()
    await scenario.reconcile()
    put_second(scenario, **spec)
    delete(scenario)
    await scenario.reconcile()
    assert scenario.datadog.organisation.metric_tags == {}


async def test_a_resource_with_another_address_does_not_share(scenario):
    scenario.put()
    await scenario.reconcile()
    async with DatadogApi() as other:
        resource = a_resource(other.url, uid="second-uid")
        resource["metadata"]["name"] = SECOND.name
        scenario.server.put(resource)
        delete(scenario)
        await scenario.reconcile()
    assert scenario.datadog.organisation.metric_tags == {}


@pytest.fixture
async def indexes(scenario):
    """Two resources, each with a log index."""
    scenario.put(features={"logIndex": True})
    await scenario.reconcile()
    put_second(scenario, features={"logIndex": True}, logIndex={"name": "staging-agents"})
    await scenario.reconcile(key=SECOND)
    return scenario.datadog.organisation.logs


async def test_two_indexes_stay_before_all_others_without_further_writes(scenario, indexes):
    assert list(indexes.indexes) == ["purpleflea-agents", "staging-agents", "main"]
    scenario.datadog.request_log.clear()
    for key in (KEY, SECOND, KEY, SECOND):
        await scenario.reconcile(key=key)
    assert scenario.datadog.request_log.writes() == []


async def test_an_index_that_a_user_moves_before_both_is_moved_behind_them_once(scenario, indexes):
    sequence = ["main", "purpleflea-agents", "staging-agents"]
    indexes.indexes = {name: indexes.indexes[name] for name in sequence}
    for key in (KEY, SECOND):
        await scenario.reconcile(key=key)
    assert list(indexes.indexes)[-1] == "main"
    scenario.datadog.request_log.clear()
    for key in (KEY, SECOND):
        await scenario.reconcile(key=key)
    assert scenario.datadog.request_log.writes() == []


async def test_an_index_name_belongs_to_the_first_resource(scenario):
    scenario.put(features={"logIndex": True})
    await scenario.reconcile()
    put_second(scenario, features={"logIndex": True}, logIndex={"retentionDays": 3})
    scenario.datadog.request_log.clear()
    await scenario.reconcile(key=SECOND)
    (record,) = records(scenario, SECOND, "log-index")
    assert (record["state"], "does not belong to this resource" in record["lastError"]) == (
        "Failed",
        True,
    )
    tags = scenario.datadog.organisation.logs.indexes["purpleflea-agents"]["tags"]
    assert "purpleflea-uid:pfo-uid" in tags


def condition(scenario, key, kind="Synced"):
    conditions = scenario.server.get(KIND, NS, key.name)["status"]["conditions"]
    return next(item for item in conditions if item["type"] == kind)


@pytest.mark.parametrize("mode", ["Manage", "Plan"])
async def test_the_objects_of_a_living_resource_are_not_taken_over(scenario, mode):
    scenario.put()
    await scenario.reconcile()
    owned = {item.id: list(item.tags) for item in scenario.datadog.organisation.monitors.values()}
    put_second(scenario, adoptFrom=["gone-uid", "pfo-uid"], mode=mode)
    scenario.datadog.request_log.clear()
    await scenario.reconcile(key=SECOND)
    assert scenario.datadog.request_log.writes() == []
    found = condition(scenario, SECOND)
    assert (found["status"], found["reason"]) == ("False", "OwnerExists")
    assert f"{NS}/{KEY.name} (pfo-uid)" in found["message"]
    assert {i.id: list(i.tags) for i in scenario.datadog.organisation.monitors.values()} == owned


async def test_the_deletion_of_the_second_resource_leaves_the_objects_of_the_living_one(scenario):
    scenario.put()
    await scenario.reconcile()
    put_second(scenario, adoptFrom=["pfo-uid"])
    await scenario.reconcile(key=SECOND)
    scenario.datadog.request_log.clear()
    delete(scenario, SECOND)
    await scenario.reconcile(key=SECOND)
    assert scenario.datadog.request_log.writes() == []
    assert len(scenario.datadog.organisation.monitors) == MONITORS


async def test_the_objects_are_taken_over_when_the_former_resource_is_gone(scenario):
    scenario.put(deletionPolicy="Retain")
    await scenario.reconcile()
    ids = set(scenario.datadog.organisation.monitors)
    put_second(scenario, adoptFrom=["pfo-uid"], deletionPolicy="Retain")
    await scenario.reconcile(key=SECOND)
    assert condition(scenario, SECOND)["reason"] == "OwnerExists"
    delete(scenario)
    await scenario.reconcile()
    await scenario.reconcile(key=SECOND)
    assert condition(scenario, SECOND)["reason"] != "OwnerExists"
    assert set(scenario.datadog.organisation.monitors) == ids
