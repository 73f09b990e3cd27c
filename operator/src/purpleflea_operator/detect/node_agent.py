"""DaemonSets -> node agents, by the labels, containers and ports that Datadog's installers give them.

Names prove nothing: Helm release names are free, and a Helm release and a DatadogAgent can yield the same one. Neither
do CRDs or a running Datadog operator: the Helm chart brings both by default.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_operator.detect.facts import DatadogFacts, Installer, NodeAgent, Port, Switch

Manifest = Mapping[str, Any]

CHART = re.compile(r"^datadog-(\d[\w.+-]*)$")
TRACE_CONTAINERS = ("trace-agent", "unprivileged-single-agent")
DOGSTATSD_PORT = "dogstatsdport"
TRACE_PORT = "traceport"


def datadog_facts(
    daemon_sets: Iterable[Manifest], services: frozenset[tuple[str, str]]
) -> DatadogFacts:
    """The node agents among `daemon_sets`; `services` are (namespace, name) of Services that exist."""
    found = [agent for item in daemon_sets if (agent := node_agent(item, services)) is not None]
    return DatadogFacts(node_agents=tuple(sorted(found, key=_preference)))


def _preference(agent: NodeAgent) -> tuple[bool, int, str, str]:
    return (not agent.is_ready, -agent.nodes, agent.namespace, agent.name)


def installer_of(daemon_set: Manifest) -> Installer | None:
    """What installed this DaemonSet; None where it is no Datadog node agent."""
    labels = daemon_set["metadata"].get("labels", {})
    if _container(daemon_set, "agent") is None and _apm_container(daemon_set) is None:
        return None
    managed_by = labels.get("app.kubernetes.io/managed-by")
    if managed_by == "datadog-operator":
        is_agent = labels.get("agent.datadoghq.com/component", "agent") == "agent"
        return Installer.OPERATOR if is_agent else None
    is_chart = CHART.match(labels.get("helm.sh/chart", "")) is not None
    is_agent = "agent" in (
        labels.get("app.kubernetes.io/component"),
        labels.get("agent.datadoghq.com/component"),
    )
    return Installer.HELM if is_chart and is_agent and _has_agent_image(daemon_set) else None


def node_agent(daemon_set: Manifest, services: frozenset[tuple[str, str]]) -> NodeAgent | None:
    """What is known about one DaemonSet; None where it is no Datadog node agent."""
    installer = installer_of(daemon_set)
    if installer is None:
        return None
    metadata, status = daemon_set["metadata"], daemon_set.get("status", {})
    labels = metadata.get("labels", {})
    chart = CHART.match(labels.get("helm.sh/chart", ""))
    current = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    wanted = status.get("desiredNumberScheduled", 0)
    return NodeAgent(
        installer=installer,
        name=metadata["name"],
        namespace=metadata["namespace"],
        release=_release(metadata),
        chart_version=chart.group(1) if chart else None,
        agent_version=_agent_version(daemon_set),
        dogstatsd=_port(daemon_set, DOGSTATSD_PORT),
        apm=_port(daemon_set, TRACE_PORT) if _apm_container(daemon_set) else None,
        logs=_logs(daemon_set),
        is_ready=current and 0 < wanted <= status.get("numberReady", 0),
        nodes=wanted,
        service=(metadata["namespace"], metadata["name"]) in services,
    )


def _release(metadata: Manifest) -> str:
    annotated = metadata.get("annotations", {}).get("meta.helm.sh/release-name")
    return str(
        annotated or metadata.get("labels", {}).get("agent.datadoghq.com/name") or metadata["name"]
    )


def _containers(daemon_set: Manifest) -> list[Manifest]:
    containers: list[Manifest] = daemon_set["spec"]["template"]["spec"].get("containers", [])
    return containers


def _container(daemon_set: Manifest, name: str) -> Manifest | None:
    return next((item for item in _containers(daemon_set) if item["name"] == name), None)


def _apm_container(daemon_set: Manifest) -> Manifest | None:
    found = (_container(daemon_set, name) for name in TRACE_CONTAINERS)
    return next((item for item in found if item is not None), None)


def _image(container: Manifest) -> str:
    """The image without digest."""
    return str(container.get("image", "")).partition("@")[0]


def _has_agent_image(daemon_set: Manifest) -> bool:
    """Registry hosts differ by site, so only the last part of the image's path counts."""
    container = _container(daemon_set, "agent")
    if container is None:
        return False
    return _image(container).rpartition("/")[2].partition(":")[0] == "agent"


def _agent_version(daemon_set: Manifest) -> str | None:
    container = _container(daemon_set, "agent") or _apm_container(daemon_set)
    image = _image(container) if container else ""
    return image.rpartition("/")[2].partition(":")[2] or None


def _port(daemon_set: Manifest, name: str) -> Port | None:
    """The named port, whichever container owns it (DogStatsD moves to agent-data-plane)."""
    host_network = bool(daemon_set["spec"]["template"]["spec"].get("hostNetwork"))
    for container in _containers(daemon_set):
        for port in container.get("ports", []):
            if port.get("name") == name:
                number = int(port["containerPort"])
                on_host = number if host_network else port.get("hostPort")
                return Port(number=number, on_host=on_host)
    return None


def _logs(daemon_set: Manifest) -> Switch:
    container = _container(daemon_set, "agent") or _apm_container(daemon_set) or {}
    # The last duplicate wins: the chart appends the user's variables.
    values = [item for item in container.get("env", []) if item["name"] == "DD_LOGS_ENABLED"]
    if not values or "value" not in values[-1]:
        return Switch.UNKNOWN
    return Switch.ON if str(values[-1]["value"]).lower() == "true" else Switch.OFF
