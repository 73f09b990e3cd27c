"""The chart value with the trusted namespaces configures the operator, and an empty list is refused."""

import subprocess

import pytest
import yaml
from pydantic import ValidationError

from purpleflea_operator.settings import OperatorSettings
from support.rights import CHART, granted, rendered, roles

VARIABLE = "PURPLEFLEA_OPERATOR_DATADOG_NAMESPACES"
DEFAULT = ("datadog", "datadog-agent")


def environment(*values):
    (deployment,) = (item for item in rendered(*values) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in container["env"]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), DEFAULT),
        (("datadog.namespaces={monitoring,team-a}",), ("monitoring", "team-a")),
        (("datadog.namespaces={*}",), ("*",)),
    ],
)
def test_the_chart_value_configures_the_trusted_namespaces(monkeypatch, values, expected):
    monkeypatch.setenv(VARIABLE, environment(*values)[VARIABLE])
    assert OperatorSettings().datadog_namespaces == expected


def test_an_upgrade_with_values_of_an_older_chart_uses_the_defaults(monkeypatch):
    """helm upgrade --reuse-values does not add the new value."""
    assert VARIABLE not in environment("datadog.namespaces=null")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert OperatorSettings().datadog_namespaces == DEFAULT
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert tuple(values["datadog"]["namespaces"]) == DEFAULT


def test_the_value_changes_no_rights():
    assert granted(roles("datadog.namespaces={*}")) == granted(roles())


@pytest.mark.parametrize("value", ["{}", "{Team}", "{a,a}", "{team*}", "datadog"])
def test_the_chart_refuses_an_invalid_value(value):
    with pytest.raises(subprocess.CalledProcessError):
        rendered(f"datadog.namespaces={value}")


@pytest.mark.parametrize("value", ["", " , ", "team*", "Team", "-a"])
def test_the_operator_refuses_an_invalid_value(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ValidationError, match="datadog_namespaces"):
        OperatorSettings()
