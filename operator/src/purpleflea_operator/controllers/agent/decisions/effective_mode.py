"""The mode that applies to an agent: the strongest of its spec and its PurpleFleaHalts, also ended ones. Pure.

If the last halt of an agent ends, the agent keeps the mode until it has reported that it is drained, so that no drain
is interrupted. The ConfigMap records that a halt requested the mode, so this also applies after a restart of the
operator, and if the halts cannot be read. If the ConfigMap was deleted, the annotations of the pods have the mode.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from purpleflea_contract.control import Control, Mode
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.remembered import Remembered
from purpleflea_operator.controllers.halt.decisions.halt import Halt, HaltView
from purpleflea_operator.manifests import config_map
from purpleflea_operator.parsing import Manifest, mapping


def with_mode(
    observed: ObservedState,
    resource: dict[str, Any],
    halts: HaltView,
    *,
    now: datetime,
    remembered: Remembered,
) -> ObservedState:
    """Return the observed state with its halts, and with the observation of the trading mode."""

    def with_trading(state: ObservedState) -> ObservedState:
        control, deciding = trading_mode.desired_control(state), trading_mode.deciding_halts(state)
        mode = None if control is None else control.mode
        trading = trading_mode.trading_observation(resource, mode, now, halts=deciding)
        pods = state.pods
        trading = trading_mode.with_acknowledgements(trading, control, pods, remembered, now)
        return replace(state, trading=trading)

    namespace = resource["metadata"]["namespace"]
    observed = with_trading(
        replace(
            observed,
            halts=halts_of(resource, halts),
            unread_halts=halts.unread_reason(namespace),
        )
    )
    held = held_control(observed)
    if held is None:
        return observed
    kept = with_trading(replace(observed, held=held))
    return observed if halts.are_known(namespace) and _may_end(kept, remembered) else kept


def halts_of(resource: Mapping[str, Any], halts: HaltView) -> tuple[Halt, ...]:
    """Return the halts that apply to an agent resource, the strongest first.

    Until all are read, a halt may have ended. A stop cannot be undone, so it counts as a halt until then.
    """
    metadata = resource["metadata"]
    found = halts.of(metadata["namespace"], metadata["name"], mapping(metadata.get("labels")))
    if halts.are_known(metadata["namespace"]):
        return found
    return tuple(replace(item, mode=Mode.HALTED, flatten=False) for item in found)


def held_control(observed: ObservedState) -> Control | None:
    """Return the control file of a halt that is stronger than the desired one; None if there is none."""
    desired, control = trading_mode.desired_control(observed), _last_halt(observed)
    if desired is None or control is None:
        return None
    return control if trading_mode.is_stronger(control, desired) else None


def _last_halt(observed: ObservedState) -> Control | None:
    """Return the last control file that a halt requested; if the ConfigMap was deleted, the pods have the mode.

    If the halts cannot be read, each control file can be the one of a halt, and an agent that does not run yet can be
    halted: it must not start to trade.
    """
    live, is_unread = live_config_map(observed), bool(observed.unread_halts)
    if live is not None:
        may_be_halted = is_unread or config_map.is_halted(live)
        return config_map.control_of(live) if may_be_halted else None
    modes = {trading_mode.nudged_mode(pod.last_nudge) for pod in observed.pods}
    if is_unread and not any(pod.started for pod in observed.pods):
        modes.add(Mode.HALTED)
    return next((Control(mode=mode) for mode in (Mode.STOPPED, Mode.HALTED) if mode in modes), None)


def live_config_map(observed: ObservedState) -> Manifest | None:
    """Return the ConfigMap of the agent; None if there is none."""
    children = observed.children.items()
    return next((item for (kind, _), item in children if kind == "ConfigMap"), None)


def _may_end(kept: ObservedState, remembered: Remembered) -> bool:
    """Return whether a halt that has ended may cease to apply to the agent."""
    waited_s = remembered.ended_for_s
    is_over = waited_s is not None and waited_s >= timings.HALT_RESUME_LIMIT_S
    return is_over or remembered.may_resume or trading_mode.is_proven(kept)
