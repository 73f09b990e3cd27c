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
def test_what_only_looks_like_a_node_agent_is_not_one(labels):
    assert facts_of(a_datadog_daemon_set(labels=labels)).node_agent is None


def test_a_daemon_set_with_another_image_is_not_a_node_agent():
    assert facts_of(helm(image="acme/forwarder:1")).node_agent is None


def test_any_registry_host_and_a_digest_are_fine():
    image = "eu.gcr.io/datadoghq/agent:7.81.1-jmx@sha256:" + "0" * 64
    assert facts_of(helm(image=image)).node_agent.agent_version == "7.81.1-jmx"


def test_an_image_without_a_tag_has_no_version():
    image = "gcr.io/datadoghq/agent@sha256:" + "0" * 64
    assert facts_of(helm(image=image)).node_agent.agent_version is None


def test_a_daemon_set_without_a_container_of_that_name_is_no_node_agent():
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
def test_old_pods_and_pods_on_nodes_that_should_have_none_are_no_ready_node_agent(counts):
    item = helm()
    assert facts_of(item).node_agent.is_ready
    item["status"] |= counts
    assert not facts_of(item).node_agent.is_ready


def test_a_node_agent_without_nodes_is_not_ready():
    assert not facts_of(helm(desired=0)).node_agent.is_ready


def test_node_agents_that_come_and_go_do_not_change_the_facts_until_the_last():
    rolling = [facts_of(helm(desired=60, ready=ready)) for ready in (10, 40, 59)]
    assert rolling[0] == rolling[1] == rolling[2]
    assert rolling[0] != facts_of(helm(desired=60))
    assert facts_of(helm(desired=60)) == facts_of(helm())


def test_which_node_agent_comes_first_does_not_change_while_they_roll_out():
    others = [helm("b-datadog", desired=60), helm("w-datadog", os="windows")]
    for first in (helm("a-datadog", ready=0), helm("a-datadog", desired=1), helm("a-datadog")):
        names = [item.name for item in facts_of(*others, first).node_agents]
        assert names == ["a-datadog", "b-datadog", "w-datadog"]


def test_a_node_agent_that_no_node_wants_comes_after_one_that_runs():
    assert facts_of(helm("a-datadog", desired=0), helm()).node_agent.name == "datadog-agent"


def test_of_several_node_pools_new_agents_take_the_way_of_the_largest():
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
def test_the_last_of_several_variables_counts(env, expected):
    item = helm()
    container_of(item)["env"] = env
    assert facts_of(item).node_agent.logs is expected


def test_variables_from_elsewhere_hide_what_is_not_set_here():
    item = helm()
    container_of(item).update(env=[], envFrom=[{"configMapRef": {"name": "theirs"}}])
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
def test_a_socket_is_found_by_the_mount_of_its_folder(mount, volume, expected):
    item = helm()
    container_of(item)["volumeMounts"] = [
        {"name": "dsdsocket", "mountPath": "/var/run/datadog", **mount}
    ]
    volumes = item["spec"]["template"]["spec"]["volumes"]
    volumes[0] = {
        key: value for key, value in {**volumes[0], **volume}.items() if value is not None
    }
    assert facts_of(item).node_agent.dogstatsd.socket == expected


def test_the_innermost_mount_is_what_stands_at_a_path():
    item = helm()
    container_of(item)["volumeMounts"].append({"name": "outer", "mountPath": "/var"})
    item["spec"]["template"]["spec"]["volumes"].append(
        {"name": "outer", "hostPath": {"path": "/wrong"}}
    )
    assert facts_of(item).node_agent.dogstatsd.socket.folder == "/var/run/datadog"


def test_a_service_that_leaves_the_node_is_none():
    services = {("datadog", "datadog-agent"): a_local_service(policy="Cluster")}
    assert facts_of(helm(), services=services).node_agent.service is None


@pytest.mark.parametrize(
    ("labels", "level", "allowed"),
    [
        ({}, PodSecurity.PRIVILEGED, True),
        ({"pod-security.kubernetes.io/enforce": "baseline"}, PodSecurity.BASELINE, False),
        ({"pod-security.kubernetes.io/enforce": "restricted"}, PodSecurity.RESTRICTED, False),
        ({"pod-security.kubernetes.io/enforce": "misspelt"}, PodSecurity.PRIVILEGED, True),
    ],
)
def test_the_label_of_the_namespace_says_what_it_allows(labels, level, allowed):
    assert pod_security(labels) is level
    assert level.allows_host_paths is allowed
    assert PodSecurity.UNKNOWN.allows_host_paths is None


# What agents have already


def test_a_better_way_that_is_added_later_restarts_nobody():
    by_service = selected_connection(facts_of(helm()), "Auto")
    assert by_service.mode is ConnectionMode.SERVICE
    constraints = Constraints(current=by_service)
    assert selected_connection(facts_of(helm(**OPEN)), "Auto", constraints) == by_service


def test_a_way_that_is_gone_gives_place_to_another():
    assert (
        selected_connection(facts_of(helm()), "Auto", Constraints(current=HOST_IP)).mode
        is ConnectionMode.SERVICE
    )


def test_a_port_that_moves_moves_the_agents():
    moved = facts_of(helm(**OPEN, dogstatsd_port=8225))
    assert selected_connection(moved, "Auto", Constraints(current=HOST_IP)).dogstatsd_port == 8225


def test_traces_that_are_turned_on_reach_the_agents():
    had = selected_connection(facts_of(helm(apm=False, dogstatsd_host_port=True)), "Auto")
    assert not had.supports_traces
    found = selected_connection(
        facts_of(helm(dogstatsd_host_port=True)), "Auto", Constraints(current=had)
    )
    assert found.supports_traces


def test_a_version_or_another_release_alone_restarts_nobody():
    newer = helm(**OPEN, chart="datadog-3.300.0", image="gcr.io/datadoghq/agent:7.99.0")
    assert selected_connection(facts_of(newer), "Auto", Constraints(current=HOST_IP)) == HOST_IP
    other = helm("dd-datadog", namespace="elsewhere", **OPEN)
    assert selected_connection(facts_of(other), "Auto", Constraints(current=HOST_IP)) == HOST_IP


def test_the_preference_between_two_node_agents_moves_nobody():
    first, second = helm("a-datadog", ready=0, sockets=False), helm("b-datadog", sockets=False)
    services = {("datadog", name): a_local_service(name) for name in ("a-datadog", "b-datadog")}
    had = selected_connection(facts_of(second, services=services), "Auto")
    swapped = facts_of(helm("a-datadog", sockets=False, desired=99), second, services=services)
    assert (
        selected_connection(
            facts_of(first, second, services=services), "Auto", Constraints(current=had)
        )
        == had
    )
    assert swapped.node_agent.name == "a-datadog"
    assert selected_connection(swapped, "Auto", Constraints(current=had)) == had


def test_no_node_agent_keeps_what_agents_have():
    assert selected_connection(NO_DATADOG, "Auto", Constraints(current=HOST_IP)) == HOST_IP
    assert selected_connection(NO_DATADOG, "Auto").mode is ConnectionMode.NONE
    assert (
        selected_connection(NO_DATADOG, "Disabled", Constraints(current=HOST_IP)).mode
        is ConnectionMode.NONE
    )


def test_a_refused_way_keeps_what_agents_have_and_says_why():
    found = selected_connection(facts_of(helm()), "HostIP", Constraints(current=HOST_IP))
    assert (found.mode, found.dogstatsd_port) == (ConnectionMode.HOST_IP, 8125)
    assert found.refusal_message == "no port of the node accepts metrics"


BY_SOCKET = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=Socket(folder="/var/run/datadog", name="dsd.socket"),
    apm_socket=Socket(folder="/var/run/datadog", name="apm.socket"),
)


@pytest.mark.parametrize("wanted", ["Auto", "Socket"])
@pytest.mark.parametrize("level", [PodSecurity.BASELINE, PodSecurity.RESTRICTED])
def test_sockets_that_a_namespace_came_to_forbid_are_given_up(wanted, level):
    """A pod with a folder of the node could not be made again."""
    constraints = Constraints(security=level, current=BY_SOCKET)
    found = selected_connection(facts_of(helm(), services={}), wanted, constraints)
    assert (found.mode, found.refusal) == (ConnectionMode.NONE, Refusal.POD_SECURITY)
    assert selected_connection(NO_DATADOG, wanted, constraints).mode is ConnectionMode.NONE


@pytest.mark.parametrize("had", [HOST_IP, replace(BY_SOCKET, mode=ConnectionMode.CSI)])
def test_what_a_namespace_does_not_forbid_is_kept(had):
    constraints = Constraints(security=PodSecurity.RESTRICTED, current=had)
    assert selected_connection(facts_of(helm(), services={}), "Auto", constraints).mode is had.mode


@pytest.mark.parametrize("level", [PodSecurity.PRIVILEGED, PodSecurity.UNKNOWN])
def test_sockets_that_may_be_allowed_are_kept(level):
    constraints = Constraints(security=level, current=BY_SOCKET)
    assert (
        selected_connection(facts_of(helm(), services={}), "Auto", constraints).mode
        is ConnectionMode.SOCKET
    )


def test_agents_that_would_wait_to_be_heard_keep_forbidden_sockets_while_they_run():
    constraints = Constraints(
        security=PodSecurity.RESTRICTED, current=BY_SOCKET, waits_for_node_agent=True
    )
    found = selected_connection(facts_of(helm(), services={}), "Auto", constraints)
    assert (found.mode, found.refusal) == (ConnectionMode.SOCKET, Refusal.POD_SECURITY)


def test_no_socket_in_a_folder_of_the_node_is_said():
    item = helm(sockets=False)
    constraints = Constraints(security=PodSecurity.PRIVILEGED)
    assert "no socket" in selected_connection(facts_of(item), "Socket", constraints).refusal_message


@pytest.mark.parametrize(
    ("wanted", "mode", "metrics"),
    [
        ("HostIP", ConnectionMode.HOST_IP, (8125, None)),
        ("Socket", ConnectionMode.SOCKET, (None, "/var/run/datadog")),
        ("CSI", ConnectionMode.CSI, (None, "/var/run/datadog")),
        ("Auto", ConnectionMode.NONE, (None, None)),
        ("Service", ConnectionMode.NONE, (None, None)),
    ],
)
def test_where_nothing_can_be_seen_a_way_asked_for_by_name_is_trusted(wanted, mode, metrics):
    found = selected_connection(DatadogFacts(is_visible=False), wanted)
    socket = found.dogstatsd_socket
    assert (found.mode, (found.dogstatsd_port, socket.folder if socket else None)) == (
        mode,
        metrics,
    )


def test_the_node_agent_that_is_reached_is_told_of():
    facts = facts_of(helm("a-datadog", desired=9), helm("b-datadog", **OPEN), services={})
    first, second = facts.node_agents
    assert receiving_node_agents(facts, HOST_IP, ALL_COVERED) == (
        ReceivingNodeAgent(node_agent=second),
    )
    assert receiving_node_agents(facts, Connection(mode=ConnectionMode.NONE), ALL_COVERED) == (
        ReceivingNodeAgent(node_agent=first),
    )
    assert receiving_node_agents(NO_DATADOG, HOST_IP, ALL_COVERED) == ()
