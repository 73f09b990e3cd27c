import copy

import pytest

from purpleflea_operator.controllers.agent.decisions.field_removal import may_remove_fields
from support.removed_fields import WITH_LESS, WITH_MORE, manifests


def a_child(kind, changes):
    return copy.deepcopy(next(item for item in manifests("u", changes) if item["kind"] == kind))


def pod_of(child):
    return child["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", ["ServiceAccount", "NetworkPolicy", "StatefulSet"])
def test_a_child_without_a_field_of_the_live_one_removes_it(kind):
    more, less = a_child(kind, WITH_MORE), a_child(kind, WITH_LESS)
    assert may_remove_fields(less, more)
    assert not may_remove_fields(more, more)


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 9},
        {"trading": {"interval": "7s"}},
        {"strategy": "mean_reversion"},
        {"image": {"repository": "a/b", "tag": "2"}},
    ],
)
def test_another_value_of_a_field_removes_nothing(change):
    for live in manifests("u", WITH_MORE):
        assert not may_remove_fields(a_child(live["kind"], {**WITH_MORE, **change}), live)


def test_a_field_that_is_added_removes_nothing():
    live = a_child("StatefulSet", {**WITH_LESS, "storage": {"size": "1Gi"}})
    desired = copy.deepcopy(live)
    pod_of(desired)["containers"][0]["env"].append({"name": "NEW", "value": "x"})
    pod_of(desired)["priorityClassName"] = "high"
    assert not may_remove_fields(desired, live)


def test_defaults_of_the_api_server_are_not_removed_fields():
    desired = a_child("StatefulSet", WITH_LESS)
    live = copy.deepcopy(desired)
    live["status"] = {"replicas": 1}
    live["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    live["spec"]["template"]["metadata"]["creationTimestamp"] = None
    pod = pod_of(live)
    pod |= {"dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"}
    pod["serviceAccount"] = pod["serviceAccountName"]
    pod["containers"][0]["terminationMessagePolicy"] = "File"
    assert not may_remove_fields(desired, live)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dnsPolicy", "None"),
        ("serviceAccount", "other"),
        ("hostAliases", [{"ip": "127.0.0.1"}]),
        ("tolerations", [{"operator": "Exists"}]),
    ],
)
def test_a_field_that_is_neither_desired_nor_a_default_is_removed(field, value):
    desired = a_child("StatefulSet", WITH_LESS)
    live = copy.deepcopy(desired)
    pod_of(live)[field] = value
    assert may_remove_fields(desired, live)


def test_a_list_without_keys_that_differs_counts_as_removal():
    desired, live = a_child("NetworkPolicy", WITH_LESS), a_child("NetworkPolicy", WITH_LESS)
    live["spec"]["policyTypes"] = ["Egress"]
    assert may_remove_fields(desired, live)


@pytest.mark.parametrize(("changed", "expected"), [({"topologyKey": "node"}, True), ({}, False)])
def test_an_item_with_another_key_counts_as_removal(changed, expected):
    constraints = [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    desired = a_child("StatefulSet", {"pod": {"topologySpreadConstraints": constraints}})
    live = copy.deepcopy(desired)
    pod_of(live)["topologySpreadConstraints"][0] |= changed
    assert may_remove_fields(desired, live) is expected


def test_an_item_of_a_list_with_keys_can_lose_a_field():
    desired, live = a_child("StatefulSet", WITH_LESS), a_child("StatefulSet", WITH_LESS)
    pod_of(live)["containers"][0]["env"][0]["more"] = "x"
    assert may_remove_fields(desired, live)
