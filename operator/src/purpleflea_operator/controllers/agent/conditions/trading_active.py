"""May the agents trade, and have they said so? Pure.

False is proven: every agent that runs, or ran and may come back, has said that it is at rest. So is a True after
another mode; who started under Active need not say so, it is ready only when it can trade. Until then, and while an
agent cannot be asked, the answer is Unknown: it may still trade.
"""

from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding, some
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

_ON_THE_WAY = {Mode.ACTIVE: "Resuming", Mode.HALTED: "Halting", Mode.STOPPED: "Stopping"}


def trading_active(world: ObservedState) -> Finding:
    """Do the agents act on the trading mode that is wanted?"""
    kind, mode = ConditionType.TRADING_ACTIVE, trading_mode.desired_mode(world)
    if mode is None:
        return finding(kind, "Unknown", "SpecInvalid", "the mode is that of the last valid version")
    concerned, missing = trading_mode.pods_to_acknowledge(world), trading_mode.unacknowledged(world)
    count = f"{len(concerned) - len(missing)}/{len(concerned)} acknowledged"
    if missing:
        text = f"{_order(world)}; {count}; missing {some([pod.name for pod in missing])}"
        return finding(kind, "Unknown", _ON_THE_WAY[mode], text)
    if mode is Mode.ACTIVE:
        return finding(kind, "True", "Active", f"{_order(world)}; the agents may trade")
    undone = trading_mode.incomplete(world)
    if undone:
        text = f"{_order(world)}; not all was done: {'; '.join(undone)}"
        return finding(kind, "False", "StoppedIncomplete", text)
    proof = f"{count} and at rest" if concerned else "no agent runs"
    return finding(kind, "False", str(mode), f"{_order(world)}; {proof}")


def _order(world: ObservedState) -> str:
    """Who set the mode, when and why: constant while the mode stands, or the status would never settle."""
    trading = world.trading
    by = f" by {trading.changed_by}" if trading.changed_by else ""
    at = f" at {trading.since:%Y-%m-%dT%H:%M:%SZ}" if trading.since else ""
    why = f" ({trading.reason})" if trading.reason else ""
    return f"{trading_mode.desired_mode(world)}{by}{at}{why}"
