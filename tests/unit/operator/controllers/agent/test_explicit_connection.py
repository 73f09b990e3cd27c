"""A Datadog agent beside the pod (Sidecar), or at an address of the spec (Endpoint), without a detected node agent."""

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions import connection_choice
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import (
    datadog_installed,
    telemetry_ready,
)
from purpleflea_operator.controllers.agent.decisions.datadog_status import datadog_status
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.datadog.detection.coverage import ALL_COVERED, coverage
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.refusals import first_refusal
from purpleflea_operator.manifests.user_overrides import user_overrides
from support.builders import a_pod, a_spec
from support.installations import helm
from support.observed_states import a_stateful_set, observed_state

HOST = "datadog.monitoring.svc.cluster.local"
SIDECAR = {"connection": "Sidecar"}
PORTS = {"connection": "Sidecar", "endpoint": {"dogstatsdPort": 9125, "apmPort": 9126}}
ENDPOINT = {"connection": "Endpoint", "endpoint": {"host": HOST}}


class View:
    facts = NO_DATADOG
    is_visible = True

    def pod_security(self, namespace):
        return PodSecurity.RESTRICTED


def an_agent(datadog, **pod):
    spec = AgentSpec.model_validate(a_spec(datadog=datadog, pod=pod), extra="forbid")
    return Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)


def best(datadog, current=None):
    return connection_choice.best_connection(an_agent(datadog), current, View())


def rendered(datadog, **pod):
    agent = an_agent(datadog, **pod)
    found = children(agent, Defaults(image="agent:1"), best(datadog))
    return {item["kind"]: item for item in found}


def environment(datadog, **pod):
    spec = rendered(datadog, **pod)["StatefulSet"]["spec"]["template"]["spec"]
    names = [item["name"] for item in spec["containers"][0]["env"]]
    assert len(names) == len(set(names))
    return {item["name"]: item.get("value") for item in spec["containers"][0]["env"]}


@pytest.mark.parametrize(
    ("datadog", "expected"),
    [
        (SIDECAR, {"DD_AGENT_HOST": "127.0.0.1"}),
        (
            PORTS,
            {
                "DD_AGENT_HOST": "127.0.0.1",
                "DD_DOGSTATSD_PORT": "9125",
                "DD_TRACE_AGENT_PORT": "9126",
            },
        ),
        (ENDPOINT, {"DD_AGENT_HOST": HOST}),
    ],
)
def test_agents_get_the_address_without_a_node_agent(datadog, expected):
    found = environment(datadog)
    names = ("DD_AGENT_HOST", "DD_DOGSTATSD_PORT", "DD_TRACE_AGENT_PORT", "DD_TRACE_ENABLED")
    assert {key: found[key] for key in names if key in found} == expected


OWN = {
    "DD_AGENT_HOST": "10.0.0.7",
    "DD_DOGSTATSD_PORT": "18125",
    "DD_DOGSTATSD_URL": "udp://10.0.0.7:18125",
    "DD_TRACE_AGENT_URL": "http://10.0.0.7:18126",
    "DD_TRACE_AGENT_PORT": "18126",
    "DD_TRACE_ENABLED": "false",
    "DD_DOGSTATSD_HOST": "10.0.0.7",
    "DD_AGENT_PORT": "1",
    "DD_TRACE_AGENT_HOSTNAME": "a",
}


@pytest.mark.parametrize("more", [{}, {"envFrom": [{"secretRef": {"name": "s"}}]}])
@pytest.mark.parametrize("datadog", [SIDECAR, ENDPOINT])
def test_the_users_own_addresses_take_precedence(datadog, more):
    env = [{"name": name, "value": value} for name, value in OWN.items()]
    found = environment(datadog, env=env, **more)
    assert {name: found[name] for name in OWN} == OWN
    assert user_overrides(an_agent(datadog, env=env)).ignored == ()


@pytest.mark.parametrize("connection", ["Auto", "HostIP", "Disabled"])
def test_with_another_connection_the_users_addresses_are_ignored(connection):
    env = [{"name": name, "value": value} for name, value in OWN.items()]
    agent = an_agent({"connection": connection}, env=env)
    assert len(user_overrides(agent).ignored) == len(OWN)


@pytest.mark.parametrize("name", ["DD_ENV", "DD_ENTITY_ID", "DD_REMOTE_CONFIGURATION_ENABLED"])
def test_other_variables_of_the_operator_stay_reserved(name):
    agent = an_agent(SIDECAR, env=[{"name": name, "value": "x"}])
    assert user_overrides(agent).ignored == (f"spec.pod.env[{name}]",)


def egress_ports(datadog):
    rules = rendered(datadog)["NetworkPolicy"]["spec"]["egress"]
    return [
        (port["protocol"], port["port"])
        for rule in rules
        if "to" not in rule
        for port in rule["ports"]
        if port["port"] not in (53, 1053, 5353)
    ]


def test_the_policy_allows_the_ports_of_the_endpoint_and_none_for_a_sidecar():
    assert egress_ports(SIDECAR) == []
    assert egress_ports(ENDPOINT) == [("UDP", 8125), ("TCP", 8126)]
    custom = {**ENDPOINT, "endpoint": {"host": HOST, "dogstatsdPort": 1, "apmPort": 2}}
    assert egress_ports(custom) == [("UDP", 1), ("TCP", 2)]


def test_hold_waits_for_an_endpoint_but_not_for_a_sidecar_that_starts_later():
    def gates(datadog):
        template = rendered({**datadog, "whenMissing": "Hold"})["StatefulSet"]["spec"]["template"]
        return [item["name"] for item in template["spec"].get("initContainers", ())]

    assert gates(SIDECAR) == []
    assert gates(ENDPOINT) == ["await-node-agent"]


@pytest.mark.parametrize("datadog", [SIDECAR, PORTS, ENDPOINT])
def test_the_connection_is_recorded_and_read_again(datadog):
    connection = best(datadog)
    stateful_set = {"metadata": {"annotations": recorded_connection.annotation(connection)}}
    assert recorded_connection.connection_from_annotation(stateful_set) == connection


def test_the_connection_of_a_sidecar_is_read_from_pods():
    live = a_pod(env=[{"name": "DD_AGENT_HOST", "value": "127.0.0.1"}])
    found = recorded_connection.connection_from_pods([live])
    assert found.mode is ConnectionMode.SIDECAR


def test_auto_does_not_keep_an_explicit_connection():
    assert best({"connection": "Auto"}, best(SIDECAR)) == NO_CONNECTION
    current = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
    assert best({"connection": "Auto"}, current) == current


def observed(settings, **changes):
    agent = an_agent(settings)
    return observed_state(
        agent=agent, connection=best(settings), stateful_set=a_stateful_set(1), **changes
    )


@pytest.mark.parametrize(("datadog", "host"), [(SIDECAR, "127.0.0.1"), (ENDPOINT, HOST)])
def test_no_node_agent_is_missed_and_the_status_has_the_address(datadog, host):
    state = observed(datadog, datadog=NO_DATADOG, coverage=ALL_COVERED)
    found = datadog_installed(state)
    assert (found.status, found.reason) == ("True", "Explicit")
    assert datadog_status(state) == {
        "connection": datadog["connection"],
        "dogstatsd": f"{host}:8125",
        "apm": f"{host}:8126",
    }
    assert coverage(["node-1"], NO_DATADOG, state.connection, View()) == ALL_COVERED


def test_a_detected_node_agent_is_still_reported():
    state = replace(observed(SIDECAR), datadog=datadog_facts([helm()], {}))
    assert datadog_installed(state).reason == "Found"


def test_telemetry_is_ready_if_no_agent_drops_it():
    pods = [pod(a_pod("momentum-0"))]
    state = observed(ENDPOINT, pods=pods)
    ready = telemetry_ready(state)
    assert (ready.status, ready.reason) == ("True", "Connected")
    starting = observed(ENDPOINT, pods=pods, telemetry_delivery={pods[0].uid: Delivery.PENDING})
    assert telemetry_ready(starting).reason == "WaitingForAgents"
    lost = telemetry_ready(
        observed(ENDPOINT, pods=pods, telemetry_delivery={pods[0].uid: Delivery.DROPPING})
    )
    assert lost.reason == "TelemetryLost"
    assert f"listens at {HOST}, for metrics on UDP port 8125" in lost.message


@pytest.mark.parametrize(
    ("datadog", "field"),
    [
        ({"connection": "Endpoint"}, "spec.datadog.endpoint.host"),
        ({"connection": "Endpoint", "endpoint": {}}, "spec.datadog.endpoint.host"),
        ({"connection": "Sidecar", "endpoint": {"host": HOST}}, "spec.datadog.endpoint.host"),
        ({"endpoint": {"host": HOST}}, "spec.datadog.endpoint"),
        ({"connection": "HostIP", "endpoint": {}}, "spec.datadog.endpoint"),
        (SIDECAR, ""),
        (PORTS, ""),
        (ENDPOINT, ""),
        ({}, ""),
    ],
)
def test_a_contradictory_address_is_refused(datadog, field):
    assert first_refusal(an_agent(datadog)).partition(":")[0] == field


HOSTS = [
    ("datadog.monitoring.svc.cluster.local", "datadog.monitoring.svc.cluster.local"),
    ("datadog.monitoring.svc.cluster.local.", "datadog.monitoring.svc.cluster.local."),
    ("a", "a"),
    ("10.0.0.7", "10.0.0.7"),
    ("fd00::7", "fd00::7"),
    ("[fd00::7]", "fd00::7"),
    ("FD00:0:0:0:0:0:0:7", "fd00::7"),
    ("::1", "::1"),
    ("::ffff:10.0.0.7", "::ffff:10.0.0.7"),
]


@pytest.mark.parametrize(("host", "expected"), HOSTS)
def test_each_form_of_a_host_reaches_the_agents_and_is_recorded_as_the_same_connection(
    host, expected
):
    datadog = {"connection": "Endpoint", "endpoint": {"host": host, "apmPort": 9126}}
    found = environment(datadog)
    assert found["DD_AGENT_HOST"] in (
        expected,
        str(ip_address(expected)) if ":" in expected else "",
    )
    stateful_set = rendered(datadog)["StatefulSet"]
    recorded = recorded_connection.connection_from_annotation(stateful_set)
    assert recorded == best(datadog)
    assert best(datadog, recorded) == recorded


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "..", "a..b", ".a", "a-", "-a", "a-.b", "A.example", "a_b", "a b", "a/b", "a@b"),
        *("10.0.0", "10.0.0.256", "10.0.0.7.", "1", "fd00::7::1", "[fd00::7", "fd00::7]", "[]"),
        *(
            "[fd00::7]:8125",
            "10.0.0.7:8125",
            "a:8125",
            "fe80::1%eth0",
            "[10.0.0.7]",
            "::g",
            ":",
            "::.",
        ),
        *("http://a", "unix:///var/run/datadog/dsd.socket", "$(HOST)", "a\n", "ä", "a" * 254),
    ],
)
def test_another_form_of_a_host_is_refused_with_the_field(host):
    with pytest.raises(ValidationError) as error:
        an_agent({"connection": "Endpoint", "endpoint": {"host": host}})
    assert error.value.errors()[0]["loc"] == ("datadog", "endpoint", "host")


@pytest.mark.parametrize("port", ["8125", 0, 65536, -1, 8125.5, True, None, "", "dsd", [8125]])
@pytest.mark.parametrize("field", ["dogstatsdPort", "apmPort"])
def test_a_port_is_a_number_in_its_range(field, port):
    with pytest.raises(ValidationError) as error:
        an_agent({"connection": "Sidecar", "endpoint": {field: port}})
    assert error.value.errors()[0]["loc"] == ("datadog", "endpoint", field)


@pytest.mark.parametrize(
    "recorded", ["fd00::7::1", "a b", "$(X)", "a/../b", 5, None, ["a"], "a" * 300]
)
def test_a_recorded_host_of_another_form_is_not_used(recorded):
    stateful_set = rendered(ENDPOINT)["StatefulSet"]
    annotations = stateful_set["metadata"]["annotations"]
    value = json.loads(annotations[recorded_connection.ANNOTATION])
    annotations[recorded_connection.ANNOTATION] = json.dumps({**value, "host": recorded})
    assert recorded_connection.connection_from_annotation(stateful_set) is None
