"""Conditions of agents on nodes that are not ready."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import telemetry_ready
from purpleflea_operator.controllers.agent.decisions.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    workload_available,
)
from purpleflea_operator.controllers.agent.decisions.gather import Surroundings, gather
from purpleflea_operator.controllers.agent.decisions.observed_state import TradingObservation
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION, selected_connection
from purpleflea_operator.datadog.detection.coverage import coverage
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.kube.watch_scope import WatchScope
from support.builders import a_pod, an_agent
from support.installations import a_node, a_node_agent, a_node_inventory, helm
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def on_node(number, *, node="node-2", ready=False, **changes):
    return a_pod(f"momentum-{number}", node=node, ready=ready, **changes)


def with_lost(*pods, lost=("node-2",), ready=2, **changes):
    return observed_state(
        pods=pods, lost_nodes=lost, stateful_set=a_stateful_set(ready=ready), now=NOW, **changes
    )


HEALTHY = (on_node(0, node="node-1", ready=True), on_node(1, node="node-1", ready=True))


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ((*HEALTHY, on_node(2)), "momentum-2 on node node-2. "),
        ((HEALTHY[0], on_node(1), on_node(2)), "momentum-1, momentum-2 on node node-2. "),
        # Five minutes later, Kubernetes marks the pod as deleted, which the node never confirms.
        ((*HEALTHY, on_node(2, deleting=True)), "momentum-2 on node node-2. "),
        ((*HEALTHY, on_node(2, ready=True, deleting=True)), "momentum-2 on node node-2. "),
    ],
)
def test_agents_on_a_lost_node_are_named_with_the_remedy(pods, expected):
    for condition in (workload_available(with_lost(*pods)), progressing(with_lost(*pods))):
        assert (condition.status, condition.reason) == ("False", "NodeLost")
        assert expected in condition.message
        assert "may still trade" in condition.message
        assert (
            "turn its machine off, and only then release the agents: kubectl taint node node-2 "
            "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute" in condition.message
        )
        assert "kubectl logs" not in condition.message


def test_several_lost_nodes_are_named():
    pods = (on_node(0, node="a"), on_node(1, node="b"), on_node(2, node="a"))
    found = workload_available(with_lost(*pods, lost=("a", "b"), ready=0))
    assert "momentum-0, momentum-2 on node a, momentum-1 on node b." in found.message


def test_a_lost_node_is_reported_before_a_pod_that_does_not_start():
    crashing = on_node(0, node="node-1", waiting="CrashLoopBackOff")
    assert workload_available(with_lost(crashing, on_node(1))).reason == "NodeLost"


def test_pods_that_are_ready_or_elsewhere_have_no_lost_node():
    found = workload_available(with_lost(*HEALTHY, on_node(2, ready=True), ready=3))
    assert (found.status, found.reason) == ("True", "AllReady")
    found = workload_available(with_lost(*HEALTHY, on_node(2, node="node-3"), lost=("node-2",)))
    assert found.reason == "Progressing"


def test_a_halt_names_the_agents_that_cannot_be_reached():
    answered = {
        f"uid-momentum-{n}": Acknowledgement(mode=Mode.HALTED, at_rest=True) for n in (0, 1)
    }
    observed = with_lost(
        *HEALTHY,
        on_node(2),
        spec={"trading": {"mode": "Halted"}},
        trading=TradingObservation(since=NOW, acknowledgements=answered),
    )
    found = trading_active(observed)
    assert (found.status, found.reason) == ("Unknown", "Halting")
    assert found.message.endswith(
        "2/3 agents have acknowledged it, waiting for momentum-2; momentum-2 on node node-2 cannot be reached and may "
        "still trade, see the condition WorkloadAvailable"
    )


@pytest.mark.parametrize(
    ("mode", "answer", "expected"),
    [
        ("Active", Mode.ACTIVE, "may still trade, and"),
        ("Halted", None, "may still trade, and"),
        ("Halted", Mode.ACTIVE, "may still trade, and"),
        ("Halted", Mode.HALTED, "have acknowledged the mode, and"),
    ],
)
def test_an_agent_that_acknowledged_a_halt_before_its_node_was_lost_does_not_trade(
    mode, answer, expected
):
    answers = (
        {} if answer is None else {"uid-momentum-2": Acknowledgement(mode=answer, at_rest=True)}
    )
    observed = with_lost(
        *HEALTHY,
        on_node(2),
        spec={"trading": {"mode": mode}},
        trading=TradingObservation(since=NOW, acknowledgements=answers),
    )
    assert expected in workload_available(observed).message


def test_the_mode_of_an_invalid_spec_does_not_prove_that_an_agent_does_not_trade():
    observed = with_lost(*HEALTHY, on_node(2), agent=None, connection=NO_CONNECTION)
    assert "may still trade" in workload_available(observed).message


def test_an_agent_that_was_scaled_to_zero_is_not_down_while_a_pod_is_on_a_lost_node():
    observed = observed_state(
        pods=[on_node(0, deleting=True)],
        lost_nodes=["node-2"],
        stateful_set={**a_stateful_set(0), "status": {"replicas": 1, "observedGeneration": 1}},
        spec={"replicas": 0},
        now=NOW,
    )
    for condition in (workload_available(observed), progressing(observed)):
        assert (condition.status, condition.reason) == ("False", "NodeLost")


@pytest.mark.parametrize("has_pod", [True, False])
def test_telemetry_of_a_lost_node_names_the_node_and_not_its_node_agent(has_pod):
    daemon_set = helm(dogstatsd_host_port=True, apm_host_port=True, logs=True)
    facts = datadog_facts([daemon_set], {})
    nodes = a_node_inventory(facts)
    nodes.upsert(resources.NODE, a_node("node-2", ready=False))
    nodes.upsert(resources.POD, a_node_agent("node-1", of=daemon_set))
    if has_pod:
        nodes.upsert(resources.POD, a_node_agent("node-2", of=daemon_set, ready=False))
    connection = selected_connection(facts, "Auto")
    observed = with_lost(
        on_node(0),
        datadog=facts,
        connection=connection,
        coverage=coverage(["node-2"], facts, connection, nodes),
    )
    found = telemetry_ready(observed)
    assert found.reason == "NodesUncovered"
    assert found.message.endswith(
        "no node agent serves node-2 (the node is not ready). To show why: kubectl describe node node-2"
    )


# Observation


def lost_nodes(*nodes, scope=None, pod_nodes=("node-1", "node-2", "")):
    inventory = NodeInventory(clock=lambda: 0.0, **({"scope": scope} if scope else {}))
    for node in nodes:
        inventory.upsert(resources.NODE, node)
    cache = ObjectCache()
    for number, name in enumerate(pod_nodes):
        pod = a_pod(f"momentum-{number}", node=name)
        pod["metadata"]["ownerReferences"] = [
            {"kind": "StatefulSet", "name": "momentum", "uid": "s", "controller": True}
        ]
        cache.put(pod)
    return set(gather(an_agent(), cache, Surroundings(nodes=inventory), now=NOW).lost_nodes)


def test_only_nodes_of_pods_that_are_seen_and_not_ready_are_lost():
    dead, alive = a_node("node-2", ready=False), a_node("node-1")
    assert lost_nodes(alive, dead, a_node("node-3", ready=False)) == {"node-2"}
    assert (
        lost_nodes(alive, a_node("node-2", taints=["node.kubernetes.io/unschedulable:NoSchedule"]))
        == set()
    )
    # A node without an object is not seen.
    assert lost_nodes(alive) == set()
    assert lost_nodes(dead, scope=WatchScope(namespaces=("trading",))) == set()
