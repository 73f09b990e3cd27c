"""Requests and limits of the operator's container in the chart."""

import subprocess

import pytest

from purpleflea_operator.controllers.agent.decisions.quantity import quantity
from support.rights import rendered

RESTART_WITH_1000_AGENTS = quantity("459Mi")
"""Measured peak."""


def resources(*values):
    (deployment,) = (item for item in rendered(*values) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container["resources"]


def test_the_memory_limit_is_twice_the_measured_peak_of_a_restart():
    found = resources()
    assert found["limits"]["memory"] == "1Gi"
    assert quantity(found["limits"]["memory"]) >= 2 * RESTART_WITH_1000_AGENTS
    assert found["requests"] == {"cpu": "50m", "memory": "160Mi"}


def test_the_limits_can_be_changed_and_removed():
    assert resources("resources.limits.memory=2Gi")["limits"]["memory"] == "2Gi"
    assert "cpu" not in resources("resources.limits.cpu=null")["limits"]


@pytest.mark.parametrize("value", ["resources.limit.memory=2Gi", "resources.limits.memory=true"])
def test_misspelled_resources_are_rejected(value):
    with pytest.raises(subprocess.CalledProcessError):
        rendered(value)
