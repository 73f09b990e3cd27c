"""Objects with values of wrong types: these are left out, and everything else is kept."""

import copy

import pytest

from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_shapes import shaped
from support.builders import a_pod, an_agent

HOSTILE = [None, "", "x", True, 0, -1, 2**64, 1.5, float("inf"), [], [None], [[]], {}, {"": None}]


def at(manifest, path, value):
    """Return a copy of the manifest with a value at a path."""
    found = copy.deepcopy(manifest)
    *parents, last = path
    node = found
    for key in parents:
        node = node[key]
    node[last] = value
    return found


def a_child(**parts):
    metadata = {"name": "momentum", "uid": "u", "labels": {"a": "b"}, **parts.pop("metadata", {})}
    return {"kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": 2}, **parts}


@pytest.mark.parametrize(
    ("kind", "manifest"),
    [
        (resources.POD, a_pod(restarts=2, waiting="CrashLoopBackOff")),
        (resources.AGENT, an_agent()),
        (resources.STATEFUL_SET, a_child(status={"replicas": 2})),
        (resources.NODE, {"metadata": None}),
    ],
    ids=["pod", "agent", "StatefulSet", "a kind without a shape"],
)
def test_an_object_with_correct_types_is_unchanged(kind, manifest):
    assert shaped(kind, manifest) == manifest


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("metadata", "labels"), dict),
        (("metadata", "annotations"), dict),
        (("metadata", "ownerReferences"), list),
        (("spec", "volumeClaimTemplates"), list),
        (("spec", "updateStrategy"), dict),
        (("status",), dict),
    ],
    ids=lambda item: ".".join(item) if isinstance(item, tuple) else item.__name__,
)
def test_a_mapping_or_list_of_a_wrong_type_becomes_empty(path, expected, value):
    found = shaped(resources.STATEFUL_SET, at(a_child(), path, value))
    for key in path:
        found = found.get(key, expected())
    assert isinstance(found, expected)
    assert value == found or len(found) == 0 or found == {"": None}


@pytest.mark.parametrize(
    ("path", "value", "is_kept"),
    [
        (("spec", "replicas"), 3, True),
        (("spec", "replicas"), "3", False),
        (("spec", "replicas"), True, False),
        (("spec", "replicas"), 2**63, False),
        (("spec", "replicas"), -(2**63), True),
        (("spec", "replicas"), 1.5, False),
        (("metadata", "creationTimestamp"), "2026-01-01T00:00:00Z", True),
        (("metadata", "creationTimestamp"), 5, False),
        (("spec", "somethingElse"), [1, {}], True),
    ],
)
def test_a_value_of_a_wrong_type_is_left_out(path, value, is_kept):
    found = shaped(resources.STATEFUL_SET, at(a_child(), path, value))
    assert (found[path[0]].get(path[1]) == value) is is_kept


def test_items_without_a_required_field_are_left_out():
    owners = [{"kind": "A", "name": "a", "uid": "u"}, {"kind": "A"}, {"kind": 1, "name": "b"}, None]
    found = shaped(resources.CONFIG_MAP, a_child(metadata={"ownerReferences": owners}))
    assert found["metadata"]["ownerReferences"] == owners[:1]


def test_a_condition_of_the_status_needs_its_type_status_reason_and_time():
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "x"}
    broken = [{key: item for key, item in condition.items() if key != left} for left in condition]
    agent = {**an_agent(), "status": {"conditions": [condition, *broken, "x"]}}
    assert shaped(resources.AGENT, agent)["status"]["conditions"] == [condition]


def test_the_spec_of_an_agent_is_kept_because_its_validation_names_the_field():
    for spec in HOSTILE:
        assert shaped(resources.AGENT, {**an_agent(), "spec": spec})["spec"] is spec


def test_missing_parts_that_every_object_has_are_added():
    assert shaped(resources.AGENT, {"metadata": {}})["metadata"] == {"generation": 0}
    assert shaped(resources.POD, {"metadata": {}})["spec"] == {}
    assert shaped(resources.CLAIM, {"metadata": 7}) == {"metadata": {}}
