"""What the live pods of an agent show: variables as injected, and what they say themselves of being heard. Pure.

Each pod is judged for itself: one that does not start hides nothing of the others.
"""

from collections.abc import Sequence

from purpleflea_operator.api.agent_status import ConditionStatus, ConditionType
from purpleflea_operator.controllers.agent.conditions import remedies
from purpleflea_operator.controllers.agent.conditions.finding import (
    EXPLAINED,
    Finding,
    finding,
    some,
)
from purpleflea_operator.controllers.agent.conditions.reasons import Delivery, TelemetryReason
from purpleflea_operator.controllers.agent.conditions.workload_available import progress
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, Pod
from purpleflea_operator.datadog.detection.facts import NodeAgent
from purpleflea_operator.manifests.datadog_env import receivers
from purpleflea_operator.parsing import Manifest


def not_injected(world: ObservedState, _found: NodeAgent) -> Finding | None:
    """Live pods that lack what was asked for: somebody else changed them on their way in."""
    stateful_set = world.stateful_set
    if stateful_set is None:
        return None
    expected = receivers(world.connection)
    current = [pod for pod in world.pods if _is_current(pod, stateful_set)]
    bare = [pod for pod in current if not _has(pod, expected)]
    if not bare:
        return None
    wanted = ", ".join(str(item["name"]) for item in expected)
    message = (
        f"{len(current) - len(bare)}/{len(current)} agents have the address; {_names(bare)} run without {wanted}: "
        "an admission webhook takes them away. Find it: kubectl get mutatingwebhookconfigurations; "
        f"then: {_kubectl(world)} rollout restart statefulset/{stateful_set['metadata']['name']}"
    )
    return _finding("False", TelemetryReason.NOT_INJECTED, message)


def _is_current(pod: Pod, stateful_set: Manifest) -> bool:
    """Whether a pod was made from the template as it is now: others will be replaced."""
    status = stateful_set.get("status", {})
    observed = status.get("observedGeneration", 0)
    if pod.deleting or observed < stateful_set["metadata"]["generation"]:
        return False
    return bool(status.get("updateRevision", pod.revision) == pod.revision)


def _has(pod: Pod, expected: Sequence[dict[str, object]]) -> bool:
    present = {item["name"]: item for item in pod.environment}
    return all(_is_set(item, present.get(str(item["name"]), {})) for item in expected)


def _is_set(expected: object, live: object) -> bool:
    """Whether a variable stands as wanted; what the API server added (an apiVersion) does not count."""
    if not isinstance(expected, dict):
        return expected == live
    return isinstance(live, dict) and all(
        _is_set(value, live.get(key)) for key, value in expected.items()
    )


def losing_telemetry(world: ObservedState, found: NodeAgent) -> Finding | None:
    """Pods that were asked, and lose what they send, or do not answer."""
    losing, silent = _pods(world, Delivery.LOST), _pods(world, Delivery.SILENT)
    if losing:
        message = (
            f"{_heard(world)}; {_names(losing)} lose what they send although a node agent is there "
            "(telemetry_dropped_by_signal in their /v1/status). See what it says, and start it anew: "
            f"{remedies.start_anew(found)}"
        )
        return _finding("False", TelemetryReason.TELEMETRY_LOST, message)
    if silent:
        message = (
            f"{_heard(world)}; {_names(silent)} do not answer the operator, so whether they lose what they send "
            "is not known. Let the operator's pods reach their HTTP port; what may forbid that: "
            f"{_kubectl(world)} get networkpolicies"
        )
        return _finding("Unknown", TelemetryReason.AGENTS_SILENT, message)
    return _doubted(world)


def _doubted(world: ObservedState) -> Finding | None:
    """What was said before this operator began to ask holds until it has seen as much itself."""
    before = world.telemetry
    if not _pods(world, Delivery.DOUBTED) or before.get("reason") not in DOUBTFUL:
        return None
    return _finding(before["status"], TelemetryReason(before["reason"]), before["message"])


DOUBTFUL = (TelemetryReason.TELEMETRY_LOST, TelemetryReason.AGENTS_SILENT)
"""What only the agents' own words prove, and disprove."""


def waiting(world: ObservedState, _found: NodeAgent) -> Finding | None:
    """Pods that start, or that nobody has heard of yet."""
    unproven = [*_pods(world, Delivery.NEW), *_pods(world, Delivery.DOUBTED)]
    if progress(world)[1] and not unproven:
        return None
    message = (
        f"{_heard(world)}; the others start, or have not answered yet. See: "
        f"{_kubectl(world)} get pods"
    )
    return _finding("Unknown", TelemetryReason.WAITING_FOR_AGENTS, message)


def _heard(world: ObservedState) -> str:
    """How many of the identities are ready, and nothing speaks against them."""
    wanted = (world.stateful_set or {}).get("spec", {}).get("replicas", len(world.pods))
    heard = sum(pod.ready and pod.uid not in world.hearing for pod in world.pods)
    return f"{heard}/{wanted} agents are heard"


def _kubectl(world: ObservedState) -> str:
    metadata = (world.stateful_set or {}).get("metadata", {})
    namespace = metadata.get("namespace") if world.agent is None else world.agent.namespace
    return f"kubectl --namespace {namespace}"


def _pods(world: ObservedState, what: Delivery) -> list[Pod]:
    return [pod for pod in world.pods if world.hearing.get(pod.uid) == what]


def _names(pods: Sequence[Pod]) -> str:
    return some(sorted(item.name for item in pods), EXPLAINED)


def _finding(status: ConditionStatus, reason: TelemetryReason, message: str) -> Finding:
    return finding(ConditionType.TELEMETRY_READY, status, reason, message)
