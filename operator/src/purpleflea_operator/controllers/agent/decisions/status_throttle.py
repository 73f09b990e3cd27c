"""Debounce of the status writes of one agent. Pure except for its own memory.

Two conditions are debounced. The watches of pods and of StatefulSets report the same pods in no fixed sequence, and
ready pods are probed for their telemetry; without a short delay a start would be reported twice, as done and again as
confirmed. And a status that only reports that a rollout is in progress adds nothing to its observedGeneration.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any

from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


class Debounce:
    """Debounce of one condition of one agent; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float], limit_s: float) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._since: float | None = None

    def remaining_s(self, *, waits: bool) -> float:
        """Return the seconds to wait; 0 if the condition does not hold, or holds for longer than the limit."""
        if not waits:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = self._clock()
        return max(0.0, self._since + self._limit_s - self._clock())


def acknowledgements_are_pending(
    current: Mapping[str, Any], observed: ObservedState, asked: Container[str]
) -> bool:
    """Return whether a pod was not asked or searched yet for a mode that the status already reports.

    A restarted operator asks all halted pods again. Without a delay it would report them as unconfirmed, and again as
    confirmed.
    """
    mode = trading_mode.desired_mode(observed)
    if mode is None or current.get("trading", {}).get("mode") != mode:
        return False
    if trading_mode.unaccounted(observed):
        return True
    return any(pod.uid not in asked for pod in trading_mode.unacknowledged(observed))


def pods_are_behind(observed: ObservedState) -> bool:
    """Return whether the StatefulSet counts more ready pods than the cache has, or a pod was not probed yet."""
    counted = (observed.stateful_set or {}).get("status", {}).get("readyReplicas", 0)
    is_pending = Delivery.PENDING in observed.telemetry_delivery.values()
    return is_pending or bool(counted > sum(pod.ready for pod in observed.pods))
