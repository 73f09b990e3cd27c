"""Logs and checks in a DatadogInstrumentation: what it contains, and that the pod template does not depend on it."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests import collection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.observed_states import agent_value

USED = Defaults(image="registry.example.com/agent:1", uses_instrumentation=True)
ANNOTATED = Defaults(image="registry.example.com/agent:1")


def rendered(defaults=USED, api=None, **datadog):
    spec = {"datadog": datadog, **({"api": api} if api else {})}
    found = children(agent_value(**spec), defaults, NO_CONNECTION)
    return {item["kind"]: item for item in found}


def config(**datadog):
    found = rendered(**datadog).get(kubernetes.DD_INSTRUMENTATION_KIND)
    return {} if found is None else found["spec"]["config"]


def template(defaults=USED, api=None, **datadog):
    return rendered(defaults, api, **datadog)["StatefulSet"]["spec"]["template"]


ROWS = [
    pytest.param({}, [], 1, id="default"),
    pytest.param({"check": {"enabled": True}}, ["purpleflea_agent"], 1, id="check"),
    pytest.param({"openMetrics": {"enabled": True}}, ["openmetrics"], 1, id="openmetrics"),
    pytest.param(
        {"check": {"enabled": True}, "openMetrics": {"enabled": True}, "logs": {"enabled": False}},
        ["purpleflea_agent", "openmetrics"],
        0,
        id="checks only",
    ),
    pytest.param({"logs": {"enabled": False}}, [], 0, id="nothing"),
    pytest.param({"connection": "Disabled", "check": {"enabled": True}}, [], 0, id="disabled"),
]


@pytest.mark.parametrize(("datadog", "checks", "logs"), ROWS)
def test_it_has_the_checks_and_logs_of_the_spec_and_no_empty_list(datadog, checks, logs):
    found = config(**datadog)
    assert [item["integration"] for item in found.get("checks", [])] == checks
    assert len(found.get("logs", [])) == logs
    assert all(found.values())
    assert all(item["instances"] for item in found.get("checks", []))
    assert all(item["containerName"] == "agent" for items in found.values() for item in items)


@pytest.mark.parametrize(("datadog", "checks", "logs"), ROWS)
def test_annotations_have_the_same_content(datadog, checks, logs):
    keys = template(ANNOTATED, **datadog)["metadata"]["annotations"].keys()
    assert (kubernetes.DD_ANNOTATION_CHECKS in keys) is bool(checks)
    assert (kubernetes.DD_ANNOTATION_LOGS in keys) is bool(logs)
    assert kubernetes.DD_INSTRUMENTATION_KIND not in rendered(ANNOTATED, **datadog)


@pytest.mark.parametrize(
    "datadog",
    [
        {"check": {"enabled": True}},
        {"check": {"enabled": True, "intervalSeconds": 99}},
        {"openMetrics": {"enabled": True, "metrics": ["agent_heartbeat"]}},
        {"logs": {"maskSecrets": False}},
    ],
)
def test_the_pod_template_does_not_depend_on_them(datadog):
    # Without statusAccess, the check decides who gets the account from the agents.
    api = {"keySecretRef": {"name": "key"}, "statusAccess": "Network"}
    assert template(api=api, **datadog) == template(api=api)


def test_a_check_without_status_access_changes_the_settings_once():
    changed = template(check={"enabled": True})
    assert changed != template()
    assert changed == template(check={"enabled": True, "intervalSeconds": 99})


def test_the_template_shows_which_of_the_two_an_agent_has():
    assert collection.uses_instrumentation(rendered()["StatefulSet"])
    assert not collection.uses_instrumentation(rendered(ANNOTATED)["StatefulSet"])
    for odd in ({}, {"spec": None}, {"spec": {"template": {"metadata": {"annotations": "x"}}}}):
        assert not collection.uses_instrumentation(odd)


def test_the_rendered_template_never_has_both():
    both = {"check": {"enabled": True}, "openMetrics": {"enabled": True}}
    keys = template(**both)["metadata"]["annotations"].keys()
    assert not keys & {kubernetes.DD_ANNOTATION_LOGS, kubernetes.DD_ANNOTATION_CHECKS}
    assert kubernetes.DD_ANNOTATION_TAGS in keys
