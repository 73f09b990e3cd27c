"""Rendered objects for each connection: variables, volumes, network rules, and the telemetry gate."""

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_spec

RUN = "/var/run/datadog"
DSD, APM = Socket(folder=RUN, name="dsd.socket"), Socket(folder=RUN, name="apm.socket")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
SOCKET = Connection(mode=ConnectionMode.SOCKET, dogstatsd_socket=DSD, apm_socket=APM)
CSI = Connection(mode=ConnectionMode.CSI, dogstatsd_socket=DSD, apm_socket=APM)
SEPARATE = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=DSD,
    apm_socket=Socket(folder="/opt/apm", name="t.socket"),
)


def rendered(connection, **changes):
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)
    found = children(agent, Defaults(image="own:1"), connection)
    return {item["kind"]: item["spec"] for item in found if "spec" in item}


def pod_of(connection, **changes):
    return rendered(connection, **changes)["StatefulSet"]["template"]["spec"]


def variables(container):
    return {item["name"]: item.get("value") for item in container["env"]}


def volumes(pod):
    return {item["name"]: item for item in pod["volumes"] if item["name"].startswith("node-agent")}


def mounts(container):
    found = container["volumeMounts"]
    return {item["name"]: item for item in found if item["name"].startswith("node-agent")}


@pytest.mark.parametrize("connection", [SOCKET, CSI], ids=["Socket", "CSI"])
def test_variables_have_the_paths_of_sockets_in_the_pod(connection):
    (container,) = pod_of(connection)["containers"]
    found = variables(container)
    assert found["DD_DOGSTATSD_URL"] == "unix:///var/run/datadog/dsd.socket"
    assert found["DD_TRACE_AGENT_URL"] == "unix:///var/run/datadog/apm.socket"
    assert not {"DD_AGENT_HOST", "DD_TRACE_ENABLED"} & found.keys()


def test_the_folder_of_the_sockets_is_mounted_once_and_read_only():
    pod = pod_of(SOCKET)
    assert volumes(pod) == {
        "node-agent": {
            "name": "node-agent",
            "hostPath": {"path": RUN, "type": "DirectoryOrCreate"},
        }
    }
    (container,) = pod["containers"]
    assert mounts(container) == {
        "node-agent": {"name": "node-agent", "mountPath": RUN, "readOnly": True}
    }


def test_sockets_in_two_folders_are_two_volumes():
    pod = pod_of(SEPARATE)
    assert volumes(pod)["node-agent-apm"]["hostPath"]["path"] == "/opt/apm"
    (container,) = pod["containers"]
    assert variables(container)["DD_TRACE_AGENT_URL"] == "unix:///var/run/datadog-apm/t.socket"


def test_a_csi_volume_has_no_folder_of_the_node():
    assert volumes(pod_of(CSI))["node-agent"]["csi"] == {
        "driver": "k8s.csi.datadoghq.com",
        "readOnly": True,
        "volumeAttributes": {"type": "DSDSocketDirectory"},
    }


def test_a_socket_for_metrics_alone_turns_traces_off():
    connection = Connection(mode=ConnectionMode.SOCKET, dogstatsd_socket=DSD)
    (container,) = pod_of(connection)["containers"]
    assert variables(container)["DD_TRACE_ENABLED"] == "false"
    assert "DD_TRACE_AGENT_URL" not in variables(container)


def test_sockets_need_no_rule_in_the_network_policy():
    by_port = rendered(HOST_IP)["NetworkPolicy"]["egress"]
    by_socket = rendered(SOCKET)["NetworkPolicy"]["egress"]
    assert len(by_port) == len(by_socket) + 1
    assert all(rule["ports"] for rule in by_socket)


def test_a_user_volume_with_the_name_of_the_socket_volume_is_ignored():
    volume = {"name": "node-agent", "emptyDir": {}}
    pod = pod_of(SOCKET, pod={"volumes": [volume]})
    assert [item.get("emptyDir") for item in pod["volumes"] if item["name"] == "node-agent"] == [
        None
    ]


@pytest.mark.parametrize(
    "connection", [HOST_IP, SOCKET, SEPARATE, CSI], ids=lambda connection: str(connection.mode)
)
def test_the_recorded_connection_equals_the_injected_connection(connection):
    stateful_set = {"metadata": {"annotations": recorded_connection.annotation(connection)}}
    assert recorded_connection.connection_from_annotation(stateful_set) == connection


BY_NAME = Connection(
    mode=ConnectionMode.SERVICE, host="a.b.svc", dogstatsd_port=8225, apm_port=8226
)
UNTRACED = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125)
CSI_SEPARATE = Connection(
    mode=ConnectionMode.CSI,
    dogstatsd_socket=DSD,
    apm_socket=Socket(folder="/var/run/datadog-apm", name="t.socket"),
)
CONNECTIONS = [
    HOST_IP,
    BY_NAME,
    UNTRACED,
    SOCKET,
    SEPARATE,
    CSI,
    CSI_SEPARATE,
    Connection(mode=ConnectionMode.SOCKET, dogstatsd_socket=DSD),
]


def a_live_pod(connection, name="momentum-0", created="2026-01-01T00:00:00Z", **changes):
    metadata = {"name": name, "creationTimestamp": created}
    return {"metadata": metadata, "spec": pod_of(connection, **changes)}


@pytest.mark.parametrize("connection", CONNECTIONS, ids=str)
def test_the_connection_is_read_from_live_pods(connection):
    assert recorded_connection.connection_from_pods([a_live_pod(connection)]) == connection


@pytest.mark.parametrize("connection", [HOST_IP, BY_NAME, SOCKET, CSI], ids=str)
def test_traces_that_the_user_turned_off_do_not_change_the_recorded_connection(connection):
    untraced = a_live_pod(connection, datadog={"apm": {"enabled": False}})
    assert recorded_connection.connection_from_pods([untraced], traces_enabled=False) == connection


def test_the_newest_pod_that_does_not_terminate_determines_the_connection():
    newest = a_live_pod(SOCKET, "momentum-1", "2026-01-02T00:00:00Z")
    terminating = a_live_pod(CSI, "momentum-2", "2026-01-03T00:00:00Z")
    terminating["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:00Z"
    assert (
        recorded_connection.connection_from_pods([a_live_pod(HOST_IP), newest, terminating])
        == SOCKET
    )


def test_a_pod_without_the_variables_has_no_recorded_connection():
    without_variables = a_live_pod(HOST_IP, created="2026-01-02T00:00:00Z")
    without_variables["spec"]["containers"][0]["env"] = []
    without_agent = {**without_variables, "spec": {"containers": [{"name": "other"}]}}
    assert (
        recorded_connection.connection_from_pods(
            [a_live_pod(BY_NAME), without_variables, without_agent]
        )
        == BY_NAME
    )
    assert recorded_connection.connection_from_pods([without_variables, without_agent]) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mode": "Nonsense"}', "1"])
def test_an_annotation_that_cannot_be_parsed_is_ignored(text):
    assert (
        recorded_connection.connection_from_annotation(
            {"metadata": {"annotations": {recorded_connection.ANNOTATION: text}}}
        )
        is None
    )


def test_no_pod_waits_for_the_node_agent_by_default():
    assert "initContainers" not in pod_of(HOST_IP)
    disabled = {"whenMissing": "Hold", "connection": "Disabled"}
    assert "initContainers" not in pod_of(NO_CONNECTION, datadog=disabled)


@pytest.mark.parametrize(
    "connection", [HOST_IP, SOCKET], ids=lambda connection: str(connection.mode)
)
def test_the_telemetry_gate_uses_the_agents_addresses_and_the_operators_image(connection):
    image = {"repository": "user-image", "tag": "1"}
    pod = pod_of(connection, image=image, datadog={"whenMissing": "Hold"})
    (gate,), (agent,) = pod["initContainers"], pod["containers"]
    assert (gate["image"], agent["image"]) == ("own:1", "user-image:1")
    assert gate["command"] == ["python", "-m", "purpleflea_agent.hold"]
    assert variables(gate).items() <= variables(agent).items()
    assert mounts(gate) == mounts(agent)
    assert gate["securityContext"] == agent["securityContext"]


def test_the_telemetry_gate_starts_after_the_sidecars():
    sidecar = {"name": "proxy", "image": "proxy:1"}
    pod = pod_of(HOST_IP, datadog={"whenMissing": "Hold"}, pod={"sidecars": [sidecar]})
    assert [item["name"] for item in pod["initContainers"]] == ["proxy", "await-node-agent"]
