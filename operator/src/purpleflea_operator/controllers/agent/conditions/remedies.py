"""What to do about a node agent: one command per shortcoming, in the words of what installed it. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.datadog.detection.facts import Installer, NodeAgent, Variable

INSTALL = (
    "helm repo add datadog https://helm.datadoghq.com && helm install datadog-agent datadog/datadog "
    "--namespace datadog --create-namespace --set datadog.apiKeyExistingSecret=datadog-secret "
    "--set datadog.dogstatsd.useHostPort=true --set datadog.apm.portEnabled=true --set datadog.logs.enabled=true"
)

NO_EXTENDED = (
    "helm upgrade datadog-operator datadog/datadog-operator --reuse-values "
    "--set-string supportExtendedDaemonset=false"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One change of an installation: a value of the Helm chart, a piece of the DatadogAgent's spec."""

    value: str
    spec: dict[str, Any]

    def command(self, agent: NodeAgent) -> str:
        """The command that makes the change."""
        if agent.installer is Installer.HELM:
            return _helm(agent, f"--set '{self.value}'")
        patch = json.dumps({"spec": self.spec}, separators=(",", ":"))
        return (
            f"kubectl --namespace {agent.namespace} patch datadogagent {agent.release} "
            f"--type=merge --patch '{patch}'"
        )


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
    """The command that lets pods send metrics to a port of their node."""
    return _opened(agent, agent.dogstatsd.blocked_by, METRICS)


def traces(agent: NodeAgent, *, by_socket: bool) -> str:
    """The command that lets pods send traces, by the same way as metrics."""
    barrier = agent.apm.blocked_by
    return _opened(agent, barrier, TRACES_SOCKET if by_socket else TRACES)


def logs(agent: NodeAgent) -> str:
    """The command that has the logs of pods collected."""
    return _opened(agent, agent.logs_blocked_by, LOGS)


def offer(agent: NodeAgent, wanted: str, *, csi_driver: bool) -> str:
    """The command that makes an installation offer the way to metrics that is wanted."""
    if wanted == "CSI" and not csi_driver:
        return CSI.command(agent)
    if wanted in ("Socket", "CSI"):
        return METRICS_SOCKET.command(agent)
    is_service = wanted == "Service"
    return _opened(agent, agent.dogstatsd.blocked_by, SERVICE if is_service else METRICS)


def _opened(agent: NodeAgent, barrier: Variable | None, otherwise: Remedy) -> str:
    return otherwise.command(agent) if barrier is None else _switched_on(agent, barrier)


_CHARTS_CONTAINERS = {
    "agent": "agents.containers.agent",
    "trace-agent": "agents.containers.traceAgent",
}


def _switched_on(agent: NodeAgent, variable: Variable) -> str:
    """A variable that the user set wins over what the installer would say, so it is this that must change."""
    if agent.installer is Installer.HELM:
        # Of several of one name the last counts, and the chart writes these last.
        place = _CHARTS_CONTAINERS.get(variable.container, "datadog")
        return _helm(agent, f"--set-string {place}.envDict.{variable.name}={variable.value}")
    # A patch would replace the whole list of variables.
    return (
        f"kubectl --namespace {agent.namespace} edit datadogagent {agent.release} "
        f"(set {variable.name} to {variable.value})"
    )


TAINT, SELECTOR, AFFINITY = MENDED = ("taint ", "node selector ", "required node affinity ")
"""How the reasons begin for which a node has no node agent, and a command lets it have one."""


def let_on(agent: NodeAgent, reason: str) -> str:
    """The command that lets node agents run where `reason` keeps them away; one that shows them, where none would."""
    if reason.startswith(TAINT):
        return TOLERATE.command(agent)
    if reason.startswith(AFFINITY):
        return ANY_AFFINITY.command(agent)
    chosen = {key: None for key, _ in agent.placement.node_selector if key != SYSTEM}
    if reason.startswith(SELECTOR) and chosen:
        keys = (key.replace(".", r"\.") for key in chosen)
        value = ",".join(f"agents.nodeSelector.{key}=null" for key in keys)
        return Remedy(value=value, spec=_placed("nodeSelector", chosen)).command(agent)
    return look(agent)


SYSTEM = "kubernetes.io/os"
"""The chart's own selector: node agents of another system would not run."""


def look(agent: NodeAgent) -> str:
    """The command that shows the node agents, where no change of the installation is known to help."""
    return (
        f"kubectl --namespace {agent.namespace} get pods --output=wide "
        "--selector=app.kubernetes.io/component=agent"
    )


def start_anew(agent: NodeAgent) -> str:
    """The commands that show what node agents complain of, and start them anew, a few at a time."""
    of = f"kubectl --namespace {agent.namespace}"
    daemon_set = f"daemonset/{agent.name}"
    return f"{of} logs {daemon_set} --all-containers --since=15m; {of} rollout restart {daemon_set}"
