"""Comparison of live objects with desired ones: values that the API server changes are not drift."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.controllers.agent.decisions.drift import (
    Difference,
    difference,
    is_subset,
)


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "500m"}}),
        ({"requests": {"memory": "1024Mi"}}, {"requests": {"memory": "1Gi"}}),
        ({"requests": {"memory": "1k"}}, {"requests": {"memory": "1000"}}),
        ({"sizeLimit": "1024Ki"}, {"sizeLimit": "1Mi"}),
    ],
)
def test_quantities_are_compared_by_value(desired, live):
    assert is_subset(desired, live)


def test_text_that_looks_like_a_quantity_elsewhere_is_compared_as_text():
    assert not is_subset({"value": "0.5"}, {"value": "500m"})


def test_lists_without_keys_are_compared_in_sequence():
    assert not is_subset(["a", "b"], ["b", "a"])
    assert not is_subset(["a"], ["a", "b"])
    assert not is_subset(["a"], "a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_every_value_is_a_subset_of_itself(value):
    assert is_subset(value, deepcopy(value))


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), JSON)
def test_more_fields_than_desired_do_not_matter(value, more):
    assert is_subset(value, {**value, "added by another client": more})


def test_an_empty_list_that_the_server_does_not_store_is_not_drift():
    assert is_subset({"volumeMounts": [], "name": "a"}, {"name": "a"})
    assert not is_subset({"emptyDir": {}, "name": "a"}, {"name": "a"})


@pytest.mark.parametrize("empty", [None, "", [], ()], ids=repr)
@pytest.mark.parametrize("key", ["value", "args", "nodeSelector", "emptyDir"])
def test_an_empty_value_that_the_server_does_not_store_is_not_drift(key, empty):
    assert is_subset({"name": "a", key: empty}, {"name": "a"})


@pytest.mark.parametrize(
    ("desired", "is_stored"),
    [
        ({"limits": {}}, False),
        ({"resources": {"limits": {}, "requests": {}}}, False),
        ({"resources": {"limits": {"cpu": "1"}}}, True),
        ({"nodeSelector": {}}, False),
        ({"annotations": {}}, False),
        ({"emptyDir": {}}, True),
        ({"podSelector": {}}, True),
        ({"securityContext": {}}, True),
        ({"readOnly": False}, False),
        ({"readOnly": True}, True),
        ({"automountServiceAccountToken": False}, True),
        ({"hostPort": 0}, False),
        ({"hostPort": 80}, True),
        ({"replicas": 0}, True),
        ({"weight": 1.5}, True),
        ({"args": [""]}, True),
    ],
    ids=repr,
)
def test_a_missing_value_is_drift_only_if_the_server_would_store_it(desired, is_stored):
    assert is_subset(desired, {}) is not is_stored


@pytest.mark.parametrize(
    ("desired", "live", "path", "wanted", "stored"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b", 1, 2),
        ({"a": {"b": 1}}, {"a": 7}, "a", {"b": 1}, 7),
        ({"a": [1, 2]}, {"a": [1]}, "a", [1, 2], [1]),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1]", 2, 3),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, "a[x].v", 1, 2),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, "a[x]", {"name": "x"}, None),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "limits.cpu", "1", "2"),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": None}}, "limits.cpu", "1", None),
        ({"on": True}, {"on": 1}, "on", True, 1),
        ({"selector": {"a": "b"}}, {"selector": {"a": "b", "c": "d"}}, "selector", {"a": "b"}, {"a": "b", "c": "d"}),
        ({"selector": {"a": "b"}}, {"selector": "x"}, "selector", {"a": "b"}, "x"),
        ("a", "b", "", "a", "b"),
    ],
)  # fmt: skip
def test_the_first_difference_is_named_with_both_values(desired, live, path, wanted, stored):
    assert difference(desired, live) == Difference(path=path, wanted=wanted, stored=stored)
    assert not is_subset(desired, live)
