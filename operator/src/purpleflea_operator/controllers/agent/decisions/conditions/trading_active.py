"""TradingActive: the trading mode, and whether the agents have acknowledged it. Pure.

False needs proof: every agent that runs, or ran and may return, has acknowledged that it is drained. After another
mode, True needs acknowledgements, too. An agent that started in mode Active needs none, because it becomes ready only
when it can trade. If an acknowledgement is missing, the condition is Unknown, because the agent may still trade.
"""

from collections.abc import Sequence

from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import starting_pods, trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import join_limited
from purpleflea_operator.controllers.agent.decisions.conditions.lost_nodes import (
    pods_on_lost_nodes,
    where,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState

_UNACKNOWLEDGED = {
    Mode.ACTIVE: Reason.RESUMING,
    Mode.HALTED: Reason.HALTING,
    Mode.STOPPED: Reason.STOPPING,
}
_ACKNOWLEDGED = {
    Mode.ACTIVE: Reason.ACTIVE,
    Mode.HALTED: Reason.HALTED,
    Mode.STOPPED: Reason.STOPPED,
}


def trading_active(observed: ObservedState) -> Finding:
    """Return TradingActive."""
    kind, mode = ConditionType.TRADING_ACTIVE, trading_mode.desired_mode(observed)
    if mode is None:
        message = "the spec is invalid, so the agents keep their mode; see the condition SpecValid"
        return finding(kind, Reason.SPEC_INVALID, message)
    pods = trading_mode.pods_to_acknowledge(observed)
    missing = trading_mode.unacknowledged(observed)
    unseen = trading_mode.unaccounted(observed)
    starting = starting_pods.starting_pods(observed)
    total = len(pods) + len(unseen) + len(starting)
    count = f"{len(pods) - len(missing)}/{total} agents have acknowledged it"
    if missing or unseen or starting:
        waits = sorted({*(pod.name for pod in missing), *unseen})
        names = join_limited([*waits, *map(starting_pods.why_starting, starting)])
        message = (
            f"{_request(observed)}; {count}, waiting for {names}{_unreachable(observed, missing)}"
        )
        return finding(kind, _UNACKNOWLEDGED[mode], message)
    if mode is Mode.ACTIVE:
        return finding(kind, Reason.ACTIVE, f"{_request(observed)}; the agents may trade")
    incomplete = trading_mode.incomplete(observed)
    if incomplete:
        message = (
            f"{_request(observed)}; not completed: {'; '.join(incomplete)}. "
            "Check the accounts of these agents on the exchange"
        )
        return finding(kind, Reason.STOPPED_INCOMPLETE, message)
    proof = f"{count} and are drained" if pods else "no agent is running"
    return finding(kind, _ACKNOWLEDGED[mode], f"{_request(observed)}; {proof}")


def _unreachable(observed: ObservedState, missing: Sequence[AgentPod]) -> str:
    """Return the pods that cannot acknowledge, because their nodes are not ready; empty if there are none."""
    names = {pod.name for pod in missing}
    pods = [pod for pod in pods_on_lost_nodes(observed) if pod.name in names]
    if not pods:
        return ""
    return f"; {where(pods)} cannot be reached and may still trade, see the condition WorkloadAvailable"


def _request(observed: ObservedState) -> str:
    """Return the mode with its author, time and reason.

    The text is constant as long as the mode does not change, because each change of a message is a write of the status.
    """
    trading = observed.trading
    if observed.held is not None and observed.unread_halts:
        return f"{observed.held.mode}, because PurpleFleaHalts that may apply cannot be read: {observed.unread_halts}"
    if observed.held is not None:
        return f"{observed.held.mode} until it is drained, because its PurpleFleaHalt has ended or cannot be read"
    by = f" by {trading.changed_by}" if trading.changed_by else ""
    at = f" at {trading.since:%Y-%m-%dT%H:%M:%SZ}" if trading.since else ""
    why = f" ({trading.reason})" if trading.reason else ""
    others = len(trading_mode.deciding_halts(observed)) - 1
    by += f" and {others} more" if others > 0 else ""
    return f"{trading_mode.desired_mode(observed)}{by}{at}{why}"
