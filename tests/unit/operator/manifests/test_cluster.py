"""The name of the cluster: agents that name another one do not run here, and the tag of those that run."""

import json

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.decisions.gather import in_cluster, parsed
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.metadata import Defaults
from purpleflea_operator.manifests.pod_template import pod_template
from purpleflea_operator.settings import OperatorSettings
from support.builders import a_spec, an_agent
from support.observed_states import agent_value


def decision(wanted, here):
    datadog = {} if wanted is None else {"cluster": wanted}
    return in_cluster(*parsed(an_agent(spec=a_spec(datadog=datadog))), here)


@pytest.mark.parametrize(
    ("wanted", "here"), [(None, ""), (None, "tokyo"), ("tokyo", "tokyo"), ("1", "1")]
)
def test_an_agent_runs_in_the_cluster_that_it_names_or_in_any(wanted, here):
    agent, invalid = decision(wanted, here)
    assert agent is not None
    assert invalid == ""


@pytest.mark.parametrize(
    ("wanted", "here", "cause"),
    [
        ("tokyo", "london", "this cluster is london"),
        ("tokyo", "Tokyo", "this cluster is Tokyo"),
        ("tokyo", "", "the operator has no name"),
    ],
)
def test_an_agent_of_another_cluster_is_invalid_with_field_cause_and_remedy(wanted, here, cause):
    agent, invalid = decision(wanted, here)
    assert agent is None
    assert invalid.startswith("spec.datadog.cluster: the agent may only run in cluster tokyo")
    assert cause in invalid
    assert "datadog.cluster" in invalid


def test_another_error_of_the_spec_is_reported_first():
    resource = an_agent(spec=a_spec(replicas="three", datadog={"cluster": "tokyo"}))
    agent, invalid = in_cluster(*parsed(resource), "london")
    assert agent is None
    assert "replicas" in invalid


def tags(here="", **datadog):
    defaults = Defaults(image="agent:1", cluster=here)
    template = pod_template(agent_value(datadog=datadog), defaults, NO_CONNECTION)
    annotations = template["metadata"]["annotations"]
    return json.loads(annotations.get(kubernetes.DD_ANNOTATION_TAGS, "{}"))


@pytest.mark.parametrize(
    ("here", "datadog", "tag"),
    [
        ("", {}, None),
        ("tokyo", {}, "tokyo"),
        ("tokyo", {"cluster": "tokyo"}, "tokyo"),
        ("tokyo", {"tags": {"Agent_Cluster": "other"}}, "tokyo"),
        ("tokyo", {"connection": "Disabled"}, None),
    ],
)
def test_the_tag_of_the_cluster_is_sent_only_if_there_is_a_name(here, datadog, tag):
    found = tags(here, **datadog)
    assert found.get("agent_cluster") == tag
    assert "Agent_Cluster" not in found


def test_the_name_is_a_setting_of_the_operator(monkeypatch):
    assert OperatorSettings().defaults.cluster == ""
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_CLUSTER", "tokyo")
    assert OperatorSettings().defaults.cluster == "tokyo"
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_CLUSTER", "no spaces")
    with pytest.raises(ValueError, match="cluster"):
        OperatorSettings()
