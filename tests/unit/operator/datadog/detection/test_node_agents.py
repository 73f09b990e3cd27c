from dataclasses import replace

import pytest

from purpleflea_operator.datadog.detection.connection import (
    Connection,
    ConnectionMode,
    Constraints,
    Refusal,
    selected_connection,
)
from purpleflea_operator.datadog.detection.coverage import (
    ALL_COVERED,
    ReceivingNodeAgent,
    receiving_node_agents,
)
from purpleflea_operator.datadog.detection.facts import (
    NO_DATADOG,
    DatadogFacts,
    Installer,
    PodSecurity,
    Socket,
    Switch,
    pod_security,
)
from purpleflea_operator.datadog.detection.node_agent import datadog_facts, service_of
from support.builders import LOCAL_SERVICES, a_datadog_daemon_set, a_local_service
from support.installations import datadog_operator, from_secret, helm, variables

OPERATOR_LABELS = {
    "app.kubernetes.io/managed-by": "datadog-operator",
    "agent.datadoghq.com/component": "agent",
    "agent.datadoghq.com/name": "datadog",
}
OPEN = {"dogstatsd_host_port": True, "apm_host_port": True}
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def facts_of(*daemon_sets, services=LOCAL_SERVICES, **more):
    return datadog_facts(daemon_sets, services, **more)


def container_of(daemon_set, number=0):
    return daemon_set["spec"]["template"]["spec"]["containers"][number]


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"helm.sh/chart": "datadog-operator-2.25.0", "app.kubernetes.io/component": "agent"},
        {"helm.sh/chart": "datadog-3.240.0", "app.kubernetes.io/component": "clusterchecks-agent"},
        {**OPERATOR_LABELS, "agent.datadoghq.com/component": "cluster-agent"},
    ],
)
def test_similar_labels_do_not_make_a_node_agent(labels):
    assert facts_of(a_datadog_daemon_set(labels=labels)).node_agent is None


MIRRORED = "registry.example.com/mirror/datadog-agent:7.60.0"


def with_main(daemon_set, **changes):
    """Return a DaemonSet with other fields of its first container."""
    container_of(daemon_set).update(changes)
    return daemon_set


def test_a_daemon_set_that_runs_another_program_is_not_a_node_agent():
    item = with_main(helm(image="acme/forwarder:1"), env=[], ports=[], command=["forward"])
    assert facts_of(item).node_agent is None


@pytest.mark.parametrize(
    "kept",
    [
        {"env": [from_secret("DD_API_KEY")]},
        {"env": variables(DD_KUBERNETES_KUBELET_HOST="x")},
        {"command": ["agent", "run"]},
        {"ports": [{"name": "dogstatsdport", "containerPort": 8125}], "env": variables(DD_X="1")},
    ],
)
def test_a_mirrored_image_is_recognized_by_what_users_do_not_rename(kept):
    item = with_main(helm(image=MIRRORED), **{"env": [], "ports": [], "command": None, **kept})
    found = facts_of(item).node_agent
    assert (found.installer, found.agent_version) == (Installer.HELM, "7.60.0")


@pytest.mark.parametrize("command", ["agent run", ["agent"], [["agent", "run"]], 7])
def test_a_command_of_another_form_is_no_evidence(command):
    item = with_main(helm(image=MIRRORED), env=[], ports=[], command=command)
    assert facts_of(item).node_agent is None


def test_a_mirrored_image_offers_the_same_connection():
    public, mirrored = (
        selected_connection(facts_of(helm(image=image, **OPEN)), "Auto")
        for image in ("gcr.io/datadoghq/agent:7.60.0", MIRRORED)
    )
    assert public == mirrored == HOST_IP


def a_plain_manifest(**pod_labels):
    item = helm(env=[from_secret("DD_API_KEY")], **OPEN)
    item["metadata"]["labels"] = {"app.kubernetes.io/component": "agent", "app": "datadog"}
    item["spec"]["template"]["metadata"] = {"labels": pod_labels}
    return item


def test_a_daemon_set_of_another_origin_is_used_if_its_pods_are_visible():
    item = a_plain_manifest(**{"app.kubernetes.io/component": "agent"})
    facts = facts_of(item)
    assert facts.node_agent.installer is Installer.MANIFEST
    assert selected_connection(facts, "Auto") == HOST_IP
    assert service_of(item) == ("datadog", "datadog-agent")
    # Its namespace decides, as for all others.
    elsewhere = facts_of({**item, "metadata": {**item["metadata"], "namespace": "tenant"}})
    assert (elsewhere.node_agent, len(elsewhere.untrusted)) == (None, 1)


def test_a_daemon_set_of_another_origin_without_visible_pods_or_a_key_is_not_used():
    assert facts_of(a_plain_manifest(app="datadog")).node_agent is None
    without_key = a_plain_manifest(**{"app.kubernetes.io/component": "agent"})
    container_of(without_key)["env"] = variables(DD_DOGSTATSD_NON_LOCAL_TRAFFIC="true")
    assert facts_of(without_key).node_agent is None


def without(daemon_set, name, *numbers):
    """Return a DaemonSet whose containers do not have a variable."""
    for number in numbers or range(len(daemon_set["spec"]["template"]["spec"]["containers"])):
        container = container_of(daemon_set, number)
        container["env"] = [item for item in container["env"] if item["name"] != name]
    return daemon_set


OPEN_METRICS = "DD_DOGSTATSD_NON_LOCAL_TRAFFIC"


@pytest.mark.parametrize("network", [False, True])
@pytest.mark.parametrize("make", [helm, datadog_operator])
def test_a_listener_on_loopback_is_not_used_and_named_with_its_variable(make, network):
    options = {"host_ports": True} if make is datadog_operator else OPEN
    item = without(make(**options), OPEN_METRICS)
    item["spec"]["template"]["spec"]["hostNetwork"] = network
    agent = facts_of(item).node_agent
    assert agent.dogstatsd.port is None
    assert (agent.dogstatsd.blocked_by.name, agent.dogstatsd.blocked_by.value) == (
        OPEN_METRICS,
        "true",
    )
    # Traces have the default of the image, and the socket is not affected.
    assert agent.apm.port is not None
    assert agent.dogstatsd.socket is not None
    assert selected_connection(facts_of(item), "HostIP").refusal is Refusal.NOT_OFFERED
    assert selected_connection(facts_of(item), "Auto").mode is ConnectionMode.SOCKET
    restricted = Constraints(security=PodSecurity.RESTRICTED)
    for requested, limits in (("HostIP", Constraints()), ("Auto", restricted)):
        message = selected_connection(facts_of(item), requested, limits).refusal_message
        assert f"until {OPEN_METRICS} of its container agent is true" in message


@pytest.mark.parametrize("source", [from_secret(OPEN_METRICS), {"envFrom": [{"secretRef": {}}]}])
def test_a_hidden_variable_is_not_off(source):
    item = without(helm(**OPEN), OPEN_METRICS)
    container = container_of(item)
    if "name" in source:
        container["env"].append(source)
    else:
        container.update(source)
    assert facts_of(item).node_agent.dogstatsd.port is not None


@pytest.mark.parametrize(
    ("agent", "data_plane", "is_open"),
    [
        ("true", None, True),
        (None, "true", True),
        ("false", "true", True),
        ("true", "false", False),
        (None, None, False),
    ],
)
def test_the_variables_of_the_data_plane_precede_those_of_the_agent(agent, data_plane, is_open):
    item = without(helm(data_plane=True, apm=False, dogstatsd_host_port=True), OPEN_METRICS)
    for number, value in enumerate((agent, data_plane)):
        if value is not None:
            container_of(item, number)["env"] += variables(**{OPEN_METRICS: value})
    receiver = facts_of(item).node_agent.dogstatsd
    assert (receiver.port is not None) is is_open


def test_the_port_and_the_socket_of_the_data_plane_can_be_configured_at_the_agent():
    item = helm(data_plane=True, dogstatsd_port=9125, dogstatsd_host_port=True)
    for name in ("DD_DOGSTATSD_PORT", "DD_DOGSTATSD_SOCKET"):
        without(item, name, 1)
    container_of(item, 1)["volumeMounts"] = []
    receiver = facts_of(item).node_agent.dogstatsd
    assert receiver.port.host_port == 9125
    assert receiver.socket == Socket(folder="/var/run/datadog", name="dsd.socket")


def test_a_variable_of_another_container_does_not_open_the_listener():
    item = without(helm(**OPEN), OPEN_METRICS)
    container_of(item, 1)["env"] += variables(**{OPEN_METRICS: "true"})
    assert facts_of(item).node_agent.dogstatsd.port is None


@pytest.mark.parametrize(
    ("changes", "host_port"),
    [
        ({}, 8125),
        ({"hostIP": ""}, 8125),
        ({"hostIP": "0.0.0.0"}, 8125),
        ({"hostIP": "::"}, 8125),
        ({"hostIP": "0:0:0:0:0:0:0:0"}, 8125),
        ({"hostIP": "::1"}, None),
        ({"hostIP": "fd00::7"}, None),
        ({"hostIP": "[::]"}, None),
        ({"hostIP": "127.0.0.1"}, None),
        ({"hostIP": "10.0.0.7"}, None),
        ({"hostIP": 7}, 8125),
        ({"hostPort": 18125}, 18125),
        ({"hostPort": 0}, None),
        ({"hostPort": 70000}, None),
    ],
)
def test_a_port_of_the_node_counts_if_it_is_open_on_all_addresses(changes, host_port):
    item = helm(**OPEN)
    container_of(item)["ports"][0].update(changes)
    assert facts_of(item).node_agent.dogstatsd.port.host_port == host_port


@pytest.mark.parametrize(("number", "protocol"), [(0, "TCP"), (1, "UDP"), (0, "SCTP")])
def test_a_port_of_another_protocol_is_not_the_one_of_the_receiver(number, protocol):
    item = helm(**OPEN)
    container_of(item, number)["ports"][0]["protocol"] = protocol
    agent = facts_of(item).node_agent
    assert [agent.dogstatsd.port, agent.apm.port][number] is None


def a_service_with(**port):
    service = a_local_service()
    service["spec"]["ports"] = [{"protocol": "UDP", "name": "dogstatsdport", "port": 8125, **port}]
    return {("datadog", "datadog-agent"): service}


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({}, 8125),
        ({"targetPort": 8125}, 8125),
        ({"targetPort": "dogstatsdport"}, 8125),
        ({"targetPort": "8125"}, 8125),
        ({"port": 9125, "targetPort": 8125}, 9125),
        ({"port": 9125, "targetPort": "dogstatsdport"}, 9125),
        ({"name": "metrics"}, 8125),
        ({"targetPort": 8126}, None),
        ({"targetPort": "traceport"}, None),
        ({"targetPort": "unknown"}, None),
        ({"port": 9125}, None),
        ({"protocol": "TCP"}, None),
        ({"port": 0, "targetPort": 8125}, None),
    ],
)
def test_a_port_of_the_service_is_followed_to_the_port_of_the_receiver(port, expected):
    found = facts_of(helm(), services=a_service_with(**port)).node_agent.service
    assert found.dogstatsd_port == expected
    connection = selected_connection(facts_of(helm(), services=a_service_with(**port)), "Service")
    assert connection.dogstatsd_port == expected


@pytest.mark.parametrize(
    ("selector", "is_used"),
    [({"app": "datadog-agent"}, True), ({}, True), ({"app": "other"}, False)],
)
def test_a_service_that_selects_other_pods_is_not_used(selector, is_used):
    services = a_service_with()
    services["datadog", "datadog-agent"]["spec"]["selector"] = selector
    item = helm()
    item["spec"]["template"]["metadata"] = {"labels": {"app": "datadog-agent"}}
    assert (facts_of(item, services=services).node_agent.service is not None) is is_used


def test_any_registry_and_a_digest_are_accepted():
    image = "eu.gcr.io/datadoghq/agent:7.81.1-jmx@sha256:" + "0" * 64
    assert facts_of(helm(image=image)).node_agent.agent_version == "7.81.1-jmx"


def test_an_image_without_a_tag_has_no_version():
    image = "gcr.io/datadoghq/agent@sha256:" + "0" * 64
    assert facts_of(helm(image=image)).node_agent.agent_version is None


def test_a_daemon_set_without_an_agent_container_is_not_a_node_agent():
    item = helm()
    for number in (0, 1):
        container_of(item, number)["name"] = "other"
    assert facts_of(item).node_agent is None


@pytest.mark.parametrize(("generation", "observed", "ready"), [(2, 1, 3), (1, 1, 2)])
def test_a_node_agent_that_is_rolling_out_is_not_ready(generation, observed, ready):
    item = helm(generation=generation, observed=observed, ready=ready)
    assert not facts_of(item).node_agent.is_ready


@pytest.mark.parametrize(
    "counts", [{"updatedNumberScheduled": 2}, {"numberMisscheduled": 1}, {"numberReady": 2}]
)
def test_a_node_agent_with_old_or_misscheduled_pods_is_not_ready(counts):
    item = helm()
    assert facts_of(item).node_agent.is_ready
    item["status"] |= counts
    assert not facts_of(item).node_agent.is_ready


def test_a_node_agent_without_nodes_is_not_ready():
    assert not facts_of(helm(desired=0)).node_agent.is_ready


def test_the_facts_change_only_when_the_last_node_agent_is_ready():
    rolling = [facts_of(helm(desired=60, ready=ready)) for ready in (10, 40, 59)]
    assert rolling[0] == rolling[1] == rolling[2]
    assert rolling[0] != facts_of(helm(desired=60))
    assert facts_of(helm(desired=60)) == facts_of(helm())


def test_the_sequence_of_node_agents_does_not_change_during_a_rollout():
    others = [helm("b-datadog", desired=60), helm("w-datadog", os="windows")]
    for first in (helm("a-datadog", ready=0), helm("a-datadog", desired=1), helm("a-datadog")):
        names = [item.name for item in facts_of(*others, first).node_agents]
        assert names == ["a-datadog", "b-datadog", "w-datadog"]


def test_a_node_agent_without_nodes_comes_after_one_with_nodes():
    assert facts_of(helm("a-datadog", desired=0), helm()).node_agent.name == "datadog-agent"


def test_new_agents_use_the_connection_of_the_largest_node_pool():
    names = ("a-datadog", "b-datadog")
    services = {("datadog", name): a_local_service(name) for name in names}
    found = facts_of(helm(names[0], desired=1), helm(names[1], desired=60), services=services)
    assert selected_connection(found, "Auto").host.startswith("b-datadog.")


def test_the_service_of_a_profile_is_that_of_its_datadog_agent():
    assert service_of(datadog_operator("spot-agent")) == ("datadog", "datadog-agent")
    assert service_of(helm("dd-datadog", namespace="m")) == ("m", "dd-datadog")


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ([], Switch.OFF),
        (variables(DD_LOGS_ENABLED="TRUE"), Switch.ON),
        (variables(DD_LOGS_ENABLED="no"), Switch.OFF),
        ([*variables(DD_LOGS_ENABLED="true"), *variables(DD_LOGS_ENABLED="false")], Switch.OFF),
        ([from_secret("DD_LOGS_ENABLED")], Switch.UNKNOWN),
    ],
)
def test_the_last_of_several_variables_is_effective(env, expected):
    item = helm()
    container_of(item)["env"] = env
    assert facts_of(item).node_agent.logs is expected


def test_variables_from_other_objects_make_unset_variables_unknown():
    item = helm()
    container_of(item).update(env=[], envFrom=[{"configMapRef": {"name": "of-the-user"}}])
    found = facts_of(item).node_agent
    assert (found.installer, found.logs) == (Installer.HELM, Switch.UNKNOWN)
    assert found.dogstatsd.state is Switch.UNKNOWN


@pytest.mark.parametrize(
    ("mount", "volume", "expected"),
    [
        ({}, {}, Socket(folder="/var/run/datadog", name="dsd.socket")),
        (
            {"mountPath": "/var/run"},
            {"hostPath": {"path": "/run"}},
            Socket(folder="/run/datadog", name="dsd.socket"),
        ),
        ({"subPath": "in"}, {}, Socket(folder="/var/run/datadog/in", name="dsd.socket")),
        ({"subPathExpr": "$(POD)"}, {}, None),
        ({}, {"hostPath": None, "emptyDir": {}}, None),
        ({"mountPath": "/elsewhere"}, {}, None),
    ],
)
def test_a_socket_is_detected_by_the_mount_of_its_folder(mount, volume, expected):
    item = helm()
    container_of(item)["volumeMounts"] = [
        {"name": "dsdsocket", "mountPath": "/var/run/datadog", **mount}
    ]
    volumes = item["spec"]["template"]["spec"]["volumes"]
    volumes[0] = {
        key: value for key, value in {**volumes[0], **volume}.items() if value is not None
    }
    assert facts_of(item).node_agent.dogstatsd.socket == expected


def test_the_innermost_mount_of_a_path_is_used():
    item = helm()
    container_of(item)["volumeMounts"].append({"name": "outer", "mountPath": "/var"})
    item["spec"]["template"]["spec"]["volumes"].append(
        {"name": "outer", "hostPath": {"path": "/wrong"}}
    )
    assert facts_of(item).node_agent.dogstatsd.socket.folder == "/var/run/datadog"


def test_a_service_with_cluster_wide_traffic_is_not_used():
    services = {("datadog", "datadog-agent"): a_local_service(policy="Cluster")}
    assert facts_of(helm(), services=services).node_agent.service is None


@pytest.mark.parametrize(
    ("labels", "level", "allowed"),
    [
        ({}, PodSecurity.PRIVILEGED, True),
        ({"pod-security.kubernetes.io/enforce": "baseline"}, PodSecurity.BASELINE, False),
        ({"pod-security.kubernetes.io/enforce": "restricted"}, PodSecurity.RESTRICTED, False),
        ({"pod-security.kubernetes.io/enforce": "misspelled"}, PodSecurity.PRIVILEGED, True),
    ],
)
def test_the_label_of_the_namespace_determines_its_level(labels, level, allowed):
    assert pod_security(labels) is level
    assert level.allows_host_paths is allowed
    assert PodSecurity.UNKNOWN.allows_host_paths is None


# Agents that have a connection


def test_adding_a_better_connection_later_restarts_no_agent():
    by_service = selected_connection(facts_of(helm()), "Auto")
    assert by_service.mode is ConnectionMode.SERVICE
    constraints = Constraints(current=by_service)
    assert selected_connection(facts_of(helm(**OPEN)), "Auto", constraints) == by_service


def test_a_connection_that_is_no_longer_offered_is_replaced():
    assert (
        selected_connection(facts_of(helm()), "Auto", Constraints(current=HOST_IP)).mode
        is ConnectionMode.SERVICE
    )


def test_agents_follow_a_changed_port():
    moved = facts_of(helm(**OPEN, dogstatsd_port=8225))
    assert selected_connection(moved, "Auto", Constraints(current=HOST_IP)).dogstatsd_port == 8225


def test_a_connection_is_replaced_if_traces_become_available():
    current = selected_connection(facts_of(helm(apm=False, dogstatsd_host_port=True)), "Auto")
    assert not current.supports_traces
    found = selected_connection(
        facts_of(helm(dogstatsd_host_port=True)), "Auto", Constraints(current=current)
    )
    assert found.supports_traces


def test_another_version_or_release_alone_restarts_no_agent():
    newer = helm(**OPEN, chart="datadog-3.300.0", image="gcr.io/datadoghq/agent:7.99.0")
    assert selected_connection(facts_of(newer), "Auto", Constraints(current=HOST_IP)) == HOST_IP
    other = helm("dd-datadog", namespace="datadog-agent", **OPEN)
    assert selected_connection(facts_of(other), "Auto", Constraints(current=HOST_IP)) == HOST_IP


def test_the_sequence_of_two_node_agents_restarts_no_agent():
    first, second = helm("a-datadog", ready=0, sockets=False), helm("b-datadog", sockets=False)
    services = {("datadog", name): a_local_service(name) for name in ("a-datadog", "b-datadog")}
    current = selected_connection(facts_of(second, services=services), "Auto")
    swapped = facts_of(helm("a-datadog", sockets=False, desired=99), second, services=services)
    assert (
        selected_connection(
            facts_of(first, second, services=services), "Auto", Constraints(current=current)
        )
        == current
    )
    assert swapped.node_agent.name == "a-datadog"
    assert selected_connection(swapped, "Auto", Constraints(current=current)) == current


def test_agents_keep_their_connection_if_there_is_no_node_agent():
    assert selected_connection(NO_DATADOG, "Auto", Constraints(current=HOST_IP)) == HOST_IP
    assert selected_connection(NO_DATADOG, "Auto").mode is ConnectionMode.NONE
    assert (
        selected_connection(NO_DATADOG, "Disabled", Constraints(current=HOST_IP)).mode
        is ConnectionMode.NONE
    )


def test_agents_keep_their_connection_if_the_requested_one_is_refused():
    found = selected_connection(facts_of(helm()), "HostIP", Constraints(current=HOST_IP))
    assert (found.mode, found.dogstatsd_port) == (ConnectionMode.HOST_IP, 8125)
    assert found.refusal_message == "no port of the node accepts metrics"


BY_SOCKET = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=Socket(folder="/var/run/datadog", name="dsd.socket"),
    apm_socket=Socket(folder="/var/run/datadog", name="apm.socket"),
)


@pytest.mark.parametrize("requested", ["Auto", "Socket"])
@pytest.mark.parametrize("level", [PodSecurity.BASELINE, PodSecurity.RESTRICTED])
def test_sockets_are_not_kept_if_the_namespace_now_forbids_them(requested, level):
    """A pod that mounts a folder of the node could not be recreated."""
    constraints = Constraints(security=level, current=BY_SOCKET)
    found = selected_connection(facts_of(helm(), services={}), requested, constraints)
    assert (found.mode, found.refusal) == (ConnectionMode.NONE, Refusal.POD_SECURITY)
    assert selected_connection(NO_DATADOG, requested, constraints).mode is ConnectionMode.NONE


@pytest.mark.parametrize("current", [HOST_IP, replace(BY_SOCKET, mode=ConnectionMode.CSI)])
def test_connections_that_the_namespace_allows_are_kept(current):
    constraints = Constraints(security=PodSecurity.RESTRICTED, current=current)
    assert (
        selected_connection(facts_of(helm(), services={}), "Auto", constraints).mode is current.mode
    )


@pytest.mark.parametrize("level", [PodSecurity.PRIVILEGED, PodSecurity.UNKNOWN])
def test_sockets_are_kept_if_the_level_allows_them_or_is_unknown(level):
    constraints = Constraints(security=level, current=BY_SOCKET)
    assert (
        selected_connection(facts_of(helm(), services={}), "Auto", constraints).mode
        is ConnectionMode.SOCKET
    )


def test_agents_with_hold_keep_forbidden_sockets():
    constraints = Constraints(
        security=PodSecurity.RESTRICTED, current=BY_SOCKET, waits_for_node_agent=True
    )
    found = selected_connection(facts_of(helm(), services={}), "Auto", constraints)
    assert (found.mode, found.refusal) == (ConnectionMode.SOCKET, Refusal.POD_SECURITY)


def test_a_missing_socket_in_a_folder_of_the_node_is_reported():
    item = helm(sockets=False)
    constraints = Constraints(security=PodSecurity.PRIVILEGED)
    assert "no socket" in selected_connection(facts_of(item), "Socket", constraints).refusal_message


@pytest.mark.parametrize(
    ("requested", "mode", "metrics"),
    [
        ("HostIP", ConnectionMode.HOST_IP, (8125, None)),
        ("Socket", ConnectionMode.SOCKET, (None, "/var/run/datadog")),
        ("CSI", ConnectionMode.CSI, (None, "/var/run/datadog")),
        ("Auto", ConnectionMode.NONE, (None, None)),
        ("Service", ConnectionMode.NONE, (None, None)),
    ],
)
def test_a_connection_requested_by_name_is_assumed_if_nothing_is_visible(requested, mode, metrics):
    found = selected_connection(DatadogFacts(is_visible=False), requested)
    socket = found.dogstatsd_socket
    assert (found.mode, (found.dogstatsd_port, socket.folder if socket else None)) == (
        mode,
        metrics,
    )


def test_the_node_agent_that_offers_the_connection_is_reported():
    facts = facts_of(helm("a-datadog", desired=9), helm("b-datadog", **OPEN), services={})
    first, second = facts.node_agents
    assert receiving_node_agents(facts, HOST_IP, ALL_COVERED) == (
        ReceivingNodeAgent(node_agent=second),
    )
    assert receiving_node_agents(facts, Connection(mode=ConnectionMode.NONE), ALL_COVERED) == (
        ReceivingNodeAgent(node_agent=first),
    )
    assert receiving_node_agents(NO_DATADOG, HOST_IP, ALL_COVERED) == ()
