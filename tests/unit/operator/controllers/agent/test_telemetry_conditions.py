"""What stands between a connected agent and a proven one."""

from dataclasses import replace

import pytest

from purpleflea_operator.api.agent_status import DatadogStatus
from purpleflea_operator.controllers.agent.conditions.reasons import DatadogReason, TelemetryReason
from purpleflea_operator.controllers.agent.conditions.telemetry import (
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
from support.installations import a_node, a_terrain, helm
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


def test_all_that_is_injected_covered_and_heard_is_ready():
    assert outcome(with_telemetry()) == ("True", "Connected")
    assert telemetry_ready(with_telemetry()).message == (
        "3/3 agents reach their node agent by HostIP: metrics, traces, logs"
    )


def test_a_pod_whose_variables_were_taken_away_is_named():
    bare = a_pod("momentum-1", env=[])
    observed = with_telemetry(pods=[a_pod("momentum-0"), bare, a_pod("momentum-2")])
    assert outcome(observed) == ("False", "NotInjected")
    assert telemetry_ready(observed).message.startswith(
        "2/3 agents have the address; momentum-1 run without DD_AGENT_HOST"
    )


def test_a_pod_with_another_address_is_not_injected():
    other = {"name": "DD_AGENT_HOST", "value": "10.0.0.1"}
    assert outcome(with_telemetry(pods=[a_pod(env=[other])])) == ("False", "NotInjected")
    elsewhere = {**HOST_IP, "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    assert outcome(with_telemetry(pods=[a_pod(env=[elsewhere])])) == ("False", "NotInjected")


def test_a_pod_that_is_on_its_way_out_need_not_be_injected():
    assert outcome(with_telemetry(pods=[a_pod(env=[], deleting=True)])) == ("True", "Connected")


def test_only_the_first_of_many_are_named():
    pods = [a_pod(f"momentum-{number}", env=[]) for number in range(9)]
    text = telemetry_ready(with_telemetry(pods=pods)).message
    assert text.startswith(
        "0/9 agents have the address; momentum-0, momentum-1, momentum-2 and 6 more run without"
    )


def test_held_agents_are_counted_where_their_node_is_not_covered():
    missing = UncoveredNode(node="node-1", reason="its node agent is not ready")
    observed = with_telemetry(
        pods=[held("momentum-0")], coverage=Coverage(needed=1, uncovered=(missing,))
    )
    assert outcome(observed) == ("False", "NodesUncovered")
    assert "0/1 agents are heard" in telemetry_ready(observed).message
    assert "1 wait for it (whenMissing: Hold)" in telemetry_ready(observed).message


def test_held_agents_are_counted_where_there_is_no_node_agent_at_all():
    observed = with_telemetry(pods=[held("momentum-0")], datadog=datadog_facts([], {}))
    assert outcome(observed) == ("False", "NodeAgentMissing")
    assert "1 agents wait for one" in telemetry_ready(observed).message


def test_agents_that_are_not_up_are_waited_for():
    assert outcome(with_telemetry(ready=2)) == ("Unknown", "WaitingForAgents")


@pytest.mark.parametrize(
    ("found", "status"), [("TelemetryLost", "False"), ("AgentsSilent", "Unknown")]
)
def test_what_agents_say_themselves_counts_last(found, status):
    observed = with_telemetry(hearing={"uid-momentum-1": found})
    assert outcome(observed) == (status, found)
    assert telemetry_ready(observed).message.startswith("2/3 agents are heard; momentum-1 ")


def test_a_pod_that_does_not_start_hides_nothing_of_the_others():
    crashing = a_pod("momentum-0", ready=False, waiting="CrashLoopBackOff")
    others = [a_pod("momentum-1"), a_pod("momentum-2")]
    observed = with_telemetry(pods=[crashing, *others], ready=2)
    assert outcome(observed) == ("Unknown", "WaitingForAgents")
    assert telemetry_ready(observed).message.startswith("2/3 agents are heard; ")
    assert outcome(replace(observed, hearing={"uid-momentum-1": "TelemetryLost"})) == (
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
            {"hearing": {"uid-momentum-1": "TelemetryLost"}},
            "kubectl --namespace datadog rollout restart daemonset/datadog-agent",
        ),
        (
            {"hearing": {"uid-momentum-1": "AgentsSilent"}},
            "kubectl --namespace trading get networkpolicies",
        ),
        ({"ready": 2}, "kubectl --namespace trading get pods"),
    ],
)
def test_what_is_wrong_with_single_pods_comes_with_a_command(changes, command):
    assert command in telemetry_ready(with_telemetry(**changes)).message
    assert command in telemetry_ready(with_telemetry(**changes, agent=None)).message


def test_pods_of_a_workload_that_is_being_made_anew_are_not_looked_into():
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
def test_pods_that_will_be_replaced_need_not_have_what_is_injected_now(status, reason):
    observed = with_telemetry(pods=[a_pod(env=[])])
    found = dict(observed.stateful_set)
    found["status"] = {**found["status"], **status}
    assert outcome(replace(observed, children={("StatefulSet", "momentum"): found}))[1] == reason


# What a former operator said

LOST_BEFORE = {"status": "False", "reason": "TelemetryLost", "message": "momentum-1 lose"}


def test_what_spoke_against_an_agent_holds_until_enough_was_heard_to_say_otherwise():
    observed = with_telemetry(hearing={"uid-momentum-1": "Doubted"}, telemetry=LOST_BEFORE)
    assert outcome(observed) == ("False", "TelemetryLost")
    assert telemetry_ready(observed).message == "momentum-1 lose"
    assert (
        outcome(replace(observed, hearing={"uid-momentum-1": "AgentsSilent"}))[1] == "AgentsSilent"
    )
    assert outcome(replace(observed, hearing={})) == ("True", "Connected")


@pytest.mark.parametrize("before", [{}, {**LOST_BEFORE, "reason": "NodesUncovered"}])
def test_where_the_status_turned_to_something_else_a_doubted_agent_is_waited_for(before):
    observed = with_telemetry(hearing={"uid-momentum-1": "Doubted"}, telemetry=before)
    assert outcome(observed) == ("Unknown", "WaitingForAgents")


def test_an_agent_is_not_connected_before_it_was_heard():
    observed = with_telemetry(hearing={"uid-momentum-1": "New"})
    assert outcome(observed) == ("Unknown", "WaitingForAgents")
    assert telemetry_ready(observed).message.startswith("2/3 agents are heard; ")


def test_a_refused_way_says_what_agents_keep_until_then():
    before = selected_connection(datadog_facts([helm(**OPEN)], {}), "Auto")
    kept = replace(before, refusal_message="it is gone", refusal=None)
    observed = with_telemetry(connection=kept, wanted="HostIP")
    assert outcome(observed) == ("False", "NoConnection")
    assert telemetry_ready(observed).message.endswith("agents keep HostIP until then")


@pytest.mark.parametrize(
    ("kept", "words"),
    [(False, "; agents send nothing"), (True, "agents keep Socket until then; who ends does not")],
)
def test_forbidden_sockets_are_told_with_what_becomes_of_the_agents(kept, words):
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


def test_agents_whose_spec_turned_invalid_are_judged_by_what_runs():
    observed = with_telemetry(agent=None)
    assert outcome(observed) == ("True", "Connected")
    assert datadog_status(observed)["connection"] == "HostIP"
    bare = with_telemetry(agent=None, pods=[a_pod(env=[])])
    assert outcome(bare) == ("False", "NotInjected")


def test_an_invalid_spec_does_not_say_that_traces_and_logs_are_lost():
    untraced = {"name": "DD_TRACE_ENABLED", "value": "false"}
    pods = [a_pod(env=[HOST_IP, untraced])]
    observed = with_telemetry(helm(dogstatsd_host_port=True, apm=False), pods=pods)
    assert outcome(observed) == ("False", "ApmOff")
    assert outcome(replace(observed, agent=None)) == ("True", "Connected")


def test_of_an_invalid_spec_that_never_ran_nothing_is_known():
    assert outcome(with_telemetry(agent=None, connection=NO_CONNECTION)) == (
        "Unknown",
        "SpecInvalid",
    )


@pytest.mark.parametrize(
    ("ready", "expected"),
    [(3, ("Unknown", "NotVisible")), (2, ("False", "NodeAgentNotReady"))],
)
def test_where_nodes_cannot_be_seen_the_daemon_set_is_all_there_is_to_go_by(ready, expected):
    observed = with_telemetry(helm(**OPEN, ready=ready), coverage=NOT_VISIBLE)
    assert outcome(observed) == expected
    assert "nodes" not in datadog_status(observed)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("HostIP", "agents use HostIP unproven"), ("Auto", "agents send nothing")],
)
def test_bound_to_namespaces_the_installation_is_unknown_not_missing(wanted, words):
    observed = with_telemetry(datadog=UNSEEN, wanted=wanted)
    assert outcome(observed) == ("Unknown", "NotVisible")
    assert words in telemetry_ready(observed).message
    installed = datadog_installed(observed)
    assert (installed.status, installed.reason) == ("Unknown", "NotVisible")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("HostIP", "agents use HostIP unproven"), ("Auto", "agents send nothing")],
)
def test_node_agents_of_an_extended_daemon_set_are_told_and_unknown(wanted, words):
    observed = with_telemetry(datadog=DatadogFacts(is_extended=True), wanted=wanted)
    installed = datadog_installed(observed)
    assert (installed.status, installed.reason) == ("Unknown", "ExtendedDaemonSet")
    assert "supportExtendedDaemonset=false" in installed.message
    assert outcome(observed) == ("Unknown", "NotVisible")
    assert words in telemetry_ready(observed).message


def test_other_node_agents_are_mentioned():
    others = [helm(f"{letter}-datadog", **OPEN) for letter in "abcdef"]
    assert datadog_installed(with_telemetry(*others)).message.endswith(
        "; also datadog/b-datadog, datadog/c-datadog, datadog/d-datadog and 2 more"
    )


def test_the_list_of_nodes_is_bounded():
    missing = tuple(UncoveredNode(node=f"node-{n:03}", reason="r") for n in range(50))
    found = datadog_status(with_telemetry(coverage=Coverage(needed=60, uncovered=missing)))["nodes"]
    assert (found["needed"], found["covered"], len(found["missing"])) == (60, 10, LISTED)


def test_a_reason_that_is_longer_than_the_status_takes_is_cut():
    """The API server would refuse the whole status."""
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


def test_without_a_way_there_is_nothing_to_be_covered():
    facts = datadog_facts([helm(sockets=False)], {})
    way = selected_connection(facts, "Auto")
    assert coverage(["node-1"], facts, way, a_terrain()) == Coverage()


def test_bound_to_namespaces_coverage_is_unknown():
    bound = NodeInventory(clock=lambda: 0.0, scope=WatchScope(namespaces=("trading",)))
    observed = with_telemetry()
    assert coverage(["node-1"], observed.datadog, observed.connection, bound) == NOT_VISIBLE


def test_the_variables_of_the_agents_own_container_count():
    found = a_pod()
    found["spec"]["containers"].insert(0, {"name": "proxy", "env": []})
    assert outcome(with_telemetry(pods=[found])) == ("True", "Connected")
    found["spec"]["containers"].pop()
    assert outcome(with_telemetry(pods=[found])) == ("False", "NotInjected")


def test_agents_that_keep_a_way_nobody_takes_are_not_covered():
    had = with_telemetry().connection
    terrain = a_terrain()
    terrain.note(resources.NODE, a_node())
    found = coverage(["node-1"], datadog_facts([], {}), had, terrain)
    assert found.uncovered[0].reason == "no node agent offers this connection"


@pytest.mark.parametrize("reason", [*DatadogReason, *TelemetryReason])
def test_each_reason_is_explained_with_a_remedy(repository, reason):
    page = (repository / "docs" / "datadog-detection.md").read_text()
    heading = "DatadogInstalled" if isinstance(reason, DatadogReason) else "TelemetryReady"
    table = page.partition(f"## {heading}")[2].partition("\n## ")[0]
    assert table.count(f"\n| `{reason}` |") == 1
