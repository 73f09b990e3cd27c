"""Node agents are used only in trusted namespaces, and agents do not keep a connection to another one."""

from dataclasses import replace

import pytest

from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
    Constraints,
    selected_connection,
)
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, Socket
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.datadog.detection.trust import DEFAULT_TRUST, TrustedNamespaces
from support.builders import a_local_service
from support.installations import datadog_operator, helm

OPEN = {"dogstatsd_host_port": True, "apm_host_port": True}
TRUSTED, TENANT = helm(**OPEN), helm(namespace="team-a", **OPEN)
CLOSED = helm(sockets=False)
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
SERVICE = Connection(
    mode=ConnectionMode.SERVICE,
    host="datadog-agent.team-a.svc.cluster.local",
    dogstatsd_port=8125,
    apm_port=8126,
)
BY_CSI = Connection(
    mode=ConnectionMode.CSI,
    dogstatsd_socket=Socket(folder="/var/run/datadog", name="dsd.socket"),
    apm_socket=Socket(folder="/var/run/datadog", name="apm.socket"),
)
SERVICES = {
    (namespace, "datadog-agent"): a_local_service(namespace=namespace)
    for namespace in ("datadog", "team-a")
}
UNREADABLE = {**TENANT, "spec": {"template": {"spec": {**TENANT["spec"]["template"]["spec"]}}}}
UNREADABLE["metadata"] = {**TENANT["metadata"], "uid": None}


def facts_of(*daemon_sets, names=DEFAULT_TRUST.names):
    return datadog_facts(daemon_sets, SERVICES, trusted=TrustedNamespaces(names), csi_driver=False)


def kept(facts, current, requested="Auto", **constraints):
    found = selected_connection(facts, requested, Constraints(current=current, **constraints))
    return replace(found, refusal=None, refusal_message="")


@pytest.mark.parametrize(
    ("names", "used", "ignored"),
    [
        (("datadog", "datadog-agent"), ["datadog"], ["team-a", "team-b"]),
        (("team-b",), ["team-b"], ["datadog", "team-a"]),
        (("*",), ["datadog", "team-a", "team-b"], []),
        (("datadog", "*"), ["datadog", "team-a", "team-b"], []),
        (("elsewhere",), [], ["datadog", "team-a", "team-b"]),
        (("team",), [], ["datadog", "team-a", "team-b"]),
    ],
)
def test_the_namespace_decides_which_node_agents_are_used(names, used, ignored):
    operator = datadog_operator(namespace="team-b")
    facts = facts_of(TENANT, operator, TRUSTED, names=names)
    assert [item.namespace for item in facts.node_agents] == used
    assert [item.namespace for item in facts.untrusted] == ignored


def test_an_untrusted_node_agent_that_cannot_be_parsed_hides_nothing():
    facts = facts_of(UNREADABLE, TRUSTED)
    assert facts.are_complete
    assert [(item.namespace, item.node_agent) for item in facts.untrusted] == [("team-a", None)]
    assert kept(facts_of(UNREADABLE), HOST_IP) == HOST_IP


def test_a_new_agent_does_not_use_an_untrusted_node_agent():
    assert kept(facts_of(TENANT), None) == NO_CONNECTION
    assert kept(facts_of(TENANT, CLOSED), None).host == "datadog-agent.datadog.svc.cluster.local"


@pytest.mark.parametrize("current", [HOST_IP, SERVICE, BY_CSI])
def test_a_connection_to_an_untrusted_node_agent_is_not_kept(current):
    assert kept(facts_of(TENANT), current) == NO_CONNECTION


def test_a_connection_to_a_service_is_not_kept_although_its_daemon_set_was_deleted():
    assert kept(NO_DATADOG, SERVICE) == NO_CONNECTION
    assert kept(facts_of(names=("team-a",)), SERVICE) == SERVICE


def test_a_refused_request_does_not_keep_an_untrusted_connection():
    """The trusted node agent does not offer the requested connection."""
    assert kept(facts_of(TENANT, CLOSED), HOST_IP, requested="HostIP") == NO_CONNECTION
    assert kept(facts_of(CLOSED), HOST_IP, requested="HostIP") == HOST_IP


def test_an_untrusted_node_agent_with_the_same_address_changes_no_connection():
    assert kept(facts_of(TENANT, TRUSTED), HOST_IP) == HOST_IP


def test_a_connection_is_kept_if_trusted_node_agents_cannot_be_seen():
    assert kept(replace(facts_of(TENANT), is_extended=True), HOST_IP) == HOST_IP


def test_an_untrusted_node_agent_with_another_address_changes_no_connection():
    other = replace(HOST_IP, dogstatsd_port=8225)
    assert kept(facts_of(TENANT), other) == other


def test_an_agent_that_would_stop_trading_keeps_its_connection():
    assert kept(facts_of(TENANT), HOST_IP, waits_for_node_agent=True) == HOST_IP
