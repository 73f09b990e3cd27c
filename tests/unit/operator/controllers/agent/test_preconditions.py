"""Preconditions of applies."""

import pytest

from purpleflea_operator.controllers.agent.decisions.preconditions import (
    guarded,
    is_unlabelled,
    may_repeat,
)

LABELS = {
    "app.kubernetes.io/instance": "momentum",
    "app.kubernetes.io/managed-by": "purpleflea-operator",
}


@pytest.mark.parametrize(
    ("kind", "has_version"),
    [
        ("StatefulSet", True),
        ("NetworkPolicy", True),
        ("ServiceAccount", False),
        ("PodDisruptionBudget", False),
    ],
)
def test_an_apply_has_the_uid_of_the_live_child_and_its_version_if_an_older_write_could_harm(
    kind, has_version
):
    live = {"metadata": {"uid": "u", "resourceVersion": "7"}}
    sent = guarded({"kind": kind, "metadata": {"name": "momentum"}}, live)
    version = {"resourceVersion": "7"} if has_version else {}
    assert sent["metadata"] == {"name": "momentum", "uid": "u", **version}


def a_child(kind="StatefulSet", **metadata):
    return {"kind": kind, "metadata": {"uid": "u", "generation": 2, **metadata}}


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        (None, False),
        (a_child(resourceVersion="9"), True),
        (a_child("NetworkPolicy", resourceVersion="9"), True),
        (a_child(resourceVersion="7"), False),
        (a_child("ConfigMap"), False),
        (a_child(uid="other"), False),
        (a_child(generation=3), False),
        (a_child(annotations={"purpleflea.com/last-good-template": "x"}), False),
        (a_child(labels={"team": "fx"}), False),
        (a_child(deletionTimestamp="2026-01-01T00:00:00Z"), False),
    ],
)
def test_an_apply_is_repeated_over_a_newer_version_only_if_nothing_but_the_status_changed(
    newer, expected
):
    assert may_repeat(a_child(resourceVersion="7"), newer) is expected


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"labels": LABELS}, False),
        ({"labels": {**LABELS, "team": "fx"}}, False),
        ({"labels": {**LABELS, "app.kubernetes.io/instance": "other"}}, True),
        ({"labels": {"app.kubernetes.io/instance": "momentum"}}, True),
        ({"labels": {}}, True),
        ({}, True),
    ],
)
def test_a_child_without_a_label_by_which_the_operator_finds_it_is_recognised(labels, expected):
    assert is_unlabelled(a_child(**labels), a_child(labels=LABELS)) is expected
