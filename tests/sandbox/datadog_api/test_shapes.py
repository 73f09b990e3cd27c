"""What bodies may look like: generated from the client's models, and true to them."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from datadog_api_client.v1.model.dashboard import Dashboard

from purpleflea_sandbox.datadog.api import shapes
from support import datadog_models, datadog_shapes

ROOT = Path(__file__).parents[3]
OBSERVABILITY = ROOT / "observability"


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((OBSERVABILITY / "dashboard.json").read_text())
    return document


def test_the_shapes_are_those_of_the_client() -> None:
    stored = ROOT / "sandbox/src/purpleflea_sandbox/datadog/api/shapes.json"

    assert stored.read_text() == datadog_shapes.document()


def test_what_the_clients_models_find_is_found_here_too() -> None:
    broken = dashboard()
    broken["widgets"][0]["definition"]["color_preference"] = "background"

    assert datadog_models.faults(broken, Dashboard)
    assert shapes.faults(broken, "v1.Dashboard") == [
        "widgets[0].definition.color_preference: unknown field"
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"title": 5}, "title: 5 is not of type str"),
        ({"title": None}, "title: null is not of type str"),
        (
            {"layout_type": "diagonal"},
            "layout_type: \"diagonal\" is not one of ['free', 'ordered']",
        ),
        ({"is_read_only": 1}, "is_read_only: 1 is not of type bool"),
        ({"widgets": {}}, "widgets: {} is not a list"),
        ({"colour": "red"}, "colour: unknown field"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], fault: str) -> None:
    assert shapes.faults(dashboard() | change, "v1.Dashboard") == [fault]


def test_a_required_field_is_missed_unless_the_body_is_partial() -> None:
    body = dashboard()
    del body["layout_type"]

    assert shapes.faults(body, "v1.Dashboard") == ["layout_type: required"]
    assert shapes.faults(body, "v1.Dashboard", partial=True) == []


def test_of_several_forms_the_one_of_the_right_type_is_complained_about() -> None:
    body = deepcopy(dashboard())
    body["widgets"] = [{"definition": {"type": "toplist"}}]

    assert shapes.faults(body, "v1.Dashboard") == ["widgets[0].definition.requests: required"]


def test_what_is_in_a_map_and_what_is_only_a_name_for_a_type_is_looked_at_too() -> None:
    monitor = {"type": "query alert", "query": "x"}

    assert shapes.faults(monitor | {"options": {"silenced": {"*": None}}}, "v1.Monitor") == []
    assert shapes.faults(monitor | {"options": {"silenced": {"*": "x"}}}, "v1.Monitor")
    assert shapes.faults(monitor | {"options": {"silenced": []}}, "v1.Monitor")


def test_a_truth_value_is_no_number() -> None:
    body = {"type": "query alert", "query": "x", "priority": True}

    assert shapes.faults(body, "v1.Monitor")


def test_a_body_that_is_no_object_is_refused() -> None:
    assert shapes.faults([], "v1.Monitor") == ["body: [] is not an object"]
