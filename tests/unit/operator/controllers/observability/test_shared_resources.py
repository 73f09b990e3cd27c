import pytest

from purpleflea_contract import metrics
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions.shared_resources import (
    SharedResources,
    living_owners,
    shared_resources,
)

HERE = ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}})
HEARTBEAT = {"kind": "metric-tags", "key": "agent.heartbeat", "state": "InSync"}
METRICS = len(metrics.METRICS)


def another(*objects, deleted=False, **spec):
    metadata = {"name": "other"} | ({"deletionTimestamp": "now"} if deleted else {})
    wanted = {"keysSecretRef": {"name": "keys"}, **spec}
    return {"metadata": metadata, "spec": wanted, "status": {"objects": list(objects)}}


def shared_with(*others):
    return shared_resources(others, HERE)


def test_without_others_nothing_is_shared():
    assert shared_with() == SharedResources()


def test_another_resource_of_the_same_address_uses_its_metrics():
    assert len(shared_with(another()).wanted) == METRICS


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
def test_a_resource_elsewhere_or_deleted_or_without_the_feature_uses_none(other):
    assert shared_with(other).wanted == frozenset()


@pytest.mark.parametrize("deleted", [False, True])
def test_a_resource_whose_spec_became_invalid_keeps_what_its_status_names(deleted):
    record = {**HEARTBEAT, "id": "agent.heartbeat"}
    burn = {"fastBurn": {"rate": 100}}
    shared = shared_with(another(record, objective=burn, deleted=deleted))
    assert shared.created == {"agent.heartbeat"}
    assert shared.wanted == (frozenset() if deleted else {"agent.heartbeat"})


@pytest.mark.parametrize(
    ("record", "is_created"),
    [
        ({**HEARTBEAT, "id": "agent.heartbeat"}, True),
        ({**HEARTBEAT, "state": "Creating"}, True),
        ({**HEARTBEAT, "id": "agent.heartbeat", "adopted": True}, False),
        ({**HEARTBEAT, "state": "Waiting"}, False),
        ({"kind": "monitor", "key": "drawdown", "state": "InSync", "id": "1"}, False),
    ],
)
def test_configurations_that_another_resource_created_or_is_creating_are_known(record, is_created):
    assert shared_with(another(record)).created == (
        {"agent.heartbeat"} if is_created else frozenset()
    )


def test_a_resource_without_a_status_created_nothing():
    fresh = another()
    del fresh["status"]
    assert shared_with(fresh).created == frozenset()


def test_resources_of_adopt_from_that_exist_are_living_owners():
    spec = ObservabilitySpec.model_validate(
        {"keysSecretRef": {"name": "keys"}, "adoptFrom": ["uid-a", "uid-gone"]}
    )
    others = [
        {"metadata": {"uid": uid, "namespace": "ns", "name": uid}} for uid in ("uid-a", "uid-b")
    ]
    assert living_owners(others, spec) == {"uid-a": "ns/uid-a"}
