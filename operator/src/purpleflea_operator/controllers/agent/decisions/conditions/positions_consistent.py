"""PositionsConsistent: the reported positions of all agents agree with their own fills. Pure.

The condition appears with the first mismatch, so that agents without one cost no write. It stays False until every
agent was asked again and reports none.
"""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import (
    MAX_EXPLAINED,
    join_limited,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

_KIND = ConditionType.POSITIONS_CONSISTENT


def positions_consistent(observed: ObservedState) -> tuple[Finding, ...]:
    """Return PositionsConsistent if there is a mismatch or was one, else nothing."""
    pods = [pod for pod in observed.pods if not pod.deleting]
    mismatched = {
        pod.name: markets for pod in pods if (markets := observed.mismatches.get(pod.uid, ()))
    }
    if mismatched:
        names = [f"{name}: {', '.join(sorted(mismatched[name]))}" for name in sorted(mismatched)]
        message = (
            f"the exchange reports other positions than the fills of {join_limited(names, MAX_EXPLAINED)}, so these "
            "positions do not grow. Another client uses the same API key, or the reports of the exchange are old. "
            "Compare the orders of the account with /v1/orders of the agent, and stop the other client; "
            "see docs/trading.md"
        )
        return (finding(_KIND, Reason.POSITIONS_DIFFER, message),)
    before = observed.positions_condition
    if not before or not pods:
        return ()
    is_asked = all(pod.uid in observed.mismatches for pod in pods)
    if before.get("status") == "False" and not is_asked:
        return (finding(_KIND, Reason.POSITIONS_DIFFER, str(before.get("message", ""))),)
    message = "the reported positions agree with the fills of the agents"
    return (finding(_KIND, Reason.POSITIONS_AGREE, message),)
