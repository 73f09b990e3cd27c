"""The field status.datadog: the node agent of an agent and its connection. Pure."""

from typing import Any

from purpleflea_operator.api.agent_status import REASON_LIMIT
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.coverage import Coverage, receiving_node_agents
from purpleflea_operator.datadog.detection.facts import Switch, worst
from purpleflea_operator.manifests import datadog_sockets

LISTED = 10
"""Maximum number of nodes without a node agent that the status lists; the counts include the others."""


def datadog_status(observed: ObservedState) -> dict[str, Any] | None:
    """Return status.datadog without empty fields; None if there is no node agent."""
    used = observed.connection
    if used.mode.is_explicit:
        return {
            "connection": str(used.mode),
            "dogstatsd": f"{used.host}:{used.dogstatsd_port}",
            "apm": f"{used.host}:{used.apm_port}",
        }
    receiving = [
        item.node_agent for item in receiving_node_agents(observed.datadog, used, observed.coverage)
    ]
    if not receiving:
        return None
    first = receiving[0]
    metrics = worst(item.dogstatsd.state for item in receiving)
    traces = worst(item.apm.state for item in receiving)
    status = {
        "installer": str(first.installer),
        "release": first.release,
        "namespace": first.namespace,
        "chartVersion": first.chart_version,
        "agentVersion": first.agent_version,
        "connection": str(used.mode),
        "dogstatsd": _address(
            used, used.dogstatsd_port, datadog_sockets.dogstatsd_url(used), metrics
        ),
        "apm": _address(used, used.apm_port, datadog_sockets.apm_url(used), traces),
        "logs": str(worst(item.logs for item in receiving)),
        "nodes": _nodes(observed.coverage) if used.mode is not ConnectionMode.NONE else None,
    }
    return {key: value for key, value in status.items() if value is not None}


def _address(used: Connection, port: int | None, url: str | None, state: Switch) -> str:
    if url is not None:
        return url
    if port is not None:
        # HostIP stands for the address of each pod's own node.
        return (
            f"{ConnectionMode.HOST_IP if used.mode is ConnectionMode.HOST_IP else used.host}:{port}"
        )
    return str(Switch.UNKNOWN if state is Switch.UNKNOWN else Switch.OFF)


def _nodes(coverage: Coverage) -> dict[str, Any] | None:
    if not coverage.is_visible:
        return None
    return {
        "needed": coverage.needed,
        "covered": coverage.needed - len(coverage.uncovered),
        "missing": [
            {"node": item.node, "reason": item.reason[:REASON_LIMIT]}
            for item in coverage.uncovered[:LISTED]
        ],
    }
