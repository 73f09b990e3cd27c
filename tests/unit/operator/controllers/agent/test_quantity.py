"""Quantities compared with the vectors that Kubernetes' own library generated, see tests/data/quantities/main.go."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from purpleflea_operator.controllers.agent.decisions.quantity import (
    is_less,
    quantity,
    same_quantity,
)

VECTORS = json.loads(
    (Path(__file__).parents[4] / "data" / "quantities" / "vectors.json").read_text()
)
VALID = [item for item in VECTORS if item["valid"]]
WRITTEN = [item for item in VALID if item["text"] != "1000E"]
"""Kubernetes has no suffix for 10**21, and writes it as 1."""


def test_exactly_the_texts_that_kubernetes_accepts_are_quantities():
    accepted = [item["text"] for item in VECTORS if quantity(item["text"]) is not None]
    assert accepted == [item["text"] for item in VALID]


def test_a_quantity_has_the_value_that_kubernetes_reads():
    differing = [
        item["text"] for item in WRITTEN if quantity(item["text"]) != quantity(item["plain"])
    ]
    assert differing == []


def test_quantities_compare_as_in_kubernetes():
    differing = [
        (one["text"], other["text"])
        for one, other in pairwise(VALID)
        if (quantity(one["text"]) > quantity(other["text"]))
        - (quantity(one["text"]) < quantity(other["text"]))
        != one["next"]
    ]
    assert differing == []


def test_a_quantity_is_the_same_as_the_one_that_the_api_server_stores():
    differing = [
        item["text"] for item in WRITTEN if not same_quantity(item["text"], item["stored"])
    ]
    assert differing == []
    assert not any(is_less(item["text"], item["stored"]) for item in WRITTEN)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("0.5", "500m", True),
        (1, "1", True),
        (0.5, "500m", True),
        ("1.0001", "1001m", True),
        ("1.0001", "1", False),
        ("soon", "soon", True),
        ("soon", "1", False),
        ("1", "soon", False),
        (None, "0", False),
    ],
)
def test_quantities_are_compared_by_value_and_other_texts_as_texts(one, other, is_same):
    assert same_quantity(one, other) is is_same


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("1Gi", "1.5Gi", True), ("1.5Gi", "1536Mi", False), ("soon", "1", False), ("1", "x", False)],
)
def test_a_quantity_can_be_less_than_another_one(one, other, expected):
    assert is_less(one, other) is expected
