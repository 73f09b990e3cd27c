"""WorkloadAvailable: all identities run and are ready, or the first problem with a remedy. Pure."""

from datetime import datetime

from purpleflea_contract.control import Mode
from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions import unschedulable
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.lost_nodes import lost_node_problem
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState


def workload_available(observed: ObservedState) -> Finding:
    """Return WorkloadAvailable."""
    kind = ConditionType.WORKLOAD_AVAILABLE
    if observed.unwatched:
        return finding(kind, Reason.NOT_WATCHED, observed.unwatched)
    if observed.failure:
        return finding(kind, observed.failure_reason, observed.failure)
    stateful_set = observed.stateful_set
    if stateful_set is None:
        return finding(kind, Reason.PROGRESSING, "the workload is being created")
    replicas = stateful_set["spec"].get("replicas", 1)
    if replicas == 0 and not lost_node_problem(observed):
        return finding(kind, Reason.SCALED_TO_ZERO, _why_none(observed))
    ready, is_complete = progress(observed)
    count = f"{ready}/{replicas} agents are ready"
    if is_complete and ready == replicas:
        return finding(kind, Reason.ALL_READY, count)
    problem = first_error(observed)
    if problem is None:
        return finding(kind, Reason.PROGRESSING, count)
    reason, text = problem
    return finding(kind, reason, f"{count}; {text}")


def _why_none(observed: ObservedState) -> str:
    if trading_mode.desired_mode(observed) is not Mode.STOPPED:
        return "no agents are requested"
    halts = trading_mode.deciding_halts(observed)
    return (
        f"PurpleFleaHalt {halts[0].id} stops the agents"
        if halts
        else "spec.trading.mode is Stopped"
    )


def progress(observed: ObservedState) -> tuple[int, bool]:
    """Return the number of ready pods, and whether all requested pods run the current revision and are ready."""
    stateful_set = observed.stateful_set
    if stateful_set is None:
        return 0, False
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    generation = stateful_set["metadata"].get("generation", 0)
    is_current = status.get("observedGeneration", 0) >= generation
    is_updated = status.get("updatedReplicas", 0) >= replicas
    is_complete = ready >= replicas and status.get("replicas") == replicas
    return ready, observed.is_applied and is_current and is_updated and is_complete


def first_error(observed: ObservedState) -> tuple[Reason, str] | None:
    """Return reason, explanation and remedy of the first problem: a lost node, else a pod that does not start."""
    lost = lost_node_problem(observed)
    if lost:
        return Reason.NODE_LOST, lost
    for pod in sorted(observed.pods, key=lambda item: item.name):
        if pod.ready or pod.deleting:
            continue
        problem = pod_problem(pod, observed.now)
        if problem is not None:
            return problem
    if observed.pod_events:
        return _event_problem(observed.pod_events[0])
    if observed.pod_creation_error:
        message = f"pod creation was rejected: {observed.pod_creation_error}; raise the quota or change spec.pod"
        return Reason.PODS_REFUSED, message
    return _not_ready(observed)


def _not_ready(observed: ObservedState) -> tuple[Reason, str] | None:
    """Return the reason of the first agent that runs and reports that it is not ready."""
    unready = sorted(
        (pod for pod in observed.pods if pod.started and not pod.ready and not pod.deleting),
        key=lambda pod: pod.name,
    )
    for pod in unready:
        if reason := observed.not_ready.get(pod.uid):
            return Reason.NOT_READY, f"{pod.name} is not ready: {reason}"
    before = observed.available_condition
    is_asked = all(pod.uid in observed.not_ready for pod in unready)
    if unready and not is_asked and before.get("reason") == Reason.NOT_READY:
        # A started operator has not asked yet, so it keeps the reason in the status.
        return Reason.NOT_READY, str(before["message"]).partition("; ")[2]
    return None


_PULL_REMEDY = "check spec.image and spec.image.pullSecrets"
_CREATE_REMEDY = "check spec.image and spec.pod"
_WAITING = {
    "ErrImagePull": (Reason.IMAGE_PULL_FAILED, _PULL_REMEDY),
    "ImagePullBackOff": (Reason.IMAGE_PULL_FAILED, _PULL_REMEDY),
    "ErrImageNeverPull": (
        Reason.IMAGE_PULL_FAILED,
        "the image is not on the node; check spec.image",
    ),
    "InvalidImageName": (Reason.IMAGE_PULL_FAILED, "check spec.image"),
    "CreateContainerConfigError": (
        Reason.CONFIGURATION_MISSING,
        "create the object that the message names",
    ),
    "CreateContainerError": (Reason.CONTAINER_NOT_CREATED, _CREATE_REMEDY),
    "RunContainerError": (Reason.CONTAINER_NOT_CREATED, _CREATE_REMEDY),
}
"""Reason and remedy by the kubelet's reason for which a container waits."""


def pod_problem(pod: AgentPod, now: datetime | None) -> tuple[Reason, str] | None:
    """Return reason, explanation and remedy of a pod that does not start; None if it may still start."""
    if not pod.scheduled:
        if not pod.message:
            return None
        remedy = unschedulable.remedy(pod.name, pod.message)
        return Reason.UNSCHEDULABLE, f"{pod.name} cannot be scheduled: {pod.message}; {remedy}"
    if _crashes(pod, now):
        # The message of the kubelet is not used, because its back-off and the UID of the pod change with every restart.
        ended = f": its last run ended with {pod.last_exit}" if pod.last_exit else ""
        text = f"{pod.name} crashes repeatedly{ended}; see kubectl logs --previous {pod.name}"
        return Reason.CRASH_LOOPING, text
    if pod.waiting not in _WAITING:
        return None
    reason, remedy = _WAITING[pod.waiting]
    return reason, f"{pod.name} does not start: {pod.message or pod.waiting}; {remedy}"


def _crashes(pod: AgentPod, now: datetime | None) -> bool:
    """Return whether a container is crash looping.

    A container that runs between two crashes counts, until the kubelet resets its back-off.
    """
    if pod.waiting == "CrashLoopBackOff":
        return True
    if pod.restarts < timings.CRASH_LOOP_RESTARTS or now is None or pod.last_exit_at is None:
        return False
    return now - pod.last_exit_at < timings.CRASH_MEMORY


def _event_problem(message: str) -> tuple[Reason, str]:
    if "secret" in message and "not found" in message:
        remedy = "create this Secret (spec.api.keySecretRef, or another field of the spec) in the agent's namespace"
        return Reason.SECRET_NOT_FOUND, f"{message}; {remedy}"
    return Reason.VOLUME_NOT_MOUNTED, f"{message}; check spec.storage and spec.pod.volumes"
