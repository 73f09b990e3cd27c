"""The chart value that says where keys may be sent reaches the operator, and what was sent somewhere stays there."""

import pytest
from pydantic import ValidationError

from purpleflea_operator.codegen.crd import observability_crd
from purpleflea_operator.settings import Settings
from support.rights import rendered

VARIABLE = "PURPLEFLEA_OPERATOR_DATADOG_URLS"
PROXY = "https://proxy.example.com/datadog"


def environment(*values):
    (deployment,) = (item for item in rendered(*values) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value") for item in container["env"]}


def test_the_operator_is_told_where_keys_may_go(monkeypatch):
    values = f"observability.urls={{{PROXY},http://datadog-api.datadog.svc:8080}}"
    monkeypatch.setenv(VARIABLE, environment(values)[VARIABLE])
    assert Settings().datadog_urls == (PROXY, "http://datadog-api.datadog.svc:8080")


def test_unless_it_is_told_keys_go_to_datadog_alone(monkeypatch):
    assert VARIABLE not in environment()
    monkeypatch.delenv(VARIABLE, raising=False)
    assert Settings().datadog_urls == ()


def test_what_is_no_address_is_refused_at_the_start(monkeypatch):
    monkeypatch.setenv(VARIABLE, "proxy.example.com")
    with pytest.raises(ValidationError, match="datadog_urls"):
        Settings()


def test_the_api_server_refuses_to_change_the_address():
    """What was made there would be left behind without a word."""
    (version,) = observability_crd()["spec"]["versions"]
    rules = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    (rule,) = (one for one in rules if "oldSelf" in one["rule"])
    assert "self.site == oldSelf.site" in rule["rule"]
    assert "self.url == oldSelf.url" in rule["rule"]
    assert "adoptFrom" in rule["message"]
