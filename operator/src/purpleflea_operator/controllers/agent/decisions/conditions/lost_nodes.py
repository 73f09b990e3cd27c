"""Agents on nodes that are not ready: they may still trade, and Kubernetes does not replace them. Pure.

A StatefulSet replaces a pod only when the kubelet confirms its end, so an identity never runs twice. If the node does
not return, a user has to confirm that its machine is off.
"""

from collections import defaultdict
from collections.abc import Iterable

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import (
    MAX_EXPLAINED,
    join_limited,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState


def pods_on_lost_nodes(observed: ObservedState) -> list[AgentPod]:
    """Return the pods that are not ready, or that are being deleted, on nodes that are not ready; sorted by name."""
    pods = (pod for pod in observed.pods if pod.node in observed.lost_nodes)
    return sorted((pod for pod in pods if pod.deleting or not pod.ready), key=lambda pod: pod.name)


def _may_trade(observed: ObservedState, pods: Iterable[AgentPod]) -> bool:
    """Return whether an agent on a lost node has not acknowledged that it must not trade."""
    is_active = trading_mode.desired_mode(observed) in (None, Mode.ACTIVE)
    return is_active or not all(trading_mode.has_acknowledged(observed, pod) for pod in pods)


def where(pods: Iterable[AgentPod]) -> str:
    """Return the pods by node, such as "momentum-0, momentum-2 on node a; momentum-1 on node b"."""
    by_node: defaultdict[str, list[str]] = defaultdict(list)
    for pod in pods:
        by_node[pod.node].append(pod.name)
    items = [f"{join_limited(sorted(by_node[name]))} on node {name}" for name in sorted(by_node)]
    return join_limited(items, MAX_EXPLAINED)


def lost_node_problem(observed: ObservedState) -> str:
    """Return the message about pods on lost nodes; empty if there are none."""
    pods = pods_on_lost_nodes(observed)
    if not pods:
        return ""
    nodes = sorted({pod.node for pod in pods})
    state = "may still trade" if _may_trade(observed, pods) else "have acknowledged the mode"
    return (
        f"the node does not respond or is not ready: {where(pods)}. The agents there {state}, and are not "
        "replaced until Kubernetes confirms their end. If the node returns, they go on or are replaced without "
        f"further action: kubectl describe node {nodes[0]}. If it does not, turn its machine off, and only then "
        f"release the agents: kubectl taint node {nodes[0]} "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute. Do not delete pods with --force, or the node, while "
        "its machine may run, because an identity would trade twice"
    )
