"""What to do about a node agent: one command per shortcoming, in the words of what installed it. Pure."""

import json
from dataclasses import dataclass
from typing import Any

from purpleflea_operator.detect.facts import Installer, NodeAgent

INSTALL = (
    "helm repo add datadog https://helm.datadoghq.com && helm install datadog-agent datadog/datadog "
    "--namespace datadog --create-namespace --set datadog.apiKeyExistingSecret=datadog-secret "
    "--set datadog.dogstatsd.useHostPort=true --set datadog.apm.portEnabled=true --set datadog.logs.enabled=true"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """One change of an installation: a value of the Helm chart, a piece of the DatadogAgent's spec."""

    value: str
    spec: dict[str, Any]

    def command(self, agent: NodeAgent) -> str:
        """The command that makes the change."""
        if agent.installer is Installer.HELM:
            return (
                f"helm upgrade {agent.release} datadog/datadog --namespace {agent.namespace} "
                f"--reuse-values --set '{self.value}'"
            )
        patch = json.dumps({"spec": self.spec}, separators=(",", ":"))
        return (
            f"kubectl --namespace {agent.namespace} patch datadogagent {agent.release} "
            f"--type=merge --patch '{patch}'"
        )


def _feature(name: str, **fields: Any) -> dict[str, Any]:
    return {"features": {name: fields}}


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
TOLERATE = Remedy(
    value="agents.tolerations[0].operator=Exists",
    spec={"override": {"nodeAgent": {"tolerations": [{"operator": "Exists"}]}}},
)


def look(agent: NodeAgent) -> str:
    """The command that shows the node agents, where no change of the installation is known to help."""
    return (
        f"kubectl --namespace {agent.namespace} get pods --output=wide "
        "--selector=app.kubernetes.io/component=agent"
    )
