"""Counters of telemetry that was dropped, by signal. A module that may drop telemetry registers its counter here.

dogstatsd and the API report the counts.
"""

from collections.abc import Callable

_counters: dict[str, Callable[[], int]] = {}


def register(signal: str, counter: Callable[[], int]) -> None:
    """Register the counter of a signal (metrics, traces or logs); it counts from the start of the process."""
    _counters[signal] = counter


def counts() -> dict[str, int]:
    """Return the number of dropped items of each signal."""
    return {signal: counter() for signal, counter in sorted(_counters.items())}
