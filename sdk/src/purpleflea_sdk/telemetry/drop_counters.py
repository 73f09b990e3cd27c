"""Counters of telemetry that was dropped, by signal. A module that may drop telemetry registers its counter here.

dogstatsd and the API report the counts.
"""

from collections import Counter
from collections.abc import Callable

_counters: dict[str, Callable[[], int]] = {}
_failed_calls: Counter[str] = Counter()


def register(signal: str, counter: Callable[[], int]) -> None:
    """Register the counter of a signal (metrics, traces or logs); it counts from the start of the process."""
    _counters[signal] = counter


def add(signal: str) -> None:
    """Count one item that a failed call dropped."""
    _failed_calls[signal] += 1


def counts() -> dict[str, int]:
    """Return the number of dropped items of each signal."""
    signals = sorted({*_counters, *_failed_calls})
    return {
        signal: (_counters[signal]() if signal in _counters else 0) + _failed_calls[signal]
        for signal in signals
    }
