"""Waits for a condition with a deadline, so that tests never sleep for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def wait_for(
    look: Callable[[], T], *, what: str = "it", timeout_s: float = 15.0, every_s: float = POLL_S
) -> T:
    """Return the first truthy result of `look`.

    Raises AssertionError with `what` and the last result after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = look()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} was not true within {timeout_s:g} s: {result!r}")
        time.sleep(every_s)
