"""How messages name many things: the first few, and how many more there are. Pure."""

from collections.abc import Sequence

from purpleflea_operator.detect.facts import NodeAgent

NAMED = 3
"""So many nodes, pods or node agents a message names; the rest is counted."""


def some(items: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    shown, more = ", ".join(items[:NAMED]), len(items) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def named(item: NodeAgent) -> str:
    """A node agent by namespace and name of its DaemonSet."""
    return f"{item.namespace}/{item.name}"
