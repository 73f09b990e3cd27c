"""Shapes of request bodies: generated from the client's models, and consistent with them."""

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


def test_shapes_equal_the_models_of_the_client() -> None:
    stored = ROOT / "sandbox/src/purpleflea_sandbox/datadog/api/shapes.json"

    assert stored.read_text() == datadog_shapes.document()


def test_faults_detected_by_the_client_models_are_detected() -> None:
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
def test_invalid_field_is_named(change: dict[str, Any], fault: str) -> None:
    assert shapes.faults(dashboard() | change, "v1.Dashboard") == [fault]


def test_missing_required_field_is_a_fault_unless_the_body_is_partial() -> None:
    body = dashboard()
    del body["layout_type"]

    assert shapes.faults(body, "v1.Dashboard") == ["layout_type: required"]
    assert shapes.faults(body, "v1.Dashboard", partial=True) == []


def test_faults_are_reported_for_the_variant_of_the_right_type() -> None:
    body = deepcopy(dashboard())
    body["widgets"] = [{"definition": {"type": "toplist"}}]

    assert shapes.faults(body, "v1.Dashboard") == ["widgets[0].definition.requests: required"]


def test_map_values_and_type_aliases_are_validated() -> None:
    monitor = {"type": "query alert", "query": "x"}

    assert shapes.faults(monitor | {"options": {"silenced": {"*": None}}}, "v1.Monitor") == []
    assert shapes.faults(monitor | {"options": {"silenced": {"*": "x"}}}, "v1.Monitor")
    assert shapes.faults(monitor | {"options": {"silenced": []}}, "v1.Monitor")


def test_boolean_is_not_a_number() -> None:
    body = {"type": "query alert", "query": "x", "priority": True}

    assert shapes.faults(body, "v1.Monitor")


def test_body_that_is_not_an_object_is_rejected() -> None:
    assert shapes.faults([], "v1.Monitor") == ["body: [] is not an object"]
