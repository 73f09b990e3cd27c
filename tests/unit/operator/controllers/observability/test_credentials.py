"""The chart value with the URLs for keys configures the operator, and the address of a resource is immutable."""

import pytest
from pydantic import ValidationError

from purpleflea_operator.codegen.crd import observability_crd
from purpleflea_operator.settings import OperatorSettings
from support.rights import rendered

VARIABLE = "PURPLEFLEA_OPERATOR_DATADOG_URLS"
PROXY = "https://proxy.example.com/datadog"


def environment(*values):
    (deployment,) = (item for item in rendered(*values) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in container["env"]}


def test_the_chart_value_configures_the_urls_for_keys(monkeypatch):
    values = f"observability.urls={{{PROXY},http://datadog-api.datadog.svc:8080}}"
    monkeypatch.setenv(VARIABLE, environment(values)[VARIABLE])
    assert OperatorSettings().datadog_urls == (PROXY, "http://datadog-api.datadog.svc:8080")


def test_without_the_chart_value_keys_are_sent_only_to_datadog(monkeypatch):
    assert VARIABLE not in environment()
    monkeypatch.delenv(VARIABLE, raising=False)
    assert OperatorSettings().datadog_urls == ()


def test_an_invalid_url_fails_the_start(monkeypatch):
    monkeypatch.setenv(VARIABLE, "proxy.example.com")
    with pytest.raises(ValidationError, match="datadog_urls"):
        OperatorSettings()


def test_the_api_server_rejects_a_change_of_the_address():
    """Otherwise the objects at the former address would be left behind silently."""
    (version,) = observability_crd()["spec"]["versions"]
    rules = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    (rule,) = (one for one in rules if "oldSelf" in one["rule"])
    assert "self.site == oldSelf.site" in rule["rule"]
    assert "self.url == oldSelf.url" in rule["rule"]
    assert "adoptFrom" in rule["message"]
