"""Node agent + what the user asked for -> the way by which agents reach it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from purpleflea_operator.detect.facts import NodeAgent, Port

CLUSTER_DOMAIN = "svc.cluster.local"


class Mode(StrEnum):
    """How agents reach the node agent."""

    HOST_IP = "HostIP"
    SERVICE = "Service"
    NONE = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The way to the node agent. `host` is empty for HostIP: each pod learns it from its node."""

    mode: Mode
    host: str = ""
    dogstatsd_port: int | None = None
    apm_port: int | None = None
    refused: str = ""
    """Why there is no connection although a node agent exists."""


NO_CONNECTION = Connection(mode=Mode.NONE)


def connection(
    node_agent: NodeAgent | None, wanted: Literal["Auto", "HostIP", "Service", "Disabled"]
) -> Connection:
    """The connection to `node_agent`; mode None where there is none, with the reason in `refused`."""
    if node_agent is None or wanted == "Disabled":
        return NO_CONNECTION
    by_host, by_service = _by_host(node_agent), _by_service(node_agent)
    if wanted == "HostIP":
        return by_host or _refusal("no port of the node is open: set datadog.dogstatsd.useHostPort")
    if wanted == "Service":
        return by_service or _refusal(f"Service {node_agent.name} does not exist")
    return (
        (by_host if _is_complete(by_host, node_agent) else None)
        or by_service
        or by_host
        or _refusal("neither a port of the node nor the node-local Service is open")
    )


def _by_host(agent: NodeAgent) -> Connection | None:
    dogstatsd, apm = _on_host(agent.dogstatsd), _on_host(agent.apm)
    if dogstatsd is None:
        return None
    return Connection(mode=Mode.HOST_IP, dogstatsd_port=dogstatsd, apm_port=apm)


def _by_service(agent: NodeAgent) -> Connection | None:
    if not agent.service or agent.dogstatsd is None:
        return None
    return Connection(
        mode=Mode.SERVICE,
        host=f"{agent.name}.{agent.namespace}.{CLUSTER_DOMAIN}",
        dogstatsd_port=agent.dogstatsd.number,
        apm_port=agent.apm.number if agent.apm else None,
    )


def _on_host(port: Port | None) -> int | None:
    return port.on_host if port else None


def _is_complete(found: Connection | None, agent: NodeAgent) -> bool:
    """Whether all that the node agent receives can be reached this way."""
    return found is not None and (found.apm_port is not None or agent.apm is None)


def _refusal(reason: str) -> Connection:
    return Connection(mode=Mode.NONE, refused=reason)
