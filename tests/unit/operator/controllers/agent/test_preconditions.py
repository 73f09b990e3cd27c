"""Preconditions of applies."""

import pytest

from purpleflea_operator.controllers.agent.decisions.preconditions import guarded


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
