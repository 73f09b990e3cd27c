"""Lists of names in messages: the first names, and the number of the others. Pure."""

from collections.abc import Sequence

from purpleflea_operator.datadog.detection.facts import NodeAgent, UntrustedNodeAgent

MAX_NAMES = 5
"""Names in a message; the others are counted."""
MAX_EXPLAINED = 3
"""Names in a message that explains each name."""


def join_limited(items: Sequence[str], limit: int = MAX_NAMES) -> str:
    """Return the first items, and the number of the others."""
    shown, more = ", ".join(items[:limit]), len(items) - limit
    return f"{shown} and {more} more" if more > 0 else shown


def qualified_name(node_agent: NodeAgent | UntrustedNodeAgent) -> str:
    """Return namespace and name of the DaemonSet of a node agent."""
    return f"{node_agent.namespace}/{node_agent.name}"
