"""TelemetryReady and DatadogInstalled of an agent whose pods, nodes or node agents have a problem."""

from dataclasses import replace

import pytest

from purpleflea_operator.api.agent_status import DatadogStatus
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import (
    datadog_installed,
    telemetry_ready,
)
from purpleflea_operator.controllers.agent.decisions.datadog_status import LISTED, datadog_status
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Constraints,
    selected_connection,
)
from purpleflea_operator.datadog.detection.coverage import (
    NOT_VISIBLE,
    Coverage,
    UncoveredNode,
    coverage,
)
from purpleflea_operator.datadog.detection.facts import DatadogFacts, PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.watch_scope import WatchScope
from support.builders import HOST_IP, a_pod
from support.installations import a_node, a_node_inventory, helm
from support.observed_states import a_stateful_set, observed_state

OPEN = {"logs": True, "dogstatsd_host_port": True, "apm_host_port": True}
UNSEEN = DatadogFacts(is_visible=False)


def with_telemetry(*daemon_sets, pods=None, ready=3, wanted="Auto", **changes):
    """An agent whose three pods run, with a node agent that accepts every signal."""
    facts = changes.pop("datadog", datadog_facts(daemon_sets or [helm(**OPEN)], {}))
    return observed_state(
        spec={"datadog": {"connection": wanted}},
        pods=[a_pod(f"momentum-{number}") for number in range(3)] if pods is None else pods,
        **{
            "datadog": facts,
            "connection": selected_connection(facts, wanted),
            "stateful_set": a_stateful_set(ready=ready),
            **changes,
        },
    )


def held(name):
    found = a_pod(name, ready=False, waiting="PodInitializing")
    state = {"name": "await-node-agent", "state": {"running": {}}}
    found["status"]["initContainerStatuses"] = [state]
    return found


def outcome(observed):
    found = telemetry_ready(observed)
    return found.status, found.reason


def test_agents_with_address_node_agent_and_answers_are_connected():
    assert outcome(with_telemetry()) == ("True", "Connected")
    assert telemetry_ready(with_telemetry()).message == (
        "3/3 agents are connected to their node agent through HostIP: metrics, traces, logs"
    )


def test_a_pod_without_the_injected_variables_is_named():
    bare = a_pod("momentum-1", env=[])
    observed = with_telemetry(pods=[a_pod("momentum-0"), bare, a_pod("momentum-2")])
    assert outcome(observed) == ("False", "NotInjected")
    assert telemetry_ready(observed).message.startswith(
        "2/3 agents have the address of the node agent; momentum-1 is missing DD_AGENT_HOST"
    )


def test_a_pod_with_another_address_counts_as_not_injected():
    other = {"name": "DD_AGENT_HOST", "value": "10.0.0.1"}
    assert outcome(with_telemetry(pods=[a_pod(env=[other])])) == ("False", "NotInjected")
    elsewhere = {**HOST_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert outcome(with_telemetry(pods=[a_pod(env=[elsewhere])])) == ("False", "NotInjected")


def test_a_terminating_pod_needs_no_injected_variables():
    assert outcome(with_telemetry(pods=[a_pod(env=[], deleting=True)])) == ("True", "Connected")


def test_only_the_first_pods_without_variables_are_named():
    pods = [a_pod(f"momentum-{number}", env=[]) for number in range(9)]
    text = telemetry_ready(with_telemetry(pods=pods)).message
    assert text.startswith(
        "0/9 agents have the address of the node agent; "
        "momentum-0, momentum-1, momentum-2 and 6 more are missing DD_AGENT_HOST"
    )


def test_held_pods_are_counted_if_their_node_has_no_node_agent():
    missing = UncoveredNode(node="node-1", reason="its node agent is not ready")
    observed = with_telemetry(
        pods=[held("momentum-0")], coverage=Coverage(needed=1, uncovered=(missing,))
    )
    assert outcome(observed) == ("False", "NodesUncovered")
    assert "0/1 agents are connected" in telemetry_ready(observed).message
    assert "1 waiting for it (whenMissing: Hold)" in telemetry_ready(observed).message


def test_held_pods_are_counted_if_there_is_no_node_agent_at_all():
    observed = with_telemetry(pods=[held("momentum-0")], datadog=datadog_facts([], {}))
    assert outcome(observed) == ("False", "NodeAgentMissing")
    assert "1 waiting for a node agent (whenMissing: Hold)" in telemetry_ready(observed).message


def test_unready_agents_are_waited_for():
    assert outcome(with_telemetry(ready=2)) == ("Unknown", "WaitingForAgents")


@pytest.mark.parametrize(
    ("delivery", "status", "reason", "symptom"),
    [
        (Delivery.DROPPING, "False", "TelemetryLost", "dropping telemetry although"),
        (Delivery.UNREACHABLE, "Unknown", "AgentsSilent", "not answering the operator"),
    ],
)
def test_a_pod_with_a_bad_probe_result_is_named(delivery, status, reason, symptom):
    observed = with_telemetry(telemetry_delivery={"uid-momentum-1": delivery})
    assert outcome(observed) == (status, reason)
    assert telemetry_ready(observed).message.startswith(
        f"2/3 agents are connected; momentum-1 is {symptom}"
    )


def test_a_pod_that_does_not_start_does_not_hide_problems_of_other_pods():
    crashing = a_pod("momentum-0", ready=False, waiting="CrashLoopBackOff")
    others = [a_pod("momentum-1"), a_pod("momentum-2")]
    observed = with_telemetry(pods=[crashing, *others], ready=2)
    assert outcome(observed) == ("Unknown", "WaitingForAgents")
    assert telemetry_ready(observed).message.startswith("2/3 agents are connected; ")
    assert outcome(replace(observed, telemetry_delivery={"uid-momentum-1": Delivery.DROPPING})) == (
        "False",
        "TelemetryLost",
    )
    bare = with_telemetry(pods=[crashing, others[0], a_pod("momentum-2", env=[])], ready=2)
    assert outcome(bare) == ("False", "NotInjected")


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        (
            {"pods": [a_pod(env=[])]},
            "kubectl --namespace trading rollout restart statefulset/momentum",
        ),
        (
            {"telemetry_delivery": {"uid-momentum-1": Delivery.DROPPING}},
            "kubectl --namespace datadog rollout restart daemonset/datadog-agent",
        ),
        (
            {"telemetry_delivery": {"uid-momentum-1": Delivery.UNREACHABLE}},
            "kubectl --namespace trading get networkpolicies",
        ),
        ({"ready": 2}, "kubectl --namespace trading get pods"),
    ],
)
def test_a_problem_of_single_pods_has_a_command(changes, command):
    assert command in telemetry_ready(with_telemetry(**changes)).message
    assert command in telemetry_ready(with_telemetry(**changes, agent=None)).message


def test_pods_of_a_stateful_set_that_is_being_recreated_are_not_checked():
    observed = with_telemetry(pods=[a_pod(env=[])], stateful_set=None)
    assert outcome(observed) == ("Unknown", "WaitingForAgents")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"updateRevision": "momentum-2"}, "Connected"),
        ({"updateRevision": "momentum-1"}, "NotInjected"),
        ({"observedGeneration": 0}, "WaitingForAgents"),
    ],
)
def test_pods_of_an_old_revision_do_not_need_the_current_variables(status, reason):
    observed = with_telemetry(pods=[a_pod(env=[])])
    found = dict(observed.stateful_set)
    found["status"] = {**found["status"], **status}
    assert outcome(replace(observed, children={("StatefulSet", "momentum"): found}))[1] == reason


# Findings of another replica

LOST_BEFORE = {"status": "False", "reason": "TelemetryLost", "message": "momentum-1 drops"}


def test_a_finding_of_another_replica_is_kept_until_it_can_be_cleared():
    observed = with_telemetry(
        telemetry_delivery={"uid-momentum-1": Delivery.UNVERIFIED}, telemetry_condition=LOST_BEFORE
    )
    assert outcome(observed) == ("False", "TelemetryLost")
    assert telemetry_ready(observed).message == "momentum-1 drops"
    assert (
        outcome(replace(observed, telemetry_delivery={"uid-momentum-1": Delivery.UNREACHABLE}))[1]
        == "AgentsSilent"
    )
    assert outcome(replace(observed, telemetry_delivery={})) == ("True", "Connected")


@pytest.mark.parametrize("before", [{}, {**LOST_BEFORE, "reason": "NodesUncovered"}])
def test_an_unverified_agent_is_waited_for_if_the_status_has_another_reason(before):
    observed = with_telemetry(
        telemetry_delivery={"uid-momentum-1": Delivery.UNVERIFIED}, telemetry_condition=before
    )
    assert outcome(observed) == ("Unknown", "WaitingForAgents")


def test_an_agent_is_not_connected_before_it_answers():
    observed = with_telemetry(telemetry_delivery={"uid-momentum-1": Delivery.PENDING})
    assert outcome(observed) == ("Unknown", "WaitingForAgents")
    assert telemetry_ready(observed).message.startswith("2/3 agents are connected; ")


def test_the_message_names_the_connection_that_agents_keep():
    before = selected_connection(datadog_facts([helm(**OPEN)], {}), "Auto")
    kept = replace(before, refusal_message="it is gone", refusal=None)
    observed = with_telemetry(connection=kept, wanted="HostIP")
    assert outcome(observed) == ("False", "NoConnection")
    assert telemetry_ready(observed).message.startswith(
        "it is gone; agents keep HostIP. To offer this connection: helm upgrade "
    )


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (False, "; agents send nothing"),
        (True, "agents keep Socket, and pods that terminate cannot be recreated"),
    ],
)
def test_the_message_about_forbidden_sockets_names_the_effect_on_the_agents(kept, words):
    facts = datadog_facts([helm(logs=True)], {})
    had = selected_connection(facts, "Auto")
    constraints = Constraints(
        security=PodSecurity.RESTRICTED, current=had, waits_for_node_agent=kept
    )
    observed = with_telemetry(
        datadog=facts, connection=selected_connection(facts, "Auto", constraints)
    )
    assert outcome(observed) == ("False", "PodSecurityForbids")
    assert words in telemetry_ready(observed).message


def test_running_agents_are_evaluated_if_the_spec_becomes_invalid():
    observed = with_telemetry(agent=None)
    assert outcome(observed) == ("True", "Connected")
    assert datadog_status(observed)["connection"] == "HostIP"
    bare = with_telemetry(agent=None, pods=[a_pod(env=[])])
    assert outcome(bare) == ("False", "NotInjected")


def test_an_invalid_spec_reports_no_loss_of_traces_and_logs():
    untraced = {"name": "DD_TRACE_ENABLED", "value": "false"}
    pods = [a_pod(env=[HOST_IP, untraced])]
    observed = with_telemetry(helm(dogstatsd_host_port=True, apm=False), pods=pods)
    assert outcome(observed) == ("False", "ApmOff")
    assert outcome(replace(observed, agent=None)) == ("True", "Connected")


def test_an_invalid_spec_that_never_ran_is_unknown():
    assert outcome(with_telemetry(agent=None, connection=NO_CONNECTION)) == (
        "Unknown",
        "SpecInvalid",
    )


@pytest.mark.parametrize(
    ("ready", "expected"),
    [(3, ("Unknown", "NotVisible")), (2, ("False", "NodeAgentNotReady"))],
)
def test_readiness_of_the_daemon_set_counts_if_nodes_cannot_be_seen(ready, expected):
    observed = with_telemetry(helm(**OPEN, ready=ready), coverage=NOT_VISIBLE)
    assert outcome(observed) == expected
    assert "nodes" not in datadog_status(observed)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("HostIP", "agents use HostIP, which is not verified"), ("Auto", "agents send nothing")],
)
def test_an_operator_bound_to_namespaces_reports_unknown_not_missing(wanted, words):
    observed = with_telemetry(datadog=UNSEEN, wanted=wanted)
    assert outcome(observed) == ("Unknown", "NotVisible")
    assert words in telemetry_ready(observed).message
    installed = datadog_installed(observed)
    assert (installed.status, installed.reason) == ("Unknown", "NotVisible")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("HostIP", "agents use HostIP, which is not verified"), ("Auto", "agents send nothing")],
)
def test_an_extended_daemon_set_is_reported_as_unknown(wanted, words):
    observed = with_telemetry(datadog=DatadogFacts(is_extended=True), wanted=wanted)
    installed = datadog_installed(observed)
    assert (installed.status, installed.reason) == ("Unknown", "ExtendedDaemonSet")
    assert "supportExtendedDaemonset=false" in installed.message
    assert outcome(observed) == ("Unknown", "NotVisible")
    assert words in telemetry_ready(observed).message


@pytest.mark.parametrize("agents", [[], [helm(**OPEN)]], ids=["none known", "known"])
def test_refused_daemon_sets_are_unknown_with_the_missing_right(agents):
    observed = with_telemetry(datadog=replace(datadog_facts(agents, {}), is_refused=True))
    installed = datadog_installed(observed)
    assert (installed.status, installed.reason) == ("Unknown", "NotVisible")
    assert "Grant list and watch on daemonsets" in installed.message
    assert not observed.datadog.are_complete


def test_other_node_agents_are_named():
    others = [helm(f"{letter}-datadog", **OPEN) for letter in "abcdef"]
    assert datadog_installed(with_telemetry(*others)).message.endswith(
        "; also datadog/b-datadog, datadog/c-datadog, datadog/d-datadog and 2 more"
    )


def test_the_list_of_nodes_is_bounded():
    missing = tuple(UncoveredNode(node=f"node-{n:03}", reason="r") for n in range(50))
    found = datadog_status(with_telemetry(coverage=Coverage(needed=60, uncovered=missing)))["nodes"]
    assert (found["needed"], found["covered"], len(found["missing"])) == (60, 10, LISTED)


def test_a_reason_longer_than_the_limit_of_the_status_is_truncated():
    """The API server would reject the whole status."""
    missing = UncoveredNode(
        node="node-1", reason="taint " + "k" * 253 + "=v:NoSchedule not tolerated"
    )
    found = datadog_status(with_telemetry(coverage=Coverage(needed=1, uncovered=(missing,))))
    assert DatadogStatus.model_validate(found).nodes.missing[0].reason == missing.reason[:256]


def test_hidden_metrics_without_an_address_are_unknown():
    item = helm(sockets=False)
    container = item["spec"]["template"]["spec"]["containers"][0]
    container.update(env=[], envFrom=[{"secretRef": {"name": "x"}}], ports=[])
    assert datadog_status(with_telemetry(item))["dogstatsd"] == "Unknown"


def test_no_node_needs_coverage_without_a_connection():
    facts = datadog_facts([helm(sockets=False)], {})
    way = selected_connection(facts, "Auto")
    assert coverage(["node-1"], facts, way, a_node_inventory()) == Coverage()


def test_coverage_is_unknown_if_the_operator_is_bound_to_namespaces():
    bound = NodeInventory(clock=lambda: 0.0, scope=WatchScope(namespaces=("trading",)))
    observed = with_telemetry()
    assert coverage(["node-1"], observed.datadog, observed.connection, bound) == NOT_VISIBLE


def test_only_variables_of_the_agent_container_count():
    found = a_pod()
    found["spec"]["containers"].insert(0, {"name": "proxy", "env": []})
    assert outcome(with_telemetry(pods=[found])) == ("True", "Connected")
    found["spec"]["containers"].pop()
    assert outcome(with_telemetry(pods=[found])) == ("False", "NotInjected")


def test_a_node_is_not_covered_if_no_node_agent_accepts_the_connection():
    had = with_telemetry().connection
    nodes = a_node_inventory()
    nodes.upsert(resources.NODE, a_node())
    found = coverage(["node-1"], datadog_facts([], {}), had, nodes)
    assert found.uncovered[0].reason == "no node agent offers this connection"
