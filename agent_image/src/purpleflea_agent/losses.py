"""Telemetry that could not be handed over, by signal: who loses some tells here how to count it.

Reporting the counts is the emitter's and the API's business.
"""

from collections.abc import Callable

_counters: dict[str, Callable[[], int]] = {}


def watch(signal: str, counter: Callable[[], int]) -> None:
    """Count the losses of `signal` (metrics, traces, logs) by `counter`, from the start of the process on."""
    _counters[signal] = counter


def counted() -> dict[str, int]:
    """What was lost so far."""
    return {signal: counter() for signal, counter in sorted(_counters.items())}
