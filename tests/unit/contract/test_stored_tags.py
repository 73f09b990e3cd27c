"""Tags in the form in which Datadog stores them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.tags import MOST_BYTES, stored_tag, stored_value


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("env:production", "env:production"),
        ("env:Production", "env:production"),
        ("env:pro duction", "env:pro_duction"),
        ("env:a__b", "env:a_b"),
        ("env:a!?b", "env:a_b"),
        ("env:a_", "env:a"),
        ("env:a_?", "env:a"),
        ("_env:a", "env:a"),
        ("9env:a", "env:a"),
        (":a", ":a"),
        ("env:9.a/b-c", "env:9.a/b-c"),
        ("team:Zürich", "team:zürich"),
        ("team:İ", "team:i"),
        ("team:²", "team:"),
        ("", ""),
        ("x" * 300, "x" * MOST_BYTES),
        ("x" * 199 + "_y", "x" * 199),
        ("ü" * 150, "ü" * 100),
    ],
)
def test_a_tag_is_stored_in_lower_case_with_underscores(sent, stored):
    assert stored_tag(sent) == stored


@given(st.text(max_size=260))
def test_a_stored_tag_does_not_change_again(tag):
    stored = stored_tag(tag)
    assert stored_tag(stored) == stored
    assert len(stored.encode()) <= MOST_BYTES + 3


@pytest.mark.parametrize(
    ("value", "stored"), [("A__b", "a_b"), ("9", "9"), ("production", "production")]
)
def test_a_value_is_stored_as_in_its_tag(value, stored):
    assert stored_value("env", value) == stored
