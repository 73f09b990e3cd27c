"""Delivery of telemetry by single pods: injected variables, and the drop counters that agents report. Pure.

Each pod is checked separately, so a pod that does not start does not hide problems of the others.
"""

from collections.abc import Sequence
from enum import StrEnum, auto

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions import remedies
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import (
    MAX_EXPLAINED,
    join_limited,
)
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import progress
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState
from purpleflea_operator.datadog.detection.facts import NodeAgent
from purpleflea_operator.manifests.datadog_env import receivers
from purpleflea_operator.parsing import Manifest


class Delivery(StrEnum):
    """Result of the telemetry probe of a pod that is not known to deliver."""

    DROPPING = auto()
    """Its drop counters increase."""
    UNREACHABLE = auto()
    """It does not answer the probe."""
    PENDING = auto()
    """It has not answered yet."""
    UNVERIFIED = auto()
    """Another replica of the operator reported a problem, and this replica cannot confirm or clear it yet."""


PROBED_REASONS = (Reason.TELEMETRY_LOST, Reason.AGENTS_SILENT)
"""Reasons that only the telemetry probe can confirm and clear."""


def not_injected(observed: ObservedState, _node_agent: NodeAgent) -> Finding | None:
    """Report running pods without the injected variables, because an admission webhook changed the pods."""
    stateful_set = observed.stateful_set
    if stateful_set is None:
        return None
    expected = receivers(observed.connection)
    current = [pod for pod in observed.pods if _is_current(pod, stateful_set)]
    bare = [pod for pod in current if not _has(pod, expected)]
    if not bare:
        return None
    variables = ", ".join(str(item["name"]) for item in expected)
    message = (
        f"{len(current) - len(bare)}/{len(current)} agents have the address of the node agent; {_subject(bare)} "
        f"missing {variables}, probably because a mutating admission webhook removed it. "
        "To list webhooks: kubectl get mutatingwebhookconfigurations; "
        "to recreate the pods after the webhook is changed: "
        f"{_kubectl(observed)} rollout restart statefulset/{stateful_set['metadata']['name']}"
    )
    return _finding(Reason.NOT_INJECTED, message)


def _is_current(pod: AgentPod, stateful_set: Manifest) -> bool:
    """Return whether a pod has the current template; other pods will be replaced."""
    status = stateful_set.get("status", {})
    observed = status.get("observedGeneration", 0)
    if pod.deleting or observed < stateful_set["metadata"]["generation"]:
        return False
    return bool(status.get("updateRevision", pod.revision) == pod.revision)


def _has(pod: AgentPod, expected: Sequence[dict[str, object]]) -> bool:
    present = {item["name"]: item for item in pod.environment}
    return all(_is_set(item, present.get(str(item["name"]), {})) for item in expected)


def _is_set(expected: object, live: object) -> bool:
    """Return whether a variable has the expected value; fields that the API server adds do not count."""
    if not isinstance(expected, dict):
        return expected == live
    return isinstance(live, dict) and all(
        _is_set(value, live.get(key)) for key, value in expected.items()
    )


def losing_telemetry(observed: ObservedState, node_agent: NodeAgent) -> Finding | None:
    """Report pods that drop telemetry, or that do not answer the probe."""
    dropping = _pods(observed, Delivery.DROPPING)
    unreachable = _pods(observed, Delivery.UNREACHABLE)
    if dropping:
        message = (
            f"{_connected(observed)}; {_subject(dropping)} dropping telemetry although a node agent is running "
            "(telemetry_dropped_by_signal in their /v1/status). To show its logs, and to restart it: "
            f"{remedies.logs_and_restart(node_agent)}"
        )
        return _finding(Reason.TELEMETRY_LOST, message)
    if unreachable:
        message = (
            f"{_connected(observed)}; {_subject(unreachable)} not answering the operator, "
            "so it is unknown whether telemetry is lost. Allow the operator's pods to reach their HTTP port; "
            f"to list policies that may block it: {_kubectl(observed)} get networkpolicies"
        )
        return _finding(Reason.AGENTS_SILENT, message)
    return _unverified(observed)


def _unverified(observed: ObservedState) -> Finding | None:
    """Keep the finding of another replica until this replica has enough answers to confirm or clear it."""
    before = observed.telemetry_condition
    if not _pods(observed, Delivery.UNVERIFIED) or before.get("reason") not in PROBED_REASONS:
        return None
    return _finding(Reason(before["reason"]), before["message"])


def is_dropping(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod reports that it drops telemetry."""
    return observed.telemetry_delivery.get(pod.uid) == Delivery.DROPPING


def waiting(observed: ObservedState, _node_agent: NodeAgent | None) -> Finding | None:
    """Report pods that start, or that have not answered the probe yet."""
    unproven = [*_pods(observed, Delivery.PENDING), *_pods(observed, Delivery.UNVERIFIED)]
    if progress(observed)[1] and not unproven:
        return None
    message = (
        f"{_connected(observed)}; the others are starting, or have not answered the operator yet. "
        f"To list them: {_kubectl(observed)} get pods"
    )
    return _finding(Reason.WAITING_FOR_AGENTS, message)


def _connected(observed: ObservedState) -> str:
    """Return how many identities are ready and have no problem with delivery."""
    replicas = (observed.stateful_set or {}).get("spec", {}).get("replicas", len(observed.pods))
    connected = sum(
        pod.ready and pod.uid not in observed.telemetry_delivery for pod in observed.pods
    )
    return f"{connected}/{replicas} agents are connected"


def _kubectl(observed: ObservedState) -> str:
    metadata = (observed.stateful_set or {}).get("metadata", {})
    agent = observed.agent
    namespace = metadata.get("namespace") if agent is None else agent.namespace
    return f"kubectl --namespace {namespace}"


def _pods(observed: ObservedState, delivery: Delivery) -> list[AgentPod]:
    return [pod for pod in observed.pods if observed.telemetry_delivery.get(pod.uid) == delivery]


def _subject(pods: Sequence[AgentPod]) -> str:
    """Return the names of pods with the verb that follows them."""
    names = join_limited(sorted(item.name for item in pods), MAX_EXPLAINED)
    return f"{names} {'is' if len(pods) == 1 else 'are'}"


def _finding(reason: Reason, message: str) -> Finding:
    return finding(ConditionType.TELEMETRY_READY, reason, message)
