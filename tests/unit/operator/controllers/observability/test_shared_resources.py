import pytest

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions.shared_resources import (
    SharedResources,
    neighbours,
)

HERE = ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}})
HEARTBEAT = {"kind": "metric-tags", "key": "agent.heartbeat", "state": "InSync"}
METRICS = 14


def another(*objects, deleted=False, **spec):
    metadata = {"name": "other"} | ({"deletionTimestamp": "now"} if deleted else {})
    wanted = {"keysSecretRef": {"name": "keys"}, **spec}
    return {"metadata": metadata, "spec": wanted, "status": {"objects": list(objects)}}


def seen(*others):
    return neighbours(others, HERE)


def test_without_others_nothing_is_shared():
    assert seen() == SharedResources()


def test_another_resource_of_the_same_address_wants_its_metrics():
    assert len(seen(another()).wanted) == METRICS


@pytest.mark.parametrize(
    "other",
    [
        another(site="datadoghq.eu"),
        another(features={"metrics": False}),
        another(mode="Plan"),
        another(deleted=True),
        another(resync=5),
    ],
)
def test_one_that_is_elsewhere_going_or_does_not_want_them_wants_none(other):
    assert seen(other).wanted == frozenset()


@pytest.mark.parametrize(
    ("entry", "is_made"),
    [
        ({**HEARTBEAT, "id": "agent.heartbeat"}, True),
        ({**HEARTBEAT, "state": "Creating"}, True),
        ({**HEARTBEAT, "id": "agent.heartbeat", "adopted": True}, False),
        ({**HEARTBEAT, "state": "Waiting"}, False),
        ({"kind": "monitor", "key": "drawdown", "state": "InSync", "id": "1"}, False),
    ],
)
def test_what_another_made_or_is_making_is_known(entry, is_made):
    assert seen(another(entry)).made == ({"agent.heartbeat"} if is_made else frozenset())


def test_a_resource_that_was_never_looked_at_made_nothing():
    fresh = another()
    del fresh["status"]
    assert seen(fresh).made == frozenset()
