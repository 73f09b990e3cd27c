"""How messages name many things: the first few, and how many more there are. Pure."""

from collections.abc import Sequence

from purpleflea_operator.detect.facts import NodeAgent

NAMED = 5
"""So many names a message holds; the rest is counted."""
EXPLAINED = 3
"""So many where each comes with an explanation."""


def some(items: Sequence[str], most: int = NAMED) -> str:
    """The first few, and how many more there are."""
    shown, more = ", ".join(items[:most]), len(items) - most
    return f"{shown} and {more} more" if more > 0 else shown


def named(item: NodeAgent) -> str:
    """A node agent by namespace and name of its DaemonSet."""
    return f"{item.namespace}/{item.name}"
