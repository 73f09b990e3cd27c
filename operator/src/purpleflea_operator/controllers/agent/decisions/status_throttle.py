"""Limits for status writes of one agent: a rate limiter and a debounce. Pure except for their own memory.

A burst of pod events must not cause a burst of writes. Delaying a write loses nothing, because the pass that has to
wait runs again and writes the status that applies then.

Two conditions are debounced. The watches of pods and of StatefulSets report the same pods in no fixed sequence, and
ready pods are probed for their telemetry; without a short delay a start would be reported twice, as done and again as
confirmed. And a status that only reports that a rollout is in progress adds nothing to its observedGeneration.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

BURST = 2
"""Writes without a delay, so that a new agent that starts within a second is reported at once."""


class WriteRateLimiter:
    """Rate limiter for the status writes of one agent; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written_at = float("-inf")
        self._used_up_at = float("-inf")
        self._failures = 0

    def since_write_s(self) -> float:
        """Return the seconds since the last write; infinite if there was none."""
        return self._clock() - self._written_at

    def wait_s(self) -> float:
        """Return the seconds until the next write is allowed; 0 if it is allowed now."""
        allowed_at = self._used_up_at - (BURST - 1) * timings.STATUS_INTERVAL_S
        return max(0.0, allowed_at - self._clock())

    def record_write(self) -> None:
        """Record that the status is written now."""
        self._written_at = self._clock()
        self._used_up_at = max(self._used_up_at, self._written_at) + timings.STATUS_INTERVAL_S

    def record_success(self) -> None:
        """Record that the API server stored the status."""
        self._failures = 0

    def record_failure(self) -> None:
        """Record that the API server rejected the write, so the next one has to wait longer.

        The backoff of the work queue does not suffice: events queue the agent, and a pass that has to wait for the next
        write succeeds, which resets the backoff.
        """
        self._failures += 1
        wait_s = timings.BACKOFF_BASE_S * 2.0 ** min(self._failures, 16)
        earliest = self._clock() + min(wait_s, timings.BACKOFF_LIMIT_S)
        self._used_up_at = earliest + (BURST - 1) * timings.STATUS_INTERVAL_S


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
