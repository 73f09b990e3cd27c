"""What a check of the world comes to. It decides nothing.

Reasons are a closed list; messages carry no timestamps and no generated names, or the status would never settle.

How messages name many things: the first few, and how many more there are. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from purpleflea_operator.api.agent_status import ConditionStatus, ConditionType
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.datadog.detection.facts import NodeAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


Check = Callable[[ObservedState], Finding]


def finding(kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> Finding:
    """A finding whose message fits into a condition."""
    return Finding(type=kind, status=status, reason=reason, message=message[:2000])


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
