"""The result of one check of an agent: a condition without timestamps.

The status of a finding follows from its reason (api.explanations), so code and documentation cannot differ. Messages
contain neither times of the check nor generated names, because each change of a message is a write of the status.
"""

from collections.abc import Callable
from dataclasses import dataclass

from purpleflea_operator.api.agent_status import ConditionStatus, ConditionType
from purpleflea_operator.api.explanations.agent import AGENT_REASONS
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

MESSAGE_LIMIT = 2000
"""Characters of a message; the API server accepts 2048."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


Check = Callable[[ObservedState], Finding]


def finding(condition: ConditionType, reason: Reason, message: str) -> Finding:
    """Return the finding of a reason, with a message that fits into a condition."""
    return Finding(
        type=condition,
        status=AGENT_REASONS.status(condition, reason),
        reason=reason,
        message=message[:MESSAGE_LIMIT],
    )
