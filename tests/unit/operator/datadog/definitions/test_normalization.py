"""Each row of the table of normalizations: a response that it explains, and one that remains a difference."""

from dataclasses import dataclass
from typing import Any

import pytest

from purpleflea_operator.controllers.observability.decisions.payloads import differences
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.normalization import NORMALIZATIONS, normal_form
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

EVERYTHING = catalog.everything(Parameters(features=frozenset(Feature)))


@dataclass(frozen=True, slots=True)
class Example:
    """A value of a request, a value of the response that means the same, and one that does not."""

    row: str
    kind: ObjectKind
    field: str
    sent: Any
    answered: Any
    edited: Any


EXAMPLES = (
    Example("white space", ObjectKind.MONITOR, "message", "Halt it.\n", "Halt it.", "Halt"),
    Example("white space", ObjectKind.MONITOR, "query", " a > 1\n", "a > 1", "a > 2"),
    Example("white space", ObjectKind.MONITOR, "options.escalation_message", "x ", "x", "y"),
    Example("white space", ObjectKind.SLO, "description", "x\n", "x", "y"),
    Example("white space", ObjectKind.SLO, "query.numerator", "x\t", "x", "y"),
    Example("white space", ObjectKind.SLO, "query.denominator", "\nx", "x", "y"),
    Example("metric alert", ObjectKind.MONITOR, "type", "query alert", "metric alert", "log alert"),
    Example("tags", ObjectKind.MONITOR, "tags", ["b:1", "a:B__c"], ["a:b_c", "b:1"], ["a:b_c"]),
    Example("tags", ObjectKind.SLO, "tags", ["team:A"], ["team:a"], ["team:b"]),
    Example("tags", ObjectKind.DASHBOARD, "tags", ["team:A"], ["team:a"], ["team:b"]),
    Example("tags", ObjectKind.LOG_PIPELINE, "tags", ["b:1", "a:1"], ["a:1", "b:1"], ["a:1"]),
    Example("tags", ObjectKind.LOG_INDEX, "tags", ["b:1", "a:1"], ["a:1", "b:1"], ["a:1"]),
    Example("tags", ObjectKind.METRIC_TAGS, "tags", ["env", "agent_id"], ["agent_id", "env"], []),
    Example("tags", ObjectKind.SCANNER_RULE, "tags", ["b:1", "a:1"], ["a:1", "b:1"], ["a:1"]),
    Example(
        "without a sequence", ObjectKind.MONITOR, "restricted_roles", ["b", "a"], ["a", "b"], ["a"]
    ),
    Example(
        "without a sequence", ObjectKind.MONITOR, "options.notify_by", ["b", "a"], ["a", "b"], []
    ),
    Example(
        "without a sequence",
        ObjectKind.MONITOR,
        "options.renotify_statuses",
        ["warn", "alert"],
        ["alert", "warn"],
        ["alert"],
    ),
    Example(
        "without a sequence", ObjectKind.DASHBOARD, "notify_list", ["b", "a"], ["a", "b"], ["a"]
    ),
    Example(
        "without a sequence",
        ObjectKind.DASHBOARD,
        "restricted_roles",
        ["b", "a"],
        ["a", "b"],
        ["a"],
    ),
    Example(
        "without a sequence",
        ObjectKind.SCANNER_GROUP,
        "product_list",
        ["b", "a"],
        ["a", "b"],
        ["a"],
    ),
    Example("empty query", ObjectKind.SCANNER_GROUP, "filter.query", "*", "", "service:x"),
    *(
        Example("0 and an omitted field", ObjectKind.MONITOR, field, 0, None, 5)
        for field in (
            "priority",
            "options.evaluation_delay",
            "options.renotify_interval",
            "options.renotify_occurrences",
            "options.timeout_h",
        )
    ),
    Example(
        "value default", ObjectKind.MONITOR, "options.on_missing_data", "default", None, "resolve"
    ),
    Example("whole numbers", ObjectKind.MONITOR, "options.thresholds.critical", 2, 2.0, 2.5),
    Example("whole numbers", ObjectKind.LOG_INDEX, "daily_limit", 200_000, 200_000.0, None),
    Example(
        "false, empty and omitted", ObjectKind.MONITOR, "options.thresholds", {}, None, {"a": 1}
    ),
    Example(
        "false, empty and omitted", ObjectKind.LOG_INDEX, "disable_daily_limit", False, None, True
    ),
    Example("false, empty and omitted", ObjectKind.SCANNER_GROUP, "description", "", None, "x"),
    Example("false, empty and omitted", ObjectKind.DASHBOARD, "notify_list", [], None, ["a"]),
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda item: f"{item.kind}-{item.field}")
def test_a_normalized_response_is_not_a_difference(example):
    sent, answered, edited = (
        normal_form(example.kind, example.field, value)
        for value in (example.sent, example.answered, example.edited)
    )
    assert sent == answered
    assert sent != edited


@pytest.mark.parametrize("row", NORMALIZATIONS, ids=lambda row: row.name)
def test_each_row_has_a_source_and_an_example_for_each_field(row):
    assert ".yaml" in row.source or ".go" in row.source
    covered = {(item.kind, item.field) for item in EXAMPLES if item.row in row.name}
    assert covered
    for kind, fields in (row.fields or {}).items():
        assert {(kind, field) for field in fields} <= covered


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda item: f"{item.kind}-{item.field}")
def test_each_example_needs_its_row(example, monkeypatch):
    module = "purpleflea_operator.datadog.definitions.normalization.NORMALIZATIONS"
    monkeypatch.setattr(module, tuple(row for row in NORMALIZATIONS if example.row not in row.name))
    values = [
        normal_form(example.kind, example.field, one) for one in (example.sent, example.answered)
    ]
    assert values[0] != values[1] or repr(values[0]) != repr(values[1])


@pytest.mark.parametrize("item", EVERYTHING, ids=lambda item: f"{item.kind}/{item.key}")
def test_a_definition_is_its_own_normal_form(item):
    assert differences(item.kind, item.body, _attributes(item)) == ()


@pytest.mark.parametrize("item", EVERYTHING, ids=lambda item: f"{item.kind}/{item.key}")
def test_texts_of_definitions_have_no_white_space_at_their_ends(item):
    assert [text for text in _texts(item.body) if text != text.strip()] == []


def _attributes(item):
    return item.body["data"]["attributes"] if "data" in item.body else item.body


def _texts(value):
    match value:
        case str():
            yield value
        case list():
            for inner in value:
                yield from _texts(inner)
        case dict():
            yield from _texts(list(value.values()))
