import pytest

from purpleflea_operator.detect.connection import Mode, connection
from purpleflea_operator.detect.facts import Installer, Switch
from purpleflea_operator.detect.node_agent import datadog_facts
from support.builders import a_container, a_datadog_daemon_set

SERVICE = frozenset({("datadog", "datadog-agent")})
OPERATOR_LABELS = {
    "app.kubernetes.io/managed-by": "datadog-operator",
    "agent.datadoghq.com/component": "agent",
    "agent.datadoghq.com/name": "datadog",
}


def facts_of(*daemon_sets, services=SERVICE):
    return datadog_facts(daemon_sets, services)


def test_the_helm_chart_is_found_with_its_versions():
    found = facts_of(a_datadog_daemon_set()).node_agent
    assert (found.installer, found.chart_version, found.agent_version) == (
        Installer.HELM,
        "3.240.0",
        "7.81.1",
    )
    assert found.logs is Switch.ON


def test_the_datadog_operator_is_found_by_its_labels():
    found = facts_of(a_datadog_daemon_set(labels=OPERATOR_LABELS)).node_agent
    assert (found.installer, found.release, found.chart_version) == (
        Installer.OPERATOR,
        "datadog",
        None,
    )


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"helm.sh/chart": "datadog-operator-2.25.0", "app.kubernetes.io/component": "agent"},
        {"helm.sh/chart": "datadog-3.240.0", "app.kubernetes.io/component": "clusterchecks-agent"},
        {**OPERATOR_LABELS, "agent.datadoghq.com/component": "cluster-agent"},
    ],
)
def test_what_only_looks_like_a_node_agent_is_not_one(labels):
    assert facts_of(a_datadog_daemon_set(labels=labels)).node_agent is None


def test_a_daemon_set_with_another_image_is_not_a_node_agent():
    assert facts_of(a_datadog_daemon_set(image="acme/forwarder:1")).node_agent is None


def test_any_registry_host_and_a_digest_are_fine():
    image = "eu.gcr.io/datadoghq/agent:7.81.1-jmx@sha256:" + "0" * 64
    assert facts_of(a_datadog_daemon_set(image=image)).node_agent.agent_version == "7.81.1-jmx"


def test_the_release_annotation_names_the_release():
    item = a_datadog_daemon_set(annotations={"meta.helm.sh/release-name": "dd"})
    assert facts_of(item).node_agent.release == "dd"


def test_dogstatsd_moved_to_the_data_plane_is_still_found():
    item = a_datadog_daemon_set()
    port = item["spec"]["template"]["spec"]["containers"][0]["ports"].pop()
    plane = a_container("agent-data-plane", "datadog/agent-data-plane:1")
    plane["ports"] = [port]
    item["spec"]["template"]["spec"]["containers"].append(plane)
    assert facts_of(item).node_agent.dogstatsd.number == 8125


@pytest.mark.parametrize(
    ("value", "expected"), [("true", Switch.ON), ("false", Switch.OFF), (None, Switch.UNKNOWN)]
)
def test_log_collection_is_on_off_or_unknown(value, expected):
    assert facts_of(a_datadog_daemon_set(logs=value)).node_agent.logs is expected


def test_a_log_setting_from_elsewhere_is_unknown_not_off():
    item = a_datadog_daemon_set(logs="false")
    env = item["spec"]["template"]["spec"]["containers"][0]["env"]
    env.append({"name": "DD_LOGS_ENABLED", "valueFrom": {"configMapKeyRef": {"name": "x"}}})
    assert facts_of(item).node_agent.logs is Switch.UNKNOWN


def test_a_status_of_an_older_generation_counts_as_not_ready():
    item = a_datadog_daemon_set()
    item["metadata"]["generation"] = 2
    assert not facts_of(item).node_agent.is_ready


def test_node_agents_that_come_and_go_do_not_change_the_facts_until_the_last():
    rolling = [facts_of(a_datadog_daemon_set(desired=60, ready=ready)) for ready in (10, 40, 59)]
    assert rolling[0] == rolling[1] == rolling[2]
    assert rolling[0] != facts_of(a_datadog_daemon_set(desired=60, ready=60))
    assert facts_of(a_datadog_daemon_set(desired=60, ready=60)) == facts_of(a_datadog_daemon_set())


def test_the_ready_node_agent_comes_first():
    broken = a_datadog_daemon_set("a-datadog", desired=5, ready=0)
    assert facts_of(broken, a_datadog_daemon_set()).node_agent.name == "datadog-agent"


def test_a_daemon_set_without_the_named_ports_receives_nothing():
    item = a_datadog_daemon_set()
    for container in item["spec"]["template"]["spec"]["containers"]:
        container["ports"] = []
    found = facts_of(item).node_agent
    assert (found.dogstatsd, found.apm) == (None, None)


def test_a_daemon_set_without_a_container_of_that_name_is_no_node_agent():
    item = a_datadog_daemon_set()
    for container in item["spec"]["template"]["spec"]["containers"]:
        container["name"] = "other"
    assert facts_of(item).node_agent is None


def test_the_single_container_of_the_operator_is_a_node_agent():
    item = a_datadog_daemon_set(labels=OPERATOR_LABELS)
    containers = item["spec"]["template"]["spec"]["containers"]
    containers[0]["ports"] += containers.pop()["ports"]
    containers[0]["name"] = "unprivileged-single-agent"
    found = facts_of(item).node_agent
    assert (found.dogstatsd.number, found.apm.number) == (8125, 8126)


def test_a_chart_whose_agent_container_is_missing_is_no_node_agent():
    item = a_datadog_daemon_set()
    item["spec"]["template"]["spec"]["containers"].pop(0)
    assert facts_of(item).node_agent is None


def how(item, wanted="Auto", services=SERVICE):
    return connection(facts_of(item, services=services).node_agent, wanted)


def test_open_ports_of_the_node_are_preferred():
    found = how(a_datadog_daemon_set(host_ports=True))
    assert (found.mode, found.host, found.dogstatsd_port, found.apm_port) == (
        Mode.HOST_IP,
        "",
        8125,
        8126,
    )


def test_host_network_opens_the_container_ports_on_the_node():
    found = how(a_datadog_daemon_set(host_network=True, dogstatsd_port=8225))
    assert (found.mode, found.dogstatsd_port) == (Mode.HOST_IP, 8225)


def test_the_local_service_is_used_where_the_node_opens_no_port():
    found = how(a_datadog_daemon_set())
    assert (found.mode, found.host) == (
        Mode.SERVICE,
        "datadog-agent.datadog.svc.cluster.local",
    )


def test_the_local_service_wins_where_the_node_opens_only_the_metrics_port():
    item = a_datadog_daemon_set()
    item["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"] = 8125
    assert how(item).mode is Mode.SERVICE


def test_traces_off_leave_metrics_on():
    found = how(a_datadog_daemon_set(host_ports=True, apm=False))
    assert (found.mode, found.apm_port) == (Mode.HOST_IP, None)


@pytest.mark.parametrize(
    ("wanted", "services", "words"),
    [
        ("HostIP", SERVICE, "datadog.dogstatsd.useHostPort"),
        ("Service", frozenset(), "Service datadog-agent does not exist"),
        ("Auto", frozenset(), "neither a port of the node nor the node-local Service"),
    ],
)
def test_a_way_that_is_not_there_is_refused_with_a_reason(wanted, services, words):
    found = how(a_datadog_daemon_set(), wanted, services)
    assert found.mode is Mode.NONE
    assert words in found.refused


def test_disabled_connects_to_nothing_and_refuses_nothing():
    found = how(a_datadog_daemon_set(host_ports=True), "Disabled")
    assert (found.mode, found.refused) == (Mode.NONE, "")
