"""Two resources in one organisation: each has what is its own, and what they share goes with the last of them."""

import pytest

from purpleflea_operator.kube.object_cache import NamespacedName
from support.datadog_api import DatadogApi
from support.observability_trial import KEY, KIND, NS, a_resource

SECOND = NamespacedName(NS, "second")
METRICS = 14


def put_second(trial, **spec):
    made = a_resource(trial.datadog.url, uid="second-uid", env="staging", **spec)
    made["metadata"]["name"] = SECOND.name
    trial.server.put(made)


def delete(trial, key=KEY):
    trial.server.delete(KIND, NS, key.name)


def entries(trial, key, kind):
    status = trial.server.get(KIND, NS, key.name)["status"]
    return [item for item in status["objects"] if item["kind"] == kind]


@pytest.fixture
async def two(trial):
    trial.put()
    await trial.look()
    put_second(trial)
    await trial.look(key=SECOND)


async def test_each_makes_its_own_and_leaves_the_other_alone(trial, two):
    assert len(trial.datadog.organisation.monitors) == 22
    trial.datadog.request_log.clear()
    for key in (KEY, SECOND):
        await trial.look(key=key)
    assert trial.datadog.request_log.writes() == []


async def test_metric_configurations_stay_while_the_other_wants_them(trial, two):
    delete(trial)
    await trial.look()
    assert len(trial.datadog.organisation.monitors) == 11
    assert len(trial.datadog.organisation.metric_tags) == METRICS
    assert "another resource wants them" in trial.events()["Removed"]
    trial.datadog.request_log.clear()
    await trial.look(key=SECOND)
    assert trial.datadog.request_log.writes() == []


@pytest.mark.parametrize("order", [(KEY, SECOND), (SECOND, KEY)])
async def test_the_last_that_wants_the_metric_configurations_removes_them(trial, two, order):
    for key in order:
        delete(trial, key)
        await trial.look(key=key)
    assert trial.datadog.organisation.metric_tags == {}
    assert "LeftBehind" not in trial.events()


async def test_deleted_together_as_with_their_namespace_they_leave_nothing(trial, two):
    delete(trial)
    delete(trial, SECOND)
    for key in (KEY, SECOND):
        await trial.look(key=key)
    assert trial.datadog.organisation.metric_tags == {}
    assert trial.datadog.organisation.monitors == {}


async def test_leaving_out_the_feature_takes_nothing_from_the_other(trial, two):
    trial.put(features={"metrics": False})
    await trial.look()
    assert len(trial.datadog.organisation.metric_tags) == METRICS
    assert entries(trial, KEY, "metric-tags") == []
    assert "ObjectsLeft" not in trial.events()


@pytest.mark.parametrize(
    "spec", [{"features": {"metrics": False}}, {"mode": "Plan"}, {"resync": "soon"}]
)
async def test_another_that_wants_no_metric_configurations_keeps_none(trial, spec):
    trial.put()
    await trial.look()
    put_second(trial, **spec)
    delete(trial)
    await trial.look()
    assert trial.datadog.organisation.metric_tags == {}


async def test_a_resource_of_another_address_is_no_neighbour(trial):
    trial.put()
    await trial.look()
    async with DatadogApi() as other:
        made = a_resource(other.url, uid="second-uid")
        made["metadata"]["name"] = SECOND.name
        trial.server.put(made)
        delete(trial)
        await trial.look()
    assert trial.datadog.organisation.metric_tags == {}


@pytest.fixture
async def indexes(trial):
    """Both with an index of their own."""
    trial.put(features={"logIndex": True})
    await trial.look()
    put_second(trial, features={"logIndex": True}, logIndex={"name": "staging-agents"})
    await trial.look(key=SECOND)
    return trial.datadog.organisation.logs


async def test_two_indexes_come_to_rest_before_all_others(trial, indexes):
    assert list(indexes.indexes) == ["purpleflea-agents", "staging-agents", "main"]
    trial.datadog.request_log.clear()
    for key in (KEY, SECOND, KEY, SECOND):
        await trial.look(key=key)
    assert trial.datadog.request_log.writes() == []


async def test_an_index_that_somebody_puts_before_both_is_put_behind_them_once(trial, indexes):
    order = ["main", "purpleflea-agents", "staging-agents"]
    indexes.indexes = {name: indexes.indexes[name] for name in order}
    for key in (KEY, SECOND):
        await trial.look(key=key)
    assert list(indexes.indexes)[-1] == "main"
    trial.datadog.request_log.clear()
    for key in (KEY, SECOND):
        await trial.look(key=key)
    assert trial.datadog.request_log.writes() == []


async def test_an_index_of_the_same_name_is_that_of_the_first(trial):
    trial.put(features={"logIndex": True})
    await trial.look()
    put_second(trial, features={"logIndex": True}, logIndex={"retentionDays": 3})
    trial.datadog.request_log.clear()
    await trial.look(key=SECOND)
    (entry,) = entries(trial, SECOND, "log-index")
    assert (entry["state"], "somebody else" in entry["lastError"]) == ("Failed", True)
    tags = trial.datadog.organisation.logs.indexes["purpleflea-agents"]["tags"]
    assert "purpleflea-uid:pfo-uid" in tags
