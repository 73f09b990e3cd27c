"""Do all identities run, and if not, why does the first one not? Pure."""

from datetime import datetime

from purpleflea_contract.control import Mode
from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, Pod


def workload_available(world: ObservedState) -> Finding:
    """Do all identities run the current spec and answer their readiness probe?"""
    kind = ConditionType.WORKLOAD_AVAILABLE
    if world.failure:
        return finding(kind, "False", world.failure_reason, world.failure)
    stateful_set = world.stateful_set
    if stateful_set is None:
        return finding(kind, "False", "Progressing", "the workload is being created")
    replicas = stateful_set["spec"].get("replicas", 1)
    if replicas == 0:
        return finding(kind, "True", "ScaledToZero", _why_none(world))
    ready, current = progress(world)
    if current and ready == replicas:
        return finding(kind, "True", "AllReady", f"{ready}/{replicas} agents are ready")
    found = problem(world)
    state = f"{ready}/{replicas} agents are ready"
    if found is None:
        return finding(kind, "False", "Progressing", state)
    reason, text = found
    return finding(kind, "False", reason, f"{state}; {text}")


CRASHES = 2


def _why_none(world: ObservedState) -> str:
    is_stopped = world.agent is not None and world.agent.spec.trading.mode is Mode.STOPPED
    return "the agents are stopped" if is_stopped else "no agents are wanted"


def progress(world: ObservedState) -> tuple[int, bool]:
    """Ready pods, and whether all pods that are wanted run the current revision and are ready."""
    stateful_set = world.stateful_set
    if stateful_set is None:
        return 0, False
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    observed = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    updated = status.get("updatedReplicas", 0) >= replicas
    return ready, observed and updated and ready >= replicas and status.get("replicas") == replicas


def problem(world: ObservedState) -> tuple[str, str] | None:
    """Why the first pod that does not start does not: reason, and explanation with a remedy."""
    for pod in sorted(world.pods, key=lambda item: item.name):
        if pod.ready or pod.deleting:
            continue
        found = pod_problem(pod, world.now)
        if found is not None:
            return found
    if world.pod_events:
        return _event_problem(world.pod_events[0])
    if world.pod_creation_error:
        return (
            "PodsRefused",
            f"{world.pod_creation_error}; make room for the pods, or change spec.pod",
        )
    return None


_REMEDIES = {
    "ErrImagePull": ("ImagePullFailed", "check spec.image and spec.image.pullSecrets"),
    "ImagePullBackOff": ("ImagePullFailed", "check spec.image and spec.image.pullSecrets"),
    "ErrImageNeverPull": ("ImagePullFailed", "the image is not on the node: check spec.image"),
    "InvalidImageName": ("ImagePullFailed", "check spec.image"),
    "CreateContainerConfigError": ("ConfigurationMissing", "make what the message names"),
    "CreateContainerError": ("ContainerNotCreated", "check spec.image and spec.pod"),
    "RunContainerError": ("ContainerNotCreated", "check spec.image and spec.pod"),
}
TERMINAL = frozenset(reason for reason, _ in _REMEDIES.values()) | {
    "SecretNotFound",
    "CrashLooping",
    "PodsRefused",
}
"""What does not mend itself: a person has to do something."""


def pod_problem(pod: Pod, now: datetime | None) -> tuple[str, str] | None:
    """Why one pod does not start: reason, and explanation with a remedy; None where it may yet."""
    if not pod.scheduled:
        if not pod.message:
            return None
        return "Unschedulable", f"{pod.name} fits no node: {pod.message}; check spec.pod"
    if _crashes(pod, now):
        # Neither the kubelet's pauses nor the pod's uid, which its own message names: both change with every round.
        ended = f": its last run ended with {pod.last_exit}" if pod.last_exit else ""
        return (
            "CrashLooping",
            f"{pod.name} ends again and again{ended}; see kubectl logs --previous",
        )
    if pod.waiting not in _REMEDIES:
        return None
    reason, remedy = _REMEDIES[pod.waiting]
    return reason, f"{pod.name} does not start: {pod.message or pod.waiting}; {remedy}"


def _crashes(pod: Pod, now: datetime | None) -> bool:
    """Whether a pod is in the loop, also while it runs for a moment: the kubelet forgets after ten minutes, too."""
    if pod.waiting == "CrashLoopBackOff":
        return True
    if pod.restarts < CRASHES or now is None or pod.last_exit_at is None:
        return False
    return now - pod.last_exit_at < timings.CRASH_MEMORY


def _event_problem(message: str) -> tuple[str, str]:
    if "secret" in message and "not found" in message:
        remedy = "create the Secret that spec.api.keySecretRef names (in this namespace)"
        return "SecretNotFound", f"{message}; {remedy}"
    return "VolumeNotMounted", message
