"""Is there a Datadog node agent, and does all that the agents send have a way to it? Pure."""

from purpleflea_operator.detect.facts import Switch
from purpleflea_operator.model.status import ConditionType
from purpleflea_operator.reconcile.checks.finding import Finding, finding
from purpleflea_operator.reconcile.checks.workload import progress
from purpleflea_operator.reconcile.world import World

INSTALL = (
    "helm repo add datadog https://helm.datadoghq.com && helm install datadog-agent datadog/datadog "
    "--namespace datadog --create-namespace --set datadog.apiKeyExistingSecret=datadog-secret "
    "--set datadog.dogstatsd.useHostPort=true --set datadog.apm.portEnabled=true --set datadog.logs.enabled=true"
)
UPGRADE = (
    "helm upgrade {release} datadog/datadog --namespace {namespace} --reuse-values --set {value}"
)


def datadog_installed(world: World) -> Finding:
    """Is there a Datadog node agent in the cluster?"""
    kind = ConditionType.DATADOG_INSTALLED
    found = world.datadog.node_agent
    if found is None:
        message = f"no Datadog node agent was found; agents run unobserved. Install it: {INSTALL}"
        return finding(kind, "False", "NotFound", message)
    version = f" (chart {found.chart_version})" if found.chart_version else ""
    message = f"DaemonSet {found.namespace}/{found.name}, installed by {found.installer}{version}"
    return finding(kind, "True", "Found", message)


def telemetry_ready(world: World) -> Finding:
    """Do metrics, traces and logs of every agent have a way to a ready node agent?"""
    kind = ConditionType.TELEMETRY_READY
    if world.agent is not None and world.agent.spec.datadog.connection == "Disabled":
        return finding(kind, "False", "Disabled", "spec.datadog.connection is Disabled")
    found = world.datadog.node_agent
    if found is None:
        return finding(kind, "False", "NodeAgentMissing", "no Datadog node agent was found")
    if world.connection.refused:
        return finding(kind, "False", "NoConnection", f"{world.connection.refused}")
    if not found.is_ready:
        # No counts: each node that comes and goes would become a write per agent.
        message = f"not every node agent is ready: kubectl -n {found.namespace} get pods"
        return finding(kind, "False", "NodeAgentNotReady", message)
    missing = _missing_signal(world)
    if missing is not None:
        return missing
    ready, current = progress(world)
    if not current:
        message = "the agents are being started with the address of the node agent"
        return finding(kind, "Unknown", "WaitingForAgents", message)
    message = (
        f"{ready} agents reach their node agent by {world.connection.mode}: metrics, traces, logs"
    )
    return finding(kind, "True", "Connected", message)


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
    return finding(ConditionType.TELEMETRY_READY, "False", reason, message)
