import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.controllers.observability.decisions.payloads import (
    differences,
    digest,
    joined_paths,
    kept_fields_text,
    with_kept_fields,
)
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
BODY = st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, max_size=4)


def of(own, remote):
    return differences(ObjectKind.MONITOR, own, remote)


@given(BODY)
def test_a_body_does_not_differ_from_itself(body):
    assert of(body, body) == ()


@given(BODY, BODY)
def test_added_fields_are_not_a_difference(body, more):
    assert of(body, {**more, **body}) == ()


def test_a_difference_is_named_by_its_path():
    own = {"options": {"thresholds": {"critical": 1}}, "widgets": [{"a": 1}, {"a": 2}]}
    remote = {"options": {"thresholds": {"critical": 2}}, "widgets": [{"a": 1}, {"a": 3, "id": 4}]}
    assert of(own, remote) == ("options.thresholds.critical", "widgets[1].a")


def test_missing_fields_and_lists_of_another_length_differ():
    assert of({"a": 1, "b": [1]}, {"b": [1, 2]}) == ("a", "b")
    assert of({"a": {"b": 1}}, {"a": None}) == ("a",)


def test_tags_have_no_sequence_but_additional_tags_differ():
    assert of({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == ()
    assert of({"tags": ["a"]}, {"tags": ["a", "b"]}) == ("tags",)
    assert of({"tags": ["a"]}, {}) == ("tags",)


def test_empty_and_omitted_fields_are_equal():
    own = {"a": None, "b": [], "c": {}, "d": "", "e": False}
    assert of(own, {}) == ()
    assert of(own, {"a": [], "b": None, "c": "", "d": False, "e": None}) == ()
    assert of({"a": 0}, {}) == ("a",)


def test_an_integer_equals_the_same_float():
    assert of({"critical": 15}, {"critical": 15.0}) == ()


def test_only_the_first_differences_are_named():
    paths = tuple(str(number) for number in range(10))
    assert joined_paths(paths) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert joined_paths(("a", "b")) == "a, b"


def test_a_hash_does_not_depend_on_the_sequence_of_fields():
    assert digest(ObjectKind.MONITOR, {"a": 1, "b": 2}) == digest(
        ObjectKind.MONITOR, {"b": 2, "a": 1}
    )
    assert digest(ObjectKind.MONITOR, {"a": 1}) != digest(ObjectKind.MONITOR, {"a": 2})


@pytest.mark.parametrize(
    ("own", "remote", "paths"),
    [
        ({"a": {"b": None}}, {}, ()),
        ({"a": {"b": {"c": []}}}, {"a": None}, ()),
        ({"a": ["x"]}, {"a": ["x"]}, ()),
        ({"a": ["x"]}, {"a": ["y"]}, ("a",)),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1}, {"b": 2}]}, ("a",)),
        ({"a": [{"b": 1}]}, {"a": ["b"]}, ("a",)),
        ({"options": {"timeout_h": 0}}, {"options": {}}, ()),
        ({"options": {"thresholds": {"critical": 0}}}, {"options": {"thresholds": {}}}, None),
    ],
)
def test_nested_fields_are_compared(own, remote, paths):
    assert of(own, remote) == (("options.thresholds",) if paths is None else paths)


def test_an_update_keeps_the_fields_that_only_users_set():
    remote = RemoteObject(
        kind=ObjectKind.LOG_INDEX,
        id="agents",
        body={"exclusion_filters": [{"name": "x"}], "daily_limit": 5, "daily_limit_reset": None},
    )
    body = with_kept_fields(ObjectKind.LOG_INDEX, {"daily_limit": 7}, remote)
    assert body == {"daily_limit": 7, "exclusion_filters": [{"name": "x"}]}
    text = kept_fields_text(ObjectKind.LOG_INDEX, remote)
    assert text == "kept, although not in the spec: exclusion_filters"


@pytest.mark.parametrize("kind", [ObjectKind.MONITOR, ObjectKind.DASHBOARD, ObjectKind.LOG_INDEX])
def test_nothing_is_kept_of_an_object_without_such_fields(kind):
    remote = RemoteObject(kind=kind, id="1", body=None)
    assert with_kept_fields(kind, {"name": "x"}, remote) == {"name": "x"}
    assert kept_fields_text(kind, remote) == ""
