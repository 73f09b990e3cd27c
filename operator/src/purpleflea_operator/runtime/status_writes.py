"""Limits for the status writes of one object: a rate, a backoff after failures, and no repetition without news.

A burst of events must not cause a burst of writes. Delaying a write loses nothing, because the pass that has to wait
runs again and writes the status that applies then. The module must not interpret a status, except for its timestamps.
"""

from collections.abc import Callable, Mapping
from typing import Any

from purpleflea_operator import timings

BURST = 2
"""Writes without a delay, so that a new object that changes within a second is reported at once."""


class WriteRateLimiter:
    """Rate limiter for the status writes of one object; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float], *, burst: int = BURST) -> None:
        self._clock = clock
        self._burst = burst
        self._written_at = float("-inf")
        self._used_up_at = float("-inf")
        self._failures = 0
        self._result: tuple[Any, Any] | None = None
        """The status that was last written, and the other one that the API server stored, both without times."""

    def since_write_s(self) -> float:
        """Return the seconds since the last write; infinite if there was none."""
        return self._clock() - self._written_at

    def wait_s(self) -> float:
        """Return the seconds until the next write is allowed; 0 if it is allowed now."""
        allowed_at = self._used_up_at - (self._burst - 1) * timings.STATUS_INTERVAL_S
        return max(0.0, allowed_at - self._clock())

    def is_repetition(self, wanted: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
        """Return whether the same status was written over the same one, and stored as that one.

        The API server can store a status differently, such as with an older CRD that lacks a field, and so can an
        admission webhook. Times are not compared, because a condition that is stored differently has a new one each
        time.
        """
        if self._result is None:
            return False
        return self._result == (_without_times(wanted), _without_times(current))

    def record_write(self) -> None:
        """Record that the status is written now."""
        self._written_at = self._clock()
        self._used_up_at = max(self._used_up_at, self._written_at) + timings.STATUS_INTERVAL_S

    def record_success(self, wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
        """Record how the API server stored the status."""
        self._failures = 0
        result = _without_times(wanted), _without_times(stored)
        self._result = None if result[0] == result[1] else result

    def record_failure(self) -> None:
        """Record that the API server rejected the write, so the next one has to wait longer.

        The backoff of the work queue does not suffice: events queue the object, and a pass that has to wait for the
        next write succeeds, which resets the backoff.
        """
        self._failures += 1
        wait_s = timings.BACKOFF_BASE_S * 2.0 ** min(self._failures, 16)
        earliest = self._clock() + min(wait_s, timings.BACKOFF_LIMIT_S)
        self._used_up_at = earliest + (self._burst - 1) * timings.STATUS_INTERVAL_S


def _without_times(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return a status without the transition times of its conditions."""
    conditions = [
        {key: value for key, value in item.items() if key != "lastTransitionTime"}
        for item in status.get("conditions", ())
    ]
    return {**status, "conditions": conditions}
