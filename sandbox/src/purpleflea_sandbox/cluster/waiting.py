"""Waits for a condition with a deadline.

For conditions outside the process, which can only be polled.
"""

import time
from collections.abc import Callable

PAUSE_S = 0.05


def until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float = PAUSE_S) -> bool:
    """Poll until the condition holds or the time is over; return whether it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
