"""Commands that fix the installation of a node agent, for the tool that installed it. Pure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from purpleflea_operator.datadog.detection.facts import (
    ContainerVariable,
    Installer,
    NodeAgent,
    UntrustedNodeAgent,
)
from purpleflea_operator.datadog.detection.trust import TrustedNamespaces

INSTALL = (
    "helm repo add datadog https://helm.datadoghq.com && helm install datadog-agent datadog/datadog "
    "--namespace datadog --create-namespace --set datadog.apiKeyExistingSecret=datadog-secret "
    "--set datadog.dogstatsd.useHostPort=true --set datadog.apm.portEnabled=true --set datadog.logs.enabled=true"
)

GRANT = "helm upgrade purpleflea-operator charts/purpleflea-operator --namespace purpleflea-system --reuse-values"

NO_EXTENDED = (
    "helm upgrade datadog-operator datadog/datadog-operator --reuse-values "
    "--set-string supportExtendedDaemonset=false"
)


def trust(trusted: TrustedNamespaces, untrusted: Iterable[UntrustedNodeAgent]) -> str:
    """Return the command that trusts the namespace of untrusted node agents.

    If there are several namespaces, the command has a placeholder, because the user has to choose: a name that a tenant
    selected must not be first in a command that is copied.
    """
    namespaces = {item.namespace for item in untrusted}
    added = namespaces.pop() if len(namespaces) == 1 else "NAMESPACE"
    names = ",".join((*trusted.names, added))
    return (
        "helm upgrade purpleflea-operator charts/purpleflea-operator --namespace purpleflea-system --reuse-values "
        f"--set 'datadog.namespaces={{{names}}}'"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One change of an installation: a value of the Helm chart, and the same change in the spec of a DatadogAgent."""

    value: str
    spec: dict[str, Any]

    def command(self, agent: NodeAgent) -> str:
        """Return the command that applies the change."""
        match agent.installer:
            case Installer.HELM:
                return _helm(agent, f"--set '{self.value}'")
            case Installer.OPERATOR:
                patch = json.dumps({"spec": self.spec}, separators=(",", ":"))
                return (
                    f"kubectl --namespace {agent.namespace} patch datadogagent {agent.release} "
                    f"--type=merge --patch '{patch}'"
                )
            case Installer.MANIFEST:
                return (
                    f"kubectl --namespace {agent.namespace} edit daemonset {agent.name} "
                    f"(as Datadog's Helm chart does with {self.value})"
                )
            case _:
                assert_never(agent.installer)


def _helm(agent: NodeAgent, change: str) -> str:
    return (
        f"helm upgrade {agent.release} datadog/datadog --namespace {agent.namespace} "
        f"--reuse-values {change}"
    )


def _feature(name: str, **fields: Any) -> dict[str, Any]:
    return {"features": {name: fields}}


def _placed(field: str, value: Any) -> dict[str, Any]:
    return {"override": {"nodeAgent": {field: value}}}


OPEN = {"enabled": True}
METRICS = Remedy(
    value="datadog.dogstatsd.useHostPort=true",
    spec=_feature("dogstatsd", hostPortConfig=OPEN),
)
METRICS_SOCKET = Remedy(
    value="datadog.dogstatsd.useSocketVolume=true",
    spec=_feature("dogstatsd", unixDomainSocketConfig=OPEN),
)
TRACES = Remedy(
    value="datadog.apm.portEnabled=true", spec=_feature("apm", enabled=True, hostPortConfig=OPEN)
)
TRACES_SOCKET = Remedy(
    value="datadog.apm.socketEnabled=true",
    spec=_feature("apm", enabled=True, unixDomainSocketConfig=OPEN),
)
LOGS = Remedy(value="datadog.logs.enabled=true", spec=_feature("logCollection", enabled=True))
CSI = Remedy(value="datadog.csi.enabled=true", spec={"global": {"csi": OPEN}})
SERVICE = Remedy(
    value="agents.localService.forceLocalServiceEnabled=true",
    spec={"global": {"localService": {"forceEnableLocalService": True}}},
)
TOLERATE = Remedy(
    value="agents.tolerations[0].operator=Exists",
    spec=_placed("tolerations", [{"operator": "Exists"}]),
)
ANY_AFFINITY = Remedy(value="agents.affinity=null", spec=_placed("affinity", None))


def metrics(agent: NodeAgent) -> str:
    """Return the command that allows pods to send metrics to a port of their node."""
    return _opened(agent, agent.dogstatsd.blocked_by, METRICS)


def traces(agent: NodeAgent, *, by_socket: bool) -> str:
    """Return the command that allows pods to send traces through the connection of the metrics."""
    return _opened(agent, agent.apm.blocked_by, TRACES_SOCKET if by_socket else TRACES)


def logs(agent: NodeAgent) -> str:
    """Return the command that turns on the collection of logs."""
    return _opened(agent, agent.logs_blocked_by, LOGS)


def offer(agent: NodeAgent, wanted: str, *, csi_driver: bool) -> str:
    """Return the command that makes an installation offer the requested connection."""
    if wanted == "CSI" and not csi_driver:
        return CSI.command(agent)
    if wanted in ("Socket", "CSI"):
        return METRICS_SOCKET.command(agent)
    remedy = SERVICE if wanted == "Service" else METRICS
    return _opened(agent, agent.dogstatsd.blocked_by, remedy)


def _opened(agent: NodeAgent, blocked_by: ContainerVariable | None, remedy: Remedy) -> str:
    """Return the command that changes the user's own variable if it closes the receiver, else that of `remedy`.

    Such a variable takes precedence over the setting of the installer, so the setting alone has no effect.
    """
    return remedy.command(agent) if blocked_by is None else _set_variable(agent, blocked_by)


_CHART_CONTAINERS = {
    "agent": "agents.containers.agent",
    "trace-agent": "agents.containers.traceAgent",
}


def _set_variable(agent: NodeAgent, variable: ContainerVariable) -> str:
    match agent.installer:
        case Installer.HELM:
            # If a variable is set repeatedly, the last value applies, and the chart renders envDict last.
            prefix = _CHART_CONTAINERS.get(variable.container, "datadog")
            change = f"--set-string {prefix}.envDict.{variable.name}={variable.value}"
            return _helm(agent, change)
        case Installer.OPERATOR:
            # A patch would replace the whole list of variables.
            return (
                f"kubectl --namespace {agent.namespace} edit datadogagent {agent.release} "
                f"(set {variable.name} to {variable.value})"
            )
        case Installer.MANIFEST:
            return (
                f"kubectl --namespace {agent.namespace} set env daemonset/{agent.name} "
                f"--containers={variable.container} {variable.name}={variable.value}"
            )
        case _:
            assert_never(agent.installer)


TAINT, SELECTOR, AFFINITY = FIXABLE = ("taint ", "node selector ", "required node affinity ")
"""Prefixes of the reasons for which a node has no node agent and that a command can fix."""


def allow_on_node(agent: NodeAgent, reason: str) -> str:
    """Return the command that allows node agents on the nodes that `reason` excludes.

    If no command can fix the reason, return the command that lists the pods of the node agent.
    """
    if reason.startswith(TAINT):
        return TOLERATE.command(agent)
    if reason.startswith(AFFINITY):
        return ANY_AFFINITY.command(agent)
    selector = {key: None for key, _ in agent.placement.node_selector if key != SYSTEM}
    if reason.startswith(SELECTOR) and selector:
        keys = (key.replace(".", r"\.") for key in selector)
        value = ",".join(f"agents.nodeSelector.{key}=null" for key in keys)
        return Remedy(value=value, spec=_placed("nodeSelector", selector)).command(agent)
    return list_pods(agent)


SYSTEM = "kubernetes.io/os"
"""Node selector that the chart sets itself: node agents of another operating system would not run."""


def list_pods(agent: NodeAgent) -> str:
    """Return the command that lists the pods of the node agent, for problems without a known fix."""
    return (
        f"kubectl --namespace {agent.namespace} get pods --output=wide "
        "--selector=app.kubernetes.io/component=agent"
    )


def logs_and_restart(agent: NodeAgent) -> str:
    """Return the commands that show the logs of the node agents and restart them, a few at a time."""
    kubectl = f"kubectl --namespace {agent.namespace}"
    daemon_set = f"daemonset/{agent.name}"
    return (
        f"{kubectl} logs {daemon_set} --all-containers --since=15m; "
        f"{kubectl} rollout restart {daemon_set}"
    )
