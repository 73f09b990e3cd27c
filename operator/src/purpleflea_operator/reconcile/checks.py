"""The world -> findings: one per condition, with reason, message and what to do next. Pure.

Reasons are a closed list; messages carry no timestamps and no generated names, or the status would never settle.
"""

from collections.abc import Callable
from dataclasses import dataclass

from purpleflea_operator.detect.facts import Switch
from purpleflea_operator.model.status import ConditionStatus, ConditionType
from purpleflea_operator.reconcile.world import Pod, World

INSTALL = (
    "helm repo add datadog https://helm.datadoghq.com && helm install datadog-agent datadog/datadog "
    "--namespace datadog --create-namespace --set datadog.apiKeyExistingSecret=datadog-secret "
    "--set datadog.dogstatsd.useHostPort=true --set datadog.apm.portEnabled=true --set datadog.logs.enabled=true"
)
UPGRADE = (
    "helm upgrade {release} datadog/datadog --namespace {namespace} --reuse-values --set {value}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


Check = Callable[[World], Finding]


def spec_valid(world: World) -> Finding:
    """Is the spec one that can be rendered?"""
    if world.agent is None:
        return _finding(
            ConditionType.SPEC_VALID,
            "False",
            "Invalid",
            f"{world.invalid}; the last valid version keeps running. Correct the field and apply again",
        )
    return _finding(ConditionType.SPEC_VALID, "True", "Valid", "the spec is valid")


def workload_available(world: World) -> Finding:
    """Do all identities run the current spec and answer their readiness probe?"""
    kind = ConditionType.WORKLOAD_AVAILABLE
    if world.failure:
        return _finding(kind, "False", world.failure_reason, world.failure)
    stateful_set = world.stateful_set
    if stateful_set is None:
        return _finding(kind, "False", "Progressing", "the workload is being created")
    replicas = stateful_set["spec"].get("replicas", 1)
    if replicas == 0:
        return _finding(kind, "True", "ScaledToZero", "no agents are wanted")
    ready, current = _progress(world)
    if current and ready == replicas:
        return _finding(kind, "True", "AllReady", f"{ready}/{replicas} agents are ready")
    problem = _problem(world)
    state = f"{ready}/{replicas} agents are ready"
    if problem is None:
        return _finding(kind, "False", "Progressing", state)
    reason, text = problem
    return _finding(kind, "False", reason, f"{state}; {text}")


def datadog_installed(world: World) -> Finding:
    """Is there a Datadog node agent in the cluster?"""
    kind = ConditionType.DATADOG_INSTALLED
    found = world.datadog.node_agent
    if found is None:
        message = f"no Datadog node agent was found; agents run unobserved. Install it: {INSTALL}"
        return _finding(kind, "False", "NotFound", message)
    version = f" (chart {found.chart_version})" if found.chart_version else ""
    message = f"DaemonSet {found.namespace}/{found.name}, installed by {found.installer}{version}"
    return _finding(kind, "True", "Found", message)


def telemetry_ready(world: World) -> Finding:
    """Do metrics, traces and logs of every agent have a way to a ready node agent?"""
    kind = ConditionType.TELEMETRY_READY
    if world.agent is not None and world.agent.spec.datadog.connection == "Disabled":
        return _finding(kind, "False", "Disabled", "spec.datadog.connection is Disabled")
    found = world.datadog.node_agent
    if found is None:
        return _finding(kind, "False", "NodeAgentMissing", "no Datadog node agent was found")
    if world.connection.refused:
        return _finding(kind, "False", "NoConnection", f"{world.connection.refused}")
    if not found.is_ready:
        # No counts: each node that comes and goes would become a write per agent.
        message = f"not every node agent is ready: kubectl -n {found.namespace} get pods"
        return _finding(kind, "False", "NodeAgentNotReady", message)
    missing = _missing_signal(world)
    if missing is not None:
        return missing
    ready, current = _progress(world)
    if not current:
        message = "the agents are being started with the address of the node agent"
        return _finding(kind, "Unknown", "WaitingForAgents", message)
    message = (
        f"{ready} agents reach their node agent by {world.connection.mode}: metrics, traces, logs"
    )
    return _finding(kind, "True", "Connected", message)


def summary(findings: tuple[Finding, ...]) -> Finding:
    """Can all identities do their work? Telemetry is a matter of its own: whenMissing is Warn."""
    for finding in findings:
        decisive = finding.type in (ConditionType.SPEC_VALID, ConditionType.WORKLOAD_AVAILABLE)
        if decisive and finding.status != "True":
            return _finding(ConditionType.READY, "False", finding.reason, finding.message)
    return _finding(ConditionType.READY, "True", "Ready", "all agents are ready")


CHECKS: tuple[Check, ...] = (spec_valid, workload_available, datadog_installed, telemetry_ready)


def findings(world: World) -> tuple[Finding, ...]:
    """The outcome of all checks, the summary first."""
    found = tuple(check(world) for check in CHECKS)
    return (summary(found), *found)


def _finding(kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> Finding:
    return Finding(type=kind, status=status, reason=reason, message=message[:2000])


def _progress(world: World) -> tuple[int, bool]:
    """Ready pods, and whether all pods that are wanted run the current revision and are ready."""
    stateful_set = world.stateful_set
    if stateful_set is None:
        return 0, False
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    observed = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    updated = status.get("updatedReplicas", 0) >= replicas
    return ready, observed and updated and ready >= replicas and status.get("replicas") == replicas


def _missing_signal(world: World) -> Finding | None:
    """Traces or logs that the installation does not take."""
    found = world.datadog.node_agent
    assert found is not None  # noqa: S101 - the caller has looked
    if found.apm is None or world.connection.apm_port is None:
        reason, name, value = "ApmOff", "traces", "datadog.apm.portEnabled=true"
    elif found.logs is Switch.OFF:
        reason, name, value = "LogsOff", "logs", "datadog.logs.enabled=true"
    else:
        return None
    command = UPGRADE.format(release=found.release, namespace=found.namespace, value=value)
    message = f"the node agent takes no {name}. Turn them on: {command}"
    return _finding(ConditionType.TELEMETRY_READY, "False", reason, message)


def _problem(world: World) -> tuple[str, str] | None:
    """Why the first pod that does not start does not: reason, and explanation with a remedy."""
    for pod in sorted(world.pods, key=lambda item: item.name):
        if pod.ready or pod.deleting:
            continue
        problem = _pod_problem(pod)
        if problem is not None:
            return problem
    if world.pod_events:
        return _event_problem(world.pod_events[0])
    return None


_REMEDIES = {
    "ErrImagePull": ("ImagePullFailed", "check spec.image and spec.image.pullSecrets"),
    "ImagePullBackOff": ("ImagePullFailed", "check spec.image and spec.image.pullSecrets"),
    "ErrImageNeverPull": ("ImagePullFailed", "the image is not on the node: check spec.image"),
    "InvalidImageName": ("ImagePullFailed", "check spec.image"),
    "CreateContainerConfigError": ("ConfigurationMissing", "make what the message names"),
    "CreateContainerError": ("ContainerNotCreated", "check spec.image and spec.pod"),
    "RunContainerError": ("ContainerNotCreated", "check spec.image and spec.pod"),
    "CrashLoopBackOff": ("CrashLooping", "see kubectl logs --previous"),
}


def _pod_problem(pod: Pod) -> tuple[str, str] | None:
    if not pod.scheduled:
        if not pod.message:
            return None
        return "Unschedulable", f"{pod.name} fits no node: {pod.message}; check spec.pod"
    if pod.waiting not in _REMEDIES:
        return None
    reason, remedy = _REMEDIES[pod.waiting]
    return reason, f"{pod.name} does not start: {pod.message or pod.waiting}; {remedy}"


def _event_problem(message: str) -> tuple[str, str]:
    if "secret" in message and "not found" in message:
        remedy = "create the Secret that spec.api.keySecretRef names (in this namespace)"
        return "SecretNotFound", f"{message}; {remedy}"
    return "VolumeNotMounted", message
