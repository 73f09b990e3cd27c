"""Values at the edges of the normalizations: which pairs of a request and a response are equal, and which are edits."""

import pytest

from purpleflea_contract.quantities import decimal_text
from purpleflea_contract.tags import stored_tag
from purpleflea_operator.controllers.observability.decisions.payloads import differences
from purpleflea_operator.datadog.client.models import WRAPPED
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.queries import number

MONITOR = ObjectKind.MONITOR


def is_equal(kind, field, sent, answered):
    """Return whether a field, which may be inside of options, counts as unchanged."""
    *parents, last = field.split(".")
    own, remote = {last: sent}, {last: answered}
    for name in reversed(parents):
        own, remote = {name: own}, {name: remote}
    body = {"data": {"attributes": own}} if kind in WRAPPED else own
    return differences(kind, body, remote) == ()


LEVEL = "options.thresholds.critical"


@pytest.mark.parametrize(
    ("sent", "answered", "expected"),
    [
        (15, 15.0, True),
        (0.1 + 0.2, 0.30000000000000004, True),
        (0.1 + 0.2, 0.3, False),
        (-0.0, 0, True),
        (0, 0.0, True),
        (0, None, False),
        (10**21, 1e21, True),
        (2**53, float(2**53), True),
        (2**53 + 1, 2**53, False),
        (2**53 + 1, 2**53 + 1, True),
        (2**64, 2**64 + 1, False),
        (1, 10**400, False),
        (10**400, 1, False),
        (1e308, -(10**400), False),
        (1_000_000, "1000000", False),
        (15, [15], False),
        (15, {"value": 15}, False),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_numbers_are_compared_by_their_value(sent, answered, expected):
    assert is_equal(MONITOR, LEVEL, sent, answered) is expected


@pytest.mark.parametrize(
    ("sent", "answered", "expected"),
    [
        # Go's TrimSpace, which the provider uses, and Python's strip remove the same characters.
        *((f"x{space}", "x", True) for space in "\n\r\t\v\f \u0085\u00a0\u2003\u3000"),
        *((f"{space}x", "x", True) for space in "\n\t \u00a0"),
        ("x\r\n\r\n", "x", True),
        # A byte order mark and a joiner without width are no white space.
        ("x\ufeff", "x", False),
        ("x\u200b", "x", False),
        # White space inside of a text is a part of it, also at the end of a line.
        ("a \nb", "a\nb", False),
        ("a\r\nb", "a\nb", False),
        ("a\tb", "a b", False),
        ("a\u00a0b", "a b", False),
        # Two forms of the same letter.
        ("e\u0301", "\u00e9", False),
        ("X", "x", False),
        ("", None, True),
        ("x", None, False),
    ],
)
def test_texts_are_compared_without_the_white_space_around_them(sent, answered, expected):
    for field in ("message", "query", "options.escalation_message"):
        assert is_equal(MONITOR, field, sent, answered) is expected
    for field in ("description", "query.numerator", "query.denominator"):
        assert is_equal(ObjectKind.SLO, field, sent, answered) is expected


def test_names_are_compared_with_the_white_space_around_them():
    """Objects are matched by their names, and Datadog does not change them."""
    for kind in (MONITOR, ObjectKind.SLO, ObjectKind.LOG_PIPELINE, ObjectKind.SCANNER_GROUP):
        assert not is_equal(kind, "name", "x ", "x")


@pytest.mark.parametrize(
    ("tag", "stored"),
    [
        ("Team:A/B", "team:a/b"),
        ("a__b", "a_b"),
        ("a:b_", "a:b"),
        ("a:b___", "a:b"),
        ("a:b_._", "a:b_."),
        ("_a:b", "a:b"),
        ("9a:b", "a:b"),
        ("-a", "a"),
        (":a", ":a"),
        ("a:b//c", "a:b//c"),
        ("a:b,c", "a:b_c"),
        ("a: b ", "a:_b"),
        ("a:b\u00a0c", "a:b_c"),
        ("a:b\tc", "a:b_c"),
        ("a:b\r\nc", "a:b_c"),
        ("\u00c9:1", "\u00e9:1"),
        ("a:\u1e9e", "a:\u00df"),
        ("a:\u0130", "a:i"),
        ("a:\u65e5\u672c", "a:\u65e5\u672c"),
        ("a:\u00b2", "a:"),
        ("a" * 250, "a" * 200),
        ("a:" + "b" * 300, "a:" + "b" * 198),
        ("a:" + "\u00e9" * 120, "a:" + "\u00e9" * 99),
        ("", ""),
        ("1", ""),
    ],
)
def test_a_tag_is_compared_in_the_form_that_datadog_stores(tag, stored):
    assert stored_tag(tag) == stored
    # A second pass compares the stored form with itself.
    assert stored_tag(stored) == stored
    for kind in (MONITOR, ObjectKind.SLO, ObjectKind.DASHBOARD, ObjectKind.LOG_PIPELINE):
        assert is_equal(kind, "tags", [tag, "env:x"], ["env:x", stored])
        assert not is_equal(kind, "tags", [tag], [f"{stored[:50]}z"])


@pytest.mark.parametrize(
    ("kind", "field", "has_a_sequence"),
    [
        (MONITOR, "restricted_roles", False),
        (MONITOR, "options.notify_by", False),
        (MONITOR, "options.renotify_statuses", False),
        (ObjectKind.DASHBOARD, "notify_list", False),
        (ObjectKind.DASHBOARD, "restricted_roles", False),
        (ObjectKind.SCANNER_GROUP, "product_list", False),
        (ObjectKind.METRIC_TAGS, "tags", False),
        # The sequence is shown to users, or decides.
        (ObjectKind.DASHBOARD, "template_variables", True),
        (ObjectKind.DASHBOARD, "widgets", True),
        (ObjectKind.NOTEBOOK, "cells", True),
        (ObjectKind.LOG_PIPELINE, "processors", True),
        (ObjectKind.LOG_INDEX_ORDER, "index_names", True),
        (ObjectKind.LOG_INDEX, "exclusion_filters", True),
        (ObjectKind.SLO, "thresholds", True),
        (ObjectKind.SLO, "monitor_ids", True),
    ],
)
def test_a_list_is_compared_with_its_sequence_only_if_it_has_one(kind, field, has_a_sequence):
    values = ["b", "a", "c"]
    if field in ("template_variables", "widgets", "cells", "processors", "thresholds"):
        values = [{"name": name} for name in values]
    assert is_equal(kind, field, values, sorted(values, key=str)) is not has_a_sequence
    assert is_equal(kind, field, values, list(values))
    assert not is_equal(kind, field, values, values[:2])
    assert not is_equal(kind, field, values, None)


EMPTY = (None, False, "", [], {})


@pytest.mark.parametrize("sent", EMPTY, ids=repr)
@pytest.mark.parametrize("answered", EMPTY, ids=repr)
def test_empty_values_are_equal(sent, answered):
    for field in ("x", "options.x", "options.thresholds.x", "restricted_roles", "tags", "message"):
        assert is_equal(MONITOR, field, sent, answered)
        assert not is_equal(MONITOR, field, sent, ["y"])


@pytest.mark.parametrize(
    ("field", "is_empty"),
    [
        ("priority", True),
        ("options.timeout_h", True),
        ("options.evaluation_delay", True),
        ("options.renotify_interval", True),
        ("options.renotify_occurrences", True),
        # A level or a delay of 0 has a meaning.
        (LEVEL, False),
        ("options.thresholds.warning_recovery", False),
        ("options.new_group_delay", False),
        ("options.no_data_timeframe", False),
    ],
)
def test_0_and_an_omitted_field_are_equal_where_datadog_omits_a_0(field, is_empty):
    for zero in (0, 0.0, -0.0):
        for absent in (None, "", []):
            assert is_equal(MONITOR, field, zero, absent) is is_empty
            assert is_equal(MONITOR, field, absent, zero) is is_empty
        assert not is_equal(MONITOR, field, zero, 5)


@pytest.mark.parametrize(
    "value",
    [
        *(1e21, 0.1 + 0.2, 2.0**53 + 1, 1e-9, 1e-7, 123456789.123456789, 1e9, 5e-324, 1e16),
        *(
            1.0,
            100.0,
            12345678.9,
            12.345678,
            1_000_000.0,
            99.999999,
            14.4,
            0.0,
            1.7976931348623157e308,
        ),
    ],
)
def test_a_number_in_a_query_parses_to_exactly_the_same_number(value):
    text = decimal_text(value)
    assert float(text) == value
    assert "e" not in text.lower()
    assert number(value) == text


def test_a_negative_zero_has_no_sign_in_a_query():
    assert decimal_text(-0.0) == number(-0.0) == "0"
