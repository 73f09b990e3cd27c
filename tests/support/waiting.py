"""Waiting for something to become true, with a deadline: tests never sleep for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.02


def wait_for(
    look: Callable[[], T], *, what: str = "it", timeout_s: float = 15.0, every_s: float = POLL_S
) -> T:
    """The first truthy result of `look`; an AssertionError naming `what`, with the last result, where none comes."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_s:g} s: {found!r}")
        time.sleep(every_s)
