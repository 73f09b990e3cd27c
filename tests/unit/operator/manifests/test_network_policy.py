"""The NetworkPolicy allows only the components that need a port, before and after address translation."""

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
    Constraints,
    selected_connection,
)
from purpleflea_operator.datadog.detection.facts import PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.network_policy import network_policy
from support.builders import a_spec
from support.installations import datadog_operator

DEFAULTS = Defaults(image="agent:1", operator_namespace="purpleflea-system")
OPERATOR = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "purpleflea-system"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "purpleflea-operator"}},
}


def namespace(name):
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def policy(connection=NO_CONNECTION, defaults=DEFAULTS, **changes):
    spec = AgentSpec.model_validate(a_spec(**changes), extra="forbid")
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)
    return network_policy(agent, defaults, connection)["spec"]


def readers(**changes):
    rule = policy(**changes)["ingress"][0]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8000}]
    return rule["from"]


def egress_ports(connection):
    rules = policy(connection)["egress"][1:-1]
    return {(item["protocol"], item["port"]) for rule in rules for item in rule["ports"]}


def connection_to(daemon_set):
    facts = datadog_facts([daemon_set], {})
    return selected_connection(facts, "Auto", Constraints(security=PodSecurity.RESTRICTED))


def with_host_ports(shift):
    daemon_set = datadog_operator()
    for container in daemon_set["spec"]["template"]["spec"]["containers"]:
        for port in container["ports"]:
            port["hostPort"] = port["containerPort"] + shift
    return daemon_set


def test_only_the_operator_reads_the_http_port_by_default():
    assert readers() == [OPERATOR]


@pytest.mark.parametrize("check", ["check", "openMetrics"])
def test_node_agents_that_run_a_check_read_the_http_port(check):
    found = readers(datadog={check: {"enabled": True}})
    assert found == [OPERATOR, namespace("datadog"), namespace("datadog-agent")]


def test_node_agents_run_no_check_if_datadog_is_disabled():
    assert readers(datadog={"check": {"enabled": True}, "connection": "Disabled"}) == [OPERATOR]


def test_node_agents_of_every_namespace_are_allowed_if_all_are_trusted():
    defaults = Defaults(image="agent:1", operator_namespace="ops", datadog_namespaces=("*",))
    found = readers(defaults=defaults, datadog={"check": {"enabled": True}})
    assert found[1:] == [{"namespaceSelector": {}}]


def test_namespaces_of_the_spec_read_the_http_port():
    found = readers(network={"ingressNamespaces": ["monitoring", "*"]})
    assert found == [OPERATOR, namespace("monitoring"), {"namespaceSelector": {}}]


def test_an_operator_outside_the_cluster_needs_no_rule():
    outside = Defaults(image="agent:1")
    assert policy(defaults=outside)["ingress"] == []
    found = readers(defaults=outside, network={"ingressNamespaces": ["monitoring"]})
    assert found == [namespace("monitoring")]


@pytest.mark.parametrize("spec", [{}, {"datadog": {"check": {"enabled": True}}}])
@pytest.mark.parametrize("operator_namespace", ["", "ops"])
def test_no_rule_admits_pods_by_labels_that_users_of_any_namespace_can_set(
    spec, operator_namespace
):
    defaults = Defaults(image="agent:1", operator_namespace=operator_namespace)
    for rule in policy(defaults=defaults, **spec)["ingress"]:
        assert rule["from"]
        for source in rule["from"]:
            assert source["namespaceSelector"]["matchLabels"].keys() == {
                "kubernetes.io/metadata.name"
            }


def test_dns_is_allowed_on_each_port_that_dns_servers_may_listen_on():
    rule = policy(defaults=Defaults(image="agent:1", dns_ports=(53, 5353)))["egress"][0]
    assert rule == {
        "ports": [
            {"protocol": protocol, "port": port}
            for port in (53, 5353)
            for protocol in ("UDP", "TCP")
        ]
    }


def test_every_address_of_both_families_is_allowed_by_default():
    ranges = policy()["egress"][-1]["to"]
    assert ranges == [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]


def test_ranges_are_rendered_in_the_form_that_every_version_of_kubernetes_accepts():
    ranges = policy(network={"egressCidrs": ["10.0.0.1/8", "2001:DB8:0::1/032"]})["egress"][-1][
        "to"
    ]
    assert [item["ipBlock"]["cidr"] for item in ranges] == ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (connection_to(datadog_operator(host_ports=True)), {("UDP", 8125), ("TCP", 8126)}),
        (
            connection_to(with_host_ports(3)),
            {("UDP", 8128), ("UDP", 8125), ("TCP", 8129), ("TCP", 8126)},
        ),
        (
            # The annotation of an earlier version has no ports of containers.
            Connection(mode=ConnectionMode.SERVICE, host="a.b", dogstatsd_port=9125, apm_port=9126),
            {("UDP", 9125), ("UDP", 8125), ("TCP", 9126), ("TCP", 8126)},
        ),
        (
            Connection(
                mode=ConnectionMode.HOST_IP,
                dogstatsd_port=9125,
                dogstatsd_container_port=9125,
            ),
            {("UDP", 9125)},
        ),
    ],
    ids=["same ports", "other hostPorts", "unknown container ports", "network of the node"],
)
def test_the_ports_before_and_after_translation_are_allowed(connection, expected):
    assert egress_ports(connection) == expected


def test_the_container_ports_are_recorded_with_the_connection():
    connection = Connection(
        mode=ConnectionMode.HOST_IP,
        dogstatsd_port=8125,
        apm_port=8126,
        dogstatsd_container_port=9125,
        apm_container_port=9126,
    )
    stateful_set = {"metadata": {"annotations": recorded_connection.annotation(connection)}}
    found = recorded_connection.connection_from_annotation(stateful_set)
    assert egress_ports(found) == egress_ports(connection)


def test_a_connection_that_is_kept_gets_the_container_ports_of_today():
    daemon_set = with_host_ports(3)
    current = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8128, apm_port=8129)
    facts = datadog_facts([daemon_set], {})
    kept = selected_connection(
        facts, "Auto", Constraints(security=PodSecurity.RESTRICTED, current=current)
    )
    assert kept == current
    assert (kept.dogstatsd_container_port, kept.apm_container_port) == (8125, 8126)


def test_the_container_ports_do_not_restart_agents():
    one = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=1, dogstatsd_container_port=2)
    assert one == Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=1)
