"""Waits for a condition with a deadline. For the outside of a cluster, where there is nothing to
be woken by."""

import time
from collections.abc import Callable

PAUSE_S = 0.05


def until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float = PAUSE_S) -> bool:
    """Ask until the condition holds or the time is over; say whether it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
