"""What a check of the world comes to. It decides nothing.

Reasons are a closed list; messages carry no timestamps and no generated names, or the status would never settle.
"""

from collections.abc import Callable
from dataclasses import dataclass

from purpleflea_operator.model.status import ConditionStatus, ConditionType
from purpleflea_operator.reconcile.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


Check = Callable[[World], Finding]


def finding(kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> Finding:
    """A finding whose message fits into a condition."""
    return Finding(type=kind, status=status, reason=reason, message=message[:2000])
