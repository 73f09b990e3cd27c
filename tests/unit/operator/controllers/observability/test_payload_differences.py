from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.controllers.observability.decisions.payloads import (
    differences,
    digest,
    shown,
)
from purpleflea_operator.datadog.definitions.objects import ObjectKind

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)
BODY = st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, max_size=4)


def of(ours, theirs):
    return differences(ObjectKind.MONITOR, ours, theirs)


@given(BODY)
def test_nothing_differs_from_itself(body):
    assert of(body, body) == ()


@given(BODY, BODY)
def test_what_others_add_is_no_difference(body, more):
    assert of(body, {**more, **body}) == ()


def test_a_difference_is_named_by_its_path():
    ours = {"options": {"thresholds": {"critical": 1}}, "widgets": [{"a": 1}, {"a": 2}]}
    theirs = {"options": {"thresholds": {"critical": 2}}, "widgets": [{"a": 1}, {"a": 3, "id": 4}]}
    assert of(ours, theirs) == ("options.thresholds.critical", "widgets[1].a")


def test_what_is_missing_or_of_another_length_differs():
    assert of({"a": 1, "b": [1]}, {"b": [1, 2]}) == ("a", "b")
    assert of({"a": {"b": 1}}, {"a": None}) == ("a",)


def test_tags_have_no_order_and_no_extras():
    assert of({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == ()
    assert of({"tags": ["a"]}, {"tags": ["a", "b"]}) == ("tags",)
    assert of({"tags": ["a"]}, {}) == ("tags",)


def test_empty_and_left_out_say_the_same():
    ours = {"a": None, "b": [], "c": {}, "d": "", "e": False}
    assert of(ours, {}) == ()
    assert of(ours, {"a": [], "b": None, "c": "", "d": False, "e": None}) == ()
    assert of({"a": 0}, {}) == ("a",)


def test_a_whole_number_equals_its_fraction():
    assert of({"critical": 15}, {"critical": 15.0}) == ()


def test_many_differences_are_shown_as_a_few():
    paths = tuple(str(number) for number in range(10))
    assert shown(paths) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert shown(("a", "b")) == "a, b"


def test_a_hash_does_not_depend_on_the_order_of_fields():
    assert digest(ObjectKind.MONITOR, {"a": 1, "b": 2}) == digest(
        ObjectKind.MONITOR, {"b": 2, "a": 1}
    )
    assert digest(ObjectKind.MONITOR, {"a": 1}) != digest(ObjectKind.MONITOR, {"a": 2})
