"""What is known of the node agent -> status.datadog. Pure; absent fields are left out."""

from typing import Any

from purpleflea_operator.api.agent_status import REASON_LIMIT
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.coverage import Coverage, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import Switch, worst
from purpleflea_operator.manifests import datadog_sockets

LISTED = 10
"""Nodes without a node agent that the status lists; the rest is counted."""


def datadog_status(world: ObservedState) -> dict[str, Any] | None:
    """status.datadog; None where no node agent is known."""
    way = world.connection
    heard = [item.node_agent for item in receiving_node_agents(world.datadog, way, world.coverage)]
    if not heard:
        return None
    found = heard[0]
    metrics = worst(item.dogstatsd.state for item in heard)
    traces = worst(item.apm.state for item in heard)
    status = {
        "installer": str(found.installer),
        "release": found.release,
        "namespace": found.namespace,
        "chartVersion": found.chart_version,
        "agentVersion": found.agent_version,
        "connection": str(way.mode),
        "dogstatsd": _address(way, way.dogstatsd_port, datadog_sockets.dogstatsd_url(way), metrics),
        "apm": _address(way, way.apm_port, datadog_sockets.apm_url(way), traces),
        "logs": str(worst(item.logs for item in heard)),
        "nodes": _nodes(world.coverage) if way.mode is not ConnectionMode.NONE else None,
    }
    return {key: value for key, value in status.items() if value is not None}


def _address(way: Connection, port: int | None, url: str | None, state: Switch) -> str:
    if url is not None:
        return url
    if port is not None:
        # HostIP is written as such: each pod learns the address of its own node.
        return (
            f"{ConnectionMode.HOST_IP if way.mode is ConnectionMode.HOST_IP else way.host}:{port}"
        )
    return str(Switch.UNKNOWN if state is Switch.UNKNOWN else Switch.OFF)


def _nodes(found: Coverage) -> dict[str, Any] | None:
    if not found.is_visible:
        return None
    return {
        "needed": found.needed,
        "covered": found.needed - len(found.uncovered),
        "missing": [
            {"node": item.node, "reason": item.reason[:REASON_LIMIT]}
            for item in found.uncovered[:LISTED]
        ],
    }
